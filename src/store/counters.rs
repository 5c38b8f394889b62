mod any;
mod failures;

use std::{fmt, future::Future, net::IpAddr, sync::Arc};

use time::OffsetDateTime;

pub use any::AnyCounterStore;
pub use failures::{Admitted, Attempt, FailureLimit, Failures};

use crate::BackendError;

/// Counts what is limited: failed authentications, by which a [`Throttle`](crate::Throttle) slows guesses down, and the tokens
/// of [`Quotas`](crate::Quotas).
///
/// [`MemoryCounters`](crate::MemoryCounters) count for one instance, and the `RedisStore` of the feature `redis` for all together. Stores
/// of clients and tokens in memory, SQLite and PostgreSQL keep no counters: each attempt and each token would be one more write.
///
/// One that keeps texts, as a database does:
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use client_credentials::{
///     Admitted, Attempt, BackendError, CounterKey, CounterStore, FailureLimit, Failures, Taken, time::OffsetDateTime,
/// };
///
/// #[derive(Default)]
/// struct MyCounters {
///     /// Rows of a key, of when they can go, and of a text.
///     failures: Mutex<HashMap<String, (OffsetDateTime, String)>>,
///     /// How many there are, and how many there were at most.
///     taken: Mutex<HashMap<(String, OffsetDateTime), (u64, u64)>>,
/// }
///
/// impl CounterStore for MyCounters {
///     async fn attempt(&self, key: CounterKey<'_>, limit: &FailureLimit, now: OffsetDateTime) -> Result<Attempt, BackendError> {
///         // Nobody else reads or writes this key between these lines. In a database that takes a serializable transaction,
///         // tried again where it fails, or a lock for the key, such as `pg_advisory_xact_lock`: `SELECT … FOR UPDATE`
///         // locks no row that is not there yet.
///         let mut rows = self.failures.lock().unwrap();
///         // An index over the dates makes this cheap there.
///         rows.retain(|_, (stale_at, _)| *stale_at > now);
///         let mut failures = match rows.get(&key.to_string()) {
///             Some((_, text)) => serde_json::from_str(text).map_err(BackendError::new)?,
///             None => Failures::default(),
///         };
///         let attempt = failures.attempt(limit, now);
///         let text = serde_json::to_string(&failures).map_err(BackendError::new)?;
///         rows.insert(key.to_string(), (failures.stale_at(), text));
///         Ok(attempt)
///     }
///     async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) -> Result<(), BackendError> {
///         // What has gone already counts no more.
///         if let Some((_, text)) = self.failures.lock().unwrap().get_mut(&key.to_string()) {
///             let mut failures: Failures = serde_json::from_str(text).map_err(BackendError::new)?;
///             failures.forgive(admitted);
///             *text = serde_json::to_string(&failures).map_err(BackendError::new)?;
///         }
///         Ok(())
///     }
///     async fn take(&self, key: CounterKey<'_>, most: u64, now: OffsetDateTime, ends_at: OffsetDateTime) -> Result<Taken, BackendError> {
///         let mut taken = self.taken.lock().unwrap();
///         taken.retain(|(_, ends_at), _| *ends_at > now);
///         let (count, highest) = taken.entry((key.to_string(), ends_at)).or_default();
///         if *count >= most {
///             return Ok(Taken::UsedUp);
///         }
///         *count += 1;
///         let is_highest = *count > *highest;
///         *highest = (*highest).max(*count);
///         Ok(Taken::Granted { count: *count, is_highest })
///     }
///     async fn give_back(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> Result<(), BackendError> {
///         if let Some((count, _)) = self.taken.lock().unwrap().get_mut(&(key.to_string(), ends_at)) {
///             *count = count.saturating_sub(1);
///         }
///         Ok(())
///     }
/// }
///
/// // With the feature `test-util` one call holds it against all of this contract:
/// # #[cfg(feature = "test-util")]
/// client_credentials::conformance::counter_store(async || MyCounters::default());
/// ```
pub trait CounterStore: Send + Sync {
    /// Counts an attempt as a failure before it is made, unless it must not be made. [`Failures`] says how, and a store that
    /// keeps one for each key need do no more than load it, call [`Failures::attempt`], and write it back, all in one step. Where
    /// a script in a database counts instead, it makes the [`Admitted`] by [`Admitted::new`].
    ///
    /// Called before a client is looked up, so anybody can have a key for anything made: what is kept must not grow with it
    /// for ever, and may go from [`Failures::stale_at`] on. Of attempts at the same time no more than the limit are admitted,
    /// on all instances over the same data together: one that reads first and writes later lets a thousand guesses pass at once. A store that forgets a key too soon lets
    /// whoever guesses begin anew.
    ///
    /// # Errors
    /// When the store cannot tell. The request is then answered with 503, unless its client has authenticated from where it
    /// comes from lately.
    fn attempt(
        &self,
        key: CounterKey<'_>,
        limit: &FailureLimit,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<Attempt, BackendError>> + Send;

    /// Takes back an attempt that has not failed: what [`Failures::forgive`] does. Called at most once for each.
    ///
    /// # Errors
    /// When it may still count. Nobody is told; it goes with its window.
    fn forgive(
        &self,
        key: CounterKey<'_>,
        admitted: &Admitted,
    ) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Takes one of the `most` that there are for a key in the window that ends at `ends_at`, if one is left. What
    /// [`attempt`](Self::attempt) counts under the same key has nothing to do with it.
    ///
    /// Called for each token that a quota is for, with the keys of clients and tenants that exist. Of calls at the same
    /// time no more are granted than there are, and each of them has another count. From `ends_at` on the window may be
    /// forgotten; one for a window that is over already may count in the next.
    ///
    /// # Errors
    /// When the store cannot tell. The client then gets 503 and no token; one that was taken all the same does little harm.
    fn take(
        &self,
        key: CounterKey<'_>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> impl Future<Output = Result<Taken, BackendError>> + Send;

    /// Gives one back that was taken and not used. Called at most once for each; giving back to a window that is over does
    /// nothing.
    ///
    /// # Errors
    /// When it may still count as taken.
    fn give_back(
        &self,
        key: CounterKey<'_>,
        ends_at: OffsetDateTime,
    ) -> impl Future<Output = Result<(), BackendError>> + Send;
}

/// What is counted by. As a text no two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CounterKey<'a> {
    /// A client identifier. For attempts, it is what a stranger says it is, and need not be one that exists.
    Client(&'a str),
    /// Where requests come from.
    Source(IpAddr),
    /// A tenant.
    Tenant(&'a str),
}

impl fmt::Display for CounterKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(id) => write!(f, "client:{id}"),
            Self::Source(address) => write!(f, "source:{address}"),
            Self::Tenant(name) => write!(f, "tenant:{name}"),
        }
    }
}

/// Whether one was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
#[must_use = "a quota that nobody looks at limits nothing"]
pub enum Taken {
    /// One was, and is taken.
    Granted {
        /// How many of this window are taken, with this one.
        count: u64,
        /// Whether there were never so many in this window: not so where one was given back meanwhile.
        is_highest: bool,
    },
    /// None was.
    UsedUp,
}

/// Implements the trait for what has a store in it, by passing every call on.
macro_rules! counter_store_through {
    ([$($generics:tt)*] $outer:ty) => {
        impl<$($generics)*> CounterStore for $outer {
            async fn attempt(
                &self,
                key: CounterKey<'_>,
                limit: &FailureLimit,
                now: OffsetDateTime,
            ) -> Result<Attempt, BackendError> {
                (**self).attempt(key, limit, now).await
            }

            async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) -> Result<(), BackendError> {
                (**self).forgive(key, admitted).await
            }

            async fn take(
                &self,
                key: CounterKey<'_>,
                most: u64,
                now: OffsetDateTime,
                ends_at: OffsetDateTime,
            ) -> Result<Taken, BackendError> {
                (**self).take(key, most, now, ends_at).await
            }

            async fn give_back(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> Result<(), BackendError> {
                (**self).give_back(key, ends_at).await
            }
        }
    };
}

counter_store_through!([S: CounterStore + ?Sized] &S);
counter_store_through!([S: CounterStore + ?Sized] Arc<S>);
