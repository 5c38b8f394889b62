//! Checking JWTs by the public keys of the authorization server that issued them (RFC 9068 §4).

mod document;
mod keys;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use serde::Deserialize;
use time::OffsetDateTime;

use super::{HttpClient, address, body};
use crate::{
    BackendError, Claims, ParseError, TokenVerifier,
    issuer::jwt::check::{AccessTokenJwt, CLOCK_SKEW, JwtRules},
};
use keys::{Age, Kept, Keys};

/// Checks JWTs of RFC 9068 by the keys that their issuer publishes (`jwks_uri`, RFC 8414 §2). A clone shares the keys.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     BackendError, Claims, ClientId, HttpClient, JwksVerifier, JwtIssuer, SigningAlgorithm, SigningKey, TokenIssuer,
///     TokenVerifier, http, now, time::Duration,
/// };
///
/// /// Stands in for a server: this is what it publishes.
/// struct Server(String);
///
/// impl HttpClient for Server {
///     async fn send(&self, _: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, BackendError> {
///         Ok(http::Response::new(self.0.clone().into()))
///     }
/// }
///
/// let key = SigningKey::generate(SigningAlgorithm::EdDsa)?;
/// let server = Server(format!(r#"{{"keys": [{}]}}"#, serde_json::to_string(key.public_jwk())?));
/// let issuer = JwtIssuer::new("https://auth.example.com", key).with_audience("https://api.example.com");
/// let claims = Claims::new(ClientId::parse("billing")?, now(), now() + Duration::minutes(3));
/// let token = issuer.issue(&claims).await?;
///
/// let tokens = JwksVerifier::new("https://auth.example.com", "https://auth.example.com/jwks.json", server)?;
/// let claims = tokens.verify(token.expose(), now()).await?.ok_or("refused")?;
/// assert_eq!((claims.client_id().as_str(), claims.audience()), ("billing", &["https://api.example.com".to_owned()][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What counts
///
/// A token whose header says `at+jwt`, signed with a published key by that key's algorithm (`EdDSA`, `ES256`, `RS256` or
/// `PS256`), of this issuer, within its time, and whose subject is its client (RFC 9068 §2.2). Whether it is meant for the
/// API is told by its [audience](Claims::audience), which whoever takes it has to look at: it is empty for a token whose only
/// audience is the issuer. `resources` is the map of [`Authorization`](crate::Authorization); a token without it gives none.
/// A token that is bound to a key (`cnf`, RFC 8705 §3.1, RFC 9449 §6) is not taken, since whoever presents it would have to
/// prove that he has the key.
///
/// Nothing tells here that a token was revoked, or that its client is gone: it counts until it expires. Where that is too long,
/// issue shorter ones, or take an [`IntrospectionVerifier`](super::IntrospectionVerifier).
///
/// # How old the keys can be
///
/// They are fetched when the first token comes, and again when they are older than the server allows (`max-age`, RFC 9111
/// §5.2.2.1): five minutes where it does not say, never less than 30 seconds, and at most [an hour](Self::with_max_age). A
/// key that the server withdraws opens doors for that long. If the server cannot be asked, the old keys go on counting for
/// [an hour](Self::with_stale_if_error); after that nothing is opened, and whoever presents a token gets 503. A server that
/// fails is not asked again for five seconds.
///
/// A token whose `kid` is not known has the keys fetched at once, so that a server may sign with a key as soon as it has
/// published it; but only once in ten seconds, so that tokens with invented ones do not keep the server busy. Until then they
/// are refused. A server that publishes a key some minutes before it signs with it never has a good token refused.
///
/// One fetches for all. Those whose keys are old but still count do not wait, the others do. If the one who fetches goes
/// away, the next one fetches. Time is the `now` of whoever asks.
#[derive(Clone)]
pub struct JwksVerifier<C> {
    issuer: String,
    clock_skew: Duration,
    age: Age,
    keys: Arc<Keys<C>>,
}

