//! Fast hashes of machine-made secrets that have slow ones, noted in memory so that no request has to wait for a write.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;

use crate::{
    AuditAction, AuditEvent, AuthorizationServer, BackendError, ClientId, ClientRegistry, ClientSecret,
    ClientSecretHash, RandomSource, SecretClass, StoredSecret, Updated, authentication::AuthenticatedClient, observe,
    secret::looks_machine_made,
};

/// For how many clients something is noted at most. What finds no room is noted at a later request.
const MOST: usize = 10_000;

/// What is to be written, by client.
#[derive(Default)]
pub(crate) struct Upgrades(Mutex<HashMap<ClientId, Upgrade>>);

/// Which hash is to take the place of which.
#[derive(Clone)]
struct Upgrade {
    old: ClientSecretHash,
    new: ClientSecretHash,
    /// When the secret was presented.
    at: OffsetDateTime,
}

impl Upgrades {
    /// Notes a fast hash of the secret that this client has just proven itself with, if it is one that nobody could guess.
    pub(super) fn note(
        &self,
        client: &AuthenticatedClient,
        presented: &str,
        at: OffsetDateTime,
        random: &RandomSource,
    ) {
        let Some(old) = client.client_secret().map(StoredSecret::hash) else { return };
        if old.class() == SecretClass::Generated || !looks_machine_made(presented) {
            return;
        }
        // One salt for all that are fast makes one verification of them.
        let mut hashes = client.client().client_secrets().iter().map(StoredSecret::hash);
        let beside = hashes.find(|hash| hash.class() == SecretClass::Generated).unwrap_or(old);
        let Ok(new) = beside.beside(&ClientSecret::new(presented.to_owned()), random) else { return };
        let (client_id, mut noted) = (client.client().client_id(), self.noted());
        if noted.len() < MOST || noted.contains_key(client_id) {
            noted.insert(client_id.clone(), Upgrade { old: old.clone(), new, at });
        }
    }

    fn all(&self) -> Vec<(ClientId, Upgrade)> {
        self.noted().iter().map(|(id, upgrade)| (id.clone(), upgrade.clone())).collect()
    }

    /// Forgets what was written, unless another secret of the client was noted since.
    fn forget(&self, client_id: &ClientId, written: &Upgrade) {
        let mut noted = self.noted();
        if noted.get(client_id).is_some_and(|upgrade| upgrade.old == written.old) {
            noted.remove(client_id);
        }
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<ClientId, Upgrade>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: ClientRegistry, T> AuthorizationServer<S, T> {
    /// Writes down the fast hashes that were [noted](Self::with_hashes_upgraded) since this was last called, each if the
    /// client still has the secret, and returns how many these were. Each is an event of the audit. Call it from time to
    /// time, as with [`record_uses`](Self::record_uses): no request does it.
    ///
    /// The secret keeps its dates and gets another [id](StoredSecret::id).
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    ///
    /// use client_credentials::{AuthorizationServer, ClientRegistry, Config, MemoryStore, OpaqueIssuer, now};
    ///
    /// async fn upgrade<S: ClientRegistry, T>(server: Arc<AuthorizationServer<S, T>>) {
    ///     let mut interval = tokio::time::interval(Duration::from_secs(60));
    ///     loop {
    ///         interval.tick().await;
    ///         if let Err(error) = server.upgrade_hashes(now()).await {
    ///             eprintln!("{error}"); // and all of it is tried again
    ///         }
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let store = MemoryStore::default();
    /// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    /// let server = Arc::new(server.with_hashes_upgraded());
    /// tokio::spawn(upgrade(server.clone()));
    /// # tokio::task::yield_now().await;
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the store fails. What was not written is noted still.
    pub async fn upgrade_hashes(&self, now: OffsetDateTime) -> Result<usize, BackendError> {
        let Some(upgrades) = self.upgrades() else { return Ok(0) };
        let mut written = 0;
        for (client_id, upgrade) in upgrades.all() {
            if let Some(secret) = self.upgrade_hash(&client_id, &upgrade).await? {
                written += 1;
                let (client_id, id) = (Some(client_id.as_str()), secret.id());
                let event = AuditEvent::new(now, AuditAction::UpgradeSecretHash);
                self.record(AuditEvent { client_id, target: Some(&id), ..event });
                if self.uses().is_some() {
                    // The id is new, and the secret is not unused.
                    observe::Call::RecordUses.begin().end(self.store().record_uses(&[(id, upgrade.at)]).await)?;
                }
            }
            upgrades.forget(&client_id, &upgrade);
        }
        Ok(written)
    }

    /// The secret with its new hash, if it was still there to get one.
    async fn upgrade_hash(
        &self,
        client_id: &ClientId,
        upgrade: &Upgrade,
    ) -> Result<Option<StoredSecret>, BackendError> {
        while let Some((client, version)) = observe::Call::Read.begin().end(self.store().read(client_id).await)? {
            let mut secrets = client.client_secrets().to_vec();
            let Some(secret) = secrets.iter_mut().find(|secret| *secret.hash() == upgrade.old) else { break };
            let upgraded = StoredSecret::new(upgrade.new.clone())
                .with_created_at(secret.created_at())
                .with_expires_at(secret.expires_at());
            *secret = upgraded.clone();
            let client = client.into_builder().client_secrets(secrets).build()?;
            match observe::Call::Update.begin().end(self.store().update(client, version).await)? {
                Updated::Done(_) => return Ok(Some(upgraded)),
                Updated::Unknown => break,
                Updated::Stale => {} // each time, some other change got through
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgrades")
    }
}
