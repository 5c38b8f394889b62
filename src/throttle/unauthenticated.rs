use std::net::IpAddr;

use time::OffsetDateTime;

use super::{Limits, network::network};
use crate::{Attempt, AuditAction, AuditEvent, AuthorizationServer, CounterKey, CounterStore as _, Error, Request};

impl<S, T> AuthorizationServer<S, T> {
    /// Counts a request that was refused before anybody could authenticate: it has no credentials, or nobody can read it. No
    /// client can be counted by, but the source is, or it would be a line of the audit each time. What is returned is what it
    /// is refused for, which is another cause where its source has to wait.
    pub(crate) async fn count_unauthenticated(&self, cause: Error, request: &Request<'_>) -> Error {
        let (Some(throttle), Some(source), now) = (self.throttle(), request.source.map(network), request.received_at)
        else {
            return cause;
        };
        let Some(limit) = Limits::of(self.config()).source else { return cause };
        match throttle.counters.attempt(CounterKey::Source(source), &limit, now).await {
            Ok(Attempt::Admitted(this)) => {
                if let Some(until) = this.blocks_until() {
                    self.record_wait_of_source(source, until, now);
                }
                cause
            }
            Ok(Attempt::Refused { until }) => Error::SourceThrottled((until - now).unsigned_abs()),
            // What is refused in any case needs no store for that.
            Err(_) => cause,
        }
    }

    /// Tells the audit that all from this source have to wait now.
    pub(super) fn record_wait_of_source(&self, source: IpAddr, until: OffsetDateTime, now: OffsetDateTime) {
        if self.is_audited() {
            let (source, cause) = (source.to_string(), Error::SourceThrottled((until - now).unsigned_abs()));
            let event = AuditEvent::new(now, AuditAction::Throttle);
            self.record(AuditEvent { target: Some(&source), cause: Some(&cause), ..event });
        }
    }
}
