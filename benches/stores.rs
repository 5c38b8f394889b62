//! What the stores cost that have many clients, many tokens, or many of them to clear away.
//!
//!     cargo bench --bench stores --all-features
//!
//! PostgreSQL and Redis run for the bench alone, from the programs that are installed; where one is not, its rows are left
//! out. Whatever is compared is timed in turns in the same run, so that whatever else the machine does strikes both; a
//! ratio is the median of the rounds, and one line `ratio: NAME VALUE`. Lower is better.
//!
//! - `look-up`: one among 1,000,000 entries, beside one among 1,000. In both the same number of ids, 100 or 1,000, drawn at
//!   random from all there are, are asked for again and again: many clients, of which some are busy. So the caches of the
//!   machine are as warm in one as in the other, but among many each entry has a page of memory to itself. In `look-up
//!   anywhere` 1,000 ids are drawn anew for each round, so that among many nearly each is asked for the first time. Redis
//!   keeps no clients; its entries are tokens.
//! - `cached`: a look-up of one of 1,000 busy clients among 1,000,000 that `Cached` answers, beside one in the store.
//! - `bytes`: what the resident memory of the process grows by while 1,000,000 tokens are minted, divided by their number.
//!   All of them live. On Linux only, and as a ratio to 200.
//! - `purge`: the slowest mint of a round in which expired tokens are purged, beside that of a round in which none is, until
//!   1,000,000 are gone; in `purge p99.9` the 99.9th percentile of all mints. One mint follows the other, and the purge is
//!   that of `examples/server.rs`. Redis has none.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at what it did not expect"
)]

#[cfg(unix)]
#[path = "../tests/common/servers.rs"]
mod servers;

use std::{
    array, fs,
    hint::black_box,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::*};
use client_credentials::{
    AuthorizationServer, Cached, Client, ClientRegistry, ClientSecret, ClientSecretHash, ClientStore, Config,
    MemoryStore, OpaqueIssuer, RandomSource, Request, Role, SqliteStore, TokenStore, handle_token_request, now,
    sqlx::{AssertSqlSafe, SqlitePool, raw_sql, sqlite::SqliteConnectOptions},
    time::OffsetDateTime,
};
#[cfg(unix)]
use client_credentials::{Claims, PostgresStore, RedisStore, Scope, TokenHash, sqlx::PgPool};
use rand::{SeedableRng as _, rngs::StdRng, seq::index};

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;

/// How many ids are busy.
const BUSY: [usize; 2] = [100, 1_000];
const LOOK_UPS: usize = 31;
const LOOK_UP: Duration = Duration::from_millis(10);

/// What a token may take.
const BYTES: f64 = 200.0;

/// How many purges there are in memory, and how long is minted before each: about as long as it takes.
const PURGES: usize = 5;
const PURGE_IN_MEMORY: Duration = Duration::from_millis(400);

/// How long a part of a purge on disk takes, and how long is minted before each.
const PURGE_ON_DISK: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(250)];

/// How many tokens one call purges.
const PURGED_AT_ONCE: usize = 10_000;

const SCOPE: &str = "tenant:my-corporation";
const RESOURCES: &str = r#"{"my-corporation":["report:edit","report:read"]}"#;

static SECRET: LazyLock<ClientSecret> = LazyLock::new(|| ClientSecret::generate(&RandomSource::default()).unwrap());

#[tokio::main]
async fn main() {
    // First, since what was in use before would be used again.
    bytes().await;
    memory().await;
    sqlite().await;
    #[cfg(unix)]
    {
        postgres().await;
        redis().await;
    }
}

async fn bytes() {
    println!("memory: {MANY} mints");
    let store = MemoryStore::default();
    store.insert_client(client(0));
    let (mints, start) = (Mints::new(&store), now());
    mints.mint(start).await;
    let before = resident();
    mints.burst(start).await;
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = (after - before) as f64 / MANY as f64;
        println!("bytes: memory {each:.0}");
        println!("ratio: bytes memory {:.2}", each / BYTES);
    }
}

/// The memory that is the process's own, in bytes.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(1024 * line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?)
}

