use super::{
    Administrator,
    body::Input,
    document::{self, ApiKey, Secret},
};
use crate::{
    AuditAction, ClientId, ClientRegistry, Error, Reply, Role, RoleId, TenantName, TokenHash, TokenStore, Version, form,
};

/// A call by its method and its path.
#[derive(Debug)]
pub(super) struct Call {
    verb: Verb,
    object: Object,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// What a path names.
#[derive(Debug)]
pub(super) enum Object {
    Clients,
    Client(ClientId),
    ResetSecret(ClientId),
    Secrets(ClientId),
    Secret(ClientId, String),
    ApiKeys(ClientId),
    ApiKey(ClientId, TokenHash, String),
    Tenant(ClientId, TenantName),
    RoleOf(ClientId, RoleId),
    Role(RoleId),
}

/// The credentials object of a client: what tenants and roles are assigned to.
pub(super) const CREDENTIALS: &str = "seacatauth:client:";

impl Call {
    pub(super) fn parse(method: &str, path: &str) -> Result<Self, Error> {
        let object = Object::parse(path)?;
        let (verbs, allowed) = object.verbs();
        let verb = match method {
            "GET" => Verb::Get,
            "POST" => Verb::Post,
            "PUT" => Verb::Put,
            "DELETE" => Verb::Delete,
            _ => return Err(Error::MethodNotAllowed(allowed)),
        };
        if verbs.contains(&verb) { Ok(Self { verb, object }) } else { Err(Error::MethodNotAllowed(allowed)) }
    }

    pub(super) const fn verb(&self) -> Verb {
        self.verb
    }

    pub(super) const fn object(&self) -> &Object {
        &self.object
    }

    /// The resource that the caller has to hold, everywhere or in this tenant.
    pub(super) fn needs(&self) -> (&'static str, Option<&str>) {
        let reads = self.verb == Verb::Get;
        match &self.object {
            Object::ApiKeys(_) | Object::ApiKey(..) => ("seacat:client:apikey:manage", None),
            Object::Clients | Object::Client(_) | Object::Secrets(_) | Object::Secret(..) if reads => {
                ("seacat:client:access", None)
            }
            Object::Clients | Object::Client(_) | Object::ResetSecret(_) | Object::Secrets(_) | Object::Secret(..) => {
                ("seacat:client:edit", None)
            }
            Object::Tenant(_, tenant) => ("seacat:tenant:assign", Some(tenant.as_str())),
            Object::RoleOf(_, role) => match role.tenant() {
                Some(tenant) => ("seacat:role:assign", Some(tenant)),
                None => ("seacat:role:assign:global", None),
            },
            Object::Role(role) => match (role.tenant(), reads) {
                (Some(tenant), true) => ("seacat:role:access", Some(tenant)),
                (Some(tenant), false) => ("seacat:role:edit", Some(tenant)),
                (None, true) => ("seacat:role:access:global", None),
                (None, false) => ("seacat:role:edit:global", None),
            },
        }
    }

    pub(super) const fn action(&self) -> AuditAction {
        match (&self.object, self.verb) {
            (Object::Clients, Verb::Get) => AuditAction::ListClients,
            (Object::Clients, _) => AuditAction::CreateClient,
            (Object::Client(_), Verb::Get) => AuditAction::ReadClient,
            (Object::Client(_), Verb::Delete) => AuditAction::DeleteClient,
            (Object::Client(_), _) => AuditAction::UpdateClient,
            (Object::ResetSecret(_), _) => AuditAction::ResetSecret,
            (Object::Secrets(_) | Object::Secret(..), Verb::Get) => AuditAction::ListSecrets,
            (Object::Secrets(_) | Object::Secret(..), _) => AuditAction::RetireSecret,
            (Object::ApiKeys(_) | Object::ApiKey(..), Verb::Get) => AuditAction::ListApiKeys,
            (Object::ApiKeys(_), Verb::Post) => AuditAction::CreateApiKey,
            (Object::ApiKeys(_) | Object::ApiKey(..), _) => AuditAction::RevokeApiKey,
            (Object::Tenant(..), Verb::Delete) => AuditAction::UnassignTenant,
            (Object::Tenant(..), _) => AuditAction::AssignTenant,
            (Object::RoleOf(..), Verb::Delete) => AuditAction::UnassignRole,
            (Object::RoleOf(..), _) => AuditAction::AssignRole,
            (Object::Role(_), Verb::Get) => AuditAction::ReadRole,
            (Object::Role(_), Verb::Post) => AuditAction::CreateRole,
            (Object::Role(_), Verb::Put) => AuditAction::UpdateRole,
            (Object::Role(_), Verb::Delete) => AuditAction::DeleteRole,
        }
    }

