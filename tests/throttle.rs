//! Who fails too often has to wait, and nobody else.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect, and prints what is to be seen"
)]

mod common;
#[cfg(all(unix, feature = "redis"))]
#[path = "common/servers.rs"]
mod servers;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use client_credentials::{
    Admitted, AnyTokenIssuer, Attempt, AuthorizationServer, BackendError, Client, ClientStore, Config, CounterKey,
    CounterStore, FailureLimit, MemoryCounters, MemoryStore, OpaqueIssuer, Request, Source, Taken, Throttle,
    handle_introspection_request, handle_management_request, handle_revocation_request, handle_token_request,
    time::OffsetDateTime,
};
use common::{Answer, Asked, Events, SECRET, Server, basic, block_on, endpoints, post, request, serve, store, stores};

const GRANT: &str = "grant_type=client_credentials";

/// A time that is in the middle of no window, so that windows slide.
fn start() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_790_000_017).unwrap()
}

fn server(config: Config, throttle: Throttle) -> Server {
    let store = store();
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
    AuthorizationServer::new(stores(store), issuer, config).with_throttle(throttle)
}

/// Three failures of a client, and five from a source.
fn few() -> Config {
    Config::default().with_max_failures_per_client(3).with_max_failures_per_source(5)
}

/// Somebody at an address, at a time in seconds since the start.
#[derive(Clone, Copy)]
struct At<'a>(&'a Server, &'a str, f64);

impl At<'_> {
    fn request<'r>(&self, asked: &'r Asked) -> Request<'r> {
        let source: Option<IpAddr> = (!self.1.is_empty()).then(|| self.1.parse().unwrap());
        asked.request_at(start() + Duration::from_secs_f64(self.2)).source(source)
    }

    fn asks(&self, client_id: &str, secret: &str) -> Answer {
        let asked = basic(client_id, secret, GRANT);
        Answer::of(&block_on(handle_token_request(self.0, &self.request(&asked))))
    }

    #[track_caller]
    fn fails(&self, client_id: &str) {
        self.asks(client_id, "wrong").refused(401, "invalid_client");
    }

    #[track_caller]
    fn mints(&self, client_id: &str) {
        let answer = self.asks(client_id, SECRET);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// How long the one that asks, with the right secret or a wrong one, has to wait.
    #[track_caller]
    fn waits(&self, client_id: &str) -> u64 {
        let [right, wrong] = [SECRET, "wrong"].map(|secret| self.asks(client_id, secret));
        right.refused(429, "temporarily_unavailable");
        right.is_well_formed();
        assert_eq!((&right.headers, &right.raw), (&wrong.headers, &wrong.raw));
        right.header("retry-after").unwrap().parse().unwrap()
    }
}

#[test]
fn failures_of_a_client_are_counted_wherever_they_come_from() {
    let server = server(few(), Throttle::default());
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        At(&server, source, 0.0).fails("basic");
    }
    assert_eq!(At(&server, "192.0.2.4", 0.0).waits("basic"), 1);
    assert_eq!(At(&server, "", 0.9).waits("basic"), 1);
    At(&server, "192.0.2.4", 0.0).mints("post-basic");
    At(&server, "192.0.2.4", 1.0).mints("basic");
}

#[test]
fn failures_from_a_source_are_counted_whichever_client_they_name() {
    let server = server(few(), Throttle::default());
    for client in ["basic", "unknown", "another", "expired", "secretless"] {
        At(&server, "192.0.2.1", 0.0).fails(client);
    }
    assert_eq!(At(&server, "192.0.2.1", 0.5).waits("post-basic"), 1);
    At(&server, "192.0.2.2", 0.5).mints("post-basic");
    At(&server, "192.0.2.1", 1.0).mints("post-basic");
}

