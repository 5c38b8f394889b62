//! What a gateway asks before it lets a request through to an API.

mod identity;
mod question;

use question::Question;

use super::Endpoint;

use crate::{
    AuditAction, AuditEvent, AuthorizationServer, ClientStore, Error, Reply, Request, Requirements, TokenStore,
    TokenVerifier, observe, resource_server,
};

/// Answers a gateway that asks whether a request may pass: the `auth_request` of nginx, the ForwardAuth of Traefik, the
/// `ext_authz` of Envoy over HTTP. There is always a reply.
///
/// The gateway passes on the `Authorization` header of its caller, with any method and without the body. The token in it, an
/// access token or an API key, is told as [`check_token`](AuthorizationServer::check_token) tells it. What else is required
/// stands in the query, which is the operator's:
///
/// | parameter | requires |
/// | --- | --- |
/// | `scope` | all of these scope tokens, with a space between them |
/// | `tenant` | that the token is for this tenant, or a superuser's |
/// | `resource`, any number of them | that they are held in the tenant, or globally where none is asked for |
/// | `audience` | that the token names this API (RFC 9068 §4); without it, only tokens that name none are taken, and API keys |
///
/// A parameter that is misspelt or has no value opens nothing: it is answered with 400, and so is one that is there twice.
///
/// | status | when |
/// | --- | --- |
/// | 200 | it may pass; who it is stands in the headers `X-Client-Id`, `X-Scope`, `X-Tenants` (those of the token) and `X-Resources` (those held in the tenant, or globally where none is asked for), lists with spaces in between |
/// | 400 | the query is wrong, which is the operator's mistake |
/// | 401 | there is no token, or none that counts; with the challenge of RFC 6750 §3 for the caller |
/// | 403 | the token has not what is required; or what it says cannot stand in headers: it is longer than 8 KiB, or the client's identifier begins or ends with a space |
/// | 503 | a store has failed |
///
/// nginx lets only 401 and 403 through to its caller, and makes 500 of anything else. So an `Authorization` header that cannot
/// hold a token, which is an `invalid_request` elsewhere (RFC 6750 §3.1), is a 401 `invalid_token` here.
///
/// All four headers are in every 200, be they empty: a gateway that adds what it is told, without taking away what its caller
/// has sent, must not leave a header standing that the caller has made up. What is no resource id of visible ASCII is left out of
/// `X-Resources`. In nginx:
///
/// ```nginx
/// location /reports/ {
///     auth_request /_token;
///     # Each header that the API believes, or else the caller's own gets through to it.
///     auth_request_set $client_id $upstream_http_x_client_id;
///     auth_request_set $scope     $upstream_http_x_scope;
///     auth_request_set $tenants   $upstream_http_x_tenants;
///     auth_request_set $resources $upstream_http_x_resources;
///     proxy_set_header X-Client-Id $client_id;
///     proxy_set_header X-Scope     $scope;
///     proxy_set_header X-Tenants   $tenants;
///     proxy_set_header X-Resources $resources;
///     proxy_pass http://reports;
/// }
/// location = /_token {
///     internal;
///     proxy_pass http://auth/nginx/introspect/openidconnect?scope=read&resource=report:read;
///     proxy_pass_request_body off;
///     proxy_set_header Content-Length "";
///     proxy_buffer_size 16k;
/// }
/// ```
///
/// Have the gateway drop header names with underscores, as nginx does by itself: some servers take `X_Client_Id` for the same.
///
/// In Traefik, the four stand in `authResponseHeaders`. In Envoy, they stand in `allowed_upstream_headers`, and the path is set
/// with `path_override`: a `path_prefix` has the query of the caller after it. What a caller has sent must not get into the query
/// unless it is encoded, since it could add an `audience` there. And nobody but the gateway may reach the API.
///
/// Each refusal is an [`AuditEvent`], but for those of calls without a token, which are nothing unusual here.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     AuthorizationServer, Claims, Client, Config, MemoryStore, OpaqueIssuer, Request, TokenIssuer, handle_gateway_request,
///     now, time::Duration,
/// };
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// let billing = Client::builder("billing").seacatauth_credentials(true);
/// let (billing, _) = server.administrator("setup", now()).create_client(billing).await?;
/// let claims = Claims::new(billing.client_id().clone(), now(), now() + Duration::MINUTE);
/// let token = server.issuer().issue(&claims).await?;
///
/// let authorization = format!("Bearer {}", token.expose());
/// let request = Request::new("GET", now()).header("Authorization", authorization.as_bytes());
/// let reply = handle_gateway_request(&server, &request).await;
/// assert_eq!(reply.status(), 200);
/// assert!(reply.headers().any(|header| header == ("X-Client-Id", "billing")));
///
/// let reply = handle_gateway_request(&server, &request.query("resource=report:read")).await;
/// assert_eq!(reply.status(), 403);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn handle_gateway_request<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Reply
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    observe::answer(Some(Endpoint::Gateway), request, || ask(server, request)).await
}

async fn ask<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Reply
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    let config = server.config();
    let question = match Question::parse(request.query.unwrap_or_default(), config) {
        Ok(question) => question,
        Err(cause) => return refuse(server, request, None, cause, &Requirements::default()),
    };
    let Question { required, tenant, audience } = &question;
    let claims = match resource_server::check(server, request, audience.as_deref(), config).await {
        Ok(claims) => claims,
        Err(cause) => return refuse(server, request, None, cause, required),
    };
    observe::client(claims.client_id().as_str());
    match required.check(&claims).and_then(|()| identity::reply(&claims, tenant.as_ref())) {
        Ok(reply) => reply,
        Err(cause) => refuse(server, request, Some(claims.client_id().as_str()), cause, required),
    }
}

fn refuse<S, T>(
    server: &AuthorizationServer<S, T>,
    request: &Request<'_>,
    actor: Option<&str>,
    cause: Error,
    required: &Requirements,
) -> Reply {
    // Whoever calls an API for the first time may do so without a token, to see what it wants (RFC 6750 §3).
    if !matches!(cause, Error::NoToken) {
        let event = AuditEvent::of_request(request, AuditAction::CallApi);
        server.record(AuditEvent { actor, cause: Some(&cause), ..event });
    }
    match cause {
        // No gateway passes a 400 on.
        Error::MalformedToken => required.refuse(Error::InvalidToken, server.config()).because(cause),
        cause => required.refuse(cause, server.config()),
    }
}
