//! A verifier whose type is not known before run time.

use std::{fmt, sync::Arc};

use time::OffsetDateTime;

use super::TokenVerifier;
use crate::{BackendError, Claims, error::Answer};

/// A [`TokenVerifier`] that is chosen at run time. A clone shares it.
#[derive(Clone)]
pub struct AnyTokenVerifier(Arc<dyn ErasedTokenVerifier>);

impl AnyTokenVerifier {
    /// Hides the type of a verifier.
    pub fn new(verifier: impl TokenVerifier + 'static) -> Self {
        Self(Arc::new(verifier))
    }
}

impl fmt::Debug for AnyTokenVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyTokenVerifier")
    }
}

impl TokenVerifier for AnyTokenVerifier {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        self.0.verify(token, now).await
    }
}

trait ErasedTokenVerifier: Send + Sync {
    fn verify<'a>(&'a self, token: &'a str, now: OffsetDateTime) -> Answer<'a, Option<Claims>>;
}

impl<V: TokenVerifier> ErasedTokenVerifier for V {
    fn verify<'a>(&'a self, token: &'a str, now: OffsetDateTime) -> Answer<'a, Option<Claims>> {
        Box::pin(TokenVerifier::verify(self, token, now))
    }
}
