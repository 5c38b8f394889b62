//! What the operator sets.

mod file;
mod value;

use std::{borrow::Cow, time::Duration};

use humantime::format_duration;

use crate::{ClientSecretHash, SecretClass, duration};
pub(crate) use value::Value;

/// The configuration of an [`AuthorizationServer`](crate::AuthorizationServer); always a valid one.
///
/// It deserializes from the section `openidconnect` of any format that serde reads: from the file as a whole, or from the
/// section itself as a member of the host's own settings. From a whole file it takes what stands in the section
/// `seacatauth:client` too. Other sections, and the other keys of that one, are left alone. INI goes through the
/// crate `config`:
///
/// ```
/// use client_credentials::Config;
/// use config::{File, FileFormat};
///
/// let file = "[openidconnect]\nclient_credentials_grant_expiration=10m\nbearer_realm=asab\n\
///             [seacatauth:client]\ncache_expiration=30 s\n";
/// let file = config::Config::builder().add_source(File::from_str(file, FileFormat::Ini)).build()?;
/// let config: Config = file.try_deserialize()?;
/// assert_eq!(config.client_credentials_grant_expiration().as_secs(), 600);
/// assert_eq!(config.cache_expiration().as_secs(), 30);
/// # Ok::<(), config::ConfigError>(())
/// ```
///
/// | key | default | meaning |
/// | --- | --- | --- |
/// | `client_credentials_grant_expiration` | `3m` | lifetime of a token |
/// | `client_credentials_grant_max_expiration` | `24h` | the longest lifetime of a token, also for a client that has one of its own |
/// | `bearer_realm` | `asab` | `realm` of the challenge in a 401 |
/// | `max_body_bytes` | `16384` | a longer body is answered with 413, and a longer query of the URL with 400, unread |
/// | `max_authorization_bytes` | `8192` | a longer `Authorization` header is answered with 400, unread; and no token is issued that does not fit into it (`invalid_scope`) |
/// | `max_parameters` | `32` | a form or a query of more parameters is answered with 400, unread |
/// | `max_scope_tokens` | `64` | a scope of more tokens is answered with `invalid_scope` |
/// | `max_tenants` | `256` | a scope that stands for more tenants is answered with `invalid_scope`: each of them goes into the token |
/// | `introspection_restricted` | `false` | whether a client needs the resource [`INTROSPECTION`](crate::INTROSPECTION) to ask what a token says; else it is enough to be a client |
/// | `unknown_client_secret_hash` | `generated` | what a request for an unknown client, or for one without a secret, is compared with: `generated`, `chosen` (600,000 rounds), or the text of a [`ClientSecretHash`] as costly as those in use, such as one of the imported ones. Where hashes of different cost are in use, time can tell a client from an unknown one |
/// | `jwks_max_age` | `5m` | how long the public keys and the metadata of the server may be kept by whoever has read them: a new key must be published for as long before it signs |
/// | `max_failures_per_client` | `20` | how many failed authentications as one client within the window make those that follow wait, where the host has a [`Throttle`](crate::Throttle); `0`: they are not counted |
/// | `max_failures_per_source` | `100` | the same for those from one address, or from one /64 of IPv6, and for requests in which nobody authenticates |
/// | `failure_window` | `1m` | the time within which failures are counted |
/// | `max_retry_after` | `5m` | the longest wait |
/// | `cache_expiration`, in `seacatauth:client` | `30s` | how long clients are kept in memory by a host that has `Cached` over its store; `0`: not at all |
/// | `client_secret_expiration`, in `seacatauth:client` | `0` | how long a new secret counts that the management endpoint makes; `0`: for ever |
/// | `max_client_secrets`, in `seacatauth:client` | `3` | how many secrets of a client can count at a time |
///
/// Durations are written `10m`, `3 m`, `4 h`, or `600` for seconds. A key of the section `openidconnect` that is not in the
/// table is refused.
///
/// The limits of failures let a fleet that was given a wrong secret live behind one address with others: its failures stop
/// counting for the address as soon as its client has to wait, which is after 20 of them, and 100 are far more than that. They
/// stand against guesses of chosen secrets, at two dozen an hour; generated ones need no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    expiration: Duration,
    max_expiration: Duration,
    bearer_realm: Cow<'static, str>,
    max_body_bytes: usize,
    max_authorization_bytes: usize,
    max_parameters: usize,
    max_scope_tokens: usize,
    max_tenants: usize,
    introspection_restricted: bool,
    unknown_client_secret_hash: ClientSecretHash,
    jwks_max_age: Duration,
    cache_expiration: Duration,
    client_secret_expiration: Option<Duration>,
    max_client_secrets: usize,
    max_failures_per_client: u32,
    max_failures_per_source: u32,
    failure_window: Duration,
    max_retry_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            expiration: Duration::from_secs(3 * 60),
            max_expiration: Duration::from_secs(24 * 60 * 60),
            bearer_realm: Cow::Borrowed("asab"),
            max_body_bytes: 16 * 1024,
            max_authorization_bytes: 8 * 1024,
            max_parameters: 32,
            max_scope_tokens: 64,
            max_tenants: 256,
            introspection_restricted: false,
            unknown_client_secret_hash: ClientSecretHash::decoy(SecretClass::Generated),
            jwks_max_age: Duration::from_secs(5 * 60),
            cache_expiration: Duration::from_secs(30),
            client_secret_expiration: None,
            max_client_secrets: 3,
            max_failures_per_client: 20,
            max_failures_per_source: 100,
            failure_window: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(5 * 60),
        }
    }
}

