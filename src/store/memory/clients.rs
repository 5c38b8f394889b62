use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use time::OffsetDateTime;

use super::{
    super::{ClientRegistry, ClientStore, Registered, Updated, Version, registry::forgotten_uses},
    FORGOTTEN_AT_ONCE, MemoryStore, lock,
};
use crate::{BackendError, Client, ClientId, Resources, Role, RoleId, TenantName};

/// Clients with their roles resolved, so that a look-up copies nothing; a change of a role goes through its clients.
#[derive(Default)]
pub(super) struct Clients {
    by_id: HashMap<ClientId, (Arc<Client>, Version)>,
    roles: BTreeMap<RoleId, Resources>,
    pub(super) tenants: BTreeSet<TenantName>,
    /// The number of the last version that was given.
    last_version: u64,
}

impl Clients {
    pub(super) fn insert(&mut self, client: Client) {
        for role in client.roles() {
            self.define(role);
        }
        self.put(client);
    }

    fn put(&mut self, client: Client) -> Version {
        self.last_version += 1;
        let version = Version::new(self.last_version);
        self.tenants.extend(client.tenants().iter().cloned());
        let client = client.with_roles_resolved(|id| self.roles.get(id).cloned());
        self.by_id.insert(client.client_id().clone(), (Arc::new(client), version));
        version
    }

    pub(super) fn define(&mut self, role: &Role) {
        // The superuser's is built in, and is what it is without a definition.
        if role.id().as_str() != Role::SUPERUSER_ID && self.roles.get(role.id()) != Some(role.resources()) {
            self.roles.insert(role.id().clone(), role.resources().clone());
            self.resolve(role.id());
        }
    }

    /// Brings the clients that hold a role up to date with its definition.
    fn resolve(&mut self, id: &RoleId) {
        for (client, _) in self.by_id.values_mut() {
            if client.roles().iter().any(|role| role.id() == id) {
                let resolved = Client::clone(client).with_roles_resolved(|id| self.roles.get(id).cloned());
                *client = Arc::new(resolved);
            }
        }
    }
}

impl ClientStore for MemoryStore {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        Ok(self.clients().by_id.get(client_id).map(|(client, _)| client.clone()))
    }

    async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
        let clients = self.clients();
        Ok(tenants.iter().filter(|tenant| clients.tenants.contains(*tenant)).cloned().collect())
    }
}

impl ClientRegistry for MemoryStore {
    async fn register(&self, client: Client) -> Result<Registered, BackendError> {
        let mut clients = self.clients_mut();
        if clients.by_id.contains_key(client.client_id()) {
            return Ok(Registered::Exists);
        }
        Ok(Registered::New(clients.put(client)))
    }

    async fn read(&self, client_id: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
        Ok(self.clients().by_id.get(client_id).map(|(client, version)| (Client::clone(client), *version)))
    }

    async fn update(&self, client: Client, version: Version) -> Result<Updated, BackendError> {
        let mut clients = self.clients_mut();
        match clients.by_id.get(client.client_id()) {
            None => Ok(Updated::Unknown),
            Some((_, current)) if *current != version => Ok(Updated::Stale),
            Some(_) => Ok(Updated::Done(clients.put(client))),
        }
    }

    async fn delete(&self, client_id: &ClientId) -> Result<bool, BackendError> {
        Ok(self.clients_mut().by_id.remove(client_id).is_some())
    }

    async fn list_clients(&self, filter: &str, skip: usize, most: usize) -> Result<(Vec<Client>, usize), BackendError> {
        let clients = self.clients();
        let named = |client: &Client| {
            client.client_id().as_str().contains(filter)
                || client.client_name().is_some_and(|name| name.contains(filter))
        };
        let mut found: Vec<_> =
            clients.by_id.values().map(|(client, _)| client).filter(|client| named(client)).collect();
        found.sort_by(|a, b| a.client_id().cmp(b.client_id()));
        let count = found.len();
        Ok((found.into_iter().skip(skip).take(most).map(|client| Client::clone(client)).collect(), count))
    }

    async fn define_tenant(&self, tenant: TenantName) -> Result<(), BackendError> {
        self.insert_tenant(tenant);
        Ok(())
    }

    async fn define_role(&self, role: Role) -> Result<(), BackendError> {
        self.clients_mut().define(&role);
        Ok(())
    }

    async fn delete_role(&self, id: &RoleId) -> Result<bool, BackendError> {
        let mut clients = self.clients_mut();
        let defined = clients.roles.remove(id).is_some();
        clients.resolve(id);
        Ok(defined)
    }

    async fn list_roles(&self, tenant: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
        let clients = self.clients();
        let listed = clients.roles.iter().filter(|(id, _)| id.tenant() == tenant.map(TenantName::as_str));
        Ok(listed.map(|(id, resources)| Role::from_parts(id.clone(), resources.clone())).collect())
    }

    async fn record_uses(&self, uses: &[(String, OffsetDateTime)]) -> Result<(), BackendError> {
        let mut kept = lock(&self.0.uses);
        for (id, at) in uses {
            kept.record(id, *at);
            kept.forget(forgotten_uses(*at), FORGOTTEN_AT_ONCE);
        }
        Ok(())
    }

    async fn last_uses(&self, ids: &[String]) -> Result<Vec<Option<OffsetDateTime>>, BackendError> {
        let kept = lock(&self.0.uses);
        Ok(ids.iter().map(|id| kept.last(id)).collect())
    }
}
