use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use quick_cache::sync::Cache;
use tokio::sync::OnceCell;

use crate::{BackendError, Client, ClientId};

/// What a store answers to a look-up.
pub(super) type Found = Result<Option<Arc<Client>>, BackendError>;

/// What a store has answered, and the look-ups that it has not answered yet.
///
/// Each answer is kept with the time at which its look-up began, since the store may have read it that early.
pub(super) struct Answers {
    pub(super) clock: fn() -> Instant,
    clients: Cache<Box<str>, (Arc<Client>, Instant)>,
    /// Apart from the clients, so that no flood of invented identifiers drives a client out.
    unknown: Cache<Box<str>, Instant>,
    /// Whoever changes the two above holds this lock: what a look-up found is kept only while it is still in here.
    under_way: Mutex<HashMap<Box<str>, UnderWay>>,
}

struct UnderWay {
    lookup: Arc<LookUp>,
    waiters: usize,
}

/// Done by the first that waits for it; if that one is dropped, by the next. All get what came of it, an error too.
type LookUp = OnceCell<(Found, Instant)>;

/// What there is to say to somebody who asks for a client.
pub(super) enum Asked<'a> {
    Kept(Option<Arc<Client>>),
    Waits(Waiter<'a>),
}

impl Answers {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            clock: Instant::now,
            clients: Cache::new(capacity),
            unknown: Cache::new(capacity),
            under_way: Mutex::default(),
        }
    }

    pub(super) fn ask<'a>(&'a self, client_id: &'a str, expiration: Duration) -> Asked<'a> {
        if let Some(kept) = self.kept(client_id, expiration) {
            return Asked::Kept(kept);
        }
        let mut under_way = self.under_way();
        // It may have come in while this waited for the lock.
        if let Some(kept) = self.kept(client_id, expiration) {
            return Asked::Kept(kept);
        }
        let new = || UnderWay { lookup: Arc::default(), waiters: 0 };
        let joined = under_way.entry(client_id.into()).or_insert_with(new);
        joined.waiters += 1;
        Asked::Waits(Waiter { answers: self, client_id, lookup: joined.lookup.clone() })
    }

    fn kept(&self, client_id: &str, expiration: Duration) -> Option<Option<Arc<Client>>> {
        let now = (self.clock)();
        let is_fresh = |began: Instant| now.saturating_duration_since(began) < expiration;
        // Both, whatever the first says, so that known and unknown take the same time.
        let (client, unknown) = (self.clients.get(client_id), self.unknown.get(client_id));
        match (client, unknown) {
            (Some((client, began)), _) if is_fresh(began) => Some(Some(client)),
            (_, Some(began)) if is_fresh(began) => Some(None),
            _ => None,
        }
    }

    fn keep(&self, client_id: Box<str>, found: Option<Arc<Client>>, began: Instant) {
        match found {
            Some(client) => {
                self.unknown.remove(&client_id);
                self.clients.insert(client_id, (client, began));
            }
            None => {
                self.clients.remove(&client_id);
                self.unknown.insert(client_id, began);
            }
        }
    }

    /// Forgets one client, or all, when the returned value is dropped. Then a write has returned, failed or been dropped, and
    /// in each of these cases it may have been done.
    pub(super) const fn forget_after<'a>(&'a self, client_id: Option<&'a ClientId>) -> Forget<'a> {
        Forget { answers: self, client_id }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Box<str>, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients and unknown identifiers are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize) {
        (self.clients.len(), self.unknown.len())
    }

    /// How many wait for each look-up that is under way.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> Vec<usize> {
        self.under_way().values().map(|under_way| under_way.waiters).collect()
    }
}

/// One of those who wait for a look-up.
pub(super) struct Waiter<'a> {
    answers: &'a Answers,
    client_id: &'a str,
    lookup: Arc<LookUp>,
}

impl Waiter<'_> {
    /// What the look-up finds, which `find` does unless another waiter does it.
    pub(super) async fn wait<F: Future<Output = Found>>(self, find: impl FnOnce() -> F) -> Found {
        let find = || async {
            let began = (self.answers.clock)();
            (find().await, began)
        };
        self.lookup.get_or_init(find).await.0.clone()
    }
}

impl Drop for Waiter<'_> {
    /// Keeps what was found, unless somebody else has, or a write came in between: then another look-up is there, or none.
    fn drop(&mut self) {
        let mut under_way = self.answers.under_way();
        let joined = under_way.get_mut(self.client_id);
        let Some(joined) = joined.filter(|joined| Arc::ptr_eq(&joined.lookup, &self.lookup)) else {
            return;
        };
        joined.waiters -= 1;
        let done = self.lookup.get();
        if (done.is_some() || joined.waiters == 0)
            && let Some((client_id, _)) = under_way.remove_entry(self.client_id)
            && let Some((Ok(found), began)) = done
        {
            self.answers.keep(client_id, found.clone(), *began);
        }
    }
}

/// See [`Answers::forget_after`].
#[must_use]
pub(super) struct Forget<'a> {
    answers: &'a Answers,
    client_id: Option<&'a ClientId>,
}

impl Drop for Forget<'_> {
    /// A look-up that is under way may have read what was there before: it is not kept, and nobody joins it any more.
    fn drop(&mut self) {
        let mut under_way = self.answers.under_way();
        if let Some(client_id) = self.client_id.map(ClientId::as_str) {
            under_way.remove(client_id);
            self.answers.clients.remove(client_id);
            self.answers.unknown.remove(client_id);
        } else {
            under_way.clear();
            self.answers.clients.clear();
            self.answers.unknown.clear();
        }
    }
}
