//! Opaque tokens: random, and worth nothing without the row that a store keeps.

use time::OffsetDateTime;

use super::{TokenIssuer, TokenVerifier};
use crate::{AccessToken, BackendError, Claims, RandomSource, TokenHash, TokenStore};

/// Issues 256 random bits and keeps what they stand for in a [`TokenStore`], under their hash only: who reads the store
/// learns no token.
#[derive(Clone, Debug)]
pub struct OpaqueIssuer<S> {
    tokens: S,
    random: RandomSource,
}

impl<S> OpaqueIssuer<S> {
    /// An issuer that keeps its tokens in `tokens`.
    #[must_use]
    pub fn new(tokens: S) -> Self {
        Self { tokens, random: RandomSource::seeded() }
    }

    /// Takes randomness from elsewhere than [`RandomSource::seeded`].
    #[must_use]
    pub fn with_random(self, random: RandomSource) -> Self {
        Self { random, ..self }
    }

    /// Where the tokens are kept.
    pub const fn tokens(&self) -> &S {
        &self.tokens
    }
}

impl<S: TokenStore> TokenIssuer for OpaqueIssuer<S> {
    async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        let token = AccessToken::generate(&self.random)?;
        self.tokens.insert(token.hash(), claims.clone()).await?;
        Ok(token)
    }
}

impl<S: TokenStore> TokenVerifier for OpaqueIssuer<S> {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        let claims = self.tokens.find(&TokenHash::of(token)).await?;
        Ok(claims.filter(|claims| now < claims.expires_at()))
    }
}
