//! The management endpoint: clients, their secrets, API keys, tenants and roles, under the paths of SeaCat Auth.

mod administrator;
mod api_keys;
mod body;
mod call;
mod clients;
mod document;
mod roles;
mod secrets;

pub use administrator::Administrator;
use body::Input;
use call::Call;

use crate::{
    AuditAction, AuditEvent, AuthorizationServer, ClientId, ClientRegistry, Error, Reply, Request, TokenStore,
    TokenVerifier, Version, authentication::bearer, request::Field,
};

/// Answers a call of the management API. There is always a reply.
///
/// Nothing is reachable without a bearer token of this very server, an access token or an API key, that holds the resource of
/// the call (RFC 6750); `authz:superuser` passes everywhere. Each change and each refusal is an
/// [`AuditEvent`](crate::AuditEvent).
///
/// | call | needs the resource | answers |
/// | --- | --- | --- |
/// | `GET /client` | `seacat:client:access` | `{"data": [‥], "count": N}`; the query may have `p` (page, from 1 on), `i` (clients on a page, 10 unless said, 100 at most) and `f` (what their identifiers or names contain) |
/// | `POST /client` | `seacat:client:edit` | 201, the client with its `client_secret`, shown once; the body may have `preferred_client_id` beside the metadata |
/// | `GET /client/{client_id}` | `seacat:client:access` | the client, and an `ETag` |
/// | `PUT /client/{client_id}` | `seacat:client:edit` | OK; members that are not there stay as they are, `null` takes one away |
/// | `DELETE /client/{client_id}` | `seacat:client:edit` | OK |
/// | `POST /client/{client_id}/reset_secret` | `seacat:client:edit` | the new `client_secret`, shown once; the body may have an `overlap` |
/// | `GET /client/{client_id}/secret` | `seacat:client:access` | `{"data": [‥], "count": N}`, without the values |
/// | `GET /client/{client_id}/secret/{secret_id}` | `seacat:client:access` | one of them |
/// | `DELETE /client/{client_id}/secret[/{secret_id}]` | `seacat:client:edit` | OK |
/// | `POST /client/{client_id}/token` | `seacat:client:apikey:manage` | 201, an API key with its `token`, shown once; the body may have `exp`, `tenant` and `label` |
/// | `GET /client/{client_id}/token` | `seacat:client:apikey:manage` | `{"data": [‥], "count": N}`, without the values |
/// | `DELETE /client/{client_id}/token[/{token_id}]` | `seacat:client:apikey:manage` | OK |
/// | `POST`, `DELETE /tenant_assign/{credentials_id}/{tenant}` | `seacat:tenant:assign` | OK |
/// | `POST`, `DELETE /role_assign/{credentials_id}/{tenant or *}/{role}` | `seacat:role:assign`, `seacat:role:assign:global` for `*` | OK |
/// | `GET /role/{tenant or *}/{role}` | `seacat:role:access`, `seacat:role:access:global` for `*` | the role |
/// | `POST`, `PUT`, `DELETE /role/{tenant or *}/{role}` | `seacat:role:edit`, `seacat:role:edit:global` for `*` | OK; the body is `{"resources": [‥]}` |
///
/// Any call on a client may have an `If-Match` with the `ETag` of the version that was read (RFC 9110 §13.1.1), and is answered
/// with 412 when the client has changed since.
///
/// OK is `{"result": "OK"}`, and a `credentials_id` is `seacatauth:client:CLIENT_ID`. Bodies are JSON. What concerns a tenant is
/// open to who holds the resource in that tenant. Whatever their resources, nobody gives away resources of this server
/// (`authz:…` and `seacat:…`) that they do not hold, whether by a role, a secret or an API key.
///
/// The host tells the path without the prefix under which it has mounted the endpoint, here `/admin`:
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     AuthorizationServer, Config, MemoryStore, OpaqueIssuer, Request, handle_management_request, now,
/// };
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// let path = "/admin/client".strip_prefix("/admin").unwrap_or_default();
/// let request = Request::new("GET", now()).path(path).query("i=100").header("Authorization", b"Bearer a-token");
/// assert_eq!(handle_management_request(&server, &request).await.status(), 401);
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn handle_management_request<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Reply
where
    S: ClientRegistry + TokenStore,
    T: TokenVerifier,
{
    match manage(server, request).await {
        Ok(reply) => reply,
        Err(cause) => Reply::error(cause, server.config()),
    }
}

async fn manage<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Result<Reply, Error>
where
    S: ClientRegistry + TokenStore,
    T: TokenVerifier,
{
    let (config, now) = (server.config(), request.received_at);
    let nobody = |cause: &Error| {
        if let Some(sink) = server.audit() {
            let (action, cause) = (AuditAction::Manage, Some(cause));
            sink.record(&AuditEvent { time: now, actor: None, action, client_id: None, target: None, cause });
        }
    };
    let token = async {
        let token = bearer::token(request.authorization, config)?;
        server.check_token(token, now).await?.ok_or(Error::InvalidToken)
    };
    let claims = token.await.inspect_err(nobody)?;
    let administrator = Administrator::of_token(server, claims.client_id().as_str(), claims.authorization(), now);

    let call = match Call::parse(request.method, request.path) {
        Ok(call) => call,
        Err(cause) => return Err(administrator.refused(AuditAction::Manage, None, None, cause)),
    };
    let refused = |cause| administrator.refused(call.action(), call.client_id(), call.target(), cause);
    let (resource, tenant) = call.needs();
    administrator.needs(resource, tenant).map_err(refused)?;
    let input = Input::read(&call, request, config).map_err(refused)?;
    let only = match call.client_id() {
        Some(client_id) => precondition(&administrator, client_id, request.if_match).await.map_err(refused)?,
        None => None,
    };
    call.run(&administrator, input, only).await
}

/// The version of a client that it still has to be of, where `If-Match` names it (RFC 9110 §13.1.1). A call that does not
/// update the client's metadata is held to it here only.
async fn precondition<S, T>(
    administrator: &Administrator<'_, S, T>,
    client_id: &ClientId,
    if_match: Field<'_>,
) -> Result<Option<Version>, Error>
where
    S: ClientRegistry,
{
    let tags = match if_match {
        Field::Absent => return Ok(None),
        Field::Once(tags) => tags,
        Field::Repeated => return Err(Error::StaleVersion),
    };
    let (_, version) = administrator.find(client_id).await?;
    let etag = document::etag(version);
    let matches = |tag: &[u8]| tag.trim_ascii() == etag.as_bytes();
    if tags.trim_ascii() == b"*" {
        Ok(None)
    } else if tags.split(|b| *b == b',').any(matches) {
        Ok(Some(version))
    } else {
        Err(Error::StaleVersion)
    }
}
