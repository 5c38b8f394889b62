//! The keys that seal, each for an epoch of a bounded number of tokens.

use std::{
    fmt,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use ring::{aead::LessSafeKey, error::Unspecified};

use crate::{BackendError, RandomSource};

/// What an epoch is named by: random, and part of every token of it.
///
/// Two epochs that happen to have one name share a key, and its tokens are as many as two epochs have. So these need not be long
/// enough never to meet.
pub(super) type EpochId = [u8; 8];

/// How many tokens are sealed in one epoch.
///
/// The nonces of one key are random and have 96 bits, and NIST SP 800-38D §8.3 allows 2^32 of them: an issuer of 10,000 tokens
/// a second has made these within five days. So the key of a host never seals. What seals is a key that is derived from it
/// for an epoch, and any number of epochs there may be. That is how XAES-256-GCM (<https://c2sp.org/XAES-256-GCM>) does it, but with
/// an epoch for each message. Here that would take as long as all else in a mint: beside the 140 ns in which
/// AES-256-GCM seals a token of 120 bytes, HMAC-SHA256 takes 160 ns and AES with GHASH's table another 150 ns to set up;
/// ChaCha20-Poly1305 has nothing to set up, and takes 370 ns with the HMAC, 520 ns for 400 bytes.
///
/// After 2^16 tokens the chance that two of an epoch have one nonce is 2^-65, so it would take 2^33 epochs, 2^49 tokens, to get to
/// the 2^-32 that NIST allows for one key. A process that forks, or a machine that is copied, takes its epoch along to as many
/// copies: 2^16 of them do not exceed those 2^32 tokens.
const TOKENS_PER_EPOCH: u64 = 1 << 16;

/// How many epochs are known by their keys, so that checking a token seldom takes a derivation. Each takes about 600 bytes.
const KNOWN: usize = 64;

/// The epoch that seals, and some that opened a token lately.
pub(super) struct Epochs {
    sealing: RwLock<Option<Sealing>>,
    /// An epoch has one place, by the first byte of its random name, and the one that came last has it.
    opened: Box<[Place]>,
}

type Place = RwLock<Option<(EpochId, LessSafeKey)>>;

struct Sealing {
    id: EpochId,
    key: LessSafeKey,
    tokens: AtomicU64,
}

impl Epochs {
    /// None so far.
    pub(super) fn new() -> Self {
        Self { sealing: RwLock::default(), opened: (0..KNOWN).map(|_| RwLock::default()).collect() }
    }

    /// Lets `seal` make one token with the key of the epoch, which is another one after [`TOKENS_PER_EPOCH`].
    pub(super) fn seal<R>(
        &self,
        random: &RandomSource,
        derive: impl FnOnce(EpochId) -> Result<LessSafeKey, Unspecified>,
        seal: impl FnOnce(EpochId, &LessSafeKey) -> Result<R, Unspecified>,
    ) -> Result<R, BackendError> {
        let failed = |Unspecified| BackendError::new("a token could not be sealed");
        if let Some(epoch) = read(&self.sealing).as_ref().filter(|epoch| epoch.takes_one_more()) {
            return seal(epoch.id, &epoch.key).map_err(failed);
        }
        let mut sealing = write(&self.sealing);
        // Another thread may have been faster.
        let epoch = match sealing.take().filter(Sealing::takes_one_more) {
            Some(epoch) => epoch,
            None => {
                let mut id = EpochId::default();
                random.fill(&mut id)?;
                Sealing { id, key: derive(id).map_err(failed)?, tokens: AtomicU64::new(1) }
            }
        };
        let epoch = sealing.insert(epoch);
        seal(epoch.id, &epoch.key).map_err(failed)
    }

    /// Lets `open` try the key of an epoch, which anybody may have made up.
    pub(super) fn open<R>(
        &self,
        id: EpochId,
        derive: impl FnOnce(EpochId) -> Result<LessSafeKey, Unspecified>,
        open: impl FnOnce(&LessSafeKey) -> Option<R>,
    ) -> Option<R> {
        let [first, ..] = id;
        let place = self.opened.get(usize::from(first) % KNOWN)?;
        if let Some((_, key)) = read(place).as_ref().filter(|(known, _)| *known == id) {
            return open(key);
        }
        let key = derive(id).ok()?;
        let opened = open(&key)?;
        // Only now: an epoch that somebody makes up takes no other's place.
        *write(place) = Some((id, key));
        Some(opened)
    }
}

impl Sealing {
    fn takes_one_more(&self) -> bool {
        self.tokens.fetch_add(1, Ordering::Relaxed) < TOKENS_PER_EPOCH
    }
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Epochs")
    }
}

// Whoever panics here leaves a whole epoch or none.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex, thread};

    use ring::aead::{AES_256_GCM, UnboundKey};

    use super::*;

    fn derive(_: EpochId) -> Result<LessSafeKey, Unspecified> {
        UnboundKey::new(&AES_256_GCM, &[7; 32]).map(LessSafeKey::new)
    }

    #[test]
    fn an_epoch_ends_after_its_tokens_whoever_seals_them() {
        let (epochs, random, seen) = (Epochs::new(), RandomSource::default(), Mutex::new(HashMap::new()));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut mine = HashMap::<EpochId, u64>::new();
                    for _ in 0..TOKENS_PER_EPOCH {
                        let id = epochs.seal(&random, derive, |id, _| Ok(id)).unwrap();
                        *mine.entry(id).or_default() += 1;
                    }
                    let mut seen = seen.lock().unwrap();
                    mine.into_iter().for_each(|(id, tokens)| *seen.entry(id).or_default() += tokens);
                });
            }
        });
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(seen.values().all(|tokens: &u64| *tokens == TOKENS_PER_EPOCH), "{seen:?}");
    }

    #[test]
    fn without_randomness_there_is_no_epoch_and_later_there_is() {
        let epochs = Epochs::new();
        let none = RandomSource::from_fn(|_| Err(BackendError::new("none")));
        for _ in 0..2 {
            assert!(epochs.seal(&none, derive, |id, _| Ok(id)).is_err());
        }
        assert!(epochs.seal(&RandomSource::default(), derive, |id, _| Ok(id)).is_ok());
        assert!(epochs.seal(&none, derive, |id, _| Ok(id)).is_ok(), "the epoch is there");
    }

    #[test]
    fn a_key_is_derived_once_for_an_epoch_that_opened_something() {
        let epochs = Epochs::new();
        let derived = |id: EpochId, opens: bool| {
            let mut derived = false;
            let opened = epochs.open(
                id,
                |id| {
                    derived = true;
                    derive(id)
                },
                |_| opens.then_some(()),
            );
            assert_eq!(opened.is_some(), opens);
            derived
        };
        let (one, same_place) = ([1; 8], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert!(derived(one, true) && !derived(one, true) && !derived(one, false));
        assert!(derived(same_place, false) && !derived(one, true), "it took no place");
        assert!(derived(same_place, true) && !derived(same_place, true) && derived(one, true));
        for first in 0..=u8::MAX {
            assert!(derived([first, 1, 1, 1, 1, 1, 1, 2], true));
        }
    }
}
