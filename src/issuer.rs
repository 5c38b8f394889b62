//! What makes an access token.

mod jwt;
mod keys;
mod opaque;

use std::{fmt, future::Future, sync::Arc};

pub use jwt::JwtIssuer;
pub use keys::{KeyError, PublicJwk, SigningAlgorithm, SigningKey};
pub use opaque::OpaqueIssuer;

use crate::{AccessToken, BackendError, Claims, error::Answer};

/// Makes an access token (RFC 6749 §1.4) for a request that has been authorized.
///
/// ```
/// use client_credentials::{AccessToken, BackendError, Claims, RandomSource, TokenIssuer};
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
}

impl<T: TokenIssuer + ?Sized> TokenIssuer for &T {
    async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        (**self).issue(claims).await
    }
}

impl<T: TokenIssuer + ?Sized> TokenIssuer for Arc<T> {
    async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        (**self).issue(claims).await
    }
}

/// A [`TokenIssuer`] that is chosen at run time. A clone shares it.
#[derive(Clone)]
pub struct AnyTokenIssuer(Arc<dyn ErasedTokenIssuer>);

impl AnyTokenIssuer {
    /// Hides the type of an issuer.
    pub fn new(issuer: impl TokenIssuer + 'static) -> Self {
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
}

trait ErasedTokenIssuer: Send + Sync {
    fn issue<'a>(&'a self, claims: &'a Claims) -> Answer<'a, AccessToken>;
}

impl<T: TokenIssuer> ErasedTokenIssuer for T {
    fn issue<'a>(&'a self, claims: &'a Claims) -> Answer<'a, AccessToken> {
        Box::pin(TokenIssuer::issue(self, claims))
    }
}
