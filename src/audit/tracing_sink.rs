use super::{AuditAction, AuditEvent, AuditSink};

/// Gives events to `tracing`, with the target `client_credentials::audit`: what was refused as a warning, what failed as an
/// error, and all else as information.
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
        let AuditEvent { time: _, actor, action, client_id, target, cause } = *event;
        let (outcome, cause, diagnosis) = (event.outcome(), cause.map(tracing::field::display), event.diagnosis());
        macro_rules! emit {
            ($level:ident) => {
                tracing::$level!(
                    target: "client_credentials::audit", actor, ?action, client_id, target, outcome, cause, diagnosis
                )
            };
        }
        match (outcome, action) {
            ("failed", _) => emit!(error),
            ("success", AuditAction::UseRetiringSecret | AuditAction::CrossThreshold | AuditAction::ExceedQuota)
            | ("refused", _) => emit!(warn),
            _ => emit!(info),
        }
    }
}
