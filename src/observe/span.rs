//! One span for each request, with the fields of OpenTelemetry's semantic conventions for HTTP servers.
//!
//! Nothing stands in it as the caller has sent it: a method, a path, a query, a header or a body can hold a secret. A method is one
//! of those that there are, if not in their case, a path and a route are the endpoint's own, and a client is one that the store knows.
//! What the conventions require and the caller has made up is [`REDACTED`].
//!
//! What is refused is no error of a server's span: `error.type` is there where `otel.status_code` is, from 500 on, and where a
//! request is dropped before there is an answer.

use std::{fmt, mem};

use tracing::{
    Span,
    field::{Empty, display},
    level_filters::LevelFilter,
};

use super::{Endpoint, Reply, Request};
use crate::Error;

/// The target of spans and events, by which a host filters them.
const TARGET: &str = "client_credentials::request";

/// What stands for a text that may hold a secret.
const REDACTED: &str = "REDACTED";

pub(super) fn of(endpoint: Option<Endpoint>, request: &Request<'_>) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.kind = "server",
        otel.name = Empty,
        otel.status_code = Empty,
        http.request.method = method(request),
        http.request.method_original = method_original(request),
        url.scheme = request.scheme,
        url.path = UrlPath::of(endpoint, request).map(display),
        url.query = request.query.map(|_| REDACTED),
        http.route = Empty,
        http.response.status_code = Empty,
        client.address = request.source.map(display),
        "error.type" = Empty,
        oauth.endpoint = endpoint.map(Endpoint::name),
        oauth.client_id = Empty,
        oauth.cause = Empty,
    );
    if span.is_none() {
        return span; // and nobody else sees what it would be called
    }
    match request.route {
        Some(path) if endpoint != Some(Endpoint::Management) => name(&span, request, path),
        _ => {
            span.record("otel.name", name_of(method(request)));
        }
    }
    span
}

/// The span of a request that has no answer yet. If it never gets one, since the caller has hung up or the host has given up on
/// it, the span says that: it would look like one of a request that went well.
pub(super) struct Unanswered(pub(super) Span);

impl Unanswered {
    #[inline]
    pub(super) fn end(mut self, reply: &Reply) {
        end(&mem::replace(&mut self.0, Span::none()), reply);
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        // Of one that was answered there is nothing here any more. No event, since whoever hangs up would fill the log.
        if !self.0.is_none() {
            fail(&self.0, &Error::Interrupted);
        }
    }
}

/// The event is there even where the span is not, which a filter may leave out that lets a failure pass.
pub(super) fn end(span: &Span, reply: &Reply) {
    // As an i64, which OpenTelemetry's integers are: `tracing` makes a u64 of an unsigned one, and that becomes a string there.
    span.record("http.response.status_code", i64::from(reply.status()));
    let Some(cause) = reply.cause() else { return };
    span.record("oauth.cause", cause.name());
    span.in_scope(|| {
        if cause.is_failure() {
            // Else it is the caller's error, and not the server's.
            fail(span, cause);
            tracing::error!(target: TARGET, %cause, diagnosis = cause.diagnosis(), "failed");
        } else {
            tracing::info!(target: TARGET, %cause, diagnosis = cause.diagnosis(), "refused");
        }
    });
}

fn fail(span: &Span, cause: &Error) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", cause.name());
}

/// What is entered is the span of the request, or one of the host's without such a field, which then takes no notice.
#[inline]
pub(super) fn client(client_id: &str) {
    if LevelFilter::current() == LevelFilter::OFF {
        return; // nobody listens, and to look for what is entered costs more than to ask that
    }
    Span::current().record("oauth.client_id", client_id);
}

pub(super) fn route(request: &Request<'_>, pattern: &str) {
    let span = Span::current();
    if !span.is_disabled() {
        name(&span, request, &[request.route.unwrap_or_default(), pattern].concat());
    }
}

fn name(span: &Span, request: &Request<'_>, route: &str) {
    if !span.is_disabled() {
        span.record("http.route", route);
        span.record("otel.name", display(format_args!("{} {route}", name_of(method(request)))));
    }
}

/// What a span's name has for a method.
fn name_of(method: &'static str) -> &'static str {
    if method == "_OTHER" { "HTTP" } else { method }
}

/// The methods of RFC 9110 §9 and RFC 5789.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// One of these; any other is `_OTHER`.
fn method(request: &Request<'_>) -> &'static str {
    METHODS.into_iter().find(|method| *method == request.method).unwrap_or("_OTHER")
}

/// What `_OTHER` stands for: a client that writes `post` can be found, and what is no method at all is not repeated.
fn method_original<'a>(request: &Request<'a>) -> Option<&'a str> {
    let is_one = METHODS.into_iter().any(|method| method.eq_ignore_ascii_case(request.method));
    (method(request) == "_OTHER").then_some(if is_one { request.method } else { REDACTED })
}

/// The path of the URL, so far as it is the endpoint's.
struct UrlPath<'a> {
    own: &'a str,
    /// Whether there is more behind it, or all of it is the caller's.
    has_more: bool,
}

impl<'a> UrlPath<'a> {
    /// `None` where the host has not said it.
    fn of(endpoint: Option<Endpoint>, request: &Request<'a>) -> Option<Self> {
        match request.route {
            Some(own) => Some(Self { own, has_more: endpoint == Some(Endpoint::Management) }),
            None => (!request.path.is_empty()).then_some(Self { own: "", has_more: true }),
        }
    }
}

impl fmt::Display for UrlPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.own)?;
        if self.has_more { write!(f, "/{REDACTED}") } else { Ok(()) }
    }
}
