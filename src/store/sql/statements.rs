use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::SCHEMA_VERSION;

/// The columns of a token, in the order of a [`TokenRow`](super::TokenRow).
const TOKEN: &str = "hash, client_id, scope, resources, api_key_label, audience, issued_at, expires_at";

/// What the two databases spell differently.
pub(in crate::store) struct Dialect {
    /// What stands before the name of a table.
    pub(in crate::store) schema: String,
    /// The type of a text that is compared and sorted by its bytes.
    pub(in crate::store) text: &'static str,
    pub(in crate::store) bytes: &'static str,
    pub(in crate::store) integer: &'static str,
    /// What stands after a table's columns.
    pub(in crate::store) options: &'static str,
    /// What adds a column to a table.
    pub(in crate::store) add_column: &'static str,
    /// The text of a client that has a `client_secret_hash`, with `client_secrets` in its place.
    pub(in crate::store) with_client_secrets: &'static str,
    /// The text of a client without its `client_secret_expires_at`.
    pub(in crate::store) without_expiry: &'static str,
    /// The JSON array `$1`, as a table of its `value`s.
    pub(in crate::store) elements: &'static str,
    /// The JSON object `$1`, as a table of its members, each a `key` and a `value`.
    pub(in crate::store) members: &'static str,
    /// What the roles of the client `c` give, as the text of a JSON object, with `null` for those that are not defined.
    /// Each is looked up by its key, however many roles there are.
    pub(in crate::store) roles: String,
    /// The function that finds the place of one text in another, from 1 on.
    pub(in crate::store) position: &'static str,
    /// Whether a value is among those of a query, which is put between the two. Where a planner could read the whole table
    /// instead of looking up each of them, this is what keeps it from that.
    pub(in crate::store) among: [&'static str; 2],
    /// What makes a purge leave alone what another one is about to delete.
    pub(in crate::store) skip_locked: &'static str,
}

/// Each statement is put together once.
macro_rules! statements {
    ($($name:ident = |$dialect:ident| $text:expr;)*) => {
        pub(in crate::store) struct Statements {
            $($name: Arc<str>,)*
        }

        impl Statements {
            pub(in crate::store) fn new(dialect: &Dialect) -> Self {
                Self { $($name: { let $dialect = dialect; $text.into() },)* }
            }

            $(
                // No value of a request is in any of these texts: values are bound.
                pub(in crate::store) fn $name(&self) -> AssertSqlSafe<Arc<str>> {
                    AssertSqlSafe(self.$name.clone())
                }
            )*
        }
    };
}

statements! {
    find_client = |d| format!("SELECT version, stored, {} FROM {}client AS c WHERE client_id = $1", d.roles, d.schema);
    existing_tenants = |d| {
        format!("SELECT name FROM {}tenant WHERE name IN (SELECT value FROM {})", d.schema, d.elements)
    };
    insert_client = |d| format!(
        "INSERT INTO {}client (client_id, client_name, version, stored) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        d.schema,
    );
    // `WHERE true` tells SQLite that what follows is no part of a join.
    insert_tenants = |d| format!(
        "INSERT INTO {}tenant (name) SELECT value FROM {} WHERE true ON CONFLICT DO NOTHING",
        d.schema, d.elements,
    );
    update_client = |d| format!(
        "UPDATE {}client SET client_name = $2, version = $3, stored = $4 WHERE client_id = $1 AND version = $5",
        d.schema,
    );
    delete_client = |d| format!("DELETE FROM {}client WHERE client_id = $1", d.schema);
    list_clients = |d| format!(
        "SELECT version, stored, {} FROM {}client AS c WHERE {} ORDER BY client_id LIMIT $2 OFFSET $3",
        d.roles, d.schema, named(d),
    );
    count_clients = |d| format!("SELECT count(*) FROM {}client WHERE {}", d.schema, named(d));
    define_role = |d| format!(
        "INSERT INTO {}role (id, resources) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET resources = excluded.resources",
        d.schema,
    );
    delete_role = |d| format!("DELETE FROM {}role WHERE id = $1", d.schema);
    list_roles = |d| {
        format!("SELECT id, resources FROM {}role WHERE id >= $1 AND id < $2 ORDER BY id", d.schema)
    };
    insert_token = |d| format!(
        "INSERT INTO {}token ({TOKEN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        d.schema,
    );
    find_token = |d| format!("{} WHERE hash = $1 AND {}", token(d), stands(d));
    revoke_token = |d| format!("DELETE FROM {}token AS t WHERE hash = $1 AND {}", d.schema, stands(d));
    // The date of a revocation never goes back.
    revoke_all = |d| format!(
        "INSERT INTO {0}revocation AS r (client_id, revoked_at) VALUES ($1, $2) \
         ON CONFLICT (client_id) DO UPDATE SET revoked_at = excluded.revoked_at WHERE r.revoked_at < excluded.revoked_at",
        d.schema,
    );
    deny = |d| format!("INSERT INTO {}denial (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING", d.schema);
    is_denied = |d| format!(
        "SELECT 1 FROM {0}denial WHERE jti = $1 \
         UNION ALL SELECT 1 FROM {0}revocation WHERE client_id = $2 AND revoked_at >= $3 LIMIT 1",
        d.schema,
    );
    list_tokens = |d| format!("{} WHERE client_id = $1 AND expires_at > $2 AND {}", token(d), stands(d));
    purge_tokens = |d| purge(d, "token", "hash", "expires_at");
    purge_denials = |d| purge(d, "denial", "jti", "expires_at");
    // An id can be claimed again once its claim has expired.
    claim = |d| format!(
        "INSERT INTO {0}claim AS c (id, expires_at) VALUES ($1, $2) \
         ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at WHERE c.expires_at <= $3",
        d.schema,
    );
    purge_claims = |d| purge(d, "claim", "id", "expires_at");
    // In one order, so that no two that record the same ids at once wait for each other for ever. The date of a use never
    // goes back.
    record_uses = |d| format!(
        "INSERT INTO {}last_use AS u (id, used_at) SELECT key, CAST(value AS {}) FROM {} WHERE true ORDER BY key \
         ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at WHERE u.used_at < excluded.used_at",
        d.schema, d.integer, d.members,
    );
    last_uses = |d| {
        let [from, to] = d.among;
        format!("SELECT id, used_at FROM {}last_use WHERE id {from}SELECT value FROM {}{to}", d.schema, d.elements)
    };
    purge_uses = |d| purge(d, "last_use", "id", "used_at");
}

/// Whether `$1` is in the identifier or in the name.
fn named(d: &Dialect) -> String {
    format!("({0}(client_id, $1) > 0 OR {0}(client_name, $1) > 0)", d.position)
}

fn token(d: &Dialect) -> String {
    format!("SELECT {TOKEN} FROM {}token AS t", d.schema)
}

/// Whether the token `t` has not been revoked with all others of its client.
fn stands(d: &Dialect) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM {}revocation AS r WHERE r.client_id = t.client_id AND r.revoked_at >= t.issued_at)",
        d.schema,
    )
}

