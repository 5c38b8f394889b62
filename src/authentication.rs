//! Who is asking: the credentials in a request (RFC 6749 §2.3), and whether they are the client's.

mod basic;
pub(crate) mod bearer;
mod misspelling;
mod token;

use std::{fmt, sync::Arc};

use time::OffsetDateTime;

use crate::{
    AuthorizationServer, Client, ClientSecretHash, ClientStore, Config, Error, Request, SecretClass, StoredSecret,
    TokenEndpointAuthMethod, client::is_client_id, form::Decoded, observe, request::Field, verification::Digests,
};
use basic::BasicCredentials;

/// The credentials of a request, in the one way in which they came. `Debug` shows only the way.
pub(crate) enum ClientAuthentication<'a> {
    Basic(BasicCredentials),
    Post { client_id: Decoded<'a>, client_secret: Decoded<'a> },
}

impl<'a> ClientAuthentication<'a> {
    /// Takes the credentials from the `Authorization` header or from the body, and from one of them only (§2.3).
    pub(crate) fn parse(
        authorization: Field<'_>,
        client_id: Option<Decoded<'a>>,
        client_secret: Option<Decoded<'a>>,
    ) -> Result<Self, Error> {
        let header = match authorization {
            Field::Absent => None,
            Field::Once(value) => Some(value),
            Field::Repeated => return Err(Error::SeveralAuthentications),
        };
        match (header, client_id, client_secret) {
            (Some(_), _, Some(_)) => Err(Error::SeveralAuthentications),
            (Some(header), client_id, None) => {
                let basic = BasicCredentials::parse(header)?;
                match client_id {
                    Some(id) if *id != *basic.client_id() => Err(Error::ClientIdMismatch),
                    _ => Ok(Self::Basic(basic)),
                }
            }
            (None, Some(client_id), Some(client_secret))
                if is_client_id(&client_id) && is_client_secret(&client_secret) =>
            {
                Ok(Self::Post { client_id, client_secret })
            }
            (None, Some(_), Some(secret)) if secret.ends_with(['\n', '\r']) => Err(Error::LineEndInCredentials),
            (None, Some(_), Some(_)) => Err(Error::MalformedCredentials),
            (None, None, Some(_)) => Err(Error::MissingParameter("client_id")),
            (None, _, None) => Err(Error::NoAuthentication),
        }
    }

    pub(crate) fn client_id(&self) -> &str {
        match self {
            Self::Basic(basic) => basic.client_id(),
            Self::Post { client_id, .. } => client_id,
        }
    }

    /// Whether these are the credentials of `client`, which a store found by [`Self::client_id`].
    pub(crate) fn authenticate(
        &self,
        client: Option<Arc<Client>>,
        received_at: OffsetDateTime,
        config: &Config,
    ) -> Result<AuthenticatedClient, Error> {
        self.decide(client, received_at, config, |hash| hash.digest_of(self.client_secret()))
    }

    /// The same, when `digest_of` tells what the digest of the presented secret is beside a hash.
    ///
    /// Every refusal costs one verification, so that its time does not tell why; the cause is looked for afterwards.
    fn decide(
        &self,
        client: Option<Arc<Client>>,
        received_at: OffsetDateTime,
        config: &Config,
        mut digest_of: impl FnMut(&ClientSecretHash) -> [u8; 32],
    ) -> Result<AuthenticatedClient, Error> {
        let client = self.its(client);
        let secrets = client.as_ref().map(|client| client.client_secrets()).unwrap_or_default();
        if secrets.is_empty() {
            let decoy = config.unknown_client_secret_hash();
            let _ = decoy.has(&digest_of(decoy));
        }
        let found = StoredSecret::find(secrets, received_at, digest_of);
        let found = found.map(|(place, secret)| (place, secret.is_live(received_at)));

        let has_secret = !secrets.is_empty();
        let client = client.ok_or(Error::UnknownClient)?;
        match found {
            None if has_secret => Err(Error::WrongSecret),
            None => Err(Error::NoSecretRegistered),
            Some((_, false)) => Err(Error::ExpiredSecret),
            Some(_) if client.token_endpoint_auth_method() != self.method() => Err(Error::WrongMethod),
            Some((secret, true)) => Ok(AuthenticatedClient { client, secret }),
        }
    }

    /// A store that compares without case must not let one client pass for another.
    fn its(&self, client: Option<Arc<Client>>) -> Option<Arc<Client>> {
        client.filter(|client| client.client_id().as_str() == self.client_id())
    }

    /// Those of the hashes that decide about these credentials whose verification is slow. Nearly always there are none.
    fn slow(&self, client: Option<&Client>, now: OffsetDateTime, config: &Config) -> Vec<ClientSecretHash> {
        let secrets = client.map(Client::client_secrets).unwrap_or_default();
        let decoy = Some(config.unknown_client_secret_hash()).filter(|_| secrets.is_empty());
        let hashes = StoredSecret::looked_at(secrets, now).map(|(_, secret)| secret.hash()).chain(decoy);
        hashes.filter(|hash| hash.class() == SecretClass::Chosen).cloned().collect()
    }

