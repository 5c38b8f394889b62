mod any;

use std::{future::Future, sync::Arc};

pub use any::AnyClientRegistry;

use time::{Duration, OffsetDateTime};

use super::ClientStore;
use crate::{BackendError, Client, ClientBuilder, ClientId, ClientSecretHash, Role, RoleId, TenantName};

/// Writes what a [`ClientStore`] reads: clients, and the definitions of roles.
///
/// A client is kept with the *ids* of its roles; what they give is what their definitions say at the time of reading, and
/// [`Client::with_roles_resolved`] puts the two together. A write that has returned is there for the next look-up on the same
/// instance; on another one it may take as long as the store says, and until then a deleted client mints.
///
/// ```
/// use std::{collections::{BTreeMap, BTreeSet}, sync::{Arc, Mutex}};
/// use client_credentials::{
///     BackendError, Client, ClientId, ClientRegistry, ClientStore, Registered, Role, RoleId, TenantName, Updated, Version,
/// };
///
/// #[derive(Default)]
/// struct MyClients(Mutex<Kept>);
///
/// #[derive(Default)]
/// struct Kept {
///     clients: BTreeMap<ClientId, (Client, Version)>,
///     roles: BTreeMap<RoleId, Role>,
///     tenants: BTreeSet<TenantName>,
///     versions: u64,
/// }
///
/// impl Kept {
///     fn put(&mut self, client: Client) -> Version {
///         self.versions += 1;
///         self.tenants.extend(client.tenants().iter().cloned());
///         self.clients.insert(client.client_id().clone(), (client, Version::new(self.versions)));
///         Version::new(self.versions)
///     }
///     fn resolved(&self, client: &Client) -> Client {
///         client.clone().with_roles_resolved(|id| self.roles.get(id).map(|role| role.resources().clone()))
///     }
/// }
///
/// impl ClientStore for MyClients {
///     async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
///         let kept = self.0.lock().unwrap();
///         Ok(kept.clients.get(client_id).map(|(client, _)| Arc::new(kept.resolved(client))))
///     }
///     async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
///         let kept = self.0.lock().unwrap();
///         Ok(tenants.iter().filter(|tenant| kept.tenants.contains(*tenant)).cloned().collect())
///     }
/// }
///
/// impl ClientRegistry for MyClients {
///     async fn register(&self, client: Client) -> Result<Registered, BackendError> {
///         let mut kept = self.0.lock().unwrap();
///         let exists = kept.clients.contains_key(client.client_id());
///         Ok(if exists { Registered::Exists } else { Registered::New(kept.put(client)) })
///     }
///     async fn read(&self, client_id: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
///         let kept = self.0.lock().unwrap();
///         Ok(kept.clients.get(client_id).map(|(client, version)| (kept.resolved(client), *version)))
///     }
///     async fn update(&self, client: Client, version: Version) -> Result<Updated, BackendError> {
///         let mut kept = self.0.lock().unwrap();
///         Ok(match kept.clients.get(client.client_id()) {
///             None => Updated::Unknown,
///             Some((_, current)) if *current != version => Updated::Stale,
///             Some(_) => Updated::Done(kept.put(client)),
///         })
///     }
///     async fn delete(&self, client_id: &ClientId) -> Result<bool, BackendError> {
///         Ok(self.0.lock().unwrap().clients.remove(client_id).is_some())
///     }
///     async fn list_clients(&self, filter: &str, skip: usize, most: usize) -> Result<(Vec<Client>, usize), BackendError> {
///         let kept = self.0.lock().unwrap();
///         let found = kept.clients.values().map(|(client, _)| client).filter(|client| {
///             client.client_id().as_str().contains(filter) || client.client_name().is_some_and(|name| name.contains(filter))
///         });
///         Ok((found.clone().skip(skip).take(most).map(|client| kept.resolved(client)).collect(), found.count()))
///     }
///     async fn define_tenant(&self, tenant: TenantName) -> Result<(), BackendError> {
///         self.0.lock().unwrap().tenants.insert(tenant);
///         Ok(())
///     }
///     async fn define_role(&self, role: Role) -> Result<(), BackendError> {
///         self.0.lock().unwrap().roles.insert(role.id().clone(), role);
///         Ok(())
///     }
///     async fn delete_role(&self, id: &RoleId) -> Result<bool, BackendError> {
///         Ok(self.0.lock().unwrap().roles.remove(id).is_some())
///     }
///     async fn list_roles(&self, tenant: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
///         let kept = self.0.lock().unwrap();
///         let roles = kept.roles.values().filter(|role| role.id().tenant() == tenant.map(TenantName::as_str));
///         Ok(roles.cloned().collect())
///     }
/// }
///
/// // With the feature `test-util` one call holds it against all of this contract:
/// # #[cfg(feature = "test-util")]
/// client_credentials::conformance::client_registry(async || MyClients::default());
/// ```
pub trait ClientRegistry: ClientStore {
    /// Puts a new client in. Of several at once with one identifier, exactly one is [`Registered::New`]: registering over a
    /// client hands its tenants and roles to whoever holds the new secret.
    ///
    /// # Errors
    /// When it may or may not be there. Whoever registers asks again, and may then get [`Registered::Exists`].
    fn register(&self, client: Client) -> impl Future<Output = Result<Registered, BackendError>> + Send;

