//! The store in Redis, against a Redis of its own.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

#[path = "common/servers.rs"]
mod servers;

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use client_credentials::{
    AnyTokenStore, Attempt, Authorization, BackendError, Claim, Claims, ClientId, CounterKey, CounterStore as _,
    FailureLimit, RedisStore, ReplayStore as _, Scope, Taken, TokenHash, TokenStore as _, conformance, now,
    redis::{Client, FromRedisValue, Value, aio::MultiplexedConnection, cmd},
    time::OffsetDateTime,
};
use servers::{REDIS, Redis};

const MINUTE: Duration = Duration::from_secs(60);

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn claims(client_id: &str, issued_at: OffsetDateTime, lifetime: Duration) -> Claims {
    Claims::new(client(client_id), issued_at, issued_at + lifetime)
}

async fn connection(redis: &Redis) -> MultiplexedConnection {
    Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, command: &str) -> T {
    let mut words = command.split(' ');
    let mut asked = cmd(words.next().unwrap());
    for word in words {
        asked.arg(word);
    }
    asked.query_async(connection).await.unwrap()
}

/// Everything that an operator could see of a failure.
fn text(error: &BackendError) -> String {
    let mut text = format!("{error:?}");
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        write!(text, "; {error}; {error:?}").unwrap();
        cause = error.source();
    }
    text
}

#[test]
fn keeps_the_contracts() {
    let Some(redis) = &*REDIS else {
        return;
    };
    conformance::token_store(async || RedisStore::connect(&redis.url()).await.unwrap());
    conformance::replay_store(async || RedisStore::connect(&redis.url()).await.unwrap());
    conformance::counter_store(async || RedisStore::connect(&redis.url()).await.unwrap());
    conformance::token_store(async || AnyTokenStore::new(RedisStore::connect(&redis.url()).await.unwrap()));
    conformance::token_store(async || RedisStore::new(connection(redis).await).with_prefix("another:{x}:"));
}

#[test]
fn keeps_the_contracts_in_a_cluster() {
    let Some(redis) = Redis::start_cluster() else {
        return;
    };
    conformance::token_store(async || {
        let two_keys: Result<(), _> =
            cmd("MSET").arg(&["a", "1", "b", "2"]).query_async(&mut connection(&redis).await).await;
        assert_eq!(two_keys.unwrap_err().code(), Some("CROSSSLOT"));
        RedisStore::connect(&redis.url()).await.unwrap()
    });
    conformance::replay_store(async || RedisStore::connect(&redis.url()).await.unwrap());
    conformance::counter_store(async || RedisStore::connect(&redis.url()).await.unwrap());
}

#[tokio::test]
async fn counters_go_when_nothing_of_them_counts() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let (store, mut connection) =
        (RedisStore::connect(&redis.url()).await.unwrap().with_prefix("p:"), connection(&redis).await);
    // At the beginning of a window, so that none ends between two of these.
    let now = OffsetDateTime::from_unix_timestamp(now().unix_timestamp() / 60 * 60).unwrap();
    let (key, limit) = (CounterKey::Client("c"), FailureLimit::new(2, MINUTE, 5 * MINUTE));
    let hash = BASE64_URL_SAFE_NO_PAD.encode(TokenHash::of("client:c").as_bytes());
    let failures = format!("p:failures:{hash}");
    for (n, lasts) in [(0, 120_000), (1, 120_000), (3, 122_000), (100, 122_000), (160, 184_000)] {
        let at = now + Duration::from_secs(n);
        let Attempt::Admitted(admitted) = store.attempt(key, &limit, at).await.unwrap() else {
            panic!("{n}");
        };
        let expiry: i64 = ask(&mut connection, &format!("PTTL {failures}")).await;
        assert!((lasts - 5000..=lasts).contains(&expiry), "{n}: {expiry}");
        if n == 160 {
            store.forgive(key, &admitted).await.unwrap();
        }
    }
    let ends_at = OffsetDateTime::from_unix_timestamp(now.unix_timestamp() + 100).unwrap();
    assert_eq!(store.take(key, 1, now, ends_at).await.unwrap(), Taken::Granted { count: 1, is_highest: true });
    let taken = format!("p:taken:{}:client:c", ends_at.unix_timestamp());
    let expiry: i64 = ask(&mut connection, &format!("PTTL {taken}")).await;
    assert!((155_000..=161_000).contains(&expiry), "{expiry}");

    // One that did not fail leaves nothing behind.
    let other = CounterKey::Client("other");
    let Attempt::Admitted(admitted) = store.attempt(other, &limit, now).await.unwrap() else {
        panic!("the first attempt is refused");
    };
    store.forgive(other, &admitted).await.unwrap();
    let mut keys = ask::<Vec<String>>(&mut connection, "KEYS *").await;
    keys.sort();
    assert_eq!(keys, [failures, taken]);
}