#[test]
fn a_source_is_a_64_of_ipv6_and_ipv4_looks_like_itself() {
    let server = server(few(), Throttle::default());
    for (n, source) in
        ["2001:db8::1", "2001:db8::2", "2001:db8::3:4:5:6", "2001:db8::7", "2001:db8::8"].iter().enumerate()
    {
        At(&server, source, 0.0).fails(&format!("unknown-{n}"));
    }
    assert_eq!(At(&server, "2001:db8::9", 0.0).waits("basic"), 1);
    At(&server, "2001:db8:0:1::1", 0.0).mints("basic");

    for n in 0..5 {
        At(&server, ["192.0.2.1", "::ffff:192.0.2.1"][n % 2], 0.0).fails(&format!("another-{n}"));
    }
    assert_eq!(At(&server, "192.0.2.1", 0.0).waits("basic"), 1);
    assert_eq!(At(&server, "::ffff:192.0.2.1", 0.0).waits("basic"), 1);
}

#[test]
fn each_failure_more_doubles_the_wait_up_to_the_maximum_and_quiet_windows_halve_it() {
    let server = server(few().with_max_retry_after(Duration::from_secs(60)).unwrap(), Throttle::default());
    let mut now = 0.0;
    let mut waits = Vec::new();
    let fail_and_wait = |now: &mut f64| {
        At(&server, "192.0.2.1", *now).fails("basic");
        let wait = At(&server, "192.0.2.1", *now).waits("basic");
        // Who asks again and again is told the same end.
        for n in 0..50 {
            let asked = *now + f64::from(n) * 0.01;
            assert!(At(&server, "192.0.2.1", asked).waits("basic") <= wait);
        }
        assert_eq!(At(&server, "192.0.2.1", *now + wait as f64 - 0.001).waits("basic"), 1);
        *now += wait as f64;
        wait
    };
    At(&server, "192.0.2.1", now).fails("basic");
    At(&server, "192.0.2.1", now).fails("basic");
    for _ in 0..8 {
        waits.push(fail_and_wait(&mut now));
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);

    // Three quiet windows, and the wait is what it was three failures ago.
    now += 3.0 * 60.0;
    assert_eq!(fail_and_wait(&mut now), 16);
    // Success does not make up for failures, and counts as none.
    At(&server, "192.0.2.2", now).mints("basic");
    assert_eq!(fail_and_wait(&mut now), 32);
    now += 3600.0;
    At(&server, "192.0.2.1", now).fails("basic");
    At(&server, "192.0.2.1", now).fails("basic");
    assert_eq!(fail_and_wait(&mut now), 2);
}

#[test]
fn the_window_slides() {
    let server = server(few(), Throttle::default());
    // The window of the clock ends 23 s after the start, and the next one 83 s after it.
    for second in [20.0, 21.0, 24.0] {
        At(&server, "192.0.2.1", second).fails("basic");
    }
    // Of the two before there counted 59/60, so these were not three.
    At(&server, "192.0.2.1", 24.0).fails("basic");
    assert_eq!(At(&server, "192.0.2.1", 24.0).waits("basic"), 2);
    for second in [22.0, 22.0, 80.0, 90.0, 90.0] {
        At(&server, "192.0.2.2", second).fails("another");
    }
    At(&server, "192.0.2.2", 90.0).fails("another");
    assert_eq!(At(&server, "192.0.2.2", 90.0).waits("another"), 2);
}

#[test]
fn who_has_the_right_secret_is_not_locked_out_by_who_guesses() {
    let server = server(few(), Throttle::default());
    At(&server, "192.0.2.1", 0.0).mints("basic");
    let mut refused = 0;
    for second in 0..1800 {
        // From three places ten times a second; the client comes in between.
        for n in 0..30 {
            let source = ["203.0.113.1", "203.0.113.2", "203.0.113.3"][n % 3];
            let answer = At(&server, source, f64::from(second) + n as f64 / 30.0).asks("basic", "wrong");
            refused += usize::from(answer.status == 429);
        }
        if second % 60 == 30 {
            At(&server, "192.0.2.1", f64::from(second) + 0.5).mints("basic");
        }
    }
    println!("of {} guesses within half an hour {} were verified", 1800 * 30, 1800 * 30 - refused);
    assert!(refused > 1800 * 30 - 200, "{refused}");
}

