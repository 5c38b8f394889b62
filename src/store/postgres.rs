use std::{fmt, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgPool, Postgres as Database, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
    query,
    query::Query,
    query_as, query_scalar,
};
use time::OffsetDateTime;

use super::{
    Claim, ClientRegistry, ClientStore, Registered, ReplayStore, TokenStore, Updated, Version,
    deadline::{DEADLINE, within},
    registry::forgotten_uses,
    sql::{self, ClientRow, Dialect, SCHEMA_VERSION, Statements, TokenRow, sql_store},
    tokens::denied_until,
};
use crate::{
    BackendError, Claims, Client, ClientId, Role, RoleId, Scope, TenantName, TokenHash, client::is_client_id, json,
};

/// Clients, roles, opaque tokens, which others are revoked, and claimed ids in PostgreSQL: for as many machines as like.
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use client_credentials::{AuthorizationServer, Config, OpaqueIssuer, PostgresStore};
///
/// let store = PostgresStore::connect("postgres://tokens@db.internal/tokens").await?;
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// # Ok(())
/// # }
/// ```
///
/// Whatever one instance has acknowledged, the next call of any instance over the same database sees. A mint is one
/// look-up by primary key, and one insertion when its token is opaque.
///
/// The tables are in a schema of their own, so that the database can be the host's. The statements use no extension, no
/// advisory lock and no trigger, as databases that only speak PostgreSQL's protocol may have none. A connection over TLS
/// takes one of the features `tls-…` of `sqlx`, for the host to choose.
///
/// The calls need a tokio runtime.
#[derive(Clone)]
pub struct PostgresStore {
    readers: PgPool,
    /// The same pool: the name is that of a database which lets one write at a time.
    writer: PgPool,
    statements: Arc<Statements>,
    deadline: Duration,
}

impl PostgresStore {
    /// The schema that [`connect`](Self::connect) puts its tables into.
    pub const SCHEMA: &str = "client_credentials";

    /// Connects to the database of a URL, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with a pool of its own and the
    /// tables in [`SCHEMA`](Self::SCHEMA).
    ///
    /// # Errors
    /// When there is no connection, and as [`with_pool`](Self::with_pool).
    pub async fn connect(url: &str) -> Result<Self, BackendError> {
        let options: PgConnectOptions = url.parse().map_err(BackendError::new)?;
        // A pool would try again until its time is over, and not say what is wrong.
        let first = within(DEADLINE, options.connect()).await?;
        within(DEADLINE, first.close()).await?;
        let pool = PgPoolOptions::new().acquire_timeout(DEADLINE).connect_lazy_with(options);
        Self::with_pool(pool, Self::SCHEMA).await
    }

    /// Takes a pool that the host has, creates the schema and its tables where they are missing, and brings those of an
    /// earlier version of this crate up to date: only then has the database's user to be allowed to do so.
    ///
    /// # Errors
    /// When the name of the schema is not of the form `[a-z_][a-z0-9_]{0,62}`, the tables cannot be created or brought up to
    /// date, or they were made by a newer version of this crate.
    pub async fn with_pool(pool: PgPool, schema: &str) -> Result<Self, BackendError> {
        if !is_schema_name(schema) {
            return Err(BackendError::new("the name of the schema is not of the form [a-z_][a-z0-9_]{0,62}"));
        }
        let dialect = dialect(schema);
        prepare(&pool, &dialect).await?;
        let statements = Arc::new(Statements::new(&dialect));
        Ok(Self { readers: pool.clone(), writer: pool, statements, deadline: DEADLINE })
    }

    /// How long a call may take before it is an error; two seconds unless said.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresStore")
    }
}

