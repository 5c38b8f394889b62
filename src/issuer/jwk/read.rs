//! A JWK as others write it.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};

use super::{PublicJwk, PublicKey, SigningAlgorithm};
use crate::{json::Object, token::wire::present};

/// A key as it is read.
#[derive(Deserialize)]
struct Read {
    kty: String,
    crv: Option<String>,
    #[serde(rename = "use")]
    key_use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<SigningAlgorithm>,
    kid: Option<String>,
    #[serde(default, deserialize_with = "base64url")]
    n: Vec<u8>,
    #[serde(default, deserialize_with = "base64url")]
    e: Vec<u8>,
    #[serde(default, deserialize_with = "base64url")]
    x: Vec<u8>,
    #[serde(default, deserialize_with = "base64url")]
    y: Vec<u8>,
    /// Only private keys have it, whatever their kind is, but for symmetric ones, which are `k`.
    #[serde(default, deserialize_with = "present")]
    d: bool,
    #[serde(default, deserialize_with = "present")]
    p: bool,
    #[serde(default, deserialize_with = "present")]
    q: bool,
    #[serde(default, deserialize_with = "present")]
    dp: bool,
    #[serde(default, deserialize_with = "present")]
    dq: bool,
    #[serde(default, deserialize_with = "present")]
    qi: bool,
    #[serde(default, deserialize_with = "present")]
    oth: bool,
    #[serde(default, deserialize_with = "present")]
    k: bool,
}

impl<'de> Deserialize<'de> for PublicJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object::<Read>(read) = Object::deserialize(deserializer)?;
        read.public_jwk().map_err(serde::de::Error::custom)
    }
}

impl Read {
    fn public_jwk(self) -> Result<PublicJwk, &'static str> {
        if [self.d, self.p, self.q, self.dp, self.dq, self.qi, self.oth, self.k].contains(&true) {
            return Err("this is a private key");
        }
        if self.key_use.is_some_and(|key_use| key_use != "sig")
            || self.key_ops.is_some_and(|key_ops| !key_ops.iter().any(|operation| operation == "verify"))
        {
            return Err("this key is not there for signatures");
        }
        let (key, only) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => {
                let x = self.x.try_into().map_err(|_| "an Ed25519 key has 32 bytes")?;
                (PublicKey::Ed25519(x), Some(SigningAlgorithm::EdDsa))
            }
            // RFC 7518 §6.2.1.2: the full size, leading zeros too.
            ("EC", Some("P-256")) if self.x.len() == 32 && self.y.len() == 32 => {
                (PublicKey::P256([&[4], self.x.as_slice(), &self.y].concat()), Some(SigningAlgorithm::Es256))
            }
            ("EC", Some("P-256")) => return Err("a coordinate of a P-256 key has 32 bytes"),
            ("RSA", _) => (rsa(self.n, self.e)?, None),
            _ => return Err("only keys for Ed25519, P-256 and RSA can be used"),
        };
        let algorithm = match (only, self.alg) {
            (Some(only), None) => only,
            (Some(only), Some(named)) if only == named => named,
            (None, named @ (None | Some(SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256))) => {
                named.unwrap_or(SigningAlgorithm::Rs256)
            }
            _ => return Err("`alg` does not go with this kind of key"),
        };
        let key_id = self.kid.unwrap_or_else(|| key.thumbprint());
        Ok(PublicJwk { algorithm, key_id, key })
    }
}

/// The key with this modulus and this exponent, if `ring` takes it.
fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<PublicKey, &'static str> {
    // RFC 7518 §6.3.1: no leading zeros.
    let bits =
        |bytes: &[u8]| bytes.first().filter(|b| **b != 0).map_or(0, |b| bytes.len() * 8 - b.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits(&n)) {
        return Err("an RSA key has 2048 to 8192 bits");
    }
    if !(2..=33).contains(&bits(&e)) || e.last().is_none_or(|last| last % 2 == 0) {
        return Err("the exponent of an RSA key is odd, at least 3 and of 33 bits at most");
    }
    Ok(PublicKey::Rsa { n, e })
}

