//! What an access token says.

pub(crate) mod wire;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{Authorization, ClientId, Scope, client::Grant};

/// What an access token says, whatever its form: a JWT carries it, and a [`TokenStore`](crate::TokenStore) keeps it beside
/// the hash of an opaque token.
///
/// A clone shares all but the times, and so do the tokens of a client that asks for the same scope again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    grant: Arc<Grant>,
    issued_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

impl Claims {
    /// What a token of this client says that is good from `issued_at` until `expires_at`: no scope, and no resources yet.
    #[must_use]
    pub fn new(client_id: ClientId, issued_at: OffsetDateTime, expires_at: OffsetDateTime) -> Self {
        let grant = Grant {
            client_id,
            scope: None,
            authorization: Authorization::default(),
            api_key_label: None,
            audience: Vec::new(),
            jti: None,
        };
        Self::of_grant(Arc::new(grant), issued_at, expires_at)
    }

    pub(crate) const fn of_grant(grant: Arc<Grant>, issued_at: OffsetDateTime, expires_at: OffsetDateTime) -> Self {
        Self { grant, issued_at, expires_at }
    }

    /// With this scope.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<Option<Scope>>) -> Self {
        Arc::make_mut(&mut self.grant).scope = scope.into();
        self
    }

    /// With these resources.
    #[must_use]
    pub fn with_authorization(mut self, authorization: Authorization) -> Self {
        Arc::make_mut(&mut self.grant).authorization = authorization;
        self
    }

    /// Of an API key: a token that was made by an administrator, for long. The label is for people.
    #[must_use]
    pub fn with_api_key_label(mut self, label: impl Into<Option<String>>) -> Self {
        Arc::make_mut(&mut self.grant).api_key_label = label.into();
        self
    }

    /// For these APIs and nobody else, `aud`: what the client has named in its request (RFC 8707 §2). Without any it is for whoever
    /// the issuer's tokens are for.
    #[must_use]
    pub fn with_audience<A: Into<String>>(mut self, audience: impl IntoIterator<Item = A>) -> Self {
        Arc::make_mut(&mut self.grant).audience = audience.into_iter().map(Into::into).collect();
        self
    }

    /// With the name by which a token is revoked that no store keeps, `jti` (RFC 7519 §4.1.7). A
    /// [`TokenVerifier`](crate::TokenVerifier) of such tokens sets it; no store has to keep it.
    #[must_use]
    pub fn with_jti(mut self, jti: impl Into<Option<String>>) -> Self {
        Arc::make_mut(&mut self.grant).jti = jti.into();
        self
    }

    /// Whom it was issued to, `client_id` and in this grant also `sub` (RFC 9068 §2.2).
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.grant.client_id
    }

    /// The scope that was issued; `None` when there is none to speak of.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.grant.scope.as_ref()
    }

    /// The resources that it gives, by tenant.
    #[must_use]
    pub fn authorization(&self) -> &Authorization {
        &self.grant.authorization
    }

    /// The label of an API key, which may be empty; `None` for what a client got by asking for it.
    #[must_use]
    pub fn api_key_label(&self) -> Option<&str> {
        self.grant.api_key_label.as_deref()
    }

    /// For which APIs it is meant, `aud` (RFC 8707 §2, RFC 9068 §3): whoever is not among them must not take it. Empty where
    /// none was named, and the token is for the server that issued it and the APIs around it.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.grant.audience
    }

    /// Whether whoever has this identifier may take it, or whoever has none and stands for the server that issued it
    /// (RFC 9068 §4): a token is only for those whom it names.
    pub(crate) fn is_meant_for(&self, api: Option<&str>) -> bool {
        match api {
            Some(api) => self.audience().iter().any(|named| named == api),
            None => self.audience().is_empty(),
        }
    }

    /// The name by which it is revoked, `jti`, if no store keeps it.
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.grant.jti.as_deref()
    }

    /// When the request for it arrived, `iat`.
    #[must_use]
    pub const fn issued_at(&self) -> OffsetDateTime {
        self.issued_at
    }

    /// From when on it counts no more, `exp`.
    #[must_use]
    pub const fn expires_at(&self) -> OffsetDateTime {
        self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9068_4_a_token_is_for_whom_it_names() {
        let (here, elsewhere) = ("https://here.example", "https://elsewhere.example");
        for (named, api, is_taken) in [
            (&[][..], None, true),
            (&[here], None, false),
            (&[], Some(here), false),
            (&[here], Some(here), true),
            (&[elsewhere, here], Some(here), true),
            (&[elsewhere], Some(here), false),
            (&["https://here.example/"], Some(here), false),
            (&["HTTPS://HERE.EXAMPLE"], Some(here), false),
            (&[""], None, false),
        ] {
            let now = OffsetDateTime::UNIX_EPOCH;
            let claims = Claims::new(ClientId::parse("a").unwrap(), now, now).with_audience(named.iter().copied());
            assert_eq!(claims.is_meant_for(api), is_taken, "{named:?} {api:?}");
        }
    }
}
