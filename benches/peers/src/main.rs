//! One request through this crate and through its peers, in the same run.
//!
//!     cargo run --release --manifest-path benches/peers/Cargo.toml
//!
//! The request is that of the bench `mint`: a client with a secret of 256 random bits in an `Authorization: Basic` header, and one
//! scope. A call goes from the bytes of the request to the bytes of the reply. Each peer is at its cheapest setting that keeps no secret
//! in clear: `oxide-auth` with a policy of one salted SHA-256, which is written here, in place of its Argon2, and tokens in its
//! `TokenMap`; `oauth-as` with its `sha256-hex` and tokens in its `MemoryStorage`. What a peer leaves to its host is in the
//! time where it cannot be done without (the form, for `oxide-auth`), and not in it where it can be done before (the request as a value of
//! `http`, for `oauth-as`). A peer that does not forget expired tokens by itself starts anew after 1,800, untimed, so that it
//! never carries more of them than this crate does.
//!
//! All are timed in turns. A row is the median of the rounds, over the floor of the same round: one SHA-256 of the secret, 32
//! bytes from the operating system and their base64url, and for ES256 a signature by `ring`. Each row is one line
//! `ratio: NAME/KIND VALUE` too, and so is, for a peer, how many times longer than this crate it takes, `ratio: NAME/KIND/ours VALUE`. The
//! run fails where that is less than 4 for opaque tokens, or less than 10 for ES256.

mod oauth_as;
mod ours;
mod oxide;

use std::{
    hint::black_box,
    pin::pin,
    process::ExitCode,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::*};
use client_credentials::{ClientSecret, RandomSource};
use rand::{TryRng as _, rngs::SysRng};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};

const ROUNDS: usize = 101;
const ROUND: Duration = Duration::from_millis(4);

/// Calls that are timed together, and whose requests are made before.
const BATCH: usize = 16;

/// Whose parts every contestant gets alike.
const CLIENT_ID: &str = "client-999";
const SCOPE: &str = "tenant:my-corporation";
const FORM: &str = "grant_type=client_credentials&scope=tenant:my-corporation";
const FORM_TYPE: &str = "application/x-www-form-urlencoded";
const CLIENTS: usize = 1000;

/// Tokens that a peer may carry before it starts anew; this crate carries as many.
const TOKENS: usize = 1800;

const OURS: &str = "client-credentials";

/// One way to answer the request: it makes as many requests as it is asked for, and says how long it took to answer them all.
type Contestant = Box<dyn FnMut(usize) -> Duration>;

struct Row {
    name: &'static str,
    kind: &'static str,
    contestant: Contestant,
    nanoseconds: Vec<f64>,
    over_floor: Vec<f64>,
    over_ours: Vec<f64>,
}

fn main() -> ExitCode {
    let secret = ClientSecret::generate(&RandomSource::default()).unwrap();
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{}", secret.expose())));
    let row = |name, kind, contestant| Row {
        name,
        kind,
        contestant,
        nanoseconds: Vec::new(),
        over_floor: Vec::new(),
        over_ours: Vec::new(),
    };
    // Of each kind, this crate comes first.
    let mut rows = [
        row(OURS, "opaque", ours::opaque(&secret, &authorization)),
        row("oauth-as", "opaque", oauth_as::opaque(&secret, &authorization)),
        row("oauth-as-without-http", "opaque", oauth_as::token_alone(&secret)),
        row("oxide-auth", "opaque", oxide::opaque(&secret, &authorization)),
        row("oxide-auth-signed", "opaque", oxide::signed(&secret, &authorization)),
        row(OURS, "ES256", ours::es256(&secret, &authorization)),
        row("oauth-as", "ES256", oauth_as::es256(&secret, &authorization)),
    ];
    let sign = signer();
    for _ in 0..ROUNDS {
        let floor = per_call(&mut |calls| timed(calls, || floor(&secret)));
        let signed = floor + per_call(&mut |calls| timed(calls, &sign));
        let mut ours = 0.0;
        for row in &mut rows {
            let took = per_call(&mut row.contestant);
            if row.name == OURS {
                ours = took;
            }
            row.nanoseconds.push(took * 1e9);
            row.over_floor.push(took / if row.kind == "ES256" { signed } else { floor });
            row.over_ours.push(took / ours);
        }
    }
    report(&mut rows)
}

/// The table, the lines, and whether the peers are as far away as they are said to be.
fn report(rows: &mut [Row]) -> ExitCode {
    println!("| | token | ns | over the floor | over this crate |\n| --- | --- | --- | --- | --- |");
    for row in &mut *rows {
        let [ns, floor, ours] =
            [&mut row.nanoseconds, &mut row.over_floor, &mut row.over_ours].map(|values| median(values));
        println!("| {} | {} | {ns:.0} | {floor:.2} | {ours:.1} |", row.name, row.kind);
    }
    let mut code = ExitCode::SUCCESS;
    for row in rows {
        let [floor, ours] = [&mut row.over_floor, &mut row.over_ours].map(|values| median(values));
        println!("ratio: {}/{} {floor:.2}", row.name, row.kind);
        if row.name == OURS {
            continue;
        }
        println!("ratio: {}/{}/ours {ours:.1}", row.name, row.kind);
        let least = if row.kind == "ES256" { 10.0 } else { 4.0 };
        // Shown for what it says, and no peer of a call that begins with bytes.
        let is_whole = row.name != "oauth-as-without-http";
        if is_whole && ours < least {
            println!("{} takes only {ours:.2} times as long for {}, and not {least}", row.name, row.kind);
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds for one call.
fn per_call(contestant: &mut dyn FnMut(usize) -> Duration) -> f64 {
    let (mut calls, mut took) = (0, Duration::ZERO);
    while took < ROUND {
        took += contestant(BATCH);
        calls += BATCH;
    }
    took.as_secs_f64() / calls as f64
}

/// How long it takes to do this so many times.
fn timed(calls: usize, mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    (0..calls).for_each(|_| call());
    start.elapsed()
}

/// The same, each time with one of these.
fn timed_with<I>(inputs: Vec<I>, call: impl FnMut(I)) -> Duration {
    let start = Instant::now();
    inputs.into_iter().for_each(call);
    start.elapsed()
}

/// What a mint cannot do without.
fn floor(secret: &ClientSecret) {
    black_box(digest(&SHA256, black_box(secret.expose().as_bytes())));
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).unwrap();
    black_box(BASE64_URL_SAFE_NO_PAD.encode(bytes));
}

/// A function that makes a signature of as many bytes as a JWT of this client has.
fn signer() -> impl Fn() {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
    move || {
        black_box(key.sign(&random, &[b'.'; 512]).unwrap());
    }
}

/// What nothing in memory makes one wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing in memory ever waits"),
    }
}

/// What is made anew once it has as many tokens as it may have.
struct Anew<T> {
    make: Box<dyn Fn() -> T>,
    made: T,
    calls: usize,
}

impl<T> Anew<T> {
    fn new(make: impl Fn() -> T + 'static) -> Self {
        Self { made: make(), make: Box::new(make), calls: 0 }
    }

    /// For so many more tokens.
    fn next(&mut self, calls: usize) -> &mut T {
        self.calls += calls;
        if self.calls > TOKENS {
            (self.made, self.calls) = ((self.make)(), calls);
        }
        &mut self.made
    }
}
