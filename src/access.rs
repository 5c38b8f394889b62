//! What a client may touch: roles, the resources they give, and the authorization map that travels with a token.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};

use crate::{ParseError, TenantName, text::text_type};

/// The resource that passes every check in every tenant.
pub const SUPERUSER: &str = "authz:superuser";

/// The resource that opens tenants which are not assigned to the client, as long as they exist.
pub const TENANT_ACCESS: &str = "authz:tenant:access";

text_type! {
    /// The id of a role: `TENANT/ROLE`, or `*/ROLE` for a global one. ROLE matches `[a-zA-Z_][a-zA-Z0-9_-]{0,31}`.
    RoleId,
    |text| text.split_once('/').is_some_and(|(tenant, name)| {
        (tenant == "*" || TenantName::parse(tenant).is_ok()) && is_role_name(name)
    }),
    "a role id is `TENANT/ROLE` or `*/ROLE`, and ROLE matches `[a-zA-Z_][a-zA-Z0-9_-]{0,31}`"
}

impl RoleId {
    /// The tenant in which the role gives its resources; `None` for a global role.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.as_str().split_once('/').map(|(tenant, _)| tenant).filter(|tenant| *tenant != "*")
    }
}

fn is_role_name(name: &str) -> bool {
    name.len() <= 32
        && name
            .bytes()
            .enumerate()
            .all(|(i, b)| b.is_ascii_alphabetic() || b == b'_' || (i > 0 && (b.is_ascii_digit() || b == b'-')))
        && !name.is_empty()
}

/// A role: an id and the resources that it gives to those who hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    id: RoleId,
    resources: Resources,
}

impl Role {
    /// A role from its id and its resources.
    ///
    /// # Errors
    /// When `id` is not a [`RoleId`].
    pub fn new<R: Into<String>>(id: &str, resources: impl IntoIterator<Item = R>) -> Result<Self, ParseError> {
        Ok(Self { id: RoleId::parse(id)?, resources: resources.into_iter().collect() })
    }

    pub(crate) const fn from_parts(id: RoleId, resources: Resources) -> Self {
        Self { id, resources }
    }

    /// The role `*/superuser`, which is always there and gives [`SUPERUSER`].
    #[must_use]
    pub fn superuser() -> Self {
        Self { id: RoleId(Self::SUPERUSER_ID.into()), resources: [SUPERUSER].into_iter().collect() }
    }

    /// The id of [`Role::superuser`].
    pub const SUPERUSER_ID: &str = "*/superuser";

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &RoleId {
        &self.id
    }

    /// The resources.
    #[must_use]
    pub const fn resources(&self) -> &Resources {
        &self.resources
    }
}

/// Whether a text is a resource id as the management of clients takes it, and as it can stand in a list with spaces.
pub(crate) fn is_resource_id(text: &str) -> bool {
    (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A set of resource ids such as `seacat:client:edit`. A clone shares the set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources(Arc<BTreeSet<String>>);

impl Resources {
    /// Whether all of `resources` are held: each one is in the set, or [`SUPERUSER`] is.
    #[must_use]
    pub fn hold(&self, resources: &[&str]) -> bool {
        self.0.contains(SUPERUSER) || resources.iter().all(|resource| self.0.contains(*resource))
    }

    /// The resource ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// What is in both. [`SUPERUSER`] is a resource like any other here.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        self.0.intersection(&other.0).cloned().collect()
    }

    /// This set with all of `more`.
    pub(crate) fn with(&self, more: &[&Self]) -> Self {
        if more.is_empty() {
            return self.clone();
        }
        let mut all = BTreeSet::clone(&self.0);
        all.extend(more.iter().flat_map(|more| more.iter()).map(String::from));
        Self(Arc::new(all))
    }
}

impl<R: Into<String>> FromIterator<R> for Resources {
    fn from_iter<I: IntoIterator<Item = R>>(resources: I) -> Self {
        Self(Arc::new(resources.into_iter().map(Into::into).collect()))
    }
}

/// Which resources a token gives, and in which tenants: `{"*": [global], "TENANT": [global and tenant's], …}`.
///
/// It serializes to that map, and this is also how a JWT carries it.
///
/// ```
/// use client_credentials::{Authorization, Resources, TenantName};
///
/// let global: Resources = ["report:read"].into_iter().collect();
/// let corporation: Resources = ["report:read", "report:edit"].into_iter().collect();
/// let authorization = Authorization::new(global, [(TenantName::parse("my-corporation")?, corporation)]);
///
/// assert!(authorization.holds(Some("my-corporation"), &["report:read", "report:edit"]));
/// assert!(!authorization.holds(Some("another"), &["report:read"]));
/// assert!(!authorization.holds(None, &["report:edit"]));
/// # Ok::<(), client_credentials::ParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorization {
    global: Resources,
    /// Sorted by name, each name once.
    tenants: Vec<(TenantName, Resources)>,
}

