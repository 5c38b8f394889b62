use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hasher},
};

use time::OffsetDateTime;

use crate::TokenHash;

/// A map whose entries are forgotten some time after they expire.
pub(super) struct Expiring<V, S> {
    by_hash: HashMap<TokenHash, V, S>,
    /// By the bucket in which they have expired. They come in nearly in this order, so it is written and read in a row.
    by_expiry: BTreeMap<i64, Vec<TokenHash>>,
}

/// What says itself when it expires.
pub(super) trait Expires {
    fn expires_at(&self) -> OffsetDateTime;
}

impl<V, S: Default> Default for Expiring<V, S> {
    fn default() -> Self {
        Self { by_hash: HashMap::default(), by_expiry: BTreeMap::new() }
    }
}

impl<V: Expires, S: BuildHasher> Expiring<V, S> {
    pub(super) fn insert(&mut self, hash: TokenHash, value: V) {
        self.by_expiry.entry(bucket(value.expires_at()) + 1).or_default().push(hash);
        self.by_hash.insert(hash, value);
    }

    pub(super) fn get(&self, hash: &TokenHash) -> Option<&V> {
        self.by_hash.get(hash)
    }

    pub(super) fn remove(&mut self, hash: &TokenHash) -> Option<V> {
        self.by_hash.remove(hash)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TokenHash, &V)> {
        self.by_hash.iter()
    }

    /// Forgets at most `most` entries that have expired, and says how many it was.
    pub(super) fn forget_expired(&mut self, now: OffsetDateTime, most: usize) -> usize {
        let now = bucket(now);
        let mut forgotten = 0;
        while let Some(mut expired) = self.by_expiry.first_entry().filter(|expired| *expired.key() <= now) {
            while forgotten < most
                && let Some(hash) = expired.get_mut().pop()
            {
                // It may have been removed since, and even come back with more time. It counts all the same, so that no
                // call takes long.
                if self.by_hash.get(&hash).is_some_and(|value| bucket(value.expires_at()) < now) {
                    self.by_hash.remove(&hash);
                }
                forgotten += 1;
            }
            if forgotten == most {
                break;
            }
            expired.remove();
        }
        forgotten
    }
}

/// Entries are forgotten by the 16 seconds: fine enough to keep few that have expired, and coarse enough that a bucket
/// seldom has to be made.
const fn bucket(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() >> 4
}

/// A hasher for hashes of what is random: nobody can choose them, so the last eight bytes are as good as any.
#[derive(Default)]
pub(super) struct LastBytes(u64);

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

#[cfg(test)]
mod tests {
    use std::{hash::BuildHasherDefault, time::Duration};

    use super::*;

    type Map = Expiring<OffsetDateTime, BuildHasherDefault<LastBytes>>;

    #[test]
    fn what_was_removed_before_it_expired_is_cleared_away_no_faster() {
        let (mut map, now) = (Map::default(), OffsetDateTime::UNIX_EPOCH);
        for n in 0..1000_u32 {
            map.insert(TokenHash::of(&n.to_string()), now);
            map.remove(&TokenHash::of(&n.to_string()));
        }
        assert_eq!(map.forget_expired(now + Duration::from_secs(60), 64), 64);
        assert_eq!(map.by_expiry.values().map(Vec::len).sum::<usize>(), 936);
    }

    #[test]
    fn an_entry_that_came_back_is_not_forgotten_with_the_old_one() {
        let (mut map, now, hash) = (Map::default(), OffsetDateTime::UNIX_EPOCH, TokenHash::of("a"));
        map.insert(hash, now + Duration::from_secs(60));
        map.insert(hash, now + Duration::from_secs(600));
        assert_eq!(map.forget_expired(now + Duration::from_secs(120), 64), 1);
        assert!(map.get(&hash).is_some());
        assert_eq!(map.forget_expired(now + Duration::from_secs(620), 64), 1);
        assert!(map.get(&hash).is_none() && map.by_expiry.is_empty());
    }

    #[test]
    fn expired_entries_do_not_pile_up() {
        let (mut map, mut now) = (Map::default(), OffsetDateTime::UNIX_EPOCH);
        for n in 0..10_000_u32 {
            now += Duration::from_secs(1);
            map.forget_expired(now, 64);
            map.insert(TokenHash::of(&n.to_string()), now + Duration::from_secs(60));
        }
        let queued: usize = map.by_expiry.values().map(Vec::len).sum();
        assert!((60..100).contains(&map.by_hash.len()) && queued == map.by_hash.len(), "{queued}");
        assert_eq!(map.get(&TokenHash::of("9999")), Some(&(now + Duration::from_secs(60))));
        assert_eq!(map.get(&TokenHash::of("0")), None);

        // After a burst, what comes in seldom still clears it away soon.
        for n in 0..10_000_u32 {
            map.insert(TokenHash::of(&format!("burst {n}")), now + Duration::from_secs(60));
        }
        now += Duration::from_secs(600);
        let rounds = (1..).find(|_| map.forget_expired(now, 64) < 64).unwrap();
        assert!(rounds < 200 && map.by_hash.is_empty() && map.by_expiry.is_empty(), "{rounds}");
    }
}
