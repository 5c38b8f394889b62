//! Whether the time of an answer tells a known client from an unknown one.
//!
//!     cargo bench --bench equal_answers --features argon2,bcrypt,scrypt [-- COUNT]
//!
//! For each kind of hash, a wrong secret for a known client and one for an unknown client go through `handle_token_request`,
//! 1,000 times each unless said, in one random order. The unknown one is compared with a hash as costly as the known one's,
//! as `unknown_client_secret_hash` is for. The hashes cost less than in use, a millisecond or less, so that whatever else is
//! done for a client weighs more, and that other processes seldom come between: PBKDF2 with 3,000 rounds, argon2id with 1 MiB and one
//! pass, bcrypt with cost 4, scrypt with N = 512.
//!
//! A line for each kind: both medians, the ratio of the medians with its 99 % confidence interval (bootstrap, 2,000
//! resamplings), and the p-value of a Mann-Whitney test beside how often a known client's answer is the later one
//! of two, for the reader. The verdict is the interval's: where it lies between 1/1.05 and 1.05, there is no difference of 5 %;
//! else the run fails. Where it lies across one of them, as on a machine that does much else, as many answers again are
//! taken to it, ten times at most; on a quiet one the run takes less than a minute, on a busy one five. `benches/equal_answers_without_decoy` shows that it would.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at what it did not expect"
)]

use std::{
    env,
    hint::black_box,
    pin::pin,
    process::ExitCode,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use base64::{Engine as _, prelude::*};
use client_credentials::{
    AuthorizationServer, Client, ClientSecret, ClientSecretHash, Config, MemoryStore, OpaqueIssuer, RandomSource,
    Request, handle_token_request, now,
};
use rand::{
    RngExt as _, SeedableRng as _,
    rngs::{StdRng, SysRng},
    seq::SliceRandom as _,
};

/// A ratio of this much, or one over it, is a difference.
const DIFFERENCE: f64 = 1.05;

/// How often answers are taken at most.
const ROUNDS: usize = 10;

/// Whose secrets do not matter: nobody presents them.
const HASHES: [(&str, &str); 5] = [
    ("generated", "$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM"),
    ("PBKDF2", "$pbkdf2-sha256$i=3000$c2FsdHNhbHRzYWx0c2FsdA$cyZN4ANfKuJAgXTsFa+W/Kgxh1/J0dC5gSFrmxM5bko"),
    ("argon2id", "$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$Q+eCN23dqoNVG3NhyrHPmArL+rDdVcNafOCgJwEsLgM"),
    ("bcrypt", "$2b$04$abcdefghijklmnopqrstuufBGtQ3ATU/TVMLVq5GySo2fYT8ZbOVW"),
    ("scrypt", "$scrypt$ln=9,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$T9GUH2SE95v31sZwarawBJbwqIaI1d8x0GT6pP53H6c"),
];

fn main() -> ExitCode {
    let count = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1000);
    let mut random = StdRng::try_from_rng(&mut SysRng).unwrap();
    println!("| hash | answers | known | unknown | ratio | 99 % interval | later | p | |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut distinguishable = false;
    for (name, hash) in HASHES {
        let [mut known, mut unknown] = [Vec::new(), Vec::new()];
        let (mut low, mut high) = (0.0, f64::INFINITY);
        for _ in 0..ROUNDS {
            let more = measure(hash.parse().unwrap(), count, &mut random);
            known.extend(&more[0]);
            unknown.extend(&more[1]);
            [low, high] = interval(&known, &unknown, &mut random);
            if [1.0 / DIFFERENCE, DIFFERENCE].iter().all(|border| *border <= low || high <= *border) {
                break;
            }
        }
        let (later, p) = mann_whitney(&known, &unknown);
        let differs = low < 1.0 / DIFFERENCE || high > DIFFERENCE;
        distinguishable |= differs;
        println!(
            "| {name} | {} | {:.1} µs | {:.1} µs | {:.3} | {low:.3} to {high:.3} | {:.1} % | {p:.3} | {} |",
            known.len(),
            median(&known) * 1e6,
            median(&unknown) * 1e6,
            median(&known) / median(&unknown),
            later * 100.0,
            if differs { "DISTINGUISHABLE" } else { "equal" },
        );
    }
    ExitCode::from(u8::from(distinguishable))
}

/// The seconds that each answer took, for the known client and for the unknown one.
fn measure(hash: ClientSecretHash, count: usize, random: &mut StdRng) -> [Vec<f64>; 2] {
    let store = MemoryStore::default();
    for n in 0..1000 {
        let client = Client::builder(&format!("client-{n:04}")).client_secret_hash(hash.clone());
        store.insert_client(client.seacatauth_credentials(true).build().unwrap());
    }
    let config = Config::default().with_unknown_client_secret_hash(hash);
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), config);

    let ids = ["client-0500", "client-5000"];
    let mut order: Vec<usize> = (0..2 * count).map(|n| n % 2).collect();
    order.shuffle(random);
    // What comes first warms up.
    let warm_up: Vec<usize> = (0..count.min(100)).map(|_| random.random_range(0..2)).collect();
    let mut seconds = [Vec::new(), Vec::new()];
    for (n, &which) in warm_up.iter().chain(&order).enumerate() {
        let secret = ClientSecret::generate(&RandomSource::default()).unwrap();
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", ids[which], secret.expose())));
        let request = Request::new("POST", now())
            .header("Authorization", authorization.as_bytes())
            .header("Content-Type", b"application/x-www-form-urlencoded")
            .body(b"grant_type=client_credentials");
        let start = Instant::now();
        let reply = black_box(wait(handle_token_request(&server, black_box(&request))));
        let elapsed = start.elapsed().as_secs_f64();
        assert_eq!(reply.status(), 401);
        if n >= warm_up.len() {
            seconds[which].push(elapsed);
        }
    }
    seconds
}

/// Runs a future in this thread, which sleeps while it waits.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Within what the ratio of the medians lies in 99 of 100 cases.
fn interval(known: &[f64], unknown: &[f64], random: &mut StdRng) -> [f64; 2] {
    let mut resampled = |values: &[f64]| {
        let again: Vec<f64> = (0..values.len()).map(|_| values[random.random_range(0..values.len())]).collect();
        median(&again)
    };
    let mut ratios: Vec<f64> = (0..2000).map(|_| resampled(known) / resampled(unknown)).collect();
    ratios.sort_by(f64::total_cmp);
    [ratios[10], ratios[1989]]
}

/// How often one of the first is larger than one of the second, and how likely that is, or more, if there is no difference.
fn mann_whitney(first: &[f64], second: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> = first.iter().map(|value| (*value, true)).collect();
    all.extend(second.iter().map(|value| (*value, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Those that are equal share their ranks.
    let (mut ranks, mut ties, mut at) = (0.0, 0.0, 0);
    while at < all.len() {
        let same = all[at..].iter().take_while(|(value, _)| *value == all[at].0).count();
        let rank = at as f64 + (same as f64 + 1.0) / 2.0;
        ranks += rank * all[at..at + same].iter().filter(|(_, first)| *first).count() as f64;
        ties += (same as f64).powi(3) - same as f64;
        at += same;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let u = ranks - n * (n + 1.0) / 2.0;
    let variance = n * m / 12.0 * (n + m + 1.0 - ties / ((n + m) * (n + m - 1.0)));
    let z = (u - n * m / 2.0).abs() / variance.sqrt();
    (u / (n * m), two_sided(z))
}

/// The probability of a deviation of `z` or more to either side: Abramowitz and Stegun 26.2.17.
fn two_sided(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    2.0 * sum * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
