//! All endpoints as one service of `tower`, for axum, hyper, tonic and whatever else takes one.

mod body;

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Response, header::CONTENT_LENGTH, request::Parts};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;
use zeroize::Zeroizing;

use crate::{
    AuthorizationServer, ClientRegistry, Endpoints, Reply, Request, TokenIssuer, TokenStore, TokenVerifier,
    endpoint::{handle_routed_request, routed},
    http_types::into_response,
    now,
};

/// All endpoints of a server as one [`tower_service::Service`], which never fails. A clone shares the server.
///
/// It takes `http` requests with any type of body. In axum, give it to `Router::fallback_service` or to
/// `Router::route_service`, but not to `Router::nest_service`, which takes a part of the path away: give the issuer identifier
/// or the endpoints that path instead. In hyper, wrap it in `hyper_util::service::TowerToHyperService`.
///
/// Each request is one of the time ([`now`]) when all of it has arrived, and its body is read only where the endpoint at its path takes one, up
/// to [`Config::max_body_bytes`](crate::Config::max_body_bytes): a longer one is answered with 413, unread if it says its
/// length, and one that breaks off with 400, and both as refusals like any other. How long a body may take is for the host to say.
///
/// The [`cause`](Reply::cause) of a refusal is in the extensions of the response, as an [`Error`](crate::Error): that is the place to log from.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{AuthorizationServer, AuthorizationService, Config, Endpoints, Error, MemoryStore, OpaqueIssuer};
/// use tower::ServiceExt as _;
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// let service = AuthorizationService::new(server, Endpoints::new("https://auth.example.com")?);
///
/// // let app = axum::Router::new().fallback_service(service);
/// let request = http::Request::get("/openidconnect/token").body(String::new())?;
/// let response = service.oneshot(request).await?;
/// assert_eq!(response.status(), 405);
/// assert!(matches!(response.extensions().get(), Some(Error::MethodNotAllowed("POST"))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AuthorizationService<S, T>(Arc<Served<S, T>>);

struct Served<S, T> {
    server: Arc<AuthorizationServer<S, T>>,
    endpoints: Endpoints,
}

impl<S, T> AuthorizationService<S, T> {
    /// The endpoints of this server, at these addresses.
    #[must_use]
    pub fn new(server: impl Into<Arc<AuthorizationServer<S, T>>>, endpoints: Endpoints) -> Self {
        Self(Arc::new(Served { server: server.into(), endpoints }))
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Arc<AuthorizationServer<S, T>> {
        &self.0.server
    }

    /// Where its endpoints are.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.0.endpoints
    }
}

impl<S, T, B> Service<http::Request<B>> for AuthorizationService<S, T>
where
    S: ClientRegistry + TokenStore + 'static,
    T: TokenIssuer + TokenVerifier + 'static,
    B: Body + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let served = self.0.clone();
        let (parts, body) = request.into_parts();
        Box::pin(async move {
            let reply = served.reply(&parts, body).await;
            // Zeroed when the server has sent it, since it may hold a token.
            Ok(into_response(reply, |body| Full::new(Bytes::from_owner(Zeroizing::new(body)))))
        })
    }
}

impl<S, T> Served<S, T>
where
    S: ClientRegistry + TokenStore,
    T: TokenIssuer + TokenVerifier,
{
    async fn reply<B: Body + 'static>(&self, parts: &Parts, body: B) -> Reply {
        let Self { server, endpoints } = self;
        let route = endpoints.route(parts.uri.path());
        let body = match route {
            Some((endpoint, _)) if endpoint.takes_body() => {
                let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
                body::read(body, length, server.config().max_body_bytes()).await
            }
            _ => Ok(body::Whole::default()),
        };
        // It has arrived when all of it has: nobody gains time by a body that comes slowly.
        let request = Request::from_parts(parts, now());
        let request = match &body {
            Ok(body) => request.body(body),
            Err(body::NotRead::TooLong) => request.oversized_body(),
            Err(body::NotRead::BrokenOff) => request.broken_off_body(),
        };
        let request = routed(endpoints, route, request);
        let endpoint = route.map(|(endpoint, _)| endpoint);
        // Two boxes, since the allocator has one of up to a kilobyte at hand and has to look for a larger one.
        Box::pin(handle_routed_request(server, endpoints, endpoint, &request)).await
    }
}

impl<S, T> Clone for AuthorizationService<S, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: fmt::Debug, T: fmt::Debug> fmt::Debug for AuthorizationService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Served { server, endpoints } = &*self.0;
        f.debug_struct("AuthorizationService").field("server", server).field("endpoints", endpoints).finish()
    }
}
