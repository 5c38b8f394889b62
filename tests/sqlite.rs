//! `SqliteStore`: its contract, and what a file has to be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it did not expect")]

#[path = "common/earlier_versions.rs"]
mod earlier_versions;

use std::{error::Error, fs, path::Path, time::Duration};

use client_credentials::{
    BackendError, Claims, Client, ClientId, ClientRegistry as _, ClientStore as _, Registered, Role, SqliteStore,
    TenantName, TokenHash, TokenStore as _, conformance, now,
};
use earlier_versions::{ROWS, SECOND_ROWS, is_up_to_date};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

/// A file as the first version made it, with a token in it.
const FIRST_VERSION: &str = r#"
    CREATE TABLE client (client_id TEXT PRIMARY KEY, client_name TEXT, version INTEGER NOT NULL, stored TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE role (id TEXT PRIMARY KEY, resources TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE tenant (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE token (hash BLOB PRIMARY KEY, client_id TEXT NOT NULL, scope TEXT, resources TEXT NOT NULL, issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX token_by_client ON token (client_id, expires_at);
    CREATE INDEX token_by_expiry ON token (expires_at);
    CREATE TABLE revocation (client_id TEXT PRIMARY KEY, revoked_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE claim (id BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX claim_by_expiry ON claim (expires_at);
    INSERT INTO token VALUES (zeroblob(32), 'a', 'read', '{"acme": ["edit"]}', 0, 9000000000000000000);
    PRAGMA application_id = 0x636c6e74;
    PRAGMA user_version = 1;
"#;

/// What the second version has added to the tables.
const SECOND_VERSION: &str = "
    ALTER TABLE token ADD COLUMN api_key_label TEXT;
    CREATE TABLE last_use (id TEXT PRIMARY KEY, used_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX last_use_by_time ON last_use (used_at);
    PRAGMA user_version = 2;
";

async fn run(path: &Path, statements: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.unwrap()
}

fn why(error: &BackendError) -> String {
    error.source().unwrap().to_string()
}

#[test]
fn sqlite_keeps_every_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.db");
    conformance::client_registry(async || open(&path).await);
    conformance::token_store(async || open(&path).await);
    conformance::replay_store(async || open(&path).await);
    conformance::client_store(async |clients| {
        let store = open(&path).await;
        for client in clients {
            for role in client.roles().iter().filter(|role| role.id().as_str() != Role::SUPERUSER_ID) {
                store.define_role(role.clone()).await.unwrap();
            }
            assert!(matches!(store.register(client).await.unwrap(), Registered::New(_)));
        }
        store
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.db");
    let store = open(&path).await;
    let role = Role::new("acme/editor", ["edit"]).unwrap();
    let client = Client::builder("a").tenant("acme").role(role.clone()).build().unwrap();
    store.define_role(role).await.unwrap();
    assert!(matches!(store.register(client.clone()).await.unwrap(), Registered::New(_)));
    store.define_tenant(TenantName::parse("bolt").unwrap()).await.unwrap();
    store.close().await;

    let store = open(&path).await;
    assert_eq!(*store.find_client("a").await.unwrap().unwrap(), client);
    let tenants = ["acme", "bolt", "coil"].map(|name| TenantName::parse(name).unwrap());
    let mut existing = store.existing_tenants(&tenants).await.unwrap();
    existing.sort();
    assert_eq!(existing, tenants[..2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_one_process_denies_no_other_accepts_now_or_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.db");
    let (one, other) = (open(&path).await, open(&path).await);
    let of = |client_id| Claims::new(ClientId::parse(client_id).unwrap(), now(), now() + Duration::from_secs(60));
    let (ended, revoked, jti) = (of("ended"), of("revoked"), TokenHash::of("jti"));
    assert!(!other.is_denied(&jti, &ended).await.unwrap() && !other.is_denied(&jti, &revoked).await.unwrap());
    assert!(one.deny(&jti, &ended).await.unwrap());
    one.revoke_all(revoked.client_id(), revoked.issued_at()).await.unwrap();
    assert!(!other.deny(&jti, &ended).await.unwrap(), "it is denied already");
    assert!(other.is_denied(&jti, &ended).await.unwrap());
    assert!(other.is_denied(&TokenHash::of("another"), &revoked).await.unwrap());
    one.close().await;
    other.close().await;

    let store = open(&path).await;
    assert!(store.is_denied(&jti, &ended).await.unwrap());
    assert!(store.is_denied(&TokenHash::of("another"), &revoked).await.unwrap());
    assert!(!store.is_denied(&TokenHash::of("another"), &ended).await.unwrap());
}

/// A purge elsewhere may have a clock that is ahead.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_forgets_denials_a_minute_after_the_tokens_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("clients.db")).await;
    let (second, expires_at) = (Duration::from_secs(1), now());
    let claims = Claims::new(ClientId::parse("a").unwrap(), expires_at - 600 * second, expires_at);
    let jtis: Vec<_> = (0..600).map(|n| TokenHash::of(&n.to_string())).collect();
    for jti in &jtis {
        assert!(store.deny(jti, &claims).await.unwrap());
    }
    assert_eq!(store.purge_expired(expires_at + 59 * second, 10_000).await.unwrap(), 0);
    assert_eq!(store.purge_expired(expires_at + 60 * second, 10).await.unwrap(), 10);
    assert_eq!(store.purge_expired(expires_at + 60 * second, 10_000).await.unwrap(), 590);
    for jti in &jtis {
        assert!(!store.is_denied(jti, &claims).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_forgets_uses_of_a_year_ago_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("clients.db")).await;
    let (day, now) = (Duration::from_secs(24 * 3600), now());
    let ids: Vec<_> = (0..600).map(|n| n.to_string()).collect();
    let old: Vec<_> = ids.iter().map(|id| (id.clone(), now - 365 * day)).collect();
    store.record_uses(&old).await.unwrap();
    let later = now - 364 * day;
    store.record_uses(&[("7".into(), later)]).await.unwrap();
    assert_eq!(store.purge_expired(now, 10).await.unwrap(), 10);
    assert_eq!(store.purge_expired(now, 10_000).await.unwrap(), 589);
    let left: Vec<_> = ids.iter().map(|id| (id == "7").then_some(later)).collect();
    assert_eq!(store.last_uses(&ids).await.unwrap(), left);
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("clients.db")).await;
    assert!(matches!(store.register(Client::builder("a").build().unwrap()).await.unwrap(), Registered::New(_)));
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3, "the database, its log and its index");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn a_file_of_another_program_or_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (name, statements, expected) in [
        ("newer", "PRAGMA application_id = 0x636c6e74; PRAGMA user_version = 1000", "newer version"),
        ("other", "CREATE TABLE client (id INTEGER)", "another program"),
        ("marked", "PRAGMA application_id = 7", "another program"),
    ] {
        let path = folder.path().join(name);
        run(&path, statements).await;
        let before = fs::read(&path).unwrap();

        let error = SqliteStore::open(&path).await.unwrap_err();
        assert!(why(&error).contains(expected), "{name}: {error:?}");
        assert!(fs::read(&path).unwrap() == before, "{name}");
    }
    let path = folder.path().join("text");
    fs::write(&path, "no database at all, but a text that is long enough to have a header of its own: it is not read")
        .unwrap();
    assert!(SqliteStore::open(&path).await.is_err());
    assert!(fs::read_to_string(&path).unwrap().starts_with("no database"));
    assert!(SqliteStore::open(folder.path().join("no such folder/clients.db")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_a_deadline_and_the_store_works_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.db");
    let store = open(&path).await.with_deadline(Duration::from_millis(200));
    let other = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let client = Client::builder("a").build().unwrap();

    let start = std::time::Instant::now();
    assert!(store.register(client.clone()).await.is_err(), "another process is writing");
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    assert!(store.find_client("a").await.unwrap().is_none(), "reads go on");

    writing.rollback().await.unwrap();
    // The call that was given up still waits for the file; what it wrote, if anything, it must not have left half done.
    let registered = loop {
        if let Ok(registered) = store.register(client.clone()).await {
            break registered;
        }
    };
    assert!(matches!(registered, Registered::New(_) | Registered::Exists));
    assert!(store.read(&ClientId::parse("a").unwrap()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_an_error_and_not_an_unknown_client() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.db");
    let store = open(&path).await;
    assert!(matches!(store.register(Client::builder("a").build().unwrap()).await.unwrap(), Registered::New(_)));
    let other = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::raw_sql("UPDATE client SET stored = json_set(stored, '$.suspended', 'HUNTER2')")
        .execute(&other)
        .await
        .unwrap();
    assert!(!format!("{:?}", store.find_client("a").await.unwrap_err()).contains("HUNTER2"));
    let (hash, id) = (TokenHash::of("token"), ClientId::parse("a").unwrap());
    store.insert(hash, Claims::new(id, now(), now() + Duration::from_secs(60))).await.unwrap();
    sqlx::raw_sql("UPDATE token SET resources = '[\"HUNTER2\"]'").execute(&other).await.unwrap();
    assert!(!format!("{:?}", store.find(&hash).await.unwrap_err()).contains("HUNTER2"));
    // Without its audience the token would be good everywhere.
    sqlx::raw_sql("UPDATE token SET resources = '{}', audience = '\"HUNTER2\"'").execute(&other).await.unwrap();
    assert!(!format!("{:?}", store.find(&hash).await.unwrap_err()).contains("HUNTER2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_open_a_new_file_at_once_agree() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..10 {
        let path = folder.path().join(n.to_string());
        let (one, other) = tokio::join!(open(&path), open(&path));
        assert!(matches!(one.register(Client::builder("a").build().unwrap()).await.unwrap(), Registered::New(_)));
        assert!(other.find_client("a").await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_an_earlier_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, since) in [
        ("first", &[][..]),
        ("labelled", &["ALTER TABLE token ADD COLUMN api_key_label TEXT"]),
        ("second", &[SECOND_VERSION, SECOND_ROWS]),
        ("for APIs", &[SECOND_VERSION, SECOND_ROWS, "ALTER TABLE token ADD COLUMN audience TEXT"]),
    ] {
        let path = folder.path().join(name);
        for statements in [&[FIRST_VERSION, ROWS], since].concat() {
            run(&path, statements).await;
        }
        let stores = tokio::join!(open(&path), open(&path), open(&path), open(&path));
        for (n, store) in (1..).zip(&<[_; 4]>::from(stores)) {
            is_up_to_date(store, TokenHash::from_bytes([n; 32])).await;
        }
    }
}
