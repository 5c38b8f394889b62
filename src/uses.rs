//! When secrets and API keys were last used, noted in memory so that no request has to wait for a write.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;

use crate::{StoredSecret, TokenHash};

/// What was used since it was last written down, by the digest that is kept of it.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// Shared out by the first byte of the digest, so that requests seldom wait for one another.
    shards: [Mutex<Noted>; 16],
}

/// An id and a time for each digest.
type Noted = HashMap<[u8; 32], (String, OffsetDateTime)>;

impl Uses {
    pub(crate) fn secret(&self, secret: &StoredSecret, at: OffsetDateTime) {
        self.note(secret.hash().digest(), at, || secret.id());
    }

    pub(crate) fn api_key(&self, hash: &TokenHash, at: OffsetDateTime) {
        self.note(hash.as_bytes(), at, || hash.to_text());
    }

    fn note(&self, digest: &[u8; 32], at: OffsetDateTime, id: impl FnOnce() -> String) {
        let ([first, ..], [shard, ..]) = (digest, &self.shards);
        // The index is always in range; to say so without an index that could panic takes another value.
        let mut noted = lock(self.shards.get(usize::from(first % 16)).unwrap_or(shard));
        match noted.get_mut(digest) {
            Some((_, last)) => *last = at.max(*last),
            None => drop(noted.insert(*digest, (id(), at))),
        }
    }

    /// All that is noted, to be written down.
    pub(crate) fn all(&self) -> Vec<(String, OffsetDateTime)> {
        self.shards.iter().flat_map(|shard| lock(shard).values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Forgets what was written down, but for what was used again since.
    pub(crate) fn forget(&self, written: Vec<(String, OffsetDateTime)>) {
        let written: HashMap<_, _> = written.into_iter().collect();
        for shard in &self.shards {
            lock(shard).retain(|_, (id, at)| written.get(id) != Some(at));
        }
    }

    /// The times that are noted of these and not written down yet.
    pub(crate) fn noted(&self, ids: &[String]) -> Vec<Option<OffsetDateTime>> {
        let asked: HashSet<_> = ids.iter().collect();
        let mut noted = HashMap::new();
        for shard in &self.shards {
            let shard = lock(shard);
            noted.extend(shard.values().filter(|(id, _)| asked.contains(id)).cloned());
        }
        ids.iter().map(|id| noted.get(id).copied()).collect()
    }
}

fn lock(shard: &Mutex<Noted>) -> MutexGuard<'_, Noted> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
