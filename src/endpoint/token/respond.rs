use std::time::Duration;

use crate::{AccessToken, Claims, Reply, Scope, json};

/// A successful response (RFC 6749 §5.1): the token, and what is to be known of it. It never has a refresh token
/// (§4.4.3).
#[derive(Debug)]
pub struct TokenResponse {
    access_token: AccessToken,
    lifetime: Duration,
    claims: Claims,
}

impl TokenResponse {
    pub(super) const fn new(access_token: AccessToken, lifetime: Duration, claims: Claims) -> Self {
        Self { access_token, lifetime, claims }
    }

    /// The token.
    #[must_use]
    pub const fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    /// Its lifetime in seconds.
    #[must_use]
    pub const fn expires_in(&self) -> u64 {
        self.lifetime.as_secs()
    }

    /// The scope that was issued, which need not be the one that was asked for. A token without any scope has none.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.claims.scope().map(Scope::as_str)
    }
}

impl From<TokenResponse> for Reply {
    fn from(response: TokenResponse) -> Self {
        reply(response.access_token(), response.expires_in(), response.scope())
    }
}

/// The reply that says so.
pub(super) fn reply(access_token: &AccessToken, expires_in: u64, scope: Option<&str>) -> Reply {
    // Written by hand, since neither text can hold a character to escape: a token is a `b64token` (RFC 6750 §2.1), and a
    // scope has neither `"` nor `\`. The rest takes less than 100 bytes, so the buffer does not grow and leaves no copy
    // of the token behind.
    let access_token = access_token.expose();
    let mut body = Vec::with_capacity(100 + access_token.len() + scope.map_or(0, str::len));
    let push = |body: &mut Vec<u8>, text: &str| body.extend_from_slice(text.as_bytes());
    push(&mut body, r#"{"access_token":""#);
    push(&mut body, access_token);
    push(&mut body, r#"","token_type":"Bearer","expires_in":"#);
    json::value(&mut body, &expires_in);
    if let Some(scope) = scope {
        push(&mut body, r#","scope":""#);
        push(&mut body, scope);
        body.push(b'"');
    }
    body.push(b'}');
    Reply::ok(body)
}
