//! What can go wrong, and the one table that says how much of it the client is told.

use std::{error::Error as StdError, fmt, sync::Arc};

use serde::Serialize;

/// Why a request was refused or failed: the cause, for the operator.
///
/// The client sees only what [`Error::response`] makes of it, so an unknown client, a wrong secret and an expired one
/// look alike. No variant carries text that came with the request.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says what the variant means")]
pub enum Error {
    #[error("the method is not POST")]
    MethodNotAllowed,
    #[error("the body is longer than the configuration allows")]
    BodyTooLarge,
    #[error("the Authorization header is longer than the configuration allows")]
    AuthorizationTooLong,
    #[error("the query of the URL is longer than the configuration allows a body to be")]
    QueryTooLong,
    #[error("there are more parameters than the configuration allows")]
    TooManyParameters,
    #[error("the content type is not application/x-www-form-urlencoded")]
    UnsupportedContentType,
    #[error("the query of the URL carries client credentials")]
    CredentialsInQuery,
    #[error("the form is not percent-encoded UTF-8")]
    MalformedForm,
    #[error("the parameter `{0}` is there more than once")]
    RepeatedParameter(&'static str),
    #[error("the parameter `{0}` is missing")]
    MissingParameter(&'static str),
    #[error("the client authenticates in more than one way")]
    SeveralAuthentications,
    #[error("the `client_id` of the body is not the one of the Authorization header")]
    ClientIdMismatch,
    #[error("the client credentials are malformed")]
    MalformedCredentials,
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    #[error("the scope is malformed")]
    MalformedScope,
    #[error("there are more scope tokens than the configuration allows")]
    TooManyScopeTokens,

    #[error("the client does not authenticate")]
    NoAuthentication,
    #[error("the scheme of the Authorization header is not supported")]
    UnsupportedScheme,
    #[error("the client is unknown")]
    UnknownClient,
    #[error("the client has no secret")]
    NoSecretRegistered,
    #[error("the secret is wrong")]
    WrongSecret,
    #[error("the secret is right but has expired")]
    ExpiredSecret,
    #[error("the secret is right but the client is registered for another authentication method")]
    WrongMethod,

    #[error("the client has no `seacatauth_credentials`, so it may not use this grant")]
    GrantNotEnabled,
    #[error("a scope token is not in the registered scope of the client")]
    ScopeNotRegistered,
    #[error("a tenant is not assigned to the client")]
    TenantNotAssigned,
    #[error("the scope asks for a tenant and the client has none")]
    NoTenantAssigned,

    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Error {
    /// What the client is told: the status, and the members of RFC 6749 §5.2.
    #[must_use]
    #[rustfmt::skip]
    pub const fn response(&self) -> ErrorResponse {
        use ErrorCode::{InvalidClient, InvalidRequest, InvalidScope, TemporarilyUnavailable, UnauthorizedClient, UnsupportedGrantType};

        let (status, error, error_description) = match self {
            Self::MethodNotAllowed       => (405, InvalidRequest, "the token endpoint takes POST only"),
            Self::BodyTooLarge           => (413, InvalidRequest, "the body is too large"),
            Self::AuthorizationTooLong   => (400, InvalidRequest, "the Authorization header is too long"),
            Self::QueryTooLong           => (400, InvalidRequest, "the query of the URL is too long"),
            Self::TooManyParameters      => (400, InvalidRequest, "there are too many parameters"),
            Self::UnsupportedContentType => (400, InvalidRequest, "the content type must be application/x-www-form-urlencoded"),
            Self::CredentialsInQuery     => (400, InvalidRequest, "client credentials must not be in the URL"),
            Self::MalformedForm          => (400, InvalidRequest, "the body is not application/x-www-form-urlencoded"),
            Self::RepeatedParameter(_)   => (400, InvalidRequest, "a parameter is there more than once"),
            Self::MissingParameter(_)    => (400, InvalidRequest, "a required parameter is missing"),
            Self::SeveralAuthentications => (400, InvalidRequest, "the client must authenticate in one way only"),
            Self::ClientIdMismatch       => (400, InvalidRequest, "client_id differs from the Authorization header"),
            Self::MalformedCredentials   => (400, InvalidRequest, "the client credentials are malformed"),
            Self::UnsupportedGrantType   => (400, UnsupportedGrantType, "the only grant type here is client_credentials"),

            Self::NoAuthentication
            | Self::UnsupportedScheme
            | Self::UnknownClient
            | Self::NoSecretRegistered
            | Self::WrongSecret
            | Self::ExpiredSecret
            | Self::WrongMethod          => (401, InvalidClient, "client authentication failed"),

            Self::GrantNotEnabled        => (400, UnauthorizedClient, "the client may not use this grant type"),

            Self::MalformedScope         => (400, InvalidScope, "the scope is malformed"),
            Self::TooManyScopeTokens     => (400, InvalidScope, "the scope has too many tokens"),
            Self::ScopeNotRegistered
            | Self::TenantNotAssigned
            | Self::NoTenantAssigned     => (400, InvalidScope, "the scope is not allowed for this client"),

            Self::Backend(_)             => (503, TemporarilyUnavailable, "the server cannot answer now"),
        };
        ErrorResponse { status, error, error_description }
    }
}

/// An error response (RFC 6749 §5.2); it serializes to the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorResponse {
    #[serde(skip)]
    status: u16,
    error: ErrorCode,
    error_description: &'static str,
}

impl ErrorResponse {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The member `error`.
    #[must_use]
    pub const fn error(&self) -> ErrorCode {
        self.error
    }

    /// The member `error_description`: a fixed text for a developer, of the characters that RFC 6749 §5.2 allows.
    #[must_use]
    pub const fn error_description(&self) -> &'static str {
        self.error_description
    }
}

/// The values of the member `error` (RFC 6749 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The request is malformed.
    InvalidRequest,
    /// The client could not be authenticated.
    InvalidClient,
    /// The authenticated client may not use this grant type.
    UnauthorizedClient,
    /// The server does not support the grant type.
    UnsupportedGrantType,
    /// The scope is malformed, unknown, or exceeds what the client may have.
    InvalidScope,
    /// A store or an issuer failed. §5.2 has no code for it; this is the one of §4.1.2.1.
    TemporarilyUnavailable,
}

/// A store or an issuer failed; the client is told to come back later (503).
///
/// It keeps the failure as its [`source`](StdError::source) and does not repeat it in its own text.
#[derive(Clone)]
pub struct BackendError(Arc<dyn StdError + Send + Sync>);

impl BackendError {
    /// Wraps the failure of a backend; a text will do.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(source.into().into())
    }
}

impl fmt::Debug for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BackendError").field(&self.0).finish()
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a backend failed")
    }
}

impl StdError for BackendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
