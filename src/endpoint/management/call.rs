use super::{
    document::{self, ApiKey, Secret},
    input,
};
use crate::{
    Administrator, AuditAction, Client, ClientId, ClientRegistry, Config, Error, Reply, Request, Role, RoleId,
    StoredSecret, TenantName, TokenHash, TokenStore, Version,
    administrator::{Subject, Target},
    form,
};

/// A call, with all that its path says.
#[derive(Debug)]
pub(super) enum Call {
    ListClients,
    CreateClient,
    ReadClient(ClientId),
    UpdateClient(ClientId),
    DeleteClient(ClientId),
    ResetSecret(ClientId),
    ListSecrets(ClientId),
    ReadSecret(ClientId, String),
    RetireSecrets(ClientId),
    RetireSecret(ClientId, String),
    CreateApiKey(ClientId),
    ListApiKeys(ClientId),
    RevokeApiKeys(ClientId),
    RevokeApiKey(ClientId, TokenHash),
    AssignTenant(ClientId, TenantName),
    UnassignTenant(ClientId, TenantName),
    AssignRole(ClientId, RoleId),
    UnassignRole(ClientId, RoleId),
    ReadRole(RoleId),
    CreateRole(RoleId),
    UpdateRole(RoleId),
    DeleteRole(RoleId),
}

/// The credentials object of a client: what tenants and roles are assigned to.
pub(super) const CREDENTIALS: &str = "seacatauth:client:";

/// More than any path needs, however it is encoded.
const PATH_LEN: usize = 1024;

