use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{AuditAction, ClientId, RoleId, TenantName, TokenHash};

/// What a call is about.
///
/// What it names is as the caller has written it, and may be a secret or a token in the wrong place. So the audit is told a name
/// only once somebody has found what it names.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) action: AuditAction,
    pub(super) client_id: Option<&'a ClientId>,
    pub(super) target: Option<Target<'a>>,
    has_client: AtomicBool,
    has_target: AtomicBool,
}

/// What a call is about beside a client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// A secret of the client, by its id.
    Secret(&'a str),
    ApiKey(&'a TokenHash),
    Tenant(&'a TenantName),
    Role(&'a RoleId),
}

impl<'a> Subject<'a> {
    pub(crate) fn new(action: AuditAction, client_id: impl Into<Option<&'a ClientId>>) -> Self {
        let client_id = client_id.into();
        Self { action, client_id, target: None, has_client: false.into(), has_target: false.into() }
    }

    pub(crate) fn with_target(self, target: impl Into<Option<Target<'a>>>) -> Self {
        Self { target: target.into(), ..self }
    }

    /// That there is a client of this identifier.
    pub(super) fn found_client(&self) {
        self.has_client.store(true, Ordering::Relaxed);
    }

    /// That there is such a target.
    pub(super) fn found_target(&self) {
        self.has_target.store(true, Ordering::Relaxed);
    }

    /// The client, if there is one of this identifier.
    pub(super) fn known_client(&self) -> Option<&'a ClientId> {
        self.client_id.filter(|_| self.has_client.load(Ordering::Relaxed))
    }

    /// The target, if there is such a one.
    pub(super) fn known_target(&self) -> Option<Cow<'a, str>> {
        self.target.filter(|_| self.has_target.load(Ordering::Relaxed)).map(Target::name)
    }
}

impl<'a> Target<'a> {
    fn name(self) -> Cow<'a, str> {
        match self {
            Self::Secret(id) => id.into(),
            Self::ApiKey(hash) => hash.to_text().into(),
            Self::Tenant(name) => name.as_str().into(),
            Self::Role(id) => id.as_str().into(),
        }
    }
}
