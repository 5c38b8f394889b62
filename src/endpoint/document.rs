//! What an endpoint that only tells something asks of a request.

use crate::{Config, Error, Reply, Request};

/// The document, for GET; all but the document, for HEAD, which whoever has GET must have too (RFC 9110 §9.1, §9.3.2).
pub(super) fn read(request: &Request<'_>, config: &Config, document: impl FnOnce() -> Reply) -> Reply {
    match request.method {
        "GET" => document(),
        "HEAD" => document().without_body(),
        _ => Reply::error(Error::MethodNotAllowed("GET, HEAD"), config),
    }
}
