//! Asking the authorization server about each token (RFC 7662).

mod answers;
mod response;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Method, Uri, header};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{HttpClient, address, body};
use crate::{
    BackendError, Claims, ClientId, ClientSecret, ParseError, TokenHash, TokenVerifier, form, secret::is_b64token,
};
use answers::Answers;

/// Checks tokens by asking the server that issued them, whatever their form is (RFC 7662). A clone shares what it knows.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     BackendError, ClientId, ClientSecret, HttpClient, IntrospectionVerifier, TokenVerifier, http, now,
/// };
///
/// /// Stands in for a server that knows one token.
/// struct Server;
///
/// impl HttpClient for Server {
///     async fn send(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, BackendError> {
///         let known = request.body().starts_with(b"token=2YotnFZFEjr1zCsicMWpAA&");
///         let said = r#"{"active": true, "client_id": "billing", "scope": "invoices:read"}"#;
///         Ok(http::Response::new(if known { said } else { r#"{"active": false}"# }.into()))
///     }
/// }
///
/// let (api, secret) = (ClientId::parse("api")?, ClientSecret::new("an-example-that-nobody-should-use".into()));
/// let endpoint = "https://auth.example.com/openidconnect/introspect";
/// let tokens = IntrospectionVerifier::new(endpoint, &api, &secret, Server)?;
///
/// let claims = tokens.verify("2YotnFZFEjr1zCsicMWpAA", now()).await?.ok_or("not active")?;
/// assert_eq!(claims.client_id().as_str(), "billing");
/// assert!(tokens.verify("another", now()).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How old an answer can be
///
/// An answer counts for [`cache_expiration`](Self::with_cache_expiration), ten seconds unless told otherwise, and never
/// longer than the token. So a token that is revoked passes for that long, and one that was unknown a moment ago is refused
/// for that long (RFC 7662 §4). Time is the `now` of whoever asks, and an answer is as old as the question.
///
/// # What counts
///
/// A server of this crate tells of a token that names APIs only to those whom it concerns: the client whose credentials are given
/// here has to have such a name for its identifier, or a role with the resource [`INTROSPECTION`](crate::INTROSPECTION).
///
/// Only `"active": true`. A token is not taken that is expired by the clock of this machine, that is not a bearer token by its
/// `token_type`, or that is bound to a key (`cnf`, RFC 8705 §3.2, RFC 9449 §6), which whoever presents it would have to prove to
/// have. An answer without `client_id` is an error: whose the token is cannot be told, since `sub` may be a person. One without
/// `iat` was issued when it was asked about, one without `exp` is said to expire a minute later.
///
/// `resources` is the map of [`Authorization`](crate::Authorization), as a server of this crate tells it; without it a token
/// gives no resources.
///
/// Whatever else is answered, or nothing, is an error, and 503 for whoever presents the token: a server that refuses the
/// credentials of this API has not said that the token is no good.
///
/// # What a stranger can do
///
/// He can have the server asked about every token that he makes up: put a limit on requests in front, as everywhere. Answers
/// about tokens that are not active have [as much room](Self::with_capacity) as the others, but apart, so that no flood of
/// them drives out a good one. What cannot be a token, or is longer than 8 KiB, is not asked about.
///
/// Of several that present one token at the same time, one asks for all, and all get what came of it, an error too, which is
/// not kept. If the one who asks goes away, the next one asks.
#[derive(Clone)]
pub struct IntrospectionVerifier<C> {
    client: C,
    endpoint: Uri,
    /// `Basic …`: shared by all requests, zeroed with the last one.
    credentials: HeaderValue,
    issuer: Option<String>,
    expiration: Duration,
    answers: Arc<Answers>,
}

/// For as long as a revoked token may pass, and one second in ten is asked for nine that are not.
const EXPIRATION: Duration = Duration::from_secs(10);

/// Ten megabytes, whatever the tokens say.
const CAPACITY: usize = 10_000;