impl Config {
    /// Sets the lifetime of a token, up to the maximum.
    ///
    /// ```
    /// use std::time::Duration;
    /// use client_credentials::Config;
    ///
    /// let config = Config::default().with_client_credentials_grant_expiration(Duration::from_secs(600))?;
    /// let error = config.with_client_credentials_grant_expiration(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.key(), "client_credentials_grant_expiration");
    /// # Ok::<(), client_credentials::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// When it is not a whole number of seconds, or longer than the maximum: set a longer maximum first.
    pub fn with_client_credentials_grant_expiration(self, expiration: Duration) -> Result<Self, ConfigError> {
        Self { expiration, ..self }.checked()
    }

    /// Sets the longest lifetime of a token, which also bounds what a client has of its own.
    ///
    /// # Errors
    /// When it is not a whole number of seconds, or shorter than the lifetime of a token: set a shorter one first.
    pub fn with_client_credentials_grant_max_expiration(self, max_expiration: Duration) -> Result<Self, ConfigError> {
        Self { max_expiration, ..self }.checked()
    }

    /// Sets the `realm` of the challenge in a 401.
    ///
    /// # Errors
    /// When it is not of printable ASCII without `"` and `\`.
    pub fn with_bearer_realm(self, realm: impl Into<String>) -> Result<Self, ConfigError> {
        Self { bearer_realm: Cow::Owned(realm.into()), ..self }.checked()
    }

    /// Sets the longest body that is read, in bytes.
    ///
    /// # Errors
    /// When it is zero.
    pub fn with_max_body_bytes(self, max_body_bytes: usize) -> Result<Self, ConfigError> {
        Self { max_body_bytes, ..self }.checked()
    }

    /// Sets the longest `Authorization` header that is read, in bytes.
    ///
    /// # Errors
    /// When it is zero.
    pub fn with_max_authorization_bytes(self, max_authorization_bytes: usize) -> Result<Self, ConfigError> {
        Self { max_authorization_bytes, ..self }.checked()
    }

    /// Sets the most parameters that a form may have.
    ///
    /// # Errors
    /// When it is zero.
    pub fn with_max_parameters(self, max_parameters: usize) -> Result<Self, ConfigError> {
        Self { max_parameters, ..self }.checked()
    }

    /// Sets the most tokens that a requested scope may have.
    ///
    /// # Errors
    /// When it is zero.
    pub fn with_max_scope_tokens(self, max_scope_tokens: usize) -> Result<Self, ConfigError> {
        Self { max_scope_tokens, ..self }.checked()
    }

    /// Sets the most tenants that one token may be for.
    ///
    /// # Errors
    /// When it is zero.
    pub fn with_max_tenants(self, max_tenants: usize) -> Result<Self, ConfigError> {
        Self { max_tenants, ..self }.checked()
    }

