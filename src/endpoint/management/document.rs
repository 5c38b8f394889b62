//! What the calls answer, as JSON.

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::call::CREDENTIALS;
use crate::{
    AccessToken, Authorization, Claims, ClientSecret, Reply, Resources, Scope, StoredSecret, TenantName,
    TokenEndpointAuthMethod, TokenHash, Version,
};

/// `{"result": "OK"}`
pub(super) fn ok() -> Reply {
    Reply::json(200, &Done { result: "OK" })
}

#[derive(Serialize)]
struct Done {
    result: &'static str,
}

/// A part of a list, and how many there are in all.
pub(super) fn list(data: impl Iterator<Item = impl Serialize>, count: usize) -> Reply {
    Reply::json(200, &List { data: data.collect(), count })
}

#[derive(Serialize)]
struct List<D> {
    data: Vec<D>,
    count: usize,
}

/// A version as an entity tag (RFC 9110 §8.8.3).
pub(super) fn etag(version: Version) -> String {
    format!("\"{:016x}\"", version.number())
}

/// A client, under the names of RFC 7591.
#[derive(Serialize)]
pub(super) struct Client<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id_issued_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<&'a str>,
    /// The secret where it is shown, `true` where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
    token_endpoint_auth_method: TokenEndpointAuthMethod,
    seacatauth_credentials: bool,
    credentials_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_scope: Option<&'a str>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_credentials_grant_expiration: Option<u64>,
    audience: &'a [String],
    tenants: &'a [TenantName],
    roles: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Value(&'a str),
    IsSet(bool),
}

impl<'a> Client<'a> {
    pub(super) fn of(client: &'a crate::Client) -> Self {
        let secret = client.client_secrets().first();
        Self {
            client_id: client.client_id().as_str(),
            client_id_issued_at: client.client_id_issued_at().map(OffsetDateTime::unix_timestamp),
            client_name: client.client_name(),
            client_secret: secret.map(|_| Shown::IsSet(true)),
            client_secret_expires_at: secret.and_then(StoredSecret::expires_at).map(OffsetDateTime::unix_timestamp),
            token_endpoint_auth_method: client.token_endpoint_auth_method(),
            seacatauth_credentials: client.seacatauth_credentials(),
            credentials_id: format!("{CREDENTIALS}{}", client.client_id()),
            scope: client.scope().map(Scope::as_str),
            default_scope: client.default_scope().map(Scope::as_str),
            client_credentials_grant_expiration: client.client_credentials_grant_expiration().map(|d| d.as_secs()),
            audience: client.audience(),
            tenants: client.tenants(),
            roles: client.roles().iter().map(|role| role.id().as_str()).collect(),
        }
    }

    /// With the secret itself. RFC 7591 §3.2.1 wants its expiry said then, and 0 for never.
    pub(super) fn with_secret(self, secret: &'a ClientSecret) -> Self {
        let expires_at = self.client_secret_expires_at.unwrap_or_default();
        Self { client_secret: Some(Shown::Value(secret.expose())), client_secret_expires_at: Some(expires_at), ..self }
    }
}

/// A secret in the one moment in which it is shown.
#[derive(Serialize)]
pub(super) struct NewSecret<'a> {
    client_secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
}

impl<'a> NewSecret<'a> {
    pub(super) fn of(secret: &'a ClientSecret, stored: &StoredSecret) -> Self {
        let client_secret_expires_at = stored.expires_at().map(OffsetDateTime::unix_timestamp);
        Self { client_secret: secret.expose(), client_secret_expires_at }
    }
}

/// A secret without its value.
#[derive(Serialize)]
pub(super) struct Secret {
    _id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<i64>,
}

impl Secret {
    pub(super) fn of(secret: &StoredSecret, last_used_at: Option<OffsetDateTime>) -> Self {
        Self {
            last_used_at: last_used_at.map(OffsetDateTime::unix_timestamp),
            _id: secret.id(),
            created_at: secret.created_at().map(OffsetDateTime::unix_timestamp),
            expires_at: secret.expires_at().map(OffsetDateTime::unix_timestamp),
        }
    }
}

/// An API key.
#[derive(Serialize)]
pub(super) struct ApiKey<'a> {
    _id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    label: &'a str,
    /// Times as date-times of RFC 3339.
    iat: String,
    exp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a TenantName>,
    resources: &'a Authorization,
}

impl<'a> ApiKey<'a> {
    pub(super) fn of(hash: &TokenHash, claims: &'a Claims, last_used_at: Option<OffsetDateTime>) -> Self {
        let date = |at: OffsetDateTime| at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default();
        Self {
            last_used_at: last_used_at.map(date),
            _id: hash.to_text(),
            token: None,
            label: claims.api_key_label().unwrap_or_default(),
            iat: date(claims.issued_at()),
            exp: date(claims.expires_at()),
            tenant: claims.authorization().tenants().next().map(|(tenant, _)| tenant),
            resources: claims.authorization(),
        }
    }

    pub(super) fn with_token(self, token: &'a AccessToken) -> Self {
        Self { token: Some(token.expose()), ..self }
    }
}

/// A role's definition.
#[derive(Serialize)]
pub(super) struct Role<'a> {
    _id: &'a str,
    resources: &'a Resources,
}

impl<'a> Role<'a> {
    pub(super) fn of(role: &'a crate::Role) -> Self {
        Self { _id: role.id().as_str(), resources: role.resources() }
    }
}
