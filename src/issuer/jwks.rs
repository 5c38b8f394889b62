//! A document of public keys (RFC 7517 §5).

use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

use super::{PublicJwk, SigningAlgorithm};
use crate::json::Object;

/// A JWK Set (RFC 7517 §5), as it is published and read: `{"keys": […]}`.
///
/// Of a document that is read, at most 64 keys may be listed, and those that cannot be used here are left out: other kinds,
/// keys for something else than signatures, and whatever is malformed. Nothing in it is a private key.
///
/// ```
/// use client_credentials::Jwks;
///
/// let document = r#"{"keys": [
///     {"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
///     {"kty": "of another time", "kid": "2"}
/// ]}"#;
/// let jwks: Jwks = serde_json::from_str(document)?;
/// assert_eq!(jwks.keys().len(), 1);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Jwks {
    keys: Vec<PublicJwk>,
}

/// A server has a few: the one that signs, the next one, and some that are retired.
const MAX_KEYS: usize = 64;

impl Jwks {
    /// The keys, in the order of the document.
    #[must_use]
    pub fn keys(&self) -> &[PublicJwk] {
        &self.keys
    }

    /// Those with which a signature can be checked that names this algorithm and this key id. Without a key id, any key for
    /// the algorithm may be the one; with it there may be more than one all the same (RFC 7517 §4.5).
    pub(crate) fn find(&self, algorithm: SigningAlgorithm, key_id: Option<&str>) -> impl Iterator<Item = &PublicJwk> {
        self.keys
            .iter()
            .filter(move |key| key.algorithm() == algorithm && key_id.is_none_or(|key_id| key.key_id() == key_id))
    }
}

impl FromIterator<PublicJwk> for Jwks {
    fn from_iter<I: IntoIterator<Item = PublicJwk>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect() }
    }
}

impl<'de> Deserialize<'de> for Jwks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Listed>,
        }

        /// §5: who does not understand a key ignores it.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Listed {
            Usable(PublicJwk),
            Other(IgnoredAny),
        }

        let Object(Document { keys }) = Object::deserialize(deserializer)?;
        if keys.len() > MAX_KEYS {
            return Err(serde::de::Error::custom(format_args!("there are more than {MAX_KEYS} keys")));
        }
        let usable = |listed| match listed {
            Listed::Usable(key) => Some(key),
            Listed::Other(_) => None,
        };
        Ok(keys.into_iter().filter_map(usable).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    #[test]
    fn rfc7517_5_what_is_not_understood_is_ignored() {
        let mut private = key("private");
        private["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
        let others =
            [private, json!({}), json!({"kty": "oct", "k": "AAAA"}), json!({"kty": "LMS"}), 1.into(), Value::Null];
        let others = others.into_iter().chain([json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"})]);
        let keys: Vec<_> = [key("1")].into_iter().chain(others).chain([key("2")]).collect();
        let jwks: Jwks = serde_json::from_value(json!({"more": true, "keys": keys})).unwrap();
        assert_eq!(jwks.keys().iter().map(PublicJwk::key_id).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(serde_json::from_str::<Jwks>(&serde_json::to_string(&jwks).unwrap()).unwrap(), jwks);

        let found = |algorithm, kid| jwks.find(algorithm, kid).map(PublicJwk::key_id).collect::<Vec<_>>();
        assert_eq!(found(SigningAlgorithm::EdDsa, Some("2")), ["2"]);
        assert_eq!(found(SigningAlgorithm::EdDsa, None), ["1", "2"]);
        assert!(found(SigningAlgorithm::EdDsa, Some("3")).is_empty());
        assert!(found(SigningAlgorithm::Es256, Some("1")).is_empty());
    }

    #[test]
    fn a_document_has_limits() {
        let document = |count: usize| json!({"keys": vec![key("1"); count]});
        assert_eq!(serde_json::from_value::<Jwks>(document(64)).unwrap().keys().len(), 64);
        assert!(serde_json::from_value::<Jwks>(document(65)).is_err());
        assert_eq!(serde_json::from_str::<Jwks>(r#"{"keys":[]}"#).unwrap(), Jwks::default());
        for text in ["", "{}", "[]", "[[]]", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[],"keys":[]}"#] {
            assert!(serde_json::from_str::<Jwks>(text).is_err(), "{text}");
        }
    }
}
