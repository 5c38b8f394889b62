use std::{any::Any, fmt, sync::Arc};

use time::OffsetDateTime;

use super::{Admitted, Attempt, CounterKey, CounterStore, FailureLimit, Taken};
use crate::{BackendError, MemoryCounters, error::Answer, observe};

/// A [`CounterStore`] that is chosen at run time. A clone shares it.
///
/// It stands in the way of each token, so what is in memory is called without an allocation. A
/// [`Throttle`](crate::Throttle) and [`Quotas`](crate::Quotas) have their counters in one of these, so that each call is timed here.
#[derive(Clone)]
pub struct AnyCounterStore(Chosen);

#[derive(Clone)]
enum Chosen {
    Memory(MemoryCounters),
    Other(Arc<dyn ErasedCounterStore>),
}

impl AnyCounterStore {
    /// Hides the type of a store.
    pub fn new(store: impl CounterStore + 'static) -> Self {
        let any: &dyn Any = &store;
        if let Some(memory) = any.downcast_ref::<MemoryCounters>() {
            return Self(Chosen::Memory(memory.clone()));
        }
        // Or each call would be timed twice.
        any.downcast_ref::<Self>().cloned().unwrap_or_else(|| Self(Chosen::Other(Arc::new(store))))
    }
}

impl fmt::Debug for AnyCounterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyCounterStore")
    }
}

impl CounterStore for AnyCounterStore {
    async fn attempt(
        &self,
        key: CounterKey<'_>,
        limit: &FailureLimit,
        now: OffsetDateTime,
    ) -> Result<Attempt, BackendError> {
        observe::Call::Attempt.begin().end(match &self.0 {
            Chosen::Memory(memory) => CounterStore::attempt(memory, key, limit, now).await,
            Chosen::Other(other) => other.attempt(key, limit, now).await,
        })
    }

    async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) -> Result<(), BackendError> {
        observe::Call::Forgive.begin().end(match &self.0 {
            Chosen::Memory(memory) => CounterStore::forgive(memory, key, admitted).await,
            Chosen::Other(other) => other.forgive(key, admitted).await,
        })
    }

    async fn take(
        &self,
        key: CounterKey<'_>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Result<Taken, BackendError> {
        observe::Call::Take.begin().end(match &self.0 {
            Chosen::Memory(memory) => CounterStore::take(memory, key, most, now, ends_at).await,
            Chosen::Other(other) => other.take(key, most, now, ends_at).await,
        })
    }

    async fn give_back(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> Result<(), BackendError> {
        observe::Call::GiveBack.begin().end(match &self.0 {
            Chosen::Memory(memory) => CounterStore::give_back(memory, key, ends_at).await,
            Chosen::Other(other) => other.give_back(key, ends_at).await,
        })
    }
}

trait ErasedCounterStore: Send + Sync {
    fn attempt<'a>(&'a self, key: CounterKey<'a>, limit: &'a FailureLimit, now: OffsetDateTime) -> Answer<'a, Attempt>;
    fn forgive<'a>(&'a self, key: CounterKey<'a>, admitted: &'a Admitted) -> Answer<'a, ()>;
    fn take<'a>(
        &'a self,
        key: CounterKey<'a>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Answer<'a, Taken>;
    fn give_back<'a>(&'a self, key: CounterKey<'a>, ends_at: OffsetDateTime) -> Answer<'a, ()>;
}

impl<S: CounterStore> ErasedCounterStore for S {
    fn attempt<'a>(&'a self, key: CounterKey<'a>, limit: &'a FailureLimit, now: OffsetDateTime) -> Answer<'a, Attempt> {
        Box::pin(CounterStore::attempt(self, key, limit, now))
    }

    fn forgive<'a>(&'a self, key: CounterKey<'a>, admitted: &'a Admitted) -> Answer<'a, ()> {
        Box::pin(CounterStore::forgive(self, key, admitted))
    }

    fn take<'a>(
        &'a self,
        key: CounterKey<'a>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Answer<'a, Taken> {
        Box::pin(CounterStore::take(self, key, most, now, ends_at))
    }

    fn give_back<'a>(&'a self, key: CounterKey<'a>, ends_at: OffsetDateTime) -> Answer<'a, ()> {
        Box::pin(CounterStore::give_back(self, key, ends_at))
    }
}
