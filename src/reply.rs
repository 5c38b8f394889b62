//! What is answered: status, headers and body, for the host to put on the wire.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;
use zeroize::Zeroize as _;

use crate::{Config, Error, ErrorCode, ErrorResponse, RateLimit, Scope, json};

/// An HTTP response, complete: a host copies it to the wire and adds nothing.
///
/// `Debug` shows no body, since it may hold a token; the body is zeroed when the reply is dropped.
pub struct Reply {
    status: u16,
    /// Whether anybody may keep it.
    is_public: bool,
    /// The fields that not every reply has.
    extra: Vec<(&'static str, Cow<'static, str>)>,
    body: Vec<u8>,
    cause: Option<Error>,
}

/// What every reply is (RFC 6749 §5.1).
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Nobody may keep it: so for every reply that is not known to be for everybody.
pub(crate) const NOT_KEPT: [(&str, &str); 2] = [("Cache-Control", "no-store"), ("Pragma", "no-cache")];

impl Reply {
    /// A refusal, as the client may see it (RFC 6749 §5.2). The cause stays with the reply, for the operator.
    #[must_use]
    pub fn error(cause: Error, config: &Config) -> Self {
        Self::refusal(cause, None, config)
    }

    /// The same for a call that requires a scope, which a token that has too little is told (RFC 6750 §3).
    pub(crate) fn refusal(cause: Error, scope: Option<&Scope>, config: &Config) -> Self {
        let response = cause.response();
        let mut reply = Self::json(response.status(), &response);
        match (&cause, response.status(), response.error()) {
            // RFC 6750 §3.1: who has sent no token has done nothing wrong yet, and is told no error.
            (Error::NoToken, ..) => {
                reply = Self::json(401, &NOTHING).with("WWW-Authenticate", bearer(None, None, config));
            }
            // The challenge says the error too (RFC 6750 §3).
            (Error::MalformedToken, ..) | (_, _, ErrorCode::InvalidToken) => {
                reply = reply.with("WWW-Authenticate", bearer(Some(&response), None, config));
            }
            (_, _, ErrorCode::InsufficientScope) => {
                reply = reply.with("WWW-Authenticate", bearer(Some(&response), scope, config));
            }
            // RFC 9110 §15.5.2: a 401 without a challenge is malformed, whichever way the client authenticated.
            (_, 401, _) => reply = reply.with("WWW-Authenticate", challenge(config.bearer_realm())),
            (Error::MethodNotAllowed(allowed), ..) => reply = reply.with("Allow", *allowed),
            (Error::ClientThrottled(wait) | Error::SourceThrottled(wait), ..) => {
                reply = reply.with("Retry-After", whole_seconds(*wait).to_string());
            }
            (Error::QuotaUsedUp(limit), ..) => {
                reply = reply.with("Retry-After", limit.resets_in().as_secs().to_string()).with_rate_limit(limit);
            }
            (_, 503, _) => reply = reply.with("Retry-After", "1"),
            _ => {}
        }
        reply.because(cause)
    }

    /// With this cause, for the operator.
    pub(crate) fn because(mut self, cause: Error) -> Self {
        self.cause = Some(cause);
        self
    }

    /// This status and this JSON.
    pub(crate) fn json(status: u16, value: &impl Serialize) -> Self {
        let mut reply = Self::ok(json::secret(value));
        reply.status = status;
        reply
    }

    /// 200 with this JSON.
    pub(crate) fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, is_public: false, extra: Vec::new(), body, cause: None }
    }

    /// 200 with this JSON, which anybody may have and keep for a while (RFC 9111 §5.2.2).
    pub(crate) fn public(value: &impl Serialize, max_age: Duration) -> Self {
        let mut reply = Self::json(200, value);
        reply.is_public = true;
        reply.with("Cache-Control", format!("public, max-age={}", max_age.as_secs()))
    }

    /// 304 with this entity tag (RFC 9110 §15.4.5), and without a body.
    pub(crate) fn not_modified(etag: String) -> Self {
        let mut reply = Self::ok(Vec::new());
        reply.status = 304;
        reply.with("ETag", etag)
    }

    /// The same without the body, for HEAD.
    pub(crate) fn without_body(mut self) -> Self {
        self.body.clear();
        self
    }

    /// With one more header field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.extra.push((name, value.into()));
        self
    }

    /// With the quotas that there are, and what is left of one of them.
    pub(crate) fn with_rate_limit(self, limit: &RateLimit) -> Self {
        let reply = match limit.policies() {
            Some(policies) => self.with("RateLimit-Policy", policies.to_owned()),
            None => self,
        };
        reply.with("RateLimit", limit.left())
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The header fields, names in their usual case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let not_kept = NOT_KEPT.into_iter().filter(|_| !self.is_public);
        [JSON].into_iter().chain(not_kept).chain(self.extra())
    }

    /// Those of them that not every reply has.
    pub(crate) fn extra(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.extra.iter().map(|(name, value)| (*name, value.as_ref()))
    }

    /// Whether anybody may keep it.
    #[cfg(feature = "http")]
    pub(crate) const fn is_public(&self) -> bool {
        self.is_public
    }

    /// The body: a JSON object, or nothing.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without a copy. From here on it is the host's to forget.
    #[must_use]
    pub fn into_body(mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// Why the request was refused: for the log, never for the client.
    #[must_use]
    pub const fn cause(&self) -> Option<&Error> {
        self.cause.as_ref()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // Nearly always the host has taken it, and to zero nothing costs something all the same.
        if !self.body.is_empty() {
            self.body.zeroize();
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("cause", &self.cause).finish_non_exhaustive()
    }
}

/// As `Retry-After` takes it (RFC 9110 §10.2.3), and never too soon.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The JSON object without members.
const NOTHING: BTreeMap<&str, &str> = BTreeMap::new();

/// RFC 6750 §3. Neither realm, description nor scope can hold what a `quoted-string` would have to escape.
fn bearer(response: Option<&ErrorResponse>, scope: Option<&Scope>, config: &Config) -> String {
    let mut challenge = format!("Bearer realm=\"{}\"", config.bearer_realm());
    if let Some(response) = response {
        let (error, description) = (json::text(&response.error()), response.error_description());
        challenge += &format!(", error={error}, error_description=\"{description}\"");
    }
    if let Some(scope) = scope {
        challenge += &format!(", scope=\"{scope}\"");
    }
    challenge
}

/// RFC 7617 §2.1: the parameter tells clients to encode what they send as UTF-8.
fn challenge(realm: &str) -> String {
    format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")
}