    /// The client with this identifier as it is now, and the version to [`update`](Self::update) it by.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn read(
        &self,
        client_id: &ClientId,
    ) -> impl Future<Output = Result<Option<(Client, Version)>, BackendError>> + Send;

    /// Puts `client` in place of the one with its identifier, if that is still of the version that was read.
    ///
    /// Of several at once from one version, exactly one is [`Updated::Done`]: each of the others would undo a change that it
    /// has not seen, such as a role that was just taken away. Resources in the client's roles are not kept, only their ids.
    ///
    /// # Errors
    /// When it may or may not have been written.
    fn update(&self, client: Client, version: Version) -> impl Future<Output = Result<Updated, BackendError>> + Send;

    /// Removes a client. Whether this call removed it: of several at once exactly one says `true`.
    ///
    /// # Errors
    /// When the client may still be there.
    fn delete(&self, client_id: &ClientId) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// The clients whose identifier or name contains `filter`, by identifier, from the `skip`th on and `most` at most; and
    /// how many there are in all. Called for an administrator.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn list_clients(
        &self,
        filter: &str,
        skip: usize,
        most: usize,
    ) -> impl Future<Output = Result<(Vec<Client>, usize), BackendError>> + Send;

    /// Makes a tenant exist, so that a client with [`TENANT_ACCESS`](crate::TENANT_ACCESS) can ask for it. A tenant that is
    /// assigned to a client exists from then on without this call.
    ///
    /// # Errors
    /// When it may or may not exist now.
    fn define_tenant(&self, tenant: TenantName) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Defines a role, in place of its former definition. Every client that holds it has the new resources from now on. Never
    /// called for [`Role::superuser`], which is built in.
    ///
    /// # Errors
    /// When it may or may not have been written.
    fn define_role(&self, role: Role) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Removes the definition of a role, and says whether there was one. Clients keep the role, and it grants them nothing;
    /// that must hold as soon as this has returned.
    ///
    /// # Errors
    /// When it may still be defined.
    fn delete_role(&self, id: &RoleId) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// The definitions of the roles of a tenant, or of the global ones, by id; [`Role::superuser`] is not among them.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn list_roles(&self, tenant: Option<&TenantName>) -> impl Future<Output = Result<Vec<Role>, BackendError>> + Send;

    /// Keeps for each id when it was last used: of a secret [`StoredSecret::id`](crate::StoredSecret::id), of an API key
    /// [`TokenHash::to_text`](crate::TokenHash::to_text). A fraction of a second may be dropped.
    ///
    /// Called now and then with what was used since, never in the middle of a token request; the same id may be there
    /// several times. Where a later time is kept already, that stays: instances record what each of them has seen, in any
    /// order, and a date that goes back makes a secret look forgotten that somebody lives on. A call that is lost costs no
    /// more than an older date. Unless implemented, uses are forgotten.
    ///
    /// An id goes on being kept when what it names is gone. A store forgets it a year or more after its last use, as the
    /// stores here do in [`purge_expired`](crate::TokenStore::purge_expired).
    ///
    /// # Errors
    /// When some uses may not have been kept. Whoever recorded them may do so again.
    fn record_uses(&self, uses: &[(String, OffsetDateTime)]) -> impl Future<Output = Result<(), BackendError>> + Send {
        let _ = uses;
        async { Ok(()) }
    }

    /// When each of these was last used, one answer for each id in their order: `None` for what was never used, or not within
    /// about a year. Called for an administrator, who takes away what nobody uses: a wrong `None` locks a client out. Unless
    /// implemented, nothing is known of any.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn last_uses(
        &self,
        ids: &[String],
    ) -> impl Future<Output = Result<Vec<Option<OffsetDateTime>>, BackendError>> + Send {
        let unknown = vec![None; ids.len()];
        async { Ok(unknown) }
    }

    /// Reads a client, changes it, and updates it, again if somebody else was faster. `false` when there is no such client.
    ///
    /// # Errors
    /// When the store fails, or `change` makes no valid client.
    fn change(
        &self,
        client_id: &ClientId,
        change: impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync,
    ) -> impl Future<Output = Result<bool, BackendError>> + Send {
        async move {
            while let Some((client, version)) = self.read(client_id).await? {
                match self.update(change(client.into_builder()).build()?, version).await? {
                    Updated::Done(_) => return Ok(true),
                    Updated::Unknown => return Ok(false),
                    Updated::Stale => {} // each time, some other change got through
                }
            }
            Ok(false)
        }
    }

    /// Replaces the secret; the old one ends with it. `false` when there is no such client.
    ///
    /// # Errors
    /// When the old secret may still count.
    fn replace_secret(
        &self,
        client_id: &ClientId,
        hash: ClientSecretHash,
        expires_at: Option<OffsetDateTime>,
    ) -> impl Future<Output = Result<bool, BackendError>> + Send {
        let replace =
            move |client: ClientBuilder| client.client_secret_hash(hash.clone()).client_secret_expires_at(expires_at);
        self.change(client_id, replace)
    }
}

