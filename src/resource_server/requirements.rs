//! What a call requires of a token.

use crate::{Claims, Config, Error, ParseError, Reply, Resources, Scope, TenantName};

/// What a call requires of a bearer token beyond that it counts; by default nothing.
///
/// ```
/// use client_credentials::{
///     Authorization, Claims, ClientId, Requirements, Resources, Scope, TenantName, now, time::Duration,
/// };
///
/// let held: Resources = ["report:read"].into_iter().collect();
/// let claims = Claims::new(ClientId::parse("billing")?, now(), now() + Duration::MINUTE)
///     .with_scope(Scope::parse("read tenant:my-corporation")?)
///     .with_authorization(Authorization::new(Resources::default(), [(TenantName::parse("my-corporation")?, held)]));
///
/// let reading = Requirements::default().scope("read")?.resources(["report:read"]);
/// assert!(reading.clone().tenant("my-corporation")?.check(&claims).is_ok());
/// assert!(reading.clone().tenant("another")?.check(&claims).is_err());
/// assert!(reading.check(&claims).is_err(), "not held everywhere");
/// # Ok::<(), client_credentials::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    scope: Option<Scope>,
    tenant: Option<TenantName>,
    resources: Resources,
}

impl Requirements {
    /// With every token of this scope, and of those that were required before. Nobody passes without it, a superuser neither:
    /// a scope says what a client has asked for this time (RFC 6749 §3.3).
    ///
    /// # Errors
    /// When it is not a [`Scope`]. A text without tokens is none.
    pub fn scope(self, scope: &str) -> Result<Self, ParseError> {
        let more = Scope::parse(scope)?;
        let scope = match self.scope {
            Some(scope) => Scope::of_tokens(&format!("{scope} {more}")),
            None => more,
        };
        Ok(Self { scope: Some(scope), ..self })
    }

    /// In this tenant: the token is for it, or a superuser's, and the resources are held there. It replaces the one before.
    ///
    /// # Errors
    /// When it is not a [`TenantName`].
    pub fn tenant(self, tenant: &str) -> Result<Self, ParseError> {
        Ok(self.in_tenant(TenantName::parse(tenant)?))
    }

    pub(crate) fn in_tenant(self, tenant: TenantName) -> Self {
        Self { tenant: Some(tenant), ..self }
    }

    /// With all of these resources, and those that were required before: held in the tenant, or globally where none is required
    /// ([`Authorization::holds`](crate::Authorization::holds)).
    #[must_use]
    pub fn resources<R: Into<String>>(self, resources: impl IntoIterator<Item = R>) -> Self {
        let more = resources.into_iter().collect();
        Self { resources: self.resources.with(&[&more]), ..self }
    }

    /// Whether a token has all of it: for a handler that learns only from its path what is required, such as a tenant.
    ///
    /// # Errors
    /// When something is missing: the scope, the tenant, or a resource.
    pub fn check(&self, claims: &Claims) -> Result<(), Error> {
        let has = |token| claims.scope().is_some_and(|scope| scope.contains(token));
        if !self.scope.iter().flat_map(Scope::tokens).all(has) {
            return Err(Error::MissingScope);
        }
        let (tenant, authorization) = (self.tenant.as_ref().map(TenantName::as_str), claims.authorization());
        if tenant.is_some() && !authorization.holds(tenant, &[]) {
            return Err(Error::MissingTenant);
        }
        let resources: Vec<_> = self.resources.iter().collect();
        if authorization.holds(tenant, &resources) { Ok(()) } else { Err(Error::MissingResources) }
    }

    /// A refusal of a call that requires this.
    pub(crate) fn refuse(&self, cause: Error, config: &Config) -> Reply {
        Reply::refusal(cause, self.scope.as_ref(), config)
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::{Authorization, ClientId, SUPERUSER};

    fn claims(scope: Option<&str>, global: &[&str], tenants: &[(&str, &[&str])]) -> Claims {
        let set = |resources: &[&str]| resources.iter().copied().collect();
        let tenants = tenants.iter().map(|(name, resources)| (TenantName::parse(*name).unwrap(), set(resources)));
        Claims::new(ClientId::parse("a").unwrap(), OffsetDateTime::UNIX_EPOCH, OffsetDateTime::UNIX_EPOCH)
            .with_scope(scope.map(|scope| Scope::parse(scope).unwrap()))
            .with_authorization(Authorization::new(set(global), tenants))
    }

    #[test]
    fn what_is_required_has_to_be_there() {
        let require = Requirements::default;
        let nothing = claims(None, &[], &[]);
        let client = claims(Some("read tenant:acme"), &["g"], &[("acme", &["g", "t"]), ("bolt", &["g"])]);
        let superuser = claims(Some("read"), &[SUPERUSER], &[]);
        let local = claims(None, &[], &[("acme", &[SUPERUSER]), ("bolt", &[])]);

        for (required, claims, missing) in [
            (require(), &nothing, None),
            (require().scope("read").unwrap(), &nothing, Some("scope")),
            (require().scope("read").unwrap(), &client, None),
            (require().scope("tenant:acme read").unwrap(), &client, None),
            (require().scope("read write").unwrap(), &client, Some("scope")),
            (require().scope("read").unwrap().scope("write").unwrap(), &client, Some("scope")),
            (require().scope("Read").unwrap(), &client, Some("scope")),
            (require().scope("rea").unwrap(), &client, Some("scope")),
            (require().scope("write").unwrap(), &superuser, Some("scope")),
            (require().tenant("acme").unwrap(), &nothing, Some("tenant")),
            (require().tenant("acme").unwrap(), &client, None),
            (require().tenant("Acme").unwrap(), &client, Some("tenant")),
            (require().tenant("cold").unwrap(), &client, Some("tenant")),
            (require().tenant("cold").unwrap(), &superuser, None),
            (require().tenant("cold").unwrap(), &local, Some("tenant")),
            (require().resources(["g"]), &client, None),
            (require().resources(["t"]), &client, Some("resources")),
            (require().resources(["g"]).resources(["t"]), &client, Some("resources")),
            (require().resources(["g", "t"]).tenant("acme").unwrap(), &client, None),
            (require().resources(["t"]).tenant("bolt").unwrap(), &client, Some("resources")),
            (require().resources(["t"]).tenant("cold").unwrap(), &client, Some("tenant")),
            (require().resources(["t"]).tenant("bolt").unwrap().tenant("acme").unwrap(), &client, None),
            (require().resources(["anything"]), &superuser, None),
            (require().resources(["anything"]).tenant("cold").unwrap(), &superuser, None),
            (require().resources(["anything"]), &local, Some("resources")),
            (require().resources(["anything"]).tenant("acme").unwrap(), &local, None),
            (require().resources(["anything"]).tenant("bolt").unwrap(), &local, Some("resources")),
            (require().resources([""]), &client, Some("resources")),
        ] {
            let found = match required.check(claims) {
                Ok(()) => None,
                Err(Error::MissingScope) => Some("scope"),
                Err(Error::MissingTenant) => Some("tenant"),
                Err(Error::MissingResources) => Some("resources"),
                Err(_) => Some("anything else"),
            };
            assert_eq!(found, missing, "{required:?} {claims:?}");
        }
    }

    #[test]
    fn what_is_required_can_be_said() {
        for wrong in ["", " ", "a  b", "\"", "é"] {
            assert!(Requirements::default().scope(wrong).is_err() && Requirements::default().tenant(wrong).is_err());
        }
        assert!(Requirements::default().tenant("*").is_err());
    }
}
