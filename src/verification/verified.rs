use std::{
    collections::HashMap,
    fmt, mem,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use ring::hmac;
use zeroize::Zeroizing;

use super::Digests;
use crate::{Client, RandomSource};

/// Clients that have proven themselves by a secret that is slow to verify.
///
/// Neither the secret is in here nor anything that another process could use: what stands for it is its HMAC-SHA256 with a key
/// that was drawn in this one. Whoever reads all of the process's memory can guess as fast as with one SHA-256, though.
///
/// Only successes come in, so that strangers cannot drive anything out. When one generation is full, the one before it goes.
pub(super) struct Verified {
    /// Of both generations.
    capacity: usize,
    key: OnceLock<hmac::Key>,
    generations: Mutex<[Generation; 2]>,
}

type Generation = HashMap<Box<str>, Arc<Entry>>;

struct Entry {
    /// As it was when it proved itself: if it is another one now, the entry does not count.
    client: Arc<Client>,
    tag: Tag,
    digests: Digests,
}

/// What stands for a presented secret.
pub(crate) struct Tag(hmac::Tag);

impl Verified {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, key: OnceLock::new(), generations: Mutex::default() }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// `None` where nothing is kept, be it that there is no randomness for a key.
    pub(super) fn tag(&self, presented: &str, random: &RandomSource) -> Option<Tag> {
        if self.capacity == 0 {
            return None;
        }
        let key = match self.key.get() {
            Some(key) => key,
            None => {
                let mut bytes = Zeroizing::new([0; 32]);
                random.fill(&mut *bytes).ok()?;
                self.key.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, &*bytes))
            }
        };
        Some(Tag(hmac::sign(key, presented.as_bytes())))
    }

    pub(super) fn find(&self, client: &Arc<Client>, tag: &Tag) -> Option<Digests> {
        let client_id = client.client_id().as_str();
        let entry = {
            let mut generations = self.generations();
            let [current, previous] = &mut *generations;
            match current.get(client_id) {
                Some(entry) => entry.clone(),
                None => {
                    let (client_id, entry) = previous.remove_entry(client_id)?;
                    self.insert(&mut generations, client_id, entry.clone());
                    entry
                }
            }
        };
        let is_same = Arc::ptr_eq(&entry.client, client) || entry.client == *client;
        if !is_same {
            self.forget(client_id, &entry);
            return None;
        }
        tag.is(&entry.tag).then(|| entry.digests.clone())
    }

    pub(super) fn keep(&self, client: &Arc<Client>, tag: Tag, digests: Digests) {
        let entry = Arc::new(Entry { client: client.clone(), tag, digests });
        let client_id = client.client_id().as_str();
        let mut generations = self.generations();
        let [_, previous] = &mut *generations;
        previous.remove(client_id);
        self.insert(&mut generations, client_id.into(), entry);
    }

    fn insert(&self, [current, previous]: &mut [Generation; 2], client_id: Box<str>, entry: Arc<Entry>) {
        if current.len() >= self.capacity.div_ceil(2) && !current.contains_key(&client_id) {
            *previous = mem::take(current);
        }
        current.insert(client_id, entry);
    }

    fn forget(&self, client_id: &str, entry: &Arc<Entry>) {
        for generation in &mut *self.generations() {
            if generation.get(client_id).is_some_and(|kept| Arc::ptr_eq(kept, entry)) {
                generation.remove(client_id);
            }
        }
    }

    fn generations(&self) -> std::sync::MutexGuard<'_, [Generation; 2]> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tag {
    fn is(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_ref(), other.0.as_ref()).into()
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(id: &str) -> Arc<Client> {
        Arc::new(Client::builder(id).build().unwrap())
    }

    fn tag(verified: &Verified, presented: &str) -> Tag {
        verified.tag(presented, &RandomSource::default()).unwrap()
    }

    #[test]
    fn only_the_same_client_with_the_same_secret_is_known() {
        let verified = Verified::new(10);
        let (a, secret) = (client("a"), tag(&verified, "secret"));
        assert!(verified.find(&a, &secret).is_none());
        verified.keep(&a, tag(&verified, "secret"), Vec::new());
        assert!(verified.find(&a, &secret).is_some());
        assert!(verified.find(&client("a"), &secret).is_some(), "read anew, and the same");
        for other in ["secret ", "secre", "", "Secret"] {
            assert!(verified.find(&a, &tag(&verified, other)).is_none(), "{other}");
        }
        assert!(verified.find(&client("b"), &secret).is_none());

        let changed = Arc::new(Client::builder("a").client_name("b").build().unwrap());
        assert!(verified.find(&changed, &secret).is_none());
        assert!(verified.find(&a, &secret).is_none(), "a change empties it");
    }

    #[test]
    fn what_stands_for_a_secret_is_another_in_each_process() {
        let [one, other] = [Verified::new(1), Verified::new(1)];
        assert!(!tag(&one, "secret").is(&tag(&other, "secret")));
        assert!(tag(&one, "secret").is(&tag(&one, "secret")));
        assert!(Verified::new(0).tag("secret", &RandomSource::default()).is_none());
        let failing = RandomSource::from_fn(|_| Err(crate::BackendError::new("no entropy")));
        assert!(Verified::new(1).tag("secret", &failing).is_none());
    }

    #[test]
    fn it_keeps_as_many_as_there_is_room_for() {
        let verified = Verified::new(100);
        let secret = tag(&verified, "secret");
        for n in 0..10_000 {
            verified.keep(&client(&n.to_string()), tag(&verified, "secret"), Vec::new());
            assert!(verified.find(&client("0"), &secret).is_some(), "what is used stays");
        }
        let kept = verified.generations().iter().map(HashMap::len).sum::<usize>();
        assert!((50..=100).contains(&kept), "{kept}");
        assert!(verified.find(&client("9999"), &secret).is_some() && verified.find(&client("5000"), &secret).is_none());
    }
}
