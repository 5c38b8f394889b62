//! The example server under everything at once, for ten seconds or for as many as `ENDURANCE_SECONDS` says: good clients are
//! served, and in the end it has no more than after the first moments.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect, is told how long to run, and prints how it went"
)]

#[path = "common/burdened.rs"]
mod burdened;
#[path = "common/running.rs"]
mod running;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use burdened::{BAD, Client, GOOD, SECRET, connect, server};
use running::PATH;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::{sleep, timeout},
};

const INTROSPECT: &str = "/openidconnect/introspect";
const REVOKE: &str = "/openidconnect/token/revoke";
const FORM: &str = "grant_type=client_credentials";

/// How much more memory there may be in the end than after the first moments, in KiB, however many requests there were: the
/// allocator does not find the same places each time.
const MARGIN: usize = 24 * 1024;

/// What everybody has done, by kind: how often, and how often it went wrong.
#[derive(Clone, Default)]
struct Done {
    counts: Arc<Mutex<BTreeMap<&'static str, [usize; 2]>>>,
    is_over: Arc<AtomicBool>,
}

impl Done {
    fn count(&self, kind: &'static str, is_as_it_should_be: bool) {
        let mut counts = self.counts.lock().unwrap();
        let [all, wrong] = counts.entry(kind).or_default();
        *all += 1;
        *wrong += usize::from(!is_as_it_should_be);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }
}

#[test]
fn a_server_lasts() {
    let seconds = std::env::var("ENDURANCE_SECONDS").map_or(10, |seconds| seconds.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &["--http", "--timeout", "1"]);
    let address = server.address();
    let done = Done::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let files = server.files();
    let (warm, end) = runtime.block_on(async {
        let mut all = JoinSet::new();
        for _ in 0..4 {
            all.spawn(good(address, done.clone()));
            all.spawn(new_connections(address, done.clone()));
            all.spawn(wrong(address, done.clone()));
            all.spawn(killed(address, done.clone()));
        }
        for _ in 0..50 {
            all.spawn(slow(address, done.clone()));
        }
        // As long as a token is kept, and a bit: from then on as many go as come.
        let begun = Instant::now();
        let warm_up = Duration::from_secs(6).min(Duration::from_secs(seconds) / 2);
        let mut warm = 0;
        while begun.elapsed() < Duration::from_secs(seconds) {
            sleep(Duration::from_millis(200)).await;
            // What failed is told at once.
            while let Some(stopped) = all.try_join_next() {
                stopped.unwrap();
            }
            if begun.elapsed() < warm_up {
                warm = warm.max(server.memory());
            }
        }
        let end = server.memory();
        done.is_over.store(true, Relaxed);
        while let Some(stopped) = all.join_next().await {
            stopped.unwrap();
        }
        (warm, end)
    });
    drop(runtime);
    for (kind, [all, wrong]) in &*done.counts.lock().unwrap() {
        println!("{all:9} {kind}, {wrong} of them not as they should be");
    }
    server.comes_back_to(files);
    println!("{files} file descriptors before and after, {warm} KiB after the first moments, {end} KiB in the end");
    assert!(done.counts.lock().unwrap().values().all(|[all, wrong]| *all > 0 && *wrong == 0));
    assert!(end < warm + MARGIN, "{end} KiB after {warm} KiB");
    assert!(server.stop().ends_with("Stopped.\n"));
}

/// Mints a token, asks about it, revokes it every other time, and asks again.
async fn good(address: std::net::SocketAddr, done: Done) {
    let mut client = Client::new(connect(address, GOOD).await, "good", SECRET);
    for n in 0.. {
        if done.is_over() {
            break;
        }
        let token = client.mint().await.expect("a good client is sent away");
        done.count("tokens minted", true);
        let (status, said) = client.post(INTROSPECT, &format!("token={token}")).await.unwrap();
        done.count("tokens asked about", status == 200 && said.contains("\"active\":true"));
        if n % 2 == 0 {
            let (status, _) = client.post(REVOKE, &format!("token={token}")).await.unwrap();
            done.count("tokens revoked", status == 200);
            let (status, said) = client.post(INTROSPECT, &format!("token={token}")).await.unwrap();
            done.count("revoked tokens asked about", status == 200 && said == "{\"active\":false}");
        }
        let (status, _) = client.ask(b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        done.count("public keys read", status == 200);
    }
}

/// Mints each token over a new connection.
async fn new_connections(address: std::net::SocketAddr, done: Done) {
    while !done.is_over() {
        let mint = async { Client::new(connect(address, GOOD).await, "good", SECRET).mint().await };
        timeout(Duration::from_secs(5), mint).await.expect("a good client waits").expect("a good client is sent away");
        done.count("tokens minted over a new connection", true);
        sleep(Duration::from_millis(5)).await;
    }
}

/// Wrong secrets, unknown clients, and what is no request for a token. A server may have had enough of it (429).
async fn wrong(address: std::net::SocketAddr, done: Done) {
    let credentials = [("good", "wrong"), ("nobody", SECRET), ("good", ""), ("nobody", "wrong")];
    for n in 0.. {
        if done.is_over() {
            break;
        }
        let (id, secret) = credentials[n % 4];
        let stream = connect(address, BAD).await;
        let mut client = Client::new(stream, id, secret);
        let (status, said) = client.post(PATH, FORM).await.unwrap();
        done.count("wrong credentials", matches!(status, 401 | 429) && !said.contains("access_token"));
        let form = ["grant_type=password", "grant_type=%zz", "", "a&b&c=&grant_type=client_credentials"][n % 4];
        let (status, said) = client.post(PATH, form).await.unwrap();
        done.count("malformed forms", matches!(status, 400 | 401 | 429) && !said.contains("access_token"));
        let mut stream = connect(address, BAD).await;
        let garbage = ["\0\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "POST\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n"][n % 4];
        let _ = stream.write_all(garbage.as_bytes()).await;
        let said = burdened::rest(&mut stream).await;
        done.count("no HTTP", said.is_empty() || said.starts_with("HTTP/1.1 400 "));
        sleep(Duration::from_millis(5)).await;
    }
}

/// Begins a request, or a body, and waits.
async fn slow(address: std::net::SocketAddr, done: Done) {
    while !done.is_over() {
        let mut stream = connect(address, BAD).await;
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 100\r\n\r\n{FORM}"
        );
        let begun = Instant::now();
        for byte in head.bytes() {
            if stream.write_all(&[byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        let mut said = [0; 12];
        let _ = stream.read(&mut said).await;
        // Each step takes as long as it may, and no longer.
        done.count("slow requests", &said != b"HTTP/1.1 200" && begun.elapsed() < Duration::from_secs(8));
    }
}

/// Goes away in the middle.
async fn killed(address: std::net::SocketAddr, done: Done) {
    for n in 0.. {
        if done.is_over() {
            break;
        }
        let mut stream = connect(address, BAD).await;
        let head = Client::new(connect(address, BAD).await, "good", SECRET).head(FORM.len());
        let request = format!("POST {PATH} HTTP/1.1\r\n{head}{FORM}");
        let _ = stream.write_all(&request.as_bytes()[..n % (request.len() + 1)]).await;
        if n % 2 == 0 {
            stream.set_zero_linger().unwrap();
        }
        drop(stream);
        done.count("connections killed", true);
        sleep(Duration::from_millis(5)).await;
    }
}
