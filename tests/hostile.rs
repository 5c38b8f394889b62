//! The example server among those who do not want a token from it: it gives them up, and serves the others meanwhile.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect, and prints how it went"
)]

#[path = "common/burdened.rs"]
mod burdened;
#[path = "common/running.rs"]
mod running;

use std::{
    net::{Ipv4Addr, TcpStream as Blocking},
    sync::Arc,
    time::{Duration, Instant},
};

use burdened::{BAD, Client, GOOD, GoodClient, SECRET, connect, rest, server};
use running::{PATH, Running};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

/// After which the servers of these tests give up, unless said.
const TIMEOUT: Duration = Duration::from_secs(2);
/// And a machine that does other things too takes so long to find out.
const LATE: Duration = Duration::from_secs(3);

const FORM: &str = "grant_type=client_credentials";

/// Runs a test on a server, with a good client who is served all the while, and sees to it that nothing is left.
fn among_good(arguments: &[&str], test: impl AsyncFnOnce(&Running)) {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), arguments);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let is_http = arguments.contains(&"--http");
        let good = if is_http { Some(GoodClient::start(server.address()).await) } else { None };
        sleep(Duration::from_millis(200)).await;
        test(&server).await;
        if let Some(good) = good {
            let (count, longest) = good.stop().await;
            println!(
                "{count} tokens meanwhile over one connection and over new ones, each after {longest:?} at the most"
            );
            assert!(count > 0);
        }
    });
    drop(runtime);
    server.comes_back_to(LISTENING);
    assert!(server.stop().ends_with("Stopped.\n"), "it stops as it should");
}

/// The file descriptors of a server without connections: three streams, the listener, what tokio has for events and signals.
const LISTENING: usize = 16;

#[test]
fn heads_that_come_slowly() {
    among_good(&["--http", "--timeout", "2"], async |server| {
        let mut slow = JoinSet::new();
        for n in 0..200 {
            let mut stream = server.connect(BAD).await;
            slow.spawn(async move {
                let begun = Instant::now();
                let head = format!("POST {PATH} HTTP/1.1\r\nHost: localhost\r\nX-{n}: {}", "x".repeat(1000));
                for byte in head.bytes() {
                    if stream.write_all(&[byte]).await.is_err() {
                        break;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
                begun.elapsed()
            });
        }
        while let Some(elapsed) = slow.join_next().await {
            let elapsed = elapsed.unwrap();
            assert!(elapsed >= TIMEOUT / 2 && elapsed < TIMEOUT + LATE, "{elapsed:?}");
        }
    });
}

#[test]
fn bodies_that_do_not_come_are_answered_with_408_and_mint_nothing() {
    among_good(&["--http", "--timeout", "2"], async |server| {
        let head = |length| {
            let authorization = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("slow:{SECRET}"));
            format!(
                "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {authorization}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n{length}\r\n\r\n"
            )
        };
        let all = format!("Content-Length: {}", FORM.len());
        let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{FORM}\r\n", FORM.len());
        let mut slow = JoinSet::new();
        for (request, drip) in [
            // Nothing, all but the last byte, all but the last chunk, and byte by byte.
            (head(&all), ""),
            (head(&all) + &FORM[1..], ""),
            (head(&chunked).trim_end().to_owned() + "\r\n", ""),
            (head(&all), FORM),
        ] {
            for _ in 0..20 {
                let (mut stream, request) = (server.connect(BAD).await, request.clone());
                slow.spawn(async move {
                    let begun = Instant::now();
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let (mut read, mut write) = stream.into_split();
                    let dripping = tokio::spawn(async move {
                        for byte in drip.bytes() {
                            sleep(Duration::from_millis(200)).await;
                            if write.write_all(&[byte]).await.is_err() {
                                break;
                            }
                        }
                        // Not closed meanwhile.
                        sleep(TIMEOUT + LATE).await;
                        drop(write);
                    });
                    let mut said = Vec::new();
                    let _ = read.read_to_end(&mut said).await;
                    dripping.abort();
                    (String::from_utf8(said).unwrap(), begun.elapsed())
                });
            }
        }
        while let Some(slow) = slow.join_next().await {
            let (said, elapsed) = slow.unwrap();
            assert!(said.starts_with("HTTP/1.1 408 ") && !said.contains("access_token"), "{said}");
            assert!(elapsed > TIMEOUT / 2 && elapsed < TIMEOUT + LATE, "{elapsed:?}");
        }
        assert!(!used(server, "slow").await, "a secret was looked at");
        // And this is how it would look.
        Client::new(server.connect(GOOD).await, "slow", SECRET).post(PATH, FORM).await.unwrap();
        assert!(used(server, "slow").await);
    });
}

/// Whether the secret of a client has ever been used, as the management endpoint tells.
async fn used(server: &Running, id: &str) -> bool {
    let secret = server.line("export ADMIN_ID=administrator ADMIN_SECRET=");
    let mut administrator = Client::new(server.connect(GOOD).await, "administrator", secret);
    let (_, token) = administrator.post(PATH, FORM).await.unwrap();
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    let token = token["access_token"].as_str().unwrap();
    let get = format!("GET /client/{id}/secret HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    let (status, secrets) = administrator.ask(get.as_bytes()).await.unwrap();
    assert_eq!(status, 200, "{secrets}");
    let secrets: serde_json::Value = serde_json::from_str(&secrets).unwrap();
    assert_eq!(secrets["count"], 1);
    !secrets["data"][0]["last_used_at"].is_null()
}

#[test]
fn handshakes_that_stall() {
    among_good(&["--timeout", "2"], async |server| {
        let certificate = CertificateDer::from_pem_file(server.line("Certificate: ")).unwrap();
        let address = server.address();
        // A record of a ClientHello that says that it has 512 bytes, and what is not TLS at all.
        let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
        let mut slow = JoinSet::new();
        for n in 0..200 {
            let mut stream = server.connect(BAD).await;
            slow.spawn(async move {
                let begun = Instant::now();
                stream.write_all(if n % 2 == 0 { b"" } else { &hello }).await.unwrap();
                rest(&mut stream).await;
                begun.elapsed()
            });
        }
        for _ in 0..20 {
            let (certificate, begun) = (certificate.clone(), Instant::now());
            let good = tokio::task::spawn_blocking(move || mint_over_tls(address, certificate));
            assert!(good.await.unwrap().starts_with("HTTP/1.1 200 "));
            assert!(begun.elapsed() < TIMEOUT, "{:?}", begun.elapsed());
        }
        while let Some(elapsed) = slow.join_next().await {
            let elapsed = elapsed.unwrap();
            assert!(elapsed > TIMEOUT / 2 && elapsed < TIMEOUT + LATE, "{elapsed:?}");
        }
        let mut plain = server.connect(BAD).await;
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert!(!rest(&mut plain).await.contains("HTTP/1.1 200"));
    });
}

fn mint_over_tls(address: std::net::SocketAddr, certificate: CertificateDer<'static>) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let tls = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(tls, Blocking::connect(address).unwrap());
    let authorization = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("good:{SECRET}"));
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {authorization}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{FORM}",
        FORM.len()
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stream, &mut said).unwrap();
    said
}