/// The longest token that is asked about, as long as the longest `Authorization` header by default.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Room for a token with some hundred tenants; a longer answer is an error each time. The server's `max_tenants` bounds it.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

impl<C: HttpClient> IntrospectionVerifier<C> {
    /// Asks this endpoint with these credentials, which are sent as RFC 6749 §2.3.1 has it (`client_secret_basic`).
    ///
    /// RFC 7662 §4 wants `https`; an `http` address is taken for hosts whose network does what TLS does.
    ///
    /// # Errors
    /// When the endpoint is not such a URL, or has a user or a fragment.
    pub fn new(
        introspection_endpoint: &str,
        client_id: &ClientId,
        client_secret: &ClientSecret,
        client: C,
    ) -> Result<Self, ParseError> {
        Ok(Self {
            client,
            endpoint: address::endpoint(introspection_endpoint)?,
            credentials: basic(client_id, client_secret)?,
            issuer: None,
            expiration: EXPIRATION,
            answers: Arc::new(Answers::new(CAPACITY)),
        })
    }

    /// Takes tokens of this issuer only, where the answer says whose they are (`iss`). A token whose only audience is the issuer
    /// has none then, as in [`Claims::audience`]: this is how some servers say that nobody was named.
    #[must_use]
    pub fn with_issuer(self, issuer: impl Into<String>) -> Self {
        Self { issuer: Some(issuer.into()), answers: Arc::new(self.answers.emptied()), ..self }
    }

    /// How long an answer counts, and so how long a revoked token passes; with zero the server is asked each time.
    #[must_use]
    pub fn with_cache_expiration(self, cache_expiration: Duration) -> Self {
        Self { expiration: cache_expiration, ..self }
    }

    /// How many active tokens are kept, and apart from them how many that are not. One that says so much that it takes several
    /// kibibytes of memory counts for as many.
    #[must_use]
    pub fn with_capacity(self, tokens: usize) -> Self {
        Self { answers: Arc::new(Answers::new(tokens)), ..self }
    }

    async fn ask(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        let mut form = String::with_capacity("token=&token_type_hint=access_token".len() + 3 * token.len());
        form.push_str("token=");
        form::encode(token, &mut form);
        form.push_str("&token_type_hint=access_token");

        let mut request = http::Request::new(form.into_bytes());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.credentials.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.client.send(request).await?;
        response::claims(&body(response, MAX_RESPONSE_BYTES)?, self.issuer.as_deref(), now)
    }
}

impl<C: HttpClient> TokenVerifier for IntrospectionVerifier<C> {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        if token.len() > MAX_TOKEN_BYTES || !is_b64token(token) {
            return Ok(None);
        }
        let found = if self.expiration.is_zero() {
            self.ask(token, now).await?
        } else {
            self.answers.find(TokenHash::of(token), self.expiration, now, || self.ask(token, now)).await?
        };
        Ok(found.filter(|claims| now < claims.expires_at()))
    }
}

impl<C> fmt::Debug for IntrospectionVerifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionVerifier").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// RFC 6749 §2.3.1: both form-encoded, then as in RFC 7617.
fn basic(client_id: &ClientId, client_secret: &ClientSecret) -> Result<HeaderValue, ParseError> {
    let room = 3 * (client_id.as_str().len() + client_secret.expose().len()) + 1;
    let mut pair = Zeroizing::new(String::with_capacity(room));
    form::encode(client_id.as_str(), &mut pair);
    pair.push(':');
    form::encode(client_secret.expose(), &mut pair);

    let mut value = Zeroizing::new(String::with_capacity("Basic ".len() + pair.len().div_ceil(3) * 4));
    value.push_str("Basic ");
    BASE64_STANDARD.encode_string(pair.as_bytes(), &mut value);
    let value = HeaderValue::from_maybe_shared(Bytes::from_owner(Owned(value)));
    let mut value = value.map_err(|_| ParseError("the credentials do not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a header is made of, zeroed when the last one that shares it is gone.
struct Owned(Zeroizing<String>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
