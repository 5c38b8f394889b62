//! Who is asking: the credentials in a request (RFC 6749 §2.3), and whether they are the client's.

mod basic;
pub(crate) mod bearer;
mod misspelling;
mod token;

use std::{fmt, sync::Arc};

use time::OffsetDateTime;

use crate::{
    AuthorizationServer, Client, ClientSecretHash, ClientStore, Config, Error, Request, StoredSecret,
    TokenEndpointAuthMethod, client::is_client_id, form::Decoded, observe, request::Field, throttle::Ticket,
    verification,
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
    ///
    /// Every refusal costs one verification, so that its time does not tell why; the cause is looked for afterwards.
    pub(crate) fn authenticate(
        &self,
        client: Option<Arc<Client>>,
        received_at: OffsetDateTime,
        config: &Config,
    ) -> Result<AuthenticatedClient, Error> {
        let client = self.named(client);
        let found = find(client.as_deref(), config.unknown_client_secret_hash(), self.client_secret(), received_at);
        self.decide(client, found, received_at)
    }

    /// A store that compares without case must not let one client pass for another.
    fn named(&self, client: Option<Arc<Client>>) -> Option<Arc<Client>> {
        client.filter(|client| client.client_id().as_str() == self.client_id())
    }

    /// What follows from what [`find`] has found.
    pub(crate) fn decide(
        &self,
        client: Option<Arc<Client>>,
        found: Option<usize>,
        received_at: OffsetDateTime,
    ) -> Result<AuthenticatedClient, Error> {
        let client = client.ok_or(Error::UnknownClient)?;
        let secrets = client.client_secrets();
        let has_secret = !secrets.is_empty();
        let found = found.and_then(|place| Some((place, secrets.get(place)?.is_live(received_at))));
        match found {
            None if has_secret => Err(Error::WrongSecret),
            None => Err(Error::NoSecretRegistered),
            Some((_, false)) => Err(Error::ExpiredSecret),
            Some(_) if client.token_endpoint_auth_method() != self.method() => Err(Error::WrongMethod),
            Some((secret, true)) => Ok(AuthenticatedClient { client, secret }),
        }
    }

    pub(crate) fn client_secret(&self) -> &str {
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

/// The place of the presented secret among the client's. It costs one verification whatever comes of it: where there is no
/// client, or no secret, that of the decoy.
pub(crate) fn find(
    client: Option<&Client>,
    decoy: &ClientSecretHash,
    presented: &str,
    now: OffsetDateTime,
) -> Option<usize> {
    let secrets = client.map(Client::client_secrets).unwrap_or_default();
    if secrets.is_empty() {
        // In the same way as a known client's, to the nanosecond.
        let decoy = [StoredSecret::new(decoy.clone())];
        let _ = StoredSecret::find(&decoy, presented, now);
    }
    StoredSecret::find(secrets, presented, now).map(|(place, _)| place)
}

/// A client that has proven who it is. There is no other way to one than [`ClientAuthentication::decide`].
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

    /// The place of the secret by which it has proven itself.
    pub(crate) const fn place(&self) -> usize {
        self.secret
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
        let client = if self.throttle().is_some() {
            // In a box, as all that few requests need, so that the future of the others is no larger for it.
            Box::pin(self.verify_counted(authentication, request)).await?
        } else {
            self.verify(authentication, request, None).await?
        };
        if let (Some(uses), Some(secret)) = (self.uses(), client.client_secret()) {
            uses.secret(secret, request.received_at);
        }
        Ok(client)
    }

    /// The same, unless too much has failed before.
    async fn verify_counted(
        &self,
        authentication: &ClientAuthentication<'_>,
        request: &Request<'_>,
    ) -> Result<AuthenticatedClient, Error> {
        let attempt = self.attempt(authentication.client_id(), request).await?;
        let client = self.verify(authentication, request, attempt.as_ref()).await;
        if let Some(attempt) = attempt
            && let Some(instead) = attempt.end(self, client.as_ref().err()).await
        {
            return Err(instead);
        }
        client
    }

    /// The same, whatever has failed before.
    async fn verify(
        &self,
        authentication: &ClientAuthentication<'_>,
        request: &Request<'_>,
        attempt: Option<&Ticket<'_>>,
    ) -> Result<AuthenticatedClient, Error> {
        let (now, decoy) = (request.received_at, self.config().unknown_client_secret_hash());
        let client =
            observe::Call::FindClient.begin().end(self.store().find_client(authentication.client_id()).await)?;
        let client = authentication.named(client);
        if let Some(client) = &client {
            observe::client(client.client_id().as_str());
        }
        let looked_at = self.are_misspellings_noted().then(|| client.clone());
        let secrets = client.as_deref().map(Client::client_secrets).unwrap_or_default();
        let is_slow = verification::is_slow(secrets, decoy, now);
        let authenticated = if is_slow {
            Box::pin(self.authenticate_slowly(authentication, client, request, attempt)).await
        } else {
            let found = find(client.as_deref(), decoy, authentication.client_secret(), now);
            authentication.decide(client, found, now)
        };
        authenticated.map_err(|cause| match looked_at {
            Some(client) => {
                let is_proven = |secret: &str| is_slow && self.is_proven(client.as_ref(), secret, now);
                misspelling::told_from(cause, authentication, client.as_deref(), request, is_proven)
            }
            None => cause,
        })
    }
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
