//! What makes an access token.

mod any_verifier;
mod jwk;
mod jwks;
pub(crate) mod jwt;
mod key_set;
mod opaque;
mod sealed;
mod signer;
mod signing_key;

use std::{fmt, future::Future, sync::Arc};

pub use any_verifier::AnyTokenVerifier;
pub use jwk::{PublicJwk, SigningAlgorithm};
pub use jwks::Jwks;
pub use jwt::{JwtIssuer, JwtVerifier};
pub use key_set::KeySet;
pub use opaque::OpaqueIssuer;
pub use sealed::{SealedIssuer, SealingKey};
pub use signer::{AnySigner, Signer};
#[cfg(feature = "aws-lc-rs")]
pub use signing_key::AwsLcSigningKey;
pub use signing_key::{KeyError, SigningKey};
use time::OffsetDateTime;

use crate::{AccessToken, BackendError, Claims, TokenHash, error::Answer};

/// Makes an access token (RFC 6749 §1.4) for a request that has been authorized.
///
/// ```
/// use client_credentials::{
///     AccessToken, BackendError, Claims, RandomSource, TokenIssuer, TokenVerifier, time::OffsetDateTime,
/// };
///
/// /// Marks its tokens, so that a scanner finds one that got into a repository.
/// struct Marked;
///
/// impl TokenIssuer for Marked {
///     async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
///         let token = AccessToken::generate(&RandomSource::default())?;
///         // … keep `claims` where the API in front of which the token is checked can find them …
///         Ok(AccessToken::new(format!("acme_{}", token.expose()))?)
///     }
/// }
///
/// /// They are checked by the API alone: nothing on this server opens to them.
/// impl TokenVerifier for Marked {
///     async fn verify(&self, _: &str, _: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
///         Ok(None)
///     }
/// }
/// ```
pub trait TokenIssuer: Send + Sync {
    /// Issues a token that says `claims`.
    ///
    /// Called once for each request that has passed every check, with claims that were made from it. The token must be
    /// impossible to guess or to forge, and must not outlive [`Claims::expires_at`]: the client is told so, and nothing
    /// else ends it. Whatever is needed to check it later must be safe before this returns, since the client gets it next.
    ///
    /// # Errors
    /// When no token could be made. The client gets 503 and may try again, which makes another one.
    fn issue(&self, claims: &Claims) -> impl Future<Output = Result<AccessToken, BackendError>> + Send;

    /// The public keys that whoever checks the tokens of this issuer needs at `now`, for
    /// [`handle_jwks_request`](crate::handle_jwks_request) to publish.
    ///
    /// The one that signs has to be among them, the next one, since a copy of the list may be kept for a while, and those that
    /// have signed tokens which are still good. Unless implemented, there are none: for tokens that nobody else can check.
    fn public_jwks(&self, now: OffsetDateTime) -> Vec<PublicJwk> {
        let _ = now;
        Vec::new()
    }

    /// What the audit calls a token that this issuer has just made, if it is to know of each
    /// ([`with_issued_tokens_audited`]): by the same name it tells later that the token was revoked.
    ///
    /// That is the hash of the token, unless implemented; and the hash of the [`jti`](Claims::jti) where the [`TokenVerifier`]
    /// sets one.
    ///
    /// [`with_issued_tokens_audited`]: crate::AuthorizationServer::with_issued_tokens_audited
    fn token_id(&self, token: &AccessToken) -> TokenHash {
        token.hash()
    }
}

/// Checks the tokens that a [`TokenIssuer`] has made.
///
/// An issuer whose tokens are checked elsewhere only, so that nothing on this server is ever reached with one, answers
/// `Ok(None)`. Whoever has a bearer token to check calls [`AuthorizationServer::check_token`], which asks this and more.
///
/// [`AuthorizationServer::check_token`]: crate::AuthorizationServer::check_token
pub trait TokenVerifier: Send + Sync {
    /// What `token` says, if this server issued it and it counts at `now`.
    ///
    /// Called with whatever a stranger presents as a bearer token. `None` stands for a token that is unknown, forged, expired
    /// or revoked, and whoever presents it learns no more than that. What is returned opens doors: an answer that is too old
    /// lets a revoked token pass.
    ///
    /// # Errors
    /// When it cannot be told. The caller gets 503, and nothing is opened.
    fn verify(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<Option<Claims>, BackendError>> + Send;
}

/// Passes every call of the traits on to what a pointer points to.
macro_rules! through_pointer {
    ($pointer:ty) => {
        impl<T: TokenIssuer + ?Sized> TokenIssuer for $pointer {
            async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
                (**self).issue(claims).await
            }

            fn public_jwks(&self, now: OffsetDateTime) -> Vec<PublicJwk> {
                (**self).public_jwks(now)
            }

            fn token_id(&self, token: &AccessToken) -> TokenHash {
                (**self).token_id(token)
            }
        }

        impl<T: TokenVerifier + ?Sized> TokenVerifier for $pointer {
            async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
                (**self).verify(token, now).await
            }
        }
    };
}

through_pointer!(&T);
through_pointer!(Arc<T>);

/// A [`TokenIssuer`] that is chosen at run time, with its [`TokenVerifier`]. A clone shares it.
#[derive(Clone)]
pub struct AnyTokenIssuer(Arc<dyn ErasedTokenIssuer>);

impl AnyTokenIssuer {
    /// Hides the type of an issuer.
    pub fn new(issuer: impl TokenIssuer + TokenVerifier + 'static) -> Self {
        Self(Arc::new(issuer))
    }
}

impl fmt::Debug for AnyTokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyTokenIssuer")
    }
}

impl TokenIssuer for AnyTokenIssuer {
    async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        self.0.issue(claims).await
    }

    fn public_jwks(&self, now: OffsetDateTime) -> Vec<PublicJwk> {
        self.0.public_jwks(now)
    }

    fn token_id(&self, token: &AccessToken) -> TokenHash {
        self.0.token_id(token)
    }
}

impl TokenVerifier for AnyTokenIssuer {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        self.0.verify(token, now).await
    }
}

trait ErasedTokenIssuer: Send + Sync {
    fn issue<'a>(&'a self, claims: &'a Claims) -> Answer<'a, AccessToken>;
    fn public_jwks(&self, now: OffsetDateTime) -> Vec<PublicJwk>;
    fn token_id(&self, token: &AccessToken) -> TokenHash;
    fn verify<'a>(&'a self, token: &'a str, now: OffsetDateTime) -> Answer<'a, Option<Claims>>;
}

impl<T: TokenIssuer + TokenVerifier> ErasedTokenIssuer for T {
    fn issue<'a>(&'a self, claims: &'a Claims) -> Answer<'a, AccessToken> {
        Box::pin(TokenIssuer::issue(self, claims))
    }

    fn public_jwks(&self, now: OffsetDateTime) -> Vec<PublicJwk> {
        TokenIssuer::public_jwks(self, now)
    }

    fn token_id(&self, token: &AccessToken) -> TokenHash {
        TokenIssuer::token_id(self, token)
    }

    fn verify<'a>(&'a self, token: &'a str, now: OffsetDateTime) -> Answer<'a, Option<Claims>> {
        Box::pin(TokenVerifier::verify(self, token, now))
    }
}