async fn memory() {
    println!("memory: {MANY} clients");
    let stores = [FEW, MANY].map(|count| {
        let store = MemoryStore::default();
        (0..count).for_each(|n| store.insert_client(client(n)));
        store
    });
    look_up("memory", &stores, client_id, async |store, id| store.find_client(id).await.unwrap().is_some()).await;

    println!("memory: {PURGES} purges of {MANY} tokens");
    let [_, store] = stores;
    let (mints, mut clock) = (Mints::new(&store), now());
    let mut rounds = Vec::new();
    for _ in 0..PURGES {
        let (without, ()) = mints.meanwhile(move || clock, spin(PURGE_IN_MEMORY)).await;
        mints.burst(clock).await;
        clock += Duration::from_secs(3600);
        let purge = async { while store.purge_expired(clock, PURGED_AT_ONCE).await.unwrap() == PURGED_AT_ONCE {} };
        let (with, ()) = mints.meanwhile(move || clock, purge).await;
        rounds.push([with, without]);
    }
    slowest("memory", &rounds);
}

/// Takes a processor, as a purge in memory does.
async fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

async fn sqlite() {
    println!("sqlite: {MANY} clients and tokens");
    let folder = tempfile::tempdir().unwrap();
    let [few, many] = ["few", "many"].map(|name| folder.path().join(name));
    let stores = [SqliteStore::open(&few).await.unwrap(), SqliteStore::open(&many).await.unwrap()];
    for (path, store, count) in [(&few, &stores[0], FEW), (&many, &stores[1], MANY)] {
        prepare(store).await;
        let options = SqliteConnectOptions::new().filename(path).pragma("cache_size", "-1000000");
        let pool = SqlitePool::connect_with(options).await.unwrap();
        for statement in [clients("", count), tokens("", "randomblob(32)", count)] {
            raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
        }
        raw_sql("ANALYZE; PRAGMA wal_checkpoint(TRUNCATE)").execute(&pool).await.unwrap();
        pool.close().await;
    }
    on_disk("sqlite", &stores).await;
}

#[cfg(unix)]
async fn postgres() {
    let Some(postgres) = servers::Postgres::start() else { return };
    println!("postgres: {MANY} clients and tokens");
    let pool = PgPool::connect(&postgres.url()).await.unwrap();
    let [few, many] = ["few", "many"].map(|schema| PostgresStore::with_pool(pool.clone(), schema));
    let stores = [few.await.unwrap(), many.await.unwrap()];
    for (schema, store, count) in [("few.", &stores[0], FEW), ("many.", &stores[1], MANY)] {
        prepare(store).await;
        for statement in [clients(schema, count), tokens(schema, "sha256(n::text::bytea)", count)] {
            raw_sql(AssertSqlSafe(statement)).execute(&pool).await.unwrap();
        }
    }
    raw_sql("VACUUM ANALYZE").execute(&pool).await.unwrap();
    raw_sql("CHECKPOINT").execute(&pool).await.unwrap();
    on_disk("postgres", &stores).await;
}

#[cfg(unix)]
async fn redis() {
    let Some(redis) = servers::Redis::start() else { return };
    println!("redis: {MANY} tokens");
    let [few, many] = [0, 1].map(|database| format!("{}/{database}", redis.url()));
    let stores = [RedisStore::connect(&few).await.unwrap(), RedisStore::connect(&many).await.unwrap()];
    for (store, count) in [(&stores[0], FEW), (&stores[1], MANY)] {
        // Many at a time, so that it syncs many at a time.
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..64 {
            let store = store.clone().with_deadline(Duration::from_secs(60));
            tasks.spawn(async move {
                for n in (task..count).step_by(64) {
                    store.insert(token(n), claims(n)).await.unwrap();
                }
            });
        }
        tasks.join_all().await;
    }
    look_up("redis", &stores, token, async |store, hash| store.find(hash).await.unwrap().is_some()).await;
}

/// Puts in what the statements go on from: the role, the tenant, and the client that mints.
async fn prepare(store: &impl ClientRegistry) {
    store.define_role(role()).await.unwrap();
    let _ = store.register(client(0)).await.unwrap();
}

async fn on_disk<S: ClientStore + TokenStore + Clone + 'static>(name: &str, stores: &[S; 2]) {
    look_up(name, stores, client_id, async |store, id| store.find_client(id).await.unwrap().is_some()).await;
    saved(name, &stores[1]).await;

    println!("{name}: a purge of {MANY} tokens");
    let [_, store] = stores;
    let mints = Mints::new(store);
    let mut rounds = Vec::new();
    let mut done = false;
    while !done {
        let (without, ()) = mints.meanwhile(now, tokio::time::sleep(PURGE_ON_DISK[1])).await;
        let start = Instant::now();
        let purge = async {
            while !done && start.elapsed() < PURGE_ON_DISK[0] {
                done = store.purge_expired(now(), PURGED_AT_ONCE).await.unwrap() < PURGED_AT_ONCE;
            }
        };
        let (with, ()) = mints.meanwhile(now, purge).await;
        rounds.push([with, without]);
    }
    slowest(name, &rounds);
}

