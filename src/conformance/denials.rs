//! Tokens that are not kept: which of them are ended.

use std::time::Duration;

use time::OffsetDateTime;

use super::{OrStop as _, check, race, tokens::claims, unique};
use crate::{Claims, ClientId, TokenHash, TokenStore, now};

/// A token that no store knows of, nor its client, by the hash of its `jti`.
fn token(client_id: &str, issued_at: OffsetDateTime) -> (TokenHash, Claims) {
    let jti = unique("jti");
    let client_id = ClientId::parse(client_id).expect("an identifier");
    (TokenHash::of(&jti), claims(&client_id, issued_at).with_jti(jti))
}

async fn is_denied(name: &str, store: &impl TokenStore, (jti, claims): &(TokenHash, Claims)) -> bool {
    store.is_denied(jti, claims).await.or_stop(name)
}

pub(super) async fn denies_once(store: &impl TokenStore) {
    let (name, client, now) = ("denies_once", unique("client"), now());
    let (one, other, others) = (token(&client, now), token(&client, now), token(&unique("client"), now));
    check(name, !is_denied(name, store, &one).await, "a token that nobody has ended is not denied");
    check(name, store.deny(&one.0, &one.1).await.or_stop(name), "the call that ends a token says so");
    check(name, is_denied(name, store, &one).await, "what is ended is denied");
    check(name, !store.deny(&one.0, &one.1).await.or_stop(name), "what is ended already is not ended again");
    check(name, is_denied(name, store, &one).await, "and stays denied");
    for other in [other, others] {
        check(name, !is_denied(name, store, &other).await, "another token is not denied");
    }
}

pub(super) async fn racing_denials_one_wins<S: TokenStore + 'static>(store: S) {
    let name = "racing_denials_one_wins";
    let token = token(&unique("client"), now());
    let outcomes = race(store, |store, _| {
        let token = token.clone();
        async move {
            let won = store.deny(&token.0, &token.1).await.or_stop(name);
            (won, is_denied(name, &*store, &token).await)
        }
    });
    let outcomes = outcomes.await;
    check(name, outcomes.iter().all(|(_, denied)| *denied), "whoever has ended a token finds it denied, winner or not");
    let winners = outcomes.iter().filter(|(won, _)| *won).count();
    check(name, winners == 1, format_args!("of denials at the same time exactly one ends the token, not {winners}"));
}

pub(super) async fn revoke_all_denies_by_date(store: &impl TokenStore) {
    let (name, client, at) = ("revoke_all_denies_by_date", unique("client"), now());
    let (before, after) = (at - Duration::from_secs(1), at + Duration::from_millis(1));
    let early = [token(&client, before), token(&client, at)];
    let (late, others) = (token(&client, after), token(&unique("client"), before));
    store.revoke_all(early[0].1.client_id(), at).await.or_stop(name);
    for token in early {
        check(name, is_denied(name, store, &token).await, "a token issued up to then is denied");
    }
    check(name, !is_denied(name, store, &late).await, "one issued later is not");
    check(name, !is_denied(name, store, &others).await, "another client's token is not");
    check(name, store.deny(&late.0, &late.1).await.or_stop(name), "one issued later can be ended by itself");
    check(name, is_denied(name, store, &late).await, "and is denied then");
}

pub(super) async fn revoke_all_denies_for_good(store: &impl TokenStore) {
    let (name, at) = ("revoke_all_denies_for_good", now());
    let dead = token(&unique("client"), at - Duration::from_secs(1));
    store.revoke_all(dead.1.client_id(), at).await.or_stop(name);
    store.revoke_all(dead.1.client_id(), at - Duration::from_secs(60)).await.or_stop(name);
    check(name, is_denied(name, store, &dead).await, "an earlier revocation brings nothing back to life");
}

pub(super) async fn remembers_denials_until_the_tokens_expire(store: &impl TokenStore) {
    let (name, client, now) = ("remembers_denials_until_the_tokens_expire", unique("client"), now());
    let mut live = Vec::new();
    // Each has some minutes left, and more than the ones before.
    for n in (0..20).rev() {
        let token = token(&client, now - Duration::from_secs(20 * n));
        check(name, store.deny(&token.0, &token.1).await.or_stop(name), "a token can be ended");
        live.push(token);
    }
    // The next to be ended have expired long ago: they may be remembered or not, and nothing may be lost over them.
    let expired: Vec<_> = (0..20).map(|_| token(&client, now - Duration::from_secs(7200))).collect();
    for (jti, claims) in &expired {
        store.deny(jti, claims).await.or_stop(name);
    }
    for _ in 0..10_000 {
        let purged = store.purge_expired(now, 7).await.or_stop(name);
        check(name, purged <= 7, "a purge forgets no more than it was told to");
        if purged < 7 {
            break;
        }
    }
    for token in &live {
        check(name, is_denied(name, store, token).await, "what is denied and has not expired stays denied");
    }
    for token in &expired {
        is_denied(name, store, token).await;
    }
}
