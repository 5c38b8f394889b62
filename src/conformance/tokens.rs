use std::time::Duration;

use time::OffsetDateTime;

use super::{OrStop as _, check, race, unique};
use crate::{Authorization, Claims, ClientId, Scope, TenantName, TokenHash, TokenStore, now};

fn client() -> ClientId {
    ClientId::parse(unique("client")).expect("an identifier")
}

pub(super) fn claims(client_id: &ClientId, issued_at: OffsetDateTime) -> Claims {
    Claims::new(client_id.clone(), issued_at, issued_at + Duration::from_secs(600))
}

async fn keep(name: &str, store: &impl TokenStore, claims: &Claims) -> TokenHash {
    let hash = TokenHash::of(&unique("token"));
    store.insert(hash, claims.clone()).await.or_stop(name);
    hash
}

pub(super) async fn keeps_all_that_a_token_says(store: &impl TokenStore) {
    let name = "keeps_all_that_a_token_says";
    // To the microsecond, which is as much as most databases keep.
    let now = now().replace_nanosecond(123_456_000).unwrap();
    let bare = claims(&client(), now);
    let tenants =
        ["acme", "b.c-d_e~"].map(|tenant| (TenantName::parse(tenant).unwrap(), ["r", "s"].into_iter().collect()));
    let full = claims(&ClientId::parse(unique("Client ' \" \\ %")).unwrap(), now)
        .with_scope(Scope::parse("read https://api.example.com/'%_ tenant:acme").unwrap())
        .with_authorization(Authorization::new(["authz:superuser", "r"].into_iter().collect(), tenants));
    let api_key = claims(&client(), now).with_api_key_label("a label: é ' \" \\ %".to_owned());
    let unlabelled = claims(&client(), now).with_api_key_label(String::new());
    // In the order in which they were named.
    let for_apis = claims(&client(), now).with_audience(["https://api.example.com/v1?q='%_", "billing", "a"]);
    for claims in [bare, full, api_key, unlabelled, for_apis] {
        let hash = keep(name, store, &claims).await;
        let found = store.find(&hash).await.or_stop(name);
        check(name, found.as_ref() == Some(&claims), format_args!("{claims:?} was kept, {found:?} was found"));
    }
}

pub(super) async fn finds_nothing_else(store: &impl TokenStore) {
    let (name, unknown) = ("finds_nothing_else", TokenHash::of(&unique("token")));
    keep(name, store, &claims(&client(), now())).await;
    check(name, store.find(&unknown).await.or_stop(name).is_none(), "an unknown token is not found");
    check(name, !store.revoke(&unknown).await.or_stop(name), "an unknown token is not there to be revoked");
}

pub(super) async fn revokes_once(store: &impl TokenStore) {
    let (name, client) = ("revokes_once", client());
    let (one, other) =
        (keep(name, store, &claims(&client, now())).await, keep(name, store, &claims(&client, now())).await);
    check(name, store.revoke(&one).await.or_stop(name), "the call that ends a token says so");
    check(name, store.find(&one).await.or_stop(name).is_none(), "what is revoked is not found");
    check(name, !store.revoke(&one).await.or_stop(name), "what is revoked already is not revoked again");
    check(name, store.find(&other).await.or_stop(name).is_some(), "another token of the client stands");
}

pub(super) async fn racing_revocations_one_wins<S: TokenStore + 'static>(store: S) {
    let name = "racing_revocations_one_wins";
    let hash = keep(name, &store, &claims(&client(), now())).await;
    let outcomes = race(store, |store, _| async move { store.revoke(&hash).await.or_stop(name) }).await;
    let winners = outcomes.into_iter().filter(|won| *won).count();
    check(
        name,
        winners == 1,
        format_args!("of revocations at the same time exactly one ends the token, not {winners}"),
    );
}

