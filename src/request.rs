//! What arrives: the parts of an HTTP request that the endpoints look at, borrowed from the host.

use std::fmt;

use time::OffsetDateTime;

use crate::{Config, Error, form};

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
    method: &'a str,
    query: Option<&'a str>,
    authorization: Field<'a>,
    content_type: Field<'a>,
    body: &'a [u8],
    received_at: OffsetDateTime,
}

/// A header field that may stand in a request only once.
#[derive(Clone, Copy)]
pub(crate) enum Field<'a> {
    Absent,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Field<'a> {
    const fn add(self, value: &'a [u8]) -> Self {
        match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        }
    }
}

impl<'a> Request<'a> {
    /// A request with this method that arrived at this time: [`now`](crate::now), a `SystemTime`, or whatever a test wants
    /// it to be.
    pub fn new(method: &'a str, received_at: impl Into<OffsetDateTime>) -> Self {
        Self {
            method,
            query: None,
            authorization: Field::Absent,
            content_type: Field::Absent,
            body: &[],
            received_at: received_at.into(),
        }
    }

    /// The query of the URL, without the `?`, if there is one.
    #[must_use]
    pub fn query(self, query: impl Into<Option<&'a str>>) -> Self {
        Self { query: query.into(), ..self }
    }

    /// All header fields of the request, in any case. Give every one of them, repeated ones too: the endpoints pick what
    /// they need and refuse what may stand there only once.
    #[must_use]
    pub fn headers(self, headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        headers.into_iter().fold(self, |request, (name, value)| request.header(name, value))
    }

    /// One header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &'a [u8]) -> Self {
        if name.eq_ignore_ascii_case("authorization") {
            self.authorization = self.authorization.add(value);
        } else if name.eq_ignore_ascii_case("content-type") {
            self.content_type = self.content_type.add(value);
        }
        self
    }

    /// The body. A host should stop reading one byte after [`Config::max_body_bytes`](crate::Config::max_body_bytes) and
    /// give what it has: that is enough for the answer, 413.
    #[must_use]
    pub const fn body(self, body: &'a [u8]) -> Self {
        Self { body, ..self }
    }

    pub(crate) const fn received_at(&self) -> OffsetDateTime {
        self.received_at
    }

    pub(crate) const fn authorization(&self) -> Field<'a> {
        self.authorization
    }

    /// The form in the body of a POST, once everything about the request but the form itself is right. Limits come
    /// first, so that nothing oversized is looked into.
    pub(crate) fn form(&self, config: &Config) -> Result<&'a str, Error> {
        if self.method != "POST" {
            return Err(Error::MethodNotAllowed);
        }
        if self.body.len() > config.max_body_bytes() {
            return Err(Error::BodyTooLarge);
        }
        if matches!(self.authorization, Field::Once(value) if value.len() > config.max_authorization_bytes()) {
            return Err(Error::AuthorizationTooLong);
        }
        let query = self.query.unwrap_or_default();
        if query.len() > config.max_body_bytes() {
            return Err(Error::QueryTooLong);
        }
        if form::count(self.body) > config.max_parameters() || form::count(query.as_bytes()) > config.max_parameters() {
            return Err(Error::TooManyParameters);
        }
        if has_credentials(query) {
            return Err(Error::CredentialsInQuery);
        }
        match self.content_type {
            Field::Once(value) if is_form(value) => std::str::from_utf8(self.body).map_err(|_| Error::MalformedForm),
            _ => Err(Error::UnsupportedContentType),
        }
    }
}

/// RFC 6749 §2.3.1: credentials must not be in the URL, where logs keep them.
fn has_credentials(query: &str) -> bool {
    form::pairs(query)
        .any(|(name, _)| form::decode(name).is_ok_and(|name| matches!(&*name, "client_id" | "client_secret")))
}

/// Whether a `Content-Type` is the form's. Its parameters do not matter: the form is UTF-8 whatever they say.
fn is_form(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|b| *b == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, received_at, .. } = self;
        f.debug_struct("Request").field("method", method).field("received_at", received_at).finish_non_exhaustive()
    }
}
