use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, RandomState},
    sync::{Mutex, MutexGuard, RwLock},
};

use time::OffsetDateTime;

use super::{
    super::{Claim, ReplayStore, TokenStore, registry::forgotten_uses, tokens::denied_until},
    FORGOTTEN_AT_ONCE, MemoryStore, Shards,
    expiring::{Expires, Expiring, LastBytes},
    lock, read, write,
};
use crate::{BackendError, Claims, ClientId, TokenHash};

#[derive(Default)]
pub(super) struct Tokens {
    /// Shared out by the first byte of the hash.
    shards: Shards<Mutex<Shard>>,
    /// Up to when all tokens of a client are revoked: one entry for each client to which that ever happened.
    revoked: RwLock<HashMap<ClientId, OffsetDateTime>>,
    /// Until when it is remembered that a token was ended that is not kept here.
    denied: RwLock<Expiring<OffsetDateTime, RandomState>>,
    /// Until when an id is claimed.
    replay: Mutex<Expiring<OffsetDateTime, RandomState>>,
}

/// Tokens are random, and so are their hashes; the ids that are claimed or denied may come from others, who could choose
/// them to collide.
type Shard = Expiring<Claims, BuildHasherDefault<LastBytes>>;

impl Expires for Claims {
    fn expires_at(&self) -> OffsetDateTime {
        Self::expires_at(self)
    }
}

impl Expires for OffsetDateTime {
    fn expires_at(&self) -> OffsetDateTime {
        *self
    }
}

impl Tokens {
    fn shard(&self, hash: &TokenHash) -> MutexGuard<'_, Shard> {
        let [first, ..] = hash.as_bytes();
        lock(self.shards.of(*first))
    }

    /// Whether a token has not been revoked with all others of its client.
    fn stands(&self, claims: &Claims) -> bool {
        let revoked = read(&self.revoked);
        revoked.get(claims.client_id()).is_none_or(|at| claims.issued_at() > *at)
    }
}

impl TokenStore for MemoryStore {
    async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
        let mut shard = self.0.tokens.shard(&hash);
        shard.forget_expired(claims.issued_at(), FORGOTTEN_AT_ONCE);
        shard.insert(hash, claims);
        Ok(())
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
        let claims = self.0.tokens.shard(hash).get(hash).cloned();
        Ok(claims.filter(|claims| self.0.tokens.stands(claims)))
    }

    async fn revoke(&self, hash: &TokenHash) -> Result<bool, BackendError> {
        let claims = self.0.tokens.shard(hash).remove(hash);
        Ok(claims.is_some_and(|claims| self.0.tokens.stands(&claims)))
    }

    async fn revoke_all(&self, client_id: &ClientId, at: OffsetDateTime) -> Result<(), BackendError> {
        let mut revoked = write(&self.0.tokens.revoked);
        let before = revoked.entry(client_id.clone()).or_insert(at);
        *before = at.max(*before);
        Ok(())
    }

    async fn deny(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
        let mut denied = write(&self.0.tokens.denied);
        denied.forget_expired(claims.issued_at(), FORGOTTEN_AT_ONCE);
        let is_new = denied.get(jti).is_none();
        if is_new {
            denied.insert(*jti, denied_until(claims));
        }
        Ok(is_new)
    }

    async fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
        let denied = read(&self.0.tokens.denied);
        Ok(denied.get(jti).is_some() || !self.0.tokens.stands(claims))
    }

    async fn list_tokens(
        &self,
        client_id: &ClientId,
        now: OffsetDateTime,
    ) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
        let live = |claims: &Claims| {
            claims.client_id() == client_id && claims.expires_at() > now && self.0.tokens.stands(claims)
        };
        let mut list = Vec::new();
        for shard in self.0.tokens.shards.iter() {
            list.extend(
                lock(shard).iter().filter(|(_, claims)| live(claims)).map(|(hash, claims)| (*hash, claims.clone())),
            );
        }
        Ok(list)
    }

    async fn purge_expired(&self, now: OffsetDateTime, most: usize) -> Result<usize, BackendError> {
        let (mut purged, mut left) = (0, true);
        while left && purged < most {
            left = false;
            // A few of each at a time: a mint that waits for one gets it while the purge is at the others. A lock that is taken
            // again at once is not given to who waits for it, for that one has to wake up first.
            for shard in self.0.tokens.shards.iter() {
                let part = FORGOTTEN_AT_ONCE.min(most - purged);
                let forgotten = lock(shard).forget_expired(now, part);
                purged += forgotten;
                left |= forgotten == part;
            }
            let part = FORGOTTEN_AT_ONCE.min(most - purged);
            let forgotten = write(&self.0.tokens.denied).forget_expired(now, part);
            purged += forgotten;
            left |= forgotten == part;
        }
        Ok(purged + lock(&self.0.uses).forget(forgotten_uses(now), most - purged))
    }
}

