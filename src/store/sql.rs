//! What the stores in SQLite and in PostgreSQL have in common: the tables, the statements, and the calls that use them.
//!
//! Clients and roles are kept as JSON texts, and versions are random numbers, so that no sequence has to be shared. Times are
//! nanoseconds since 1970. Nothing here needs more than one row of one table to be right, except that a client's tenants are
//! written with it.

mod statements;

use std::collections::{BTreeMap, HashMap};

use serde::de::DeserializeOwned;
use time::OffsetDateTime;

pub(super) use statements::{Dialect, Statements};

use crate::{BackendError, Claims, Client, ClientId, RandomSource, Resources, Role, RoleId, Scope, TokenHash, Version};

/// The version of the tables: how many steps it takes to make them. A database with a higher one was written by a newer
/// version of this crate, and is refused.
pub(super) const SCHEMA_VERSION: usize = 3;

/// How many rows a statement deletes at most, so that others get in between.
pub(super) const DELETED_AT_ONCE: usize = 500;

/// A client's version, its text, and its roles as `{"ID": [RESOURCE, …] or null, …}`.
pub(super) type ClientRow = (i64, String, String);

/// A token's hash, client, scope, authorization map, label if it is an API key, audience as a JSON array if it has one, and the
/// times of its issue and its expiry.
pub(super) type TokenRow = (Vec<u8>, String, Option<String>, String, Option<String>, Option<String>, i64, i64);

pub(super) fn client((_, stored, roles): &ClientRow) -> Result<Client, BackendError> {
    let mut roles: BTreeMap<RoleId, Option<Resources>> = parsed(roles)?;
    Ok(Client::from_stored(stored)?.with_roles_resolved(|id| roles.remove(id).flatten()))
}

pub(super) fn role((id, resources): &(String, String)) -> Result<Role, BackendError> {
    Ok(Role::from_parts(id.parse()?, parsed(resources)?))
}

pub(super) fn token(
    (hash, client_id, scope, authorization, api_key_label, audience, issued_at, expires_at): TokenRow,
) -> Result<(TokenHash, Claims), BackendError> {
    let hash = hash.try_into().map_err(|_| BackendError::new("a token's hash is not of its length"))?;
    let claims = Claims::new(ClientId::parse(client_id)?, time(issued_at), time(expires_at))
        .with_scope(scope.map(Scope::parse).transpose()?)
        .with_authorization(parsed(&authorization)?)
        .with_api_key_label(api_key_label)
        .with_audience(audience.map_or_else(|| Ok(Vec::<String>::new()), |audience| parsed(&audience))?);
    Ok((TokenHash::from_bytes(hash), claims))
}

fn parsed<T: DeserializeOwned>(json: &str) -> Result<T, BackendError> {
    // Without the cause, which would name what is in the row.
    serde_json::from_str(json).map_err(|_| BackendError::new("a row is not of the form known here"))
}

