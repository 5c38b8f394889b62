use std::{future::Future, sync::Arc};

use time::OffsetDateTime;

use crate::BackendError;

/// Remembers what may count only once, such as the `jti` of a client assertion (RFC 7523 §3).
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use client_credentials::{BackendError, Claim, ReplayStore, time::OffsetDateTime};
///
/// #[derive(Default)]
/// struct MyClaims(Mutex<HashMap<String, OffsetDateTime>>);
///
/// impl ReplayStore for MyClaims {
///     async fn claim(&self, id: &str, now: OffsetDateTime, expires_at: OffsetDateTime) -> Result<Claim, BackendError> {
///         let mut claims = self.0.lock().unwrap();
///         claims.retain(|_, expires_at| *expires_at > now);
///         if claims.contains_key(id) {
///             return Ok(Claim::Replayed);
///         }
///         claims.insert(id.into(), expires_at);
///         Ok(Claim::First)
///     }
/// }
///
/// // With the feature `test-util` one call holds it against all of this contract:
/// # #[cfg(feature = "test-util")]
/// client_credentials::conformance::replay_store(async || MyClaims::default());
/// ```
pub trait ReplayStore: Send + Sync {
    /// Claims `id` until `expires_at`.
    ///
    /// Called once for each thing that may count only once, after all else about it is known to be right. Of all calls with
    /// one `id`, at the same time or one after the other and on any instance over the same data, exactly one is
    /// [`Claim::First`]: a second one lets whoever has overheard a request send it again. So does a claim that is forgotten
    /// before `expires_at`. From then on the id may be forgotten, since what it stands for has expired by itself.
    ///
    /// # Errors
    /// When the store cannot tell. What was to be claimed is then refused: an error must never stand for a first claim.
    fn claim(
        &self,
        id: &str,
        now: OffsetDateTime,
        expires_at: OffsetDateTime,
    ) -> impl Future<Output = Result<Claim, BackendError>> + Send;
}

/// Whether an id was claimed for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no third answer, and whoever asks must not be made to invent one"
)]
#[must_use = "a claim that nobody looks at stops no replay"]
pub enum Claim {
    /// Nobody had claimed it.
    First,
    /// Somebody had, and it has not expired.
    Replayed,
}

impl<S: ReplayStore + ?Sized> ReplayStore for &S {
    async fn claim(&self, id: &str, now: OffsetDateTime, expires_at: OffsetDateTime) -> Result<Claim, BackendError> {
        (**self).claim(id, now, expires_at).await
    }
}

impl<S: ReplayStore + ?Sized> ReplayStore for Arc<S> {
    async fn claim(&self, id: &str, now: OffsetDateTime, expires_at: OffsetDateTime) -> Result<Claim, BackendError> {
        (**self).claim(id, now, expires_at).await
    }
}