#[test]
fn rfc6585_5_heads_that_are_too_large() {
    among_good(&["--http", "--timeout", "2"], async |server| {
        let (long, many) = ("x".repeat(1_000_000), "X-Y: z\r\n".repeat(1000));
        for head in [format!("X-Long: {long}"), long.clone(), many] {
            for line in [format!("POST {PATH} HTTP/1.1"), format!("GET /{} HTTP/1.1", &long[..100_000])] {
                let mut stream = server.connect(BAD).await;
                // It need not be read to its end.
                let _ = stream.write_all(format!("{line}\r\nHost: localhost\r\n{head}\r\n\r\n").as_bytes()).await;
                let said = rest(&mut stream).await;
                let refused = ["431", "414", "400"].iter().any(|s| said.starts_with(&format!("HTTP/1.1 {s} ")));
                assert!(refused || said.is_empty(), "{said}");
            }
        }
        let before = server.memory();
        let mut all = Vec::new();
        for _ in 0..500 {
            let mut stream = server.connect(BAD).await;
            let head = format!("GET / HTTP/1.1\r\nX: {}", &long[..60_000]);
            stream.write_all(head.as_bytes()).await.unwrap();
            all.push(stream);
        }
        // Each has the room of one head, and as much again while that grows.
        let taken = server.memory().saturating_sub(before);
        assert!(taken < 500 * 2 * 64 + 32 * 1024, "{taken} KiB");
    });
}

#[test]
fn rfc9112_9_3_2_pipelined_requests_are_answered_in_their_order() {
    among_good(&["--http", "--timeout", "2"], async |server| {
        let mut client = Client::new(server.connect(GOOD).await, "good", SECRET);
        let mint = format!("POST {PATH} HTTP/1.1\r\n{}{FORM}", client.head(FORM.len()));
        let get = format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (mut status, _) = client.ask(mint.as_bytes()).await.unwrap();
        assert_eq!(status, 200);
        // Of those that authenticate nobody as few as a source may send in a minute.
        let all = [mint.repeat(4), get.clone()].concat().repeat(80);
        (status, _) = client.ask(all.as_bytes()).await.unwrap();
        assert_eq!(status, 200);
        for expected in [200, 200, 200, 405, 200].repeat(80).into_iter().take(399) {
            (status, _) = client.read().await.unwrap();
            assert_eq!(status, expected);
        }
        // What could be two requests for one and one for another (RFC 9112 §6.3) is none, or the last one.
        for ambiguous in [
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
            "Content-Length: +5\r\n\r\nabcde",
            "Content-Length: 99999999999999999999\r\n\r\n",
            "Transfer-Encoding: identity\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            "Bad Name: x\r\n\r\n",
            "X: a\0b\r\n\r\n",
        ] {
            let mut stream = server.connect(BAD).await;
            let request = format!("POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{ambiguous}{get}");
            stream.write_all(request.as_bytes()).await.unwrap();
            let said = rest(&mut stream).await;
            assert!(said.matches("HTTP/1.1 ").count() <= 1 && !said.contains("HTTP/1.1 2"), "{ambiguous}: {said}");
        }
    });
}