pub(super) async fn revoke_all_is_dated(store: &impl TokenStore) {
    let (name, mine, others) = ("revoke_all_is_dated", client(), client());
    let at = now();
    let (before, after) = (at - Duration::from_secs(1), at + Duration::from_millis(1));
    let early = [keep(name, store, &claims(&mine, before)).await, keep(name, store, &claims(&mine, at)).await];
    let early_but_later = keep(name, store, &claims(&mine, after)).await;
    let other = keep(name, store, &claims(&others, before)).await;
    store.revoke_all(&mine, at).await.or_stop(name);
    let late = keep(name, store, &claims(&mine, before)).await;
    let new = keep(name, store, &claims(&mine, after)).await;

    for hash in early {
        check(name, store.find(&hash).await.or_stop(name).is_none(), "a token issued up to then is dead");
        check(name, !store.revoke(&hash).await.or_stop(name), "and not there to be revoked");
    }
    check(name, store.find(&late).await.or_stop(name).is_none(), "so is one issued before whose row came after");
    check(
        name,
        store.find(&early_but_later).await.or_stop(name).is_some(),
        "one issued later lives, though its row came before",
    );
    check(name, store.find(&new).await.or_stop(name).is_some(), "a new token lives");
    check(name, store.find(&other).await.or_stop(name).is_some(), "another client's token lives");
}

pub(super) async fn revoke_all_never_goes_back(store: &impl TokenStore) {
    let (name, client, at) = ("revoke_all_never_goes_back", client(), now());
    let dead = keep(name, store, &claims(&client, at - Duration::from_secs(1))).await;
    store.revoke_all(&client, at).await.or_stop(name);
    store.revoke_all(&client, at - Duration::from_secs(60)).await.or_stop(name);
    check(name, store.find(&dead).await.or_stop(name).is_none(), "an earlier revocation brings nothing back to life");
}

pub(super) async fn revoke_all_races_with_mints<S: TokenStore + 'static>(store: S) {
    let (name, client, at) = ("revoke_all_races_with_mints", client(), now());
    let store = std::sync::Arc::new(store);
    let hashes = race(store.clone(), |store, n| {
        let client = client.clone();
        async move {
            if n % 4 == 0 {
                store.revoke_all(&client, at).await.or_stop(name);
            }
            keep(name, &**store, &claims(&client, at)).await
        }
    });
    for hash in hashes.await {
        check(
            name,
            store.find(&hash).await.or_stop(name).is_none(),
            "no token issued up to then lives, whichever write was first",
        );
    }
}

pub(super) async fn lists_what_stands(store: &impl TokenStore) {
    let (name, client, now) = ("lists_what_stands", client(), now());
    check(name, store.list_tokens(&client, now).await.or_stop(name).is_empty(), "a client without tokens has none");
    let revoked = keep(name, store, &claims(&client, now)).await;
    keep(name, store, &claims(&client, now - Duration::from_secs(3600))).await;
    keep(name, store, &claims(&self::client(), now)).await;
    let mut standing = Vec::new();
    for _ in 0..3 {
        standing.push(keep(name, store, &claims(&client, now)).await);
    }
    check(name, store.revoke(&revoked).await.or_stop(name), "a token can be revoked");
    let mut listed: Vec<_> =
        store.list_tokens(&client, now).await.or_stop(name).into_iter().map(|(hash, _)| hash).collect();
    listed.sort();
    standing.sort();
    check(
        name,
        listed == standing,
        "a list is the client's tokens that stand, without others' and without expired ones",
    );
    store.revoke_all(&client, now).await.or_stop(name);
    check(name, store.list_tokens(&client, now).await.or_stop(name).is_empty(), "nothing is left after revoking all");
}

pub(super) async fn purges_what_has_expired_and_nothing_else(store: &impl TokenStore) {
    let (name, client, now) = ("purges_what_has_expired_and_nothing_else", client(), now());
    let expiring = |at: OffsetDateTime| Claims::new(client.clone(), at - Duration::from_secs(600), at);
    let live = keep(name, store, &expiring(now + Duration::from_secs(600))).await;
    let mut expired = Vec::new();
    for n in 0..50 {
        expired.push(keep(name, store, &expiring(now - Duration::from_secs(120 + n))).await);
    }
    // Other data in the same store may have expired too, and some stores forget by themselves: what counts is the bound,
    // and that it ends.
    for _ in 0..10_000 {
        let purged = store.purge_expired(now, 7).await.or_stop(name);
        check(name, purged <= 7, "a purge forgets no more than it was told to");
        if purged < 7 {
            break;
        }
    }
    for hash in expired {
        check(name, store.find(&hash).await.or_stop(name).is_none(), "what expired minutes ago is gone");
    }
    check(name, store.find(&live).await.or_stop(name).is_some(), "what has not expired is kept");
    check(name, store.purge_expired(now, 0).await.or_stop(name) == 0, "nothing is forgotten where nothing may be");
}
