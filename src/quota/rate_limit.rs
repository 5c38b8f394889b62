use std::time::Duration;

use time::OffsetDateTime;

use super::Quota;
use crate::CounterKey;

/// How much of a quota is left, as the fields `RateLimit-Policy` and `RateLimit` say it
/// (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    of: &'static str,
    quota: Quota,
    remaining: u64,
    resets_in: Duration,
}

impl RateLimit {
    pub(super) fn new(key: CounterKey<'_>, quota: Quota, taken: u64, now: OffsetDateTime) -> Self {
        let of = if matches!(key, CounterKey::Tenant(_)) { "tenant" } else { "client" };
        let left = (quota.ends_at(now) - now).unsigned_abs();
        // Rounded up, so that nobody comes too soon.
        let resets_in = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
        Self { of, quota, remaining: quota.tokens.saturating_sub(taken), resets_in }
    }

    /// Whose quota it is: `client` or `tenant`.
    #[must_use]
    pub const fn of(&self) -> &'static str {
        self.of
    }

    /// The quota.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// How many tokens are left in this window.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// How long it is until the window ends, in whole seconds.
    #[must_use]
    pub const fn resets_in(&self) -> Duration {
        self.resets_in
    }

    /// The values of `RateLimit-Policy` and `RateLimit`. The name of the policy does not say which tenant it is.
    pub(crate) fn fields(&self) -> [String; 2] {
        let Self { of, quota, remaining, resets_in } = self;
        [
            format!("\"{of}\";q={};w={}", quota.tokens, quota.seconds()),
            format!("\"{of}\";r={remaining};t={}", resets_in.as_secs()),
        ]
    }
}
