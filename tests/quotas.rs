//! How many tokens there are for a client and for a tenant.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect, and prints what is to be seen"
)]

mod common;
#[cfg(all(unix, feature = "redis"))]
#[path = "common/servers.rs"]
mod servers;

use std::{sync::Arc, time::Duration};

use client_credentials::{
    AccessToken, AnyTokenIssuer, AuthorizationServer, BackendError, Claims, Client, ClientId, ClientSecret,
    ClientSecretHash, Config, CounterStore, MemoryCounters, MemoryStore, OPENAPI, OpaqueIssuer, Quota, Quotas,
    RandomSource, TenantName, TokenIssuer, handle_token_request, time::OffsetDateTime,
};
use common::{Answer, Events, SECRET, Served, Server, basic, block_on, store, stores};

const GRANT: &str = "grant_type=client_credentials";
const BOTH: &str = "grant_type=client_credentials&scope=tenant:acme+tenant:bolt";

/// Ten minutes and half a second after an hour began, and fourteen hours after a day did.
fn start() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_790_000_000 / 86_400 * 86_400 + 14 * 3600 + 600).unwrap()
        + Duration::from_millis(500)
}

fn server(quotas: Quotas, counters: impl CounterStore + 'static) -> Server {
    let store = store();
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
    AuthorizationServer::new(stores(store), issuer, Config::default()).with_quotas(quotas, counters)
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

fn hourly(tokens: u64) -> Quota {
    Quota::per_hour(tokens).unwrap()
}

async fn ask(server: &Server, seconds: u64, client_id: &str, form: &str) -> Answer {
    let asked = basic(client_id, SECRET, form);
    let answer = handle_token_request(server, &asked.request_at(start() + Duration::from_secs(seconds))).await;
    let answer = Answer::of(&answer);
    answer.is_well_formed();
    answer
}

/// The statuses of many requests at one time.
fn statuses(server: &Server, seconds: u64, client_id: &str, form: &str, times: usize) -> Vec<u16> {
    (0..times).map(|_| block_on(ask(server, seconds, client_id, form)).status).collect()
}

fn limits(answer: &Answer) -> [Option<&str>; 3] {
    ["ratelimit-policy", "ratelimit", "retry-after"].map(|name| answer.header(name))
}

#[test]
fn a_client_gets_as_many_tokens_as_its_quota_says_and_more_when_the_window_has_ended() {
    let quotas = Quotas::default().with_default(hourly(3)).with_client(client("short"), Quota::per_day(2).unwrap());
    let server = server(quotas.with_client(client("superuser"), None), MemoryCounters::default());
    for left in [2, 1, 0] {
        let granted = block_on(ask(&server, 0, "basic", GRANT));
        assert_eq!(granted.status, 200);
        let left = format!("\"client\";r={left};t=3000");
        assert_eq!(limits(&granted), [Some("\"client\";q=3;w=3600"), Some(&left), None]);
    }
    let refused = block_on(ask(&server, 10, "basic", GRANT));
    refused.refused(429, "temporarily_unavailable");
    let expected = ["\"client\";q=3;w=3600", "\"client\";r=0;t=2990", "2990"];
    assert_eq!(limits(&refused), expected.map(Some));
    assert_eq!(statuses(&server, 2999, "basic", GRANT, 2), [429, 429]);
    assert_eq!(statuses(&server, 3000, "basic", GRANT, 4), [200, 200, 200, 429]);

    // Each on its own.
    assert_eq!(statuses(&server, 0, "defaulting", GRANT, 4), [200, 200, 200, 429]);
    assert_eq!(statuses(&server, 0, "superuser", GRANT, 20), [200; 20]);
    assert_eq!(limits(&block_on(ask(&server, 0, "superuser", GRANT))), [None; 3]);
    assert_eq!(statuses(&server, 0, "short", GRANT, 2), [200, 200]);
    let refused = block_on(ask(&server, 7200, "short", GRANT));
    let left = 10 * 3600 - 600 - 7200;
    let (window, left) = (format!("\"client\";r=0;t={left}"), left.to_string());
    assert_eq!(limits(&refused), ["\"client\";q=2;w=86400", &window, &left].map(Some));
}

#[test]
fn a_tenant_has_its_quota_for_all_clients_and_a_token_for_two_counts_for_both() {
    let quotas = Quotas::default().with_tenant(tenant("acme"), hourly(4)).with_tenant(tenant("bolt"), hourly(2));
    let server = server(quotas, MemoryCounters::default());
    let granted = block_on(ask(&server, 0, "basic", BOTH));
    let policies = r#""tenant:acme";q=4;w=3600, "tenant:bolt";q=2;w=3600"#;
    assert_eq!(limits(&granted), [Some(policies), Some("\"tenant:bolt\";r=1;t=3000"), None]);
    assert_eq!(statuses(&server, 0, "basic", BOTH, 1), [200]);
    // None is left of one of them, so nothing is taken of the other.
    assert_eq!(statuses(&server, 0, "basic", BOTH, 5), [429; 5]);
    let acme = "grant_type=client_credentials&scope=tenant:acme";
    assert_eq!(statuses(&server, 0, "defaulting", acme, 3), [200, 200, 429]);
    // A token for no tenant is none of theirs.
    assert_eq!(limits(&block_on(ask(&server, 0, "basic", GRANT))), [None; 3]);
}

#[test]
fn the_least_left_wins_and_the_policies_stay() {
    let quotas = Quotas::default().with_default(hourly(9)).with_tenant(tenant("bolt"), Quota::per_day(5).unwrap());
    let server = server(quotas.with_tenant(tenant("acme"), hourly(8)), MemoryCounters::default());
    let ask = |client, form| block_on(ask(&server, 0, client, form));
    let day = 10 * 3600 - 600;
    let policies = r#""client";q=9;w=3600, "tenant:acme";q=8;w=3600, "tenant:bolt";q=5;w=86400"#;
    let is_left = |answer: &Answer, policies: &str, left: &str| {
        assert_eq!(limits(answer)[..2], [Some(policies), Some(left)]);
    };
    // At first it is the tenant with the smallest quota, then the client, then the tenant again.
    is_left(&ask("basic", BOTH), policies, &format!("\"tenant:bolt\";r=4;t={day}"));
    for left in (2..=7).rev() {
        is_left(&ask("basic", GRANT), "\"client\";q=9;w=3600", &format!("\"client\";r={left};t=3000"));
    }
    is_left(&ask("basic", BOTH), policies, "\"client\";r=1;t=3000");
    let other = "grant_type=client_credentials&scope=tenant:bolt";
    for left in [2, 1] {
        let answer = ask("superuser", other);
        let policies = r#""client";q=9;w=3600, "tenant:bolt";q=5;w=86400"#;
        is_left(&answer, policies, &format!("\"tenant:bolt\";r={left};t={day}"));
    }
    // As much is left of two: the one that it lasts longer for.
    let granted = ask("basic", BOTH);
    assert_eq!(granted.status, 200);
    is_left(&granted, policies, &format!("\"tenant:bolt\";r=0;t={day}"));
    let refused = ask("basic", BOTH);
    assert_eq!(refused.status, 429);
    // Nothing is left of two: the one that lasts longer says when there is something again.
    is_left(&refused, policies, &format!("\"tenant:bolt\";r=0;t={day}"));
    assert_eq!(limits(&refused)[2], Some(&*day.to_string()));
}

#[test]
fn rfc9651_3_3_3_the_name_of_a_tenant_is_a_string_as_it_is() {
    let name = "!#$%&'()+,-.:;<=>?@[]^_`{|}~Az09";
    let quotas = Quotas::default().with_tenant(tenant(name), hourly(2));
    let store = MemoryStore::default();
    let secret = ClientSecretHash::generated(&ClientSecret::new(SECRET.into()), &RandomSource::default()).unwrap();
    let client = Client::builder("awkward").seacatauth_credentials(true).client_secret_hash(secret).tenant(name);
    store.insert_client(client.build().unwrap());
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let server = server.with_quotas(quotas, MemoryCounters::default());
    let asked = basic("awkward", SECRET, "grant_type=client_credentials&scope=tenant:*");
    let answer = Answer::of(&block_on(handle_token_request(&server, &asked.request_at(start()))));
    let [policies, left] = [format!("\"tenant:{name}\";q=2;w=3600"), format!("\"tenant:{name}\";r=1;t=3000")];
    assert_eq!(limits(&answer), [Some(&*policies), Some(&left), None]);

    let openapi: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
    for (header, value) in [("RateLimitPolicy", policies), ("RateLimit", left)] {
        let schema = &openapi["components"]["headers"][header]["schema"];
        assert!(jsonschema::is_valid(schema, &value.into()), "{header}");
        assert!(!jsonschema::is_valid(schema, &"\"tenant:a\"b\";q=1;w=1".into()));
    }
}

#[test]
fn a_list_of_policies_that_servers_in_front_would_not_take_is_left_out() {
    let names: Vec<_> = (0..100).map(|n| format!("{n:0>60}")).collect();
    let store = MemoryStore::default();
    let secret = ClientSecretHash::generated(&ClientSecret::new(SECRET.into()), &RandomSource::default()).unwrap();
    let client = Client::builder("wide").seacatauth_credentials(true).client_secret_hash(secret);
    let client = names.iter().fold(client, |client, name| client.tenant(name));
    store.insert_client(client.build().unwrap());
    let quotas = names.iter().fold(Quotas::default(), |quotas, name| quotas.with_tenant(tenant(name), hourly(9)));
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let server = server.with_quotas(quotas, MemoryCounters::default());
    let asked = basic("wide", SECRET, "grant_type=client_credentials&scope=tenant:*");
    let answer = Answer::of(&block_on(handle_token_request(&server, &asked.request_at(start()))));
    let left = format!("\"tenant:{}\";r=8;t=3000", names[0]);
    assert_eq!((answer.status, limits(&answer)), (200, [None, Some(&*left), None]));
}

#[test]
fn what_is_not_issued_is_given_back() {
    struct Failing;

    impl TokenIssuer for Failing {
        async fn issue(&self, _: &Claims) -> Result<AccessToken, BackendError> {
            Err(BackendError::new("down"))
        }
    }

    let (store, counters) = (store(), MemoryCounters::default());
    let quotas = Quotas::default().with_default(hourly(2)).with_tenant(tenant("acme"), hourly(2));
    let down = AuthorizationServer::new(store, Failing, Config::default());
    let down = down.with_quotas(quotas.clone(), counters.clone());
    for _ in 0..9 {
        let asked = basic("basic", SECRET, BOTH);
        assert_eq!(block_on(handle_token_request(&down, &asked.request_at(start()))).status(), 503);
    }
    assert_eq!(statuses(&server(quotas, counters), 0, "basic", BOTH, 3), [200, 200, 429]);
}

#[test]
fn where_quotas_only_monitor_the_audit_is_told_and_nobody_else() {
    let events = Events::default();
    let quotas = Quotas::default().with_default(hourly(3)).with_monitor_only(true).with_thresholds([50, 100]);
    let server = server(quotas, MemoryCounters::default()).with_audit_sink(events.clone());
    for _ in 0..5 {
        let granted = block_on(ask(&server, 0, "basic", GRANT));
        assert_eq!((granted.status, limits(&granted)), (200, [None; 3]));
    }
    let events = events.0.lock().unwrap();
    let told: Vec<_> = events.iter().map(|event| [&event["action"], &event["target"], &event["outcome"]]).collect();
    let expected = [
        ["cross_threshold", "client:basic 50%", "success"],
        ["cross_threshold", "client:basic 100%", "success"],
        ["exceed_quota", "client:basic 3/h", "success"],
        ["exceed_quota", "client:basic 3/h", "success"],
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_audit_is_told_of_thresholds_once_and_of_refusals() {
    let events = Events::default();
    let quotas = Quotas::default().with_tenant(tenant("acme"), hourly(10)).with_client(client("basic"), hourly(100));
    let server = server(quotas, MemoryCounters::default()).with_audit_sink(events.clone());
    for hour in 0..2 {
        assert_eq!(statuses(&server, hour * 3600, "basic", BOTH, 12)[9..], [200, 429, 429]);
    }
    let events = events.0.lock().unwrap();
    let told: Vec<_> = events.iter().map(|event| [&event["action"], &event["target"]]).collect();
    let hour = [
        ["cross_threshold", "tenant:acme 80%"],
        ["cross_threshold", "tenant:acme 100%"],
        ["exceed_quota", "tenant:acme 10/h"],
        ["exceed_quota", "tenant:acme 10/h"],
    ];
    assert_eq!(told, [hour, hour].concat());
    assert!(events.iter().all(|event| event["client_id"] == "basic"));
    assert_eq!(events[2]["cause"], "as many tokens as the quota of the tenant allows have been issued");
    assert_eq!(events[2]["outcome"], "refused");
}

#[test]
fn over_a_socket_too() {
    let quotas = Quotas::default().with_client(client("basic"), Quota::per_day(2).unwrap());
    let served = Served::start(server(quotas, MemoryCounters::default()));
    let asked = basic("basic", SECRET, GRANT);
    for left in ["1", "0"] {
        let granted = served.send(&asked);
        granted.granted(None);
        assert_eq!(granted.header("ratelimit-policy"), Some("\"client\";q=2;w=86400"));
        assert!(granted.header("ratelimit").unwrap().starts_with(&format!("\"client\";r={left};t=")));
    }
    let refused = served.send(&asked);
    refused.refused(429, "temporarily_unavailable");
    assert!((1..=86_400).contains(&refused.header("retry-after").unwrap().parse::<u32>().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_no_more_are_granted() {
    let quotas = Quotas::default().with_default(hourly(50)).with_tenant(tenant("bolt"), hourly(40));
    together(vec![Arc::new(server(quotas, MemoryCounters::default()))]).await;
}

/// Asks these for 200 tokens at once, of which there are 40.
async fn together(servers: Vec<Arc<Server>>) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let server = servers[n % servers.len()].clone();
        tasks.spawn(async move { ask(&server, 0, "basic", BOTH).await.status });
    }
    let answers = tasks.join_all().await;
    let granted = answers.iter().filter(|status| **status == 200).count();
    println!("of 200 at {} instances and a quota of 40, {granted} got a token", servers.len());
    assert_eq!((granted, answers.iter().filter(|status| **status == 429).count()), (40, 160));
    // What the refused ones took of the client's was given back.
    let answer = ask(&servers[0], 0, "basic", GRANT).await;
    assert_eq!(answer.header("ratelimit"), Some("\"client\";r=9;t=3000"));
}

#[cfg(all(unix, feature = "redis"))]
mod shared {
    use client_credentials::RedisStore;

    use super::*;
    use servers::Redis;

    async fn connected(redis: &Redis) -> Arc<Server> {
        let quotas = Quotas::default().with_default(hourly(50)).with_tenant(tenant("bolt"), hourly(40));
        let counters = RedisStore::connect(&redis.url()).await.unwrap().with_deadline(Duration::from_millis(500));
        Arc::new(server(quotas, counters))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn two_instances_have_one_quota_together() {
        let Some(redis) = Redis::start() else {
            return;
        };
        together(vec![connected(&redis).await, connected(&redis).await]).await;
    }

    #[tokio::test]
    async fn while_redis_is_down_no_token_that_is_counted_is_issued() {
        let Some(mut redis) = Redis::start() else {
            return;
        };
        let server = connected(&redis).await;
        assert_eq!(ask(&server, 0, "basic", GRANT).await.status, 200);
        redis.kill();
        ask(&server, 0, "basic", GRANT).await.refused(503, "temporarily_unavailable");
    }
}
