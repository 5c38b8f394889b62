//! What a client costs whose secret has a slow hash, and what a flood of wrong secrets costs another client.
//!
//!     cargo bench --bench slow_hashes --features argon2
//!
//! The hash is argon2id as OWASP asks for it: 19 MiB, two passes, one lane. Mints per second of a client that is not known
//! yet, which is what each mint costs without `with_verified_secrets`, and of one that is. Then a client that mints each
//! millisecond: quiet, and while 64 tasks send wrong secrets for another known client, 64 for unknown ones, and 16 for this very
//! client, each of them ten milliseconds after its last answer, as over a network. Each mint is a task of a `tokio` runtime, so that what holds up the
//! executor is in its time. One line `ratio: NAME VALUE` for each; the run fails where the flood makes half of the mints,
//! or the slowest of a hundred, take more than three times as long.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at what it did not expect"
)]

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::*};
use client_credentials::{
    AuthorizationServer, Client, ClientSecretHash, Config, MemoryStore, OpaqueIssuer, Request, handle_token_request,
    now,
};
use tokio::{task::JoinHandle, time::sleep};

type Server = Arc<AuthorizationServer<MemoryStore, OpaqueIssuer<MemoryStore>>>;

const SECRET: &str = "k2HvY7-dQx_9LmZ0RtB4uw";
/// Of that; argon2-cffi 25.1: `low_level.hash_secret(SECRET, b"saltsaltsaltsalt", 2, 19456, 1, 32, Type.ID)`.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Q+eCN23dqoNVG3NhyrHPmArL+rDdVcNafOCgJwEsLgM";

const WORST: f64 = 3.0;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
/// A short way to the server and back.
const PAUSE: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() -> ExitCode {
    let first = per_second(&server(0), Duration::from_secs(5)).await;
    let server = server(10_000);
    assert_eq!(mint(&server, "good", SECRET).await, 200);
    let again = per_second(&server, Duration::from_secs(2)).await;
    println!("mints per second: {first:.1} where the secret is verified, {again:.0} where it was before");
    println!("ratio: verified-before {:.0}", again / first);

    // In turns, so that whatever else the machine does strikes both.
    let (mut quiet, mut flooded, mut answers) = (Vec::new(), Vec::new(), [0, 0]);
    for _ in 0..ROUNDS {
        latencies(&server, &mut quiet).await;
        let flood = Flood::start(&server).await;
        latencies(&server, &mut flooded).await;
        let [refused, turned_away] = flood.stop().await;
        answers = [answers[0] + refused, answers[1] + turned_away];
    }
    println!("the flood: {} refused, {} turned away", answers[0], answers[1]);
    quiet.sort_by(f64::total_cmp);
    flooded.sort_by(f64::total_cmp);
    let mut worst = 0.0_f64;
    for (name, of_hundred) in [("p50", 50), ("p99", 99)] {
        let at = |seconds: &[f64]| seconds[seconds.len() * of_hundred / 100];
        let (quiet, flooded) = (at(&quiet), at(&flooded));
        println!("{name}: {:.1} µs quiet, {:.1} µs under the flood", quiet * 1e6, flooded * 1e6);
        println!("ratio: flood-{name} {:.2}", flooded / quiet);
        worst = worst.max(flooded / quiet);
    }
    ExitCode::from(u8::from(worst > WORST))
}

fn server(verified: usize) -> Server {
    let hash: ClientSecretHash = HASH.parse().unwrap();
    let store = MemoryStore::default();
    for id in ["good", "other"] {
        let client = Client::builder(id).client_secret_hash(hash.clone()).seacatauth_credentials(true);
        store.insert_client(client.build().unwrap());
    }
    let config = Config::default().with_unknown_client_secret_hash(hash);
    Arc::new(AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), config).with_verified_secrets(verified))
}

async fn mint(server: &Server, client_id: &str, secret: &str) -> u16 {
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{client_id}:{secret}")));
    let request = Request::new("POST", now())
        .header("Authorization", authorization.as_bytes())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .body(b"grant_type=client_credentials");
    handle_token_request(server, &request).await.status()
}

async fn per_second(server: &Server, time: Duration) -> f64 {
    let (start, mut mints) = (Instant::now(), 0.0);
    while start.elapsed() < time {
        assert_eq!(mint(server, "good", SECRET).await, 200);
        mints += 1.0;
    }
    mints / start.elapsed().as_secs_f64()
}

/// Adds the seconds that each mint takes.
async fn latencies(server: &Server, seconds: &mut Vec<f64>) {
    let start = Instant::now();
    while start.elapsed() < ROUND {
        sleep(Duration::from_millis(1)).await;
        let (server, sent) = (server.clone(), Instant::now());
        let minted = tokio::spawn(async move { mint(&server, "good", SECRET).await });
        assert_eq!(minted.await.unwrap(), 200);
        seconds.push(sent.elapsed().as_secs_f64());
    }
}

/// Tasks that send wrong secrets until they are stopped.
struct Flood {
    stop: Arc<AtomicBool>,
    /// Each returns how often it was refused, and how often turned away.
    tasks: Vec<JoinHandle<[u64; 2]>>,
}

impl Flood {
    async fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = |n| {
            let (server, stop) = (server.clone(), stop.clone());
            async move {
                let mut answers = [0, 0];
                while !stop.load(Ordering::Relaxed) {
                    let id = match n {
                        0..64 => "other".to_owned(),
                        64..128 => format!("invented-{n}-{}", answers[0] + answers[1]),
                        _ => "good".to_owned(),
                    };
                    let status = mint(&server, &id, "wrong").await;
                    answers[usize::from(status == 503)] += 1;
                    sleep(PAUSE).await;
                }
                answers
            }
        };
        let tasks = (0..144).map(|n| tokio::spawn(task(n))).collect();
        sleep(Duration::from_millis(500)).await;
        Self { stop, tasks }
    }

    async fn stop(self) -> [u64; 2] {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = [0, 0];
        for task in self.tasks {
            let answers = task.await.unwrap();
            sum = [sum[0] + answers[0], sum[1] + answers[1]];
        }
        sum
    }
}
