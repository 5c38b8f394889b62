//! What is asked of stores and issuers.

#[cfg(feature = "metrics")]
use super::metrics::Begun;
#[cfg(not(feature = "metrics"))]
use crate::BackendError;

/// A call by the name of its method: what does not stand here is no label.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    // Of a `ClientStore`.
    FindClient,
    ExistingTenants,
    // Of a `ClientRegistry`.
    Register,
    Read,
    Update,
    ListClients,
    DefineRole,
    DeleteRole,
    ListRoles,
    RecordUses,
    LastUses,
    // Of a `TokenStore`.
    Insert,
    Find,
    Revoke,
    RevokeAll,
    Deny,
    IsDenied,
    ListTokens,
    // Of a `CounterStore`.
    Attempt,
    Forgive,
    Take,
    GiveBack,
    // Of a `TokenIssuer`.
    Issue,
    // Of a `TokenVerifier`.
    Verify,
}

impl Call {
    /// On its way from here on. Its future is not taken: it would have to be moved, and so would what it says.
    #[inline]
    pub(crate) fn begin(self) -> Begun {
        Begun::new(self)
    }
}

/// A call on its way, of which nothing is to be seen.
#[cfg(not(feature = "metrics"))]
#[must_use]
pub(crate) struct Begun;

#[cfg(not(feature = "metrics"))]
impl Begun {
    #[inline]
    fn new(_: Call) -> Self {
        Self
    }

    /// With this answer, which is handed on.
    #[inline]
    pub(crate) fn end<R>(self, answer: Result<R, BackendError>) -> Result<R, BackendError> {
        answer
    }
}
