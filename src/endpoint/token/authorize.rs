use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;

use super::{TokenResponse, respond::reply};
use crate::{
    AccessToken, Authorization, Claims, Client, Config, Error, RateLimit, Reply, Resources, Scope, StoredSecret,
    TenantName, authentication::AuthenticatedClient, client::Grant, form::Decoded, scope::ScopeToken,
};

/// A token request whose client has proven who it is.
#[derive(Debug)]
pub struct AuthenticatedRequest<'a> {
    client: AuthenticatedClient,
    scope: Option<Decoded<'a>>,
    audience: Vec<Decoded<'a>>,
    received_at: OffsetDateTime,
}

/// A token request whose client may have the token: [`AuthorizedRequest::claims`] says what it will say.
#[derive(Debug)]
pub struct AuthorizedRequest {
    claims: Claims,
    lifetime: Duration,
}

impl<'a> AuthenticatedRequest<'a> {
    pub(super) const fn new(
        client: AuthenticatedClient,
        scope: Option<Decoded<'a>>,
        audience: Vec<Decoded<'a>>,
        received_at: OffsetDateTime,
    ) -> Self {
        Self { client, scope, audience, received_at }
    }

    /// The client that is asking.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client.client()
    }

    /// When the request arrived.
    #[must_use]
    pub const fn received_at(&self) -> OffsetDateTime {
        self.received_at
    }

    /// The secret by which the client has proven itself.
    #[must_use]
    pub fn client_secret(&self) -> Option<&StoredSecret> {
        self.client.client_secret()
    }

    /// The same, if it is not the client's current one but one that is about to end.
    #[must_use]
    pub fn retiring_secret(&self) -> Option<&StoredSecret> {
        self.client.retiring_secret()
    }

    /// The tenants for which a store has to say whether they exist: those that the scope names, that are not assigned to
    /// the client, and that are open to it all the same by [`TENANT_ACCESS`](crate::TENANT_ACCESS).
    #[must_use]
    pub fn unassigned_tenants(&self) -> Vec<TenantName> {
        let client = self.client();
        if !client.seacatauth_credentials() || !client.has_access_to_all_tenants() {
            return Vec::new();
        }
        let named = |token| match ScopeToken::parse(token) {
            ScopeToken::Tenant(name) if client.assigned(name).is_none() => TenantName::parse(name).ok(),
            _ => None,
        };
        self.requested().map(|scope| distinct(scope).filter_map(named).collect()).unwrap_or_default()
    }

    /// Decides what the client gets: whether it may use the grant (§5.2), which scope (§3.3), for which APIs (RFC 8707 §2), and
    /// for how long.
    ///
    /// `existing` are those of [`AuthenticatedRequest::unassigned_tenants`] that exist.
    ///
    /// # Errors
    /// When the client may not use the grant, or may not have all of the scope or of the audience.
    pub fn authorize(self, existing: &[TenantName], config: &Config) -> Result<AuthorizedRequest, Error> {
        let client = self.client();
        if !client.seacatauth_credentials() {
            return Err(Error::GrantNotEnabled);
        }
        let grant = match client.usual_grant(self.requested(), &self.audience) {
            Some(usual) => usual.clone(),
            None => self.grant(existing, config)?,
        };
        // The usual one may be from before the limit was set.
        if grant.authorization.tenants().len() > config.max_tenants() {
            return Err(Error::TooManyTenants);
        }

        let lifetime = client
            .client_credentials_grant_expiration()
            .unwrap_or_else(|| config.client_credentials_grant_expiration());
        let lifetime = lifetime.min(config.client_credentials_grant_max_expiration());
        let expires_in = time::Duration::try_from(lifetime).unwrap_or(time::Duration::MAX);
        let expires_at = self.received_at.saturating_add(expires_in);
        Ok(AuthorizedRequest { claims: Claims::of_grant(grant, self.received_at, expires_at), lifetime })
    }

    /// Works out what the client gets (§3.3).
    fn grant(&self, existing: &[TenantName], config: &Config) -> Result<Arc<Grant>, Error> {
        let client = self.client();
        if !self.audience.iter().all(|api| client.may_name(api)) {
            return Err(Error::TargetNotAllowed);
        }
        let mut granted =
            Granted { client, scope: String::with_capacity(self.requested().map_or(0, str::len)), tenants: Vec::new() };
        let mut any_tenant = false;
        for token in self.requested().into_iter().flat_map(distinct) {
            match ScopeToken::parse(token) {
                ScopeToken::AnyTenant => any_tenant = true,
                ScopeToken::AllTenants if client.tenants().len() > config.max_tenants() => {
                    return Err(Error::TooManyTenants);
                }
                ScopeToken::AllTenants => granted.all_tenants(),
                ScopeToken::Tenant(name) => granted.tenant(name, existing)?,
                ScopeToken::Registered(token) => granted.registered(token)?,
            }
        }
        if any_tenant {
            granted.any_tenant()?;
        }
        // A scope has no way to say "nothing" (§3.3), so a request that gets nothing of what it asked for is refused.
        if self.requested().is_some() && granted.scope.is_empty() {
            return Err(Error::NoTenantAssigned);
        }
        let grant = Arc::new(Grant {
            client_id: client.client_id().clone(),
            scope: granted.scope(),
            authorization: Authorization::new(client.global().clone(), granted.tenants),
            api_key_label: None,
            audience: self.audience.iter().map(|api| String::from(&**api)).collect(),
            jti: None,
        });
        // What depends on tenants that are not assigned is not the client's alone to say.
        if existing.is_empty() {
            client.set_usual_grant(self.requested(), &grant);
        }
        Ok(grant)
    }

    /// What was asked for, or what counts in its place (§3.3).
    fn requested(&self) -> Option<&str> {
        self.scope.as_deref().or_else(|| self.client().default_scope().map(Scope::as_str))
    }
}

