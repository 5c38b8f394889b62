//! The keys of an issuer, and how one follows another.

use std::{
    fmt, mem,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use time::OffsetDateTime;

use super::KeyError;

/// The keys of an issuer: the one that signs, the next one, and those that no longer sign and still verify. A clone shares
/// them, so that whoever keeps one can rotate the keys of an issuer that is already at work.
///
/// A key goes through three states, and no token is refused on the way:
///
/// 1. It is the next key. Its tokens are accepted and its public half is published, but it does not sign.
/// 2. It signs, from the first [`rotate`](Self::rotate) on.
/// 3. It is retired by the second one, and verifies what it has signed until that has expired.
///
/// # Several instances
///
/// Give each the same keys. To rotate, give the next key to every instance ([`set_next`](Self::set_next), or `following` at the
/// rotation before), wait until whoever keeps the published keys has read them again (the `jwks_max_age` of
/// [`Config`](crate::Config), where keys are published), and only then rotate, in any order: an instance that still signs
/// with the old key is understood by those that have rotated, for as long as they keep it, and one that has rotated is understood by
/// those that have not.
///
/// A process that starts anew has nothing but what it is given: the same three kinds of keys, with
/// [`with_next`](Self::with_next) and [`with_retired`](Self::with_retired).
pub struct KeySet<K>(Arc<RwLock<Keys<K>>>);

struct Keys<K> {
    signing: K,
    next: Option<K>,
    retired: Vec<(K, OffsetDateTime)>,
}

impl<K> KeySet<K> {
    /// One key, which signs.
    #[must_use]
    pub fn new(signing: K) -> Self {
        Self(Arc::new(RwLock::new(Keys { signing, next: None, retired: Vec::new() })))
    }

    /// With a key that is accepted and published already, and does not sign yet.
    #[must_use]
    pub fn with_next(self, next: impl Into<K>) -> Self {
        self.set_next(next);
        self
    }

    /// With a key that has signed before and verifies until `until`: for a process that starts anew.
    #[must_use]
    pub fn with_retired(self, key: impl Into<K>, until: OffsetDateTime) -> Self {
        self.write().retired.push((key.into(), until));
        self
    }

    /// Puts this key in the place of the next one. The one that was there counts no more; nothing has been signed with it here.
    pub fn set_next(&self, next: impl Into<K>) {
        self.write().next = Some(next.into());
    }

    /// The next key signs from now on, `following` is the next one, and the key that signed until now verifies until
    /// `now + keep`. Retired keys whose time is over go.
    ///
    /// `keep` has to be as long as a token can live, plus the time in which other instances still sign with that key: what is
    /// shorter refuses tokens that have not expired.
    ///
    /// # Errors
    /// [`KeyError::NoNextKey`] when there is no next key, and nothing changes: a key that nobody knows yet must not sign.
    pub fn rotate(&self, following: impl Into<K>, now: OffsetDateTime, keep: Duration) -> Result<(), KeyError> {
        let until = now.saturating_add(time::Duration::try_from(keep).unwrap_or(time::Duration::MAX));
        let following = following.into();
        let mut keys = self.write();
        let next = keys.next.take().ok_or(KeyError::NoNextKey)?;
        let signed = mem::replace(&mut keys.signing, next);
        keys.next = Some(following);
        keys.retired.retain(|(_, until)| now < *until);
        keys.retired.push((signed, until));
        Ok(())
    }

    /// What `use_key` makes of the key that signs. It must be quick, since a rotation waits for it: who needs the key for
    /// longer takes a clone of it away.
    pub(crate) fn with_signing<R>(&self, use_key: impl FnOnce(&K) -> R) -> R {
        use_key(&self.read().signing)
    }

    /// The first answer that `ask` gives to one of the keys that count at `now`: the one that signs, the next one, then those
    /// retired, the latest first. It must be quick, like the use of [`with_signing`](Self::with_signing).
    pub(crate) fn find<R>(&self, now: OffsetDateTime, ask: impl FnMut(&K) -> Option<R>) -> Option<R> {
        self.read().counting(now).find_map(ask)
    }

    /// What `ask` makes of each of the keys that count at `now`, in the order of [`find`](Self::find).
    pub(crate) fn map<R>(&self, now: OffsetDateTime, ask: impl FnMut(&K) -> R) -> Vec<R> {
        self.read().counting(now).map(ask).collect()
    }

    // Whoever panics here has changed nothing, or all of it.
    fn read(&self) -> RwLockReadGuard<'_, Keys<K>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Keys<K>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Keys<K> {
    fn counting(&self, now: OffsetDateTime) -> impl Iterator<Item = &K> {
        let retired = self.retired.iter().rev().filter(move |(_, until)| now < *until).map(|(key, _)| key);
        [&self.signing].into_iter().chain(&self.next).chain(retired)
    }
}

impl<K> From<K> for KeySet<K> {
    fn from(signing: K) -> Self {
        Self::new(signing)
    }
}

impl<K> Clone for KeySet<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: fmt::Debug> fmt::Debug for KeySet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.read();
        let Keys { signing, next, retired } = &*keys;
        f.debug_struct("KeySet").field("signing", signing).field("next", next).field("retired", retired).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    fn at(second: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(second).unwrap()
    }

    #[track_caller]
    fn holds(keys: &KeySet<char>, now: OffsetDateTime, signing: char, counting: &str) {
        assert_eq!(keys.with_signing(|key| *key), signing);
        assert_eq!(keys.map(now, |key| *key).into_iter().collect::<String>(), counting);
        for key in 'a'..='f' {
            let found = keys.find(now, |it| (*it == key).then_some(key));
            assert_eq!(found.is_some(), counting.contains(key), "{key}");
        }
    }

    #[test]
    fn a_key_is_next_then_signs_then_is_retired() {
        let keys = KeySet::new('a');
        let shared = keys.clone();
        assert_eq!(keys.rotate('b', at(0), KEEP).unwrap_err(), KeyError::NoNextKey);
        holds(&keys, at(0), 'a', "a");
        keys.set_next('f');
        holds(&keys, at(0), 'a', "af");
        keys.set_next('b');
        holds(&keys, at(0), 'a', "ab");
        keys.rotate('c', at(0), KEEP).unwrap();
        holds(&shared, at(59), 'b', "bca");
        holds(&keys, at(60), 'b', "bc");
        keys.rotate('d', at(59), KEEP).unwrap();
        holds(&keys, at(59), 'c', "cdba");
        assert_eq!(keys.read().retired.len(), 2);
        keys.rotate('e', at(60), KEEP).unwrap();
        holds(&keys, at(60), 'd', "decb");
        assert_eq!(keys.read().retired.len(), 2, "one is gone, whose time was over");
        holds(&shared, at(1000), 'd', "de");
    }

    #[test]
    fn a_process_that_starts_anew_is_given_all_of_them() {
        let keys = KeySet::new('c').with_next('d').with_retired('a', at(10)).with_retired('b', at(20));
        holds(&keys, at(9), 'c', "cdba");
        holds(&keys, at(10), 'c', "cdb");
        holds(&keys, at(20), 'c', "cd");
        assert_eq!(format!("{keys:?}").matches("'c'").count(), 1);
    }

    #[test]
    fn a_key_can_be_kept_for_ever() {
        let keys = KeySet::new('a').with_next('b');
        keys.rotate('c', at(0), Duration::MAX).unwrap();
        holds(&keys, at(i64::from(u32::MAX)), 'b', "bca");
    }
}
