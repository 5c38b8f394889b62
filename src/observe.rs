//! What can be seen of a request from outside: a span for `tracing`, and numbers for `metrics`. Every answer goes through here, and
//! without these features nothing of it is left.

mod call;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod span;

use crate::{Endpoint, Reply, Request};

pub(crate) use call::Call;
#[cfg(feature = "metrics")]
pub use metrics::describe_metrics;

/// An answer on its way; `None` where there is no endpoint.
#[cfg(not(any(feature = "tracing", feature = "metrics")))]
#[inline]
pub(crate) fn answer<F: Future<Output = Reply>>(_: Option<Endpoint>, _: &Request<'_>, answer: impl FnOnce() -> F) -> F {
    answer()
}

/// An answer on its way; `None` where there is no endpoint. It is made where it waits, since to move a large one costs time.
#[cfg(any(feature = "tracing", feature = "metrics"))]
pub(crate) async fn answer<F: Future<Output = Reply>>(
    endpoint: Option<Endpoint>,
    request: &Request<'_>,
    answer: impl FnOnce() -> F,
) -> Reply {
    #[cfg(feature = "tracing")]
    let span = span::Unanswered(span::of(endpoint, request));
    #[cfg(feature = "metrics")]
    let answering = metrics::Answering::begin(endpoint);
    #[cfg(feature = "tracing")]
    let reply = tracing::Instrument::instrument(answer(), span.0.clone()).await;
    #[cfg(not(feature = "tracing"))]
    let reply = answer().await;
    #[cfg(feature = "metrics")]
    answering.end(&reply);
    #[cfg(feature = "tracing")]
    span.end(&reply);
    let _ = request;
    reply
}

/// The same for an answer that waits for nothing.
#[inline]
pub(crate) fn answer_now(endpoint: Option<Endpoint>, request: &Request<'_>, answer: impl FnOnce() -> Reply) -> Reply {
    #[cfg(feature = "tracing")]
    let span = span::of(endpoint, request);
    #[cfg(feature = "metrics")]
    let answering = metrics::Answering::begin(endpoint);
    #[cfg(feature = "tracing")]
    let reply = span.in_scope(answer);
    #[cfg(not(feature = "tracing"))]
    let reply = answer();
    #[cfg(feature = "metrics")]
    answering.end(&reply);
    #[cfg(feature = "tracing")]
    span::end(&span, &reply);
    let _ = (endpoint, request);
    reply
}

/// Who the request of this span comes from, or says it comes from: a client that a store knows.
#[inline]
pub(crate) fn client(client_id: &str) {
    #[cfg(feature = "tracing")]
    span::client(client_id);
    let _ = client_id;
}

/// The pattern of a path of the management endpoint, below the path of the endpoint.
#[inline]
pub(crate) fn route(request: &Request<'_>, pattern: &'static str) {
    #[cfg(feature = "tracing")]
    span::route(request, pattern);
    let _ = (request, pattern);
}

/// That a token was issued.
#[inline]
pub(crate) fn issued() {
    #[cfg(feature = "metrics")]
    metrics::issued();
}
