use std::{cmp::Ordering, time::Duration};

use time::OffsetDateTime;

use crate::{
    clock::{from_milliseconds, milliseconds},
    table::Ranked,
};

/// How many failures there may be within a window of time, and how long whoever is over that has to wait at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimit {
    most: u32,
    /// In milliseconds, as all times here.
    window: i64,
    longest: i64,
}

/// The first wait; each further one is twice as long.
const FIRST_WAIT: i64 = 1000;

impl FailureLimit {
    /// The failure number `most` within a `window` begins a wait, and so does each one after it: of a second, then of two,
    /// of four, up to `max_wait`.
    #[must_use]
    pub fn new(most: u32, window: Duration, max_wait: Duration) -> Self {
        let in_milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(LONGEST);
        Self {
            most: most.max(1),
            window: in_milliseconds(window).clamp(1, LONGEST),
            longest: in_milliseconds(max_wait).clamp(1, LONGEST),
        }
    }

    /// How many failures begin a wait.
    #[must_use]
    pub const fn most(&self) -> u32 {
        self.most
    }

    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "only a script cannot reckon for itself"))]
    pub(crate) const fn window(&self) -> i64 {
        self.window
    }

    #[cfg_attr(not(feature = "redis"), expect(dead_code, reason = "only a script cannot reckon for itself"))]
    pub(crate) const fn longest(&self) -> i64 {
        self.longest
    }

    const fn wait(&self, strikes: u32) -> i64 {
        let Some(before) = strikes.checked_sub(1) else { return 0 };
        let doubled = if before < 40 { FIRST_WAIT << before } else { LONGEST };
        if doubled < self.longest { doubled } else { self.longest }
    }
}

/// A hundred years: no time that is reckoned with here goes over.
const LONGEST: i64 = 100 * 365 * 24 * 3600 * 1000;

/// The failures that are counted under one key: what a [`CounterStore`](crate::CounterStore) keeps and has it work on.
///
/// The window slides: of the one before, what lies within the last `window` counts by its share. Each failure over the limit
/// is a strike, and begins a wait that its strikes make longer. A strike is forgotten for every window after the wait in which
/// nothing failed; until all of them are, one more failure is one over the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The number of the window since 1970.
    window: i64,
    count: u32,
    previous: u32,
    blocked_until: i64,
    strikes: u32,
    /// When nothing of it counts any more.
    stale_at: i64,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third answer")]
#[must_use = "an attempt that is refused must not be made"]
pub enum Attempt {
    /// It may be made, and counts as a failure until it is [forgiven](crate::CounterStore::forgive).
    Admitted(Admitted),
    /// It must not be made, and does not count.
    Refused {
        /// When there can be another one.
        until: OffsetDateTime,
    },
}

/// An attempt that was counted, so that it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub(crate) at: i64,
    pub(crate) window: i64,
    /// With it, if it is over the limit; else 0.
    pub(crate) strikes: u32,
    pub(crate) blocked_until: i64,
}

impl Admitted {
    /// Until when others are refused because of this one, if it is over the limit.
    #[must_use]
    pub fn blocks_until(&self) -> Option<OffsetDateTime> {
        (self.strikes > 0).then(|| from_milliseconds(self.blocked_until))
    }
}

impl Failures {
    /// Counts one, unless one has to wait.
    pub fn attempt(&mut self, limit: &FailureLimit, now: OffsetDateTime) -> Attempt {
        self.attempt_at(limit, milliseconds(now))
    }

    /// Takes one back.
    pub fn forgive(&mut self, admitted: &Admitted) {
        if admitted.window == self.window {
            self.count = self.count.saturating_sub(1);
        } else if admitted.window + 1 == self.window {
            self.previous = self.previous.saturating_sub(1);
        }
        if admitted.strikes > 0 && admitted.strikes == self.strikes {
            self.strikes -= 1;
            self.blocked_until = admitted.at;
        }
    }

    pub(crate) fn attempt_at(&mut self, limit: &FailureLimit, now: i64) -> Attempt {
        if self.blocked_until > now {
            return Attempt::Refused { until: from_milliseconds(self.blocked_until) };
        }
        let current = now.div_euclid(limit.window);
        // A clock that is behind counts in the window of one that is ahead.
        if current > self.window {
            self.previous = if current == self.window + 1 { self.count } else { 0 };
            self.count = 0;
            self.window = current;
        }
        let quiet = u32::try_from((now - self.blocked_until) / limit.window).unwrap_or(u32::MAX);
        self.strikes = self.strikes.saturating_sub(quiet);

        self.count = self.count.saturating_add(1);
        let mut admitted = Admitted { at: now, window: self.window, strikes: 0, blocked_until: 0 };
        if self.strikes > 0 || self.is_over(limit, now) {
            if limit.wait(self.strikes) < limit.longest {
                self.strikes += 1;
            }
            self.blocked_until = now + limit.wait(self.strikes);
            admitted.strikes = self.strikes;
            admitted.blocked_until = self.blocked_until;
        }
        let of_strikes = self.blocked_until.saturating_add(i64::from(self.strikes) * limit.window);
        self.stale_at = of_strikes.max((self.window + 2) * limit.window);
        Attempt::Admitted(admitted)
    }

    fn is_over(&self, limit: &FailureLimit, now: i64) -> bool {
        let left = limit.window - (now - self.window * limit.window).clamp(0, limit.window);
        let weighted = |count: u32, share: i64| i128::from(count) * i128::from(share);
        weighted(self.previous, left) + weighted(self.count, limit.window) >= weighted(limit.most, limit.window)
    }
}

impl Ranked for Failures {
    /// Who has to wait now goes last, and before that whoever has failed most often, and last.
    fn rank(&self, other: &Self, now: i64) -> Ordering {
        let rank = |it: &Self| (it.blocked_until > now, it.strikes, it.count.saturating_add(it.previous), it.window);
        let rank = |it: &Self| if it.stale_at > now { rank(it) } else { (false, 0, 0, 0) };
        rank(self).cmp(&rank(other))
    }
}
