use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard},
};

use time::OffsetDateTime;

use super::lock;
use crate::{
    Admitted, Attempt, BackendError, CounterKey, CounterStore, FailureLimit, Failures, Taken, clock::milliseconds,
    table::Table,
};

/// Counters in memory: gone with the process, and for one instance alone. A clone shares them.
///
/// Failures are counted for as many keys as there is room for, 65,536 unless said: 3.2 MB, which are allocated at the
/// first one. Where strangers invent more, those are forgotten first that have failed the fewest times, and last those
/// that have to wait. The tokens of a quota are counted in a map of the clients and tenants that have one.
#[derive(Clone)]
pub struct MemoryCounters(Arc<Shared>);

struct Shared {
    failures: Table<Failures>,
    /// Shared out by a hash of the key, so that mints seldom wait for one another.
    taken: [Mutex<Shard>; 16],
    hasher: RandomState,
}

/// Clients and tenants apart, so that neither has to be put together into a key.
#[derive(Default)]
struct Shard {
    clients: HashMap<Box<str>, Window>,
    others: HashMap<Box<str>, Window>,
    /// How many there may be before those whose windows are over are looked for.
    crowded_at: usize,
}

/// How many are taken in a window, and were at most.
struct Window {
    ends_at: OffsetDateTime,
    count: u64,
    highest: u64,
}

/// How many keys have room unless said.
pub(crate) const CAPACITY: usize = 65_536;

impl MemoryCounters {
    /// Counts failures for about so many keys, and for eight at least. Each takes 49 bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let (failures, taken) = (Table::new(capacity), Default::default());
        Self(Arc::new(Shared { failures, taken, hasher: RandomState::new() }))
    }

    fn shard(&self, key: CounterKey<'_>) -> MutexGuard<'_, Shard> {
        let [shard, ..] = &self.0.taken;
        let at = usize::try_from(self.0.hasher.hash_one(key) % 16).unwrap_or_default();
        // The index is always in range; to say so without an index that could panic takes another value.
        lock(self.0.taken.get(at).unwrap_or(shard))
    }
}

impl Default for MemoryCounters {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl fmt::Debug for MemoryCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryCounters")
    }
}

impl CounterStore for MemoryCounters {
    async fn attempt(
        &self,
        key: CounterKey<'_>,
        limit: &FailureLimit,
        now: OffsetDateTime,
    ) -> Result<Attempt, BackendError> {
        let now = milliseconds(now);
        Ok(self.0.failures.with(key, now, |failures| failures.attempt_at(limit, now)))
    }

    async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) -> Result<(), BackendError> {
        self.0.failures.find(key, |failures| failures.forgive(admitted));
        Ok(())
    }

    async fn take(
        &self,
        key: CounterKey<'_>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Result<Taken, BackendError> {
        Ok(self.shard(key).take(key, most, now, ends_at))
    }

    async fn give_back(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> Result<(), BackendError> {
        let mut shard = self.shard(key);
        let (windows, name) = shard.windows(key);
        if let Some(window) = windows.get_mut(name).filter(|window| window.ends_at == ends_at) {
            window.count = window.count.saturating_sub(1);
        }
        Ok(())
    }
}

impl Shard {
    fn take(&mut self, key: CounterKey<'_>, most: u64, now: OffsetDateTime, ends_at: OffsetDateTime) -> Taken {
        let (windows, name) = self.windows(key);
        let Some(window) = windows.get_mut(name) else {
            let mut window = Window { ends_at, count: 0, highest: 0 };
            let taken = window.take(most, ends_at);
            windows.insert(name.into(), window);
            self.forget(now);
            return taken;
        };
        window.take(most, ends_at)
    }

    fn windows<'k>(&mut self, key: CounterKey<'k>) -> (&mut HashMap<Box<str>, Window>, &'k str) {
        match key {
            CounterKey::Client(id) => (&mut self.clients, id),
            CounterKey::Tenant(name) => (&mut self.others, name),
            // Nothing is taken by where it comes from.
            CounterKey::Source(_) => (&mut self.others, ""),
        }
    }

    /// Forgets windows that are over, each time when there are twice as many as were left the last time.
    fn forget(&mut self, now: OffsetDateTime) {
        if self.clients.len() + self.others.len() > self.crowded_at.max(64) {
            self.clients.retain(|_, window| window.ends_at > now);
            self.others.retain(|_, window| window.ends_at > now);
            self.crowded_at = 2 * (self.clients.len() + self.others.len());
        }
    }
}

impl Window {
    fn take(&mut self, most: u64, ends_at: OffsetDateTime) -> Taken {
        // What came a moment before the window ended may be here after what came later.
        if ends_at > self.ends_at {
            *self = Self { ends_at, count: 0, highest: 0 };
        }
        if self.count >= most {
            return Taken::UsedUp;
        }
        self.count += 1;
        let is_highest = self.count > self.highest;
        self.highest = self.highest.max(self.count);
        Taken::Granted { count: self.count, is_highest }
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[tokio::test]
    async fn windows_that_are_over_are_forgotten() {
        let (counters, mut now) = (MemoryCounters::default(), OffsetDateTime::UNIX_EPOCH);
        for n in 0..100_000 {
            now += Duration::SECOND;
            let (client, ends_at) = (n.to_string(), now + Duration::MINUTE);
            let taken = counters.take(CounterKey::Client(&client), 1, now, ends_at).await.unwrap();
            assert_eq!(taken, Taken::Granted { count: 1, is_highest: true });
        }
        let kept: usize = counters.0.taken.iter().map(|shard| lock(shard).clients.len()).sum();
        assert!(kept <= 16 * 65, "{kept}");
    }
}