/// Deletes at most `$2` rows whose time is `$1` or earlier.
fn purge(d: &Dialect, table: &str, key: &str, time: &str) -> String {
    let ([from, to], schema) = (d.among, &d.schema);
    let expired = format!("SELECT {key} FROM {schema}{table} WHERE {time} <= $1 ORDER BY {time} LIMIT $2");
    format!("DELETE FROM {schema}{table} WHERE {key} {from}{expired} {}{to}", d.skip_locked)
}

impl Dialect {
    /// What makes the tables: what each step adds to those of the step before, each statement such that it does nothing
    /// where it was done before. A step that was released stays as it is, since there are databases that were made by it.
    pub(in crate::store) fn steps(&self) -> [Vec<String>; SCHEMA_VERSION] {
        let Self { schema, text, bytes, integer, options, position, .. } = self;
        let Self { add_column, with_client_secrets, without_expiry, .. } = self;
        let table =
            |name: &str, columns: String| format!("CREATE TABLE IF NOT EXISTS {schema}{name} ({columns}){options}");
        // PostgreSQL puts an index into the schema of its table, and wants no schema in its name; SQLite has none.
        let index = |name: &str, on: &str| format!("CREATE INDEX IF NOT EXISTS {name} ON {schema}{on}");
        let first = vec![
            table(
                "client",
                format!(
                    "client_id {text} PRIMARY KEY, client_name {text}, version {integer} NOT NULL, stored {text} NOT NULL"
                ),
            ),
            table("role", format!("id {text} PRIMARY KEY, resources {text} NOT NULL")),
            table("tenant", format!("name {text} PRIMARY KEY")),
            table(
                "token",
                format!(
                    "hash {bytes} PRIMARY KEY, client_id {text} NOT NULL, scope {text}, resources {text} NOT NULL, \
                     issued_at {integer} NOT NULL, expires_at {integer} NOT NULL"
                ),
            ),
            index("token_by_client", "token (client_id, expires_at)"),
            index("token_by_expiry", "token (expires_at)"),
            table("revocation", format!("client_id {text} PRIMARY KEY, revoked_at {integer} NOT NULL")),
            table("claim", format!("id {bytes} PRIMARY KEY, expires_at {integer} NOT NULL")),
            index("claim_by_expiry", "claim (expires_at)"),
        ];
        let changed = |stored: &str, member: &str| {
            format!("UPDATE {schema}client SET stored = {stored} WHERE {position}(stored, '\"{member}\":') > 0")
        };
        let secrets_and_api_keys = vec![
            changed(with_client_secrets, "client_secret_hash"),
            // What is left is the expiry of no secret.
            changed(without_expiry, "client_secret_expires_at"),
            format!("ALTER TABLE {schema}token {add_column} api_key_label {text}"),
            table("last_use", format!("id {text} PRIMARY KEY, used_at {integer} NOT NULL")),
            index("last_use_by_time", "last_use (used_at)"),
        ];
        let audiences_and_denials = vec![
            format!("ALTER TABLE {schema}token {add_column} audience {text}"),
            table("denial", format!("jti {bytes} PRIMARY KEY, expires_at {integer} NOT NULL")),
            index("denial_by_expiry", "denial (expires_at)"),
        ];
        [first, secrets_and_api_keys, audiences_and_denials]
    }
}
