use std::{cmp::Ordering, net::IpAddr};

use crate::{
    Attempt, FailureLimit, Failures,
    table::{Ranked, Table},
};

/// What this instance remembers of clients and the sources that they came from. All times are milliseconds since 1970.
pub(super) struct Pairs(Table<Pair>);

pub(super) type Key<'a> = (&'a str, IpAddr);

#[derive(Clone, Copy, Default)]
struct Pair {
    /// Until when it counts that it has succeeded.
    good_until: i64,
    failures: Failures,
    under_way: u32,
    /// Until when others go first.
    waits_until: i64,
}

/// What is known of a pair.
pub(super) enum Standing {
    /// It has succeeded lately, and one more attempt is noted as under way; with up to when others would go first.
    Good(i64),
    /// Others go first, up to here.
    Waits(i64),
    /// Nothing that helps it or is against it.
    Unknown,
}

/// A week.
const GOOD_FOR: i64 = 7 * 24 * 3600 * 1000;

/// How many attempts of a good pair may be under way, as a multiple of the failures that it may have: enough for a client that
/// is many machines behind one address, and too few to try out much at once.
const UNDER_WAY: u32 = 8;

impl Pairs {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Table::new(capacity))
    }

    /// How an attempt of this pair is judged. One that is good has to be [ended](Self::end).
    pub(super) fn judge(&self, key: Key<'_>, limit: &FailureLimit, now: i64) -> Standing {
        let standing = self.0.find(key, |pair| {
            // It is a copy that counts here: this attempt has not failed yet. Where one more failure begins a wait, there is one
            // at a time, or as many as may be under way would come through after each wait.
            let most = match { pair.failures }.attempt_at(limit, now) {
                Attempt::Admitted(this) if this.blocks_until().is_some() => 1,
                Attempt::Admitted(_) => limit.most().saturating_mul(UNDER_WAY),
                Attempt::Refused { .. } => 0,
            };
            if pair.good_until > now && pair.under_way < most {
                pair.under_way += 1;
                return Standing::Good(pair.waits_until);
            }
            if pair.waits_until > now { Standing::Waits(pair.waits_until) } else { Standing::Unknown }
        });
        standing.unwrap_or(Standing::Unknown)
    }

    /// What came of an attempt of a good pair; `None` where it is not known or not its fault.
    pub(super) fn end(&self, key: Key<'_>, limit: &FailureLimit, now: i64, succeeded: Option<bool>) {
        self.0.find(key, |pair| {
            pair.under_way = pair.under_way.saturating_sub(1);
            match succeeded {
                Some(true) => pair.good_until = now + GOOD_FOR,
                // Where it is over the limit already, it cannot be more so.
                Some(false) => _ = pair.failures.attempt_at(limit, now),
                None => {}
            }
        });
    }

    /// Remembers that it has succeeded.
    pub(super) fn succeeded(&self, key: Key<'_>, now: i64) {
        self.0.with(key, now, |pair| pair.good_until = now + GOOD_FOR);
    }

    /// Lets others go first.
    pub(super) fn wait(&self, key: Key<'_>, now: i64, until: i64) {
        self.0.with(key, now, |pair| pair.waits_until = until);
    }
}

impl Ranked for Pair {
    /// What has succeeded last goes last, and before that what others are protected from for the longest time.
    fn rank(&self, other: &Self, now: i64) -> Ordering {
        let rank = |it: &Self| (it.good_until.max(now), it.waits_until.max(now));
        rank(self).cmp(&rank(other))
    }
}
