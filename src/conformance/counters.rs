use std::time::Duration;

use super::{OrStop as _, RACERS, check, race, unique};
use crate::{Admitted, Attempt, CounterKey, CounterStore, FailureLimit, Failures, Taken, now};

const MINUTE: Duration = Duration::from_secs(60);

fn limit(most: u32) -> FailureLimit {
    FailureLimit::new(most, MINUTE, 5 * MINUTE)
}

/// Does everything both to the store and to [`Failures`], and compares the answers.
pub(super) async fn counts_as_failures_do(store: &impl CounterStore) {
    let (name, id, start) = ("counts_as_failures_do", unique("client"), now());
    let (key, mut failures) = (CounterKey::Client(&id), Failures::default());
    let seconds = [
        0, 0, 1, 30, 59, 60, 61, 61, 62, 63, 64, 70, 71, 80, 130, 131, 132, 150, 500, 501, 502, 503, 504, 505, 509,
        520, 560, 700, 1400, 1400, 1400, 1400, 1401, 1404, 1420, 1421, 1500, 5000, 5001, 5002, 5000, 5001, 5003, 5004,
        5008,
    ];
    let mut admitted: Option<Admitted> = None;
    for (n, second) in seconds.into_iter().enumerate() {
        let at = start + Duration::from_secs(second) + Duration::from_millis(7 * n as u64);
        let (kept, expected) = (store.attempt(key, &limit(3), at).await.or_stop(name), failures.attempt(&limit(3), at));
        check(name, kept == expected, format_args!("attempt {n} at {second} s is {kept:?}, not {expected:?}"));
        if let Some(earlier) = admitted.take_if(|_| n % 4 == 3) {
            store.forgive(key, &earlier).await.or_stop(name);
            failures.forgive(&earlier);
        }
        if let Attempt::Admitted(this) = kept {
            admitted = Some(this);
        }
    }

    // What was counted in short windows, and then the configuration has longer ones, or the other way round.
    // At each minute of the longer ones: it must not matter when the store forgets what does not count any more.
    for (before, after, minute) in (0..10).flat_map(|minute| [(1, 10, minute), (10, 1, minute)]) {
        let start = start + minute * MINUTE;
        let (id, mut failures) = (unique("client"), Failures::default());
        for (n, second) in [0, 1, 2, 700, 701, 1400, 1401, 1402].into_iter().enumerate() {
            let minutes = if n < 3 { before } else { after };
            let limit = FailureLimit::new(3, minutes * MINUTE, 5 * MINUTE);
            let at = start + Duration::from_secs(second);
            let kept = store.attempt(CounterKey::Client(&id), &limit, at).await.or_stop(name);
            let expected = failures.attempt(&limit, at);
            check(name, kept == expected, format_args!("with other windows, {kept:?} is not {expected:?}"));
        }
    }
}

/// As while a new configuration comes to one instance after the other.
pub(super) async fn goes_on_where_windows_differ(store: &impl CounterStore) {
    let (name, start) = ("goes_on_where_windows_differ", now());
    for windows in [[60, 61], [60, 120], [120, 60], [3600, 1]] {
        let (id, mut admitted) = (unique("client"), 0);
        let mut failures = Failures::default();
        for (n, window) in (0..40).zip(windows.into_iter().cycle()) {
            let limit = FailureLimit::new(5, Duration::from_secs(window), 5 * MINUTE);
            let at = start + Duration::from_millis(10 * n);
            let kept = store.attempt(CounterKey::Client(&id), &limit, at).await.or_stop(name);
            let expected = failures.attempt(&limit, at);
            check(name, kept == expected, format_args!("in windows of {windows:?} s, {kept:?} is not {expected:?}"));
            admitted += u32::from(matches!(kept, Attempt::Admitted(_)));
        }
        check(name, admitted <= 10, format_args!("windows of {windows:?} s in turn admit {admitted} where 5 may fail"));
    }
}

pub(super) async fn admits_up_to_the_limit(store: &impl CounterStore) {
    let (name, id, now) = ("admits_up_to_the_limit", unique("client"), now());
    let key = CounterKey::Client(&id);
    for n in 1..=4 {
        let Attempt::Admitted(admitted) = store.attempt(key, &limit(4), now).await.or_stop(name) else {
            return check(name, false, "fewer are admitted than the limit says");
        };
        let blocks = admitted.blocks_until().is_some();
        check(name, blocks == (n == 4), format_args!("attempt {n} of 4 blocks others: {blocks}"));
    }
    for at in [now, now + Duration::from_millis(900)] {
        let refused = matches!(store.attempt(key, &limit(4), at).await.or_stop(name), Attempt::Refused { .. });
        check(name, refused, "within a second after the last one that the limit allows, none is admitted");
    }
    let Attempt::Admitted(next) = store.attempt(key, &limit(4), now + Duration::from_secs(2)).await.or_stop(name)
    else {
        return check(name, false, "one is admitted after the wait, however often one was refused");
    };
    let until = next.blocks_until().is_some_and(|until| until >= now + Duration::from_millis(3900));
    check(name, until, "which begins a longer wait");
}

