use std::{cmp::Reverse, time::Duration};

use time::OffsetDateTime;

use super::{Quota, Quotas};
use crate::{Claims, CounterKey, TenantName};

/// How much of a quota is left, and which quotas there are, as the fields `RateLimit-Policy` and `RateLimit` say it
/// (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `None` for the client's own.
    tenant: Option<TenantName>,
    quota: Quota,
    remaining: u64,
    /// In seconds.
    resets_in: u64,
    policies: Box<str>,
}

/// How long `RateLimit-Policy` may be: servers in front have room for some KiB of fields, and fail where there are more.
const LONGEST: usize = 2048;

impl RateLimit {
    /// What is left of this one of the quotas that a token is for.
    pub(super) fn new(left: Left<'_>, quotas: &Quotas, claims: &Claims) -> Self {
        let Left { key, quota, remaining, resets_in } = left;
        let tenant = match key {
            CounterKey::Tenant(name) => TenantName::parse(name).ok(),
            CounterKey::Client(_) | CounterKey::Source(_) => None,
        };
        let mut policies = String::with_capacity(64);
        for (key, quota) in quotas.of(claims) {
            let after = if policies.is_empty() { "" } else { ", " };
            let tenant = if let CounterKey::Tenant(name) = key { Some(name) } else { None };
            policies += &format!("{after}{};q={};w={}", name(tenant), quota.tokens, quota.seconds());
        }
        Self { tenant, quota, remaining, resets_in, policies: policies.into() }
    }

    /// Whose quota it is: `client` or `tenant`.
    #[must_use]
    pub const fn of(&self) -> &'static str {
        if self.tenant.is_some() { "tenant" } else { "client" }
    }

    /// The tenant whose quota it is, if it is not the client's own.
    #[must_use]
    pub const fn tenant(&self) -> Option<&TenantName> {
        self.tenant.as_ref()
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
        Duration::from_secs(self.resets_in)
    }

    /// The value of `RateLimit-Policy`: all quotas that the token is for, whatever is left of them, so that it is the same from
    /// reply to reply. `None` where it would be too long.
    pub(crate) fn policies(&self) -> Option<&str> {
        (self.policies.len() <= LONGEST).then_some(&*self.policies)
    }

    /// The value of `RateLimit`.
    pub(crate) fn left(&self) -> String {
        let name = name(self.tenant.as_ref().map(TenantName::as_str));
        format!("{name};r={};t={}", self.remaining, self.resets_in)
    }
}

/// The name of a policy, a String of RFC 9651 §3.3.3: a tenant's name has nothing in it that would have to be escaped there.
fn name(tenant: Option<&str>) -> String {
    tenant.map_or_else(|| String::from("\"client\""), |name| format!("\"tenant:{name}\""))
}

/// What is left of one quota.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    key: CounterKey<'a>,
    quota: Quota,
    remaining: u64,
    resets_in: u64,
}

impl<'a> Left<'a> {
    pub(super) fn new((key, quota): (CounterKey<'a>, Quota), taken: u64, now: OffsetDateTime) -> Self {
        let left = (quota.ends_at(now) - now).unsigned_abs();
        // Rounded up, so that nobody comes too soon.
        let resets_in = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Self { key, quota, remaining: quota.tokens.saturating_sub(taken), resets_in }
    }

    /// The one that has less left, or for longer.
    pub(super) fn tighter(self, other: Option<Self>) -> Self {
        let rank = |it: &Self| (it.remaining, Reverse(it.resets_in));
        other.filter(|other| rank(other) <= rank(&self)).unwrap_or(self)
    }
}
