use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, RwLock},
};

use time::OffsetDateTime;

use super::{
    super::{ClientRegistry, ClientStore, Registered, Updated, Version, registry::forgotten_uses},
    FORGOTTEN_AT_ONCE, MemoryStore, Shards, lock, read, write,
};
use crate::{BackendError, Client, ClientId, Resources, Role, RoleId, TenantName};

/// Clients with their roles resolved, so that a look-up copies nothing; a change of a role goes through its clients.
#[derive(Default)]
pub(super) struct Clients {
    /// Shared out by the sum of the identifier's bytes. Which lock a look-up takes is all that hangs on it, so it need not be a
    /// hash that nobody can choose: clients that all share one lock are found as surely.
    by_id: Shards<RwLock<ById>>,
    /// Taken before any of the others, and kept until all are written, by whatever changes a client or looks at more than one.
    defined: RwLock<Defined>,
}

type ById = HashMap<ClientId, (Arc<Client>, Version)>;

/// What there is beside the clients.
#[derive(Default)]
struct Defined {
    roles: BTreeMap<RoleId, Resources>,
    tenants: BTreeSet<TenantName>,
    /// The number of the last version that was given.
    last_version: u64,
}

impl Defined {
    fn resolve(&self, client: Client) -> Arc<Client> {
        Arc::new(client.with_roles_resolved(|id| self.roles.get(id).cloned()))
    }
}

impl Clients {
    pub(super) fn insert(&self, client: Client) {
        let mut defined = write(&self.defined);
        for role in client.roles() {
            self.define_in(&mut defined, role);
        }
        self.put(&mut defined, client);
    }

    pub(super) fn define(&self, role: &Role) {
        self.define_in(&mut write(&self.defined), role);
    }

    pub(super) fn define_tenant(&self, tenant: TenantName) {
        write(&self.defined).tenants.insert(tenant);
    }

    fn shard(&self, client_id: &str) -> &RwLock<ById> {
        self.by_id.of(client_id.bytes().fold(0, u8::wrapping_add))
    }

    fn put(&self, defined: &mut Defined, client: Client) -> Version {
        defined.last_version += 1;
        let version = Version::new(defined.last_version);
        defined.tenants.extend(client.tenants().iter().cloned());
        let client = defined.resolve(client);
        write(self.shard(client.client_id().as_str())).insert(client.client_id().clone(), (client, version));
        version
    }

    fn define_in(&self, defined: &mut Defined, role: &Role) {
        // The superuser's is built in, and is what it is without a definition.
        if role.id().as_str() != Role::SUPERUSER_ID && defined.roles.get(role.id()) != Some(role.resources()) {
            defined.roles.insert(role.id().clone(), role.resources().clone());
            self.resolve(defined, role.id());
        }
    }

    /// Brings the clients that hold a role up to date with its definition.
    fn resolve(&self, defined: &Defined, id: &RoleId) {
        for shard in self.by_id.iter() {
            for (client, _) in write(shard).values_mut() {
                if client.roles().iter().any(|role| role.id() == id) {
                    *client = defined.resolve(Client::clone(client));
                }
            }
        }
    }
}

impl ClientStore for MemoryStore {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        Ok(read(self.0.clients.shard(client_id)).get(client_id).map(|(client, _)| client.clone()))
    }

    async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
        let defined = read(&self.0.clients.defined);
        Ok(tenants.iter().filter(|tenant| defined.tenants.contains(*tenant)).cloned().collect())
    }
}

impl ClientRegistry for MemoryStore {
    async fn register(&self, client: Client) -> Result<Registered, BackendError> {
        let clients = &self.0.clients;
        let mut defined = write(&clients.defined);
        if read(clients.shard(client.client_id().as_str())).contains_key(client.client_id()) {
            return Ok(Registered::Exists);
        }
        Ok(Registered::New(clients.put(&mut defined, client)))
    }

    async fn read(&self, client_id: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
        let shard = read(self.0.clients.shard(client_id.as_str()));
        Ok(shard.get(client_id).map(|(client, version)| (Client::clone(client), *version)))
    }

    async fn update(&self, client: Client, version: Version) -> Result<Updated, BackendError> {
        let clients = &self.0.clients;
        let mut defined = write(&clients.defined);
        let current =
            read(clients.shard(client.client_id().as_str())).get(client.client_id()).map(|(_, current)| *current);
        match current {
            None => Ok(Updated::Unknown),
            Some(current) if current != version => Ok(Updated::Stale),
            Some(_) => Ok(Updated::Done(clients.put(&mut defined, client))),
        }
    }

    async fn delete(&self, client_id: &ClientId) -> Result<bool, BackendError> {
        // Between what an update looks at and what it writes there is no deletion, or the client would come back.
        let _defined = write(&self.0.clients.defined);
        Ok(write(self.0.clients.shard(client_id.as_str())).remove(client_id).is_some())
    }

    async fn list_clients(&self, filter: &str, skip: usize, most: usize) -> Result<(Vec<Client>, usize), BackendError> {
        let _defined = read(&self.0.clients.defined);
        let named = |client: &Client| {
            client.client_id().as_str().contains(filter)
                || client.client_name().is_some_and(|name| name.contains(filter))
        };
        let mut found = Vec::new();
        for shard in self.0.clients.by_id.iter() {
            found.extend(read(shard).values().map(|(client, _)| client).filter(|client| named(client)).cloned());
        }
        found.sort_by(|a, b| a.client_id().cmp(b.client_id()));
        let count = found.len();
        Ok((found.into_iter().skip(skip).take(most).map(Arc::unwrap_or_clone).collect(), count))
    }

    async fn define_tenant(&self, tenant: TenantName) -> Result<(), BackendError> {
        self.insert_tenant(tenant);
        Ok(())
    }

    async fn define_role(&self, role: Role) -> Result<(), BackendError> {
        self.insert_role(&role);
        Ok(())
    }

    async fn delete_role(&self, id: &RoleId) -> Result<bool, BackendError> {
        let clients = &self.0.clients;
        let mut defined = write(&clients.defined);
        let existed = defined.roles.remove(id).is_some();
        clients.resolve(&defined, id);
        Ok(existed)
    }

    async fn list_roles(&self, tenant: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
        let defined = read(&self.0.clients.defined);
        let listed = defined.roles.iter().filter(|(id, _)| id.tenant() == tenant.map(TenantName::as_str));
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