/// How long a last use is kept.
const USES_KEPT: Duration = Duration::days(365);

/// Up to when a use is forgotten at `now`.
pub(super) const fn forgotten_uses(now: OffsetDateTime) -> OffsetDateTime {
    now.saturating_sub(USES_KEPT)
}

/// Which state of a client was read.
///
/// A registry gives each state of each client another one, and never one that it has given before: not after a client was
/// deleted and registered again either, since an update from before would then pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(u64);

impl Version {
    /// A version of this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are all the answers that the contract has")]
#[must_use = "the client is not registered when the identifier exists"]
pub enum Registered {
    /// The client is registered, in this version.
    New(Version),
    /// There is a client with this identifier, and nothing was changed.
    Exists,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "these are all the answers that the contract has")]
#[must_use = "nothing is written when the version is stale"]
pub enum Updated {
    /// It is written, in this version.
    Done(Version),
    /// The client has changed since it was read, and nothing was written.
    Stale,
    /// There is no such client.
    Unknown,
}

/// Implements the trait for what has a store in it, by passing every call on.
macro_rules! client_registry_through {
    ([$($generics:tt)*] $outer:ty, |$this:ident| $store:expr) => {
        impl<$($generics)*> ClientRegistry for $outer {
            async fn register(&self, client: Client) -> Result<Registered, BackendError> {
                let $this = self;
                $store.register(client).await
            }

            async fn read(&self, client_id: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
                let $this = self;
                $store.read(client_id).await
            }

            async fn update(&self, client: Client, version: Version) -> Result<Updated, BackendError> {
                let $this = self;
                $store.update(client, version).await
            }

            async fn delete(&self, client_id: &ClientId) -> Result<bool, BackendError> {
                let $this = self;
                $store.delete(client_id).await
            }

            async fn list_clients(
                &self,
                filter: &str,
                skip: usize,
                most: usize,
            ) -> Result<(Vec<Client>, usize), BackendError> {
                let $this = self;
                $store.list_clients(filter, skip, most).await
            }

            async fn define_tenant(&self, tenant: TenantName) -> Result<(), BackendError> {
                let $this = self;
                $store.define_tenant(tenant).await
            }

            async fn define_role(&self, role: Role) -> Result<(), BackendError> {
                let $this = self;
                $store.define_role(role).await
            }

            async fn delete_role(&self, id: &RoleId) -> Result<bool, BackendError> {
                let $this = self;
                $store.delete_role(id).await
            }

            async fn list_roles(&self, tenant: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
                let $this = self;
                $store.list_roles(tenant).await
            }

            async fn record_uses(&self, uses: &[(String, OffsetDateTime)]) -> Result<(), BackendError> {
                let $this = self;
                $store.record_uses(uses).await
            }

            async fn last_uses(&self, ids: &[String]) -> Result<Vec<Option<OffsetDateTime>>, BackendError> {
                let $this = self;
                $store.last_uses(ids).await
            }
        }
    };
}

client_registry_through!([S: ClientRegistry + ?Sized] &S, |pointer| **pointer);
client_registry_through!([S: ClientRegistry + ?Sized] Arc<S>, |pointer| **pointer);

pub(super) use client_registry_through;