#[test]
fn who_comes_for_the_first_time_gets_a_turn_while_one_source_guesses() {
    let server = server(few(), Throttle::default());
    let (mut minted, mut now) = (None, 0.0);
    // The one that guesses is there first whenever it may, and the other one comes when it is told to.
    let mut next = 60.0;
    while minted.is_none() && now < 7200.0 {
        At(&server, "203.0.113.1", now).asks("basic", "wrong");
        if now >= next {
            let answer = At(&server, "192.0.2.1", now).asks("basic", SECRET);
            match answer.header("retry-after") {
                Some(wait) => next = now + wait.parse::<f64>().unwrap(),
                None => minted = Some(now),
            }
        }
        now += 0.25;
    }
    assert!(minted.is_some_and(|at| at < 600.0), "{minted:?}");
}

#[test]
fn a_good_pair_is_judged_by_its_own_failures() {
    let server = server(few(), Throttle::default());
    At(&server, "192.0.2.1", 0.0).mints("basic");
    for _ in 0..3 {
        At(&server, "203.0.113.1", 0.0).fails("basic");
    }
    // Its own are within the limit of three, and it gets a token; what it fails at is answered as all others are now.
    for _ in 0..3 {
        At(&server, "192.0.2.1", 0.1).mints("basic");
        assert_eq!(At(&server, "192.0.2.1", 0.1).asks("basic", "wrong").status, 429);
    }
    // From now on it waits as all others do.
    assert_eq!(At(&server, "192.0.2.1", 0.1).waits("basic"), 1);
    At(&server, "192.0.2.1", 1.1).mints("basic");
    // Another client of the source has nothing to do with it.
    At(&server, "192.0.2.1", 0.1).mints("post-basic");
}

#[test]
fn no_answer_tells_whether_there_is_such_a_client() {
    let config = || few().with_max_failures_per_source(7);
    let answers = |good: bool, client: &str| {
        let server = server(config(), Throttle::default());
        if good {
            At(&server, "192.0.2.1", 0.0).mints("basic");
        }
        let ask = |n: u32| At(&server, "192.0.2.1", f64::from(n) * 0.7).asks(client, "wrong");
        (0..400).map(ask).map(|answer| (answer.status, answer.headers, answer.raw)).collect::<Vec<_>>()
    };
    let known = answers(false, "basic");
    assert!(known.iter().any(|(status, ..)| *status == 429));
    for client in ["unknown", "secretless", "expired", "post"] {
        assert!(answers(false, client) == known, "{client}");
        assert!(answers(true, client) == known, "{client}");
    }
    // Not even beside the client itself: what a good pair fails at counts and is refused as all else is.
    assert!(answers(true, "basic") == known);
}

