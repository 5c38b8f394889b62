//! What a client is: the metadata of RFC 7591 §2, its secret's hash, and its credentials object (tenants and roles).

mod builder;
mod secrets;
mod stored;
mod usual;

use std::{collections::BTreeSet, ops::Deref, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    BackendError, ClientSecretHash, ParseError, RandomSource, Resources, Role, RoleId, Scope, TENANT_ACCESS,
    TenantName, scope::ScopeToken, text::text_type, variants,
};
pub use builder::{ClientBuilder, ClientError};
use secrets::Secrets;
pub use secrets::StoredSecret;
pub(crate) use usual::Grant;
use usual::Usual;

text_type! {
    /// A client identifier (RFC 6749 §2.2): 1 to 255 of the characters space to `~` (Appendix A.1).
    ClientId,
    is_client_id,
    "a client id is 1 to 255 printable ASCII characters"
}

/// Whether a text can be a client identifier. One in a request that cannot is never looked up.
pub(crate) fn is_client_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().fold(true, |all, b| all & matches!(b, 0x20..=0x7E))
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

/// How a client proves itself (RFC 7591 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenEndpointAuthMethod {
    /// The secret in the `Authorization: Basic` header; the default.
    #[default]
    ClientSecretBasic,
    /// The secret in the body.
    ClientSecretPost,
}

impl TokenEndpointAuthMethod {
    /// Each of them.
    pub(crate) const ALL: [Self; 2] = variants::all!(TokenEndpointAuthMethod: ClientSecretBasic, ClientSecretPost);
}

/// A registered client, with all that one token request needs to know of it: what a [`ClientStore`](crate::ClientStore)
/// finds.
///
/// ```
/// use client_credentials::{Client, ClientSecret, ClientSecretHash, RandomSource, Role};
///
/// let random = RandomSource::default();
/// let secret = ClientSecret::generate(&random)?;
/// let client = Client::builder("billing")
///     .client_secret_hash(ClientSecretHash::generated(&secret, &random)?)
///     .seacatauth_credentials(true)
///     .scope("invoices:read")
///     .tenant("my-corporation")
///     .role(Role::new("my-corporation/accountant", ["invoice:edit"])?)
///     .build()?;
/// assert_eq!(client.client_id().as_str(), "billing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    client_id: ClientId,
    client_id_issued_at: Option<OffsetDateTime>,
    client_name: Option<String>,
    token_endpoint_auth_method: TokenEndpointAuthMethod,
    secrets: Secrets,
    seacatauth_credentials: bool,
    scope: Option<Scope>,
    default_scope: Option<Scope>,
    expiration: Option<Duration>,
    /// Sorted, each once.
    audience: Vec<String>,
    /// Sorted, each once.
    tenants: Vec<TenantName>,
    roles: Vec<Role>,
    global: Resources,
    /// By tenant that a role is in: the global resources and its own. Sorted, so that a mint finds and shares them.
    per_tenant: Vec<(TenantName, Resources)>,
    /// By the requested scope; the audience that was requested with it is in the answer.
    usual_grant: Usual<Option<Scope>, Arc<Grant>>,
}

impl Client {
    /// Starts with a client that has no secret, no scope, no tenant and no role, and that may not use the grant.
    pub fn builder(client_id: &str) -> ClientBuilder {
        ClientBuilder::new(client_id)
    }

    /// The client identifier.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// When it was registered, if that is known.
    #[must_use]
    pub const fn client_id_issued_at(&self) -> Option<OffsetDateTime> {
        self.client_id_issued_at
    }

