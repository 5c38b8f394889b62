use std::time::Duration;

use super::{OrStop as _, check, race, unique};
use crate::{Claim, ReplayStore, now};

pub(super) async fn claims_once(store: &impl ReplayStore) {
    let (name, id, now) = ("claims_once", unique("claim"), now());
    let until = now + Duration::from_secs(600);
    check(name, store.claim(&id, now, until).await.or_stop(name) == Claim::First, "the first claim is the first");
    for later in [0, 1, 599] {
        let again = store.claim(&id, now + Duration::from_secs(later), until).await.or_stop(name);
        check(name, again == Claim::Replayed, format_args!("a claim {later} s later is a replay"));
    }
}

pub(super) async fn tells_ids_apart(store: &impl ReplayStore) {
    let (name, id, now) = ("tells_ids_apart", unique("Claim"), now());
    let until = now + Duration::from_secs(600);
    let ids = [id.clone(), id.to_lowercase(), format!("{id} "), format!("{id}%"), format!("{id}é'\"\\"), id.repeat(20)];
    for id in ids {
        check(name, store.claim(&id, now, until).await.or_stop(name) == Claim::First, "another id is another claim");
        check(name, store.claim(&id, now, until).await.or_stop(name) == Claim::Replayed, "and is claimed once as well");
    }
}

pub(super) async fn lets_go_after_expiry(store: &impl ReplayStore) {
    // The ids are claimed in the past, so that a store with a clock of its own agrees that they have expired.
    let (name, id, past) = ("lets_go_after_expiry", unique("claim"), now() - Duration::from_secs(3600));
    let first = store.claim(&id, past, past + Duration::from_secs(60)).await.or_stop(name);
    check(name, first == Claim::First, "the first claim is the first");
    let (now, until) = (now(), now() + Duration::from_secs(600));
    let claimed = store.claim(&id, now, until).await.or_stop(name);
    check(name, claimed == Claim::First, "what has expired can be claimed again");
    for n in 0..200 {
        let other = store.claim(&unique("other"), now + Duration::from_secs(n), until).await.or_stop(name);
        check(name, other == Claim::First, "another id is another claim");
    }
    let again = store.claim(&id, now + Duration::from_secs(300), until).await.or_stop(name);
    check(name, again == Claim::Replayed, "and holds until its own expiry, not the old one's");
}

pub(super) async fn racing_claims_one_wins<S: ReplayStore + 'static>(store: S) {
    let (name, id, now) = ("racing_claims_one_wins", unique("claim"), now());
    let outcomes = race(store, |store, _| {
        let id = id.clone();
        async move { store.claim(&id, now, now + Duration::from_secs(600)).await.or_stop(name) }
    });
    let firsts = outcomes.await.into_iter().filter(|claim| *claim == Claim::First).count();
    check(name, firsts == 1, format_args!("of claims at the same time exactly one is the first, not {firsts}"));
}
