//! Everything in memory, for tests, examples, and servers whose clients come from a file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use time::OffsetDateTime;

use super::{ClientStore, TokenStore};
use crate::{BackendError, Claims, Client, ClientId, TenantName, TokenHash};

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
    /// Shared out by the first byte of the hash, so that mints seldom wait for one another.
    tokens: [Mutex<Tokens>; 16],
}

#[derive(Default)]
struct Clients {
    by_id: HashMap<ClientId, Arc<Client>>,
    tenants: BTreeSet<TenantName>,
}

#[derive(Default)]
struct Tokens {
    by_hash: HashMap<TokenHash, Claims, BuildHasherDefault<LastBytes>>,
    /// By the bucket in which they have expired. Tokens come in nearly in this order, so it is written and read in a row.
    by_expiry: BTreeMap<i64, Vec<TokenHash>>,
}

/// A hasher for what is a hash already: nobody can choose a SHA-256, so its last eight bytes are as good as any.
#[derive(Default)]
struct LastBytes(u64);

impl Hasher for LastBytes {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_ne_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
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

    fn tokens(&self, hash: &TokenHash) -> &Mutex<Tokens> {
        let ([first, ..], [tokens, ..]) = (hash.as_bytes(), &self.0.tokens);
        // The index is always in range; to say so without an index that could panic takes another value.
        self.0.tokens.get(usize::from(first % 16)).unwrap_or(tokens)
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

impl TokenStore for MemoryStore {
    async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
        let mut tokens = self.tokens(&hash).lock().unwrap_or_else(PoisonError::into_inner);
        tokens.forget_expired(claims.issued_at());
        tokens.by_expiry.entry(bucket(claims.expires_at()) + 1).or_default().push(hash);
        tokens.by_hash.insert(hash, claims);
        Ok(())
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
        Ok(self.tokens(hash).lock().unwrap_or_else(PoisonError::into_inner).by_hash.get(hash).cloned())
    }
}

impl Tokens {
    /// Forgets tokens that have expired: many more than come in, so that they are soon gone after a burst, and few enough
    /// that no mint waits for it.
    fn forget_expired(&mut self, now: OffsetDateTime) {
        let mut most = 64;
        let now = bucket(now);
        while let Some(mut bucket) = self.by_expiry.first_entry().filter(|bucket| *bucket.key() <= now) {
            while most > 0
                && let Some(hash) = bucket.get_mut().pop()
            {
                self.by_hash.remove(&hash);
                most -= 1;
            }
            if most == 0 {
                return;
            }
            bucket.remove();
        }
    }
}

/// Tokens are forgotten by the 16 seconds: fine enough to keep few that have expired, and coarse enough that a bucket
/// seldom has to be made.
const fn bucket(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() >> 4
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn expired_tokens_do_not_pile_up() {
        let store = MemoryStore::default();
        let client_id = ClientId::parse("a").unwrap();
        let mut now = OffsetDateTime::UNIX_EPOCH;
        for n in 0..10_000_u32 {
            now += Duration::from_secs(1);
            let claims = Claims::new(client_id.clone(), now, now + Duration::from_secs(60));
            store.insert(TokenHash::of(&n.to_string()), claims).await.unwrap();
        }
        let (mut kept, mut queued) = (0, 0);
        for tokens in &store.0.tokens {
            let tokens = tokens.lock().unwrap();
            kept += tokens.by_hash.len();
            queued += tokens.by_expiry.values().map(Vec::len).sum::<usize>();
        }
        assert!((60..200).contains(&kept), "{kept}");
        assert_eq!(kept, queued);
        assert!(store.find(&TokenHash::of("9999")).await.unwrap().is_some());
        assert!(store.find(&TokenHash::of("0")).await.unwrap().is_none());
    }
}
