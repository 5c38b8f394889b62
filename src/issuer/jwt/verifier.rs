//! The JWTs of a server elsewhere, checked with its public keys.

use std::time::Duration;

use time::OffsetDateTime;

use super::check::{AccessTokenJwt, CLOCK_SKEW, JwtRules};
use crate::{BackendError, Claims, Jwks, TokenVerifier};

/// Checks the JWTs (RFC 9068 §4) of a server that is elsewhere and whose public keys are at hand, such as in a file. It asks
/// nobody, so a token counts until it expires, whether or not it has been revoked.
///
/// Whether a token is meant for the API is told by its [audience](Claims::audience), which whoever takes it has to look at: a
/// [`ResourceServer`](crate::ResourceServer) does. It is empty for a token whose only audience is the issuer.
///
/// Where the keys are to be read from the server, and again when they have changed, take `JwksVerifier`, of the feature `remote`.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     Claims, ClientId, Config, JwtIssuer, JwtVerifier, Request, Requirements, ResourceServer, SigningAlgorithm, SigningKey,
///     TokenIssuer as _, now, time::Duration,
/// };
///
/// let key = SigningKey::generate(SigningAlgorithm::EdDsa)?;
/// let published = [key.public_jwk().clone()].into_iter().collect();
/// let issuer = JwtIssuer::new("https://auth.example.com", key).with_audience("https://api.example.com");
/// let claims = Claims::new(ClientId::parse("billing")?, now(), now() + Duration::MINUTE);
/// let token = issuer.issue(&claims).await?;
///
/// let tokens = JwtVerifier::new("https://auth.example.com", published);
/// let api = ResourceServer::new(tokens, Config::default()).with_audience("https://api.example.com");
/// let authorization = format!("Bearer {}", token.expose());
/// let request = Request::new("GET", now()).header("Authorization", authorization.as_bytes());
/// let read = api.check(&request, &Requirements::default()).await?;
/// assert_eq!(read.client_id().as_str(), "billing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct JwtVerifier {
    issuer: String,
    keys: Jwks,
    clock_skew: Duration,
}

impl JwtVerifier {
    /// Takes the tokens of the issuer with this identifier that are signed with one of these keys.
    pub fn new(issuer: impl Into<String>, keys: Jwks) -> Self {
        Self { issuer: issuer.into(), keys, clock_skew: CLOCK_SKEW }
    }

    /// How far the clock of the issuer may be from the one here (RFC 7519 §4.1.4), five seconds unless told otherwise: a
    /// token counts for so much longer, and `nbf` so much sooner. A minute is the most that makes sense.
    #[must_use]
    pub fn with_clock_skew(self, clock_skew: Duration) -> Self {
        Self { clock_skew, ..self }
    }

    /// What a token says, if it counts at `now`; [`TokenVerifier::verify`] for hosts without an executor.
    ///
    /// Its type has to be that of an access token, and its algorithm that of the key, which alone chooses how the signature is
    /// checked (RFC 8725 §3.1).
    #[must_use]
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Option<Claims> {
        let rules = JwtRules { issuer: &self.issuer, clock_skew: self.clock_skew };
        AccessTokenJwt::parse(token)?.check(&self.keys, &rules, now)
    }
}

impl TokenVerifier for JwtVerifier {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        Ok(self.check(token, now))
    }
}
