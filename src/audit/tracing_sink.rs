use tracing::field::display;

use super::{AuditAction, AuditEvent, AuditSink, rfc3339};
use crate::Error;

/// Gives events to `tracing`, with the target `client_credentials::audit`: what was refused as a warning, what failed as an
/// error, and all else as information but the use of a retiring secret and what quotas tell, which are warnings too.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingSink;

impl TracingSink {
    /// The sink.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl AuditSink for TracingSink {
    fn record(&self, event: &AuditEvent<'_>) {
        let AuditEvent { time: _, source, actor, action, client_id, target, scope, expires_at, cause } = *event;
        let (source, expires_at) = (source.map(display), expires_at.map(rfc3339));
        let (outcome, cause, diagnosis) = (event.outcome(), cause.map(display), event.diagnosis());
        macro_rules! emit {
            ($level:ident) => {
                tracing::$level!(
                    target: "client_credentials::audit",
                    source, actor, ?action, client_id, target, scope, expires_at, outcome, cause, diagnosis
                )
            };
        }
        match (event.cause.map(Error::is_failure), action) {
            (Some(true), _) => emit!(error),
            (None, AuditAction::UseRetiringSecret | AuditAction::CrossThreshold | AuditAction::ExceedQuota)
            | (Some(false), _) => emit!(warn),
            (None, _) => emit!(info),
        }
    }
}
