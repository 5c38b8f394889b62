use std::{
    cmp::Ordering,
    hash::{Hash as _, Hasher as _},
    net::IpAddr,
};

use crate::{
    Attempt, FailureLimit, Failures,
    table::{Ranked, Spot, Table},
};

/// What this instance remembers of clients and the sources that they came from. All times are milliseconds since 1970.
///
/// A client that comes from ever more sources must not have the good pairs of others forgotten. Its own are in eight places of the
/// table, and no more than four in each, so it has 32 of them at most; the next one takes the place of one of these.
pub(super) struct Pairs(Table<Pair>);

pub(super) type Key<'a> = (&'a str, IpAddr);

#[derive(Clone, Copy, Default)]
struct Pair {
    /// Until when it counts that it has succeeded.
    good_until: i64,
    failures: Failures,
    under_way: u32,
    /// A hash of the client, to tell its good pairs from those of others in the same place.
    client: u32,
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

/// In how many places the pairs of a client are, and how many good ones there may be in each.
const PLACES: u64 = 8;
const IN_A_PLACE: usize = 4;

impl Pairs {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Table::new(capacity))
    }

    /// How an attempt of this pair is judged. One that is good has to be [ended](Self::end).
    pub(super) fn judge(&self, key: Key<'_>, limit: &FailureLimit, now: i64) -> Standing {
        let standing = self.0.find_spot(self.spot(key).0, |pair| {
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
        self.0.find_spot(self.spot(key).0, |pair| {
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
        let (spot, client) = self.spot(key);
        let is_another = move |pair: &Pair| pair.good_until > now && pair.client == client;
        self.0.with_spot(spot, now, (IN_A_PLACE, is_another), |pair| {
            pair.good_until = now + GOOD_FOR;
            pair.client = client;
        });
    }

    /// Lets others go first. Who has failed takes the place of nobody who has succeeded.
    pub(super) fn wait(&self, key: Key<'_>, now: i64, until: i64) {
        let (spot, _) = self.spot(key);
        if self.0.find_spot(spot, |pair| pair.waits_until = until).is_none() {
            self.0.with_spot(spot, now, (0, |pair: &Pair| pair.good_until <= now), |pair| pair.waits_until = until);
        }
    }

    /// Where a pair is, and the hash of its client.
    fn spot(&self, (client_id, source): Key<'_>) -> (Spot, u32) {
        let mut hasher = self.0.hasher();
        client_id.hash(&mut hasher);
        let client = hasher.finish();
        source.hash(&mut hasher);
        let tag = hasher.finish();
        let spot = Spot { place: client.wrapping_add(tag % PLACES), tag };
        (spot, u32::try_from(client >> 32).unwrap_or_default())
    }
}

impl Ranked for Pair {
    /// What has succeeded last goes last, and before that what others are protected from for the longest time.
    fn rank(&self, other: &Self, now: i64) -> Ordering {
        let rank = |it: &Self| (it.good_until.max(now), it.waits_until.max(now));
        rank(self).cmp(&rank(other))
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;

    fn is_good(pairs: &Pairs, key: Key<'_>, now: i64) -> bool {
        let limit = FailureLimit::new(3, Duration::from_secs(60), Duration::from_secs(60));
        let is_good = matches!(pairs.judge(key, &limit, now), Standing::Good(_));
        if is_good {
            pairs.end(key, &limit, now, None);
        }
        is_good
    }

    #[test]
    fn a_client_has_as_many_good_pairs_as_one_may_have() {
        let (pairs, source) = (Pairs::new(65_536), |n: u32| IpAddr::from(Ipv4Addr::from(n)));
        for n in 0..1000 {
            // Also where it was one that had to wait before.
            if n % 3 == 0 {
                pairs.wait(("a", source(n)), n.into(), 10_000);
            }
            pairs.succeeded(("a", source(n)), n.into());
            assert!(is_good(&pairs, ("a", source(n)), n.into()), "{n}");
        }
        let good = (0..1000).filter(|n| is_good(&pairs, ("a", source(*n)), 1000)).count();
        assert_eq!(good, 32);
        // Who fails at this client takes none of them away.
        for n in 1000..2000 {
            pairs.wait(("a", source(n)), 1000, 10_000);
        }
        assert_eq!((0..1000).filter(|n| is_good(&pairs, ("a", source(*n)), 1000)).count(), 32);
    }
}
