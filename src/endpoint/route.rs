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
/// # Spans
///
/// With the feature `tracing` each request is a span with the target `client_credentials::request`, whose fields are those of
/// OpenTelemetry's semantic conventions for HTTP servers and some of this crate's own. Nothing is in them as the caller sent it,
/// since it may be a secret in the wrong place: `REDACTED` stands for it where there has to be something.
///
/// | field | |
/// | --- | --- |
/// | `otel.kind`, `otel.name` | `server`; the method and the route |
/// | `http.request.method` | one of those of RFC 9110 and RFC 5789, or `_OTHER` |
/// | `http.request.method_original` | where that is `_OTHER`: one of these in another case, or `REDACTED` |
/// | `url.scheme` | that of the issuer identifier; none where a handler was called by itself |
/// | `url.path` | the path of the endpoint, with `/REDACTED` for what is behind the prefix of management, or for all where there is no endpoint |
/// | `url.query` | `REDACTED`, if there is one |
/// | `http.route` | the path of the endpoint, or the pattern of the management call |
/// | `http.response.status_code` | the status |
/// | `client.address` | the [source](Request::source) |
/// | `otel.status_code`, `error.type` | with a status from 500 on: `ERROR`, and the [name](Error::name) of the cause; `ERROR` and `interrupted` where the future was dropped before there was an answer, which has no status and no event |
/// | `oauth.endpoint` | which endpoint it is |
/// | `oauth.client_id` | the client, once a store or a token says that there is one |
/// | `oauth.cause` | the [name](Error::name) of the cause, whether it was refused or has failed |
///
/// The known methods are always these, since no endpoint answers another one than with 405: `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`
/// is not read.
///
/// An event in the span says the cause and its [diagnosis](Error::diagnosis): `refused`, or at the level ERROR `failed`. What failed is
/// in the sources of [`Reply::cause`], and in no event: a driver or a store of the host's may repeat in them what it was given. Who
/// knows that they do not can log them. A handler of one endpoint that a host calls by itself has the same span.
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
    let route = endpoints.route(request.path);
    let request = routed(endpoints, route, *request);
    handle_routed_request(server, endpoints, route.map(|(endpoint, _)| endpoint), &request).await
}

/// The same for a request that is [`routed`].
pub(crate) async fn handle_routed_request<S, T>(
    server: &AuthorizationServer<S, T>,
    endpoints: &Endpoints,
    endpoint: Option<Endpoint>,
    request: &Request<'_>,
) -> Reply
where
    S: ClientRegistry + TokenStore,
    T: TokenIssuer + TokenVerifier,
{
    let Some(endpoint) = endpoint else {
        let reply = || Reply::error(Error::NotFound("endpoint"), server.config());
        return observe::answer_now(None, request, reply);
    };
    // All but the first in a box, so that the future of a token request, which is nearly every one, is no larger for them.
    match endpoint {
        Endpoint::Token => handle_token_request(server, request).await,
        Endpoint::Introspection => Box::pin(handle_introspection_request(server, request)).await,
        Endpoint::Revocation => Box::pin(handle_revocation_request(server, request)).await,
        Endpoint::Jwks => handle_jwks_request(server, request),
        Endpoint::Gateway => Box::pin(handle_gateway_request(server, request)).await,
        Endpoint::Metadata => handle_metadata_request(server, endpoints, request),
        Endpoint::Management => Box::pin(handle_management_request(server, request)).await,
        Endpoint::OpenApi => handle_openapi_request(server, endpoints, request),
    }
}

/// The request as the endpoint at its path gets it: that of management has what is behind its own path.
pub(crate) fn routed<'a>(
    endpoints: &Endpoints,
    route: Option<(Endpoint, &'a str)>,
    request: Request<'a>,
) -> Request<'a> {
    let Some((endpoint, rest)) = route else {
        return request.routed_to(endpoints.scheme(), None);
    };
    // What is routed exactly is the endpoint's own path, and so is what comes before the rest.
    let own = request.path.strip_suffix(rest).unwrap_or_default();
    let request = request.routed_to(endpoints.scheme(), Some(own));
    if endpoint == Endpoint::Management { request.path(rest) } else { request }
}