#[test]
fn every_endpoint_that_authenticates_clients_counts_and_refuses() {
    let server = server(few(), Throttle::default());
    let asked = post(format!("token=a&client_id=basic&client_secret=wrong&{GRANT}"));
    let at = At(&server, "192.0.2.1", 0.0);
    let [minted, told, revoked] = [0; 3].map(|_| asked.clone());
    Answer::of(&block_on(handle_token_request(&server, &at.request(&minted)))).refused(401, "invalid_client");
    Answer::of(&block_on(handle_introspection_request(&server, &at.request(&told)))).refused(401, "invalid_client");
    Answer::of(&block_on(handle_revocation_request(&server, &at.request(&revoked)))).refused(401, "invalid_client");
    let answers = [
        Answer::of(&block_on(handle_token_request(&server, &at.request(&minted)))),
        Answer::of(&block_on(handle_introspection_request(&server, &at.request(&told)))),
        Answer::of(&block_on(handle_revocation_request(&server, &at.request(&revoked)))),
    ];
    for answer in answers {
        answer.refused(429, "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    // What is refused for anything else is no guess.
    for _ in 0..20 {
        At(&server, "192.0.2.9", 0.0).asks("disabled", SECRET).refused(400, "unauthorized_client");
    }
}

#[test]
fn what_nobody_can_authenticate_with_is_counted_by_its_source() {
    let malformed = || post(GRANT).header("Authorization", "Basic !");
    for (asked, status, error) in [
        (post(GRANT), 401, "invalid_client"),
        (malformed(), 400, "invalid_request"),
        (post(format!("{GRANT}&client_id=basic&client_id=basic")), 400, "invalid_request"),
        (post("client_id=%"), 400, "invalid_request"),
    ] {
        let events = Events::default();
        let server = server(few(), Throttle::default()).with_audit_sink(events.clone());
        At(&server, "192.0.2.1", 0.0).mints("post-basic");
        let ask = |source: &str, at: f64| {
            Answer::of(&block_on(handle_token_request(&server, &At(&server, source, at).request(&asked))))
        };
        for _ in 0..5 {
            ask("192.0.2.1", 0.0).refused(status, error);
        }
        for n in 0..50 {
            let refused = ask("192.0.2.1", f64::from(n) / 100.0);
            refused.refused(429, "temporarily_unavailable");
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        // Five of them, and the wait that the last one began.
        let told: Vec<_> = events.0.lock().unwrap().iter().map(|event| event["action"].clone()).collect();
        assert_eq!(told, [["request_token"; 4].as_slice(), &["throttle", "request_token"]].concat());
        // Whoever has the right secret there is known by it, and others are elsewhere.
        At(&server, "192.0.2.1", 0.5).mints("post-basic");
        assert_eq!(At(&server, "192.0.2.1", 0.5).waits("basic"), 1);
        At(&server, "192.0.2.2", 0.5).mints("basic");
        ask("192.0.2.1", 1.0).refused(status, error);
        // Where the host names no source, nothing tells them apart.
        for _ in 0..50 {
            ask("", 1.0).refused(status, error);
        }
    }
}

#[test]
fn who_has_the_right_secret_and_asks_for_something_wrong_has_not_failed() {
    for (form, error) in [
        ("", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
        ("grant_type=client_credentials&scope=%22", "invalid_scope"),
        ("grant_type=client_credentials&resource=api", "invalid_target"),
    ] {
        let (server, events) = (server(few(), Throttle::default()), Events::default());
        let server = server.with_audit_sink(events.clone());
        let ask = |secret: &str| {
            let asked = basic("basic", secret, form);
            Answer::of(&block_on(handle_token_request(&server, &At(&server, "192.0.2.1", 0.0).request(&asked))))
        };
        for _ in 0..50 {
            ask(SECRET).refused(400, error);
        }
        At(&server, "192.0.2.1", 0.0).mints("post-basic");
        assert_eq!(events.0.lock().unwrap()[0]["client_id"], "basic", "{form}");
        // A guess is one whatever it asks for, also where the client comes from.
        for _ in 0..3 {
            ask("wrong").refused(401, "invalid_client");
        }
        ask("wrong").refused(429, "temporarily_unavailable");
    }
}

#[test]
fn at_the_other_endpoints_too() {
    let server = server(few(), Throttle::default());
    let at = At(&server, "192.0.2.1", 0.0);
    let (anonymous, malformed) = (post("token=a"), post("token=a").header("Authorization", "Basic !"));
    let bearer = post("token=%").header("Authorization", "Bearer abc");
    let introspect = |asked: &Asked| Answer::of(&block_on(handle_introspection_request(&server, &at.request(asked))));
    let revoke = |asked: &Asked| Answer::of(&block_on(handle_revocation_request(&server, &at.request(asked))));
    introspect(&anonymous).refused(401, "invalid_client");
    introspect(&malformed).refused(400, "invalid_request");
    introspect(&bearer).refused(400, "invalid_request");
    revoke(&anonymous).refused(401, "invalid_client");
    revoke(&malformed).refused(400, "invalid_request");
    for answer in [introspect(&anonymous), revoke(&malformed), introspect(&bearer)] {
        answer.refused(429, "temporarily_unavailable");
    }
}

#[test]
fn at_the_management_endpoint_too() {
    let twice = request("GET", "/client").bearer("a").bearer("b");
    for (asked, status) in [(request("GET", "/client"), 401), (twice, 400), (request("GET", "/nothing"), 404)] {
        let events = Events::default();
        let server = server(few(), Throttle::default()).with_audit_sink(events.clone());
        let at = At(&server, "192.0.2.1", 0.0);
        let ask = |asked: &Asked| Answer::of(&block_on(handle_management_request(&server, &at.request(asked))));
        for _ in 0..5 {
            assert_eq!(ask(&asked).status, status);
        }
        for _ in 0..50 {
            let refused = ask(&asked);
            refused.refused(429, "temporarily_unavailable");
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        // A token that somebody presents is looked at all the same.
        ask(&request("GET", "/client").bearer("a")).refused(401, "invalid_token");
        let told: Vec<_> = events.0.lock().unwrap().iter().map(|event| event["action"].clone()).collect();
        assert_eq!(told, [["manage"; 4].as_slice(), &["throttle", "manage", "manage"]].concat());
    }
}

#[test]
fn nothing_is_counted_where_the_limit_is_zero() {
    let config = || few().with_max_failures_per_client(0);
    let some = server(config(), Throttle::default());
    for n in 0..100 {
        At(&some, &format!("192.0.2.{n}"), 0.0).fails("basic");
    }
    for _ in 0..4 {
        At(&some, "192.0.2.1", 0.0).fails("basic");
    }
    At(&some, "192.0.2.1", 0.0).waits("basic");
    let none = server(config().with_max_failures_per_source(0), Throttle::default());
    for _ in 0..1000 {
        At(&none, "192.0.2.1", 0.0).fails("basic");
    }
}

/// A store that takes its time, counts how often it is asked, and fails where it is told to.
struct Slow(MemoryStore, Arc<AtomicUsize>);

impl ClientStore for Slow {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        if client_id == "failing" { Err(BackendError::new("down")) } else { self.0.find_client(client_id).await }
    }
}

fn slow() -> (AuthorizationServer<Slow, OpaqueIssuer<MemoryStore>>, Arc<AtomicUsize>) {
    let (store, asked) = (store(), Arc::new(AtomicUsize::new(0)));
    let server = AuthorizationServer::new(Slow(store.clone(), asked.clone()), OpaqueIssuer::new(store), few());
    (server.with_throttle(Throttle::default()), asked)
}

fn guess(client_id: &str, secret: &str) -> Asked {
    basic(client_id, secret, GRANT)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_guesses_at_once_as_many_are_verified_as_one_after_the_other() {
    let (server, asked) = slow();
    let server = Arc::new(server);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..1000_u32 {
        let server = server.clone();
        tasks.spawn(async move {
            let asked = guess("basic", "wrong");
            let source = IpAddr::from(Ipv4Addr::from(n / 2));
            handle_token_request(&server, &asked.request_at(start()).source(source)).await.status()
        });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 3);
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 997);
    assert_eq!(asked.load(Ordering::Relaxed), 3, "nothing is looked up for those who have to wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_of_a_good_pair_at_once_are_all_served() {
    let (server, _) = slow();
    let (server, source) = (Arc::new(server), IpAddr::from([192, 0, 2, 1]));
    let mint = async |server: &AuthorizationServer<_, _>| {
        handle_token_request(server, &guess("basic", SECRET).request_at(start()).source(source)).await.status()
    };
    assert_eq!(mint(&server).await, 200);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let server = server.clone();
        tasks.spawn(async move {
            handle_token_request(&server, &guess("basic", SECRET).request_at(start()).source(source)).await.status()
        });
    }
    assert!(tasks.join_all().await.into_iter().all(|status| status == 200));
    // Those who hang up take no place for good.
    for _ in 0..100 {
        let hung_up = tokio::time::timeout(Duration::from_millis(1), mint(&server)).await;
        assert!(hung_up.is_err());
    }
    assert_eq!(mint(&server).await, 200);
}

#[test]
fn a_client_that_comes_from_everywhere_does_not_have_others_forgotten() {
    let server = server(few(), Throttle::with_capacity(1024));
    At(&server, "192.0.2.1", 0.0).mints("post-basic");
    for n in 0..20_000_u32 {
        At(&server, &format!("2001:db8:{:x}:{:x}::1", n >> 16, n & 0xFFFF), 1.0).mints("basic");
    }
    for client in ["post-basic", "basic"] {
        for n in 0..3 {
            At(&server, &format!("203.0.113.{n}"), 2.0).fails(client);
        }
    }
    At(&server, "192.0.2.1", 2.0).mints("post-basic");
    // It is known where it came from last, and forgotten where it came from at first.
    At(&server, "2001:db8:0:4e1f::1", 2.0).mints("basic");
    At(&server, "2001:db8::1", 2.0).waits("basic");
}

#[tokio::test]
async fn of_a_good_pair_no_more_are_under_way_however_many_hang_up() {
    let (server, asked) = slow();
    let (server, source) = (Arc::new(server), IpAddr::from([192, 0, 2, 1]));
    let ask = async |server: &AuthorizationServer<_, _>, secret: &str| {
        handle_token_request(server, &guess("basic", secret).request_at(start()).source(source)).await.status()
    };
    assert_eq!(ask(&server, SECRET).await, 200);
    for round in 0..10 {
        asked.store(0, Ordering::Relaxed);
        let mut guesses = tokio::task::JoinSet::new();
        for _ in 0..60 {
            let server = server.clone();
            guesses.spawn(async move {
                handle_token_request(&server, &guess("basic", "wrong").request_at(start()).source(source)).await;
            });
        }
        // On one thread: each of them comes as far as to the store.
        tokio::task::yield_now().await;
        guesses.shutdown().await;
        // Beside these at first the three that anybody has, and then none.
        assert_eq!(asked.load(Ordering::Relaxed), if round == 0 { 27 } else { 24 });
    }
    assert_eq!(ask(&server, SECRET).await, 200);
}

/// Counters that do not answer once they are told not to.
struct Stuck(MemoryCounters, Arc<AtomicBool>);

impl CounterStore for Stuck {
    async fn attempt(
        &self,
        key: CounterKey<'_>,
        limit: &FailureLimit,
        now: OffsetDateTime,
    ) -> Result<Attempt, BackendError> {
        if self.1.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.0.attempt(key, limit, now).await
    }

    async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) -> Result<(), BackendError> {
        self.0.forgive(key, admitted).await
    }

    async fn take(
        &self,
        key: CounterKey<'_>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Result<Taken, BackendError> {
        self.0.take(key, most, now, ends_at).await
    }

    async fn give_back(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> Result<(), BackendError> {
        self.0.give_back(key, ends_at).await
    }
}

#[tokio::test]
async fn who_hangs_up_once_a_guess_of_a_good_pair_was_wrong_has_failed() {
    let (server, asked) = slow();
    let is_stuck = Arc::new(AtomicBool::new(false));
    let throttle = Throttle::with_counters(Stuck(MemoryCounters::default(), is_stuck.clone()));
    let server = server.with_throttle(throttle);
    let ask = async |secret: &str| {
        let asked = guess("basic", secret);
        let asked = asked.request_at(start()).source(IpAddr::from([192, 0, 2, 1]));
        tokio::time::timeout(Duration::from_millis(100), handle_token_request(&server, &asked)).await
    };
    assert_eq!(ask(SECRET).await.unwrap().status(), 200);
    is_stuck.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        // Hung up while it is counted where all count theirs, or before it is looked up.
        assert!(ask("wrong").await.is_err());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1 + 3);
}

#[tokio::test]
async fn what_a_store_fails_in_is_no_guess_and_who_hangs_up_has_made_one() {
    let (server, _) = slow();
    let at = |asked: &Asked, secret: &str| {
        let (asked, secret) = (asked.clone(), secret.to_owned());
        let server = &server;
        async move {
            let _ = secret;
            handle_token_request(server, &asked.request_at(start()).source(IpAddr::from([192, 0, 2, 1]))).await.status()
        }
    };
    for _ in 0..8 {
        assert_eq!(at(&guess("failing", "x"), "x").await, 503);
    }
    for _ in 0..3 {
        let guess = guess("basic", "wrong");
        assert!(tokio::time::timeout(Duration::from_millis(1), at(&guess, "x")).await.is_err());
    }
    assert_eq!(at(&guess("basic", SECRET), "x").await, 429);
}

#[test]
fn the_audit_is_told_of_each_wait_once() {
    let events = Events::default();
    let server = server(few(), Throttle::default()).with_audit_sink(events.clone());
    for client in ["basic", "unknown"] {
        for n in 0..3 {
            At(&server, &format!("192.0.2.{n}"), 0.0).fails(client);
        }
        for n in 0..100 {
            At(&server, "192.0.2.9", f64::from(n) / 200.0).waits(client);
        }
    }
    for n in 0..5 {
        At(&server, "2001:db8::1", 0.0).fails(&format!("invented-{n}"));
    }
    At(&server, "2001:db8::1", 0.0).waits("basic");
    let events = events.0.lock().unwrap();
    let throttled: Vec<_> = events.iter().filter(|event| event["action"] == "throttle").collect();
    assert_eq!(events.len(), 11 + 3, "{events:?}");
    assert_eq!(throttled.len(), 3);
    assert_eq!(throttled[0]["client_id"], "basic");
    assert_eq!(throttled[0]["cause"], "too many authentications as this client have failed");
    assert_eq!(throttled[0]["outcome"], "refused");
    assert!(throttled[1].get("client_id").is_none(), "it may be a secret in the wrong place");
    assert_eq!(throttled[2]["target"], "2001:db8::/64");
    assert_eq!(throttled[2]["cause"], "too many requests from this source have authenticated nobody");
}

#[test]
fn a_flood_of_invented_clients_does_not_end_a_wait() {
    // The bench `flood` does the same with a million.
    let server = server(few(), Throttle::with_capacity(1024));
    for n in 0..7 {
        let at = At(&server, "203.0.113.1", f64::from(n) * 2.1);
        at.asks("basic", "wrong");
    }
    let wait = At(&server, "203.0.113.9", 14.0).waits("basic");
    At(&server, "192.0.2.1", 0.0).mints("post-basic");
    for n in 0..20_000_u32 {
        let source = Ipv4Addr::from(0x0a00_0000 + n).to_string();
        At(&server, &source, 14.0).fails(&format!("invented-{n}"));
    }
    assert_eq!(At(&server, "203.0.113.9", 14.0).waits("basic"), wait);
    for n in 0..3 {
        At(&server, &format!("203.0.113.{n}"), 14.0).fails("post-basic");
    }
    At(&server, "203.0.113.9", 14.0).waits("post-basic");
    At(&server, "192.0.2.1", 14.0).mints("post-basic");
}

#[test]
fn over_a_socket_the_host_names_the_source() {
    use client_credentials::AuthorizationService;

    let server = Arc::new(server(few(), Throttle::default()));
    let service = AuthorizationService::new(server, endpoints());
    let named = async |mut request: axum::extract::Request, next: axum::middleware::Next| {
        // A test's own way to come from elsewhere.
        let from = request.headers().get("test-source").map(|from| from.to_str().unwrap().parse().unwrap());
        request.extensions_mut().insert(Source(from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))));
        next.run(request).await
    };
    let app = axum::Router::new().fallback_service(service).layer(axum::middleware::from_fn(named));
    let address = serve(app);
    let send = |secret: &str, from: &str| {
        let answer = basic("basic", secret, GRANT).header("Test-Source", from).send(address, "/token");
        answer.is_well_formed();
        answer
    };
    send(SECRET, "192.0.2.1").granted(None);
    for _ in 0..3 {
        send("wrong", "203.0.113.1").refused(401, "invalid_client");
    }
    let refused = send(SECRET, "203.0.113.1");
    refused.refused(429, "temporarily_unavailable");
    assert!(matches!(refused.header("retry-after"), Some("1" | "2")), "{refused:?}");
    send(SECRET, "192.0.2.1").granted(None);
}

#[cfg(all(unix, feature = "redis"))]
mod shared {
    use client_credentials::RedisStore;

    use super::*;
    use servers::Redis;

    async fn connected(redis: &Redis) -> Server {
        let counters = RedisStore::connect(&redis.url()).await.unwrap();
        let counters = counters.with_deadline(Duration::from_millis(500));
        server(Config::default(), Throttle::with_counters(counters))
    }

    async fn ask(server: &Server, source: [u8; 4], at: f64, client_id: &str, secret: &str) -> Answer {
        let asked = guess(client_id, secret);
        let request = asked.request_at(start() + Duration::from_secs_f64(at)).source(IpAddr::from(source));
        Answer::of(&handle_token_request(server, &request).await)
    }

    #[tokio::test]
    async fn two_instances_hold_one_limit_together() {
        let Some(redis) = Redis::start() else {
            return;
        };
        let servers = [connected(&redis).await, connected(&redis).await];
        let mut verified = [0, 0];
        for n in 0..60_u8 {
            let at = usize::from(n % 2);
            let answer = ask(&servers[at], [203, 0, 113, n], 0.0, "basic", "wrong").await;
            verified[at] += usize::from(answer.status == 401);
        }
        println!(
            "of 60 guesses within a limit of 20, the one instance verified {} and the other {}",
            verified[0], verified[1]
        );
        assert_eq!(verified, [10, 10]);
        for server in &servers {
            let refused = ask(server, [192, 0, 2, 1], 0.5, "basic", SECRET).await;
            refused.refused(429, "temporarily_unavailable");
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        // The next one may be at either of them.
        assert_eq!(ask(&servers[0], [203, 0, 113, 1], 1.0, "basic", "wrong").await.status, 401);
        assert_eq!(ask(&servers[1], [192, 0, 2, 1], 1.0, "basic", SECRET).await.header("retry-after"), Some("2"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn guesses_at_once_at_two_instances_are_no_more() {
        let Some(redis) = Redis::start() else {
            return;
        };
        let servers = [Arc::new(connected(&redis).await), Arc::new(connected(&redis).await)];
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..200_u8 {
            let server = servers[usize::from(n % 2)].clone();
            tasks.spawn(async move { ask(&server, [203, 0, 113, n], 0.0, "basic", "wrong").await.status });
        }
        let verified = tasks.join_all().await.into_iter().filter(|status| *status == 401).count();
        println!("of 200 guesses at once at two instances {verified} were verified");
        assert_eq!(verified, 20);
    }

    #[tokio::test]
    async fn while_redis_is_down_good_pairs_go_on() {
        let Some(mut redis) = Redis::start() else {
            return;
        };
        let server = connected(&redis).await;
        assert_eq!(ask(&server, [192, 0, 2, 1], 0.0, "basic", SECRET).await.status, 200);
        redis.kill();
        let down = ask(&server, [192, 0, 2, 2], 1.0, "basic", SECRET).await;
        down.refused(503, "temporarily_unavailable");
        assert_eq!(ask(&server, [192, 0, 2, 1], 1.0, "basic", SECRET).await.status, 200);
        assert_eq!(ask(&server, [192, 0, 2, 1], 1.0, "basic", "wrong").await.status, 401);
        // What nobody can authenticate with is refused for that all the same.
        let anonymous = post(GRANT);
        let request = anonymous.request_at(start()).source(IpAddr::from([192, 0, 2, 1]));
        Answer::of(&handle_token_request(&server, &request).await).refused(401, "invalid_client");
        redis.restart();
        let started = std::time::Instant::now();
        while ask(&server, [192, 0, 2, 2], 1.0, "basic", SECRET).await.status != 200 {
            assert!(started.elapsed() < Duration::from_secs(30));
        }
    }
}
