use std::time::Duration;

use time::OffsetDateTime;

use super::{Client, ClientId, Secrets, StoredSecret, TokenEndpointAuthMethod, Usual};
use crate::{BackendError, ClientSecretHash, Error, ParseError, Resources, Role, Scope, TenantName, duration};

/// A client in the making, from [`Client::builder`].
///
/// What cannot be parsed is told by [`ClientBuilder::build`], so that a chain needs one `?`.
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    client: Result<Client, ClientError>,
    /// Of the current secret, which may not be there yet.
    client_secret_expires_at: Option<Option<OffsetDateTime>>,
}

/// Which member of a client is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{member}`: {expected}")]
pub struct ClientError {
    pub(super) member: &'static str,
    pub(super) expected: ParseError,
}

/// For whoever changes a [`Client`].
impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        Self::WrongMember(error.member(), error.expected().0)
    }
}

/// For a store that makes a [`Client`] of what it keeps.
impl From<ClientError> for BackendError {
    fn from(error: ClientError) -> Self {
        Self::new(error)
    }
}

impl ClientError {
    /// The member's name, as in RFC 7591 or the provisioning file.
    #[must_use]
    pub const fn member(&self) -> &'static str {
        self.member
    }

    /// What would be right.
    #[must_use]
    pub const fn expected(&self) -> ParseError {
        self.expected
    }
}

#[expect(single_use_lifetimes, reason = "an `impl Trait` cannot do without a name for them")]
impl ClientBuilder {
    /// Goes on from a client.
    pub(super) const fn of(client: Client) -> Self {
        Self { client: Ok(client), client_secret_expires_at: None }
    }

    pub(super) fn new(client_id: &str) -> Self {
        let client_id = ClientId::parse(client_id).map_err(|expected| ClientError { member: "client_id", expected });
        let client = client_id.map(|client_id| Client {
            client_id,
            client_id_issued_at: None,
            client_name: None,
            token_endpoint_auth_method: TokenEndpointAuthMethod::default(),
            secrets: Secrets::default(),
            seacatauth_credentials: false,
            scope: None,
            default_scope: None,
            expiration: None,
            audience: Vec::new(),
            tenants: Vec::new(),
            roles: Vec::new(),
            global: Resources::default(),
            per_tenant: Vec::new(),
            usual_grant: Usual::default(),
        });
        Self { client, client_secret_expires_at: None }
    }

    fn set(self, set: impl FnOnce(&mut Client)) -> Self {
        let client = self.client.map(|mut client| {
            set(&mut client);
            client
        });
        Self { client, ..self }
    }

    fn parse<T>(self, member: &'static str, parsed: Result<T, ParseError>, set: impl FnOnce(&mut Client, T)) -> Self {
        match parsed {
            Ok(value) => self.set(|client| set(client, value)),
            Err(expected) => Self { client: self.client.and(Err(ClientError { member, expected })), ..self },
        }
    }

    /// When it is registered, to the second.
    pub fn client_id_issued_at(self, at: OffsetDateTime) -> Self {
        self.set(|client| client.client_id_issued_at = Some(at.replace_nanosecond(0).unwrap_or(at)))
    }

