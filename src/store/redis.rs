mod counters;

use std::{collections::HashMap, error::Error, fmt, sync::Arc, time::Duration};

use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _, RedisError,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cmd, pipe,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::task::JoinSet;

use super::{
    Claim, ReplayStore, TokenStore,
    deadline::{DEADLINE, within},
    tokens::denied_until,
};
use crate::{Authorization, BackendError, Claims, ClientId, Scope, TokenHash};

/// Opaque tokens, which others are revoked, claimed ids, and counters in Redis 7 or newer, or in what speaks like it: for as
/// many servers as like.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use client_credentials::{
///     AnyClientStore, AnyTokenIssuer, AuthorizationServer, Config, MemoryStore, OpaqueIssuer, RedisStore,
/// };
///
/// let tokens = RedisStore::connect("redis://127.0.0.1").await?;
/// let clients = AnyClientStore::new(MemoryStore::default());
/// let server = AuthorizationServer::new(clients, AnyTokenIssuer::new(OpaqueIssuer::new(tokens)), Config::default());
/// # Ok(())
/// # }
/// ```
///
/// An opaque token costs one round trip to mint and two to look up, and another one, such as a JWT, one to check whether it is
/// revoked. Every key expires with what it is for, so that there is nothing
/// to purge; only the date up to which a client's tokens are revoked stays. No command, transaction or script has more than
/// one key, so that the keys may be anywhere in a Redis Cluster.
///
/// # Counters
///
/// It is a [`CounterStore`](crate::CounterStore) too, so that all instances have one limit of failures and one quota together.
/// Each call is one script, and so one round trip. With a throttle a mint takes four of them, which count an attempt for its client
/// and for its source and take both back, and none where the client is known by its source. Each quota is one more.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use client_credentials::{
///     AuthorizationServer, Config, MemoryStore, OpaqueIssuer, Quota, Quotas, RedisStore, Throttle,
/// };
///
/// let tokens = RedisStore::connect("redis://tokens.internal").await?;
/// let counters = RedisStore::connect("redis://counters.internal").await?;
/// let quotas = Quotas::default().with_default(Quota::per_hour(1000)?);
/// let server = AuthorizationServer::new(MemoryStore::default(), OpaqueIssuer::new(tokens), Config::default())
///     .with_throttle(Throttle::with_counters(counters.clone()))
///     .with_quotas(quotas, counters);
/// # Ok(())
/// # }
/// ```
///
/// Strangers make keys of failures by the identifiers that they invent, and each is kept for two windows at least. So where they
/// are many, counters belong in a Redis of their own, with `maxmemory` and a policy that evicts, such as `volatile-ttl`: to forget
/// a counter does less harm there than to have no room, while a Redis with tokens must not evict. The policy is that of a whole
/// Redis and not of one of its numbered databases, so in one for both it is `noeviction`.
///
/// # What Redis has to be told
///
/// Redis is fast because it promises little, and it is its configuration that decides what is lost:
///
/// - `appendonly yes` with `appendfsync always` keeps what was acknowledged, whatever happens to the process or the machine.
///   With `everysec` a crash of the machine loses about the last second, without either everything since the last snapshot.
/// - `maxmemory-policy noeviction` where tokens or claims are. Any other policy may forget a revocation or a claim when memory
///   gets scarce, and so lets revoked tokens live again and requests be replayed.
/// - Replicas are written to later. A failover may lose what was acknowledged shortly before: lost tokens are refused, but
///   lost revocations and claims are forgotten, as above. Nothing here reads from replicas, nor should the connection.
/// - Keys expire by Redis's clock. Where it is ahead of this machine's, tokens end early, and so do claims: a request
///   can then be replayed for as long as the clocks differ. That a JWT is revoked is kept a minute longer than the JWT counts,
///   so where the clocks differ by more than that it counts again for the rest.
///
/// The calls need a tokio runtime.
#[derive(Clone)]
pub struct RedisStore<C = ConnectionManager> {
    connection: C,
    prefix: Arc<str>,
    deadline: Duration,
}

/// Any failure, before it becomes the one of the interface.
type Failure = Box<dyn Error + Send + Sync>;

/// How many expired tokens of a client are cleared from its index at once: as few as nobody waits for, and more than come in
/// meanwhile.
const CLEARED_AT_ONCE: usize = 16;

/// How many tokens of a list are asked for at once, about.
const LISTED_AT_ONCE: usize = 100;

/// The form of the rows of tokens that are for whoever the issuer's tokens are for.
const ROW_VERSION: u32 = 1;

