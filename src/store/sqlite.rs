use std::{fmt, fs, io, path::Path, sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Sqlite as Database, SqlitePool, Transaction, query,
    query::Query,
    query_as, query_scalar,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
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

/// Clients, roles, opaque tokens, which others are revoked, and claimed ids in one file: for one machine, and for as many
/// processes on it as like.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("clients.db");
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{Client, ClientRegistry, SqliteStore};
///
/// let store = SqliteStore::open(&path).await?;
/// let _ = store.register(Client::builder("billing").build()?).await?;
/// store.close().await;
///
/// let store = SqliteStore::open(&path).await?;
/// assert!(store.read(&"billing".parse()?).await?.is_some());
/// # store.close().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What a call has acknowledged is on the disk: the file is written ahead (WAL), and every commit is synced. That makes a
/// write, and so a mint of an opaque token, as fast as the disk syncs; reads go on beside it. A call waits for another
/// process's write as long as the [deadline](Self::with_deadline) lets it.
///
/// The calls need a tokio runtime.
#[derive(Clone)]
pub struct SqliteStore {
    readers: SqlitePool,
    /// One connection, since SQLite lets one write at a time: who waits for it waits in the order of coming.
    writer: SqlitePool,
    statements: Arc<Statements>,
    deadline: Duration,
}

/// How many look-ups go on at the same time.
const READERS: u32 = 4;

/// How long to wait before asking again for a file that another process holds.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// `clnt` in ASCII, in the header of the file: what it is for.
const APPLICATION_ID: i64 = 0x636c_6e74;

impl SqliteStore {
    /// Opens the file, or creates it for its owner alone, and brings its tables up to date.
    ///
    /// # Errors
    /// When it cannot be opened or created, is another program's database, or was written by a newer version of this crate.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, BackendError> {
        let path = path.as_ref();
        create(path).map_err(BackendError::new)?;
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(DEADLINE);
        let dialect = dialect();
        prepare(&options, &dialect).await?;
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let pool =
            |connections| SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None);
        // The change to WAL needs the file alone, and does not wait for that by itself.
        let alone = async {
            loop {
                match pool(1).connect_with(options.clone()).await {
                    Err(error) if is_busy(&error) => tokio::time::sleep(BUSY_PAUSE).await,
                    done => return done,
                }
            }
        };
        let writer = within(DEADLINE, alone).await?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await.map_err(BackendError::new)?;
        Ok(Self { readers, writer, statements: Arc::new(Statements::new(&dialect)), deadline: DEADLINE })
    }

    /// How long a call may take before it is an error; two seconds unless said.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Waits for the calls under way and closes the file. Later calls fail.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteStore")
    }
}

/// Creates a file that only its owner can read. SQLite gives its other files the same permissions.
fn create(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes sure that the file is ours, and that it has the tables that this version needs. Another's is left as it was.
async fn prepare(options: &SqliteConnectOptions, dialect: &Dialect) -> Result<(), BackendError> {
    let mut connection = options.connect().await.map_err(BackendError::new)?;
    // Two processes that open a new file at once take turns.
    let mut preparing = connection.begin_with("BEGIN IMMEDIATE").await.map_err(BackendError::new)?;
    let (application, version, tables): (i64, i64, i64) = query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) \
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(&mut *preparing)
    .await
    .map_err(BackendError::new)?;
    if application != APPLICATION_ID && (application, version, tables) != (0, 0, 0) {
        return Err(BackendError::new("the file is the database of another program"));
    }
    let taken = sql::steps_taken(version);
    if taken > SCHEMA_VERSION {
        return Err(BackendError::new("the file was written by a newer version of this crate"));
    }
    if taken < SCHEMA_VERSION {
        let marks =
            [format!("PRAGMA application_id = {APPLICATION_ID}"), format!("PRAGMA user_version = {SCHEMA_VERSION}")];
        for statement in dialect.steps().into_iter().skip(taken).flatten().chain(marks) {
            match query(AssertSqlSafe(statement)).execute(&mut *preparing).await {
                Err(error) if !adds_what_is_there(&error) => return Err(BackendError::new(error)),
                _ => {}
            }
        }
    }
    preparing.commit().await.map_err(BackendError::new)
}

/// Whether a statement was to add a column that is there already: SQLite has no words for "unless it is there".
fn adds_what_is_there(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().starts_with("duplicate column name"))
}

fn is_busy(error: &sqlx::Error) -> bool {
    // SQLITE_BUSY
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "5")
}

fn dialect() -> Dialect {
    Dialect {
        schema: String::new(),
        text: "TEXT",
        bytes: "BLOB",
        integer: "INTEGER",
        options: " STRICT, WITHOUT ROWID",
        add_column: "ADD COLUMN",
        with_client_secrets: "json_patch(stored, json_object('client_secret_hash', NULL, 'client_secret_expires_at', NULL, \
                              'client_secrets', json_array(json_patch('{}', json_object(\
                              'hash', json_extract(stored, '$.client_secret_hash'), \
                              'expires_at', json_extract(stored, '$.client_secret_expires_at'))))))",
        without_expiry: "json_remove(stored, '$.client_secret_expires_at')",
        elements: "json_each($1)",
        members: "json_each($1)",
        roles: "(SELECT json_group_object(held.value, json((SELECT resources FROM role WHERE id = held.value))) \
                FROM json_each(c.stored, '$.roles') AS held)"
            .into(),
        position: "instr",
        among: ["IN (", ")"],
        skip_locked: "",
    }
}

sql_store!(SqliteStore);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_that_a_check_or_a_purge_asks_reads_a_whole_table() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("clients.db")).await.unwrap();
        type Name = fn(&Statements) -> AssertSqlSafe<Arc<str>>;
        let statements: [(Name, &[&str]); 7] = [
            (Statements::find_token, &["t USING PRIMARY KEY (hash=?)", "r USING PRIMARY KEY (client_id=?)"]),
            (Statements::revoke_token, &["t USING PRIMARY KEY (hash=?)", "r USING PRIMARY KEY (client_id=?)"]),
            (
                Statements::is_denied,
                &["denial USING PRIMARY KEY (jti=?)", "revocation USING PRIMARY KEY (client_id=?)"],
            ),
            (Statements::list_tokens, &["t USING INDEX token_by_client (client_id=? AND expires_at>?)"]),
            (
                Statements::purge_tokens,
                &["token USING PRIMARY KEY (hash=?)", "token USING COVERING INDEX token_by_expiry"],
            ),
            (
                Statements::purge_denials,
                &["denial USING PRIMARY KEY (jti=?)", "denial USING COVERING INDEX denial_by_expiry"],
            ),
            (
                Statements::purge_claims,
                &["claim USING PRIMARY KEY (id=?)", "claim USING COVERING INDEX claim_by_expiry"],
            ),
        ];
        for (statement, searches) in statements {
            let explain = format!("EXPLAIN QUERY PLAN {}", statement(&store.statements).0);
            let plan: Vec<(i64, i64, i64, String)> =
                query_as(AssertSqlSafe(explain)).fetch_all(&store.readers).await.unwrap();
            let steps: Vec<_> = plan.into_iter().map(|(_, _, _, step)| step).collect();
            assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{steps:?}");
            for search in searches {
                assert!(steps.iter().any(|step| step.starts_with(&format!("SEARCH {search}"))), "{search}: {steps:?}");
            }
        }
        store.close().await;
    }
}
