//! The management endpoint: clients, their secrets, API keys, tenants and roles, under the paths of SeaCat Auth.

mod call;
mod document;
mod input;
mod precondition;

use std::time::Instant;

use call::Call;
use precondition::Precondition;

use super::Endpoint;
use crate::{
    Administrator, AuditAction, AuthorizationServer, ClientRegistry, Error, Reply, Request, TokenStore, TokenVerifier,
    administrator::Subject, authentication::bearer, observe,
};

/// Answers a call of the management API. There is always a reply.
///
/// Nothing is reachable without a bearer token of this very server, an access token or an API key, that holds the resource of
/// the call (RFC 6750); `authz:superuser` passes everywhere. Each change and each refusal is an
/// [`AuditEvent`](crate::AuditEvent); requests for no path of these, and those without a bearer token or with a malformed one, count
/// for their source, which has to wait after too many of them, as [`Throttle`](crate::Throttle) says.
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
/// with 412 when the client has changed since. `PUT` changes that version and no other, whoever else is at it; the other calls
/// are held to it when they begin. Members are refused that are not known, by name, when a client is created too:
/// it is no endpoint for dynamic registration (RFC 7591), which would ignore them.
///
/// OK is `{"result": "OK"}`, and a `credentials_id` is `seacatauth:client:CLIENT_ID`. Bodies are JSON. What concerns a tenant is
/// open to who holds the resource in that tenant. A token counts here only as far as its client still has what it says. And
/// whatever their resources, nobody gives or takes away resources of this server (`authz:…` and `seacat:…`) that they do not
/// hold, whether by a role or its definition, or by touching a client that has them: its metadata, its secrets, its API keys.
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
    let answer = || async {
        match manage(server, request).await {
            Ok(reply) => reply,
            Err(cause) => Reply::error(cause, server.config()),
        }
    };
    observe::answer(Some(Endpoint::Management), request, answer).await
}

async fn manage<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Result<Reply, Error>
where
    S: ClientRegistry + TokenStore,
    T: TokenVerifier,
{
    let (config, now, begun) = (server.config(), request.received_at, Instant::now());
    let call = Call::parse(request.method, request.path);
    if let Ok(call) = &call {
        observe::route(request, call.route());
    }
    // Which calls there are is no secret, and who has the wrong address is not to look for a wrong token.
    if let Err(cause @ Error::NotFound("path")) = call {
        return Err(refuse_unauthenticated(server, request, cause).await);
    }
    let token = async {
        let token = bearer::token(request.authorization, config)?;
        server.check_administrator(token, now).await?.ok_or(Error::InvalidToken)
    };
    let claims = match token.await {
        Ok(claims) => claims,
        Err(cause) => return Err(refuse_unauthenticated(server, request, cause).await),
    };
    observe::client(claims.client_id().as_str());
    let administrator =
        Administrator::of_token(server, claims.client_id().as_str(), claims.authorization(), now, begun)
            .with_source(request.source);

    let call = match call {
        Ok(call) => call,
        Err(cause) => return Err(administrator.refused(&Subject::new(AuditAction::Manage, None), cause).await),
    };
    let (resource, tenant) = call.needs();
    let precondition = async {
        administrator.needs(resource, tenant)?;
        Precondition::of(&administrator, &call, request).await
    };
    match precondition.await {
        Ok(Precondition::Holds(only)) => call.run(&administrator, request, config, only).await,
        Ok(Precondition::NotModified(etag)) => Ok(Reply::not_modified(etag)),
        Err(cause) => Err(administrator.refused(&call.subject(), cause).await),
    }
}

/// What a request is refused for that came without a token that counts, and its event. One that has no token at all counts for its
/// source, or it would be a line of the audit each time.
async fn refuse_unauthenticated<S, T>(
    server: &AuthorizationServer<S, T>,
    request: &Request<'_>,
    cause: Error,
) -> Error {
    let cause = match cause {
        Error::NotFound(_) | Error::NoToken | Error::MalformedToken => {
            server.count_unauthenticated(cause, request).await
        }
        cause => cause,
    };
    server.record_refusal(request, AuditAction::Manage, None, &cause);
    cause
}
