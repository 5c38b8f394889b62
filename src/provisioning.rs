//! Clients and roles from a JSON file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use time::OffsetDateTime;

use crate::{
    BackendError, Client, ClientError, ClientId, ClientRegistry, ClientSecret, ClientSecretHash, MemoryStore,
    RandomSource, Registered, Resources, Role, RoleId, Scope, SecretClass, TenantName, TokenEndpointAuthMethod,
    config::Value, duration,
};

/// Clients and roles as a file gives them, checked whole: either all of it is right, or there is no value of this type.
///
/// The file is a JSON array of clients, or an object:
///
/// ```
/// use client_credentials::{MemoryStore, Provisioning};
///
/// let provisioning = Provisioning::from_json(r#"{
///     "roles": {"my-corporation/accountant": ["invoice:edit"]},
///     "clients": [{
///         "client_id": "billing",
///         "client_secret_hash": "$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM",
///         "seacatauth_credentials": true,
///         "scope": "invoices:read",
///         "tenants": ["my-corporation"],
///         "roles": ["my-corporation/accountant"]
///     }]
/// }"#)?;
/// let store = MemoryStore::from(provisioning);
/// # Ok::<(), client_credentials::ProvisioningError>(())
/// ```
///
/// | member of a client | meaning |
/// | --- | --- |
/// | `client_id` | required |
/// | `client_name` | a name for people |
/// | `client_secret` | the secret itself, hashed when the file is read; or |
/// | `client_secret_hash` | the text of a [`ClientSecretHash`] |
/// | `client_secret_class` | how to hash `client_secret`: `generated` or `chosen`; unless said, 32 characters or more count as generated |
/// | `client_secret_expires_at` | seconds since 1970, or 0 for never (RFC 7591 §3.2.1) |
/// | `token_endpoint_auth_method` | `client_secret_basic` (default) or `client_secret_post` |
/// | `seacatauth_credentials` | whether it may use the grant; `false` unless said |
/// | `scope` | the scope tokens that it may ask for, tenants aside |
/// | `default_scope` | the scope that counts when it asks for none |
/// | `client_credentials_grant_expiration` | the lifetime of its tokens |
/// | `audience` | the APIs for which it may ask to have its tokens meant (RFC 8707): an array |
/// | `tenants`, `roles` | what is assigned to its credentials |
///
/// | member of the object | meaning |
/// | --- | --- |
/// | `clients` | the clients |
/// | `roles` | the resources of each role, by its id; `*/superuser` is always there |
/// | `tenants` | tenants that exist beside those that are assigned to a client |
#[derive(Debug)]
pub struct Provisioning {
    clients: Vec<Client>,
    roles: BTreeMap<RoleId, Role>,
    tenants: BTreeSet<TenantName>,
}

impl Provisioning {
    /// Reads and checks a whole file, and hashes the secrets in it. Chosen secrets take a tenth of a second each, or more.
    ///
    /// # Errors
    /// The first thing that is wrong: which entry, which member, and what would be right.
    pub fn from_json(json: &str) -> Result<Self, ProvisioningError> {
        let file: File = match json.trim_start().as_bytes().first() {
            Some(b'[') => File { clients: deserialize(json, "clients")?, ..File::default() },
            _ => deserialize(json, "")?,
        };
        if file.roles.0.contains_key(Role::SUPERUSER_ID) {
            return Err(ProvisioningError::new(
                "roles",
                Role::SUPERUSER_ID,
                "this role is built in and cannot be another",
            ));
        }
        let roles = file.roles.0.into_iter().map(|(id, resources)| Role::from_parts(id, resources));
        let roles: BTreeMap<RoleId, Role> =
            roles.chain([Role::superuser()]).map(|role| (role.id().clone(), role)).collect();

        let (mut known, mut clients) = (BTreeSet::new(), Vec::new());
        for (n, Object(entry)) in file.clients.into_iter().enumerate() {
            let at = format!("clients[{n}]");
            if !known.insert(entry.client_id.clone()) {
                return Err(ProvisioningError::new(
                    &at,
                    "client_id",
                    format!("`{}` is there already", entry.client_id),
                ));
            }
            clients.push(entry.client(&roles, &at)?);
        }
        Ok(Self { clients, roles, tenants: file.tenants })
    }