/// Metadata have some dozens of members, some of them lists.
const MAX_METADATA_BYTES: usize = 64 * 1024;

/// Authorization server metadata (RFC 8414 §2), as far as they matter here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl<C: HttpClient> JwksVerifier<C> {
    /// Takes tokens of this issuer, an identifier that is compared to the letter, and fetches its keys from `jwks_uri`.
    ///
    /// RFC 8414 §2 wants `https`; an `http` address is taken for hosts whose network does what TLS does.
    ///
    /// # Errors
    /// When `jwks_uri` is not such a URL, or has a user or a fragment.
    pub fn new(issuer: impl Into<String>, jwks_uri: &str, client: C) -> Result<Self, ParseError> {
        let keys = Arc::new(Keys::new(address::endpoint(jwks_uri)?, client));
        Ok(Self { issuer: issuer.into(), clock_skew: CLOCK_SKEW, age: Age::default(), keys })
    }

    /// Finds the keys of an issuer by its metadata (RFC 8414 §3). These are read once: a server that moves its keys keeps the old
    /// address for as long as hosts have not been restarted.
    ///
    /// # Errors
    /// When the metadata cannot be fetched, are another issuer's (§3.3), or send an `https` issuer's tokens to keys at an `http`
    /// address.
    pub async fn discover(issuer: &str, client: C) -> Result<Self, BackendError> {
        let mut request = http::Request::new(Vec::new());
        *request.uri_mut() = address::metadata(issuer)?;
        request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
        let response = client.send(request).await?;
        let metadata: Metadata = serde_json::from_slice(&body(response, MAX_METADATA_BYTES)?)
            .map_err(|_| BackendError::new("the metadata have no issuer or no jwks_uri"))?;
        if metadata.issuer != issuer {
            return Err(BackendError::new("the metadata are another issuer's"));
        }
        if !address::is_as_safe(&address::endpoint(&metadata.jwks_uri)?, issuer) {
            return Err(BackendError::new("the metadata have an http address for the keys of an https issuer"));
        }
        Ok(Self::new(issuer, &metadata.jwks_uri, client)?)
    }

    /// How far the clock of the issuer may be from the one here (RFC 7519 §4.1.4), five seconds unless told otherwise: a
    /// token counts for so much longer, and `nbf` so much sooner. A minute is the most that makes sense.
    #[must_use]
    pub fn with_clock_skew(self, clock_skew: Duration) -> Self {
        Self { clock_skew, ..self }
    }

    /// For how long keys count at most, whatever the server allows; but never for less than 30 seconds.
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { age: Age { most: max_age, ..self.age }, ..self }
    }

    /// For how long keys that are too old go on counting while the server cannot be asked (RFC 5861 §4).
    #[must_use]
    pub fn with_stale_if_error(self, stale_if_error: Duration) -> Self {
        Self { age: Age { stale_if_error, ..self.age }, ..self }
    }

    fn check(&self, jwt: &AccessTokenJwt<'_>, kept: &Kept, now: OffsetDateTime) -> Option<Claims> {
        jwt.check(kept.keys(), &JwtRules { issuer: &self.issuer, clock_skew: self.clock_skew }, now)
    }
}

impl<C: HttpClient> TokenVerifier for JwksVerifier<C> {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        // What counts with no key is not worth a fetch.
        let Some(jwt) = AccessTokenJwt::parse(token) else {
            return Ok(None);
        };
        let kept = self.keys.current(self.age, now).await?;
        let claims = self.check(&jwt, &kept, now);
        if claims.is_some() || kept.has(jwt.key_id()) {
            return Ok(claims);
        }
        let newer = self.keys.newer(&kept, now).await?;
        Ok(newer.and_then(|newer| self.check(&jwt, &newer, now)))
    }
}

impl<C> fmt::Debug for JwksVerifier<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (issuer, jwks_uri) = (&self.issuer, self.keys.jwks_uri());
        f.debug_struct("JwksVerifier").field("issuer", issuer).field("jwks_uri", jwks_uri).finish_non_exhaustive()
    }
}
