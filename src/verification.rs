//! Verifications that are slow on purpose: they must not keep an executor from its work, and what they have found need not be
//! found again.

mod pool;
mod verified;

use std::{
    num::NonZeroUsize,
    sync::{Arc, OnceLock},
    thread::available_parallelism,
};

use crate::{Client, ClientSecretHash, Error, RandomSource};
use pool::Pool;
pub(crate) use verified::Tag;
use verified::Verified;

/// Shared by all clones of a server.
#[derive(Debug)]
pub(crate) struct Verification {
    /// `None` for half of the machine's cores.
    threads: Option<usize>,
    pool: OnceLock<Option<Pool>>,
    verified: Verified,
}

/// What was computed of a presented secret: the digest that it has with the salt of each of these hashes.
pub(crate) type Digests = Vec<(ClientSecretHash, [u8; 32])>;

/// Ten megabytes, where a client takes a kilobyte.
const VERIFIED: usize = 10_000;

impl Verification {
    pub(crate) fn new(threads: Option<usize>, verified: usize) -> Self {
        Self { threads, pool: OnceLock::new(), verified: Verified::new(verified) }
    }

    /// The same with that many threads, none of which is there before it is needed.
    pub(crate) fn with_threads(&self, threads: usize) -> Self {
        Self::new(Some(threads), self.verified.capacity())
    }

    /// The same with room for that many clients.
    pub(crate) fn with_verified(&self, clients: usize) -> Self {
        Self::new(self.threads, clients)
    }

    /// What stands for a presented secret here, for as long as this process lives.
    pub(crate) fn tag(&self, presented: &str, random: &RandomSource) -> Option<Tag> {
        self.verified.tag(presented, random)
    }

    /// What was computed when this client, as it is now, has proven itself by this secret before.
    pub(crate) fn known(&self, client: &Arc<Client>, tag: &Tag) -> Option<Digests> {
        self.verified.find(client, tag)
    }

    /// Keeps what was computed for a client that has proven itself.
    pub(crate) fn keep(&self, client: &Arc<Client>, tag: Tag, digests: Digests) {
        self.verified.keep(client, tag, digests);
    }

    /// Computes what the digests of a presented secret are, one after another, on the threads of the pool. `lane` is whose it is:
    /// lanes take turns.
    ///
    /// # Errors
    /// When too many are waiting.
    pub(crate) async fn compute(
        &self,
        slow: Vec<ClientSecretHash>,
        presented: &str,
        lane: &str,
    ) -> Result<Digests, Error> {
        let pool = self.pool.get_or_init(|| {
            let half = || available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
            NonZeroUsize::new(self.threads.unwrap_or_else(half)).map(Pool::new)
        });
        let mut digests = Vec::with_capacity(slow.len());
        for hash in slow {
            let digest = match pool {
                Some(pool) => pool.compute(&hash, presented, lane)?.await?,
                None => hash.digest_of(presented),
            };
            digests.push((hash, digest));
        }
        Ok(digests)
    }
}

impl Default for Verification {
    fn default() -> Self {
        Self::new(None, VERIFIED)
    }
}