pub(super) async fn forgives_what_did_not_fail(store: &impl CounterStore) {
    let (name, id, now) = ("forgives_what_did_not_fail", unique("client"), now());
    let key = CounterKey::Client(&id);
    for n in 0..20 {
        let Attempt::Admitted(admitted) = store.attempt(key, &limit(1), now).await.or_stop(name) else {
            return check(name, false, format_args!("attempt {n} is refused though none has failed"));
        };
        store.forgive(key, &admitted).await.or_stop(name);
    }
}

pub(super) async fn tells_keys_apart(store: &impl CounterStore) {
    let (name, id, now) = ("tells_keys_apart", unique("Client"), now());
    let ends_at = now + MINUTE;
    let awkward = [id.to_lowercase(), format!("{id} "), format!("{id}%{{}}:'\"\\"), id.repeat(10)];
    let (source, other) = ("2001:db8::".parse(), "192.0.2.1".parse());
    let keys = [CounterKey::Client(&id), CounterKey::Tenant(&id)].into_iter();
    let keys = keys.chain(awkward.iter().map(|id| CounterKey::Client(id)));
    for key in keys.chain([source, other].into_iter().flatten().map(CounterKey::Source)) {
        let attempt = store.attempt(key, &limit(1), now).await.or_stop(name);
        let Attempt::Admitted(admitted) = attempt else {
            return check(name, false, "another key is another counter");
        };
        let again = store.attempt(key, &limit(1), now).await.or_stop(name);
        check(name, matches!(again, Attempt::Refused { .. }), "and counts as well");
        if let CounterKey::Source(_) = key {
            // These are not unique.
            store.forgive(key, &admitted).await.or_stop(name);
            continue;
        }
        let taken = store.take(key, 1, now, ends_at).await.or_stop(name);
        check(name, taken == Taken::Granted { count: 1, is_highest: true }, "what is taken is counted apart");
        let taken = store.take(key, 1, now, ends_at).await.or_stop(name);
        check(name, taken == Taken::UsedUp, "by this key too");
    }
}

pub(super) async fn takes_up_to_the_most(store: &impl CounterStore) {
    let (name, id, now) = ("takes_up_to_the_most", unique("client"), now());
    let (key, ends_at) = (CounterKey::Client(&id), now + 10 * MINUTE);
    for count in 1..=3 {
        let taken = store.take(key, 3, now, ends_at).await.or_stop(name);
        check(name, taken == Taken::Granted { count, is_highest: true }, "each one has its own count");
    }
    let taken = store.take(key, 3, now, ends_at).await.or_stop(name);
    check(name, taken == Taken::UsedUp, "no more are granted than there are");
    store.give_back(key, ends_at).await.or_stop(name);
    let taken = store.take(key, 3, now, ends_at).await.or_stop(name);
    check(name, taken == Taken::Granted { count: 3, is_highest: false }, "what is given back can be taken again");
    let taken = store.take(key, u64::MAX, now, ends_at).await.or_stop(name);
    check(name, taken == Taken::Granted { count: 4, is_highest: true }, "and all goes on from what is taken");

    let next = ends_at + 10 * MINUTE;
    let taken = store.take(key, 3, ends_at, next).await.or_stop(name);
    check(name, taken == Taken::Granted { count: 1, is_highest: true }, "the next window has its own count");
    store.give_back(key, ends_at).await.or_stop(name);
    let taken = store.take(key, 3, ends_at, next).await.or_stop(name);
    check(name, taken == Taken::Granted { count: 2, is_highest: true }, "nothing is given back to it from the last");
    for _ in 0..5 {
        store.give_back(key, next).await.or_stop(name);
    }
    let taken = store.take(key, 3, ends_at, next).await.or_stop(name);
    check(name, taken == Taken::Granted { count: 1, is_highest: false }, "and no count is below none");
}

pub(super) async fn racing_attempts_the_limit_holds<S: CounterStore + 'static>(store: S) {
    let (name, id, now) = ("racing_attempts_the_limit_holds", unique("client"), now());
    let attempts = race(store, |store, _| {
        let id = id.clone();
        async move { store.attempt(CounterKey::Client(&id), &limit(5), now).await.or_stop(name) }
    });
    let admitted = attempts.await.into_iter().filter(|attempt| matches!(attempt, Attempt::Admitted(_))).count();
    check(name, admitted == 5, format_args!("of {RACERS} at the same time 5 are admitted, not {admitted}"));
}

pub(super) async fn racing_takes_each_has_its_count<S: CounterStore + 'static>(store: S) {
    let (name, id, now) = ("racing_takes_each_has_its_count", unique("tenant"), now());
    let taken = race(store, |store, _| {
        let id = id.clone();
        async move { store.take(CounterKey::Tenant(&id), 10, now, now + MINUTE).await.or_stop(name) }
    });
    let mut counts: Vec<_> = taken.await.into_iter().filter(|taken| *taken != Taken::UsedUp).collect();
    counts.sort_by_key(|taken| match taken {
        Taken::Granted { count, .. } => *count,
        Taken::UsedUp => 0,
    });
    let expected: Vec<_> = (1..=10).map(|count| Taken::Granted { count, is_highest: true }).collect();
    check(name, counts == expected, format_args!("of {RACERS} at the same time 10 are granted, one of each count"));
}