    pub(super) const fn client_id(&self) -> Option<&ClientId> {
        match &self.object {
            Object::Clients | Object::Role(_) => None,
            Object::Client(client_id)
            | Object::ResetSecret(client_id)
            | Object::Secrets(client_id)
            | Object::Secret(client_id, _)
            | Object::ApiKeys(client_id)
            | Object::ApiKey(client_id, ..)
            | Object::Tenant(client_id, _)
            | Object::RoleOf(client_id, _) => Some(client_id),
        }
    }

    /// What else it is about, for the audit.
    pub(super) fn target(&self) -> Option<&str> {
        match &self.object {
            Object::Secret(_, id) | Object::ApiKey(_, _, id) => Some(id),
            Object::Tenant(_, tenant) => Some(tenant.as_str()),
            Object::RoleOf(_, role) | Object::Role(role) => Some(role.as_str()),
            _ => None,
        }
    }

    /// `only`: the version that the client has to be of.
    pub(super) async fn run<S, T>(
        &self,
        administrator: &Administrator<'_, S, T>,
        input: Input,
        only: Option<Version>,
    ) -> Result<Reply, Error>
    where
        S: ClientRegistry + TokenStore,
    {
        match (&self.object, input) {
            (Object::Clients, Input::Page { filter, skip, most }) => {
                let (clients, count) = administrator.list_clients(&filter, skip, most).await?;
                Ok(document::list(clients.iter().map(document::Client::of), count))
            }
            (Object::Clients, Input::Metadata(metadata)) => {
                let client_id = match metadata.preferred_client_id() {
                    Some(client_id) => client_id.clone(),
                    None => ClientId::generate(administrator.server.random())?,
                };
                let client = metadata.apply(crate::Client::builder(client_id.as_str()));
                let (client, secret) = administrator.create_client(client).await?;
                Ok(Reply::json(201, &document::Client::of(&client).with_secret(&secret)))
            }
            (Object::Client(client_id), Input::Metadata(metadata)) => {
                let version = administrator.update_client(client_id, only, |client| metadata.apply(client)).await?;
                Ok(document::ok().with("ETag", document::etag(version)))
            }
            (Object::Client(client_id), Input::None) if self.verb == Verb::Get => {
                let (client, version) = administrator.client(client_id).await?;
                Ok(Reply::json(200, &document::Client::of(&client)).with("ETag", document::etag(version)))
            }
            (Object::Client(client_id), _) => {
                administrator.delete_client(client_id).await?;
                Ok(document::ok())
            }
            (Object::ResetSecret(client_id), Input::Overlap(overlap)) => {
                let (secret, stored) = administrator.reset_secret(client_id, overlap).await?;
                Ok(Reply::json(200, &document::NewSecret::of(&secret, &stored)))
            }
            (Object::Secrets(client_id), _) if self.verb == Verb::Get => {
                let secrets = administrator.secrets(client_id).await?;
                Ok(document::list(secrets.iter().map(Secret::of), secrets.len()))
            }
            (Object::Secret(client_id, id), _) if self.verb == Verb::Get => {
                let secrets = administrator.secrets(client_id).await?;
                let secret = secrets.iter().find(|secret| secret.id() == *id).ok_or(Error::NotFound("secret"))?;
                Ok(Reply::json(200, &Secret::of(secret)))
            }
            (Object::Secrets(client_id), _) => {
                administrator.retire_secret(client_id, None).await?;
                Ok(document::ok())
            }
            (Object::Secret(client_id, id), _) => {
                administrator.retire_secret(client_id, Some(id)).await?;
                Ok(document::ok())
            }
            (Object::ApiKeys(client_id), Input::ApiKey { label, tenant, expires_at }) => {
                let (token, claims) =
                    administrator.create_api_key(client_id, &label, tenant.as_ref(), expires_at).await?;
                Ok(Reply::json(201, &ApiKey::of(&token.hash(), &claims).with_token(&token)))
            }
            (Object::ApiKeys(client_id), _) if self.verb == Verb::Get => {
                let keys = administrator.api_keys(client_id).await?;
                Ok(document::list(keys.iter().map(|(hash, claims)| ApiKey::of(hash, claims)), keys.len()))
            }
            (Object::ApiKeys(client_id), _) => {
                administrator.revoke_api_key(client_id, None).await?;
                Ok(document::ok())
            }
            (Object::ApiKey(client_id, hash, _), _) => {
                administrator.revoke_api_key(client_id, Some(hash)).await?;
                Ok(document::ok())
            }
            (Object::Tenant(client_id, tenant), _) => {
                match self.verb {
                    Verb::Delete => administrator.unassign_tenant(client_id, tenant).await?,
                    _ => administrator.assign_tenant(client_id, tenant).await?,
                }
                Ok(document::ok())
            }
            (Object::RoleOf(client_id, role), _) => {
                match self.verb {
                    Verb::Delete => administrator.unassign_role(client_id, role).await?,
                    _ => administrator.assign_role(client_id, role).await?,
                }
                Ok(document::ok())
            }
            (Object::Role(id), Input::Resources(resources)) => {
                let role = Role::from_parts(id.clone(), resources);
                match self.verb {
                    Verb::Put => administrator.update_role(role).await?,
                    _ => administrator.create_role(role).await?,
                }
                Ok(document::ok())
            }
            (Object::Role(id), _) if self.verb == Verb::Get => {
                let role = administrator.role(id).await?;
                Ok(Reply::json(200, &document::Role::of(&role)))
            }
            (Object::Role(id), _) => {
                administrator.delete_role(id).await?;
                Ok(document::ok())
            }
            (Object::Clients | Object::ResetSecret(_), _) => Err(Error::MalformedJson),
        }
    }
}

impl Object {
    /// The path is still percent-encoded, so that identifiers may hold a `/`.
    fn parse(path: &str) -> Result<Self, Error> {
        const NOTHING: Error = Error::NotFound("resource");
        let mut segments = Vec::new();
        for segment in path.strip_prefix('/').ok_or(NOTHING)?.splitn(6, '/') {
            // A plus sign is itself in a path, and a space only in a form.
            segments.push(form::decode(&segment.replace('+', "%2B")).map_err(|_| NOTHING)?.to_string());
        }
        let client = |text: &str| ClientId::parse(text).map_err(|_| Error::NotFound("client"));
        let credentials =
            |text: &str| text.strip_prefix(CREDENTIALS).ok_or(Error::NotFound("credentials object")).and_then(client);
        let tenant = |text: &str| TenantName::parse(text).map_err(|_| Error::NotFound("tenant"));
        let role =
            |tenant: &str, role: &str| RoleId::parse(format!("{tenant}/{role}")).map_err(|_| Error::NotFound("role"));
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match *segments.as_slice() {
            ["client"] => Ok(Self::Clients),
            ["client", id] => client(id).map(Self::Client),
            ["client", id, "reset_secret"] => client(id).map(Self::ResetSecret),
            ["client", id, "secret"] => client(id).map(Self::Secrets),
            ["client", id, "secret", secret] => Ok(Self::Secret(client(id)?, secret.into())),
            ["client", id, "token"] => client(id).map(Self::ApiKeys),
            ["client", id, "token", key] => {
                let hash = key.parse().map_err(|_| Error::NotFound("API key"))?;
                Ok(Self::ApiKey(client(id)?, hash, key.into()))
            }
            ["tenant_assign", of, name] => Ok(Self::Tenant(credentials(of)?, tenant(name)?)),
            ["role_assign", of, tenant, name] => Ok(Self::RoleOf(credentials(of)?, role(tenant, name)?)),
            ["role", tenant, name] => role(tenant, name).map(Self::Role),
            _ => Err(NOTHING),
        }
    }

    /// The methods that it has, also as the value of `Allow`.
    const fn verbs(&self) -> (&'static [Verb], &'static str) {
        match self {
            Self::Clients => (&[Verb::Get, Verb::Post], "GET, POST"),
            Self::Client(_) => (&[Verb::Get, Verb::Put, Verb::Delete], "GET, PUT, DELETE"),
            Self::ResetSecret(_) => (&[Verb::Post], "POST"),
            Self::Secrets(_) | Self::Secret(..) => (&[Verb::Get, Verb::Delete], "GET, DELETE"),
            Self::ApiKeys(_) => (&[Verb::Get, Verb::Post, Verb::Delete], "GET, POST, DELETE"),
            Self::ApiKey(..) => (&[Verb::Delete], "DELETE"),
            Self::Tenant(..) | Self::RoleOf(..) => (&[Verb::Post, Verb::Delete], "POST, DELETE"),
            Self::Role(_) => (&[Verb::Get, Verb::Post, Verb::Put, Verb::Delete], "GET, POST, PUT, DELETE"),
        }
    }
}