/// Whether a text can stand in a statement as the name of a schema.
fn is_schema_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Makes sure that the tables are there that this version needs. Each statement does nothing where it was done before, so
/// the steps can be taken by several instances at once, and again after they were cut short.
async fn prepare(pool: &PgPool, dialect: &Dialect) -> Result<(), BackendError> {
    loop {
        let taken = match schema_version(pool, dialect).await {
            Ok(version) => version.map_or(0, sql::steps_taken),
            // They are missing, or this user may not see them and learns so in a moment.
            Err(sqlx::Error::Database(_)) => 0,
            Err(error) => return Err(BackendError::new(error)),
        };
        if taken > SCHEMA_VERSION {
            return Err(BackendError::new("the tables were made by a newer version of this crate"));
        }
        if taken == SCHEMA_VERSION {
            return Ok(());
        }
        match migrate(pool, dialect, taken).await {
            Err(error) if !is_race(&error) => return Err(BackendError::new(error)),
            _ => {}
        }
    }
}

/// Whether another instance was faster at what this one was about to do: somebody gets on, so to try again comes to an end.
fn is_race(error: &sqlx::Error) -> bool {
    // unique_violation, duplicate_schema, duplicate_table, duplicate_object, serialization_failure, deadlock_detected
    let codes = ["23505", "42P06", "42P07", "42710", "40001", "40P01"];
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| codes.contains(&&*code))
}

async fn schema_version(pool: &PgPool, dialect: &Dialect) -> Result<Option<i64>, sqlx::Error> {
    query_scalar(AssertSqlSafe(format!("SELECT max(version) FROM {}schema_version", dialect.schema)))
        .fetch_one(pool)
        .await
}

/// Takes the steps after those that were taken. Each is marked as done when all of it is.
async fn migrate(pool: &PgPool, dialect: &Dialect, taken: usize) -> Result<(), sqlx::Error> {
    let schema = &dialect.schema;
    let mut statements = Vec::new();
    // Whoever may only change the tables can bring them up to date.
    if taken == 0 {
        statements.push(format!("CREATE SCHEMA IF NOT EXISTS {}", schema.trim_end_matches('.')));
        statements.push(format!("CREATE TABLE IF NOT EXISTS {schema}schema_version (version bigint PRIMARY KEY)"));
    }
    for (version, step) in (1..).zip(dialect.steps()).skip(taken) {
        statements.extend(step);
        statements
            .push(format!("INSERT INTO {schema}schema_version (version) VALUES ({version}) ON CONFLICT DO NOTHING"));
    }
    for statement in statements {
        query(AssertSqlSafe(statement)).execute(pool).await?;
    }
    Ok(())
}

fn dialect(schema: &str) -> Dialect {
    let schema = format!("\"{schema}\".");
    Dialect {
        roles: format!(
            "(SELECT CAST(COALESCE(jsonb_object_agg(held.value, \
             (SELECT CAST(resources AS jsonb) FROM {schema}role WHERE id = held.value)), '{{}}') AS text) \
             FROM jsonb_array_elements_text(CAST(c.stored AS jsonb) -> 'roles') AS held(value))"
        ),
        schema,
        text: "text COLLATE \"C\"",
        bytes: "bytea",
        integer: "bigint",
        options: "",
        add_column: "ADD COLUMN IF NOT EXISTS",
        with_client_secrets: "CAST(CAST(stored AS jsonb) - 'client_secret_hash' - 'client_secret_expires_at' || \
                              jsonb_build_object('client_secrets', jsonb_build_array(jsonb_strip_nulls(jsonb_build_object(\
                              'hash', CAST(stored AS jsonb) -> 'client_secret_hash', \
                              'expires_at', CAST(stored AS jsonb) -> 'client_secret_expires_at')))) AS text)",
        without_expiry: "CAST(CAST(stored AS jsonb) - 'client_secret_expires_at' AS text)",
        elements: "jsonb_array_elements_text(CAST($1 AS jsonb)) AS element(value)",
        members: "jsonb_each_text(CAST($1 AS jsonb))",
        position: "strpos",
        among: ["= ANY (ARRAY(", "))"],
        skip_locked: "FOR UPDATE SKIP LOCKED",
    }
}

sql_store!(PostgresStore);
