//! What is left when a process is killed in the middle of its work.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;
#[path = "common/running.rs"]
mod running;
#[path = "common/servers.rs"]
mod servers;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, Claims, Client, ClientId, ClientRegistry as _, ClientSecret, ClientSecretHash,
    ClientStore as _, Config, MemoryStore, OpaqueIssuer, PostgresStore, Provisioning, RandomSource, RedisStore,
    Registered, SqliteStore, TokenHash, TokenStore, now,
};
use common::{Answer, Asked, SECRET, Served, basic, request};
use running::{PATH, Running, server};
use serde_json::json;
use servers::{Postgres, Redis};

const GRANT: &str = "grant_type=client_credentials";

fn clients(folder: &Path) -> PathBuf {
    let path = folder.join("clients.json");
    let json = format!(r#"[{{"client_id": "billing", "client_secret": "{SECRET}", "seacatauth_credentials": true}}]"#);
    fs::write(&path, json).unwrap();
    path
}

fn start(folder: &Path, database: &str, clients: Option<&Path>) -> Running {
    let mut arguments = vec!["--http", "--database", database];
    arguments.extend(clients.iter().flat_map(|path| ["--clients", path.to_str().unwrap()]));
    server(folder, &arguments, "Token endpoint: ")
}

/// The answer of the example `server` to a request for a token, if one comes.
fn mint(address: SocketAddr) -> Option<Answer> {
    mint_at(address, PATH)
}

fn mint_at(address: SocketAddr, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(&basic("billing", SECRET, GRANT).bytes(path)).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    // The answer is whole when its JSON is.
    answer.ends_with(b"}").then(|| Answer::parse(&answer))
}

fn token(answer: &Answer) -> TokenHash {
    TokenHash::of(answer.json()["access_token"].as_str().unwrap())
}

/// Goes on with `work` on as many threads until `until` has returned, and returns all that came of it.
fn meanwhile<T: Send, R>(threads: usize, work: impl Fn() -> T + Sync, until: impl FnOnce() -> R) -> (Vec<T>, R) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let work = || {
            let mut results = Vec::new();
            while !done.load(Ordering::Relaxed) {
                results.push(work());
            }
            results
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let result = until();
        done.store(true, Ordering::Relaxed);
        (threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect(), result)
    })
}

#[test]
fn what_sqlite_acknowledged_is_there_after_kill_9_of_the_server() {
    const KILLS: u64 = 24;
    let folder = tempfile::tempdir().unwrap();
    let (clients, path) = (clients(folder.path()), folder.path().join("clients.db"));
    let database = format!("sqlite:{}", path.display());
    let mut acknowledged = Vec::new();
    for n in 0..KILLS {
        let running = start(folder.path(), &database, (n == 0).then_some(&*clients));
        let address = running.address();
        let (answers, ()) = meanwhile(
            4,
            || mint(address),
            || {
                thread::sleep(Duration::from_millis(40 + 7 * n));
                // Dropping it kills it with SIGKILL.
                drop(running);
            },
        );
        acknowledged.extend(answers.iter().flatten().filter(|answer| answer.status == 200).map(token));
        assert!(answers.iter().flatten().all(|answer| answer.status == 200), "{n}");
    }
    assert!(acknowledged.len() > 100, "{} tokens", acknowledged.len());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = SqliteStore::open(&path).await.unwrap();
        for hash in &acknowledged {
            assert!(store.find(hash).await.unwrap().is_some(), "of {} tokens one is lost", acknowledged.len());
        }
    });
}

/// Whether the server answered nothing else, and a token soon after each restart of its database.
fn only_200s_and_503s(answers: &[(Instant, Answer)], restarts: &[Instant]) {
    for (_, answer) in answers {
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        assert_eq!(answer.status == 503, answer.header("retry-after").is_some());
    }
    // Where nothing was under way when it was killed, the next one may have waited until it was back.
    let mut times: Vec<_> = answers.iter().map(|(at, _)| *at).collect();
    times.sort_unstable();
    let waited = times.iter().zip(times.iter().skip(1)).any(|(one, next)| *next - *one > Duration::from_millis(200));
    assert!(waited || answers.iter().any(|(_, answer)| answer.status == 503), "it was never away");
    for restart in restarts {
        let success =
            answers.iter().filter(|(at, answer)| at >= restart && answer.status == 200).map(|(at, _)| *at).min();
        let waited = success.expect("no success after a restart") - *restart;
        assert!(waited < Duration::from_secs(5), "{waited:?}");
    }
}

/// What a token store has said has ended.
#[derive(Default)]
struct Ended {
    /// Tokens that it kept.
    revoked: Vec<TokenHash>,
    /// Tokens that it did not keep.
    denied: Vec<(TokenHash, Claims)>,
    /// Tokens that it did not keep, each of a client of its own all of whose tokens it has revoked.
    denied_by_date: Vec<(TokenHash, Claims)>,
}