    /// A name for people to read.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.client_name.as_deref()
    }

    /// The one authentication method that the client may use.
    #[must_use]
    pub const fn token_endpoint_auth_method(&self) -> TokenEndpointAuthMethod {
        self.token_endpoint_auth_method
    }

    /// Its secrets: the current one, then those that still count beside it, or did.
    #[must_use]
    pub fn client_secrets(&self) -> &[StoredSecret] {
        &self.secrets
    }

    /// The stored form of its current secret.
    #[must_use]
    pub fn client_secret_hash(&self) -> Option<&ClientSecretHash> {
        self.secrets.first().map(StoredSecret::hash)
    }

    /// When the current secret stops counting.
    #[must_use]
    pub fn client_secret_expires_at(&self) -> Option<OffsetDateTime> {
        self.secrets.first().and_then(StoredSecret::expires_at)
    }

    /// Whether the client may use the client credentials grant: the name is SeaCat Auth's, the meaning that of
    /// `client_credentials` among the `grant_types` of RFC 7591 §2.
    #[must_use]
    pub const fn seacatauth_credentials(&self) -> bool {
        self.seacatauth_credentials
    }

    /// The scope tokens that it may ask for, tenants aside.
    #[must_use]
    pub const fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// The scope that counts when a request has none (RFC 6749 §3.3).
    #[must_use]
    pub const fn default_scope(&self) -> Option<&Scope> {
        self.default_scope.as_ref()
    }

    /// The lifetime of its tokens, where it has one of its own.
    #[must_use]
    pub const fn client_credentials_grant_expiration(&self) -> Option<Duration> {
        self.expiration
    }

    /// The APIs for which it may ask to have its tokens meant, by name (RFC 8707 §2).
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.audience
    }

    /// The tenants that are assigned to its credentials, by name.
    #[must_use]
    pub fn tenants(&self) -> &[TenantName] {
        &self.tenants
    }

    /// The roles that are assigned to its credentials.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The same client, to be changed.
    pub fn into_builder(self) -> ClientBuilder {
        ClientBuilder::of(self)
    }

    /// The same client with what its roles give now: for each assigned role, what `resources_of` says, and nothing where it
    /// says `None`, since a role that no longer exists grants nothing. [`Role::superuser`] needs no definition.
    ///
    /// For a registry that keeps the ids of a client's roles apart from their definitions.
    #[must_use]
    pub fn with_roles_resolved(mut self, mut resources_of: impl FnMut(&RoleId) -> Option<Resources>) -> Self {
        for role in &mut self.roles {
            let resources = match role.id().as_str() {
                Role::SUPERUSER_ID => Role::superuser().resources().clone(),
                _ => resources_of(role.id()).unwrap_or_default(),
            };
            *role = Role::from_parts(role.id().clone(), resources);
        }
        self.complete()
    }

    /// Works out what the roles and tenants come to.
    fn complete(mut self) -> Self {
        self.audience.sort();
        self.audience.dedup();
        self.tenants.sort();
        self.tenants.dedup();
        self.roles.sort_by(|a, b| a.id().cmp(b.id()));
        self.roles.dedup_by(|a, b| a.id() == b.id());
        self.global = resources(&Resources::default(), &self.roles, None);
        let tenants: BTreeSet<TenantName> =
            self.roles.iter().filter_map(|role| TenantName::parse(role.id().tenant()?).ok()).collect();
        self.per_tenant = tenants
            .into_iter()
            .map(|tenant| (tenant.clone(), resources(&self.global, &self.roles, Some(tenant.as_str()))))
            .collect();
        self.usual_grant = Usual::default();
        self
    }

    /// What the client gets for this scope and this audience, if that is what it asked for first.
    pub(crate) fn usual_grant(
        &self,
        scope: Option<&str>,
        audience: &[impl Deref<Target = str>],
    ) -> Option<&Arc<Grant>> {
        let usual = self.usual_grant.get(|usual| usual.as_ref().map(Scope::as_str) == scope);
        usual.filter(|grant| audience.iter().map(|api| &**api).eq(&grant.audience))
    }

    /// Remembers what the client gets for this scope, if it is the first that it asked for. Say only what follows from the
    /// client and its request alone.
    pub(crate) fn set_usual_grant(&self, scope: Option<&str>, grant: &Arc<Grant>) {
        self.usual_grant.set(|| {
            // Most get what they ask for: it is kept once then, where the response is going to read it too.
            let granted = grant.scope.as_ref().filter(|granted| Some(granted.as_str()) == scope);
            (granted.cloned().or_else(|| scope.map(Scope::of_tokens)), grant.clone())
        });
    }

    /// The resources of its global roles.
    pub(crate) const fn global(&self) -> &Resources {
        &self.global
    }

    /// The resources that it holds in `tenant`, the global ones included.
    pub(crate) fn resources_in(&self, tenant: &TenantName) -> Resources {
        let at = self.per_tenant.binary_search_by(|(name, _)| name.cmp(tenant)).ok();
        at.and_then(|at| self.per_tenant.get(at))
            .map_or_else(|| self.global.clone(), |(_, resources)| resources.clone())
    }

    /// Whether it may ask for tokens that are meant for this API.
    pub(crate) fn may_name(&self, api: &str) -> bool {
        self.audience.binary_search_by(|allowed| allowed.as_str().cmp(api)).is_ok()
    }

    /// The assigned tenant of this name.
    pub(crate) fn assigned(&self, name: &str) -> Option<&TenantName> {
        let at = self.tenants.binary_search_by(|tenant| tenant.as_str().cmp(name)).ok()?;
        self.tenants.get(at)
    }

    /// Whether its scopes can be what they are.
    pub(crate) fn check_scopes(&self) -> Result<(), ClientError> {
        let wrong = |member, expected| Err(ClientError { member, expected: ParseError(expected) });
        let is_tenant = |token| !matches!(ScopeToken::parse(token), ScopeToken::Registered(_));
        if self.scope.iter().flat_map(Scope::tokens).any(is_tenant) {
            return wrong("scope", "tenants are allowed by `tenants`: leave them out here");
        }
        if !self.default_scope.iter().flat_map(Scope::tokens).all(|token| self.may_ask_for(token)) {
            return wrong("default_scope", "a default scope is made of tokens of `scope` and of assigned tenants");
        }
        Ok(())
    }

    /// Whether a scope token can ever be granted.
    fn may_ask_for(&self, token: &str) -> bool {
        match ScopeToken::parse(token) {
            ScopeToken::AnyTenant | ScopeToken::AllTenants => !self.tenants.is_empty(),
            ScopeToken::Tenant(name) => self.assigned(name).is_some() || self.has_access_to_all_tenants(),
            ScopeToken::Registered(token) => self.scope.as_ref().is_some_and(|scope| scope.contains(token)),
        }
    }

    /// Whether tenants that are not assigned are open to it, as long as they exist.
    pub(crate) fn has_access_to_all_tenants(&self) -> bool {
        self.global.hold(&[TENANT_ACCESS])
    }
}

/// `inherited`, and what those of `roles` that are in `tenant` give.
fn resources(inherited: &Resources, roles: &[Role], tenant: Option<&str>) -> Resources {
    let roles = roles.iter().filter(|role| role.id().tenant() == tenant);
    inherited.with(&roles.map(Role::resources).collect::<Vec<_>>())
}