    /// Sets whether a client needs the resource [`INTROSPECTION`](crate::INTROSPECTION) to ask what a token says.
    #[must_use]
    pub fn with_introspection_restricted(self, introspection_restricted: bool) -> Self {
        Self { introspection_restricted, ..self }
    }

    /// Sets what the secret in a request for an unknown client is compared with: a hash as costly as those of known clients.
    /// Its own secret does not matter, and does not let anybody in.
    #[must_use]
    pub fn with_unknown_client_secret_hash(self, unknown_client_secret_hash: ClientSecretHash) -> Self {
        Self { unknown_client_secret_hash, ..self }
    }

    /// Sets how long the public keys and the metadata of the server may be kept by whoever has read them.
    ///
    /// # Errors
    /// When it is not a whole number of seconds.
    pub fn with_jwks_max_age(self, jwks_max_age: Duration) -> Result<Self, ConfigError> {
        Self { jwks_max_age, ..self }.checked()
    }

    /// Sets how long clients are kept in memory; with zero they are not.
    #[must_use]
    pub fn with_cache_expiration(self, cache_expiration: Duration) -> Self {
        Self { cache_expiration, ..self }
    }

    /// The lifetime of a token.
    #[must_use]
    pub const fn client_credentials_grant_expiration(&self) -> Duration {
        self.expiration
    }

    /// The longest lifetime that a client may have for its own tokens.
    #[must_use]
    pub const fn client_credentials_grant_max_expiration(&self) -> Duration {
        self.max_expiration
    }

    /// The `realm` of the challenge in a 401.
    #[must_use]
    pub fn bearer_realm(&self) -> &str {
        &self.bearer_realm
    }

    /// The longest body that is read.
    #[must_use]
    pub const fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    /// The longest `Authorization` header that is read.
    #[must_use]
    pub const fn max_authorization_bytes(&self) -> usize {
        self.max_authorization_bytes
    }

    /// The most parameters that a form may have.
    #[must_use]
    pub const fn max_parameters(&self) -> usize {
        self.max_parameters
    }

    /// The most tokens that a requested scope may have.
    #[must_use]
    pub const fn max_scope_tokens(&self) -> usize {
        self.max_scope_tokens
    }

    /// The most tenants that one token may be for.
    #[must_use]
    pub const fn max_tenants(&self) -> usize {
        self.max_tenants
    }

    /// What the secret in a request for an unknown client is compared with.
    #[must_use]
    pub const fn unknown_client_secret_hash(&self) -> &ClientSecretHash {
        &self.unknown_client_secret_hash
    }

    /// How long the public keys and the metadata of the server may be kept by whoever has read them.
    #[must_use]
    pub const fn jwks_max_age(&self) -> Duration {
        self.jwks_max_age
    }

    /// Sets how long a new secret of a client counts; `None` for ever.
    #[must_use]
    pub fn with_client_secret_expiration(self, expiration: impl Into<Option<Duration>>) -> Self {
        Self { client_secret_expiration: expiration.into(), ..self }
    }

    /// Sets how many secrets of a client can count at a time.
    ///
    /// # Errors
    /// When it is zero.
    pub fn with_max_client_secrets(self, max_client_secrets: usize) -> Result<Self, ConfigError> {
        Self { max_client_secrets, ..self }.checked()
    }

    /// How long a new secret of a client counts; `None` for ever.
    #[must_use]
    pub const fn client_secret_expiration(&self) -> Option<Duration> {
        self.client_secret_expiration
    }

    /// Whether a client needs the resource [`INTROSPECTION`](crate::INTROSPECTION) to ask what a token says.
    #[must_use]
    pub const fn introspection_restricted(&self) -> bool {
        self.introspection_restricted
    }

    /// How many secrets of a client can count at a time.
    #[must_use]
    pub const fn max_client_secrets(&self) -> usize {
        self.max_client_secrets
    }

    /// How long clients are kept in memory. Nothing in this crate does so by itself: it is for the host to give to `Cached`.
    #[must_use]
    pub const fn cache_expiration(&self) -> Duration {
        self.cache_expiration
    }

    /// Sets how many failed authentications as one client within the window make those that follow wait; with zero they are not
    /// counted.
    #[must_use]
    pub fn with_max_failures_per_client(self, max_failures_per_client: u32) -> Self {
        Self { max_failures_per_client, ..self }
    }