impl Authorization {
    /// The global resources, and for each tenant of the token all that are held there, the global ones included.
    #[must_use]
    pub fn new(global: Resources, tenants: impl IntoIterator<Item = (TenantName, Resources)>) -> Self {
        let mut tenants: Vec<_> = tenants.into_iter().collect();
        tenants.sort_by(|(a, _), (b, _)| a.cmp(b));
        tenants.dedup_by(|(a, _), (b, _)| a == b);
        Self { global, tenants }
    }

    /// Whether all of `resources` are held in `tenant`, or globally when that is `None`.
    ///
    /// A tenant that is not in the token holds nothing, except for a superuser.
    #[must_use]
    pub fn holds(&self, tenant: Option<&str>, resources: &[&str]) -> bool {
        let held = match tenant {
            None => Some(&self.global),
            Some(name) => self.tenant(name),
        };
        self.global.hold(&[SUPERUSER]) || held.is_some_and(|held| held.hold(resources))
    }

    /// The resources that count in no tenant or in any.
    #[must_use]
    pub const fn global(&self) -> &Resources {
        &self.global
    }

    /// The tenants of the token with all resources that are held there, by name.
    #[must_use]
    pub fn tenants(&self) -> impl ExactSizeIterator<Item = (&TenantName, &Resources)> {
        self.tenants.iter().map(|(name, resources)| (name, resources))
    }

    /// What is held in a tenant of the token.
    pub(crate) fn tenant(&self, name: &str) -> Option<&Resources> {
        let at = self.tenants.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
        self.tenants.get(at).map(|(_, resources)| resources)
    }
}

impl Serialize for Authorization {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.tenants.len()))?;
        map.serialize_entry("*", &self.global)?;
        for (name, resources) in &self.tenants {
            map.serialize_entry(name, resources)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Authorization {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = BTreeMap::<String, Resources>::deserialize(deserializer)?;
        let global = map.remove("*").unwrap_or_default();
        let tenants = map.into_iter().map(|(name, resources)| Ok((TenantName::parse(name)?, resources)));
        let tenants: Vec<_> = tenants.collect::<Result<_, ParseError>>().map_err(serde::de::Error::custom)?;
        Ok(Self::new(global, tenants))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_ids() {
        for good in ["*/superuser", "acme/editor", "acme/_", "a.b-c/R2-d2_"] {
            assert!(RoleId::parse(good).is_ok(), "{good}");
        }
        let long = format!("acme/{}", "r".repeat(33));
        for bad in [
            "",
            "/",
            "acme",
            "acme/",
            "/editor",
            "acme/2",
            "acme/-x",
            "acme/a/b",
            "*x/a",
            "acme/ä",
            "a c/e",
            long.as_str(),
        ] {
            assert!(RoleId::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(RoleId::parse("acme/editor").unwrap().tenant(), Some("acme"));
        assert_eq!(Role::superuser().id().tenant(), None);
    }

    #[test]
    fn superuser_passes_every_check_in_every_tenant() {
        let authorization = Authorization::new([SUPERUSER].into_iter().collect(), []);
        assert!(authorization.holds(None, &["anything"]));
        assert!(authorization.holds(Some("anywhere"), &["anything", "else"]));
    }

    #[test]
    fn superuser_of_a_tenant_is_none_elsewhere() {
        let tenants = [("acme", [SUPERUSER]), ("bolt", ["read"])];
        let tenants = tenants.map(|(n, r)| (TenantName::parse(n).unwrap(), r.into_iter().collect()));
        let authorization = Authorization::new(Resources::default(), tenants);
        assert!(authorization.holds(Some("acme"), &["anything"]) && authorization.holds(Some("bolt"), &["read"]));
        assert!(
            !authorization.holds(Some("bolt"), &["anything"]) && !authorization.holds(Some("other"), &["anything"])
        );
        assert!(!authorization.holds(None, &["anything"]) && !authorization.holds(None, &["read"]));
    }

    #[test]
    fn to_hold_a_list_is_to_hold_all_of_it() {
        let held: Resources = ["a", "b"].into_iter().collect();
        assert!(held.hold(&["a", "b"]) && held.hold(&[]));
        assert!(!held.hold(&["a", "c"]));
    }

    #[test]
    fn the_authorization_map_survives_json() {
        let tenants =
            [("b", ["y"]), ("a", ["x"])].map(|(n, r)| (TenantName::parse(n).unwrap(), r.into_iter().collect()));
        let authorization = Authorization::new(["g"].into_iter().collect(), tenants);
        let json = serde_json::to_string(&authorization).unwrap();
        assert_eq!(json, r#"{"*":["g"],"a":["x"],"b":["y"]}"#);
        assert_eq!(serde_json::from_str::<Authorization>(&json).unwrap(), authorization);
    }
}