/// Nanoseconds since 1970: from 1677 to 2262, and what is beyond counts as the end.
pub(super) fn nanoseconds(at: OffsetDateTime) -> i64 {
    let nanoseconds = at.unix_timestamp_nanos();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

fn time(nanoseconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time::Duration::nanoseconds(nanoseconds)
}

/// The last of the uses of each id.
pub(super) fn latest(uses: &[(String, OffsetDateTime)]) -> BTreeMap<&str, i64> {
    let mut latest = BTreeMap::new();
    for (id, at) in uses {
        let (kept, at) = (latest.entry(id.as_str()).or_insert(i64::MIN), nanoseconds(*at));
        *kept = at.max(*kept);
    }
    latest
}

/// The last use of each of these ids, as the rows say.
pub(super) fn uses(rows: &[(String, i64)], ids: &[String]) -> Vec<Option<OffsetDateTime>> {
    let rows: HashMap<&str, i64> = rows.iter().map(|(id, used_at)| (id.as_str(), *used_at)).collect();
    ids.iter().map(|id| rows.get(id.as_str()).copied().map(time)).collect()
}

/// A version that was never given before and will not be again, by chance alone: one of 2⁶³.
pub(super) fn new_version() -> Result<i64, BackendError> {
    let mut bytes = [0; 8];
    RandomSource::default().fill(&mut bytes)?;
    Ok(i64::from_ne_bytes(bytes) & i64::MAX)
}

/// How many steps a database has behind it. What no version of this crate has written counts as one of a newer version.
pub(super) fn steps_taken(schema_version: i64) -> usize {
    usize::try_from(schema_version).unwrap_or(usize::MAX)
}

pub(super) const fn version(number: i64) -> Version {
    Version::new(number.cast_unsigned())
}

/// As a bound of a statement.
pub(super) fn bound(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Implements the traits of stores for a type with the pools `readers` and `writer`, `statements`, and a `deadline`: the two
/// databases differ in their types, but not in what is done.
macro_rules! sql_store {
    ($store:ty) => {
        impl $store {
            async fn client_row(&self, client_id: &str) -> Result<Option<ClientRow>, BackendError> {
                // PostgreSQL has no texts with a NUL in them, and would call it an error to ask for one.
                if !is_client_id(client_id) {
                    return Ok(None);
                }
                let find = query_as(self.statements.find_client()).bind(client_id).fetch_optional(&self.readers);
                within(self.deadline, find).await
            }

            /// Runs a statement that needs no other, and says how many rows it has changed.
            async fn execute(
                &self,
                query: Query<'_, Database, <Database as sqlx::Database>::Arguments>,
            ) -> Result<u64, BackendError> {
                let done = within(self.deadline, query.execute(&self.writer)).await?;
                Ok(done.rows_affected())
            }

            /// Makes the tenants of a client exist.
            async fn insert_tenants(
                &self,
                client: &Client,
                writing: &mut Transaction<'_, Database>,
            ) -> Result<(), sqlx::Error> {
                if !client.tenants().is_empty() {
                    let tenants = json::text(&client.tenants());
                    query(self.statements.insert_tenants()).bind(tenants).execute(&mut **writing).await?;
                }
                Ok(())
            }
        }

        impl ClientStore for $store {
            async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
                let row = self.client_row(client_id).await?;
                row.map(|row| sql::client(&row).map(Arc::new)).transpose()
            }

            async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
                let tenants = json::text(&tenants);
                let find = query_scalar(self.statements.existing_tenants()).bind(tenants).fetch_all(&self.readers);
                let names: Vec<String> = within(self.deadline, find).await?;
                Ok(names.into_iter().map(TenantName::parse).collect::<Result<_, _>>()?)
            }
        }

        impl ClientRegistry for $store {
            async fn register(&self, client: Client) -> Result<Registered, BackendError> {
                let version = sql::new_version()?;
                let register = async {
                    let mut writing = self.writer.begin().await?;
                    let insert = query(self.statements.insert_client())
                        .bind(client.client_id().as_str())
                        .bind(client.client_name())
                        .bind(version)
                        .bind(client.to_stored());
                    if insert.execute(&mut *writing).await?.rows_affected() == 0 {
                        return Ok(Registered::Exists);
                    }
                    self.insert_tenants(&client, &mut writing).await?;
                    writing.commit().await?;
                    Ok::<_, sqlx::Error>(Registered::New(sql::version(version)))
                };
                within(self.deadline, register).await
            }

            async fn read(&self, client_id: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
                let row = self.client_row(client_id.as_str()).await?;
                row.map(|row| Ok((sql::client(&row)?, sql::version(row.0)))).transpose()
            }

            async fn update(&self, client: Client, version: Version) -> Result<Updated, BackendError> {
                let new = sql::new_version()?;
                let update = async {
                    let mut writing = self.writer.begin().await?;
                    let update = query(self.statements.update_client())
                        .bind(client.client_id().as_str())
                        .bind(client.client_name())
                        .bind(new)
                        .bind(client.to_stored())
                        .bind(version.number().cast_signed());
                    if update.execute(&mut *writing).await?.rows_affected() == 0 {
                        let exists = query(self.statements.find_client()).bind(client.client_id().as_str());
                        let exists = exists.fetch_optional(&mut *writing).await?.is_some();
                        return Ok(if exists { Updated::Stale } else { Updated::Unknown });
                    }
                    self.insert_tenants(&client, &mut writing).await?;
                    writing.commit().await?;
                    Ok::<_, sqlx::Error>(Updated::Done(sql::version(new)))
                };
                within(self.deadline, update).await
            }

            async fn delete(&self, client_id: &ClientId) -> Result<bool, BackendError> {
                Ok(self.execute(query(self.statements.delete_client()).bind(client_id.as_str())).await? > 0)
            }

            async fn list_clients(
                &self,
                filter: &str,
                skip: usize,
                most: usize,
            ) -> Result<(Vec<Client>, usize), BackendError> {
                let list = query_as(self.statements.list_clients())
                    .bind(filter)
                    .bind(sql::bound(most))
                    .bind(sql::bound(skip))
                    .fetch_all(&self.readers);
                let rows: Vec<ClientRow> = within(self.deadline, list).await?;
                let count = query_scalar(self.statements.count_clients()).bind(filter).fetch_one(&self.readers);
                let count: i64 = within(self.deadline, count).await?;
                let clients = rows.iter().map(sql::client).collect::<Result<_, _>>()?;
                Ok((clients, usize::try_from(count).unwrap_or_default()))
            }

            async fn define_tenant(&self, tenant: TenantName) -> Result<(), BackendError> {
                self.execute(query(self.statements.insert_tenants()).bind(json::text(&[tenant]))).await?;
                Ok(())
            }

            async fn define_role(&self, role: Role) -> Result<(), BackendError> {
                let define = query(self.statements.define_role()).bind(role.id().as_str());
                self.execute(define.bind(json::text(role.resources()))).await?;
                Ok(())
            }

            async fn delete_role(&self, id: &RoleId) -> Result<bool, BackendError> {
                Ok(self.execute(query(self.statements.delete_role()).bind(id.as_str())).await? > 0)
            }

            async fn list_roles(&self, tenant: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
                let tenant = tenant.map_or("*", TenantName::as_str);
                // All ids of the tenant are between these two: `0` comes after `/`.
                let (from, to) = (format!("{tenant}/"), format!("{tenant}0"));
                let list = query_as(self.statements.list_roles()).bind(from).bind(to).fetch_all(&self.readers);
                let rows: Vec<(String, String)> = within(self.deadline, list).await?;
                rows.iter().map(sql::role).collect()
            }

            async fn record_uses(&self, uses: &[(String, OffsetDateTime)]) -> Result<(), BackendError> {
                let uses = json::text(&sql::latest(uses));
                self.execute(query(self.statements.record_uses()).bind(uses)).await?;
                Ok(())
            }

            async fn last_uses(&self, ids: &[String]) -> Result<Vec<Option<OffsetDateTime>>, BackendError> {
                let find = query_as(self.statements.last_uses()).bind(json::text(&ids)).fetch_all(&self.readers);
                let rows: Vec<(String, i64)> = within(self.deadline, find).await?;
                Ok(sql::uses(&rows, ids))
            }
        }

        impl TokenStore for $store {
            async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
                let insert = query(self.statements.insert_token())
                    .bind(hash.as_bytes().as_slice())
                    .bind(claims.client_id().as_str())
                    .bind(claims.scope().map(Scope::as_str))
                    .bind(json::text(claims.authorization()))
                    .bind(claims.api_key_label())
                    .bind((!claims.audience().is_empty()).then(|| json::text(&claims.audience())))
                    .bind(sql::nanoseconds(claims.issued_at()))
                    .bind(sql::nanoseconds(claims.expires_at()));
                self.execute(insert).await?;
                Ok(())
            }

            async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
                let find = query_as(self.statements.find_token()).bind(hash.as_bytes().as_slice());
                let row: Option<TokenRow> = within(self.deadline, find.fetch_optional(&self.readers)).await?;
                row.map(|row| Ok(sql::token(row)?.1)).transpose()
            }

            async fn revoke(&self, hash: &TokenHash) -> Result<bool, BackendError> {
                Ok(self.execute(query(self.statements.revoke_token()).bind(hash.as_bytes().as_slice())).await? > 0)
            }

            async fn revoke_all(&self, client_id: &ClientId, at: OffsetDateTime) -> Result<(), BackendError> {
                let revoke = query(self.statements.revoke_all()).bind(client_id.as_str()).bind(sql::nanoseconds(at));
                self.execute(revoke).await?;
                Ok(())
            }

            async fn deny(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
                let deny = query(self.statements.deny())
                    .bind(jti.as_bytes().as_slice())
                    .bind(sql::nanoseconds(denied_until(claims)));
                Ok(self.execute(deny).await? > 0)
            }

            async fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
                let find = query(self.statements.is_denied())
                    .bind(jti.as_bytes().as_slice())
                    .bind(claims.client_id().as_str())
                    .bind(sql::nanoseconds(claims.issued_at()));
                Ok(within(self.deadline, find.fetch_optional(&self.readers)).await?.is_some())
            }

            async fn list_tokens(
                &self,
                client_id: &ClientId,
                now: OffsetDateTime,
            ) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
                let list = query_as(self.statements.list_tokens()).bind(client_id.as_str()).bind(sql::nanoseconds(now));
                let rows: Vec<TokenRow> = within(self.deadline, list.fetch_all(&self.readers)).await?;
                rows.into_iter().map(sql::token).collect()
            }

            async fn purge_expired(&self, now: OffsetDateTime, most: usize) -> Result<usize, BackendError> {
                let mut purged = 0;
                let purges: [(fn(&Statements) -> _, _); 4] = [
                    (Statements::purge_tokens, now),
                    (Statements::purge_denials, now),
                    (Statements::purge_claims, now),
                    (Statements::purge_uses, forgotten_uses(now)),
                ];
                for (purge, until) in purges {
                    // A few at a time, so that mints get in between.
                    while purged < most {
                        let part = sql::DELETED_AT_ONCE.min(most - purged);
                        let purge = query(purge(&self.statements)).bind(sql::nanoseconds(until)).bind(sql::bound(part));
                        let deleted = usize::try_from(self.execute(purge).await?).unwrap_or(part);
                        purged += deleted;
                        if deleted < part {
                            break;
                        }
                    }
                }
                Ok(purged)
            }
        }

        impl ReplayStore for $store {
            async fn claim(
                &self,
                id: &str,
                now: OffsetDateTime,
                expires_at: OffsetDateTime,
            ) -> Result<Claim, BackendError> {
                let claim = query(self.statements.claim())
                    .bind(TokenHash::of(id).as_bytes().as_slice())
                    .bind(sql::nanoseconds(expires_at))
                    .bind(sql::nanoseconds(now));
                Ok(if self.execute(claim).await? == 1 { Claim::First } else { Claim::Replayed })
            }
        }
    };
}

pub(super) use sql_store;