impl Call {
    /// The pattern of its path, which has nothing of the path itself.
    pub(super) const fn route(&self) -> &'static str {
        match self {
            Self::ListClients | Self::CreateClient => "/client",
            Self::ReadClient(_) | Self::UpdateClient(_) | Self::DeleteClient(_) => "/client/{client_id}",
            Self::ResetSecret(_) => "/client/{client_id}/reset_secret",
            Self::ListSecrets(_) | Self::RetireSecrets(_) => "/client/{client_id}/secret",
            Self::ReadSecret(..) | Self::RetireSecret(..) => "/client/{client_id}/secret/{secret_id}",
            Self::CreateApiKey(_) | Self::ListApiKeys(_) | Self::RevokeApiKeys(_) => "/client/{client_id}/token",
            Self::RevokeApiKey(..) => "/client/{client_id}/token/{token_id}",
            Self::AssignTenant(..) | Self::UnassignTenant(..) => "/tenant_assign/{credentials_id}/{tenant}",
            Self::AssignRole(..) | Self::UnassignRole(..) => "/role_assign/{credentials_id}/{tenant}/{role}",
            Self::ReadRole(_) | Self::CreateRole(_) | Self::UpdateRole(_) | Self::DeleteRole(_) => {
                "/role/{tenant}/{role}"
            }
        }
    }

    /// The path is still percent-encoded, so that identifiers may hold a `/`.
    pub(super) fn parse(method: &str, path: &str) -> Result<Self, Error> {
        const NOTHING: Error = Error::NotFound("path");
        if path.len() > PATH_LEN {
            return Err(NOTHING);
        }
        let other = |allowed| Err(Error::MethodNotAllowed(allowed));
        let mut segments = Vec::new();
        for segment in path.strip_prefix('/').ok_or(NOTHING)?.splitn(6, '/') {
            // A plus sign is itself in a path, and a space only in a form.
            segments.push(form::decode(&segment.replace('+', "%2B")).map_err(|_| NOTHING)?.to_string());
        }
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        match *segments.as_slice() {
            ["client"] => match method {
                "GET" => Ok(Self::ListClients),
                "POST" => Ok(Self::CreateClient),
                _ => other("GET, POST"),
            },
            ["client", ""] => Err(NOTHING),
            ["client", id] => match (method, client(id)?) {
                ("GET", id) => Ok(Self::ReadClient(id)),
                ("PUT", id) => Ok(Self::UpdateClient(id)),
                ("DELETE", id) => Ok(Self::DeleteClient(id)),
                _ => other("GET, PUT, DELETE"),
            },
            ["client", id, "reset_secret"] => match (method, client(id)?) {
                ("POST", id) => Ok(Self::ResetSecret(id)),
                _ => other("POST"),
            },
            ["client", id, "secret"] => match (method, client(id)?) {
                ("GET", id) => Ok(Self::ListSecrets(id)),
                ("DELETE", id) => Ok(Self::RetireSecrets(id)),
                _ => other("GET, DELETE"),
            },
            ["client", id, "secret", secret] => {
                let secret = StoredSecret::parse_id(secret).ok_or(Error::NotFound("secret"))?;
                match (method, client(id)?) {
                    ("GET", id) => Ok(Self::ReadSecret(id, secret)),
                    ("DELETE", id) => Ok(Self::RetireSecret(id, secret)),
                    _ => other("GET, DELETE"),
                }
            }
            ["client", id, "token"] => match (method, client(id)?) {
                ("GET", id) => Ok(Self::ListApiKeys(id)),
                ("POST", id) => Ok(Self::CreateApiKey(id)),
                ("DELETE", id) => Ok(Self::RevokeApiKeys(id)),
                _ => other("GET, POST, DELETE"),
            },
            ["client", id, "token", key] => {
                let key = key.parse().map_err(|_| Error::NotFound("API key"))?;
                match (method, client(id)?) {
                    ("DELETE", id) => Ok(Self::RevokeApiKey(id, key)),
                    _ => other("DELETE"),
                }
            }
            ["tenant_assign", of, name] => {
                let name = TenantName::parse(name).map_err(|_| Error::NotFound("tenant"))?;
                match (method, credentials(of)?) {
                    ("POST", id) => Ok(Self::AssignTenant(id, name)),
                    ("DELETE", id) => Ok(Self::UnassignTenant(id, name)),
                    _ => other("POST, DELETE"),
                }
            }
            ["role_assign", of, tenant, name] => match (method, credentials(of)?, role(tenant, name)?) {
                ("POST", id, role) => Ok(Self::AssignRole(id, role)),
                ("DELETE", id, role) => Ok(Self::UnassignRole(id, role)),
                _ => other("POST, DELETE"),
            },
            ["role", tenant, name] => match (method, role(tenant, name)?) {
                ("GET", role) => Ok(Self::ReadRole(role)),
                ("POST", role) => Ok(Self::CreateRole(role)),
                ("PUT", role) => Ok(Self::UpdateRole(role)),
                ("DELETE", role) => Ok(Self::DeleteRole(role)),
                _ => other("GET, POST, PUT, DELETE"),
            },
            _ => Err(NOTHING),
        }
    }

    /// The resource that the caller has to hold, everywhere or in this tenant.
    pub(super) fn needs(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::ListClients | Self::ReadClient(_) | Self::ListSecrets(_) | Self::ReadSecret(..) => {
                ("seacat:client:access", None)
            }
            Self::CreateClient
            | Self::UpdateClient(_)
            | Self::DeleteClient(_)
            | Self::ResetSecret(_)
            | Self::RetireSecrets(_)
            | Self::RetireSecret(..) => ("seacat:client:edit", None),
            Self::CreateApiKey(_) | Self::ListApiKeys(_) | Self::RevokeApiKeys(_) | Self::RevokeApiKey(..) => {
                ("seacat:client:apikey:manage", None)
            }
            Self::AssignTenant(_, tenant) | Self::UnassignTenant(_, tenant) => {
                ("seacat:tenant:assign", Some(tenant.as_str()))
            }
            Self::AssignRole(_, role) | Self::UnassignRole(_, role) => match role.tenant() {
                Some(tenant) => ("seacat:role:assign", Some(tenant)),
                None => ("seacat:role:assign:global", None),
            },
            Self::ReadRole(role) => match role.tenant() {
                Some(tenant) => ("seacat:role:access", Some(tenant)),
                None => ("seacat:role:access:global", None),
            },
            Self::CreateRole(role) | Self::UpdateRole(role) | Self::DeleteRole(role) => match role.tenant() {
                Some(tenant) => ("seacat:role:edit", Some(tenant)),
                None => ("seacat:role:edit:global", None),
            },
        }
    }

    pub(super) const fn action(&self) -> AuditAction {
        match self {
            Self::ListClients => AuditAction::ListClients,
            Self::CreateClient => AuditAction::CreateClient,
            Self::ReadClient(_) => AuditAction::ReadClient,
            Self::UpdateClient(_) => AuditAction::UpdateClient,
            Self::DeleteClient(_) => AuditAction::DeleteClient,
            Self::ResetSecret(_) => AuditAction::ResetSecret,
            Self::ListSecrets(_) | Self::ReadSecret(..) => AuditAction::ListSecrets,
            Self::RetireSecrets(_) | Self::RetireSecret(..) => AuditAction::RetireSecret,
            Self::CreateApiKey(_) => AuditAction::CreateApiKey,
            Self::ListApiKeys(_) => AuditAction::ListApiKeys,
            Self::RevokeApiKeys(_) | Self::RevokeApiKey(..) => AuditAction::RevokeApiKey,
            Self::AssignTenant(..) => AuditAction::AssignTenant,
            Self::UnassignTenant(..) => AuditAction::UnassignTenant,
            Self::AssignRole(..) => AuditAction::AssignRole,
            Self::UnassignRole(..) => AuditAction::UnassignRole,
            Self::ReadRole(_) => AuditAction::ReadRole,
            Self::CreateRole(_) => AuditAction::CreateRole,
            Self::UpdateRole(_) => AuditAction::UpdateRole,
            Self::DeleteRole(_) => AuditAction::DeleteRole,
        }
    }

    pub(super) const fn client_id(&self) -> Option<&ClientId> {
        match self {
            Self::ListClients
            | Self::CreateClient
            | Self::ReadRole(_)
            | Self::CreateRole(_)
            | Self::UpdateRole(_)
            | Self::DeleteRole(_) => None,
            Self::ReadClient(client_id)
            | Self::UpdateClient(client_id)
            | Self::DeleteClient(client_id)
            | Self::ResetSecret(client_id)
            | Self::ListSecrets(client_id)
            | Self::ReadSecret(client_id, _)
            | Self::RetireSecrets(client_id)
            | Self::RetireSecret(client_id, _)
            | Self::CreateApiKey(client_id)
            | Self::ListApiKeys(client_id)
            | Self::RevokeApiKeys(client_id)
            | Self::RevokeApiKey(client_id, _)
            | Self::AssignTenant(client_id, _)
            | Self::UnassignTenant(client_id, _)
            | Self::AssignRole(client_id, _)
            | Self::UnassignRole(client_id, _) => Some(client_id),
        }
    }

    /// What it is about, for the audit.
    pub(super) fn subject(&self) -> Subject<'_> {
        let target = match self {
            Self::ReadSecret(_, id) | Self::RetireSecret(_, id) => Some(Target::Secret(id)),
            Self::AssignTenant(_, tenant) | Self::UnassignTenant(_, tenant) => Some(Target::Tenant(tenant)),
            Self::AssignRole(_, role)
            | Self::UnassignRole(_, role)
            | Self::ReadRole(role)
            | Self::CreateRole(role)
            | Self::UpdateRole(role)
            | Self::DeleteRole(role) => Some(Target::Role(role)),
            _ => None,
        };
        Subject::new(self.action(), self.client_id()).with_target(target)
    }

    /// Does it. `only` is the version that the client has to be of.
    pub(super) async fn run<S, T>(
        &self,
        administrator: &Administrator<'_, S, T>,
        request: &Request<'_>,
        config: &Config,
        only: Option<Version>,
    ) -> Result<Reply, Error>
    where
        S: ClientRegistry + TokenStore,
    {
        // What has not come whole is not acted on, even if the call takes no body.
        if let Err(cause @ Error::IncompleteBody) = request.body_up_to(config.max_body_bytes()) {
            return self.or_refused(administrator, Err(cause)).await;
        }
        match self {
            Self::ListClients => {
                let page = self.or_refused(administrator, input::page(request, config)).await?;
                let (clients, count) = administrator.list_clients(&page.filter, page.skip, page.most).await?;
                return Ok(document::list(clients.iter().map(document::Client::of), count));
            }
            Self::CreateClient => {
                let (preferred, metadata) = self.or_refused(administrator, input::new_client(request, config)).await?;
                let client_id = preferred.map_or_else(|| administrator.new_client_id(), Ok)?;
                let client =
                    self.or_refused(administrator, metadata.apply(Client::builder(client_id.as_str()))).await?;
                let (client, secret) = administrator.create_client(client).await?;
                let location = format!("client/{}", client.client_id());
                let created = Reply::json(201, &document::Client::of(&client).with_secret(&secret));
                return Ok(created.with("Location", location));
            }
            Self::ReadClient(client_id) => {
                let (client, version) = administrator.client(client_id).await?;
                let client = document::Client::of(&client);
                return Ok(Reply::json(200, &client).with("ETag", document::etag(version)));
            }
            Self::UpdateClient(client_id) => {
                let metadata = self.or_refused(administrator, input::metadata(request, config)).await?;
                administrator.update(client_id, only, |client| metadata.apply(client)).await?;
            }
            Self::DeleteClient(client_id) => administrator.delete_client(client_id).await?,
            Self::ResetSecret(client_id) => {
                let overlap = self.or_refused(administrator, input::overlap(request, config)).await?;
                let (secret, stored) = administrator.reset_secret(client_id, overlap).await?;
                return Ok(Reply::json(200, &document::NewSecret::of(&secret, &stored)));
            }
            Self::ListSecrets(client_id) => {
                let secrets = administrator.secrets(client_id).await?;
                let ids: Vec<_> = secrets.iter().map(StoredSecret::id).collect();
                let uses = administrator.last_uses(&ids).await?;
                let data = secrets.iter().zip(uses).map(|(secret, last)| Secret::of(secret, last));
                return Ok(document::list(data, secrets.len()));
            }
            Self::ReadSecret(client_id, id) => {
                let secrets = administrator.secrets(client_id).await?;
                let secret = secrets.iter().find(|secret| secret.id() == *id).ok_or(Error::NotFound("secret"));
                let secret = self.or_refused(administrator, secret).await?;
                let last = administrator.last_uses(&[secret.id()]).await?.into_iter().next().flatten();
                return Ok(Reply::json(200, &Secret::of(secret, last)));
            }
            Self::RetireSecrets(client_id) => administrator.retire_secret(client_id, None).await?,
            Self::RetireSecret(client_id, id) => administrator.retire_secret(client_id, Some(id)).await?,
            Self::CreateApiKey(client_id) => {
                let asked = self.or_refused(administrator, input::api_key(request, config)).await?;
                let tenant = asked.tenant.as_ref();
                let created = administrator.create_api_key(client_id, &asked.label, tenant, asked.expires_at);
                let (token, claims) = created.await?;
                let key = ApiKey::of(&token.hash(), &claims, None).with_token(&token);
                let location = format!("token/{}", token.hash().to_text());
                return Ok(Reply::json(201, &key).with("Location", location));
            }
            Self::ListApiKeys(client_id) => {
                let keys = administrator.api_keys(client_id).await?;
                let ids: Vec<_> = keys.iter().map(|(hash, _)| hash.to_text()).collect();
                let uses = administrator.last_uses(&ids).await?;
                let data = keys.iter().zip(uses).map(|((hash, claims), last)| ApiKey::of(hash, claims, last));
                return Ok(document::list(data, keys.len()));
            }
            Self::RevokeApiKeys(client_id) => administrator.revoke_api_key(client_id, None).await?,
            Self::RevokeApiKey(client_id, id) => administrator.revoke_api_key(client_id, Some(id)).await?,
            Self::AssignTenant(client_id, tenant) => administrator.assign_tenant(client_id, tenant).await?,
            Self::UnassignTenant(client_id, tenant) => administrator.unassign_tenant(client_id, tenant).await?,
            Self::AssignRole(client_id, role) => administrator.assign_role(client_id, role).await?,
            Self::UnassignRole(client_id, role) => administrator.unassign_role(client_id, role).await?,
            Self::ReadRole(id) => {
                return Ok(Reply::json(200, &document::Role::of(&administrator.role(id).await?)));
            }
            Self::CreateRole(id) => {
                let resources = self.or_refused(administrator, input::resources(request, config)).await?;
                administrator.create_role(Role::from_parts(id.clone(), resources)).await?;
            }
            Self::UpdateRole(id) => {
                let resources = self.or_refused(administrator, input::resources(request, config)).await?;
                administrator.update_role(Role::from_parts(id.clone(), resources)).await?;
            }
            Self::DeleteRole(id) => administrator.delete_role(id).await?,
        }
        Ok(document::ok())
    }

    /// What was asked for, or why it is refused, which is recorded.
    async fn or_refused<R, S: ClientRegistry, T>(
        &self,
        administrator: &Administrator<'_, S, T>,
        asked: Result<R, Error>,
    ) -> Result<R, Error> {
        match asked {
            Ok(asked) => Ok(asked),
            Err(cause) => Err(administrator.refused(&self.subject(), cause).await),
        }
    }
}

fn client(text: &str) -> Result<ClientId, Error> {
    ClientId::parse(text).map_err(|_| Error::NotFound("client"))
}

fn credentials(text: &str) -> Result<ClientId, Error> {
    text.strip_prefix(CREDENTIALS).ok_or(Error::NotFound("credentials object")).and_then(client)
}

fn role(tenant: &str, name: &str) -> Result<RoleId, Error> {
    RoleId::parse(format!("{tenant}/{name}")).map_err(|_| Error::NotFound("role"))
}
