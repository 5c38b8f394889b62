//! All endpoints behind one function.

use super::{
    Endpoint, Endpoints, handle_gateway_request, handle_introspection_request, handle_jwks_request,
    handle_management_request, handle_metadata_request, handle_revocation_request, handle_token_request,
    openapi::handle_openapi_request,
};
use crate::{
    AuthorizationServer, ClientRegistry, Error, Reply, Request, TokenIssuer, TokenStore, TokenVerifier, observe,
};

/// Answers a request by the endpoint that is at its path, and with 404 where there is none. There is always a reply.
///
/// The [`path`](Request::path) has to be the whole path of the URL, with any prefix under which the host has mounted this.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     AuthorizationServer, Config, Endpoints, MemoryStore, OpaqueIssuer, Request, handle_request, now,
/// };
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// let endpoints = Endpoints::new("https://auth.example.com")?;
///
/// let request = Request::new("GET", now()).path("/.well-known/oauth-authorization-server");
/// assert_eq!(handle_request(&server, &endpoints, &request).await.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn handle_request<S, T>(
    server: &AuthorizationServer<S, T>,
    endpoints: &Endpoints,
    request: &Request<'_>,
) -> Reply
where
    S: ClientRegistry + TokenStore,
    T: TokenIssuer + TokenVerifier,
{
    let Some((endpoint, rest)) = endpoints.route(request.path) else {
        let reply = || Reply::error(Error::NotFound("endpoint"), server.config());
        return observe::answer_now(None, request, reply);
    };
    // What is routed exactly is the endpoint's own path, and so is what comes before the rest.
    let request = &request.routed_to(request.path.strip_suffix(rest).unwrap_or_default());
    match endpoint {
        Endpoint::Token => handle_token_request(server, request).await,
        Endpoint::Introspection => handle_introspection_request(server, request).await,
        Endpoint::Revocation => handle_revocation_request(server, request).await,
        Endpoint::Jwks => handle_jwks_request(server, request),
        Endpoint::Gateway => handle_gateway_request(server, request).await,
        Endpoint::Metadata => handle_metadata_request(server, endpoints, request),
        // In a box, so that the future of every other request is no larger for it.
        Endpoint::Management => Box::pin(handle_management_request(server, &request.path(rest))).await,
        Endpoint::OpenApi => handle_openapi_request(server, endpoints, request),
    }
}
