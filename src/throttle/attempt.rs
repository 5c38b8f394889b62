use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{Limits, Throttle, pairs::Standing};
use crate::{
    Admitted, Attempt, AuditAction, AuditEvent, AuthorizationServer, CounterKey, CounterStore as _, Error, Request,
    clock::{from_milliseconds, milliseconds},
};
use time::OffsetDateTime;

/// An attempt to authenticate that may be made. What came of it has to be [said](Self::end).
pub(crate) struct Ticket<'a> {
    throttle: &'a Throttle,
    limits: Limits,
    client_id: &'a str,
    /// What it is counted by.
    source: Option<IpAddr>,
    /// The whole of it, for the audit.
    address: Option<IpAddr>,
    now: OffsetDateTime,
    counted: Counted,
    /// Whether its secret is looked at already, so that it has cost as much as any other.
    has_begun: AtomicBool,
}

/// Where an attempt is counted.
enum Counted {
    /// Nowhere yet, since its pair is good; whether that still has to be told how it ended, and up to when it would have to wait if
    /// it were not.
    Pair {
        is_open: bool,
        waits_until: i64,
    },
    Shared {
        client: Option<Admitted>,
        source: Option<Admitted>,
    },
}

impl<S, T> AuthorizationServer<S, T> {
    /// Whether somebody may try now to authenticate as this client; `None` where nothing is counted.
    pub(crate) async fn attempt<'a>(
        &'a self,
        client_id: &'a str,
        request: &Request<'_>,
    ) -> Result<Option<Ticket<'a>>, Error> {
        let Some(throttle) = self.throttle() else { return Ok(None) };
        let limits = Limits::of(self.config());
        if limits.client.is_none() && limits.source.is_none() {
            return Ok(None);
        }
        let (now, address, source) = (request.received_at, request.source, request.network());
        let counted = throttle.admit(&limits, client_id, source, now).await?;
        Ok(Some(Ticket {
            throttle,
            limits,
            client_id,
            source,
            address,
            now,
            counted,
            has_begun: AtomicBool::new(false),
        }))
    }
}

impl Throttle {
    async fn admit(
        &self,
        limits: &Limits,
        client_id: &str,
        source: Option<IpAddr>,
        now: OffsetDateTime,
    ) -> Result<Counted, Error> {
        let wait = |until: OffsetDateTime| (until - now).unsigned_abs();
        let at = milliseconds(now);
        if let (Some(source), Some(limit)) = (source, limits.of_pair()) {
            match self.pairs.judge((client_id, source), limit, at) {
                Standing::Good(waits_until) => return Ok(Counted::Pair { is_open: true, waits_until }),
                Standing::Waits(until) => return Err(Error::ClientThrottled(wait(from_milliseconds(until)))),
                Standing::Unknown => {}
            }
        }
        self.count(limits, client_id, source, now).await
    }

    /// Counts an attempt where all count theirs.
    async fn count(
        &self,
        limits: &Limits,
        client_id: &str,
        source: Option<IpAddr>,
        now: OffsetDateTime,
    ) -> Result<Counted, Error> {
        let wait = |until: OffsetDateTime| (until - now).unsigned_abs();
        // The source first: one that has to wait leaves no trace of the identifiers that it invents.
        let mut admitted = None;
        if let (Some(source), Some(limit)) = (source, &limits.source) {
            match self.counters.attempt(CounterKey::Source(source), limit, now).await? {
                Attempt::Admitted(this) => admitted = Some(this),
                Attempt::Refused { until } => return Err(Error::SourceThrottled(wait(until))),
            }
        }
        let Some(limit) = &limits.client else { return Ok(Counted::Shared { client: None, source: admitted }) };
        let refused = match self.counters.attempt(CounterKey::Client(client_id), limit, now).await {
            Ok(Attempt::Admitted(this)) => return Ok(Counted::Shared { client: Some(this), source: admitted }),
            Ok(Attempt::Refused { until }) => Error::ClientThrottled(wait(until)),
            Err(error) => error.into(),
        };
        if let (Some(source), Some(admitted)) = (source, admitted) {
            self.forgive(CounterKey::Source(source), &admitted).await;
        }
        Err(refused)
    }

    /// Takes an attempt back. Where that fails, it goes with its window.
    async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) {
        let _ = self.counters.forgive(key, admitted).await;
    }
}

