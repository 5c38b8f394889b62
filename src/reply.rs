//! What is answered: status, headers and body, for the host to put on the wire.

use std::{borrow::Cow, fmt};

use zeroize::Zeroizing;

use crate::{Config, Error, json};

/// An HTTP response, complete: a host copies it to the wire and adds nothing.
///
/// `Debug` shows no body, since it may hold a token; the body is zeroed when the reply is dropped.
pub struct Reply {
    status: u16,
    /// A field that not every reply has.
    extra: Option<(&'static str, Cow<'static, str>)>,
    body: Zeroizing<Vec<u8>>,
    cause: Option<Error>,
}

/// What every reply carries: JSON (RFC 6749 §5.1) that nobody may keep.
const ALWAYS: [(&str, &str); 3] =
    [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")];

impl Reply {
    /// A refusal, as the client may see it (RFC 6749 §5.2). The cause stays with the reply, for the operator.
    #[must_use]
    pub fn error(cause: Error, config: &Config) -> Self {
        let response = cause.response();
        let extra = match response.status() {
            // RFC 9110 §15.5.2: a 401 without a challenge is malformed, whichever way the client authenticated.
            401 => Some(("WWW-Authenticate", Cow::Owned(challenge(config.bearer_realm())))),
            405 => Some(("Allow", Cow::Borrowed("POST"))),
            503 => Some(("Retry-After", Cow::Borrowed("1"))),
            _ => None,
        };
        let mut body = Vec::with_capacity(128);
        json::value(&mut body, &response);
        Self { status: response.status(), extra, body: Zeroizing::new(body), cause: Some(cause) }
    }

    /// 200 with this JSON.
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, extra: None, body: Zeroizing::new(body), cause: None }
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The header fields, names in their usual case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let extra = self.extra.iter().map(|(name, value)| (*name, value.as_ref()));
        ALWAYS.into_iter().chain(extra)
    }

    /// The body: a JSON object.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without a copy. From here on it is the host's to forget.
    #[must_use]
    pub fn into_body(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.body)
    }

    /// Why the request was refused: for the log, never for the client.
    #[must_use]
    pub const fn cause(&self) -> Option<&Error> {
        self.cause.as_ref()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("cause", &self.cause).finish_non_exhaustive()
    }
}

/// RFC 7617 §2.1: the parameter tells clients to encode what they send as UTF-8.
fn challenge(realm: &str) -> String {
    format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")
}
