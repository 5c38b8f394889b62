//! A configuration from a file.

use std::{borrow::Cow, collections::BTreeMap, mem};

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    ABOVE_ZERO, BEARER_REALM, Config, ConfigError, EXPIRATION, FAILURE_WINDOW, JWKS_MAX_AGE, MAX_CLIENT_SECRETS,
    MAX_EXPIRATION, MAX_RETRY_AFTER, Value,
};
use crate::{ClientSecretHash, ParseError, SecretClass, duration};

const SECTION: &str = "openidconnect";
const CLIENT_SECTION: &str = "seacatauth:client";
const CACHE_EXPIRATION: &str = "cache_expiration";
const CLIENT_SECRET_EXPIRATION: &str = "client_secret_expiration";
/// The keys of the section [`CLIENT_SECTION`] that count here; others of it are left alone.
const CLIENT_KEYS: [&str; 3] = [CACHE_EXPIRATION, CLIENT_SECRET_EXPIRATION, MAX_CLIENT_SECRETS];
const ANY_DURATION: &str = "a duration such as `30 s`, `10m` or `600`, or `0` to keep nothing";
const ANY_LIFETIME: &str = "a duration such as `90d` or `600`, or `0` for secrets that do not expire";
const MAX_FAILURES_PER_CLIENT: &str = "max_failures_per_client";
const MAX_FAILURES_PER_SOURCE: &str = "max_failures_per_source";
/// The keys of the section `openidconnect`.
const KEYS: [&str; 15] = [
    EXPIRATION,
    MAX_EXPIRATION,
    BEARER_REALM,
    "max_body_bytes",
    "max_authorization_bytes",
    "max_parameters",
    "max_scope_tokens",
    "max_tenants",
    "introspection_restricted",
    "unknown_client_secret_hash",
    JWKS_MAX_AGE,
    MAX_FAILURES_PER_CLIENT,
    MAX_FAILURES_PER_SOURCE,
    FAILURE_WINDOW,
    MAX_RETRY_AFTER,
];

impl Config {
    /// Sets one key of a file; what several keys must hold between them is [`checked`](Self::checked) after the last.
    fn set(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let wrong = |expected| ConfigError::new(key, value, expected);
        let duration = || duration::parse(value).ok_or_else(|| wrong(duration::EXPECTED.into()));
        let limit = || value.parse().map_err(|_| wrong(ABOVE_ZERO.into()));
        let failures = || value.parse().map_err(|_| wrong("a whole number, or `0` to count none".into()));
        match key {
            EXPIRATION => self.expiration = duration()?,
            MAX_EXPIRATION => self.max_expiration = duration()?,
            BEARER_REALM => self.bearer_realm = Cow::Owned(value.into()),
            JWKS_MAX_AGE => self.jwks_max_age = duration()?,
            "max_body_bytes" => self.max_body_bytes = limit()?,
            "max_authorization_bytes" => self.max_authorization_bytes = limit()?,
            "max_parameters" => self.max_parameters = limit()?,
            "max_scope_tokens" => self.max_scope_tokens = limit()?,
            "max_tenants" => self.max_tenants = limit()?,
            MAX_FAILURES_PER_CLIENT => self.max_failures_per_client = failures()?,
            MAX_FAILURES_PER_SOURCE => self.max_failures_per_source = failures()?,
            FAILURE_WINDOW => self.failure_window = duration()?,
            MAX_RETRY_AFTER => self.max_retry_after = duration()?,
            "introspection_restricted" => {
                self.introspection_restricted = value.parse().map_err(|_| wrong("`true` or `false`".into()))?;
            }
            "unknown_client_secret_hash" => {
                self.unknown_client_secret_hash = match value {
                    "generated" => ClientSecretHash::decoy(SecretClass::Generated),
                    "chosen" => ClientSecretHash::decoy(SecretClass::Chosen),
                    // Not repeated in the error: it may be a hash that somebody uses.
                    _ => value.parse().map_err(|expected: ParseError| {
                        ConfigError::new(key, "…", format!("`generated`, `chosen` or a hash: {expected}"))
                    })?,
                }
            }
            CACHE_EXPIRATION => {
                self.cache_expiration = duration::parse_any(value).ok_or_else(|| wrong(ANY_DURATION.into()))?;
            }
            CLIENT_SECRET_EXPIRATION => {
                let expiration = duration::parse_any(value).ok_or_else(|| wrong(ANY_LIFETIME.into()))?;
                self.client_secret_expiration = (!expiration.is_zero()).then_some(expiration);
            }
            MAX_CLIENT_SECRETS => self.max_client_secrets = limit()?,
            // Its value is not repeated: it was meant for something else, and may be a secret.
            _ => return Err(ConfigError::new(key, "…", format!("one of the keys `{}`", KEYS.join("`, `")))),
        }
        Ok(self)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Section(mut whole) = Value::deserialize(deserializer)? else {
            return Err(D::Error::custom("this is not a section"));
        };
        let is_ours = |key: &str| KEYS.contains(&key);
        let outside =
            |key: &str, section| D::Error::custom(format_args!("`{key}` stands outside the section `{section}`"));
        let has_sections = whole.values().any(|value| matches!(value, Value::Section(_)));
        let mut client = match whole.remove(CLIENT_SECTION) {
            Some(Value::Section(section)) => section,
            Some(_) => return Err(D::Error::custom(format_args!("`{CLIENT_SECTION}` is not a section"))),
            None => BTreeMap::new(),
        };
        let section = match whole.remove(SECTION) {
            Some(Value::Section(section)) => match whole.keys().find(|key| is_ours(key)) {
                Some(key) => return Err(outside(key, SECTION)),
                None => section,
            },
            Some(_) => return Err(D::Error::custom(format_args!("`{SECTION}` is not a section"))),
            // The section itself, or a file without it: told by a key that is ours, or by there being nothing but keys.
            None if whole.keys().any(|key| is_ours(key)) || !has_sections => {
                mem::take(&mut whole).into_iter().filter(|(_, value)| !matches!(value, Value::Section(_))).collect()
            }
            None => BTreeMap::new(),
        };
        if let Some(key) = client.keys().find(|key| is_ours(key)) {
            return Err(outside(key, SECTION));
        }
        if let Some(key) = CLIENT_KEYS.into_iter().find(|key| whole.contains_key(*key) || section.contains_key(*key)) {
            return Err(outside(key, CLIENT_SECTION));
        }
        client.retain(|key, _| CLIENT_KEYS.contains(&&**key));
        section
            .into_iter()
            .chain(client)
            .try_fold(Self::default(), |config, (key, value)| match value {
                Value::Text(text) => config.set(&key, &text),
                Value::Section(_) | Value::Other => Err(ConfigError::new(&key, "…", "a text or a number".into())),
            })
            .and_then(Self::checked)
            .map_err(D::Error::custom)
    }
}