    /// Sets the same for those from one source, and for requests from there in which nobody authenticates.
    #[must_use]
    pub fn with_max_failures_per_source(self, max_failures_per_source: u32) -> Self {
        Self { max_failures_per_source, ..self }
    }

    /// Sets the time within which failed authentications are counted.
    ///
    /// # Errors
    /// When it is not a whole number of seconds.
    pub fn with_failure_window(self, failure_window: Duration) -> Result<Self, ConfigError> {
        Self { failure_window, ..self }.checked()
    }

    /// Sets how long whoever fails too often has to wait at most.
    ///
    /// # Errors
    /// When it is not a whole number of seconds.
    pub fn with_max_retry_after(self, max_retry_after: Duration) -> Result<Self, ConfigError> {
        Self { max_retry_after, ..self }.checked()
    }

    /// How many failed authentications as one client make those that follow wait; zero where they are not counted.
    #[must_use]
    pub const fn max_failures_per_client(&self) -> u32 {
        self.max_failures_per_client
    }

    /// The same for those from one source, and for requests from there in which nobody authenticates.
    #[must_use]
    pub const fn max_failures_per_source(&self) -> u32 {
        self.max_failures_per_source
    }

    /// The time within which failed authentications are counted.
    #[must_use]
    pub const fn failure_window(&self) -> Duration {
        self.failure_window
    }

    /// How long whoever fails too often has to wait at most.
    #[must_use]
    pub const fn max_retry_after(&self) -> Duration {
        self.max_retry_after
    }

    fn checked(self) -> Result<Self, ConfigError> {
        for (key, duration) in [
            (EXPIRATION, self.expiration),
            (MAX_EXPIRATION, self.max_expiration),
            (JWKS_MAX_AGE, self.jwks_max_age),
            (FAILURE_WINDOW, self.failure_window),
            (MAX_RETRY_AFTER, self.max_retry_after),
        ] {
            if !duration::is_whole(duration) {
                return Err(ConfigError::new(key, &format_duration(duration).to_string(), duration::EXPECTED.into()));
            }
        }
        if self.expiration > self.max_expiration {
            let expected =
                format!("a duration up to `{MAX_EXPIRATION}`, which is `{}`", format_duration(self.max_expiration));
            return Err(ConfigError::new(EXPIRATION, &format_duration(self.expiration).to_string(), expected));
        }
        let limits = [
            ("max_body_bytes", self.max_body_bytes),
            ("max_authorization_bytes", self.max_authorization_bytes),
            ("max_parameters", self.max_parameters),
            ("max_scope_tokens", self.max_scope_tokens),
            ("max_tenants", self.max_tenants),
            (MAX_CLIENT_SECRETS, self.max_client_secrets),
        ];
        if let Some((key, _)) = limits.into_iter().find(|(_, limit)| *limit == 0) {
            return Err(ConfigError::new(key, "0", ABOVE_ZERO.into()));
        }
        if !is_realm(&self.bearer_realm) {
            return Err(ConfigError::new(
                BEARER_REALM,
                &self.bearer_realm,
                r#"printable ASCII without `"` and `\`"#.into(),
            ));
        }
        Ok(self)
    }
}

const EXPIRATION: &str = "client_credentials_grant_expiration";
const MAX_EXPIRATION: &str = "client_credentials_grant_max_expiration";
const BEARER_REALM: &str = "bearer_realm";
const JWKS_MAX_AGE: &str = "jwks_max_age";
const MAX_CLIENT_SECRETS: &str = "max_client_secrets";
const FAILURE_WINDOW: &str = "failure_window";
const MAX_RETRY_AFTER: &str = "max_retry_after";
const ABOVE_ZERO: &str = "a whole number above zero";

/// A `quoted-string` of RFC 9110 §5.6.4 needs no escape for these.
fn is_realm(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x20..=0x7E) && b != b'"' && b != b'\\')
}

/// A key of the configuration has a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` is `{value}`, but what is expected is {expected}")]
pub struct ConfigError {
    key: String,
    value: String,
    expected: String,
}

impl ConfigError {
    pub(crate) fn new(key: &str, value: &str, expected: String) -> Self {
        Self { key: key.into(), value: value.into(), expected }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value that it was given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What it can be.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }
}