#[tokio::test]
async fn every_key_expires_but_the_dates_of_revocation() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let (store, mut connection) =
        (RedisStore::connect(&redis.url()).await.unwrap().with_prefix("p:"), connection(&redis).await);
    let now = now();
    for (token, lifetime) in [("one", 10 * MINUTE), ("two", 20 * MINUTE), ("three", 5 * MINUTE)] {
        store.insert(TokenHash::of(token), claims("c", now, lifetime)).await.unwrap();
    }
    assert_eq!(store.claim("an id", now, now + MINUTE).await.unwrap(), Claim::First);
    store.revoke_all(&client("c"), now - MINUTE).await.unwrap();
    assert!(store.deny(&TokenHash::of("a jti"), &claims("c", now, 10 * MINUTE)).await.unwrap());

    let hashed = |kind, text| format!("p:{kind}:{}", BASE64_URL_SAFE_NO_PAD.encode(TokenHash::of(text).as_bytes()));
    let after =
        |lifetime: Duration| i64::try_from(((now + lifetime).unix_timestamp_nanos() + 999_999) / 1_000_000).unwrap();
    let mut expected = [
        (hashed("token", "one"), after(10 * MINUTE)),
        (hashed("token", "two"), after(20 * MINUTE)),
        (hashed("token", "three"), after(5 * MINUTE)),
        ("p:client:c".into(), after(20 * MINUTE)),
        (hashed("claim", "an id"), after(MINUTE)),
        // For clocks that differ.
        (hashed("denied", "a jti"), after(11 * MINUTE)),
        ("p:revoked:c".into(), -1),
    ];
    expected.sort();
    let mut there = Vec::new();
    for key in ask::<Vec<String>>(&mut connection, "KEYS *").await {
        let expiry: i64 = ask(&mut connection, &format!("PEXPIRETIME {key}")).await;
        there.push((key, expiry));
    }
    there.sort();
    assert_eq!(there, expected);
}

