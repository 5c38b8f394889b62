//! The JWTs of a server elsewhere, checked with its public keys.

use std::time::Duration;

use time::OffsetDateTime;

use super::check::{Jwt, JwtRules};
use crate::{BackendError, Claims, Jwks, TokenVerifier};

/// Checks the JWTs (RFC 9068 §4) of a server that is elsewhere and whose public keys are at hand, such as in a file. It asks
/// nobody, so a token counts until it expires, whether or not it has been revoked.
///
/// Where the keys are to be read from the server, and again when they have changed, take `JwksVerifier`, of the feature `remote`.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     Claims, ClientId, JwtIssuer, JwtVerifier, SigningAlgorithm, SigningKey, TokenIssuer as _, now, time::Duration,
/// };
///
/// let key = SigningKey::generate(SigningAlgorithm::EdDsa)?;
/// let published = [key.public_jwk().clone()].into_iter().collect();
/// let issuer = JwtIssuer::new("https://auth.example.com", key).with_audience("https://api.example.com");
/// let claims = Claims::new(ClientId::parse("billing")?, now(), now() + Duration::MINUTE);
/// let token = issuer.issue(&claims).await?;
///
/// let tokens = JwtVerifier::new("https://auth.example.com", "https://api.example.com", published);
/// let read = tokens.check(token.expose(), now()).ok_or("it does not count")?;
/// assert_eq!(read.client_id().as_str(), "billing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct JwtVerifier {
    issuer: String,
    audience: String,
    keys: Jwks,
    clock_skew: time::Duration,
}

impl JwtVerifier {
    /// Takes the tokens of the issuer with this identifier that are meant for this audience, and are signed with one of these
    /// keys.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, keys: Jwks) -> Self {
        Self { issuer: issuer.into(), audience: audience.into(), keys, clock_skew: time::Duration::ZERO }
    }

    /// How far the clock of the issuer may be from the one here: a token counts for so much longer, and `nbf` so much sooner. Some
    /// seconds will do, a minute is the most that makes sense; without it the clocks are taken to be the same.
    #[must_use]
    pub fn with_clock_skew(self, clock_skew: Duration) -> Self {
        Self { clock_skew: clock_skew.try_into().unwrap_or(time::Duration::MAX), ..self }
    }

    /// What a token says, if it counts at `now`; [`TokenVerifier::verify`] for hosts without an executor.
    ///
    /// Its type has to be that of an access token, and its algorithm that of the key, which alone chooses how the signature is
    /// checked (RFC 8725 §3.1).
    #[must_use]
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Option<Claims> {
        let jwt = Jwt::parse(token)?;
        let header = jwt.header()?;
        let Self { issuer, audience, keys, clock_skew } = self;
        let rules = JwtRules { issuer, audience: Some(audience), clock_skew: *clock_skew };
        keys.find(header.alg, header.kid.as_deref()).find_map(|key| jwt.check(key, &rules, now))
    }
}

impl TokenVerifier for JwtVerifier {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        Ok(self.check(token, now))
    }
}