/// Prints what a look-up costs that `Cached` answers, beside one in the store.
async fn saved<S: ClientStore + Clone>(name: &str, store: &S) {
    let cached = Cached::new(store.clone()).with_cache_expiration(Duration::from_secs(3600));
    let keys: Vec<_> = index::sample(&mut StdRng::seed_from_u64(0), MANY, BUSY[1]).into_iter().map(client_id).collect();
    let mut ratios = Vec::new();
    // The first pass is the one in which each client is looked up in the store.
    for _ in 0..=LOOK_UPS {
        let kept = per_call(&cached, &keys, &async |store, id| store.find_client(id).await.unwrap().is_some(), LOOK_UP);
        let kept = kept.await;
        let found = per_call(store, &keys, &async |store, id| store.find_client(id).await.unwrap().is_some(), LOOK_UP);
        ratios.push(kept / found.await);
    }
    println!("ratio: cached {name} {:.4}", median(ratios.split_off(1)));
}

/// Prints how much longer a look-up takes among many than among few.
async fn look_up<S, K>(name: &str, [few, many]: &[S; 2], key: fn(usize) -> K, find: impl AsyncFn(&S, &K) -> bool) {
    let mut random = StdRng::seed_from_u64(0);
    let mut draw = |asked| {
        [FEW, MANY].map(|count| index::sample(&mut random, count, asked).into_iter().map(key).collect::<Vec<K>>())
    };
    let busy = BUSY.map(&mut draw);
    let (mut times, mut ratios) = (Vec::new(), [const { Vec::new() }; 3]);
    for _ in 0..LOOK_UPS {
        let anywhere = draw(BUSY[1]);
        let kinds = [(&busy[0], LOOK_UP), (&busy[1], LOOK_UP), (&anywhere, Duration::ZERO)];
        for (([few_keys, many_keys], time), ratios) in kinds.into_iter().zip(&mut ratios) {
            let among_few = per_call(few, few_keys, &find, time).await;
            ratios.push(per_call(many, many_keys, &find, time).await / among_few);
            times.push(among_few);
        }
    }
    println!("{name}: {:.3} microseconds for a look-up among {FEW}", 1e6 * median(times));
    for (kind, ratios) in ["100", "1000", "anywhere"].into_iter().zip(ratios) {
        println!("ratio: look-up {kind} {name} {:.2}", median(ratios));
    }
}

/// How long one call takes, by as many passes over the keys as there is time for, and by one at least.
async fn per_call<S, K>(store: &S, keys: &[K], find: &impl AsyncFn(&S, &K) -> bool, time: Duration) -> f64 {
    let (start, mut passes) = (Instant::now(), 0.0);
    loop {
        for key in keys {
            assert!(black_box(find(store, key).await));
        }
        passes += 1.0;
        let elapsed = start.elapsed();
        if elapsed >= time {
            return elapsed.as_secs_f64() / passes / keys.len() as f64;
        }
    }
}

/// Prints how much longer the slowest mints take with a purge than without it.
fn slowest(name: &str, rounds: &[[Vec<f64>; 2]]) {
    let most = |mints: &[f64]| mints.iter().copied().fold(0.0, f64::max);
    let [with, without]: [Vec<f64>; 2] =
        array::from_fn(|n| rounds.iter().flat_map(|round| &round[n]).copied().collect());
    for (how, all, n) in [("with", &with, 0), ("without", &without, 1)] {
        let usual = median(rounds.iter().map(|round| most(&round[n])).collect());
        println!(
            "{name}: {} mints {how} it, {} rounds; milliseconds: median {:.3}, p99.9 {:.3}, slowest in a round {:.3}, in all {:.3}",
            all.len(),
            rounds.len(),
            1e3 * median(all.clone()),
            1e3 * percentile(all.clone(), 0.999),
            1e3 * usual,
            1e3 * most(all),
        );
    }
    println!(
        "ratio: purge {name} {:.2}",
        median(rounds.iter().map(|[with, without]| most(with) / most(without)).collect())
    );
    println!("ratio: purge p99.9 {name} {:.2}", percentile(with, 0.999) / percentile(without, 0.999));
}