impl Ended {
    /// Has the store end one token of each kind.
    async fn end(&mut self, store: &impl TokenStore, n: u32) {
        let hash = TokenHash::of(&format!("token {n}"));
        let claims = |client_id: &str| {
            Claims::new(ClientId::parse(client_id).unwrap(), now(), now() + Duration::from_secs(3600))
        };
        if store.insert(hash, claims("revoking")).await.is_ok() && matches!(store.revoke(&hash).await, Ok(true)) {
            self.revoked.push(hash);
        }
        let denied = claims("denying");
        if matches!(store.deny(&hash, &denied).await, Ok(true)) {
            self.denied.push((hash, denied));
        }
        let denied = claims(&format!("denying {n}"));
        if store.revoke_all(denied.client_id(), denied.issued_at()).await.is_ok() {
            self.denied_by_date.push((TokenHash::of(&format!("another token {n}")), denied));
        }
    }

    /// Many have ended, and none of them is back.
    async fn is_kept(&self, store: &impl TokenStore) {
        let counts = [self.revoked.len(), self.denied.len(), self.denied_by_date.len()];
        assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
        for hash in &self.revoked {
            assert!(store.find(hash).await.unwrap().is_none(), "a revocation is lost");
        }
        for (jti, claims) in self.denied.iter().chain(&self.denied_by_date) {
            assert!(store.is_denied(jti, claims).await.unwrap(), "a denial is lost");
        }
    }
}

/// What a registry and a token store have said was done.
#[derive(Default)]
struct Acknowledged {
    clients: Vec<ClientId>,
    /// The secrets of one client in their order; the last acknowledged one, and those that may or may not have been set since.
    secret: Option<ClientSecretHash>,
    doubtful: Vec<ClientSecretHash>,
    ended: Ended,
}

/// Registers clients, resets a secret and ends tokens, without a pause, until it is told to stop.
async fn write(store: &PostgresStore, stop: &AtomicBool) -> Acknowledged {
    let (mut done, random) = (Acknowledged::default(), RandomSource::default());
    let billing = ClientId::parse("resetting").unwrap();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let client = Client::builder(&format!("client-{n}")).build().unwrap();
        if let Ok(Registered::New(_)) = store.register(client.clone()).await {
            done.clients.push(client.client_id().clone());
        }
        let secret = ClientSecret::generate(&random).unwrap();
        let hash = ClientSecretHash::generated(&secret, &random).unwrap();
        match store.replace_secret(&billing, hash.clone(), None).await {
            Ok(true) => {
                done.secret = Some(hash);
                done.doubtful.clear();
            }
            _ => done.doubtful.push(hash),
        }
        done.ended.end(store, n).await;
    }
    done
}

/// Ends tokens without a pause until it is told to stop, and returns those whose end was acknowledged.
async fn end(store: &impl TokenStore, stop: &AtomicBool) -> Ended {
    let mut ended = Ended::default();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        ended.end(store, n).await;
    }
    ended
}

#[test]
fn postgres_killed_in_a_stream_of_mints_costs_503s_and_nothing_acknowledged() {
    let Some(mut postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), &postgres.url(), Some(&clients(folder.path())));
    let address = running.address();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(PostgresStore::connect(&postgres.url())).unwrap();
    let client = Client::builder("resetting").build().unwrap();
    assert!(matches!(runtime.block_on(store.register(client)).unwrap(), Registered::New(_)));

    let stop = AtomicBool::new(false);
    let (answers, (done, back)) = meanwhile(
        4,
        || (Instant::now(), mint(address).expect("the server is there")),
        || {
            thread::scope(|scope| {
                let writing = scope.spawn(|| runtime.block_on(write(&store, &stop)));
                let mut back = Vec::new();
                for _ in 0..3 {
                    thread::sleep(Duration::from_millis(700));
                    postgres.kill();
                    thread::sleep(Duration::from_millis(300));
                    back.push(Instant::now());
                    postgres.restart();
                    thread::sleep(Duration::from_millis(700));
                }
                stop.store(true, Ordering::Relaxed);
                (writing.join().unwrap(), back)
            })
        },
    );
    only_200s_and_503s(&answers, &back);
    runtime.block_on(async {
        assert!(done.clients.len() > 10, "{}", done.clients.len());
        for client_id in &done.clients {
            assert!(store.find_client(client_id.as_str()).await.unwrap().is_some(), "{client_id} is lost");
        }
        done.ended.is_kept(&store).await;
        for (_, answer) in answers.iter().filter(|(_, answer)| answer.status == 200) {
            assert!(store.find(&token(answer)).await.unwrap().is_some(), "a token is lost");
        }
        let found = store.find_client("resetting").await.unwrap().unwrap();
        let hash = found.client_secret_hash();
        assert!(hash == done.secret.as_ref() || done.doubtful.iter().any(|doubtful| hash == Some(doubtful)));
    });
}