impl Ticket<'_> {
    /// Where it is noted that a thread has begun with it, or is through.
    pub(crate) const fn has_begun(&self) -> &AtomicBool {
        &self.has_begun
    }

    /// Keeps what came of it, and tells the audit where it makes others wait: one event for each wait, however many are
    /// refused in it. What is returned is the refusal in place of the one that there is.
    pub(crate) async fn end<S, T>(
        mut self,
        server: &AuthorizationServer<S, T>,
        refused: Option<&Error>,
    ) -> Option<Error> {
        // Only who was refused for its credentials has failed at them, or for their number.
        let failed = refused.is_some_and(Error::is_counted);
        let succeeded = if failed { Some(false) } else { refused.is_none().then_some(true) };
        match self.counted {
            Counted::Pair { waits_until, .. } => {
                self.close(succeeded);
                if failed && let Err(instead) = self.count_failure(waits_until).await {
                    return Some(instead);
                }
            }
            Counted::Shared { .. } if failed => {}
            Counted::Shared { client, source } => {
                if let (Some(address), Some(admitted)) = (self.source, source) {
                    self.throttle.forgive(CounterKey::Source(address), &admitted).await;
                }
                if let Some(admitted) = client {
                    self.throttle.forgive(CounterKey::Client(self.client_id), &admitted).await;
                }
                if let (Some(source), Some(true)) = (self.source, succeeded) {
                    self.throttle.pairs.succeeded((self.client_id, source), milliseconds(self.now));
                }
            }
        }
        if failed {
            self.tell(server, refused);
        }
        None
    }

    /// A good pair's failure counts as any other does, and is refused as any other would be, or the answers to who comes from where
    /// a client does would tell whether there is such a client. It is answered all the same where it cannot be counted.
    async fn count_failure(&mut self, waits_until: i64) -> Result<(), Error> {
        if waits_until > milliseconds(self.now) {
            return Err(Error::ClientThrottled((from_milliseconds(waits_until) - self.now).unsigned_abs()));
        }
        let counted = self.throttle.count(&self.limits, self.client_id, self.source, self.now).await;
        match counted {
            Ok(counted) => self.counted = counted,
            Err(cause) if cause.is_failure() => self.counted = Counted::Shared { client: None, source: None },
            Err(refused) => return Err(refused),
        }
        Ok(())
    }

    fn tell<S, T>(&self, server: &AuthorizationServer<S, T>, refused: Option<&Error>) {
        let Counted::Shared { client, source } = &self.counted else { return };
        let wait = |until: OffsetDateTime| (until - self.now).unsigned_abs();
        let event = AuditEvent { source: self.address, ..AuditEvent::new(self.now, AuditAction::Throttle) };
        if let Some(until) = client.and_then(|admitted| admitted.blocks_until()) {
            if let Some(source) = self.source {
                let until = milliseconds(self.now + 2 * (until - self.now));
                self.throttle.pairs.wait((self.client_id, source), milliseconds(self.now), until);
            }
            // What nobody has found may be a secret in the wrong place.
            let is_known = !refused.is_some_and(Error::leaves_client_unknown);
            let client_id = is_known.then_some(self.client_id);
            server.record(AuditEvent { client_id, cause: Some(&Error::ClientThrottled(wait(until))), ..event });
        }
        if let (Some(until), Some(source)) = (source.and_then(|admitted| admitted.blocks_until()), self.source) {
            server.record_wait_of_source(source, until, event);
        }
    }

    fn close(&mut self, succeeded: Option<bool>) {
        if let (Counted::Pair { is_open: is_open @ true, .. }, Some(source), Some(limit)) =
            (&mut self.counted, self.source, self.limits.of_pair())
        {
            *is_open = false;
            self.throttle.pairs.end((self.client_id, source), limit, milliseconds(self.now), succeeded);
        }
    }
}

impl Drop for Ticket<'_> {
    /// Where the caller has gone, the place among those that are under way is free again. Nobody knows whether the secret was right
    /// that was looked at without him; who hangs up on each of his guesses must not have made none.
    fn drop(&mut self) {
        let failed = self.has_begun.load(Ordering::Relaxed).then_some(false);
        self.close(failed);
    }
}

impl Limits {
    /// A pair may fail as often as a client.
    const fn of_pair(&self) -> Option<&crate::FailureLimit> {
        match &self.client {
            Some(limit) => Some(limit),
            None => self.source.as_ref(),
        }
    }
}
