use std::net::IpAddr;

use time::OffsetDateTime;

use super::{Limits, Throttle};
use crate::{Attempt, AuditAction, AuditEvent, AuthorizationServer, CounterKey, CounterStore as _, Error, Request};

impl<S, T> AuthorizationServer<S, T> {
    /// Counts a request that was refused before anybody could authenticate: it has no credentials, or nobody can read it. No
    /// client can be counted by, but the source is, or it would be a line of the audit each time. What is returned is what it
    /// is refused for, which is another cause where its source has to wait.
    pub(crate) async fn count_unauthenticated(&self, cause: Error, request: &Request<'_>) -> Error {
        match (self.throttle(), request.network()) {
            (Some(throttle), Some(source)) => Box::pin(self.count_source(throttle, source, cause, request)).await,
            _ => cause,
        }
    }

    async fn count_source(&self, throttle: &Throttle, source: IpAddr, cause: Error, request: &Request<'_>) -> Error {
        let now = request.received_at;
        let Some(limit) = Limits::of(self.config()).source else { return cause };
        match throttle.counters.attempt(CounterKey::Source(source), &limit, now).await {
            Ok(Attempt::Admitted(this)) => {
                if let Some(until) = this.blocks_until() {
                    self.record_wait_of_source(source, until, AuditEvent::of_request(request, AuditAction::Throttle));
                }
                cause
            }
            Ok(Attempt::Refused { until }) => Error::SourceThrottled((until - now).unsigned_abs()),
            // What is refused in any case needs no store for that.
            Err(_) => cause,
        }
    }

    /// Tells the audit that all from this network have to wait now.
    pub(super) fn record_wait_of_source(&self, network: IpAddr, until: OffsetDateTime, event: AuditEvent<'_>) {
        if self.is_audited() {
            let network = if network.is_ipv6() { format!("{network}/64") } else { network.to_string() };
            let cause = Error::SourceThrottled((until - event.time).unsigned_abs());
            self.record(AuditEvent { target: Some(&network), cause: Some(&cause), ..event });
        }
    }
}