#[test]
fn redis_killed_in_a_stream_of_mints_costs_503s_and_nothing_acknowledged() {
    let Some(mut redis) = Redis::start() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tokens = runtime.block_on(RedisStore::connect(&redis.url())).unwrap();
    let json = format!(r#"[{{"client_id": "billing", "client_secret": "{SECRET}", "seacatauth_credentials": true}}]"#);
    let clients = MemoryStore::from(Provisioning::from_json(&json).unwrap());
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(tokens.clone()));
    let served = Served::start(AuthorizationServer::new(common::stores(clients), issuer, Config::default()));

    let (answers, (ended, back)) = meanwhile(
        4,
        || (Instant::now(), mint_at(served.address, "/token").expect("the server is there")),
        || {
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                let ending = scope.spawn(|| runtime.block_on(end(&tokens, &stop)));
                let mut back = Vec::new();
                for _ in 0..3 {
                    thread::sleep(Duration::from_millis(500));
                    redis.kill();
                    thread::sleep(Duration::from_millis(300));
                    back.push(Instant::now());
                    redis.restart();
                    thread::sleep(Duration::from_millis(500));
                }
                stop.store(true, Ordering::Relaxed);
                (ending.join().unwrap(), back)
            })
        },
    );
    only_200s_and_503s(&answers, &back);
    runtime.block_on(async {
        ended.is_kept(&tokens).await;
        for (_, answer) in answers.iter().filter(|(_, answer)| answer.status == 200) {
            assert!(tokens.find(&token(answer)).await.unwrap().is_some(), "a token is lost");
        }
    });
}

#[test]
fn two_servers_over_one_postgres_agree() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let one = start(folder.path(), &postgres.url(), Some(&clients(folder.path())));
    let other = start(folder.path(), &postgres.url(), None);
    assert!(!other.head.contains("Demo client"), "there are clients");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(PostgresStore::connect(&postgres.url())).unwrap();
    for server in [&one, &other] {
        let answer = mint(server.address()).unwrap();
        answer.granted(None);
        assert!(runtime.block_on(store.revoke(&token(&answer))).unwrap(), "a third instance knows the token");
    }
}

/// Two administrators at two servers change one client from one version: one wins, and the other is told.
#[test]
fn two_servers_over_one_postgres_let_one_update_win() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (start(folder.path(), &postgres.url(), None), start(folder.path(), &postgres.url(), None));
    let secret = one.line("export ADMIN_ID=administrator ADMIN_SECRET=");
    assert!(!other.head.contains("ADMIN_SECRET"), "there is one administrator");
    let addresses = [one.address(), other.address()];
    let token = |address| {
        let answer = basic("administrator", secret, GRANT).send(address, PATH);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    };
    // A token from one counts at the other.
    let tokens = [token(addresses[1]), token(addresses[0])];
    let send = |n: usize, asked: Asked| {
        let path = asked.path().to_owned();
        asked.bearer(&tokens[n]).send(addresses[n], &path)
    };
    let created = send(0, request("POST", "/client").json(&json!({"preferred_client_id": "shared"})));
    assert_eq!(created.status, 201);

    for round in 0..20 {
        let etag = send(round % 2, request("GET", "/client/shared")).header("etag").unwrap().to_owned();
        let put = |n: usize| {
            let name = json!({"client_name": format!("{n} in round {round}")});
            send(n, request("PUT", "/client/shared").header("If-Match", &etag).json(&name)).status
        };
        let mut statuses = thread::scope(|scope| {
            let racing = scope.spawn(|| put(0));
            [put(1), racing.join().unwrap()]
        });
        let winner = usize::from(statuses[0] != 200) ^ 1;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "round {round}");
        for n in [0, 1] {
            let name = send(n, request("GET", "/client/shared")).json()["client_name"].clone();
            assert_eq!(name, format!("{winner} in round {round}"), "the other changed nothing");
        }
    }

    // An API key that one revokes, the other accepts no more.
    send(0, request("PUT", "/client/shared").json(&json!({"seacatauth_credentials": true})));
    let key = send(0, request("POST", "/client/shared/token")).json();
    let ask = |n: usize| {
        request("GET", "/client").bearer(key["token"].as_str().unwrap()).send(addresses[n], "/client").status
    };
    assert_eq!([ask(0), ask(1)], [403, 403], "it counts, and holds nothing");
    send(1, request("DELETE", &format!("/client/shared/token/{}", key["_id"].as_str().unwrap())));
    assert_eq!([ask(0), ask(1)], [401, 401]);
}
