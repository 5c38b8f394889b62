mod answers;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use time::OffsetDateTime;

use super::{ClientRegistry, ClientStore, Registered, TokenStore, Updated, Version, tokens::token_store_through};
use crate::{BackendError, Claims, Client, ClientId, Role, RoleId, TenantName, TokenHash, client::is_client_id};
use answers::{Answers, Asked};

/// The clients of another store, kept in memory for a while: a look-up waits for that store only now and then.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{Cached, Client, ClientRegistry, ClientStore, MemoryStore};
///
/// let database = MemoryStore::default(); // in place of one that takes longer
/// let clients = Cached::new(database.clone());
/// let _ = clients.register(Client::builder("billing").build()?).await?;
/// assert!(clients.find_client("billing").await?.is_some());
///
/// // Removed elsewhere, a client is there for 30 seconds more; removed here, it is gone at once.
/// let billing = "billing".parse()?;
/// database.delete(&billing).await?;
/// assert!(clients.find_client("billing").await?.is_some());
/// clients.delete(&billing).await?;
/// assert!(clients.find_client("billing").await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How old an answer can be
///
/// What is written through this value is there for whoever asks after the write has returned, so let all that reads and
/// writes share it, as clones of it do. What is changed elsewhere, by another instance or straight in the database, is
/// there after [`cache_expiration`](Self::with_cache_expiration), or after the duration of a look-up if that is longer. Until
/// then
///
/// - a client that was removed elsewhere can mint, as can an old secret, and a role gives what it gave. The tokens live on
///   until they expire;
/// - a client that was registered elsewhere is unknown, if somebody has asked for it before.
///
/// A write that fails or is dropped may still be done afterwards, and then counts as one from elsewhere. Only what
/// [`find_client`](ClientStore::find_client) finds is kept: all else is asked of the store each time.
///
/// # What a stranger can do
///
/// Known and unknown clients are kept alike, so from the second look-up on both are answered from memory. The first one
/// waits for the store unless somebody else has asked lately: by its time it may tell that a client is in use, to whoever
/// can tell a look-up in the store from one in memory.
///
/// Clients and unknown identifiers have room for [as many](Self::with_capacity) each. A flood of invented identifiers
/// drives out other unknown ones, and never a client.
///
/// # Many at once
///
/// Of several that ask for one client at the same time, one asks the store for all. An error is told to all of them at once,
/// and is not kept. If the one that asks is dropped, the next one asks; but one that is neither dropped nor polled holds up
/// those who wait for it. No runtime is needed beyond what the store needs.
#[derive(Clone)]
pub struct Cached<S> {
    store: S,
    expiration: Duration,
    answers: Arc<Answers>,
}

/// What the configuration has too.
const EXPIRATION: Duration = Duration::from_secs(30);

/// Ten megabytes, where a client takes a kilobyte.
const CAPACITY: usize = 10_000;

impl<S> Cached<S> {
    /// Keeps what `store` finds for 30 seconds, and 10,000 clients at most.
    pub fn new(store: S) -> Self {
        Self { store, expiration: EXPIRATION, answers: Arc::new(Answers::new(CAPACITY)) }
    }

    /// How long what was found is the answer; with zero every look-up goes to the store. For the value of a configuration
    /// there is [`Config::cache_expiration`](crate::Config::cache_expiration).
    #[must_use]
    pub fn with_cache_expiration(self, cache_expiration: Duration) -> Self {
        Self { expiration: cache_expiration, ..self }
    }

    /// How many clients are kept, and apart from them how many identifiers of none.
    #[must_use]
    pub fn with_capacity(self, clients: usize) -> Self {
        Self { answers: Arc::new(Answers::new(clients)), ..self }
    }
}

impl<S> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cached")
    }
}

impl<S: ClientStore> ClientStore for Cached<S> {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        // What cannot be an identifier can be of any length, and no request has it looked up.
        if self.expiration.is_zero() || !is_client_id(client_id) {
            return self.store.find_client(client_id).await;
        }
        match self.answers.ask(client_id, self.expiration) {
            Asked::Kept(found) => Ok(found),
            Asked::Waits(waiter) => waiter.wait(|| self.store.find_client(client_id)).await,
        }
    }

    async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
        self.store.existing_tenants(tenants).await
    }
}

impl<S: ClientRegistry> ClientRegistry for Cached<S> {
    async fn register(&self, client: Client) -> Result<Registered, BackendError> {
        let client_id = client.client_id().clone();
        let _forget = self.answers.forget_after(Some(&client_id));
        self.store.register(client).await
    }

    async fn read(&self, client_id: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
        self.store.read(client_id).await
    }

    async fn update(&self, client: Client, version: Version) -> Result<Updated, BackendError> {
        let client_id = client.client_id().clone();
        let _forget = self.answers.forget_after(Some(&client_id));
        self.store.update(client, version).await
    }

    async fn delete(&self, client_id: &ClientId) -> Result<bool, BackendError> {
        let _forget = self.answers.forget_after(Some(client_id));
        self.store.delete(client_id).await
    }

    async fn list_clients(&self, filter: &str, skip: usize, most: usize) -> Result<(Vec<Client>, usize), BackendError> {
        self.store.list_clients(filter, skip, most).await
    }

    async fn define_tenant(&self, tenant: TenantName) -> Result<(), BackendError> {
        self.store.define_tenant(tenant).await
    }

    async fn define_role(&self, role: Role) -> Result<(), BackendError> {
        // Any client may hold it.
        let _forget = self.answers.forget_after(None);
        self.store.define_role(role).await
    }

    async fn delete_role(&self, id: &RoleId) -> Result<bool, BackendError> {
        let _forget = self.answers.forget_after(None);
        self.store.delete_role(id).await
    }

    async fn list_roles(&self, tenant: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
        self.store.list_roles(tenant).await
    }

    async fn record_uses(&self, uses: &[(String, OffsetDateTime)]) -> Result<(), BackendError> {
        self.store.record_uses(uses).await
    }

    async fn last_uses(&self, ids: &[String]) -> Result<Vec<Option<OffsetDateTime>>, BackendError> {
        self.store.last_uses(ids).await
    }
}

// Tokens are asked of the store each time.
token_store_through!([S: TokenStore] Cached<S>, |cached| cached.store);