    /// A name for people to read, without control characters.
    pub fn client_name<'n>(self, name: impl Into<Option<&'n str>>) -> Self {
        let name = name.into().map(String::from);
        let readable = if name.iter().flat_map(|name| name.chars()).any(char::is_control) {
            Err(ParseError("a name has no control characters"))
        } else {
            Ok(name)
        };
        self.parse("client_name", readable, |client, name| client.client_name = name)
    }

    /// The one authentication method that the client may use; [`TokenEndpointAuthMethod::ClientSecretBasic`] unless said.
    pub fn token_endpoint_auth_method(self, method: TokenEndpointAuthMethod) -> Self {
        self.set(|client| client.token_endpoint_auth_method = method)
    }

    /// The stored form of its secret, in place of all that it had. Without one the client cannot authenticate.
    pub fn client_secret_hash(self, hash: ClientSecretHash) -> Self {
        self.client_secrets([StoredSecret::new(hash)])
    }

    /// Its secrets, in place of all that it had: the current one first, then those that count beside it.
    pub fn client_secrets(self, secrets: impl IntoIterator<Item = StoredSecret>) -> Self {
        self.set(|client| client.secrets = secrets.into_iter().collect())
    }

    /// From when on the current secret does not count any more, to the second (RFC 7591 §3.2.1): a fraction is dropped. `None`
    /// for never.
    pub fn client_secret_expires_at(self, at: impl Into<Option<OffsetDateTime>>) -> Self {
        Self { client_secret_expires_at: Some(at.into()), ..self }
    }

    /// Whether the client may use the client credentials grant; no, unless said.
    pub fn seacatauth_credentials(self, enabled: bool) -> Self {
        self.set(|client| client.seacatauth_credentials = enabled)
    }

    /// The scope tokens that it may ask for. Tenants need no entry here: they are allowed by being assigned.
    pub fn scope<'s>(self, scope: impl Into<Option<&'s str>>) -> Self {
        self.parse("scope", scope.into().map(Scope::parse).transpose(), |client, scope| client.scope = scope)
    }

    /// The scope that counts when a request has none. It is checked like one that was asked for, so a request without a
    /// scope is refused when the client may not have it.
    pub fn default_scope<'s>(self, scope: impl Into<Option<&'s str>>) -> Self {
        let scope = scope.into().map(Scope::parse).transpose();
        self.parse("default_scope", scope, |client, scope| client.default_scope = scope)
    }

    /// The lifetime of its tokens in place of the configured one, up to the configured maximum: whole seconds, one at least.
    pub fn client_credentials_grant_expiration(self, expiration: impl Into<Option<Duration>>) -> Self {
        let expiration = expiration.into();
        let whole = if expiration.is_none_or(duration::is_whole) {
            Ok(expiration)
        } else {
            Err(ParseError(duration::EXPECTED))
        };
        self.parse("client_credentials_grant_expiration", whole, |client, expiration| client.expiration = expiration)
    }

    /// The APIs for which it may ask to have its tokens meant, in place of those so far (RFC 8707 §2): each a URI without a
    /// fragment, or a name that both sides know; visible ASCII without `"` and `\`, 1 to 255 characters.
    pub fn audience<A: Into<String>>(self, apis: impl IntoIterator<Item = A>) -> Self {
        let apis: Vec<String> = apis.into_iter().map(Into::into).collect();
        let apis = if apis.iter().all(|api| is_api(api)) { Ok(apis) } else { Err(ParseError(API)) };
        self.parse("audience", apis, |client, apis| client.audience = apis)
    }

    /// Assigns a tenant to its credentials.
    pub fn tenant(self, name: &str) -> Self {
        self.parse("tenants", TenantName::parse(name), |client, tenant| client.tenants.push(tenant))
    }

    /// Takes a tenant from its credentials.
    pub fn without_tenant(self, name: &str) -> Self {
        self.set(|client| client.tenants.retain(|tenant| tenant.as_str() != name))
    }

    /// Assigns a role to its credentials, in place of one with the same id. A [`ClientRegistry`](crate::ClientRegistry) keeps
    /// only the id: what the role gives is what its definition there says.
    pub fn role(self, role: Role) -> Self {
        self.without_role(role.id().clone().as_str()).set(|client| client.roles.push(role))
    }

    /// Takes a role from its credentials.
    pub fn without_role(self, id: &str) -> Self {
        self.set(|client| client.roles.retain(|role| role.id().as_str() != id))
    }

    /// The identifier, if it can be one.
    pub(crate) fn client_id(&self) -> Option<&ClientId> {
        self.client.as_ref().ok().map(|client| &client.client_id)
    }

    /// The roles so far.
    pub(crate) fn roles(&self) -> Result<Vec<Role>, ClientError> {
        self.client.as_ref().map(|client| client.roles.clone()).map_err(Clone::clone)
    }

    /// The client.
    ///
    /// # Errors
    /// The first member that could not be parsed.
    pub fn build(self) -> Result<Client, ClientError> {
        let mut client = self.client?;
        if let (Some(at), [current, ..]) = (self.client_secret_expires_at, &mut *client.secrets) {
            *current = current.clone().with_expires_at(at);
        }
        Ok(client.complete())
    }
}

const API: &str = "an API is named by 1 to 255 visible ASCII characters without quotation mark and backslash";

/// Whether a text can be in an audience: what a URI is made of, so that it can stand in a header too.
fn is_api(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x21..=0x7E) && b != b'"' && b != b'\\')
}