    fn client_secret(&self) -> &str {
        match self {
            Self::Basic(basic) => basic.client_secret(),
            Self::Post { client_secret, .. } => client_secret,
        }
    }

    const fn method(&self) -> TokenEndpointAuthMethod {
        match self {
            Self::Basic(_) => TokenEndpointAuthMethod::ClientSecretBasic,
            Self::Post { .. } => TokenEndpointAuthMethod::ClientSecretPost,
        }
    }
}

/// A client that has proven who it is. There is no other way to one than [`ClientAuthentication::authenticate`].
#[derive(Debug)]
pub(crate) struct AuthenticatedClient {
    client: Arc<Client>,
    /// The place of the secret among the client's.
    secret: usize,
}

impl AuthenticatedClient {
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// The secret by which it has proven itself.
    pub(crate) fn client_secret(&self) -> Option<&StoredSecret> {
        self.client.client_secrets().get(self.secret)
    }

    /// The same, if it is not the client's current one.
    pub(crate) fn retiring_secret(&self) -> Option<&StoredSecret> {
        self.client_secret().filter(|_| self.secret > 0)
    }
}

impl<S: ClientStore, T> AuthorizationServer<S, T> {
    /// The client whose credentials these are, which came with this request.
    pub(crate) async fn authenticate(
        &self,
        authentication: &ClientAuthentication<'_>,
        request: &Request<'_>,
    ) -> Result<AuthenticatedClient, Error> {
        let now = request.received_at;
        let attempt = self.attempt(authentication.client_id(), request).await?;
        let client = self.verify(authentication, request).await;
        if let Some(attempt) = attempt {
            attempt.end(self, client.as_ref().err()).await;
        }
        let client = client?;
        if let (Some(uses), Some(secret)) = (self.uses(), client.client_secret()) {
            uses.secret(secret, now);
        }
        Ok(client)
    }

    /// The same, whatever has failed before.
    async fn verify(
        &self,
        authentication: &ClientAuthentication<'_>,
        request: &Request<'_>,
    ) -> Result<AuthenticatedClient, Error> {
        let now = request.received_at;
        let found = observe::store("find_client", self.store().find_client(authentication.client_id())).await?;
        let client = authentication.its(found);
        if let Some(client) = &client {
            observe::client(client.client_id().as_str());
        }
        let looked_at = self.are_misspellings_noted().then(|| client.clone());
        let slow = authentication.slow(client.as_deref(), now, self.config());
        let authenticated = if slow.is_empty() {
            authentication.authenticate(client, now, self.config())
        } else {
            // In a box, so that nobody else has to carry it.
            Box::pin(self.authenticate_slowly(authentication, client, slow, request)).await
        };
        authenticated.map_err(|cause| match looked_at {
            Some(client) => misspelling::told_from(cause, authentication, client.as_deref(), request),
            None => cause,
        })
    }

    /// The same where a hash is slow to verify: on other threads, unless the client has proven itself by this secret before.
    async fn authenticate_slowly(
        &self,
        authentication: &ClientAuthentication<'_>,
        client: Option<Arc<Client>>,
        slow: Vec<ClientSecretHash>,
        request: &Request<'_>,
    ) -> Result<AuthenticatedClient, Error> {
        let (presented, now, verification) = (authentication.client_secret(), request.received_at, self.verification());
        let tag = verification.tag(presented, self.random());
        let known = client.as_ref().zip(tag.as_ref()).and_then(|(client, tag)| verification.known(client, tag));
        let all_known = known.filter(|known| slow.iter().all(|hash| digest_in(known, hash).is_some()));
        let digests = match all_known {
            Some(digests) => digests,
            None => {
                // One source gets no more turns by inventing clients.
                let source = request.source.map(|source| source.to_string());
                let lane = source.as_deref().unwrap_or_else(|| authentication.client_id());
                verification.compute(slow, presented, lane).await?
            }
        };
        let digest_of =
            |hash: &ClientSecretHash| digest_in(&digests, hash).unwrap_or_else(|| hash.digest_of(presented));
        let client = authentication.decide(client, now, self.config(), digest_of)?;
        if let Some(tag) = tag {
            verification.keep(client.client(), tag, digests);
        }
        Ok(client)
    }
}

fn digest_in(digests: &Digests, hash: &ClientSecretHash) -> Option<[u8; 32]> {
    digests.iter().find(|(of, _)| of == hash || of.is_salted_like(hash)).map(|(_, digest)| *digest)
}

impl fmt::Debug for ClientAuthentication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.method())
    }
}

/// RFC 6749 Appendix A.2 leaves no room for control characters, nor does RFC 7617 §2. Characters beyond ASCII are let
/// through: a secret from another system may have them.
fn is_client_secret(text: &str) -> bool {
    // Without an early exit the compiler looks at many bytes at once, and nearly every secret ends here.
    let printable_ascii = text.bytes().fold(true, |all, b| all & matches!(b, 0x20..=0x7E));
    printable_ascii || !text.chars().any(char::is_control)
}
