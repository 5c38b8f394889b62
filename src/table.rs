//! A table of fixed size, for what strangers could otherwise fill memory with.

use std::{
    cmp::Ordering,
    hash::{BuildHasher as _, DefaultHasher, Hash, RandomState},
    sync::{Mutex, OnceLock, PoisonError},
};

/// How many entries share a place, so that the one that matters least can make room.
const WAYS: usize = 8;

/// Values by the hash of their keys. The hash has a random key, so nobody can choose what shares a place with what.
///
/// Where a place is full, a new key takes the entry that ranks lowest. Nothing is allocated before the first key.
#[derive(Debug)]
pub(crate) struct Table<V> {
    places: OnceLock<Box<[Place<V>]>>,
    size: usize,
    hasher: RandomState,
}

type Place<V> = Mutex<[Entry<V>; WAYS]>;

#[derive(Clone, Copy, Debug, Default)]
struct Entry<V> {
    /// A hash in place of the key, and 0 for none. Among a million keys two have the same once in some ten million runs.
    tag: u64,
    value: V,
}

/// Where the value of a key is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// Which place, once it is taken by their number.
    pub(crate) place: u64,
    /// A hash of the key.
    pub(crate) tag: u64,
}

/// What says how much would be lost with it.
pub(crate) trait Ranked: Copy + Default {
    /// Compares what is lost with either at this time, in milliseconds since 1970. Nothing is less than the default.
    fn rank(&self, other: &Self, now: i64) -> Ordering;
}

impl<V: Ranked> Table<V> {
    /// A table for about so many keys, and for eight at least.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { places: OnceLock::new(), size: capacity.div_ceil(WAYS).max(1), hasher: RandomState::new() }
    }

    /// The hasher of the keys, for whoever has [`Spot`]s of his own.
    pub(crate) fn hasher(&self) -> DefaultHasher {
        self.hasher.build_hasher()
    }

    /// Works on the value of a key, which is the default where there was none.
    pub(crate) fn with<R>(&self, key: impl Hash, now: i64, work: impl FnOnce(&mut V) -> R) -> R {
        self.with_spot(self.spot(key), now, (usize::MAX, |_| false), work)
    }

    /// The same for the key of this spot. Where there are `most` of a kind in its place already, what is none of them yet takes
    /// the entry of the one that ranks lowest.
    pub(crate) fn with_spot<R>(
        &self,
        spot: Spot,
        now: i64,
        (most, is_of_kind): (usize, impl Fn(&V) -> bool),
        work: impl FnOnce(&mut V) -> R,
    ) -> R {
        let (mut unplaced, tag) = (V::default(), spot.tag.max(1));
        let Some(place) = self.place(spot) else { return work(&mut unplaced) };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let is_enough = most <= WAYS && place.iter().filter(|entry| is_of_kind(&entry.value)).count() >= most;
        if let Some(entry) = place.iter_mut().find(|entry| entry.tag == tag) {
            if !is_enough || is_of_kind(&entry.value) {
                return work(&mut entry.value);
            }
            *entry = Entry::default();
        }
        let may_go = place.iter_mut().filter(|entry| !is_enough || is_of_kind(&entry.value));
        let free = |entry: &Entry<V>| entry.tag == 0;
        match may_go.min_by(|a, b| free(b).cmp(&free(a)).then_with(|| a.value.rank(&b.value, now))) {
            Some(entry) => {
                *entry = Entry { tag, value: V::default() };
                work(&mut entry.value)
            }
            None => work(&mut unplaced),
        }
    }

    /// Works on the value of a key, if it has one.
    pub(crate) fn find<R>(&self, key: impl Hash, work: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.find_spot(self.spot(key), work)
    }

    /// The same for the key of this spot.
    pub(crate) fn find_spot<R>(&self, spot: Spot, work: impl FnOnce(&mut V) -> R) -> Option<R> {
        // Where nothing was ever put in, nothing is allocated either.
        self.places.get()?;
        let mut place = self.place(spot)?.lock().unwrap_or_else(PoisonError::into_inner);
        place.iter_mut().find(|entry| entry.tag == spot.tag.max(1)).map(|entry| work(&mut entry.value))
    }

    fn spot(&self, key: impl Hash) -> Spot {
        let hash = self.hasher.hash_one(key);
        // The tag must tell apart what is in one place.
        Spot { place: hash, tag: hash }
    }

    fn place(&self, spot: Spot) -> Option<&Place<V>> {
        let places = self.places.get_or_init(|| (0..self.size).map(|_| Mutex::default()).collect());
        places.get(usize::try_from(spot.place % places.len() as u64).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, Default)]
    struct Count(u32);

    impl Ranked for Count {
        fn rank(&self, other: &Self, _: i64) -> Ordering {
            self.0.cmp(&other.0)
        }
    }

    #[test]
    fn a_full_place_keeps_what_ranks_highest() {
        let table = Table::<Count>::new(0);
        assert!(table.find("a", |_| ()).is_none() && table.places.get().is_none());
        for (n, key) in (1..).zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
            table.with(key, 0, |count| count.0 = n);
        }
        for n in 0..1000 {
            table.with(n, 0, |count| count.0 += 1);
        }
        for (n, key) in (2..).zip(["b", "c", "d", "e", "f", "g", "h"]) {
            assert_eq!(table.find(key, |count| count.0), Some(n), "{key}");
        }
        assert_eq!(table.find("a", |count| count.0), None);
        assert_eq!(table.find(999, |count| count.0), Some(1));
    }
}
