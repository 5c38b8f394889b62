//! Secrets whose hashes are slow: verified beside the executor, and after that recognized for as long as nothing changes.

mod pool;
mod upgrades;
mod verified;

use std::sync::Arc;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use self::{
    pool::Pool,
    upgrades::Upgrades,
    verified::{Proof, Verified},
};
use crate::{
    AuthorizationServer, Client, ClientSecretHash, Error, Request, SecretClass, StoredSecret,
    authentication::{self, AuthenticatedClient, ClientAuthentication},
    throttle::Ticket,
};

/// What a server has for its slow verifications. Its threads end with it.
#[derive(Debug)]
pub(crate) struct Verification {
    settings: Settings,
    pool: Pool,
    verified: Verified,
    upgrades: Option<Upgrades>,
}

/// What the host can set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `None` for half of what the machine has.
    pub(crate) threads: Option<usize>,
    /// How many verifications wait at most.
    pub(crate) queue: usize,
    /// For how many clients it is known which secret was right.
    pub(crate) verified: usize,
    pub(crate) upgrades: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { threads: None, queue: 256, verified: 10_000, upgrades: false }
    }
}

impl Verification {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            pool: Pool::new(settings.threads, settings.queue),
            verified: Verified::new(settings.verified),
            upgrades: settings.upgrades.then(Upgrades::default),
        }
    }

    pub(crate) const fn settings(&self) -> Settings {
        self.settings
    }
}

impl<S, T> AuthorizationServer<S, T> {
    /// Whether `client`, or the lack of one, has these credentials, where it takes long to find out.
    ///
    /// Who is refused has cost one verification in the pool, whoever it was; who was right before costs none.
    pub(crate) async fn authenticate_slowly(
        &self,
        authentication: &ClientAuthentication<'_>,
        client: Option<Arc<Client>>,
        request: &Request<'_>,
        attempt: Option<&Ticket<'_>>,
    ) -> Result<AuthenticatedClient, Error> {
        let now = request.received_at;
        let Verification { pool, verified, upgrades, .. } = self.verification();
        let presented = authentication.client_secret();
        let (proof, proven) = self.proof(client.as_ref(), presented, now);
        let found = match proven {
            Some(place) => Some(place),
            None => {
                let (client, decoy) = (client.clone(), self.config().unknown_client_secret_hash().clone());
                let presented = Zeroizing::new(presented.to_owned());
                let find = move || authentication::find(client.as_deref(), &decoy, &presented, now);
                // No source gets more turns by inventing clients.
                let source = request.network().map(|network| network.to_string());
                let lane = source.as_deref().unwrap_or_else(|| authentication.client_id());
                pool.run(lane, attempt.map(Ticket::has_begun), find).await?
            }
        };
        let client = authentication.decide(client, found, now)?;
        if proven.is_none() {
            verified.insert(&client, proof);
            if let Some(upgrades) = upgrades {
                upgrades.note(&client, presented, now, self.random());
            }
        }
        Ok(client)
    }

    /// Whether it is known already that this secret of `client` is right. It costs one HMAC, whether there is such a client or not.
    pub(crate) fn is_proven(&self, client: Option<&Arc<Client>>, secret: &str, now: OffsetDateTime) -> bool {
        self.proof(client, secret, now).1.is_some()
    }

    /// The proof that is kept where this secret is right, and the place of the secret if it is kept.
    fn proof(&self, client: Option<&Arc<Client>>, secret: &str, now: OffsetDateTime) -> (Option<Proof>, Option<usize>) {
        let (verified, decoy) = (&self.verification().verified, self.config().unknown_client_secret_hash());
        let current = client.and_then(|client| client.client_secret_hash()).unwrap_or(decoy);
        let proof = verified.proof(current, secret, self.random());
        (proof, client.zip(proof).and_then(|(client, proof)| verified.find(client, &proof, now)))
    }

    /// Whether the audit is to be told that secrets come faster than they are verified, which it is once.
    pub(crate) fn is_news_that_overloaded(&self) -> bool {
        self.verification().pool.is_news_that_full()
    }

    /// What waits to be written by [`Self::upgrade_hashes`], if anything can.
    pub(crate) fn upgrades(&self) -> Option<&Upgrades> {
        self.verification().upgrades.as_ref()
    }
}

/// Whether it takes long to find out which of these secrets is presented; for none, whether the decoy does.
pub(crate) fn is_slow(secrets: &[StoredSecret], decoy: &ClientSecretHash, now: OffsetDateTime) -> bool {
    let is_slow = |hash: &ClientSecretHash| hash.class() != SecretClass::Generated;
    if secrets.is_empty() {
        is_slow(decoy)
    } else {
        // Most clients have none that is.
        secrets.iter().any(|secret| is_slow(secret.hash()))
            && StoredSecret::looked_at(secrets, now).any(|(_, secret)| is_slow(secret.hash()))
    }
}

#[cfg(test)]
mod tests;
