//! Everything in memory, for tests, examples, and servers whose clients come from a file.

mod clients;
mod counters;
mod expiring;
mod tokens;
mod uses;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{Client, Role, TenantName};
use clients::Clients;
pub(crate) use counters::CAPACITY;
pub use counters::MemoryCounters;
use tokens::Tokens;
use uses::Uses;

/// Clients, tenants and opaque tokens in memory: gone with the process. A clone shares them. Counters in memory are
/// [`MemoryCounters`].
///
/// Gone as well is which tokens have been revoked. A JWT outlives the process if its key does, so one that was revoked counts
/// again after a restart, until it expires: where that matters, tokens are in another store, as [`Stores`](crate::Stores) allows.
///
/// ```
/// use client_credentials::{Client, MemoryStore};
///
/// let store = MemoryStore::default();
/// store.insert_client(Client::builder("billing").build()?);
/// # Ok::<(), client_credentials::ClientError>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    clients: Clients,
    tokens: Tokens,
    /// Apart from what a token request waits for.
    uses: Mutex<Uses>,
}

impl MemoryStore {
    /// Puts a client in, in place of one with the same identifier, and defines its roles as it has them. Its tenants exist
    /// from now on.
    pub fn insert_client(&self, client: Client) {
        self.0.clients.insert(client);
    }

    /// Defines a role, in place of its former definition.
    pub fn insert_role(&self, role: &Role) {
        self.0.clients.define(role);
    }

    /// Makes a tenant exist, so that a client with [`TENANT_ACCESS`](crate::TENANT_ACCESS) can ask for it.
    pub fn insert_tenant(&self, tenant: TenantName) {
        self.0.clients.define_tenant(tenant);
    }
}

/// How many entries whose time is over a write clears away: many more than come in, so that they are soon gone after a burst,
/// and few enough that no mint waits for it.
const FORGOTTEN_AT_ONCE: usize = 64;

/// How many locks what all mints need is shared out among, so that they seldom wait for one another.
const SHARDS: usize = 16;

/// What is shared out among locks.
#[derive(Default)]
struct Shards<T>([Apart<T>; SHARDS]);

/// On cache lines of its own (processors fetch two of 64 bytes at once): a lock is written to whenever it is taken, even to
/// read, and what lies beside it would go from one core to the other with it.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T> Shards<T> {
    /// The one for a byte, all of which should be about as frequent.
    fn of(&self, byte: u8) -> &T {
        let Self(shards @ [first, ..]) = self;
        // The index is always in range; to say so without an index that could panic takes another value.
        &shards.get(usize::from(byte) % SHARDS).unwrap_or(first).0
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Apart(shard)| shard)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}
