//! Where tokens and secrets get their randomness.

use std::{fmt, sync::Arc};

use rand::{TryRng as _, rngs::SysRng};

use crate::BackendError;

/// Fills a slice with bytes that nobody can guess.
///
/// The default is the operating system's generator. A test that needs the same token twice makes its own with
/// [`RandomSource::from_fn`]; anything else that does so gives its tokens away.
#[derive(Clone)]
pub struct RandomSource(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) -> Result<(), BackendError> + Send + Sync;

impl RandomSource {
    /// Takes the bytes from `fill`, which must fill the whole slice or fail.
    pub fn from_fn(fill: impl Fn(&mut [u8]) -> Result<(), BackendError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// Fills `bytes` from this source.
    ///
    /// # Errors
    /// When the source cannot give them, which a token request answers with 503.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), BackendError> {
        (self.0)(bytes)
    }
}

impl Default for RandomSource {
    fn default() -> Self {
        Self::from_fn(|bytes| SysRng.try_fill_bytes(bytes).map_err(BackendError::new))
    }
}

impl fmt::Debug for RandomSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RandomSource")
    }
}
