//! What the operator sets.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{SecretClass, duration, text::Text};

/// The configuration of an [`AuthorizationServer`](crate::AuthorizationServer); always a valid one.
///
/// It deserializes from the section `openidconnect` of any format that serde reads. INI goes through the crate `config`:
///
/// ```
/// use client_credentials::Config;
/// use config::{File, FileFormat};
///
/// let file = "[openidconnect]\nclient_credentials_grant_expiration=10m\nbearer_realm=asab\n";
/// let file = config::Config::builder().add_source(File::from_str(file, FileFormat::Ini)).build()?;
/// let config: Config = file.try_deserialize()?;
/// assert_eq!(config.client_credentials_grant_expiration().as_secs(), 600);
/// # Ok::<(), config::ConfigError>(())
/// ```
///
/// | key | default | meaning |
/// | --- | --- | --- |
/// | `client_credentials_grant_expiration` | `3m` | lifetime of a token |
/// | `client_credentials_grant_max_expiration` | `24h` | the longest that a client of its own may have |
/// | `bearer_realm` | `asab` | `realm` of the challenge in a 401 |
/// | `max_body_bytes` | `16384` | a longer body is answered with 413, unread |
/// | `max_authorization_bytes` | `8192` | a longer `Authorization` header is answered with 400, unread |
/// | `max_parameters` | `32` | a form of more parameters is answered with 400, unread |
/// | `max_scope_tokens` | `64` | a scope of more tokens is answered with `invalid_scope` |
/// | `unknown_client_secret_class` | `generated` | the class of hash that a request for an unknown client, or for one without a secret, costs: `generated` or `chosen`. Where both classes are in use, an answer's time can tell a client of the other class from an unknown one |
///
/// Durations are written `10m`, `3 m`, `4 h`, or `600` for seconds. A key that is not in the table is refused; other
/// sections are left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    expiration: Duration,
    max_expiration: Duration,
    bearer_realm: Cow<'static, str>,
    max_body_bytes: usize,
    max_authorization_bytes: usize,
    max_parameters: usize,
    max_scope_tokens: usize,
    unknown_client_secret_class: SecretClass,
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
            unknown_client_secret_class: SecretClass::Generated,
        }
    }
}

impl Config {
    /// Sets one key as a configuration file does.
    ///
    /// ```
    /// use client_credentials::Config;
    ///
    /// let config = Config::default().with("client_credentials_grant_expiration", "4 h")?;
    /// assert_eq!(config.client_credentials_grant_expiration().as_secs(), 14_400);
    ///
    /// let error = Config::default().with("client_credentials_grant_expiration", "soon").unwrap_err();
    /// assert!(error.to_string().starts_with("`client_credentials_grant_expiration` is `soon`, but "));
    /// # Ok::<(), client_credentials::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// When the key is unknown or the value is not one that it can have.
    pub fn with(self, key: &str, value: &str) -> Result<Self, ConfigError> {
        self.set(key, value)?.checked()
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

    /// The class of hash that a request for an unknown client costs.
    #[must_use]
    pub const fn unknown_client_secret_class(&self) -> SecretClass {
        self.unknown_client_secret_class
    }

    fn set(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let wrong = |expected| ConfigError::new(key, value, expected);
        let duration = || duration::parse(value).ok_or_else(|| wrong(duration::EXPECTED));
        let limit = || value.parse().ok().filter(|n| *n > 0).ok_or_else(|| wrong("a whole number above zero"));
        match key {
            "client_credentials_grant_expiration" => self.expiration = duration()?,
            "client_credentials_grant_max_expiration" => self.max_expiration = duration()?,
            "bearer_realm" if is_realm(value) => self.bearer_realm = Cow::Owned(value.into()),
            "bearer_realm" => return Err(wrong("printable ASCII without `\"` and `\\`")),
            "max_body_bytes" => self.max_body_bytes = limit()?,
            "max_authorization_bytes" => self.max_authorization_bytes = limit()?,
            "max_parameters" => self.max_parameters = limit()?,
            "max_scope_tokens" => self.max_scope_tokens = limit()?,
            "unknown_client_secret_class" => match value {
                "generated" => self.unknown_client_secret_class = SecretClass::Generated,
                "chosen" => self.unknown_client_secret_class = SecretClass::Chosen,
                _ => return Err(wrong("`generated` or `chosen`")),
            },
            _ => return Err(wrong(KEYS)),
        }
        Ok(self)
    }

    /// What two keys must hold between them.
    fn checked(self) -> Result<Self, ConfigError> {
        if self.expiration > self.max_expiration {
            return Err(ConfigError::new(
                "client_credentials_grant_expiration",
                &humantime::format_duration(self.expiration).to_string(),
                "a duration up to `client_credentials_grant_max_expiration`, which is 24h unless set",
            ));
        }
        Ok(self)
    }
}

const KEYS: &str = "one of the keys `client_credentials_grant_expiration`, `client_credentials_grant_max_expiration`, \
                    `bearer_realm`, `max_body_bytes`, `max_authorization_bytes`, `max_parameters`, `max_scope_tokens` and \
                    `unknown_client_secret_class`";

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
    expected: &'static str,
}

impl ConfigError {
    fn new(key: &str, value: &str, expected: &'static str) -> Self {
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
    pub const fn expected(&self) -> &'static str {
        self.expected
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let File { openidconnect } = File::deserialize(deserializer)?;
        let set = |config: Self, (key, Text(value)): (String, Text)| config.set(&key, &value);
        openidconnect.into_iter().try_fold(Self::default(), set).and_then(Self::checked).map_err(D::Error::custom)
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    openidconnect: BTreeMap<String, Text>,
}
