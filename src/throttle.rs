//! Slowing down who guesses at secrets.

mod attempt;
mod pairs;
mod unauthenticated;

use std::fmt;

use crate::{AnyCounterStore, Config, CounterStore, FailureLimit, MemoryCounters, store::CAPACITY};
pub(crate) use attempt::Ticket;
use pairs::Pairs;

/// Counts failed client authentications, and makes whoever fails too often wait (RFC 6749 §2.3.1, §10.10); the host gives it to
/// [`AuthorizationServer::with_throttle`](crate::AuthorizationServer::with_throttle).
///
/// Failures are counted by the client identifier, whether there is such a client or not, and by the
/// [source](crate::Request::source), an IPv6 one by its /64. The limits are
/// [`max_failures_per_client`](Config::max_failures_per_client) and
/// [`max_failures_per_source`](Config::max_failures_per_source) within a [`failure_window`](Config::failure_window). The
/// failure that reaches one, and each one after it, begins a wait: of a second, of two, of four, up to
/// [`max_retry_after`](Config::max_retry_after). During the wait all that come are answered with 429 and `Retry-After`, unverified
/// and without a look-up. These do not count, so nobody makes its own wait longer by asking again. For every quiet window after
/// the wait, the next one is half as long.
///
/// What is refused before anybody can authenticate, since it has no credentials or is malformed, counts for its source.
///
/// An attempt counts as a failure until it has succeeded, so guesses at the same time are no more than
/// those one after the other. One that a store or the server failed in is taken back, but
/// not one whose source has as many slow secrets verified as one may have; one whose caller went away stays
/// counted for its window, if its client is not one that has the right secret or a slow one is being verified already.
///
/// # Who has the right secret
///
/// Nobody is locked out by what others guess. A client that has authenticated from a source within the last
/// week is judged by what failed for this pair alone, as long as that is within the limit of a client; of its attempts eight
/// times as many may be under way at once. Who fails and so begins a client's wait waits twice as long as all
/// others do, whose longest wait is half of the maximum, so that the same one does not come first every time. Success does not make up for failures: else one good
/// client would let its source guess at all others.
///
/// This is remembered of 32 sources for each client, those that it came from last, and at each instance by itself, also where
/// failures are counted for all instances together.
///
/// Where the host names no source, nothing tells the client from who guesses at it: then anybody can make it wait.
///
/// # Memory
///
/// The table of counters and that of pairs have room for 65,536 keys each unless said, in 8 MB that are allocated with the
/// first attempt. What strangers invent goes into the same tables as what exists. Where they invent more than there is room
/// for, those with the fewest failures are forgotten first and those that have to wait last; to have one
/// forgotten that has failed once takes about as many invented ones as there is room for.
///
/// ```
/// use client_credentials::{AuthorizationServer, Config, MemoryStore, OpaqueIssuer, Throttle};
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default())
///     .with_throttle(Throttle::default());
/// ```
pub struct Throttle {
    counters: AnyCounterStore,
    pairs: Pairs,
}

impl Throttle {
    /// Counts in memory, for this instance alone, with room for about so many client identifiers and sources, and for as many
    /// pairs of them. Each takes 122 bytes in all.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let counters = AnyCounterStore::new(MemoryCounters::with_capacity(capacity));
        Self { counters, pairs: Pairs::new(capacity) }
    }

    /// Counts elsewhere, such as in Redis, for all instances together. Who has the right secret each of them still remembers
    /// by itself, so a client is new to an instance that has just started. While the counters fail, requests are answered with
    /// 503, but for those of clients that have authenticated at this instance from where they come from.
    ///
    /// ```no_run
    /// # #[cfg(feature = "redis")]
    /// # async fn example() -> Result<(), client_credentials::BackendError> {
    /// use client_credentials::{RedisStore, Throttle};
    ///
    /// let throttle = Throttle::with_counters(RedisStore::connect("redis://counters.internal").await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_counters(counters: impl CounterStore + 'static) -> Self {
        Self { counters: AnyCounterStore::new(counters), pairs: Pairs::new(CAPACITY) }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Throttle")
    }
}

/// The limits of a configuration; `None` where nothing is counted.
struct Limits {
    client: Option<FailureLimit>,
    source: Option<FailureLimit>,
}

impl Limits {
    fn of(config: &Config) -> Self {
        let (window, longest) = (config.failure_window(), config.max_retry_after());
        let limit = |most, longest| (most > 0).then(|| FailureLimit::new(most, window, longest));
        Self {
            client: limit(config.max_failures_per_client(), longest / 2),
            source: limit(config.max_failures_per_source(), longest),
        }
    }
}
