//! What can go wrong, and the table that says which status and which error of it the client is told; the header fields that go
//! with them are the reply's.

mod diagnosis;
mod kind;
mod misspelling;
mod name;
#[cfg(test)]
pub(crate) mod tests;

pub use misspelling::Misspelling;

use std::{borrow::Cow, error::Error as StdError, fmt, pin::Pin, sync::Arc, time::Duration};

use serde::Serialize;

use crate::RateLimit;

/// Why a request was refused or failed: the cause, for the operator.
///
/// The client sees only what [`Error::response`] and [`Reply::error`](crate::Reply::error) make of it, so an unknown client, a
/// wrong secret and an expired one look alike. Of the text of the request no variant carries anything but the [`ParameterName`] of a member
/// or a parameter.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
// A word, and not a byte with parts of the rest beside it: every step returns one of these or what it has made, and a processor that reads
// across what it has just written in pieces waits for it.
#[repr(u64)]
pub enum Error {
    /// The method is not one of these.
    #[error("the method is not one of {0}")]
    MethodNotAllowed(&'static str),
    /// The body is longer than the configuration allows.
    #[error("the body is longer than the configuration allows")]
    BodyTooLarge,
    /// The body broke off before its end.
    #[error("the body broke off before its end")]
    IncompleteBody,
    /// The Authorization header is longer than the configuration allows.
    #[error("the Authorization header is longer than the configuration allows")]
    AuthorizationTooLong,
    /// The query of the URL is longer than the configuration allows a body to be.
    #[error("the query of the URL is longer than the configuration allows a body to be")]
    QueryTooLong,
    /// There are more parameters than the configuration allows.
    #[error("there are more parameters than the configuration allows")]
    TooManyParameters,
    /// The content type is not application/x-www-form-urlencoded.
    #[error("the content type is not application/x-www-form-urlencoded")]
    UnsupportedContentType,
    /// The query of the URL carries client credentials.
    #[error("the query of the URL carries client credentials")]
    CredentialsInQuery,
    /// The form is not percent-encoded UTF-8.
    #[error("the form is not percent-encoded UTF-8")]
    MalformedForm,
    /// The parameter of this name is there more than once.
    #[error("the parameter `{0}` is there more than once")]
    RepeatedParameter(&'static str),
    /// The parameter of this name is missing.
    #[error("the parameter `{0}` is missing")]
    MissingParameter(&'static str),
    /// The client authenticates in more than one way.
    #[error("the client authenticates in more than one way")]
    SeveralAuthentications,
    /// The `client_id` of the body is not the one of the Authorization header.
    #[error("the `client_id` of the body is not the one of the Authorization header")]
    ClientIdMismatch,
    /// The client credentials are malformed.
    #[error("the client credentials are malformed")]
    MalformedCredentials,
    /// The client credentials in the Authorization header have a `%` that encodes nothing.
    #[error("the client credentials in the Authorization header have a `%` that encodes nothing")]
    BarePercent,
    /// The client credentials in the Authorization header are not UTF-8.
    #[error("the client credentials in the Authorization header are not UTF-8")]
    CredentialsNotUtf8,
    /// The client credentials have a line end in them.
    #[error("the client credentials have a line end in them")]
    LineEndInCredentials,
    /// The grant type is not supported.
    #[error("the grant type is not supported")]
    UnsupportedGrantType,
    /// The scope is malformed.
    #[error("the scope is malformed")]
    MalformedScope,
    /// There are more scope tokens than the configuration allows.
    #[error("there are more scope tokens than the configuration allows")]
    TooManyScopeTokens,

    /// The scope stands for more tenants than the configuration allows.
    #[error("the scope stands for more tenants than the configuration allows")]
    TooManyTenants,

    /// A `resource` is not an absolute URI without a fragment.
    #[error("a `resource` is not an absolute URI without a fragment")]
    MalformedTarget,
    /// A `resource` or `audience` is not in the registered audience of the client.
    #[error("a `resource` or `audience` is not in the registered audience of the client")]
    TargetNotAllowed,

    /// The token would be longer than an Authorization header may be here.
    #[error("the token would be longer than an Authorization header may be here")]
    TokenTooLong,

    /// The client does not authenticate.
    #[error("the client does not authenticate")]
    NoAuthentication,
    /// The scheme of the Authorization header is not supported.
    #[error("the scheme of the Authorization header is not supported")]
    UnsupportedScheme,
    /// The client is unknown.
    #[error("the client is unknown")]
    UnknownClient,
    /// The client has no secret.
    #[error("the client has no secret")]
    NoSecretRegistered,
    /// The secret is wrong.
    #[error("the secret is wrong")]
    WrongSecret,
    /// The secret is wrong as it came, and would be right spelt otherwise; told from [`WrongSecret`](Self::WrongSecret) only with
    /// [`AuthorizationServer::with_misspellings_noted`](crate::AuthorizationServer::with_misspellings_noted).
    #[error("the secret is wrong as it came: {0}")]
    MisspelledSecret(Misspelling),
    /// The secret is right but has expired.
    #[error("the secret is right but has expired")]
    ExpiredSecret,
    /// The secret is right but the client is registered for another authentication method.
    #[error("the secret is right but the client is registered for another authentication method")]
    WrongMethod,

    /// Too many authentications as this client have failed; it has to wait for so long.
    #[error("too many authentications as this client have failed")]
    ClientThrottled(Duration),
    /// Too many requests from this source have failed to authenticate, had nothing to authenticate with, or were malformed; it has to wait for so long.
    #[error("too many requests from this source have authenticated nobody")]
    SourceThrottled(Duration),
    /// As many tokens as a quota allows have been issued.
    #[error("as many tokens as the quota of the {} allows have been issued", .0.of())]
    QuotaUsedUp(Box<RateLimit>),

    /// The client has no `seacatauth_credentials`, so it may not use this grant.
    #[error("the client has no `seacatauth_credentials`, so it may not use this grant")]
    GrantNotEnabled,
    /// A scope token is not in the registered scope of the client.
    #[error("a scope token is not in the registered scope of the client")]
    ScopeNotRegistered,
    /// A tenant is not assigned to the client.
    #[error("a tenant is not assigned to the client")]
    TenantNotAssigned,
    /// The scope asks for a tenant and the client has none.
    #[error("the scope asks for a tenant and the client has none")]
    NoTenantAssigned,

    /// The token was issued to another client.
    #[error("the token was issued to another client")]
    NotItsToken,
    /// The issuer keeps its tokens elsewhere than in the store of the server.
    #[error("the issuer keeps its tokens elsewhere than in the store of the server")]
    UnsupportedTokenType,

    /// There is no bearer token.
    #[error("there is no bearer token")]
    NoToken,
    /// The Authorization header is there twice or too long, so that it cannot hold a bearer token.
    #[error("the Authorization header is there twice or too long, so that it cannot hold a bearer token")]
    MalformedToken,
    /// The bearer token is unknown, expired or revoked.
    #[error("the bearer token is unknown, expired or revoked")]
    InvalidToken,
    /// The bearer token does not hold this resource.
    #[error("the bearer token does not hold the resource `{0}`")]
    MissingResource(&'static str),
    /// A resource that governs this server would be given by somebody who does not hold it.
    #[error("a resource that governs this server would be given by somebody who does not hold it")]
    NotHeld,
    /// The bearer token is meant for other APIs than this one.
    #[error("the bearer token is meant for other APIs than this one")]
    WrongAudience,
    /// The bearer token does not have the scope that is required.
    #[error("the bearer token does not have the scope that is required")]
    MissingScope,
    /// The bearer token is not for the tenant that is required.
    #[error("the bearer token is not for the tenant that is required")]
    MissingTenant,
    /// The bearer token does not hold the resources that are required.
    #[error("the bearer token does not hold the resources that are required")]
    MissingResources,
    /// What the bearer token says cannot stand in the headers of an answer.
    #[error("what the bearer token says cannot stand in the headers of an answer")]
    NotForHeaders,
    /// The query of the URL is not percent-encoded UTF-8.
    #[error("the query of the URL is not percent-encoded UTF-8")]
    MalformedQuery,
    /// There is nothing at this path.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// There is one of this name already.
    #[error("there is a {0} of this name already")]
    AlreadyExists(&'static str),
    /// The client has changed since it was read.
    #[error("the client has changed since it was read")]
    StaleVersion,
    /// The client has as many live secrets as the configuration allows.
    #[error("the client has as many live secrets as the configuration allows")]
    TooManySecrets,
    /// The content type is not application/json.
    #[error("the content type is not application/json")]
    NotJson,
    /// The body is not a JSON object, or has a member twice.
    #[error("the body is not a JSON object that has each member once")]
    MalformedJson,
    /// A member of a body that is not a client's metadata is not known here.
    #[error("there is no parameter `{0}`")]
    UnknownParameter(ParameterName),
    /// A parameter of the query, or a member of a body that is not a client's metadata, has a value that it cannot have.
    #[error("the parameter `{0}`: {1}")]
    WrongParameter(&'static str, &'static str),
    /// A member of a client's metadata is not known here.
    #[error("there is no member `{0}`")]
    UnknownMember(ParameterName),
    /// A member of a client's metadata cannot be set in this way.
    #[error("the member `{0}` is read-only here")]
    ReadOnlyMember(ParameterName),
    /// A member of a client's metadata has a value that it cannot have.
    #[error("`{0}`: {1}")]
    WrongMember(&'static str, &'static str),
    /// The caller went away in the middle, and whether it was done is not known.
    #[error("the caller went away in the middle, and whether it was done is not known")]
    Interrupted,
    /// As many secrets wait to be verified as may wait. The audit is told once, until half of them are verified.
    #[error("as many secrets wait to be verified as may wait")]
    Overloaded,
    /// As many secrets from this source wait to be verified as may wait of one, which counts as a failed authentication.
    #[error("as many secrets from this source wait to be verified as may wait of one")]
    TooManyAtOnce,
    /// A store or an issuer failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Error {
    /// What the client is told: the status, and the members of RFC 6749 §5.2.
    #[must_use]
    #[rustfmt::skip]
    pub fn response(&self) -> ErrorResponse {
        use ErrorCode::{
            Conflict, InsufficientScope, InvalidClient, InvalidClientMetadata, InvalidRequest, InvalidScope, InvalidTarget, InvalidToken, NotFound,
            PreconditionFailed, TemporarilyUnavailable, UnauthorizedClient, UnsupportedGrantType, UnsupportedTokenType,
        };
        let (status, error, error_description) = match self {
            Self::MethodNotAllowed(_)    => (405, InvalidRequest, "the method is not allowed here"),
            Self::BodyTooLarge           => (413, InvalidRequest, "the body is too large"),
            Self::IncompleteBody         => (400, InvalidRequest, "the body is incomplete"),
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
            Self::MalformedCredentials
            | Self::BarePercent
            | Self::CredentialsNotUtf8
            | Self::LineEndInCredentials => (400, InvalidRequest, "the client credentials are malformed"),
            Self::UnsupportedGrantType   => (400, UnsupportedGrantType, "the only grant type here is client_credentials"),
            Self::NoAuthentication
            | Self::UnsupportedScheme
            | Self::UnknownClient
            | Self::NoSecretRegistered
            | Self::WrongSecret
            | Self::MisspelledSecret(_)
            | Self::ExpiredSecret
            | Self::WrongMethod          => (401, InvalidClient, "client authentication failed"),
            // §5.2 has no code for it. Which of the two it is stays here: one would say that others guess at the client too.
            Self::ClientThrottled(_)
            | Self::SourceThrottled(_)   => (429, TemporarilyUnavailable, "too many authentications have failed, or were missing: come back later"),
            Self::QuotaUsedUp(_)         => (429, TemporarilyUnavailable, "as many tokens as the quota allows have been issued: come back later"),
            Self::GrantNotEnabled        => (400, UnauthorizedClient, "the client may not use this grant type"),
            Self::MalformedScope         => (400, InvalidScope, "the scope is malformed"),
            Self::TooManyScopeTokens     => (400, InvalidScope, "the scope has too many tokens"),
            Self::TooManyTenants         => (400, InvalidScope, "the scope stands for too many tenants"),
            Self::TokenTooLong           => (400, InvalidScope, "the token would be too long: ask for fewer tenants"),
            Self::ScopeNotRegistered
            | Self::TenantNotAssigned
            | Self::NoTenantAssigned     => (400, InvalidScope, "the scope is not allowed for this client"),
            Self::MalformedTarget        => (400, InvalidTarget, "a resource must be an absolute URI without a fragment"),
            Self::TargetNotAllowed       => (400, InvalidTarget, "the client may not name this resource or audience"),
            Self::NotItsToken            => (400, UnauthorizedClient, "the token was issued to another client"),
            Self::UnsupportedTokenType   => (400, UnsupportedTokenType, "this kind of token cannot be revoked here"),
            Self::NoToken                => (401, InvalidToken, "a bearer token is required"),
            Self::MalformedToken         => (400, InvalidRequest, "the Authorization header cannot hold a bearer token"),
            Self::InvalidToken
            | Self::WrongAudience        => (401, InvalidToken, "the bearer token is not valid"),
            Self::NotHeld                => (403, InsufficientScope, "this would give a resource that the bearer token does not hold"),
            Self::MissingScope           => (403, InsufficientScope, "the bearer token does not have the scope that is required"),
            Self::MissingTenant          => (403, InsufficientScope, "the bearer token is not for the tenant that is required"),
            Self::MissingResources       => (403, InsufficientScope, "the bearer token does not hold the resources that are required"),
            Self::NotForHeaders          => (403, InsufficientScope, "the bearer token says more than headers can hold: ask for fewer tenants"),
            Self::MalformedQuery         => (400, InvalidRequest, "the query of the URL is not percent-encoded UTF-8"),
            Self::AlreadyExists(_)       => (409, Conflict, "there is one of this name already"),
            Self::TooManySecrets         => (409, Conflict, "there are too many live secrets: retire one first"),
            Self::StaleVersion           => (412, PreconditionFailed, "it has changed since it was read"),
            Self::NotJson                => (415, InvalidRequest, "the content type must be application/json"),
            Self::MalformedJson          => (400, InvalidRequest, "the body is not a JSON object that has each member once"),
            Self::Interrupted
            | Self::Overloaded
            | Self::TooManyAtOnce
            | Self::Backend(_)           => (503, TemporarilyUnavailable, "the server cannot answer now"),
            // What is filled in here is this server's own word or a name, and the client is told it as the operator is.
            Self::NotFound(_)            => return ErrorResponse::new(404, NotFound, self.to_string()),
            Self::MissingResource(_)     => return ErrorResponse::new(403, InsufficientScope, self.to_string()),
            Self::UnknownParameter(_)
            | Self::WrongParameter(..)   => return ErrorResponse::new(400, InvalidRequest, self.to_string()),
            Self::UnknownMember(_)
            | Self::ReadOnlyMember(_)
            | Self::WrongMember(..)      => return ErrorResponse::new(400, InvalidClientMetadata, self.to_string()),
        };
        ErrorResponse::new(status, error, error_description)
    }
}

/// A name that came with a request: kept only where it can be a name, since it may be a value in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterName(String);

impl ParameterName {
    pub(crate) fn of(text: &str) -> Self {
        let is_name = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        Self(if is_name { text.into() } else { "...".into() })
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error response (RFC 6749 §5.2); it serializes to the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorResponse {
    #[serde(skip)]
    status: u16,
    error: ErrorCode,
    error_description: Cow<'static, str>,
}

impl ErrorResponse {
    fn new(status: u16, error: ErrorCode, error_description: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error, error_description: error_description.into() }
    }

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

    /// The member `error_description`: a text for a developer, of the characters that RFC 6749 §5.2 allows.
    #[must_use]
    pub fn error_description(&self) -> &str {
        &self.error_description
    }
}

/// The values of the member `error` (RFC 6749 §5.2 unless said).
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
    /// The server cannot revoke this kind of token (RFC 7009 §2.2.1).
    UnsupportedTokenType,
    /// The scope is malformed, unknown, or exceeds what the client may have.
    InvalidScope,
    /// A requested resource or audience is malformed or not allowed (RFC 8707 §2).
    InvalidTarget,
    /// The bearer token is missing or does not count (RFC 6750 §3.1).
    InvalidToken,
    /// The bearer token does not hold what the call needs (RFC 6750 §3.1).
    InsufficientScope,
    /// A member of a client's metadata is wrong (RFC 7591 §3.2.2).
    InvalidClientMetadata,
    /// There is no such thing.
    NotFound,
    /// What the call would do does not go together with what there is.
    Conflict,
    /// What is to be changed is not what was read (RFC 9110 §15.5.13).
    PreconditionFailed,
    /// A store or an issuer failed, or the client has to wait (RFC 6585 §4). §5.2 has no code for it; this is the one of §4.1.2.1.
    TemporarilyUnavailable,
}

/// What a backend answers with, where its type is not known before run time.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>;

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
