//! Quotas from a file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{Quota, Quotas};
use crate::{ClientId, ConfigError, ParseError, TenantName, config::Value};

/// The sections, and what their keys are in the first of them. INI ends a key at its first colon.
const SECTIONS: [(&str, &str); 3] = [("quota", ""), ("quota:client", "client:"), ("quota:tenant", "tenant:")];
const DEFAULT: &str = "default";
const MONITOR_ONLY: &str = "monitor_only";
const THRESHOLDS: &str = "thresholds";
const UNLIMITED: &str = "unlimited";

impl Quotas {
    fn set(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        let wrong = |expected: &str| ConfigError::new(key, value, expected.into());
        let quota = || value.parse::<Quota>().map_err(|ParseError(expected)| wrong(expected));
        let any_quota = || if value == UNLIMITED { Ok(None) } else { quota().map(Some) };
        let name = |ParseError(expected)| {
            ConfigError::new(key, value, format!("a quota of a name that can be one: {expected}"))
        };
        match (key, key.split_once(':')) {
            (DEFAULT, _) => self.default = any_quota()?,
            (MONITOR_ONLY, _) => self.monitor_only = value.parse().map_err(|_| wrong("`true` or `false`"))?,
            (THRESHOLDS, _) => {
                let percent = |text: &str| text.parse().ok().filter(|percent| (1..=100).contains(percent));
                let thresholds: Option<_> = value.split_whitespace().map(percent).collect();
                self.thresholds = thresholds.ok_or_else(|| wrong("whole numbers from 1 to 100, such as `80 100`"))?;
            }
            (_, Some(("client", id))) => {
                let quota = any_quota()?;
                self.clients.insert(ClientId::parse(id).map_err(name)?, quota);
            }
            (_, Some(("tenant", tenant))) => {
                let quota = quota()?;
                self.tenants.insert(TenantName::parse(tenant).map_err(name)?, quota);
            }
            _ => {
                let expected = format!(
                    "one of the keys `{DEFAULT}`, `client:ID`, `tenant:NAME`, `{MONITOR_ONLY}`, `{THRESHOLDS}`, or a \
                     section `quota:client` or `quota:tenant`"
                );
                return Err(ConfigError::new(key, "…", expected));
            }
        }
        Ok(self)
    }
}

impl<'de> Deserialize<'de> for Quotas {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Section(mut whole) = Value::deserialize(deserializer)? else {
            return Err(D::Error::custom("this is not a section"));
        };
        // The section itself has no sections, and a file nothing else.
        if whole.values().any(|value| matches!(value, Value::Section(_))) {
            let mut keys = BTreeMap::new();
            for (name, prefix) in SECTIONS {
                match whole.remove(name) {
                    Some(Value::Section(section)) => {
                        keys.extend(section.into_iter().map(|(key, value)| (format!("{prefix}{key}"), value)));
                    }
                    Some(_) => return Err(D::Error::custom(format_args!("`{name}` is not a section"))),
                    None => {}
                }
            }
            whole = keys;
        }
        whole
            .into_iter()
            .try_fold(Self::default(), |quotas, (key, value)| match value {
                Value::Text(text) => quotas.set(&key, text.trim()),
                Value::Section(_) | Value::Other => Err(ConfigError::new(&key, "…", "a text or a number".into())),
            })
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: config::FileFormat, text: &str) -> Result<Quotas, config::ConfigError> {
        config::Config::builder().add_source(config::File::from_str(text, format)).build()?.try_deserialize()
    }

    #[test]
    fn the_section_in_every_format_or_by_itself() {
        use config::FileFormat::{Ini, Json, Toml};

        let expected = Quotas::default()
            .with_default(Quota::per_hour(1000).unwrap())
            .with_client(ClientId::parse("Billing.v2").unwrap(), Quota::per_day(5000).unwrap())
            .with_client(ClientId::parse("other").unwrap(), None)
            .with_tenant(TenantName::parse("acme").unwrap(), Quota::per_day(100_000).unwrap())
            .with_monitor_only(true)
            .with_thresholds([50]);
        let ini = "default = 1000/h\nmonitor_only = true\nthresholds = 50\n[quota:client]\nBilling.v2 = 5000/d\n\
                   other = unlimited\n[quota:tenant]\nacme = 100000/d\n";
        let other = "[openidconnect]\nmax_tenants = 3\n";
        let toml = "default = '1000/h'\n'client:Billing.v2' = '5000/d'\n'client:other' = 'unlimited'\n\
                    'tenant:acme' = '100000/d'\nmonitor_only = true\nthresholds = 50\n";
        let json = r#"{"default": "1000/h", "client:Billing.v2": "5000/d", "client:other": "unlimited",
            "tenant:acme": "100000/d", "monitor_only": true, "thresholds": 50}"#;
        for (format, text) in [
            (Toml, format!("[quota]\n{toml}")),
            (Toml, toml.into()),
            (Json, json.into()),
            (Json, format!(r#"{{"quota": {json}, "openidconnect": {{}}}}"#)),
            (Ini, format!("{other}[quota]\n{ini}")),
        ] {
            assert_eq!(read(format, &text).unwrap(), expected, "{text}");
        }
        assert_eq!(read(Ini, other).unwrap(), Quotas::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, key) in [
            ("default = 1000", "default"),
            ("default = 0/h", "default"),
            // The key ends at the colon here.
            ("client:a = 5/h", "client"),
            ("[quota:client]\na = 5", "client:a"),
            ("[quota:tenant]\nacme = unlimited", "tenant:acme"),
            ("[quota:tenant]\n* = 5/h", "tenant:*"),
            ("monitor_only = perhaps", "monitor_only"),
            ("thresholds = 80, 100", "thresholds"),
            ("thresholds = 0", "thresholds"),
            ("another = 1/h", "another"),
        ] {
            let error = read(config::FileFormat::Ini, &format!("[quota]\n{line}\n")).unwrap_err().to_string();
            assert!(error.contains(&format!("`{key}`")), "{line}: {error}");
        }
    }
}