/// The form of the rows of tokens with an audience. A version of this crate that knows no audiences knows no such rows either:
/// it would let the token in where it is not meant for.
const ROW_VERSION_WITH_AUDIENCE: u32 = 2;

impl RedisStore {
    /// Connects to `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`, and again whenever the connection is lost. A call in
    /// between is an error.
    ///
    /// For TLS or a cluster, make a connection with the crate `redis` and its features, and give it to [`new`](Self::new).
    ///
    /// # Errors
    /// When the URL is malformed, or Redis is not there within two seconds.
    pub async fn connect(url: &str) -> Result<Self, BackendError> {
        let info = url.into_connection_info().map_err(BackendError::new)?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        // Or a peer that went without a word would be taken for a slow one, for many minutes.
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(DEADLINE);
        let client = Client::open(info.set_tcp_settings(tcp)).map_err(BackendError::new)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(2)
            .set_max_delay(Duration::from_millis(100))
            .set_connection_timeout(Some(DEADLINE))
            // It is the deadline of the call that counts.
            .set_response_timeout(None);
        Ok(Self::new(within(DEADLINE, client.get_connection_manager_with_config(config)).await?))
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisStore<C> {
    /// Over a connection of the host's, which many calls share by clones of it.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self { connection, prefix: "client-credentials:".into(), deadline: DEADLINE }
    }

    /// What all keys start with; `client-credentials:` unless said. Servers that share their tokens share it.
    #[must_use]
    pub fn with_prefix(self, prefix: &str) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// How long a call may take before it is an error; two seconds unless said. A list may take that for every hundred
    /// tokens.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    fn key(&self, kind: &str, of: &str) -> String {
        format!("{}{kind}:{of}", self.prefix)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        command.query_async(&mut self.connection.clone()).await.map_err(failure)
    }

    async fn keep_row(&self, member: &str, claims: &Claims) -> Result<(), Failure> {
        let mut set = cmd("SET");
        set.arg(self.key("token", member)).arg(serde_json::to_vec(&Row::of(claims))?);
        self.ask(set.arg("PXAT").arg(milliseconds(claims.expires_at()))).await
    }

    /// Has the token listed among its client's, and clears some of those that have expired.
    async fn keep_member(&self, member: &str, claims: &Claims) -> Result<(), Failure> {
        let key = self.key("client", claims.client_id().as_str());
        let expiry = milliseconds(claims.expires_at());
        let mut pipe = pipe();
        pipe.atomic().cmd("ZADD").arg(&key).arg(expiry).arg(member).ignore();
        // The key goes with the last of its members: one that has no expiry gets this, and one that has, the later.
        pipe.cmd("PEXPIREAT").arg(&key).arg(expiry).arg("NX").ignore();
        pipe.cmd("PEXPIREAT").arg(&key).arg(expiry).arg("GT").ignore();
        let before = format!("({}", milliseconds(claims.issued_at()));
        pipe.cmd("ZRANGE").arg(&key).arg("-inf").arg(before).arg("BYSCORE");
        pipe.arg("LIMIT").arg(0).arg(CLEARED_AT_ONCE);
        let (expired,): (Vec<String>,) = pipe.query_async(&mut self.connection.clone()).await.map_err(failure)?;
        if expired.len() < CLEARED_AT_ONCE {
            return Ok(());
        }
        self.ask(cmd("ZREM").arg(&key).arg(expired)).await
    }

    /// What `command` answers for the row of a token.
    async fn row(&self, command: &str, member: &str) -> Result<Option<Claims>, Failure> {
        let row: Option<Vec<u8>> = self.ask(cmd(command).arg(self.key("token", member))).await?;
        row.map(|row| Row::parse(&row)).transpose()
    }

    /// The same, where the token was not revoked with all others of its client. The date is read after the row: a revocation
    /// that was there when the row was read is seen.
    async fn standing(&self, command: &str, member: &str) -> Result<Option<Claims>, Failure> {
        let Some(claims) = self.row(command, member).await? else {
            return Ok(None);
        };
        let revoked = self.revoked(claims.client_id()).await?;
        Ok(Some(claims).filter(|claims| stands(claims, revoked)))
    }

    /// Up to when all tokens of a client are revoked.
    ///
    /// The dates are members of one score, which Redis sorts as texts: the last one is the latest, so that adding one never
    /// goes back, and no script has to compare them.
    async fn revoked(&self, client_id: &ClientId) -> Result<Option<OffsetDateTime>, Failure> {
        let key = self.key("revoked", client_id.as_str());
        let last: Vec<String> = self.ask(cmd("ZRANGE").arg(key).arg(-1).arg(-1)).await?;
        last.first().map(|date| parse_date(date)).transpose()
    }