    /// The clients, in their order.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// The clients, for a store of one's own.
    #[must_use]
    pub fn into_clients(self) -> Vec<Client> {
        self.clients
    }

    /// The roles by id, whether a client holds them or not, and [`Role::superuser`] among them.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }

    /// The tenants that exist beside those that are assigned to a client.
    pub fn tenants(&self) -> impl Iterator<Item = &TenantName> {
        self.tenants.iter()
    }
}

impl Provisioning {
    /// Puts into a registry what is not there yet: tenants, definitions of roles, and clients. What is there stays as it is,
    /// since it may have been changed after an earlier start with the same file. Returns the clients that stay.
    ///
    /// # Errors
    /// When the registry fails; a second call goes on where the first one stopped.
    pub async fn register_in(&self, registry: &impl ClientRegistry) -> Result<Vec<ClientId>, BackendError> {
        for tenant in &self.tenants {
            registry.define_tenant(tenant.clone()).await?;
        }
        let tenants: BTreeSet<_> = self.roles.keys().map(RoleId::tenant).collect();
        for tenant in tenants {
            let defined = registry.list_roles(tenant.map(TenantName::parse).transpose()?.as_ref()).await?;
            for role in self.roles.values().filter(|role| role.id().tenant() == tenant) {
                let is_there = defined.iter().any(|defined| defined.id() == role.id());
                if !is_there && role.id().as_str() != Role::SUPERUSER_ID {
                    registry.define_role(role.clone()).await?;
                }
            }
        }
        let mut staying = Vec::new();
        for client in &self.clients {
            if registry.register(client.clone()).await? == Registered::Exists {
                staying.push(client.client_id().clone());
            }
        }
        Ok(staying)
    }
}

impl From<Provisioning> for MemoryStore {
    fn from(provisioning: Provisioning) -> Self {
        let store = Self::default();
        provisioning.tenants.into_iter().for_each(|tenant| store.insert_tenant(tenant));
        provisioning.roles.values().for_each(|role| store.insert_role(role));
        provisioning.clients.into_iter().for_each(|client| store.insert_client(client));
        store
    }
}

/// What is wrong with a provisioning file. It names entries, members and identifiers, and never repeats another value: that
/// may be a secret in the wrong place.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: {problem}")]
pub struct ProvisioningError {
    path: String,
    problem: String,
    #[source]
    source: Option<BackendError>,
}

impl ProvisioningError {
    fn new(entry: &str, member: &str, problem: impl Into<String>) -> Self {
        Self { path: [entry, member].join("."), problem: problem.into(), source: None }
    }

    /// Where it is, such as `clients[2].scope`; `.` for the file as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn deserialize<T: DeserializeOwned>(json: &str, root: &str) -> Result<T, ProvisioningError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        ProvisioningError {
            // A member without a name is in the file as a whole.
            path: if matches!(&*path, "" | ".") { ".".into() } else { root.to_owned() + &path },
            problem: problem(error.inner()),
            source: None,
        }
    })?;
    deserializer.end().map_err(|error| ProvisioningError {
        path: ".".into(),
        problem: problem(&error),
        source: None,
    })?;
    Ok(value)
}

/// What serde has to say, without the value that it found: that may be a secret in the wrong place. Names of members stay.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let repeats_value =
        ["invalid type: ", "invalid value: ", "unknown variant "].iter().any(|start| text.starts_with(start));
    match text.rsplit_once(", expected ") {
        Some((_, expected)) if repeats_value => {
            let json = expected
                .replace("a sequence", "an array")
                .replace("a map", "an object")
                .replace("i64", "a whole number");
            format!("this is not {json}")
        }
        _ => text,
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an array of clients, or an object with `clients`")]
struct File {
    clients: Vec<Object>,
    #[serde(default)]
    roles: Roles,
    #[serde(default)]
    tenants: BTreeSet<TenantName>,
}

/// The roles, each of them once.
#[derive(Default)]
struct Roles(BTreeMap<RoleId, Resources>);

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RolesVisitor)
    }
}

struct RolesVisitor;

impl<'de> Visitor<'de> for RolesVisitor {
    type Value = Roles;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of roles")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Roles, A::Error> {
        let mut roles = BTreeMap::new();
        while let Some((id, resources)) = map.next_entry()? {
            if roles.insert(id, resources).is_some() {
                return Err(A::Error::custom("this role is there already"));
            }
        }
        Ok(Roles(roles))
    }
}

