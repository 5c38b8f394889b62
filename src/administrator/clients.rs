use std::time::Instant;

use super::{Administrator, Subject};
use crate::{
    AuditAction, BackendError, Client, ClientBuilder, ClientId, ClientRegistry, ClientSecret, ClientSecretHash, Error,
    Registered, TokenStore, Version, observe,
};

impl<S: ClientRegistry + TokenStore, T> Administrator<'_, S, T> {
    /// The clients whose identifier or name contains `filter`, by identifier, from the `skip`th on and `most` at most; and how
    /// many there are in all.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn list_clients(&self, filter: &str, skip: usize, most: usize) -> Result<(Vec<Client>, usize), Error> {
        let list = async {
            Ok(observe::Call::ListClients.begin().end(self.server.store().list_clients(filter, skip, most).await)?)
        };
        self.recorded(&Subject::new(AuditAction::ListClients, None), list).await
    }

    /// A client, and the version to update it by.
    ///
    /// # Errors
    /// When there is none.
    pub async fn client(&self, client_id: &ClientId) -> Result<(Client, Version), Error> {
        let subject = Subject::new(AuditAction::ReadClient, client_id);
        self.recorded(&subject, self.find(client_id, &subject)).await
    }

    /// Registers a client with a new secret, which is known to nobody but who gets it here. It expires as the configuration says.
    ///
    /// # Errors
    /// When there is a client of this identifier, a member is wrong, or a role of it is not defined: its resources are what its
    /// definition says.
    pub async fn create_client(&self, client: ClientBuilder) -> Result<(Client, ClientSecret), Error> {
        let client_id = client.client_id().cloned();
        let register = async {
            let random = self.server.random();
            let secret = ClientSecret::generate(random)?;
            let stored = self.new_secret(ClientSecretHash::generated(&secret, random)?);
            let mut client = client.client_secrets([stored]).client_id_issued_at(self.now);
            for role in client.roles()? {
                client = client.role(self.defined_role(role.id()).await?);
            }
            let client = client.build()?;
            client.check_scopes()?;
            self.may_touch(&client)?;
            match observe::Call::Register.begin().end(self.server.store().register(client.clone()).await)? {
                Registered::New(_) => Ok((client, secret)),
                Registered::Exists => Err(Error::AlreadyExists("client")),
            }
        };
        self.recorded(&Subject::new(AuditAction::CreateClient, client_id.as_ref()), register).await
    }

    /// An identifier for a new client.
    pub(crate) fn new_client_id(&self) -> Result<ClientId, BackendError> {
        ClientId::generate(self.server.random())
    }

    /// Changes the metadata of a client, if it is still of the version that was read, or whatever version there is when that is
    /// `None`. It counts from the next request on; access tokens that are out go on until they expire, but for those of a client
    /// that is disabled, which do not count [here](crate::AuthorizationServer::check_token) any more.
    ///
    /// # Errors
    /// [`Error::StaleVersion`] when it has changed since; when there is no such client, or a member would be wrong.
    pub async fn update_client(
        &self,
        client_id: &ClientId,
        version: Option<Version>,
        change: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Version, Error> {
        self.update(client_id, version, |client| Ok(change(client))).await
    }

    pub(crate) async fn update(
        &self,
        client_id: &ClientId,
        version: Option<Version>,
        change: impl Fn(ClientBuilder) -> Result<ClientBuilder, Error>,
    ) -> Result<Version, Error> {
        let subject = Subject::new(AuditAction::UpdateClient, client_id);
        let update = async {
            let change = |client: Client| {
                self.may_touch(&client)?;
                let client = change(client.into_builder())?.build()?;
                client.check_scopes()?;
                Ok(client.into_builder())
            };
            Ok(self.change(client_id, &subject, version, change).await?.1)
        };
        self.recorded(&subject, update).await
    }

    /// Ends all tokens of a client that are out, of whatever kind, and its API keys: those that were issued before this call began.
    /// JWTs that an API checks by itself go on there. The client stays, and may ask for new ones.
    ///
    /// It is one entry in the store, however many tokens there are, and the time of issue decides. Where several instances issue,
    /// call it again after as long as their clocks may differ: an instance whose clock is ahead has dated its tokens later. A JWT
    /// tells its time to the second, so one that is issued within the same second counts as one from before.
    ///
    /// # Errors
    /// When there is no such client. When the store fails, tokens may still stand: ask again.
    pub async fn revoke_tokens(&self, client_id: &ClientId) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::RevokeTokens, client_id);
        let revoke = async {
            self.may_touch(&self.find(client_id, &subject).await?.0)?;
            Ok(observe::Call::RevokeAll.begin().end(self.server.store().revoke_all(client_id, self.now).await)?)
        };
        self.recorded(&subject, revoke).await
    }

    /// Deletes a client. Its tokens and API keys end with it.
    ///
    /// # Errors
    /// When there is none. When the store fails, the client or its tokens may still be there: ask again.
    pub async fn delete_client(&self, client_id: &ClientId) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::DeleteClient, client_id);
        let delete = async {
            self.may_touch(&self.find(client_id, &subject).await?.0)?;
            let store = self.server.store();
            // The tokens first: where a later step fails, the client is still there to be deleted again.
            store.revoke_all(client_id, self.now).await?;
            if !store.delete(client_id).await? {
                return Err(Error::NotFound("client"));
            }
            // And those of requests that came in between.
            Ok(store.revoke_all(client_id, self.now.saturating_add(elapsed(self.begun))).await?)
        };
        self.recorded(&subject, delete).await
    }
}

fn elapsed(since: Instant) -> time::Duration {
    time::Duration::try_from(since.elapsed()).unwrap_or(time::Duration::MAX)
}