    async fn keep_revoked(&self, client_id: &ClientId, at: OffsetDateTime) -> Result<(), Failure> {
        let key = self.key("revoked", client_id.as_str());
        let mut pipe = pipe();
        pipe.cmd("ZADD").arg(&key).arg(0).arg(date(at)).ignore();
        pipe.cmd("ZREMRANGEBYRANK").arg(&key).arg(0).arg(-2).ignore();
        pipe.query_async(&mut self.connection.clone()).await.map_err(failure)
    }

    /// Some tokens of an index, and where to go on unless that is 0. Those whose rows are gone are left out.
    async fn part(&self, index: &str, cursor: u64) -> Result<(u64, Vec<(TokenHash, Claims)>), Failure> {
        let mut scan = cmd("ZSCAN");
        scan.arg(index).arg(cursor).arg("COUNT").arg(LISTED_AT_ONCE);
        let (next, scored): (u64, Vec<(String, String)>) = self.ask(&scan).await?;
        let mut rows = JoinSet::new();
        for (member, _) in scored {
            let (store, hash) = (self.clone(), member.parse()?);
            rows.spawn(async move {
                let row = store.row("GET", &member).await?;
                Ok::<_, Failure>(row.map(|claims| (hash, claims)))
            });
        }
        let mut part = Vec::new();
        while let Some(row) = rows.join_next().await {
            part.extend(row??);
        }
        Ok((next, part))
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection: _, prefix, deadline } = self;
        f.debug_struct("RedisStore").field("prefix", prefix).field("deadline", deadline).finish_non_exhaustive()
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> TokenStore for RedisStore<C> {
    /// Both keys are written at the same time. Where only one of them is, the call fails, so nobody has the token.
    async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
        let member = hash.to_text();
        let both = async { tokio::try_join!(self.keep_row(&member, &claims), self.keep_member(&member, &claims)) };
        within(self.deadline, both).await.map(drop)
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
        within(self.deadline, self.standing("GET", &hash.to_text())).await
    }

    async fn revoke(&self, hash: &TokenHash) -> Result<bool, BackendError> {
        Ok(within(self.deadline, self.standing("GETDEL", &hash.to_text())).await?.is_some())
    }

    async fn revoke_all(&self, client_id: &ClientId, at: OffsetDateTime) -> Result<(), BackendError> {
        within(self.deadline, self.keep_revoked(client_id, at)).await
    }

    async fn deny(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
        let mut set = cmd("SET");
        set.arg(self.key("denied", &jti.to_text())).arg(1).arg("NX");
        set.arg("PXAT").arg(milliseconds(denied_until(claims)));
        let set: Option<String> = within(self.deadline, self.ask(&set)).await?;
        Ok(set.is_some())
    }

