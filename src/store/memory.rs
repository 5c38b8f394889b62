//! Everything in memory, for tests, examples, and servers whose clients come from a file.

mod expiring;
mod tokens;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::ClientStore;
use crate::{BackendError, Client, ClientId, TenantName};
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

#[derive(Default)]
struct Clients {
    by_id: HashMap<ClientId, Arc<Client>>,
    tenants: BTreeSet<TenantName>,
}

impl MemoryStore {
    /// Puts a client in, in place of one with the same identifier. Its tenants exist from now on.
    pub fn insert_client(&self, client: Client) {
        let mut clients = self.0.clients.write().unwrap_or_else(PoisonError::into_inner);
        clients.tenants.extend(client.tenants().iter().cloned());
        clients.by_id.insert(client.client_id().clone(), Arc::new(client));
    }

    /// Makes a tenant exist, so that a client with [`TENANT_ACCESS`](crate::TENANT_ACCESS) can ask for it.
    pub fn insert_tenant(&self, tenant: TenantName) {
        self.0.clients.write().unwrap_or_else(PoisonError::into_inner).tenants.insert(tenant);
    }
}

impl ClientStore for MemoryStore {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        Ok(self.0.clients.read().unwrap_or_else(PoisonError::into_inner).by_id.get(client_id).cloned())
    }

    async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
        let clients = self.0.clients.read().unwrap_or_else(PoisonError::into_inner);
        Ok(tenants.iter().filter(|tenant| clients.tenants.contains(*tenant)).cloned().collect())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}