fn median(values: Vec<f64>) -> f64 {
    percentile(values, 0.5)
}

fn percentile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in it")]
    let place = (values.len() as f64 * part) as usize;
    values[place]
}

/// A server whose first client mints.
struct Mints<S> {
    server: Arc<AuthorizationServer<S, OpaqueIssuer<S>>>,
    authorization: Arc<str>,
}

impl<S> Clone for Mints<S> {
    fn clone(&self) -> Self {
        Self { server: self.server.clone(), authorization: self.authorization.clone() }
    }
}

impl<S: ClientStore + TokenStore + Clone + 'static> Mints<S> {
    fn new(store: &S) -> Self {
        let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store.clone()), Config::default());
        let authorization = BASE64_STANDARD.encode(format!("{}:{}", client_id(0), SECRET.expose()));
        Self { server: Arc::new(server), authorization: format!("Basic {authorization}").into() }
    }

    async fn mint(&self, at: OffsetDateTime) {
        let body = format!("grant_type=client_credentials&scope={SCOPE}");
        let request = Request::new("POST", at)
            .header("Authorization", self.authorization.as_bytes())
            .header("Content-Type", b"application/x-www-form-urlencoded")
            .body(body.as_bytes());
        assert_eq!(handle_token_request(&self.server, black_box(&request)).await.status(), 200);
    }

    /// Mints as many tokens as there are to purge, ten thousand a second, so that none expires meanwhile.
    async fn burst(&self, start: OffsetDateTime) {
        let mut at = start;
        for _ in 0..MANY {
            self.mint(at).await;
            at += Duration::from_micros(100);
        }
    }

    /// How long each mint took, one after the other, for as long as `other` took.
    async fn meanwhile<R>(
        &self,
        clock: impl Fn() -> OffsetDateTime + Send + 'static,
        other: impl Future<Output = R>,
    ) -> (Vec<f64>, R) {
        let (mints, ended) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let until = ended.clone();
        let minting = tokio::spawn(async move {
            let mut times = Vec::new();
            while !until.load(Ordering::Relaxed) {
                let start = Instant::now();
                mints.mint(clock()).await;
                times.push(start.elapsed().as_secs_f64());
            }
            times
        });
        let result = other.await;
        ended.store(true, Ordering::Relaxed);
        (minting.await.unwrap(), result)
    }
}

/// All ids have the same length.
fn client_id(n: usize) -> String {
    format!("client-{}", MANY + n)
}

fn role() -> Role {
    Role::new("my-corporation/editor", ["report:edit", "report:read"]).unwrap()
}

fn client(n: usize) -> Client {
    let hash = ClientSecretHash::generated(&SECRET, &RandomSource::default()).unwrap();
    let client = Client::builder(&client_id(n)).client_secret_hash(hash).seacatauth_credentials(true);
    client.tenant("my-corporation").role(role()).build().unwrap()
}

#[cfg(unix)]
fn token(n: usize) -> TokenHash {
    TokenHash::of(&format!("token-{n}"))
}

/// Of a thousand clients.
#[cfg(unix)]
fn claims(n: usize) -> Claims {
    let at = now();
    Claims::new(client_id(n % 1000).parse().unwrap(), at, at + Duration::from_secs(86_400))
        .with_scope(Scope::parse(SCOPE).unwrap())
        .with_authorization(serde_json::from_str(RESOURCES).unwrap())
}

/// A statement that inserts clients like the one that is there.
fn clients(schema: &str, count: usize) -> String {
    let (first, end) = (MANY, MANY + count);
    let stored = client(0).to_stored();
    format!(
        "INSERT INTO {schema}client (client_id, version, stored) \
         WITH RECURSIVE series (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {end}) \
         SELECT 'client-' || n, n, replace('{stored}', '{}', 'client-' || n) FROM series WHERE n > {first}",
        client_id(0),
    )
}

/// A statement that inserts tokens of a thousand clients, all of which expired in the last hour.
fn tokens(schema: &str, hash: &str, count: usize) -> String {
    let first = (now() - Duration::from_secs(3600)).unix_timestamp();
    format!(
        "INSERT INTO {schema}token (hash, client_id, scope, resources, issued_at, expires_at) \
         WITH RECURSIVE series (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {count}) \
         SELECT {hash}, 'client-' || ({MANY} + n % 1000), '{SCOPE}', '{RESOURCES}', \
         {}000000000 + n, {first}000000000 + n FROM series ORDER BY 1",
        first - 180,
    )
}