#[tokio::test]
async fn what_has_expired_goes_by_itself() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let (store, mut connection) = (RedisStore::connect(&redis.url()).await.unwrap(), connection(&redis).await);
    let (start, hash) = (now(), TokenHash::of("token"));
    let lifetime = Duration::from_millis(1500);
    store.insert(hash, claims("c", start, lifetime)).await.unwrap();
    assert_eq!(store.claim("id", start, start + lifetime).await.unwrap(), Claim::First);
    assert!(store.find(&hash).await.unwrap().is_some());
    assert_eq!(store.claim("id", start, start + lifetime).await.unwrap(), Claim::Replayed);
    while ask::<usize>(&mut connection, "DBSIZE").await > 0 {
        assert!(now() < start + MINUTE, "it is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(now() >= start + lifetime, "it went too early");
    assert_eq!(store.claim("id", now(), now() + MINUTE).await.unwrap(), Claim::First);

    // An index whose key stays for another token is cleared in parts.
    let later = start + Duration::from_secs(30);
    store.insert(TokenHash::of("long"), claims("c", now(), 10 * MINUTE)).await.unwrap();
    for n in 0..40 {
        store.insert(TokenHash::of(&format!("short {n}")), claims("c", start, Duration::from_secs(29))).await.unwrap();
    }
    for (n, left) in [(1, 42 - 16), (2, 43 - 32), (3, 44 - 32)] {
        store.insert(TokenHash::of(&format!("late {n}")), claims("c", later, 10 * MINUTE)).await.unwrap();
        assert_eq!(ask::<usize>(&mut connection, "ZCARD client-credentials:client:c").await, left);
    }
    assert_eq!(store.list_tokens(&client("c"), later).await.unwrap().len(), 4);
}

#[tokio::test]
async fn lists_thousands() {
    let Some(redis) = &*REDIS else {
        return;
    };
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let (now, client) = (now(), client("listed"));
    let mut kept: Vec<_> = (0..2500).map(|n| TokenHash::of(&format!("listed {n}"))).collect();
    for hash in &kept {
        store.insert(*hash, claims("listed", now, MINUTE)).await.unwrap();
    }
    let mut listed: Vec<_> = store.list_tokens(&client, now).await.unwrap().into_iter().map(|(hash, _)| hash).collect();
    kept.sort();
    listed.sort();
    assert!(listed == kept);
}

#[tokio::test]
async fn times_are_exact_to_the_nanosecond() {
    let Some(redis) = &*REDIS else {
        return;
    };
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let at = now().replace_nanosecond(123_456_789).unwrap();
    let nanosecond = Duration::from_nanos(1);
    let kept = [at - nanosecond, at, at + nanosecond].map(|issued_at| claims("exact", issued_at, MINUTE));
    let hashes = ["before", "then", "after"].map(|name| TokenHash::of(&format!("exact {name}")));
    for (hash, claims) in hashes.iter().zip(&kept) {
        store.insert(*hash, claims.clone()).await.unwrap();
        assert_eq!(store.find(hash).await.unwrap().as_ref(), Some(claims));
    }
    store.revoke_all(&client("exact"), at).await.unwrap();
    store.revoke_all(&client("exact"), at - nanosecond).await.unwrap();
    let mut found = Vec::new();
    for hash in hashes {
        found.push(store.find(&hash).await.unwrap().is_some());
    }
    assert_eq!(found, [false, false, true]);
}

/// Whoever knows nothing of audiences must not take the token for one that is good everywhere.
#[tokio::test]
async fn a_version_that_knows_no_audiences_does_not_read_a_row_with_one() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let (store, mut connection) = (RedisStore::connect(&redis.url()).await.unwrap(), connection(&redis).await);
    let key =
        |token| format!("client-credentials:token:{}", BASE64_URL_SAFE_NO_PAD.encode(TokenHash::of(token).as_bytes()));
    let (one, other, issued_at) = (TokenHash::of("one"), TokenHash::of("other"), OffsetDateTime::UNIX_EPOCH);
    let bare = Claims::new(client("c"), issued_at, now().replace_nanosecond(0).unwrap() + MINUTE);
    let expires_at = bare.expires_at().unix_timestamp();
    let row = |version, audience| {
        format!(
            r#"{{"version":{version},"client_id":"c","scope":null,"authorization":{{"*":[]}},"api_key_label":null,{audience}"issued_at":0,"expires_at":{expires_at}000000000}}"#
        )
    };
    let for_apis = bare.clone().with_audience(["https://api.example.com", "billing"]);
    let audience = r#""audience":["https://api.example.com","billing"],"#;
    for (hash, claims, name, expected) in
        [(one, &bare, "one", row(1, "")), (other, &for_apis, "other", row(2, audience))]
    {
        store.insert(hash, claims.clone()).await.unwrap();
        let kept: String = ask(&mut connection, &format!("GET {}", key(name))).await;
        assert_eq!(kept, expected);
        assert_eq!(store.find(&hash).await.unwrap().as_ref(), Some(claims));
    }
    let mut listed: Vec<_> = store.list_tokens(&client("c"), now()).await.unwrap();
    listed.sort_by_key(|(_, claims)| claims.audience().len());
    assert_eq!(listed, [(one, bare), (other, for_apis)]);

    // What no version writes.
    for row in [row(1, audience), row(2, ""), row(2, r#""audience":[],"#), row(3, audience)] {
        ask::<String>(&mut connection, &format!("SET {} {row}", key("one"))).await;
        assert!(store.find(&one).await.is_err(), "{row}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_repeats_nothing() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let (store, mut connection) =
        (RedisStore::connect(&redis.url()).await.unwrap().with_prefix(""), connection(&redis).await);
    let (hash, at) = (TokenHash::of("token"), now());
    let full = claims("private", at, MINUTE)
        .with_scope(Scope::parse("private").unwrap())
        .with_authorization(Authorization::new(["private"].into_iter().collect(), []));
    store.insert(hash, full.clone()).await.unwrap();
    let key = ask::<Vec<String>>(&mut connection, "KEYS token:*").await.remove(0);
    let row: String = ask(&mut connection, &format!("GET {key}")).await;
    assert!(row.starts_with(r#"{"version":1,"#) && !row.contains(' '), "{row}");
    let rows = [
        row.replace(":1,", ":2,"),
        row.replace("[\"private\"]", "\"private\""),
        row.replace("\"scope\":\"private\"", "\"scope\":\"private\\\"\""),
        row.replace("\"issued_at\":", "\"issued_at\":9999999999999999"),
        row.replace("\"issued_at\":", "\"issued_at\":\"private\",\"x\":"),
        row[..row.len() - 1].into(),
        "private".into(),
    ];
    let mut commands: Vec<_> = rows.into_iter().map(|row| format!("SET {key} {row}")).collect();
    commands.push(format!("HSET {key} private private"));
    for command in commands {
        ask::<i64>(&mut connection, &format!("DEL {key}")).await;
        let _: Value = ask(&mut connection, &command).await;
        for failed in [
            store.find(&hash).await.map(drop),
            store.list_tokens(&client("private"), at).await.map(drop),
            store.revoke(&hash).await.map(drop),
        ] {
            let error = text(&failed.expect_err(&command));
            assert!(!error.contains("private"), "{error}");
        }
    }
    ask::<i64>(&mut connection, &format!("DEL {key}")).await;
    store.insert(hash, full).await.unwrap();
    ask::<i64>(&mut connection, "ZADD revoked:private 0 unknown-private").await;
    for failed in [
        store.find(&hash).await.map(drop),
        store.list_tokens(&client("private"), at).await.map(drop),
        store.revoke(&hash).await.map(drop),
        store.is_denied(&hash, &claims("private", at, MINUTE)).await.map(drop),
    ] {
        assert!(!text(&failed.unwrap_err()).contains("private"));
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_is_an_error_without_the_password() {
    for url in
        ["redis://user:hunter2@127.0.0.1:1", "redis://user:hunter2@127.0.0.1:1/x", "rediss://:hunter2@h", "hunter2"]
    {
        let start = Instant::now();
        let error = text(&RedisStore::connect(url).await.expect_err(url));
        assert!(!error.contains("hunter2"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_in_time() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let deadline = Duration::from_millis(200);
    let store = RedisStore::connect(&redis.url()).await.unwrap().with_deadline(deadline);
    ask::<String>(&mut connection(&redis).await, "CLIENT PAUSE 60000").await;
    let (start, hash, at) = (Instant::now(), TokenHash::of("token"), now());
    assert!(store.insert(hash, claims("c", at, MINUTE)).await.is_err());
    assert!(store.find(&hash).await.is_err());
    assert!(store.revoke(&hash).await.is_err());
    assert!(store.revoke_all(&client("c"), at).await.is_err());
    assert!(store.deny(&hash, &claims("c", at, MINUTE)).await.is_err());
    assert!(store.is_denied(&hash, &claims("c", at, MINUTE)).await.is_err());
    assert!(store.list_tokens(&client("c"), at).await.is_err());
    assert!(store.claim("id", at, at + MINUTE).await.is_err());
    assert!(store.attempt(CounterKey::Client("c"), &FailureLimit::new(1, MINUTE, MINUTE), at).await.is_err());
    assert!(store.take(CounterKey::Client("c"), 1, at, at + MINUTE).await.is_err());
    assert!(store.give_back(CounterKey::Client("c"), at + MINUTE).await.is_err());
    assert!((11 * deadline..MINUTE / 2).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let at = now();
    let [mut standing, mut ended, mut all] = [vec![], vec![], vec![]];
    for round in 0..3 {
        let hash = |name: &str| TokenHash::of(&format!("{name} {round}"));
        let (one, other) = (hash("standing"), hash("ended"));
        store.insert(one, claims("c", at, 10 * MINUTE)).await.unwrap();
        store.insert(other, claims("c", at, 10 * MINUTE)).await.unwrap();
        store.insert(hash("all"), claims(&format!("all {round}"), at, 10 * MINUTE)).await.unwrap();
        store.revoke_all(&client(&format!("all {round}")), at).await.unwrap();
        assert!(store.revoke(&other).await.unwrap());
        assert!(store.deny(&hash("denied"), &claims("c", at, 10 * MINUTE)).await.unwrap());
        assert_eq!(store.claim(&format!("id {round}"), at, at + 10 * MINUTE).await.unwrap(), Claim::First);
        standing.push(one);
        ended.push(other);
        all.push(hash("all"));

        redis.kill();
        let start = Instant::now();
        assert!(store.find(&one).await.is_err(), "nothing is known of a token while the server is away");
        assert!(store.is_denied(&hash("denied"), &claims("c", at, 10 * MINUTE)).await.is_err());
        assert!(store.claim("another id", at, at + MINUTE).await.is_err());
        assert!(start.elapsed() < Duration::from_secs(5));
        redis.restart();
        while store.find(&one).await.is_err() {
            assert!(start.elapsed() < MINUTE, "it does not connect again");
        }
        for hash in &standing {
            assert!(store.find(hash).await.unwrap().is_some());
        }
        for hash in ended.iter().chain(&all) {
            assert!(store.find(hash).await.unwrap().is_none());
        }
        for round in 0..=round {
            let again = store.claim(&format!("id {round}"), at, at + 10 * MINUTE).await.unwrap();
            assert_eq!(again, Claim::Replayed);
            let (denied, of_c) = (TokenHash::of(&format!("denied {round}")), claims("c", at, 10 * MINUTE));
            assert!(store.is_denied(&denied, &of_c).await.unwrap());
            assert!(!store.deny(&denied, &of_c).await.unwrap());
            let of_all = claims(&format!("all {round}"), at, 10 * MINUTE);
            assert!(store.is_denied(&TokenHash::of("another jti"), &of_all).await.unwrap());
        }
        assert_eq!(store.list_tokens(&client("c"), at).await.unwrap().len(), standing.len());
    }
}
