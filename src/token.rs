//! What an access token says.

use time::OffsetDateTime;

use crate::{Authorization, ClientId, Scope};

/// What an access token says, whatever its form: a JWT carries it, and a [`TokenStore`](crate::TokenStore) keeps it beside
/// the hash of an opaque token.
///
/// A clone shares the texts and the resource sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    client_id: ClientId,
    scope: Option<Scope>,
    authorization: Authorization,
    issued_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

impl Claims {
    /// What a token of this client says that is good from `issued_at` until `expires_at`: no scope, and no resources yet.
    #[must_use]
    pub fn new(client_id: ClientId, issued_at: OffsetDateTime, expires_at: OffsetDateTime) -> Self {
        Self { client_id, scope: None, authorization: Authorization::default(), issued_at, expires_at }
    }

    /// With this scope.
    #[must_use]
    pub fn with_scope(self, scope: impl Into<Option<Scope>>) -> Self {
        Self { scope: scope.into(), ..self }
    }

    /// With these resources.
    #[must_use]
    pub fn with_authorization(self, authorization: Authorization) -> Self {
        Self { authorization, ..self }
    }

    /// Whom it was issued to, `client_id` and in this grant also `sub` (RFC 9068 §2.2).
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The scope that was issued; `None` when there is none to speak of.
    #[must_use]
    pub const fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// The resources that it gives, by tenant.
    #[must_use]
    pub const fn authorization(&self) -> &Authorization {
        &self.authorization
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
