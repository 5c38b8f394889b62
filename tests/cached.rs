//! `Cached` over every store of clients: the contract of the store is kept.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;
#[path = "common/running.rs"]
mod running;
#[path = "common/servers.rs"]
mod servers;

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use client_credentials::{
    AnyClientRegistry, AnyClientStore, Cached, Client, ClientRegistry, ClientStore as _, MemoryStore, PostgresStore,
    Registered, Role, SqliteStore, Stores, conformance, now,
};
use common::{SECRET, basic};
use running::{PATH, server};
use servers::{POSTGRES, Postgres};

/// A registry with these clients in it. Each is asked for before, so that it is known to be unknown.
async fn filled<S: ClientRegistry>(store: S, clients: Vec<Client>) -> S {
    for client in clients {
        for role in client.roles().iter().filter(|role| role.id().as_str() != Role::SUPERUSER_ID) {
            store.define_role(role.clone()).await.unwrap();
        }
        assert!(store.find_client(client.client_id().as_str()).await.unwrap().is_none());
        assert!(matches!(store.register(client).await.unwrap(), Registered::New(_)));
    }
    store
}

#[test]
fn over_memory() {
    conformance::client_registry(async || Cached::new(MemoryStore::default()));
    conformance::client_store(async |clients| filled(Cached::new(MemoryStore::default()), clients).await);
    // One for all checks, and one that keeps hardly anything.
    let shared = Arc::new(Cached::new(MemoryStore::default()));
    conformance::client_registry(async || shared.clone());
    conformance::client_store(async |clients| filled(shared.clone(), clients).await);
    for small in
        [Cached::new(MemoryStore::default()).with_capacity(1), Cached::new(MemoryStore::default()).with_capacity(0)]
    {
        let small = Arc::new(small);
        conformance::client_registry(async || small.clone());
        conformance::client_store(async |clients| filled(small.clone(), clients).await);
    }
    let off = || Cached::new(MemoryStore::default()).with_cache_expiration(Duration::ZERO);
    conformance::client_registry(async || off());
    conformance::client_store(async |clients| filled(off(), clients).await);
}

#[test]
fn over_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let open = async || Cached::new(SqliteStore::open(folder.path().join("clients.db")).await.unwrap());
    conformance::client_registry(async || open().await);
    conformance::client_store(async |clients| filled(open().await, clients).await);
}

#[test]
fn over_postgres() {
    let Some(postgres) = &*POSTGRES else { return };
    let connect = async || Cached::new(PostgresStore::connect(&postgres.url()).await.unwrap());
    conformance::client_registry(async || connect().await);
    conformance::client_store(async |clients| filled(connect().await, clients).await);
}

#[test]
fn of_any_store_and_as_any_store() {
    let store = async |clients| filled(MemoryStore::default(), clients).await;
    conformance::client_store(async |clients| Cached::new(AnyClientStore::new(store(clients).await)));
    conformance::client_store(async |clients| AnyClientStore::new(Cached::new(store(clients).await)));
    let registry = || Cached::new(AnyClientRegistry::new(MemoryStore::default()));
    conformance::client_registry(async || registry());
    conformance::client_store(async |clients| filled(registry(), clients).await);
    let registry = || AnyClientRegistry::new(Cached::new(MemoryStore::default()));
    conformance::client_registry(async || registry());
    conformance::client_store(async |clients| filled(registry(), clients).await);
}

#[tokio::test]
async fn uses_are_kept_by_the_store_itself() {
    let store = MemoryStore::default();
    let clients = AnyClientRegistry::new(Cached::new(Arc::new(store.clone())));
    let outer = Stores { clients, tokens: store.clone() };
    let (ids, at) = (["used".to_owned(), "unused".to_owned()], now());
    outer.record_uses(&[(ids[0].clone(), at)]).await.unwrap();
    assert_eq!(store.last_uses(&ids).await.unwrap(), [Some(at), None]);
    assert_eq!(outer.last_uses(&ids).await.unwrap(), [Some(at), None]);
}

/// Two instances over one database: what one removes, the other has for as long as it was told to, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_removed_elsewhere_is_gone_after_the_expiration() {
    let folder = tempfile::tempdir().unwrap();
    let expiration = Duration::from_millis(500);
    let open = async || {
        let store = SqliteStore::open(folder.path().join("clients.db")).await.unwrap();
        Cached::new(store).with_cache_expiration(expiration)
    };
    let (here, elsewhere) = (open().await, open().await);
    let here = filled(here, vec![Client::builder("a").build().unwrap()]).await;
    let read = Instant::now();
    assert!(here.find_client("a").await.unwrap().is_some() && elsewhere.find_client("a").await.unwrap().is_some());
    assert!(here.delete(&"a".parse().unwrap()).await.unwrap());
    assert!(here.find_client("a").await.unwrap().is_none(), "whoever removed it sees so at once");
    let found = elsewhere.find_client("a").await.unwrap();
    // Unless this machine took so long.
    assert!(found.is_some() || read.elapsed() >= expiration);
    tokio::time::sleep(expiration).await;
    assert!(elsewhere.find_client("a").await.unwrap().is_none());
}

#[test]
fn the_server_of_the_examples_keeps_clients_as_long_as_its_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let client =
        format!(r#"[{{"client_id": "billing", "client_secret": "{SECRET}", "seacatauth_credentials": true}}]"#);
    fs::write(path("clients.json"), client).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (expiration, status) in [("1 h", 200), ("0", 401)] {
        fs::write(path("server.conf"), format!("[seacatauth:client]\ncache_expiration={expiration}\n")).unwrap();
        let database = format!("sqlite:{}", path("clients.db"));
        let (config, clients) = (path("server.conf"), path("clients.json"));
        let arguments = ["--http", "--config", &config, "--clients", &clients, "--database", &database];
        let running = server(folder.path(), &arguments, "Token endpoint: ");
        let mint = || basic("billing", SECRET, "grant_type=client_credentials").send(running.address(), PATH);
        mint().granted(None);
        runtime.block_on(async {
            let elsewhere = SqliteStore::open(path("clients.db")).await.unwrap();
            assert!(elsewhere.delete(&"billing".parse().unwrap()).await.unwrap());
            elsewhere.close().await;
        });
        assert_eq!(mint().status, status, "{expiration}");
    }
}

/// A hundred who ask a dead database wait for its deadline together.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_an_error_to_all_who_wait_and_back_after_its_restart() {
    let Some(mut postgres) = Postgres::start() else { return };
    let cached = Arc::new(Cached::new(PostgresStore::connect(&postgres.url()).await.unwrap()));
    let cached = filled(cached, ["a", "b"].map(|id| Client::builder(id).build().unwrap()).into()).await;
    assert!(cached.find_client("b").await.unwrap().is_some());
    postgres.kill();
    let start = Instant::now();
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let cached = cached.clone();
            tokio::spawn(async move { cached.find_client("a").await })
        })
        .collect();
    for asking in asking {
        assert!(asking.await.unwrap().is_err());
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(cached.find_client("b").await.unwrap().is_some(), "what is kept needs no database");
    postgres.restart();
    let start = Instant::now();
    while cached.find_client("a").await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5), "not back");
    }
    assert!(cached.find_client("a").await.unwrap().is_some());
}
