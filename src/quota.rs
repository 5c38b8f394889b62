//! How many tokens clients and tenants get.

mod count;
mod file;
mod rate_limit;

use std::{collections::HashMap, fmt, str::FromStr};

use time::{Duration, OffsetDateTime};

use crate::{Claims, ClientId, CounterKey, ParseError, TenantName};
pub use rate_limit::RateLimit;

/// How many tokens clients and tenants may get in a time; the host gives it to
/// [`AuthorizationServer::with_quotas`](crate::AuthorizationServer::with_quotas).
///
/// It deserializes from the section `quota` of any format that serde reads, as [`Config`](crate::Config) does from its own:
///
/// ```
/// use client_credentials::Quotas;
/// use config::{File, FileFormat};
///
/// let file = "[quota]\ndefault = 1000/h\nthresholds = 80 100\n\
///             [quota:client]\nbilling = 5000/d\n[quota:tenant]\nacme = 100000/d\n";
/// let file = config::Config::builder().add_source(File::from_str(file, FileFormat::Ini)).build()?;
/// let quotas: Quotas = file.try_deserialize()?;
/// # assert!(!quotas.is_empty());
/// # Ok::<(), config::ConfigError>(())
/// ```
///
/// | key | default | meaning |
/// | --- | --- | --- |
/// | `default` | `unlimited` | the [`Quota`] of each client that has none of its own |
/// | `client:ID` | | the quota of this client, or `unlimited` |
/// | `tenant:NAME` | | the quota of this tenant, for tokens of all clients together |
/// | `monitor_only` | `false` | whether a token that is too many is issued all the same, and only the audit is told |
/// | `thresholds` | `80 100` | at how many percent of a quota the audit is told |
///
/// INI ends a key at its first colon, so there the quotas of clients and tenants are in the sections `quota:client` and `quota:tenant`
/// of the same file, each with its name as the key: `billing = 5000/d`.
///
/// A token counts once for its client and once for each of its tenants. Where one of these has none left, there is no token and
/// nothing is counted: 429, with `Retry-After` until the window ends, or the last one of those that have none left. Windows are
/// the hours and the days of UTC. A token whose caller went away while it was made stays counted.
///
/// All of a quota can be used up in the last second of a window, and it comes back to everybody at once, at the full hour or at
/// midnight. So choose quotas by what the server and the APIs can take when all of it is asked for at once, before and after the
/// end of a window: what is said to be left does not get less towards the end (§6 of the draft below asks not to tell clients of a
/// volume that is unwanted).
///
/// Every reply with a token, and every such refusal, says in `RateLimit-Policy` which quotas the token is for, and in `RateLimit` what is
/// left of the one that has the least left (draft-ietf-httpapi-ratelimit-headers-10), unless quotas only monitor. A client's is
/// called `client`, and a tenant's `tenant:NAME`. A `RateLimit-Policy` longer than 2 KiB, for a token of dozens of tenants with
/// quotas, is left out: servers in front might not take the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    default: Option<Quota>,
    clients: HashMap<ClientId, Option<Quota>>,
    tenants: HashMap<TenantName, Quota>,
    monitor_only: bool,
    thresholds: Vec<u8>,
}

impl Default for Quotas {
    fn default() -> Self {
        let (clients, tenants) = (HashMap::new(), HashMap::new());
        Self { default: None, clients, tenants, monitor_only: false, thresholds: vec![80, 100] }
    }
}

impl Quotas {
    /// Sets the quota of each client that has none of its own; `None`: it is unlimited.
    #[must_use]
    pub fn with_default(self, quota: impl Into<Option<Quota>>) -> Self {
        Self { default: quota.into(), ..self }
    }

    /// Sets the quota of a client; `None`: it is unlimited, whatever the default.
    #[must_use]
    pub fn with_client(mut self, client_id: ClientId, quota: impl Into<Option<Quota>>) -> Self {
        self.clients.insert(client_id, quota.into());
        self
    }

    /// Sets the quota of a tenant, for tokens of all clients together.
    #[must_use]
    pub fn with_tenant(mut self, tenant: TenantName, quota: Quota) -> Self {
        self.tenants.insert(tenant, quota);
        self
    }

    /// Sets whether a token that is too many is issued all the same, and only the audit is told.
    #[must_use]
    pub fn with_monitor_only(self, monitor_only: bool) -> Self {
        Self { monitor_only, ..self }
    }

    /// Sets at how many percent of a quota the audit is told, once in each window.
    #[must_use]
    pub fn with_thresholds(self, thresholds: impl IntoIterator<Item = u8>) -> Self {
        Self { thresholds: thresholds.into_iter().collect(), ..self }
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.clients.values().all(Option::is_none) && self.tenants.is_empty()
    }

