use std::time::Duration;

use super::{Administrator, Subject, Target, secret};
use crate::{
    AuditAction, Client, ClientId, ClientRegistry, ClientSecret, ClientSecretHash, Error, StoredSecret, TokenStore,
};

impl<S: ClientRegistry + TokenStore, T> Administrator<'_, S, T> {
    /// Gives a client a new secret, which is known to nobody but who gets it here.
    ///
    /// Without an overlap the old one ends at once, and with it all that still counted. With one, they go on beside it for that
    /// long, so that a client can change over without an outage.
    ///
    /// # Errors
    /// When there is no such client, it would have more live secrets than the configuration allows, or it holds resources that
    /// govern this server and this administrator does not.
    pub async fn reset_secret(
        &self,
        client_id: &ClientId,
        overlap: Option<Duration>,
    ) -> Result<(ClientSecret, StoredSecret), Error> {
        let subject = Subject::new(AuditAction::ResetSecret, client_id);
        let reset = async {
            let random = self.server.random();
            let secret = ClientSecret::generate(random)?;
            let change = |client: Client| {
                self.may_touch(&client)?;
                let old = overlap.map(|overlap| self.ending(&client, overlap)).unwrap_or_default();
                if old.len() >= self.server.config().max_client_secrets() {
                    return Err(Error::TooManySecrets);
                }
                let hash = match old.first() {
                    Some(old) => old.hash().beside(&secret, random)?,
                    None => ClientSecretHash::generated(&secret, random)?,
                };
                Ok(client.into_builder().client_secrets([self.new_secret(hash)].into_iter().chain(old)))
            };
            let (client, _) = self.change(client_id, &subject, None, change).await?;
            let stored = client.client_secrets().first().cloned().ok_or(Error::NotFound("secret"))?;
            Ok((secret, stored))
        };
        self.recorded(&subject, reset).await
    }

    /// The live secrets of a client, none of them to end later than after `overlap`.
    fn ending(&self, client: &Client, overlap: Duration) -> Vec<StoredSecret> {
        let overlap = time::Duration::try_from(overlap).unwrap_or(time::Duration::MAX);
        let end = self.now.saturating_add(overlap);
        let live = client.client_secrets().iter().filter(|secret| secret.is_live(self.now));
        let ending = |secret: &StoredSecret| {
            let end = secret.expires_at().map_or(end, |at| at.min(end));
            secret.clone().with_expires_at(end)
        };
        live.map(ending).collect()
    }

    /// The secrets of a client, without their values, which nobody knows: the current one first.
    ///
    /// # Errors
    /// When there is no such client.
    pub async fn secrets(&self, client_id: &ClientId) -> Result<Vec<StoredSecret>, Error> {
        let subject = Subject::new(AuditAction::ListSecrets, client_id);
        let list = async { Ok(self.find(client_id, &subject).await?.0.client_secrets().to_vec()) };
        self.recorded(&subject, list).await
    }

    /// Ends a secret of a client by its [id](StoredSecret::id), or all of them when that is `None`: then the client cannot
    /// authenticate until it gets a new one.
    ///
    /// # Errors
    /// When there is no such client or secret.
    pub async fn retire_secret(&self, client_id: &ClientId, secret_id: Option<&str>) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::RetireSecret, client_id).with_target(secret_id.map(Target::Secret));
        let retire = async {
            let change = |client: Client| {
                self.may_touch(&client)?;
                if let Some(id) = secret_id {
                    secret(&client, id).ok_or(Error::NotFound("secret"))?;
                    subject.found_target();
                }
                let stays = |secret: &&StoredSecret| secret_id.is_some_and(|id| secret.id() != id);
                let staying: Vec<_> = client.client_secrets().iter().filter(stays).cloned().collect();
                Ok(client.into_builder().client_secrets(staying))
            };
            self.change(client_id, &subject, None, change).await.map(drop)
        };
        self.recorded(&subject, retire).await
    }

    /// A secret that was made now, and expires as the configuration says.
    pub(super) fn new_secret(&self, hash: ClientSecretHash) -> StoredSecret {
        let lifetime = self.server.config().client_secret_expiration();
        let lifetime = lifetime.map(|lifetime| time::Duration::try_from(lifetime).unwrap_or(time::Duration::MAX));
        let expires_at = lifetime.map(|lifetime| self.now.saturating_add(lifetime));
        StoredSecret::new(hash).with_created_at(self.now).with_expires_at(expires_at)
    }
}
