//! Where clients are found, opaque tokens are kept, what may count only once is claimed, and what is limited is counted.
//!
//! | store | clients and roles | tokens and revocations | claimed ids | counters |
//! | --- | --- | --- | --- | --- |
//! | `MemoryStore` | yes | yes | yes | in `MemoryCounters`, for one instance |
//! | `SqliteStore`, `PostgresStore` | yes | yes | yes | no: a write for each attempt and each token is not what they are for |
//! | `RedisStore` | no | yes | yes | yes, for all instances together |
//! | `Cached` | those of another store | no | no | no |

#[cfg(feature = "cached")]
mod cached;
mod counters;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod deadline;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod registry;
mod replay;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stores;
mod tokens;

use std::{fmt, future::Future, sync::Arc};

#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::redis::RedisStore;
#[cfg(feature = "cached")]
#[cfg_attr(docsrs, doc(cfg(feature = "cached")))]
pub use cached::Cached;
pub use counters::{Admitted, AnyCounterStore, Attempt, CounterKey, CounterStore, FailureLimit, Failures, Taken};
pub(crate) use memory::CAPACITY;
pub use memory::{MemoryCounters, MemoryStore};
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use postgres::PostgresStore;
pub use registry::{AnyClientRegistry, ClientRegistry, Registered, Updated, Version};
pub use replay::{Claim, ReplayStore};
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use sqlite::SqliteStore;
pub use stores::Stores;
pub use tokens::{AnyTokenStore, TokenStore};

use crate::{BackendError, Client, TenantName, error::Answer};

/// Finds clients. A host that wants nothing but this grant implements one method:
///
/// ```
/// use std::{collections::HashMap, sync::Arc};
/// use client_credentials::{BackendError, Client, ClientStore};
///
/// struct MyClients(HashMap<String, Arc<Client>>);
///
/// impl ClientStore for MyClients {
///     async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
///         Ok(self.0.get(client_id).cloned())
///     }
/// }
/// ```
pub trait ClientStore: Send + Sync {
    /// The client with this identifier, with everything that a token request needs to know: its tenants and its roles with
    /// their resources.
    ///
    /// Called once for each token request, before the client is authenticated, so `client_id` is what a
    /// stranger likes to send, as long as it can be a [`ClientId`](crate::ClientId): bind it as a parameter, for it may hold
    /// quotes and wildcards. Compare it exactly: a client whose identifier
    /// differs, in case for instance, is taken for unknown.
    ///
    /// Do for every client what you do for one: what takes longer when the row exists tells a stranger that it does, and
    /// so undoes the equal work that comes after. Parse and build when a row is loaded or changed, not at each look-up.
    ///
    /// Answer in time or give up: nothing here puts a deadline on this call, and a request waits for its store as long as that takes.
    /// The stores in databases here give each call two seconds.
    ///
    /// What is returned is what counts. A stale answer lets a deleted client mint, or an old secret pass, for as long as it
    /// is stale; a role that no longer exists must not be in it. An unknown client is `Ok(None)`, never an error: an error
    /// is answered with 503, and so would tell the two apart.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn find_client(&self, client_id: &str) -> impl Future<Output = Result<Option<Arc<Client>>, BackendError>> + Send;

    /// Those of `tenants` that exist.
    ///
    /// Called only when a client that holds [`TENANT_ACCESS`](crate::TENANT_ACCESS) or [`SUPERUSER`](crate::SUPERUSER) asks
    /// for tenants that are not assigned to it. Naming one that does not exist gives out a token for it, and with it a claim
    /// on whoever takes that name later. Unless implemented, none exists, so that only assigned tenants are granted.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn existing_tenants(
        &self,
        tenants: &[TenantName],
    ) -> impl Future<Output = Result<Vec<TenantName>, BackendError>> + Send {
        let _ = tenants;
        async { Ok(Vec::new()) }
    }
}

/// Implements the trait for what has a store in it, by passing every call on.
macro_rules! client_store_through {
    ([$($generics:tt)*] $outer:ty, |$this:ident| $store:expr) => {
        impl<$($generics)*> ClientStore for $outer {
            async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
                let $this = self;
                $store.find_client(client_id).await
            }

            async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
                let $this = self;
                $store.existing_tenants(tenants).await
            }
        }
    };
}

client_store_through!([S: ClientStore + ?Sized] &S, |pointer| **pointer);
client_store_through!([S: ClientStore + ?Sized] Arc<S>, |pointer| **pointer);

use client_store_through;

/// A [`ClientStore`] that is chosen at run time. A clone shares it.
#[derive(Clone)]
pub struct AnyClientStore(Arc<dyn ErasedClientStore>);

impl AnyClientStore {
    /// Hides the type of a store.
    pub fn new(store: impl ClientStore + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for AnyClientStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyClientStore")
    }
}

client_store_through!([] AnyClientStore, |any| any.0);

trait ErasedClientStore: Send + Sync {
    fn find_client<'a>(&'a self, client_id: &'a str) -> Answer<'a, Option<Arc<Client>>>;
    fn existing_tenants<'a>(&'a self, tenants: &'a [TenantName]) -> Answer<'a, Vec<TenantName>>;
}

impl<S: ClientStore> ErasedClientStore for S {
    fn find_client<'a>(&'a self, client_id: &'a str) -> Answer<'a, Option<Arc<Client>>> {
        Box::pin(ClientStore::find_client(self, client_id))
    }

    fn existing_tenants<'a>(&'a self, tenants: &'a [TenantName]) -> Answer<'a, Vec<TenantName>> {
        Box::pin(ClientStore::existing_tenants(self, tenants))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    async fn finds(store: impl ClientStore) {
        assert_eq!(store.find_client("a").await.unwrap().unwrap().client_id().as_str(), "a");
        assert!(store.find_client("b").await.unwrap().is_none());
        let tenants = ["t", "u"].map(|name| TenantName::parse(name).unwrap());
        assert_eq!(store.existing_tenants(&tenants).await.unwrap(), tenants[..1]);
    }

    #[tokio::test]
    async fn a_pointer_is_the_store_that_it_points_to() {
        let store = MemoryStore::default();
        store.insert_client(Client::builder("a").tenant("t").build().unwrap());
        finds(&store).await;
        finds(Arc::new(store.clone())).await;
        finds(AnyClientStore::new(Arc::new(store.clone()))).await;
        finds(store.clone()).await;
    }
}
