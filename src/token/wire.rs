//! How single members of a token are written, in a JWT and in an introspection response alike.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, IgnoredAny, Visitor},
};
use time::{Duration, OffsetDateTime};

use crate::Scope;

/// An audience: a text, or a list of them (RFC 7519 §4.1.3).
#[derive(Default, Deserialize)]
#[serde(from = "WrittenAudience")]
pub(crate) struct Audience(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenAudience {
    One(String),
    List(Vec<String>),
}

impl From<WrittenAudience> for Audience {
    fn from(written: WrittenAudience) -> Self {
        match written {
            WrittenAudience::One(one) => Self(vec![one]),
            WrittenAudience::List(list) => Self(list),
        }
    }
}

impl Audience {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The APIs that were named, and none when it is for the issuer alone: such a token was made for nobody in particular.
    pub(crate) fn named(self, issuer: Option<&str>) -> Vec<String> {
        let is_for_issuer = matches!(self.0.as_slice(), [only] if Some(only.as_str()) == issuer);
        if is_for_issuer { Vec::new() } else { self.0 }
    }
}

/// Writes an audience: the text alone where there is one, which every reader takes, and an array of several.
pub(crate) fn audience<S: Serializer>(audience: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match audience {
        [one] => one.serialize(serializer),
        several => several.serialize(serializer),
    }
}

/// Reads a scope; an empty one, which some servers write, is none.
pub(crate) fn scope<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scope>, D::Error> {
    let scope = Option::<String>::deserialize(deserializer)?.filter(|scope| !scope.is_empty());
    scope.map(Scope::parse).transpose().map_err(Error::custom)
}

/// Whether there is such a member, whatever its value, `null` too.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// Seconds since 1970, which may be written with a fraction (RFC 7519 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumericDate(pub(crate) OffsetDateTime);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumericDateVisitor)
    }
}

struct NumericDateVisitor;

impl Visitor<'_> for NumericDateVisitor {
    type Value = NumericDate;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number of seconds")
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<NumericDate, E> {
        OffsetDateTime::from_unix_timestamp(seconds).map(NumericDate).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<NumericDate, E> {
        self.visit_i64(seconds.try_into().map_err(E::custom)?)
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<NumericDate, E> {
        let since = Duration::checked_seconds_f64(seconds).ok_or_else(|| E::custom("this is no time"))?;
        OffsetDateTime::UNIX_EPOCH.checked_add(since).map(NumericDate).ok_or_else(|| E::custom("this is no time"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn rfc7519_4_1_3_audience() {
        let issuer = "https://auth.example.com";
        for (written, named) in [
            (json!("a"), vec!["a"]),
            (json!(["a"]), vec!["a"]),
            (json!(["a", "b"]), vec!["a", "b"]),
            (json!([issuer, "a"]), vec![issuer, "a"]),
            (json!([]), vec![]),
            (json!(issuer), vec![]),
            (json!([issuer]), vec![]),
        ] {
            let read: Audience = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(read.named(Some(issuer)), named, "{written}");
        }
        let unknown: Audience = serde_json::from_value(json!(issuer)).unwrap();
        assert_eq!(unknown.named(None), [issuer], "whoever does not know the issuer takes it for an API");
        for wrong in [json!(null), json!(1), json!([1]), json!({}), json!([["a"]])] {
            assert!(serde_json::from_value::<Audience>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rfc7519_2_numeric_date() {
        let read = |written: &str| serde_json::from_str::<NumericDate>(written).ok().map(|NumericDate(time)| time);
        let at = |milliseconds| Some(OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(milliseconds));
        for (written, time) in [
            ("0", at(0)),
            ("1700000000", at(1_700_000_000_000)),
            ("1700000000.5", at(1_700_000_000_500)),
            ("1.7e9", at(1_700_000_000_000)),
            ("-1", at(-1000)),
            ("-0.5", at(-500)),
            ("18446744073709551615", None),
            ("-9223372036854775808", None),
            ("1e300", None),
            ("\"0\"", None),
            ("null", None),
            ("[0]", None),
        ] {
            assert_eq!(read(written), time, "{written}");
        }
    }

    #[test]
    fn rfc6749_3_3_an_empty_scope_is_none() {
        let read = |written: Value| scope(written).ok().map(|scope| scope.map(|scope| scope.to_string()));
        assert_eq!(read(json!("a b")), Some(Some("a b".into())));
        assert_eq!((read(json!("")), read(json!(null))), (Some(None), Some(None)));
        for wrong in [json!(" "), json!("a  b"), json!(["a"]), json!(1)] {
            assert_eq!(read(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn a_member_is_there_whatever_its_value() {
        #[derive(Deserialize)]
        struct Members {
            #[serde(default, deserialize_with = "present")]
            cnf: bool,
        }

        for (written, there) in [("{}", false), (r#"{"cnf":null}"#, true), (r#"{"cnf":{"jkt":["a"]}}"#, true)] {
            assert_eq!(serde_json::from_str::<Members>(written).unwrap().cnf, there, "{written}");
        }
    }
}
