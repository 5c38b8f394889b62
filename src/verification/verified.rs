//! Which secret of a client was right, so that it need not be found out again at each request.

use std::{
    collections::HashMap,
    fmt,
    mem::take,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use ring::hmac;
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{Client, ClientId, ClientSecretHash, RandomSource, StoredSecret, authentication::AuthenticatedClient};

/// An HMAC over the client's current digest and the secret. Its key is known to nobody and ends with the server, so that
/// it is of no use to whoever sees it; the secret itself is not kept.
pub(super) type Proof = [u8; 32];

/// The proofs of some clients: in memory alone, and each counts only while its client is what it was.
pub(super) struct Verified {
    /// How many clients it has room for, about.
    most: usize,
    key: OnceLock<hmac::Key>,
    generations: Mutex<Generations>,
}

/// When the younger one is full, the older one is forgotten and the younger takes its place.
#[derive(Default)]
struct Generations {
    younger: HashMap<ClientId, Entry>,
    older: HashMap<ClientId, Entry>,
}

struct Entry {
    client: Arc<Client>,
    /// At most one for each of its secrets, by place.
    proofs: Vec<(usize, Proof)>,
}

impl Verified {
    pub(super) fn new(most: usize) -> Self {
        Self { most, key: OnceLock::new(), generations: Mutex::default() }
    }

    /// What would be kept if `presented` were right. `None` where nothing is kept.
    pub(super) fn proof(&self, current: &ClientSecretHash, presented: &str, random: &RandomSource) -> Option<Proof> {
        let key = match self.key.get() {
            _ if self.most == 0 => return None,
            Some(key) => key,
            None => {
                let mut bytes = Zeroizing::new([0; 32]);
                random.fill(&mut *bytes).ok()?;
                self.key.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, &*bytes))
            }
        };
        let mut context = hmac::Context::with_key(key);
        context.update(current.digest());
        context.update(presented.as_bytes());
        context.sign().as_ref().try_into().ok()
    }

    /// The place of the secret that this proof was made with, if it was right for this very client and counts at `now`.
    pub(super) fn find(&self, client: &Arc<Client>, proof: &Proof, now: OffsetDateTime) -> Option<usize> {
        let (kept, place) = {
            let mut generations = self.generations();
            let entry = generations.get(client.client_id(), self.half())?;
            let proven = |(_, kept): &&(usize, Proof)| bool::from(kept.ct_eq(proof));
            (entry.client.clone(), entry.proofs.iter().find(proven)?.0)
        };
        // Compared without the lock: a store that builds a client at each look-up has another one each time.
        let is_same = Arc::ptr_eq(&kept, client) || kept == *client;
        let is_live = |secret: &StoredSecret| secret.is_live(now);
        (is_same && client.client_secrets().get(place).is_some_and(is_live)).then_some(place)
    }

    /// Keeps that this client was right.
    pub(super) fn insert(&self, authenticated: &AuthenticatedClient, proof: Option<Proof>) {
        let Some(proof) = proof else { return };
        let (client, place) = (authenticated.client(), authenticated.place());
        let mut generations = self.generations();
        let entry = generations.get(client.client_id(), self.half());
        let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.client, client) || entry.client == *client) else {
            let entry = Entry { client: client.clone(), proofs: vec![(place, proof)] };
            generations.insert(client.client_id(), entry, self.half());
            return;
        };
        entry.proofs.retain(|(other, _)| *other != place);
        entry.proofs.push((place, proof));
    }

    const fn half(&self) -> usize {
        self.most.div_ceil(2)
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    /// The entry of a client, which is young again.
    fn get(&mut self, client_id: &ClientId, half: usize) -> Option<&mut Entry> {
        if let Some(entry) = self.older.remove(client_id) {
            self.insert(client_id, entry, half);
        }
        self.younger.get_mut(client_id)
    }

    fn insert(&mut self, client_id: &ClientId, entry: Entry, half: usize) {
        self.older.remove(client_id);
        if self.younger.len() >= half && !self.younger.contains_key(client_id) {
            self.older = take(&mut self.younger);
        }
        self.younger.insert(client_id.clone(), entry);
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let entry = |id: &str| {
            let client = Client::builder(id).build().unwrap();
            (client.client_id().clone(), Entry { client: Arc::new(client), proofs: Vec::new() })
        };
        let mut generations = Generations::default();
        let used = ClientId::parse("used").unwrap();
        let (_, first) = entry("used");
        generations.insert(&used, first, 5);
        for n in 0..100 {
            let (id, entry) = entry(&n.to_string());
            generations.insert(&id, entry, 5);
            assert!(generations.younger.len() <= 5 && generations.older.len() <= 5);
            assert!(generations.get(&id, 5).is_some() && generations.get(&used, 5).is_some(), "{n}");
        }
        assert!(generations.get(&ClientId::parse("50").unwrap(), 5).is_none());
    }

    #[test]
    fn a_proof_depends_on_key_digest_and_secret() {
        let hash = |text: &str| -> ClientSecretHash { text.parse().unwrap() };
        let one = hash("$pbkdf2-sha256$i=2$c2FsdHNhbHQ$AnGU186ifJGhVOzWISODRDr+KWh19aAI8GHYT95EtV4");
        let other = hash("$pbkdf2-sha256$i=2$c2FsdHNhbHQ$BnGU186ifJGhVOzWISODRDr+KWh19aAI8GHYT95EtV4");
        let random = RandomSource::default();
        let verified = Verified::new(1);
        let proof = verified.proof(&one, "a", &random);
        assert!(proof.is_some() && proof == verified.proof(&one, "a", &random));
        for differs in [
            verified.proof(&one, "b", &random),
            verified.proof(&other, "a", &random),
            Verified::new(1).proof(&one, "a", &random),
            Verified::new(0).proof(&one, "a", &random),
        ] {
            assert_ne!(proof, differs);
        }
    }
}
