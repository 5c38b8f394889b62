use std::{fmt, sync::Arc};

use time::OffsetDateTime;

use super::{
    super::{ErasedClientStore, client_store_through},
    ClientRegistry, ClientStore, Registered, Updated, Version, client_registry_through,
};
use crate::{BackendError, Client, ClientId, Role, RoleId, TenantName, error::Answer};

/// A [`ClientRegistry`] that is chosen at run time. A clone shares it.
#[derive(Clone)]
pub struct AnyClientRegistry(Arc<dyn ErasedClientRegistry>);

impl AnyClientRegistry {
    /// Hides the type of a registry.
    pub fn new(registry: impl ClientRegistry + 'static) -> Self {
        Self(Arc::new(registry))
    }
}

impl fmt::Debug for AnyClientRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyClientRegistry")
    }
}

client_store_through!([] AnyClientRegistry, |any| any.0);
client_registry_through!([] AnyClientRegistry, |any| any.0);

trait ErasedClientRegistry: ErasedClientStore {
    fn register(&self, client: Client) -> Answer<'_, Registered>;
    fn read<'a>(&'a self, client_id: &'a ClientId) -> Answer<'a, Option<(Client, Version)>>;
    fn update(&self, client: Client, version: Version) -> Answer<'_, Updated>;
    fn delete<'a>(&'a self, client_id: &'a ClientId) -> Answer<'a, bool>;
    fn list_clients<'a>(&'a self, filter: &'a str, skip: usize, most: usize) -> Answer<'a, (Vec<Client>, usize)>;
    fn define_tenant(&self, tenant: TenantName) -> Answer<'_, ()>;
    fn define_role(&self, role: Role) -> Answer<'_, ()>;
    fn delete_role<'a>(&'a self, id: &'a RoleId) -> Answer<'a, bool>;
    fn list_roles<'a>(&'a self, tenant: Option<&'a TenantName>) -> Answer<'a, Vec<Role>>;
    fn record_uses<'a>(&'a self, uses: &'a [(String, OffsetDateTime)]) -> Answer<'a, ()>;
    fn last_uses<'a>(&'a self, ids: &'a [String]) -> Answer<'a, Vec<Option<OffsetDateTime>>>;
}

impl<S: ClientRegistry> ErasedClientRegistry for S {
    fn register(&self, client: Client) -> Answer<'_, Registered> {
        Box::pin(ClientRegistry::register(self, client))
    }

    fn read<'a>(&'a self, client_id: &'a ClientId) -> Answer<'a, Option<(Client, Version)>> {
        Box::pin(ClientRegistry::read(self, client_id))
    }

    fn update(&self, client: Client, version: Version) -> Answer<'_, Updated> {
        Box::pin(ClientRegistry::update(self, client, version))
    }

    fn delete<'a>(&'a self, client_id: &'a ClientId) -> Answer<'a, bool> {
        Box::pin(ClientRegistry::delete(self, client_id))
    }

    fn list_clients<'a>(&'a self, filter: &'a str, skip: usize, most: usize) -> Answer<'a, (Vec<Client>, usize)> {
        Box::pin(ClientRegistry::list_clients(self, filter, skip, most))
    }

    fn define_tenant(&self, tenant: TenantName) -> Answer<'_, ()> {
        Box::pin(ClientRegistry::define_tenant(self, tenant))
    }

    fn define_role(&self, role: Role) -> Answer<'_, ()> {
        Box::pin(ClientRegistry::define_role(self, role))
    }

    fn delete_role<'a>(&'a self, id: &'a RoleId) -> Answer<'a, bool> {
        Box::pin(ClientRegistry::delete_role(self, id))
    }

    fn list_roles<'a>(&'a self, tenant: Option<&'a TenantName>) -> Answer<'a, Vec<Role>> {
        Box::pin(ClientRegistry::list_roles(self, tenant))
    }

    fn record_uses<'a>(&'a self, uses: &'a [(String, OffsetDateTime)]) -> Answer<'a, ()> {
        Box::pin(ClientRegistry::record_uses(self, uses))
    }

    fn last_uses<'a>(&'a self, ids: &'a [String]) -> Answer<'a, Vec<Option<OffsetDateTime>>> {
        Box::pin(ClientRegistry::last_uses(self, ids))
    }
}
