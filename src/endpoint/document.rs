//! What an endpoint that only tells something asks of a request.

use super::Endpoint;
use crate::{Config, Error, Reply, Request, observe};

/// The document, for GET; all but the document, for HEAD, which whoever has GET must have too (RFC 9110 §9.1, §9.3.2).
pub(super) fn read(
    endpoint: Endpoint,
    request: &Request<'_>,
    config: &Config,
    document: impl FnOnce() -> Reply,
) -> Reply {
    observe::answer_now(Some(endpoint), request, || match request.method {
        "GET" => document(),
        "HEAD" => document().without_body(),
        _ => Reply::error(Error::MethodNotAllowed("GET, HEAD"), config),
    })
}