    /// The quotas that a token is for.
    fn of<'a>(&'a self, claims: &'a Claims) -> impl Iterator<Item = (CounterKey<'a>, Quota)> {
        let id = claims.client_id();
        let client = self.clients.get(id).copied().unwrap_or(self.default);
        let client = client.map(|quota| (CounterKey::Client(id.as_str()), quota));
        // Most servers have no quotas of tenants, and need not look at those of a token.
        let tenants = (!self.tenants.is_empty()).then(|| claims.authorization().tenants());
        let tenant = |name: &'a TenantName| Some((CounterKey::Tenant(name.as_str()), *self.tenants.get(name)?));
        client.into_iter().chain(tenants.into_iter().flatten().filter_map(move |(name, _)| tenant(name)))
    }

    /// The same, those first whose windows end later: where several are used up, it is the first of them that refuses, and so the
    /// one that lasts longest.
    fn latest_first<'a>(&'a self, claims: &'a Claims) -> impl Iterator<Item = (CounterKey<'a>, Quota)> {
        let of = |window| self.of(claims).filter(move |(_, quota)| quota.window == window);
        of(Window::Day).chain(of(Window::Hour))
    }
}

/// So many tokens in an hour or in a day of UTC: as a text `1000/h` or `20000/d`.
///
/// ```
/// use client_credentials::Quota;
///
/// assert_eq!("1000/h".parse(), Ok(Quota::per_hour(1000)?));
/// assert_eq!(Quota::per_day(20_000)?.to_string(), "20000/d");
/// assert!(Quota::per_day(0).is_err() && "1000/m".parse::<Quota>().is_err());
/// # Ok::<(), client_credentials::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    tokens: u64,
    window: Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Hour,
    Day,
}

const EXPECTED: &str = "a quota is a number above zero, below 10^15, and `/h` or `/d`, such as `1000/h`";

impl Quota {
    /// So many tokens in an hour.
    ///
    /// # Errors
    /// When it is none, or 10^15 or more, which such a header cannot say (RFC 9651 §3.3.1).
    pub fn per_hour(tokens: u64) -> Result<Self, ParseError> {
        Self::new(tokens, Window::Hour)
    }

    /// So many tokens in a day.
    ///
    /// # Errors
    /// When it is none, or 10^15 or more, which such a header cannot say (RFC 9651 §3.3.1).
    pub fn per_day(tokens: u64) -> Result<Self, ParseError> {
        Self::new(tokens, Window::Day)
    }

    fn new(tokens: u64, window: Window) -> Result<Self, ParseError> {
        let is_sayable = (1..1_000_000_000_000_000).contains(&tokens);
        if is_sayable { Ok(Self { tokens, window }) } else { Err(ParseError(EXPECTED)) }
    }

    const fn seconds(self) -> i64 {
        match self.window {
            Window::Hour => 3600,
            Window::Day => 24 * 3600,
        }
    }

    /// When the window ends that this time is in.
    fn ends_at(self, now: OffsetDateTime) -> OffsetDateTime {
        let left = self.seconds() - now.unix_timestamp().rem_euclid(self.seconds());
        now.saturating_add(Duration::seconds(left) - Duration::nanoseconds(now.nanosecond().into()))
    }

    /// How many tokens are so many percent of it, rounded up.
    fn share(self, percent: u8) -> u64 {
        u64::try_from((u128::from(self.tokens) * u128::from(percent)).div_ceil(100)).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = match self.window {
            Window::Hour => "h",
            Window::Day => "d",
        };
        write!(f, "{}/{window}", self.tokens)
    }
}

impl FromStr for Quota {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let window = |text: &str| match text.trim() {
            "h" => Some(Window::Hour),
            "d" => Some(Window::Day),
            _ => None,
        };
        let parts = text.split_once('/').and_then(|(tokens, text)| Some((tokens.trim().parse().ok()?, window(text)?)));
        let (tokens, window) = parts.ok_or(ParseError(EXPECTED))?;
        Self::new(tokens, window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_hours_and_days_of_utc() {
        let (hour, day) = (Quota::per_hour(1).unwrap(), Quota::per_day(1).unwrap());
        for (seconds, hour_ends, day_ends) in
            [(0, 3600, 86_400), (3599, 3600, 86_400), (3600, 7200, 86_400), (-1, 0, 0)]
        {
            let at = |seconds| OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds);
            for now in [at(seconds), at(seconds) + Duration::nanoseconds(999_999_999)] {
                assert_eq!((hour.ends_at(now), day.ends_at(now)), (at(hour_ends), at(day_ends)), "{seconds}");
            }
        }
    }

    #[test]
    fn quotas_as_people_write_them() {
        for (text, written) in [("1000/h", "1000/h"), (" 5 / d ", "5/d"), ("0007/h", "7/h")] {
            assert_eq!(text.parse::<Quota>().unwrap().to_string(), written);
        }
        for text in ["", "/h", "0/h", "-1/h", "1.5/h", "1000", "1000/", "1000/m", "1000/h/d", "1000000000000000/h"] {
            assert!(text.parse::<Quota>().is_err(), "{text}");
        }
        let share = |tokens, percent| Quota::per_hour(tokens).unwrap().share(percent);
        assert_eq!([share(1000, 80), share(3, 80), share(1, 1), share(3, 100)], [800, 3, 1, 3]);
    }
}
