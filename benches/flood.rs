//! What a flood of guesses takes, and what the throttle costs a client that has the right secret.
//!
//!     cargo bench --bench flood
//!
//! A million invented client identifiers, each from a source of its own, go through `handle_token_request`. It prints
//! what the process has in memory before and after (on Linux), and what is left of the wait of a client at which somebody
//! guessed before. Then a mint with the throttle and one without are timed in turns, as in the bench `mint`, one line
//! `ratio: NAME VALUE` for each: a client that has authenticated from its source lately, and a failed attempt, each
//! beside what it is without.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at what it did not expect"
)]

use std::{
    cell::Cell,
    fs,
    hint::black_box,
    net::{IpAddr, Ipv6Addr},
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::*};
use client_credentials::{
    AuthorizationServer, Client, ClientSecret, ClientSecretHash, Config, MemoryCounters, MemoryStore, OpaqueIssuer,
    Quota, Quotas, RandomSource, Reply, Request, Throttle, handle_token_request, now, time::OffsetDateTime,
};

const ROUNDS: usize = 101;
const ROUND: Duration = Duration::from_millis(4);

type Server = AuthorizationServer<MemoryStore, OpaqueIssuer<MemoryStore>>;

fn main() {
    let secret = ClientSecret::generate(&RandomSource::default()).unwrap();
    flood(&secret);
    let throttled = |server: Server| server.with_throttle(Throttle::default());
    let limited = |server: Server| {
        let quotas = Quotas::default().with_default(Quota::per_hour(1_000_000_000).unwrap());
        server.with_quotas(quotas, MemoryCounters::default())
    };
    let (right, wrong) = (secret.expose(), "wrong");
    compare("throttled mint", asker(throttled(server(&secret)), right, 200), asker(server(&secret), right, 200));
    compare("throttled failure", asker(throttled(server(&secret)), wrong, 401), asker(server(&secret), wrong, 401));
    compare("mint with a quota", asker(limited(server(&secret)), right, 200), asker(server(&secret), right, 200));
}

fn flood(secret: &ClientSecret) {
    const INVENTED: u32 = 1_000_000;
    let config = Config::default();
    let server = server_of(secret, config).with_throttle(Throttle::default());
    let (start, empty) = (now(), resident());
    let known = |secret: &str, source: [u8; 4]| ask(&server, "client-999", secret, source.into(), start);
    assert_eq!(known(secret.expose(), [192, 0, 2, 1]).status(), 200);
    for n in 0..20 {
        assert_eq!(known("wrong", [203, 0, 113, n]).status(), 401);
    }
    let wait = retry_after(&known(secret.expose(), [203, 0, 113, 99]));
    println!("nothing tried yet: {empty}");
    println!("before: {}, and a client at which somebody guessed waits {wait} s", resident());

    let began = Instant::now();
    for n in 0..INVENTED {
        let source = IpAddr::from(Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(n) << 64)));
        let reply = ask(&server, &format!("invented-{n}"), "wrong", source, start);
        assert_eq!(reply.status(), 401);
    }
    let each = began.elapsed() / INVENTED;
    println!("after:  {}, {INVENTED} invented clients later, at {} ns each", resident(), each.as_nanos());
    let left = retry_after(&known(secret.expose(), [203, 0, 113, 99]));
    assert_eq!(left, wait);
    println!("the client at which somebody guessed still waits {left} s, and gets a token where it was known before");
    assert_eq!(known(secret.expose(), [192, 0, 2, 1]).status(), 200);
}

/// What of the process is in memory.
fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("?");
    format!("VmRSS {}", resident.trim())
}

fn retry_after(reply: &Reply) -> u64 {
    assert_eq!(reply.status(), 429);
    reply.headers().find(|(name, _)| *name == "Retry-After").unwrap().1.parse().unwrap()
}

fn ask(server: &Server, client_id: &str, secret: &str, source: IpAddr, at: OffsetDateTime) -> Reply {
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{client_id}:{secret}")));
    let request = Request::new("POST", at)
        .header("Authorization", authorization.as_bytes())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .source(source)
        .body(b"grant_type=client_credentials");
    at_once(handle_token_request(server, &request))
}

/// A server whose limits are out of reach, so that each attempt is verified.
fn server(secret: &ClientSecret) -> Server {
    let config = Config::default().with_max_failures_per_client(u32::MAX).with_max_failures_per_source(u32::MAX);
    server_of(secret, config)
}

/// A thousand clients.
fn server_of(secret: &ClientSecret, config: Config) -> Server {
    let store = MemoryStore::default();
    for n in 0..1000 {
        let hash = ClientSecretHash::generated(secret, &RandomSource::default()).unwrap();
        let client = Client::builder(&format!("client-{n}")).client_secret_hash(hash).seacatauth_credentials(true);
        store.insert_client(client.tenant("my-corporation").build().unwrap());
    }
    AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), config)
}

/// A function that asks for a token ten times a second, from one source.
fn asker(server: Server, secret: &str, status: u16) -> impl Fn() {
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("client-999:{secret}")));
    let clock = Cell::new(now());
    move || {
        clock.set(clock.get() + Duration::from_millis(100));
        let request = Request::new("POST", clock.get())
            .header("Authorization", authorization.as_bytes())
            .header("Content-Type", b"application/x-www-form-urlencoded")
            .source(IpAddr::from([192, 0, 2, 1]))
            .body(b"grant_type=client_credentials&scope=tenant:my-corporation");
        let reply = at_once(handle_token_request(&server, black_box(&request)));
        assert_eq!(reply.status(), status);
        black_box(reply.into_body());
    }
}

/// What nothing in memory makes one wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing in memory ever waits"),
    }
}

fn compare(name: &str, with: impl Fn(), without: impl Fn()) {
    let rounds = || (per_call(&with), per_call(&without));
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| rounds()).map(|(with, without)| (with / without, with)).collect();
    rounds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let (ratio, with) = rounds[ROUNDS / 2];
    println!("ratio: {name} {ratio:.2} ({:.0} ns)", with * 1e9);
}

fn per_call(call: impl Fn()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0.0);
    loop {
        for _ in 0..8 {
            call();
        }
        calls += 8.0;
        let elapsed = start.elapsed();
        if elapsed >= ROUND {
            return elapsed.as_secs_f64() / calls;
        }
    }
}
