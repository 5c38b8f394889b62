use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::Administrator;
use crate::{
    AuditAction, BackendError, Client, ClientBuilder, ClientId, ClientRegistry, ClientSecret, ClientSecretHash, Error,
    RandomSource, Registered, Role, StoredSecret, TokenStore, Version,
};

impl<S: ClientRegistry + TokenStore, T> Administrator<'_, S, T> {
    /// The clients whose identifier or name contains `filter`, by identifier, from the `skip`th on and `most` at most; and how
    /// many there are in all.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn list_clients(&self, filter: &str, skip: usize, most: usize) -> Result<(Vec<Client>, usize), Error> {
        let list = async { Ok(self.server.store().list_clients(filter, skip, most).await?) };
        self.recorded(AuditAction::ListClients, None, None, list).await
    }

    /// A client, and the version to update it by.
    ///
    /// # Errors
    /// When there is none.
    pub async fn client(&self, client_id: &ClientId) -> Result<(Client, Version), Error> {
        self.recorded(AuditAction::ReadClient, Some(client_id), None, self.find(client_id)).await
    }

    /// Registers a client with a new secret, which is known to nobody but who gets it here. It expires as the configuration says.
    ///
    /// # Errors
    /// When there is a client of this identifier, a member is wrong, or a role of it is not defined: its resources are what its
    /// definition says.
    pub async fn create_client(&self, client: ClientBuilder) -> Result<(Client, ClientSecret), Error> {
        let random = self.server.random();
        let secret = ClientSecret::generate(random)?;
        let stored = self.new_secret(ClientSecretHash::generated(&secret, random)?);
        let mut client = client.client_secrets([stored]).client_id_issued_at(self.now);
        for role in client.roles()? {
            client = client.role(self.defined_role(role.id()).await?);
        }
        let client = client.build()?;
        let register = async {
            client.check_scopes()?;
            self.may_hand_out(&client)?;
            match self.server.store().register(client.clone()).await? {
                Registered::New(_) => Ok(()),
                Registered::Exists => Err(Error::AlreadyExists("client")),
            }
        };
        self.recorded(AuditAction::CreateClient, Some(client.client_id()), None, register).await?;
        Ok((client, secret))
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
        let update = async {
            let change = |client: Client| {
                let client = change(client.into_builder()).build()?;
                client.check_scopes()?;
                Ok(client.into_builder())
            };
            Ok(self.change(client_id, version, change).await?.1)
        };
        self.recorded(AuditAction::UpdateClient, Some(client_id), None, update).await
    }

    /// Deletes a client. Its opaque tokens and API keys end with it.
    ///
    /// # Errors
    /// When there is none. When the store fails, the client or its tokens may still be there: ask again.
    pub async fn delete_client(&self, client_id: &ClientId) -> Result<(), Error> {
        let delete = async {
            self.find(client_id).await?;
            // The tokens first: where the second step fails, the client is still there to be deleted again.
            self.server.store().revoke_all(client_id, self.now).await?;
            let deleted = self.server.store().delete(client_id).await?;
            if deleted { Ok(()) } else { Err(Error::NotFound("client")) }
        };
        self.recorded(AuditAction::DeleteClient, Some(client_id), None, delete).await
    }

    /// A secret that was made now, and expires as the configuration says.
    pub(super) fn new_secret(&self, hash: ClientSecretHash) -> StoredSecret {
        let lifetime = self.server.config().client_secret_expiration();
        let lifetime = lifetime.map(|lifetime| time::Duration::try_from(lifetime).unwrap_or(time::Duration::MAX));
        let expires_at = lifetime.map(|lifetime| self.now.saturating_add(lifetime));
        StoredSecret::new(hash).with_created_at(self.now).with_expires_at(expires_at)
    }

    /// Registers the first administrator: the client `administrator`, which holds [`Role::superuser`], where there is no client
    /// at all, so call it before anything else makes one. Its secret is shown here and never again; where there are clients
    /// already, nothing is done. If there is no superuser among them (any more), [`create_client`](Self::create_client) with
    /// [`Role::superuser`] makes one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_first_administrator(&self) -> Result<Option<(Client, ClientSecret)>, Error> {
        if self.server.store().list_clients("", 0, 1).await?.1 > 0 {
            return Ok(None);
        }
        let client = Client::builder("administrator").client_name("The first administrator");
        match self.create_client(client.seacatauth_credentials(true).role(Role::superuser())).await {
            Ok(created) => Ok(Some(created)),
            // Another instance was faster.
            Err(Error::AlreadyExists(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl ClientId {
    /// A new one: 16 random bytes as base64url, 22 characters.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn generate(random: &RandomSource) -> Result<Self, BackendError> {
        let mut bytes = [0; 16];
        random.fill(&mut bytes)?;
        Ok(Self::parse(BASE64_URL_SAFE_NO_PAD.encode(bytes))?)
    }
}
