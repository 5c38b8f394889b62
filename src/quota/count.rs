use std::{fmt, net::IpAddr};

use super::{Quota, Quotas, RateLimit, rate_limit::Left};
use crate::{
    AnyCounterStore, AuditAction, AuditEvent, AuthorizationServer, Claims, CounterKey, CounterStore as _, Error,
    Request, Taken,
};

impl<S, T> AuthorizationServer<S, T> {
    /// Takes a token from each quota that it is for, or from none, and says which has the least left.
    pub(crate) async fn take_token(
        &self,
        claims: &Claims,
        request: &Request<'_>,
    ) -> Result<Option<Box<RateLimit>>, Error> {
        match self.quotas() {
            // In a box, so that the futures of servers without quotas are no larger for it.
            Some(quotas) => Box::pin(self.take(quotas, claims, request.source)).await,
            None => Ok(None),
        }
    }

    async fn take(
        &self,
        (quotas, counters): &(Quotas, AnyCounterStore),
        claims: &Claims,
        source: Option<IpAddr>,
    ) -> Result<Option<Box<RateLimit>>, Error> {
        let now = claims.issued_at();
        let (mut tightest, mut taken): (Option<Left<'_>>, _) = (None, 0);
        for (key, quota) in quotas.latest_first(claims) {
            let most = if quotas.monitor_only { u64::MAX } else { quota.tokens };
            let refused = match counters.take(key, most, now, quota.ends_at(now)).await {
                Ok(Taken::Granted { count, is_highest }) => {
                    self.tell(quotas, (claims, source), (key, quota), count, is_highest);
                    tightest = Some(Left::new((key, quota), count, now).tighter(tightest));
                    taken += 1;
                    continue;
                }
                Ok(Taken::UsedUp) => {
                    let left = Left::new((key, quota), quota.tokens, now);
                    let cause = Error::QuotaUsedUp(RateLimit::new(left, quotas, claims).into());
                    let asked = (claims, source);
                    self.record_quota(asked, AuditAction::ExceedQuota, format_args!("{key} {quota}"), Some(&cause));
                    cause
                }
                Err(error) => error.into(),
            };
            give_back(quotas, counters, claims, taken).await;
            return Err(refused);
        }
        Ok(tightest.filter(|_| !quotas.monitor_only).map(|left| RateLimit::new(left, quotas, claims).into()))
    }

    /// Gives back what was taken for a token that could not be issued.
    pub(crate) async fn give_token_back(&self, claims: &Claims) {
        if let Some((quotas, counters)) = self.quotas() {
            Box::pin(give_back(quotas, counters, claims, usize::MAX)).await;
        }
    }

    fn tell(
        &self,
        quotas: &Quotas,
        asked: (&Claims, Option<IpAddr>),
        (key, quota): (CounterKey<'_>, Quota),
        count: u64,
        is_highest: bool,
    ) {
        for percent in quotas.thresholds.iter().filter(|percent| is_highest && quota.share(**percent) == count) {
            self.record_quota(asked, AuditAction::CrossThreshold, format_args!("{key} {percent}%"), None);
        }
        if count > quota.tokens {
            self.record_quota(asked, AuditAction::ExceedQuota, format_args!("{key} {quota}"), None);
        }
    }

    fn record_quota(
        &self,
        (claims, source): (&Claims, Option<IpAddr>),
        action: AuditAction,
        target: fmt::Arguments<'_>,
        cause: Option<&Error>,
    ) {
        if self.is_audited() {
            let (client_id, target) = (Some(claims.client_id().as_str()), target.to_string());
            let event = AuditEvent::new(claims.issued_at(), action);
            self.record(AuditEvent { source, actor: client_id, client_id, target: Some(&target), cause, ..event });
        }
    }
}

/// Gives back the first `taken`. Where that fails, they stay counted until the window ends.
async fn give_back(quotas: &Quotas, counters: &AnyCounterStore, claims: &Claims, taken: usize) {
    for (key, quota) in quotas.latest_first(claims).take(taken) {
        let _ = counters.give_back(key, quota.ends_at(claims.issued_at())).await;
    }
}
