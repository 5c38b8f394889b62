//! `PostgresStore`: its contract, on a PostgreSQL of its own.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "common/earlier_versions.rs"]
mod earlier_versions;
#[path = "common/servers.rs"]
mod servers;

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use client_credentials::{
    Claims, Client, ClientId, ClientRegistry as _, ClientStore as _, PostgresStore, Registered, Role, TokenHash,
    TokenStore as _, conformance, now,
};
use earlier_versions::{ROWS, SECOND_ROWS, is_up_to_date};
use servers::{POSTGRES, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

/// The tables as the first version made them, with a token in them.
const FIRST_VERSION: &str = r#"
    CREATE TABLE schema_version (version bigint PRIMARY KEY);
    CREATE TABLE client (client_id text COLLATE "C" PRIMARY KEY, client_name text COLLATE "C", version bigint NOT NULL, stored text COLLATE "C" NOT NULL);
    CREATE TABLE role (id text COLLATE "C" PRIMARY KEY, resources text COLLATE "C" NOT NULL);
    CREATE TABLE tenant (name text COLLATE "C" PRIMARY KEY);
    CREATE TABLE token (hash bytea PRIMARY KEY, client_id text COLLATE "C" NOT NULL, scope text COLLATE "C", resources text COLLATE "C" NOT NULL, issued_at bigint NOT NULL, expires_at bigint NOT NULL);
    CREATE INDEX token_by_client ON token (client_id, expires_at);
    CREATE INDEX token_by_expiry ON token (expires_at);
    CREATE TABLE revocation (client_id text COLLATE "C" PRIMARY KEY, revoked_at bigint NOT NULL);
    CREATE TABLE claim (id bytea PRIMARY KEY, expires_at bigint NOT NULL);
    CREATE INDEX claim_by_expiry ON claim (expires_at);
    INSERT INTO schema_version VALUES (1);
    INSERT INTO token VALUES (decode(repeat('00', 32), 'hex'), 'a', 'read', '{"acme": ["edit"]}', 0, 9000000000000000000);
"#;

/// What the second version has added to the tables.
const SECOND_VERSION: &str = r#"
    ALTER TABLE token ADD COLUMN api_key_label text COLLATE "C";
    CREATE TABLE last_use (id text COLLATE "C" PRIMARY KEY, used_at bigint NOT NULL);
    CREATE INDEX last_use_by_time ON last_use (used_at);
    INSERT INTO schema_version VALUES (2);
"#;

/// What has been done since the first version, also by updates that were cut short.
const SINCE: [&[&str]; 6] = [
    &[],
    &[r#"ALTER TABLE token ADD COLUMN api_key_label text COLLATE "C""#],
    &[r#"ALTER TABLE token ADD COLUMN api_key_label text COLLATE "C";
         CREATE TABLE last_use (id text COLLATE "C" PRIMARY KEY, used_at bigint NOT NULL)"#],
    &[SECOND_VERSION, SECOND_ROWS],
    &[SECOND_VERSION, SECOND_ROWS, r#"ALTER TABLE token ADD COLUMN audience text COLLATE "C""#],
    &[
        SECOND_VERSION,
        SECOND_ROWS,
        r#"ALTER TABLE token ADD COLUMN audience text COLLATE "C";
       CREATE TABLE denial (jti bytea PRIMARY KEY, expires_at bigint NOT NULL)"#,
    ],
];

async fn connect(postgres: &Postgres) -> PostgresStore {
    PostgresStore::connect(&postgres.url()).await.unwrap()
}

#[test]
fn postgres_keeps_every_contract() {
    let Some(postgres) = &*POSTGRES else { return };
    conformance::client_registry(async || connect(postgres).await);
    conformance::token_store(async || connect(postgres).await);
    conformance::replay_store(async || connect(postgres).await);
    conformance::client_store(async |clients| {
        let store = connect(postgres).await;
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
async fn instances_that_start_together_agree_on_tables_and_clients() {
    let Some(postgres) = &*POSTGRES else { return };
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    for n in 0..10 {
        let schema = format!("together_{n}");
        let start = || PostgresStore::with_pool(pool.clone(), &schema);
        let (one, two, three, four) = tokio::join!(start(), start(), start(), start());
        let stores = [one, two, three, four].map(Result::unwrap);
        assert!(matches!(stores[0].register(Client::builder("a").build().unwrap()).await.unwrap(), Registered::New(_)));
        for store in &stores {
            assert!(store.find_client("a").await.unwrap().is_some());
        }
        let hash = TokenHash::of("token");
        let claims = Claims::new(ClientId::parse("a").unwrap(), now(), now() + Duration::from_secs(60));
        stores[1].insert(hash, claims).await.unwrap();
        assert!(stores[2].find(&hash).await.unwrap().is_some() && stores[3].revoke(&hash).await.unwrap());
        assert!(stores[0].find(&hash).await.unwrap().is_none(), "what one revokes no other accepts");
        let (jti, claims) = (TokenHash::of("jti"), Claims::new(ClientId::parse("a").unwrap(), now(), now()));
        assert!(!stores[1].is_denied(&jti, &claims).await.unwrap() && stores[0].deny(&jti, &claims).await.unwrap());
        assert!(stores[1].is_denied(&jti, &claims).await.unwrap() && !stores[1].deny(&jti, &claims).await.unwrap());
        let another = TokenHash::of("another jti");
        assert!(!stores[2].is_denied(&another, &claims).await.unwrap(), "it is that one alone");
        stores[0].revoke_all(claims.client_id(), claims.issued_at()).await.unwrap();
        assert!(stores[2].is_denied(&another, &claims).await.unwrap(), "and now all of the client");
    }
}

#[tokio::test]
async fn schemas_are_apart_and_may_be_prepared_by_another_user() {
    let Some(postgres) = &*POSTGRES else { return };
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    let (one, other) = (
        PostgresStore::with_pool(pool.clone(), "one").await.unwrap(),
        PostgresStore::with_pool(pool.clone(), "select").await.unwrap(),
    );
    assert!(matches!(one.register(Client::builder("a").build().unwrap()).await.unwrap(), Registered::New(_)));
    assert!(other.find_client("a").await.unwrap().is_none());

    let grants = "CREATE USER plain; GRANT USAGE ON SCHEMA one TO plain; GRANT SELECT, INSERT, UPDATE, DELETE \
                  ON ALL TABLES IN SCHEMA one TO plain; REVOKE CREATE ON DATABASE postgres FROM PUBLIC";
    sqlx::raw_sql(grants).execute(&pool).await.unwrap();
    let plain = PgPool::connect(&postgres.url().replacen("postgres@", "plain@", 1)).await.unwrap();
    let store = PostgresStore::with_pool(plain.clone(), "one").await.unwrap();
    assert!(store.find_client("a").await.unwrap().is_some());
    assert!(PostgresStore::with_pool(plain, "new").await.is_err(), "it may create nothing");

    let long = "a".repeat(64);
    for name in ["", "1a", "A", "a-b", "a\"b", "a.b", "ä", &long] {
        let error = PostgresStore::with_pool(pool.clone(), name).await.unwrap_err();
        assert!(error.source().unwrap().to_string().contains("name of the schema"), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused() {
    let Some(postgres) = &*POSTGRES else { return };
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    PostgresStore::with_pool(pool.clone(), "newer").await.unwrap();
    sqlx::raw_sql("INSERT INTO newer.schema_version VALUES (1000)").execute(&pool).await.unwrap();
    let error = PostgresStore::with_pool(pool, "newer").await.unwrap_err();
    assert!(error.source().unwrap().to_string().contains("newer version"), "{error:?}");
}

/// A mint is one look-up by key, and a check two. With ten thousand clients, roles, tokens and denials the plans say so.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_mint_or_a_check_asks_reads_a_whole_table() {
    let Some(postgres) = &*POSTGRES else { return };
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    let store = PostgresStore::with_pool(pool.clone(), "plans").await.unwrap();
    let client = Client::builder("a").role(Role::new("acme/r1", ["r"]).unwrap()).build().unwrap();
    let fill = [
        "INSERT INTO plans.role SELECT 'acme/r' || n, '[\"r\"]' FROM generate_series(1, 10000) n".into(),
        format!("INSERT INTO plans.client SELECT 'c' || n, NULL, n, '{}' FROM generate_series(1, 10000) n", client.to_stored()),
        "INSERT INTO plans.token SELECT sha256(n::text::bytea), 'c' || n, NULL, '{}', n, n FROM generate_series(1, 10000) n".into(),
        "INSERT INTO plans.denial SELECT sha256(n::text::bytea), n FROM generate_series(1, 10000) n".into(),
        "INSERT INTO plans.revocation SELECT 'r' || n, n FROM generate_series(1, 10000) n".into(),
        "INSERT INTO plans.last_use SELECT n, n FROM generate_series(1, 10000) n".into(),
        "ANALYZE".into(),
        // What the statements did since, as the server has counted it.
        "SELECT pg_stat_reset()".into(),
    ];
    for statement in fill {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
    }
    for n in 1..=20 {
        let found = store.find_client(&format!("c{n}")).await.unwrap().unwrap();
        assert!(found.roles()[0].resources().hold(&["r"]));
        let hash = TokenHash::of(&format!("token {n}"));
        let claims = Claims::new(found.client_id().clone(), now(), now() + Duration::from_secs(60));
        store.insert(hash, claims).await.unwrap();
        assert!(store.find(&hash).await.unwrap().is_some() && store.revoke(&hash).await.unwrap());
        let claims = Claims::new(found.client_id().clone(), now(), now() + Duration::from_secs(60));
        assert!(!store.is_denied(&hash, &claims).await.unwrap() && store.deny(&hash, &claims).await.unwrap());
        assert!(store.is_denied(&hash, &claims).await.unwrap());
    }
    assert_eq!(store.purge_expired(now(), 1200).await.unwrap(), 1200);
    for n in 1..=20 {
        store.record_uses(&[(format!("{n}"), now()), (format!("new {n}"), now())]).await.unwrap();
        assert!(store.last_uses(&[format!("{n}")]).await.unwrap()[0].is_some());
    }
    // What expired of the tokens, the denials and the uses, a part of it at a time.
    assert_eq!(store.purge_expired(now(), 10_000).await.unwrap(), 10_000);
    assert_eq!(store.purge_expired(now(), 10_000).await.unwrap(), 10_000);
    assert_eq!(store.purge_expired(now(), 10_000).await.unwrap(), 10_000 - 1200 - 20);
    // A connection reports what it did when it is idle for a second, or ends.
    pool.close().await;
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    let sql = "SELECT relname::text, coalesce(seq_tup_read, 0), coalesce(idx_scan, 0) FROM pg_stat_user_tables \
               WHERE schemaname = 'plans' ORDER BY relname";
    let start = Instant::now();
    let counts = loop {
        let counts: Vec<(String, i64, i64)> = sqlx::query_as(sql).fetch_all(&pool).await.unwrap();
        let reported = counts.iter().any(|(name, _, scans)| name == "client" && *scans >= 20);
        if reported || start.elapsed() > Duration::from_secs(20) {
            break counts;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for (name, read, scans) in counts {
        let by_key = matches!(name.as_str(), "client" | "role" | "token" | "denial" | "revocation" | "last_use");
        assert!(read < 1000 && (!by_key || scans >= 20), "{name}: {read} rows read in sequence, {scans} look-ups");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_an_error_within_the_deadline_and_back_after_its_restart() {
    let Some(mut postgres) = Postgres::start() else { return };
    let store = connect(&postgres).await;
    assert!(matches!(store.register(Client::builder("a").build().unwrap()).await.unwrap(), Registered::New(_)));
    postgres.kill();
    for _ in 0..3 {
        let start = Instant::now();
        assert!(store.find_client("a").await.is_err());
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
    postgres.restart();
    let start = Instant::now();
    while store.find_client("a").await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(5), "not back");
    }
    assert!(store.find_client("a").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_an_earlier_version_are_brought_up_to_date_by_all_that_start_together() {
    let Some(postgres) = &*POSTGRES else { return };
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    for (n, since) in SINCE.iter().cycle().take(12).enumerate() {
        let (schema, since) = (format!("earlier_{n}"), since.concat());
        let statements = format!("CREATE SCHEMA {schema}; SET search_path TO {schema}; {FIRST_VERSION} {ROWS} {since}");
        let mut connection = PgConnection::connect(&postgres.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
        let start = || PostgresStore::with_pool(pool.clone(), &schema);
        let (one, two, three, four) = tokio::join!(start(), start(), start(), start());
        for (n, store) in (1..).zip(&[one, two, three, four].map(Result::unwrap)) {
            is_up_to_date(store, TokenHash::from_bytes([n; 32])).await;
        }
        let versions = format!("SELECT version FROM {schema}.schema_version ORDER BY version");
        let versions: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(versions)).fetch_all(&pool).await.unwrap();
        assert_eq!(versions, [1, 2, 3]);
    }
}