impl AuthorizedRequest {
    /// What the token has to say: what a [`TokenIssuer`](crate::TokenIssuer) takes.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Puts the issued token into the response.
    #[must_use]
    pub fn respond(self, access_token: AccessToken) -> TokenResponse {
        TokenResponse::new(access_token, self.lifetime, self.claims)
    }

    /// The same as it goes out, with what is left of the quota that has the least left.
    pub(super) fn reply(self, access_token: &AccessToken, rate_limit: Option<&RateLimit>) -> Reply {
        let reply = reply(access_token, self.lifetime.as_secs(), self.claims.scope().map(Scope::as_str));
        match rate_limit {
            Some(limit) => reply.with_rate_limit(limit),
            None => reply,
        }
    }
}

/// What a client gets, token by token, in the order of the request.
struct Granted<'c> {
    client: &'c Client,
    scope: String,
    tenants: Vec<(TenantName, Resources)>,
}

impl Granted<'_> {
    fn scope(&self) -> Option<Scope> {
        (!self.scope.is_empty()).then(|| Scope::of_tokens(&self.scope))
    }

    fn registered(&mut self, token: &str) -> Result<(), Error> {
        if !self.client.scope().is_some_and(|registered| registered.contains(token)) {
            return Err(Error::ScopeNotRegistered);
        }
        self.push(&[token]);
        Ok(())
    }

    fn tenant(&mut self, name: &str, existing: &[TenantName]) -> Result<(), Error> {
        let open = || existing.iter().find(|tenant| tenant.as_str() == name && self.client.has_access_to_all_tenants());
        let tenant = self.client.assigned(name).or_else(open).ok_or(Error::TenantNotAssigned)?;
        self.push_tenant(&tenant.clone(), self.tenants.len());
        Ok(())
    }

    fn all_tenants(&mut self) {
        let named = self.tenants.len();
        for tenant in self.client.tenants() {
            self.push_tenant(tenant, named);
        }
    }

    fn any_tenant(&mut self) -> Result<(), Error> {
        if self.tenants.is_empty() {
            let first = self.client.tenants().first().ok_or(Error::NoTenantAssigned)?;
            self.push_tenant(first, 0);
        }
        Ok(())
    }

    /// Adds a tenant unless it is among the first `named` ones already.
    fn push_tenant(&mut self, tenant: &TenantName, named: usize) {
        if !self.tenants.iter().take(named).any(|(name, _)| name == tenant) {
            self.tenants.push((tenant.clone(), self.client.resources_in(tenant)));
            self.push(&["tenant:", tenant.as_str()]);
        }
    }

    fn push(&mut self, token: &[&str]) {
        if !self.scope.is_empty() {
            self.scope.push(' ');
        }
        self.scope.extend(token.iter().copied());
    }
}

/// The tokens of a scope, each once. Quadratic, in a number that `max_scope_tokens` bounds.
fn distinct(scope: &str) -> impl Iterator<Item = &str> {
    let earlier = move |n| scope.split(' ').take(n);
    scope
        .split(' ')
        .enumerate()
        .filter(move |(n, token)| !earlier(*n).any(|other| other == *token))
        .map(|(_, token)| token)
}