#[test]
fn answers_that_are_not_read() {
    among_good(&["--http", "--timeout", "2"], async |server| {
        let (files, memory) = (server.files(), server.memory());
        let mut all = Vec::new();
        for _ in 0..20 {
            let stream = server.connect(BAD).await;
            let requests = "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
            // As much as gets through: the server stops to read when nobody reads it.
            let _ = stream.try_write(requests.as_bytes());
            all.push(stream);
        }
        sleep(TIMEOUT / 4).await;
        assert!(server.files() > files + 10, "they are there");
        let begun = Instant::now();
        while server.files() > files + 5 {
            // It has to fill what the system keeps for each of them first.
            assert!(begun.elapsed() < TIMEOUT + 3 * LATE, "{} file descriptors after {files}", server.files());
            sleep(Duration::from_millis(50)).await;
        }
        let taken = server.memory().saturating_sub(memory);
        assert!(taken < 32 * 1024, "{taken} KiB");
        drop(all);
    });
}

#[test]
fn connections_that_are_killed() {
    among_good(&["--http", "--timeout", "2"], async |server| {
        let head = Client::new(server.connect(BAD).await, "good", SECRET).head(FORM.len());
        let request = format!("POST {PATH} HTTP/1.1\r\n{head}{FORM}");
        let mut memory = 0;
        for n in 0..2000 {
            let mut stream = server.connect(BAD).await;
            // At some byte of the request, or after it.
            stream.write_all(&request.as_bytes()[..n % (request.len() + 1)]).await.unwrap();
            stream.set_zero_linger().unwrap();
            drop(stream);
            if n == 1000 {
                memory = server.memory();
            }
        }
        let grown = server.memory().saturating_sub(memory);
        assert!(grown < 8 * 1024, "{grown} KiB");
    });
}

#[test]
fn ten_thousand_idle_connections() {
    // Or half as many as this process may have, if that is less.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let count = usize::try_from(files / 2).unwrap().min(10_000);
    among_good(&["--http", "--timeout", "8"], async |server| {
        let (files, memory) = (server.files(), server.memory());
        let mut seen = Vec::new();
        for _ in 0..2 {
            let mut idle = Vec::with_capacity(count);
            for n in 0..count {
                // Some ports an address, so that they last.
                let from = Ipv4Addr::new(127, 0, 1, u8::try_from(n % 200).unwrap() + 1);
                let mut stream = connect(server.address(), from).await;
                if n % 2 == 0 {
                    stream.write_all(b"POST /").await.unwrap();
                }
                idle.push(stream);
            }
            let all = server.files();
            println!("{all} file descriptors, {} KiB, after {memory} KiB", server.memory());
            // Nobody has been given up yet, unless this machine is slow.
            assert!(all > count / 2, "{all}");
            let mut begun = Instant::now();
            while server.files() > files + 10 {
                assert!(begun.elapsed() < Duration::from_secs(8) + 2 * LATE, "{}", server.files());
                sleep(Duration::from_millis(100)).await;
            }
            // Those who are given up find out.
            begun = Instant::now();
            for stream in &mut idle {
                assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or_default(), 0);
            }
            assert!(begun.elapsed() < LATE);
            seen.push(server.memory());
        }
        println!("{seen:?} KiB afterwards");
        // The allocator keeps for the next ones what all of them have had at one time, and no more.
        assert!(seen.iter().all(|seen| *seen < memory + count * 20 + 32 * 1024), "{seen:?}");
    });
}

#[test]
fn no_more_connections_than_there_are_places() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path(), &["--http", "--timeout", "2", "--connections", "20"]);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut kept = Client::new(server.connect(GOOD).await, "good", SECRET);
        kept.mint().await.unwrap();
        let mut idle: Vec<TcpStream> = Vec::new();
        for _ in 0..40 {
            idle.push(server.connect(BAD).await);
        }
        sleep(TIMEOUT / 4).await;
        assert!(server.files() < LISTENING + 20 + 2, "the others wait where they cost nothing");
        let begun = Instant::now();
        let mut new = Client::new(server.connect(GOOD).await, "good", SECRET);
        let waiting = tokio::spawn(async move { new.mint().await.map(|_| begun.elapsed()) });
        for _ in 0..10 {
            kept.mint().await.unwrap();
            sleep(TIMEOUT / 40).await;
        }
        // When those are gone that came before.
        let waited = waiting.await.unwrap().unwrap();
        assert!(waited > TIMEOUT / 2 && waited < 3 * TIMEOUT + LATE, "{waited:?}");
    });
    server.comes_back_to(LISTENING);
    assert!(server.stop().ends_with("Stopped.\n"));
}