    async fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
        let exists = cmd("EXISTS").arg(self.key("denied", &jti.to_text())).to_owned();
        let both = async { tokio::try_join!(self.ask::<bool>(&exists), self.revoked(claims.client_id())) };
        let (denied, revoked) = within(self.deadline, both).await?;
        Ok(denied || !stands(claims, revoked))
    }

    async fn list_tokens(
        &self,
        client_id: &ClientId,
        now: OffsetDateTime,
    ) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
        let index = self.key("client", client_id.as_str());
        // Redis may name a member twice while an index grows.
        let mut tokens = HashMap::new();
        let mut cursor = 0;
        loop {
            let (next, part) = within(self.deadline, self.part(&index, cursor)).await?;
            tokens.extend(part);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let revoked = within(self.deadline, self.revoked(client_id)).await?;
        let live = |claims: &Claims| claims.expires_at() > now && stands(claims, revoked);
        Ok(tokens.into_iter().filter(|(_, claims)| live(claims)).collect())
    }

    /// Nothing: Redis forgets by itself.
    async fn purge_expired(&self, _: OffsetDateTime, _: usize) -> Result<usize, BackendError> {
        Ok(0)
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> ReplayStore for RedisStore<C> {
    async fn claim(&self, id: &str, _: OffsetDateTime, expires_at: OffsetDateTime) -> Result<Claim, BackendError> {
        // Strangers choose the ids; their hashes are short.
        let key = self.key("claim", &TokenHash::of(id).to_text());
        let mut set = cmd("SET");
        set.arg(key).arg(1).arg("NX").arg("PXAT").arg(milliseconds(expires_at));
        let set: Option<String> = within(self.deadline, self.ask(&set)).await?;
        Ok(if set.is_some() { Claim::First } else { Claim::Replayed })
    }
}

/// What is kept of a token.
#[derive(Serialize, Deserialize)]
struct Row {
    version: u32,
    client_id: ClientId,
    scope: Option<Scope>,
    authorization: Authorization,
    api_key_label: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    audience: Vec<String>,
    /// In nanoseconds since 1970.
    issued_at: i128,
    /// In nanoseconds since 1970.
    expires_at: i128,
}

impl Row {
    fn of(claims: &Claims) -> Self {
        Self {
            version: Self::version(claims.audience()),
            client_id: claims.client_id().clone(),
            scope: claims.scope().cloned(),
            authorization: claims.authorization().clone(),
            api_key_label: claims.api_key_label().map(String::from),
            audience: claims.audience().to_vec(),
            issued_at: claims.issued_at().unix_timestamp_nanos(),
            expires_at: claims.expires_at().unix_timestamp_nanos(),
        }
    }

    const fn version(audience: &[String]) -> u32 {
        if audience.is_empty() { ROW_VERSION } else { ROW_VERSION_WITH_AUDIENCE }
    }

    fn parse(json: &[u8]) -> Result<Claims, Failure> {
        // Without the cause, which would name what is in the row.
        let row: Option<Self> = serde_json::from_slice(json).ok();
        let row = row
            .filter(|row| row.version == Self::version(&row.audience))
            .ok_or("a token's row is not of the form known here")?;
        let issued_at = OffsetDateTime::from_unix_timestamp_nanos(row.issued_at)?;
        let expires_at = OffsetDateTime::from_unix_timestamp_nanos(row.expires_at)?;
        let claims = Claims::new(row.client_id, issued_at, expires_at);
        let claims = claims.with_scope(row.scope).with_authorization(row.authorization);
        Ok(claims.with_api_key_label(row.api_key_label).with_audience(row.audience))
    }
}

fn stands(claims: &Claims, revoked: Option<OffsetDateTime>) -> bool {
    revoked.is_none_or(|at| claims.issued_at() > at)
}

/// Added to a date, so that none is negative: more nanoseconds than there are between 1970 and any date.
const BEFORE_ALL_DATES: i128 = 10_i128.pow(23);

/// A date as a text that is sorted like the date itself.
fn date(at: OffsetDateTime) -> String {
    format!("{:024}", at.unix_timestamp_nanos() + BEFORE_ALL_DATES)
}

fn parse_date(text: &str) -> Result<OffsetDateTime, Failure> {
    let nanoseconds = text.parse::<i128>().map_err(|_| "a date of revocation is not of the form known here")?;
    Ok(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds.saturating_sub(BEFORE_ALL_DATES))?)
}

/// Since 1970, rounded up, as Redis takes it: never 0, and far below where it would not be exact as the score of a member.
fn milliseconds(at: OffsetDateTime) -> i64 {
    let milliseconds = (at.unix_timestamp_nanos() + 999_999).div_euclid(1_000_000);
    i64::try_from(milliseconds.max(1)).unwrap_or(i64::MAX)
}

/// What failed, but not the text of an answer that was not understood: it may be a row.
fn failure(error: RedisError) -> Failure {
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            "Redis answered with something else than it should".into()
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_sorted_as_texts() {
        let dates = [i64::MIN, -1_000_000_001, -1, 0, 1, 999, 1_790_000_000_123_456_789, i64::MAX];
        let dates = dates.map(|n| OffsetDateTime::from_unix_timestamp_nanos(n.into()).unwrap());
        let ends = [time::Date::MIN, time::Date::MAX].map(|date| date.midnight().assume_utc());
        let texts: Vec<_> = [&ends[..1], &dates, &ends[1..]].concat().into_iter().map(|at| (at, date(at))).collect();
        assert!(texts.is_sorted_by(|(a, one), (b, other)| a < b && one < other && one.len() == other.len()));
        for (at, text) in texts {
            assert_eq!(parse_date(&text).unwrap(), at);
        }
    }

    #[test]
    fn an_expiry_is_rounded_up() {
        for (nanoseconds, expected) in [(-5_000_000, 1), (0, 1), (1_000_000, 1), (1_000_001, 2), (2_999_999, 3)] {
            assert_eq!(milliseconds(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap()), expected);
        }
    }
}
