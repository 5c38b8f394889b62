//! Everything in memory, for tests, examples, and servers whose clients come from a file.

mod clients;
mod expiring;
mod tokens;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{Client, Role, TenantName};
use clients::Clients;
use tokens::Tokens;

/// Clients, tenants and opaque tokens in memory: gone with the process. A clone shares them.
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

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}
