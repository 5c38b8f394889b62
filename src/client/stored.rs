//! A client as a text, for stores that keep one.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Client, StoredSecret, TokenEndpointAuthMethod};
use crate::{ParseError, Resources, Role, RoleId, Scope, TenantName, json};

/// What is kept of a client: all but what its roles give, which is for their definitions to say.
///
/// A member that is not known here may take something away from a client, so a text that has one is not read.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id_issued_at: Option<i64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    client_name: Option<Cow<'a, str>>,
    token_endpoint_auth_method: TokenEndpointAuthMethod,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    client_secrets: Vec<Secret>,
    seacatauth_credentials: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_scope: Option<Scope>,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_credentials_grant_expiration: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    audience: Vec<String>,
    tenants: Cow<'a, [TenantName]>,
    roles: Vec<RoleId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

impl Secret {
    fn of(secret: &StoredSecret) -> Self {
        Self {
            hash: secret.hash().to_text(),
            created_at: secret.created_at().map(OffsetDateTime::unix_timestamp),
            expires_at: secret.expires_at().map(OffsetDateTime::unix_timestamp),
        }
    }

    fn parse(&self) -> Result<StoredSecret, ParseError> {
        let secret = StoredSecret::new(self.hash.parse()?);
        Ok(secret.with_created_at(time(self.created_at)?).with_expires_at(time(self.expires_at)?))
    }
}

fn time(at: Option<i64>) -> Result<Option<OffsetDateTime>, ParseError> {
    at.map(OffsetDateTime::from_unix_timestamp).transpose().map_err(|_| EXPECTED)
}

const EXPECTED: ParseError = ParseError("this is not the stored form of a client");

impl Client {
    /// The JSON text that a store can keep of this client, and [read again](Self::from_stored): the hashes of its secrets are
    /// in it, and of its roles the ids.
    ///
    /// The members are those of a [`Provisioning`](crate::Provisioning) file, so that people can read what is kept; its
    /// secrets are in `client_secrets`, the current one first, each with `hash`, and `created_at` and `expires_at` in seconds
    /// since 1970 where they are known.
    ///
    /// ```
    /// use client_credentials::{Client, Role};
    ///
    /// let role = Role::new("acme/reader", ["report:read"])?;
    /// let client = Client::builder("billing").role(role.clone()).build()?;
    /// let stored = client.to_stored();
    ///
    /// let read = Client::from_stored(&stored)?.with_roles_resolved(|_| Some(role.resources().clone()));
    /// assert_eq!(read, client);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_stored(&self) -> String {
        let stored = Stored {
            client_id: self.client_id.as_str().into(),
            client_id_issued_at: self.client_id_issued_at.map(OffsetDateTime::unix_timestamp),
            client_name: self.client_name.as_deref().map(Cow::from),
            token_endpoint_auth_method: self.token_endpoint_auth_method,
            client_secrets: self.secrets.iter().map(Secret::of).collect(),
            seacatauth_credentials: self.seacatauth_credentials,
            scope: self.scope.clone(),
            default_scope: self.default_scope.clone(),
            client_credentials_grant_expiration: self.expiration.as_ref().map(Duration::as_secs),
            audience: self.audience.clone(),
            tenants: Cow::Borrowed(&self.tenants),
            roles: self.roles.iter().map(|role| role.id().clone()).collect(),
        };
        json::text(&stored)
    }

    /// A client from the text that was kept of it. Its roles give nothing until
    /// [`with_roles_resolved`](Self::with_roles_resolved) says what they give.
    ///
    /// # Errors
    /// When this is no text of [`to_stored`](Self::to_stored), or one of a newer version of this crate with members that
    /// this one does not know.
    pub fn from_stored(text: &str) -> Result<Self, ParseError> {
        // What serde has to say may repeat what it found.
        let stored: Stored<'_> = serde_json::from_str(text).map_err(|_| EXPECTED)?;
        let secrets: Vec<_> = stored.client_secrets.iter().map(Secret::parse).collect::<Result<_, _>>()?;
        let mut client = Self::builder(&stored.client_id)
            .token_endpoint_auth_method(stored.token_endpoint_auth_method)
            .client_secrets(secrets)
            .seacatauth_credentials(stored.seacatauth_credentials)
            .audience(stored.audience);
        if let Some(at) = time(stored.client_id_issued_at)? {
            client = client.client_id_issued_at(at);
        }
        if let Some(name) = stored.client_name {
            client = client.client_name(&*name);
        }
        if let Some(seconds) = stored.client_credentials_grant_expiration {
            client = client.client_credentials_grant_expiration(Duration::from_secs(seconds));
        }
        let mut client = client.build().map_err(|error| error.expected())?;
        client.scope = stored.scope;
        client.default_scope = stored.default_scope;
        client.tenants = stored.tenants.into_owned();
        client.roles = stored.roles.into_iter().map(|id| Role::from_parts(id, Resources::default())).collect();
        Ok(client.with_roles_resolved(|_| None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientSecret, ClientSecretHash, RandomSource, SecretClass};

    fn full() -> Client {
        let (random, secret) = (RandomSource::default(), ClientSecret::generate(&RandomSource::default()).unwrap());
        let hash = ClientSecretHash::of(&secret, SecretClass::Generated, &random).unwrap();
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let old = StoredSecret::new(hash.beside(&ClientSecret::new("old".into()), &random).unwrap());
        Client::builder(" a \"client\" ")
            .client_id_issued_at(at(1_600_000_000))
            .client_name("Ein „Name“ \\ \"")
            .token_endpoint_auth_method(TokenEndpointAuthMethod::ClientSecretPost)
            .client_secrets([StoredSecret::new(hash).with_created_at(at(1_700_000_000)), old])
            .client_secret_expires_at(at(2_000_000_000))
            .seacatauth_credentials(true)
            .scope("read write")
            .default_scope("write tenant:acme")
            .client_credentials_grant_expiration(Duration::from_secs(600))
            .audience(["https://api.example.com/v1", "billing"])
            .tenant("bolt")
            .tenant("acme")
            .role(Role::superuser())
            .role(Role::new("acme/editor", ["edit"]).unwrap())
            .build()
            .unwrap()
    }

    #[test]
    fn a_client_survives_being_stored() {
        for client in [full(), Client::builder("bare").build().unwrap()] {
            let read = Client::from_stored(&client.to_stored()).unwrap();
            let resolved = read.with_roles_resolved(|_| Some(["edit"].into_iter().collect()));
            assert_eq!(resolved, client);
        }
    }

    #[test]
    fn a_stored_role_gives_nothing_by_itself_but_the_superuser_what_it_is() {
        let stored = full().to_stored();
        assert!(stored.contains("acme/editor") && !stored.contains("\"edit\""), "{stored}");
        let read = Client::from_stored(&stored).unwrap();
        let given: Vec<_> = read.roles().iter().map(|role| role.resources().iter().count()).collect();
        assert_eq!(given, [1, 0], "the superuser comes first");
    }

    #[test]
    fn what_is_not_understood_is_not_read() {
        let stored = full().to_stored();
        assert!(Client::from_stored(&stored.replacen('{', r#"{"suspended":true,"#, 1)).is_err());
        for (from, to) in
            [("\"acme\"", "\"a/b\""), ("$sha256$", "$sha257$"), ("\"read", "\"\\u0007"), (":600,", ":0,"), ("{", "[")]
        {
            let error = Client::from_stored(&stored.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(!error.contains("sha257"), "{error}");
        }
    }
}