/// An entry that is an object: serde would also take the values alone, as an array.
struct Object(Entry);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a client, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object, A::Error> {
        Entry::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    client_id: ClientId,
    client_name: Option<String>,
    client_secret: Option<ClientSecret>,
    client_secret_hash: Option<ClientSecretHash>,
    client_secret_class: Option<SecretClass>,
    #[serde(default)]
    client_secret_expires_at: i64,
    #[serde(default)]
    token_endpoint_auth_method: TokenEndpointAuthMethod,
    #[serde(default)]
    seacatauth_credentials: bool,
    scope: Option<Scope>,
    default_scope: Option<Scope>,
    client_credentials_grant_expiration: Option<Value>,
    #[serde(default)]
    audience: Vec<String>,
    #[serde(default)]
    tenants: Vec<TenantName>,
    #[serde(default)]
    roles: Vec<RoleId>,
}

/// From this many characters on, a secret is taken for a generated one.
const GENERATED_LEN: usize = 32;

impl Entry {
    fn client(self, roles: &BTreeMap<RoleId, Role>, at: &str) -> Result<Client, ProvisioningError> {
        let wrong = |member: &str, problem: &str| ProvisioningError::new(at, member, problem);
        let mut client = Client::builder(self.client_id.as_str())
            .token_endpoint_auth_method(self.token_endpoint_auth_method)
            .seacatauth_credentials(self.seacatauth_credentials)
            .audience(self.audience);
        if let Some(name) = self.client_name {
            client = client.client_name(name.as_str());
        }
        if let Some(scope) = &self.scope {
            client = client.scope(scope.as_str());
        }
        if let Some(scope) = &self.default_scope {
            client = client.default_scope(scope.as_str());
        }
        if let Some(value) = &self.client_credentials_grant_expiration {
            let text = if let Value::Text(text) = value { text.as_str() } else { "" };
            let expiration = duration::parse(text).ok_or_else(|| {
                wrong("client_credentials_grant_expiration", &format!("this is not {}", duration::EXPECTED))
            })?;
            client = client.client_credentials_grant_expiration(expiration);
        }
        if self.client_secret_expires_at != 0 {
            let at = OffsetDateTime::from_unix_timestamp(self.client_secret_expires_at);
            client = client.client_secret_expires_at(
                at.map_err(|_| wrong("client_secret_expires_at", "this is not a number of seconds since 1970"))?,
            );
        }
        for tenant in &self.tenants {
            client = client.tenant(tenant.as_str());
        }
        for (n, id) in self.roles.iter().enumerate() {
            let role = roles.get(id).cloned();
            client =
                client.role(role.ok_or_else(|| wrong(&format!("roles[{n}]"), &format!("there is no role `{id}`")))?);
        }
        match (self.client_secret, self.client_secret_hash, self.client_secret_class) {
            (Some(_), Some(_), _) => return Err(wrong("client_secret_hash", "there is a `client_secret` already")),
            (Some(secret), None, class) => {
                client = client.client_secret_hash(hash(&secret, class, at)?);
            }
            (None, _, Some(_)) => return Err(wrong("client_secret_class", "there is no `client_secret` to hash")),
            (None, Some(hash), None) => client = client.client_secret_hash(hash),
            (None, None, None) => {}
        }
        let wrong = |error: ClientError| wrong(error.member(), &error.expected().to_string());
        let client = client.build().map_err(wrong)?;
        client.check_scopes().map_err(wrong)?;
        Ok(client)
    }
}

fn hash(secret: &ClientSecret, class: Option<SecretClass>, at: &str) -> Result<ClientSecretHash, ProvisioningError> {
    let wrong = |problem: &str| ProvisioningError::new(at, "client_secret", problem);
    if secret.expose().is_empty() {
        return Err(wrong("it is empty"));
    }
    if secret.expose().chars().any(char::is_control) {
        return Err(wrong("it has a control character, which no request can carry"));
    }
    let looks =
        if secret.expose().chars().count() < GENERATED_LEN { SecretClass::Chosen } else { SecretClass::Generated };
    ClientSecretHash::of(secret, class.unwrap_or(looks), &RandomSource::default())
        .map_err(|error| ProvisioningError { source: Some(error), ..wrong("it could not be hashed") })
}
