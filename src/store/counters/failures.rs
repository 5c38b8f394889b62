use std::{cmp::Ordering, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    clock::{from_milliseconds, milliseconds},
    table::Ranked,
};

/// How many failures there may be within a window of time, and how long whoever is over that has to wait at most.
///
/// It serializes to its three numbers, both times in milliseconds, for a store that counts elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Numbers")]
pub struct FailureLimit {
    most: u32,
    /// In milliseconds, as all times here.
    pub(crate) window: i64,
    #[serde(rename = "max_wait")]
    pub(crate) longest: i64,
}

/// A limit as it is read, before it is one that can be reckoned with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    most: u32,
    window: u64,
    max_wait: u64,
}

impl From<Numbers> for FailureLimit {
    fn from(numbers: Numbers) -> Self {
        Self::new(numbers.most, Duration::from_millis(numbers.window), Duration::from_millis(numbers.max_wait))
    }
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

    /// How long a window is, in whole milliseconds.
    #[must_use]
    pub const fn window(&self) -> Duration {
        Duration::from_millis(self.window.unsigned_abs())
    }

    /// How long a wait is at most, in whole milliseconds.
    #[must_use]
    pub const fn max_wait(&self) -> Duration {
        Duration::from_millis(self.longest.unsigned_abs())
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
/// The window slides: of the one before, what lies within the last `window` counts by its share. Where callers differ in how long a
/// window is, each goes on with what the others have counted. Each failure over the limit is a strike, and begins a wait that its strikes make longer. A strike is forgotten for every window after the wait in which
/// nothing failed; until all of them are, one more failure is one over the limit.
///
/// It serializes to numbers, all times in milliseconds since 1970, so that a store may keep it as a text. What it reads again may be
/// of any age, and of a time when the limit was another one; a member that it does not know is an error.
///
/// ```
/// use std::time::Duration;
/// use client_credentials::{FailureLimit, Failures, now};
///
/// let (limit, now) = (FailureLimit::new(3, Duration::from_secs(60), Duration::from_secs(300)), now());
/// let mut failures = Failures::default();
/// let _ = failures.attempt(&limit, now);
/// let row = serde_json::to_string(&failures)?;
/// assert_eq!(serde_json::from_str::<Failures>(&row)?, failures);
/// assert!(failures.stale_at() > now);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    /// When the window began.
    window: i64,
    /// How long it is, for the caller to whom it is longest.
    length: i64,
    count: u32,
    previous: u32,
    blocked_until: i64,
    strikes: u32,
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
///
/// It serializes to numbers, as [`Failures`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admitted {
    pub(crate) at: i64,
    pub(crate) window: i64,
    /// With it, if it is over the limit; else 0.
    pub(crate) strikes: u32,
    pub(crate) blocked_until: i64,
}

impl Admitted {
    /// An attempt that was counted at this time, in the window that began at that one: for a store that does not have
    /// [`Failures`] count, but a script in its database. Times are in milliseconds here, and are rounded down to them.
    #[must_use]
    pub fn new(at: OffsetDateTime, window: OffsetDateTime) -> Self {
        Self { at: milliseconds(at), window: milliseconds(window), strikes: 0, blocked_until: 0 }
    }

    /// The same where it is over the limit: the strike of this number, which begins a wait up to this time. With no strike,
    /// it is not.
    #[must_use]
    pub fn with_strike(self, strikes: u32, blocks_until: OffsetDateTime) -> Self {
        let blocked_until = if strikes > 0 { milliseconds(blocks_until) } else { 0 };
        Self { strikes, blocked_until, ..self }
    }

    /// When it was made: from when on others are admitted again, once it is taken back.
    #[must_use]
    pub fn at(&self) -> OffsetDateTime {
        from_milliseconds(self.at)
    }

    /// When the window began that it is counted in.
    #[must_use]
    pub fn window(&self) -> OffsetDateTime {
        from_milliseconds(self.window)
    }

    /// How many strikes there were with it, if it is over the limit; else 0.
    #[must_use]
    pub const fn strikes(&self) -> u32 {
        self.strikes
    }

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
        } else if admitted.window < self.window && admitted.window >= self.window.saturating_sub(self.length) {
            self.previous = self.previous.saturating_sub(1);
        }
        if admitted.strikes > 0 && admitted.strikes == self.strikes {
            self.strikes -= 1;
            self.blocked_until = admitted.at;
        }
    }

    /// From when on nothing of it counts any more, and a store may forget it.
    #[must_use]
    pub fn stale_at(&self) -> OffsetDateTime {
        from_milliseconds(self.counts_until())
    }

    fn counts_until(&self) -> i64 {
        let of_strikes = i64::from(self.strikes).saturating_mul(self.length).saturating_add(self.blocked_until);
        of_strikes.max(self.window.saturating_add(self.length.saturating_mul(2)))
    }

    // What a store has kept may hold any numbers, so none of this goes over.
    pub(crate) fn attempt_at(&mut self, limit: &FailureLimit, now: i64) -> Attempt {
        if self.blocked_until > now {
            return Attempt::Refused { until: from_milliseconds(self.blocked_until) };
        }
        // Whether a store has forgotten it by then or not.
        if now >= self.counts_until() {
            *self = Self::default();
        }
        let current = now.div_euclid(limit.window).saturating_mul(limit.window);
        let later = current.saturating_sub(self.window);
        // A clock that is behind counts in the window of one that is ahead. Where another caller's windows begin at other times,
        // the one that there is lasts for as long as one of this caller's at least.
        if later >= limit.window || later < limit.window.saturating_mul(-AHEAD) {
            let counts = now.saturating_sub(self.window) < self.length.saturating_mul(2);
            self.previous = if counts { self.count } else { 0 };
            self.count = 0;
            self.window = current;
            self.length = 0;
        }
        self.length = self.length.max(limit.window);
        let quiet = now.saturating_sub(self.blocked_until) / limit.window;
        self.strikes = self.strikes.saturating_sub(u32::try_from(quiet).unwrap_or(u32::MAX));

        self.count = self.count.saturating_add(1);
        let mut admitted = Admitted { at: now, window: self.window, strikes: 0, blocked_until: 0 };
        if self.strikes > 0 || self.is_over(limit, now) {
            if limit.wait(self.strikes) < limit.longest {
                self.strikes = self.strikes.saturating_add(1);
            }
            self.blocked_until = now.saturating_add(limit.wait(self.strikes));
            admitted.strikes = self.strikes;
            admitted.blocked_until = self.blocked_until;
        }
        Attempt::Admitted(admitted)
    }

    fn is_over(&self, limit: &FailureLimit, now: i64) -> bool {
        let begun = now.saturating_sub(self.window);
        let left = limit.window - begun.clamp(0, limit.window);
        let weighted = |count: u32, share: i64| i128::from(count) * i128::from(share);
        weighted(self.previous, left) + weighted(self.count, limit.window) >= weighted(limit.most, limit.window)
    }
}

