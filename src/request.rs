//! What arrives: the parts of an HTTP request that the endpoints look at, borrowed from the host.

mod network;

use std::{fmt, net::IpAddr};

use time::OffsetDateTime;

use crate::Error;

/// An HTTP request, as any host can describe it.
///
/// ```
/// use client_credentials::{Request, now};
///
/// let headers = [("Host", "localhost"), ("Content-Type", "application/x-www-form-urlencoded")];
/// let request = Request::new("POST", now())
///     .headers(headers.map(|(name, value)| (name, value.as_bytes())))
///     .body(b"grant_type=client_credentials");
/// ```
///
/// Everything in it is taken as the peer sent it. `Debug` shows no header and no body.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) authorization: Field<'a>,
    pub(crate) content_type: Field<'a>,
    pub(crate) if_match: Field<'a>,
    pub(crate) if_none_match: Field<'a>,
    body: Body<'a>,
    pub(crate) received_at: OffsetDateTime,
    pub(crate) source: Option<IpAddr>,
    /// The path of the endpoint that it was routed to, as the host has set it.
    #[cfg(feature = "tracing")]
    pub(crate) route: Option<&'a str>,
    /// The scheme of the issuer identifier, where it was routed.
    #[cfg(feature = "tracing")]
    pub(crate) scheme: Option<&'static str>,
}

/// Where a request comes from, as an extension of an `http::Request`: see [`Request::source`].
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it is an address and nothing else")]
pub struct Source(pub IpAddr);

/// What there is of a body.
#[derive(Clone, Copy)]
enum Body<'a> {
    Whole(&'a [u8]),
    /// It was too long to be read.
    TooLong,
    /// It ended before all of it was there.
    #[cfg(feature = "tower")]
    BrokenOff,
}

/// A header field that may stand in a request only once.
#[derive(Clone, Copy)]
pub(crate) enum Field<'a> {
    Absent,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Field<'a> {
    /// Whether it is this media type, whatever its parameters (RFC 9110 §8.3.1). It is UTF-8 here, whatever they say.
    pub(crate) fn is_media_type(self, media_type: &[u8]) -> bool {
        let Self::Once(value) = self else { return false };
        let without_parameters = || value.split(|b| *b == b';').next().unwrap_or_default();
        value == media_type || without_parameters().trim_ascii().eq_ignore_ascii_case(media_type)
    }

    #[inline]
    pub(crate) const fn add(self, value: &'a [u8]) -> Self {
        match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        }
    }
}

impl<'a> Request<'a> {
    /// A request with this method that arrived at this time: [`now`](crate::now), a `SystemTime`, or whatever a test wants
    /// it to be. Take it when the body is there: what expires or is revoked while a body comes slowly must not count any more.
    #[inline]
    pub fn new(method: &'a str, received_at: impl Into<OffsetDateTime>) -> Self {
        Self {
            method,
            path: "",
            query: None,
            authorization: Field::Absent,
            content_type: Field::Absent,
            if_match: Field::Absent,
            if_none_match: Field::Absent,
            body: Body::Whole(&[]),
            received_at: received_at.into(),
            source: None,
            #[cfg(feature = "tracing")]
            route: None,
            #[cfg(feature = "tracing")]
            scheme: None,
        }
    }

    /// The path of the URL, still percent-encoded. [`handle_request`](crate::handle_request) wants the whole of it, and
    /// [`handle_management_request`](crate::handle_management_request) what comes after the prefix under which the host has
    /// mounted it. The other endpoints do not look at it.
    #[must_use]
    #[inline]
    pub const fn path(self, path: &'a str) -> Self {
        Self { path, ..self }
    }

    /// That it came under this scheme and was routed to the endpoint at this path, if there is one: for the span of the request.
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables, reason = "nobody asks"))]
    pub(crate) const fn routed_to(self, scheme: &'static str, path: Option<&'a str>) -> Self {
        Self {
            #[cfg(feature = "tracing")]
            route: path,
            #[cfg(feature = "tracing")]
            scheme: Some(scheme),
            ..self
        }
    }

    /// The query of the URL, without the `?`, if there is one.
    #[must_use]
    #[inline]
    pub fn query(self, query: impl Into<Option<&'a str>>) -> Self {
        Self { query: query.into(), ..self }
    }

    /// The address that the request comes from, by which failed authentications are counted and which logs name.
    ///
    /// Only the host knows it: the peer of the connection, or behind a proxy what that proxy says. A header that a client can
    /// set by itself lets it appear as anybody. For `AuthorizationService` put it into the
    /// extensions of the request, as a `Source`.
    #[must_use]
    #[inline]
    pub fn source(self, source: impl Into<Option<IpAddr>>) -> Self {
        Self { source: source.into(), ..self }
    }

    /// The network that it comes from, all of whose addresses somebody has who has one of them.
    pub(crate) fn network(&self) -> Option<IpAddr> {
        self.source.map(network::of)
    }

    /// All header fields of the request, in any case. Give every one of them, repeated ones too: the endpoints pick what
    /// they need and refuse what may stand there only once.
    #[must_use]
    pub fn headers(mut self, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        headers.into_iter().for_each(|(name, value)| self.add(name, value));
        self
    }

    /// One header field.
    #[must_use]
    #[inline]
    pub fn header(mut self, name: &str, value: &'a [u8]) -> Self {
        self.add(name, value);
        self
    }

    // `from_parts` in `http_types` picks the same fields. In any case: the names of fields are nearly always known where this is called, and then little of it is left.
    #[inline(always)]
    fn add(&mut self, name: &str, value: &'a [u8]) {
        let field = if name.eq_ignore_ascii_case("authorization") {
            &mut self.authorization
        } else if name.eq_ignore_ascii_case("content-type") {
            &mut self.content_type
        } else if name.eq_ignore_ascii_case("if-match") {
            &mut self.if_match
        } else if name.eq_ignore_ascii_case("if-none-match") {
            &mut self.if_none_match
        } else {
            return;
        };
        *field = field.add(value);
    }

    /// The body. A host need not read more of it than [`Config::max_body_bytes`](crate::Config::max_body_bytes): for a longer
    /// one there is [`Request::oversized_body`].
    #[must_use]
    #[inline]
    pub const fn body(mut self, body: &'a [u8]) -> Self {
        self.body = Body::Whole(body);
        self
    }

    /// A body that the host did not read, because it is longer than what the configuration allows; answered with 413.
    #[must_use]
    pub const fn oversized_body(self) -> Self {
        Self { body: Body::TooLong, ..self }
    }

    /// A body that ended before all of it was there; answered with 400.
    #[cfg(feature = "tower")]
    pub(crate) const fn broken_off_body(self) -> Self {
        Self { body: Body::BrokenOff, ..self }
    }

    /// The body, if it is all there and no longer than this.
    pub(crate) const fn body_up_to(&self, max_bytes: usize) -> Result<&'a [u8], Error> {
        match self.body {
            Body::Whole(body) if body.len() <= max_bytes => Ok(body),
            Body::Whole(_) | Body::TooLong => Err(Error::BodyTooLarge),
            #[cfg(feature = "tower")]
            Body::BrokenOff => Err(Error::IncompleteBody),
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, received_at, .. } = self;
        f.debug_struct("Request").field("method", method).field("received_at", received_at).finish_non_exhaustive()
    }
}