fn base64url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    // The text is not repeated.
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| serde::de::Error::custom("this is not base64url without padding"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The modulus of the example of RFC 7638 §3.1.
    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    fn read(key: &Value) -> Result<PublicJwk, serde_json::Error> {
        serde_json::from_value(key.clone())
    }

    fn okp() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    /// The key of RFC 7517 §A.1.
    fn ec() -> Value {
        json!({"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
               "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
    }

    fn rsa() -> Value {
        json!({"kty": "RSA", "n": N, "e": "AQAB"})
    }

    #[test]
    fn rfc7638_3_1_rsa_thumbprint() {
        // The example of RFC 7638 §3.1.
        assert_eq!(read(&rsa()).unwrap().key_id(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn rfc7517_4_keys_that_can_be_read() {
        use SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};
        for (mut key, alg, expected) in [
            (okp(), None, EdDsa),
            (okp(), Some("EdDSA"), EdDsa),
            (ec(), None, Es256),
            (ec(), Some("ES256"), Es256),
            (rsa(), None, Rs256),
            (rsa(), Some("RS256"), Rs256),
            (rsa(), Some("PS256"), Ps256),
        ] {
            if let Some(alg) = alg {
                key["alg"] = alg.into();
            }
            let public = read(&key).unwrap();
            assert_eq!(public.algorithm(), expected);
            assert_eq!(public.key_id().len(), 43);
            // Unknown members are ignored (§4), and `kid` is kept.
            key["x5t"] = "x".into();
            key["use"] = "sig".into();
            key["key_ops"] = json!(["verify"]);
            key["kid"] = "1".into();
            let named = read(&key).unwrap();
            assert_eq!(named.key_id(), "1");
            assert_eq!(serde_json::from_str::<PublicJwk>(&serde_json::to_string(&named).unwrap()).unwrap(), named);
            let written = serde_json::to_value(&named).unwrap();
            for (name, value) in written.as_object().unwrap() {
                assert!(*value == key[name] || name == "alg", "{name}");
            }
        }
    }

    #[test]
    fn rfc7517_4_keys_that_cannot_be_used() {
        let refused = |mut key: Value, name: &str, value: Value| {
            key[name] = value;
            read(&key).unwrap_err().to_string()
        };
        for key in [okp(), ec(), rsa()] {
            for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                for value in ["AAAA".into(), Value::Null, json!([{}])] {
                    assert!(refused(key.clone(), name, value).contains("private"), "{name}");
                }
            }
            for (name, value) in [("use", "enc".into()), ("key_ops", json!(["sign"])), ("key_ops", json!([]))] {
                assert!(refused(key.clone(), name, value).contains("signatures"), "{name}");
            }
            for alg in ["none", "HS256", "RS512", "ES384", "", "eddsa"] {
                refused(key.clone(), "alg", alg.into());
            }
            refused(key.clone(), "kty", "oct".into());
            refused(key.clone(), "kid", 1.into());
        }
        for (key, alg) in [(okp(), "ES256"), (okp(), "RS256"), (ec(), "EdDSA"), (ec(), "PS256"), (rsa(), "ES256")] {
            assert!(refused(key, "alg", alg.into()).contains("`alg`"), "{alg}");
        }
        let modulus = |bits: usize| {
            let mut bytes = vec![0xFF; bits.div_ceil(8)];
            bytes[0] >>= bytes.len() * 8 - bits;
            BASE64_URL_SAFE_NO_PAD.encode(bytes)
        };
        for bits in [2048, 2049, 8192] {
            assert!(read(&json!({"kty": "RSA", "n": modulus(bits), "e": "Aw"})).is_ok(), "{bits}");
        }
        for (key, name, value) in [
            (okp(), "x", "AAAA".to_owned()),
            (okp(), "x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=".into()),
            (okp(), "crv", "Ed448".into()),
            (ec(), "y", "AAAA".into()),
            (ec(), "crv", "P-384".into()),
            (ec(), "crv", "secp256k1".into()),
            (rsa(), "n", modulus(2047)),
            (rsa(), "n", modulus(8193)),
            (rsa(), "n", format!("AAAA{N}")),
            (rsa(), "n", String::new()),
            (rsa(), "e", "AQ".into()),
            (rsa(), "e", "Ag".into()),
            (rsa(), "e", "AAEAAQ".into()),
            (rsa(), "e", "BAAAAAE".into()),
        ] {
            refused(key, name, value.into());
        }
        for (key, name) in [(okp(), "x"), (okp(), "crv"), (ec(), "x"), (ec(), "y"), (rsa(), "n"), (rsa(), "e")] {
            let mut key = key;
            key.as_object_mut().unwrap().remove(name);
            assert!(read(&key).is_err(), "{name}");
        }
        assert!(serde_json::from_str::<PublicJwk>(r#"{"kty":"OKP","crv":"Ed25519","x":"AA","x":"BB"}"#).is_err());
        let list = r#"["OKP","Ed25519",null,null,null,"1","","","11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",""]"#;
        for text in ["", "{}", "[]", "null", "1", list] {
            assert!(serde_json::from_str::<PublicJwk>(text).is_err(), "{text}");
        }
    }
}