/// By how many windows clocks may differ.
const AHEAD: i64 = 1000;

impl Ranked for Failures {
    /// Who has to wait now goes last, and before that whoever has failed most often, and last.
    fn rank(&self, other: &Self, now: i64) -> Ordering {
        let rank = |it: &Self| (it.blocked_until > now, it.strikes, it.count.saturating_add(it.previous), it.window);
        let rank = |it: &Self| if it.counts_until() > now { rank(it) } else { (false, 0, 0, 0) };
        rank(self).cmp(&rank(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json;

    fn limit(window: u64) -> FailureLimit {
        FailureLimit::new(3, Duration::from_secs(window), Duration::from_secs(300))
    }

    fn admitted(attempt: Attempt) -> Admitted {
        match attempt {
            Attempt::Admitted(admitted) => admitted,
            Attempt::Refused { until } => panic!("refused until {until}"),
        }
    }

    #[test]
    fn what_is_kept_has_a_form_that_stays() {
        let (mut failures, at) = (Failures::default(), OffsetDateTime::UNIX_EPOCH + Duration::from_secs(90));
        let [_, _, last] = [0; 3].map(|_| admitted(failures.attempt(&limit(60), at)));
        for (text, expected) in [
            (
                json::text(&failures),
                r#"{"window":60000,"length":60000,"count":3,"previous":0,"blocked_until":91000,"strikes":1}"#,
            ),
            (json::text(&last), r#"{"at":90000,"window":60000,"strikes":1,"blocked_until":91000}"#),
            (json::text(&limit(60)), r#"{"most":3,"window":60000,"max_wait":300000}"#),
        ] {
            assert_eq!(text, expected);
        }
        assert_eq!(serde_json::from_str::<FailureLimit>(&json::text(&limit(60))).unwrap(), limit(60));
        let window = at - Duration::from_secs(30);
        assert_eq!(last, Admitted::new(at, window).with_strike(1, at + Duration::from_secs(1)));
        assert_eq!(Admitted::new(last.at(), last.window()).with_strike(0, at).blocks_until(), None);
        for unknown in [r#"{"window":1}"#, r#"{"at":1,"window":1,"strikes":0,"blocked_until":0,"more":1}"#, "3"] {
            assert!(serde_json::from_str::<Failures>(unknown).is_err(), "{unknown}");
            assert!(serde_json::from_str::<Admitted>(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn what_was_counted_in_other_windows_goes_on() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(3600 * 500_000 + 30);
        for (before, after) in [(60, 61), (60, 600), (600, 60), (1, 3600), (3600, 1)] {
            let (mut failures, is_over) = (Failures::default(), |it: Admitted| it.blocks_until().is_some());
            for _ in 0..2 {
                assert!(!is_over(admitted(failures.attempt(&limit(before), at))), "{before}");
            }
            assert!(is_over(admitted(failures.attempt(&limit(after), at))), "{before}, {after}");
            // And is forgotten as any other.
            let later = at + Duration::from_secs(4 * before.max(after));
            assert!(failures.stale_at() <= later);
            assert!(!is_over(admitted(failures.attempt(&limit(after), later))), "{before}, {after}");
            assert!(!is_over(admitted(failures.attempt(&limit(after), later))), "{before}, {after}");
        }
    }

    proptest! {
        #[test]
        fn any_numbers_are_reckoned_with(
            numbers in any::<[i64; 3]>(),
            (count, previous, strikes) in any::<(u32, u32, u32)>(),
            window in any::<u64>(),
            now in any::<i64>(),
        ) {
            let [window_of, blocked_until, length] = numbers;
            let mut failures = Failures { window: window_of, length, count, previous, blocked_until, strikes };
            let limit = FailureLimit::new(count, Duration::from_millis(window), Duration::from_millis(window));
            if let Attempt::Admitted(admitted) = failures.attempt_at(&limit, now) {
                failures.forgive(&admitted);
            }
            let _ = failures.stale_at();
        }
    }
}
