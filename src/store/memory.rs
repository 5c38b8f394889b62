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
    clients: RwLock<Clients>,
    tokens: Tokens,
    /// Apart from what a token request waits for.
    uses: Mutex<Uses>,
}

impl MemoryStore {
    /// Puts a client in, in place of one with the same identifier, and defines its roles as it has them. Its tenants exist
    /// from now on.
    pub fn insert_client(&self, client: Client) {
        self.clients_mut().insert(client);
    }

    /// Defines a role, in place of its former definition.
    pub fn insert_role(&self, role: &Role) {
        self.clients_mut().define(role);
    }

    /// Makes a tenant exist, so that a client with [`TENANT_ACCESS`](crate::TENANT_ACCESS) can ask for it.
    pub fn insert_tenant(&self, tenant: TenantName) {
        self.clients_mut().tenants.insert(tenant);
    }

    fn clients(&self) -> RwLockReadGuard<'_, Clients> {
        self.0.clients.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients_mut(&self) -> RwLockWriteGuard<'_, Clients> {
        self.0.clients.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many entries whose time is over a write clears away: many more than come in, so that they are soon gone after a burst,
/// and few enough that no mint waits for it.
const FORGOTTEN_AT_ONCE: usize = 64;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}
