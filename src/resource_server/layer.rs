//! A layer that checks tokens in front of a service.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tower_layer::Layer;
use tower_service::Service;

use super::{Requirements, ResourceServer};
use crate::{Request, TokenVerifier, now};

/// Lets a request pass to the service behind it when its bearer token has what is required, and answers it otherwise
/// (RFC 6750).
///
/// The service finds the token's [`Claims`](crate::Claims) among the extensions of the request. It is never called without
/// them. Why a request was refused is an [`Error`](crate::Error) among the extensions of the response, for the host's log. What
/// is required is the same for all requests that go through one layer; what only a handler knows, such as the tenant in its path,
/// it asks of the claims with [`Requirements::check`].
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use std::sync::Arc;
/// use axum::{Extension, Router, body::Body, routing::get};
/// use client_credentials::{
///     AnyTokenVerifier, Claims, Config, MemoryStore, OpaqueIssuer, Requirements, ResourceServer, ResourceServerLayer,
/// };
/// use tower::ServiceExt as _;
///
/// let verifier = AnyTokenVerifier::new(OpaqueIssuer::new(MemoryStore::default()));
/// let api = Arc::new(ResourceServer::new(verifier, Config::default()));
/// let reading = ResourceServerLayer::new(api, Requirements::default().scope("read")?);
/// let app = Router::new()
///     .route("/reports", get(async |Extension(claims): Extension<Claims>| format!("for {}", claims.client_id())))
///     .layer(reading);
///
/// let response = app.oneshot(http::Request::get("/reports").body(Body::empty())?).await?;
/// assert_eq!(response.status(), 401);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ResourceServerLayer<V> {
    server: Arc<ResourceServer<V>>,
    required: Requirements,
}

impl<V> ResourceServerLayer<V> {
    /// A layer that lets pass what has all of `required`.
    #[must_use]
    pub const fn new(server: Arc<ResourceServer<V>>, required: Requirements) -> Self {
        Self { server, required }
    }
}

impl<V, S> Layer<S> for ResourceServerLayer<V> {
    type Service = ResourceServerService<V, S>;

    fn layer(&self, inner: S) -> Self::Service {
        ResourceServerService { layer: self.clone(), inner }
    }
}

impl<V> Clone for ResourceServerLayer<V> {
    fn clone(&self) -> Self {
        Self { server: Arc::clone(&self.server), required: self.required.clone() }
    }
}

impl<V> fmt::Debug for ResourceServerLayer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServerLayer").field("required", &self.required).finish_non_exhaustive()
    }
}

/// What [`ResourceServerLayer`] makes of a service. Its error is the service's own: a refusal is a response.
pub struct ResourceServerService<V, S> {
    layer: ResourceServerLayer<V>,
    inner: S,
}

impl<V, S: Clone> Clone for ResourceServerService<V, S> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), inner: self.inner.clone() }
    }
}

impl<V, S: fmt::Debug> fmt::Debug for ResourceServerService<V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServerService").field("layer", &self.layer).field("inner", &self.inner).finish()
    }
}

impl<V, S, B, R> Service<http::Request<B>> for ResourceServerService<V, S>
where
    V: TokenVerifier + 'static,
    S: Service<http::Request<B>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<Vec<u8>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (layer, received_at) = (self.layer.clone(), now());
        // The service that was polled is the one that is ready, and a clone need not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let ResourceServerLayer { server, required } = layer;
            let (mut parts, body) = request.into_parts();
            match server.check(&Request::from_parts(&parts, received_at), &required).await {
                Ok(claims) => {
                    parts.extensions.insert(claims);
                    inner.call(http::Request::from_parts(parts, body)).await
                }
                Err(cause) => Ok(server.refuse(cause, &required).into()),
            }
        })
    }
}