impl ReplayStore for MemoryStore {
    async fn claim(&self, id: &str, now: OffsetDateTime, expires_at: OffsetDateTime) -> Result<Claim, BackendError> {
        let (id, mut claims) = (TokenHash::of(id), lock(&self.0.tokens.replay));
        claims.forget_expired(now, FORGOTTEN_AT_ONCE);
        if claims.get(&id).is_some_and(|expires_at| *expires_at > now) {
            return Ok(Claim::Replayed);
        }
        claims.insert(id, expires_at);
        Ok(Claim::First)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_purge_takes_a_few_of_each_shard_in_turn() {
        let (store, at) = (MemoryStore::default(), OffsetDateTime::UNIX_EPOCH);
        for n in 0..10_000 {
            let claims = Claims::new(ClientId::parse("a").unwrap(), at, at);
            store.insert(TokenHash::of(&n.to_string()), claims).await.unwrap();
        }
        let left = || store.0.tokens.shards.iter().map(|shard| lock(shard).iter().count()).collect::<Vec<_>>();
        let (before, now) = (left(), at + Duration::from_secs(60));
        assert_eq!(store.purge_expired(now, 16 * FORGOTTEN_AT_ONCE).await.unwrap(), 16 * FORGOTTEN_AT_ONCE);
        assert_eq!(left(), before.iter().map(|count| count - FORGOTTEN_AT_ONCE).collect::<Vec<_>>());
        assert_eq!(store.purge_expired(now, usize::MAX).await.unwrap(), 10_000 - 16 * FORGOTTEN_AT_ONCE);
    }

    #[tokio::test]
    async fn denials_are_forgotten_a_few_at_a_time_once_their_tokens_have_expired_for_a_minute() {
        let (store, at, second) = (MemoryStore::default(), OffsetDateTime::UNIX_EPOCH, Duration::from_secs(1));
        let claims = Claims::new(ClientId::parse("a").unwrap(), at, at + 600 * second);
        let jti = |n: u32| TokenHash::of(&n.to_string());
        for n in 0..1000 {
            assert!(store.deny(&jti(n), &claims).await.unwrap());
        }
        let later = |issued_at| Claims::new(ClientId::parse("b").unwrap(), issued_at, issued_at + 600 * second);
        let left = || store.0.tokens.denied.read().unwrap().iter().count();
        assert_eq!(store.purge_expired(at + 659 * second, usize::MAX).await.unwrap(), 0);
        assert!(store.deny(&jti(1000), &later(at + 659 * second)).await.unwrap());
        assert_eq!(left(), 1001);
        assert_eq!(store.purge_expired(at + 700 * second, 100).await.unwrap(), 100);
        assert!(store.deny(&jti(1001), &later(at + 700 * second)).await.unwrap());
        assert_eq!(left(), 1002 - 100 - FORGOTTEN_AT_ONCE);
        assert_eq!(store.purge_expired(at + 700 * second, usize::MAX).await.unwrap(), 900 - FORGOTTEN_AT_ONCE);
        assert!(store.is_denied(&jti(1000), &later(at)).await.unwrap() && left() == 2);
    }
}
