//! Keys that sign tokens, and what the world may know of them.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, RsaEncoding,
        RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{BackendError, json};

/// How a token is signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// Ed25519: the smallest and the fastest, the one to take where nothing speaks against it.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256: what every verifier knows.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
}

/// A private key that signs tokens with one algorithm. `Debug` shows only algorithm and key id.
pub struct SigningKey {
    pair: KeyPair,
    random: SystemRandom,
    public_jwk: PublicJwk,
}

enum KeyPair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
}

/// The public half of a [`SigningKey`] as a JWK (RFC 7517 §4), which is what it serializes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    alg: SigningAlgorithm,
    #[serde(rename = "use")]
    key_use: &'static str,
    kid: String,
    #[serde(flatten)]
    key: PublicKey,
}

/// The members that RFC 7638 §3.2 and RFC 8037 §2 require, and no others, in the order in which they are hashed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum PublicKey {
    Ed25519 { crv: &'static str, kty: &'static str, x: String },
    P256 { crv: &'static str, kty: &'static str, x: String, y: String },
    Rsa { e: String, kty: &'static str, n: String },
}

/// A key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no PKCS#8 private key in the PEM text.
    #[error("there is no `BEGIN PRIVATE KEY` section: a key in PKCS#8 is expected, as `openssl genpkey` writes it")]
    NoPem,
    /// It is not a private key for this algorithm.
    #[error("this is not a PKCS#8 private key for {0:?}; RSA keys need 2048 to 4096 bits")]
    Rejected(SigningAlgorithm),
    /// Keys for this algorithm have to come from elsewhere.
    #[error(
        "an RSA key cannot be made here: take one from `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`"
    )]
    CannotGenerate,
    /// The system's source of randomness failed.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// A [`KeySet`](super::KeySet) cannot be rotated.
    #[error("there is no next key, and one that nobody knows yet must not sign: set it, and rotate when it is known")]
    NoNextKey,
}

impl SigningKey {
    /// A new key, which lives as long as this value. To keep one, keep what [`SigningKey::generate_pkcs8`] makes.
    ///
    /// # Errors
    /// For RSA, whose keys have to come from elsewhere.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, KeyError> {
        Self::from_pkcs8_der(algorithm, &Self::generate_pkcs8(algorithm)?)
    }

    /// A new private key as PKCS#8 DER, for a place where secrets are kept.
    ///
    /// # Errors
    /// For RSA, whose keys have to come from elsewhere.
    pub fn generate_pkcs8(algorithm: SigningAlgorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            SigningAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
            SigningAlgorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => return Err(KeyError::CannotGenerate),
        };
        pkcs8.map(|pkcs8| Zeroizing::new(pkcs8.as_ref().to_vec())).map_err(|_| KeyError::NoRandomness)
    }

    /// Reads the first `PRIVATE KEY` section of a PEM text (RFC 7468 §10).
    ///
    /// # Errors
    /// When there is none, or it is not a key for this algorithm.
    pub fn from_pkcs8_pem(algorithm: SigningAlgorithm, pem: &[u8]) -> Result<Self, KeyError> {
        let mut der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoPem)?;
        let key = Self::from_pkcs8_der(algorithm, der.secret_pkcs8_der());
        der.zeroize();
        key
    }

    /// Reads a private key in PKCS#8 DER (RFC 5208, RFC 5958).
    ///
    /// # Errors
    /// When it is not a key for this algorithm.
    pub fn from_pkcs8_der(algorithm: SigningAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let pair = match algorithm {
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(KeyPair::Ed25519),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random).map(KeyPair::P256)
            }
            SigningAlgorithm::Rs256 => {
                RsaKeyPair::from_pkcs8(der).map(|pair| KeyPair::Rsa(pair.into(), &RSA_PKCS1_SHA256))
            }
            SigningAlgorithm::Ps256 => {
                RsaKeyPair::from_pkcs8(der).map(|pair| KeyPair::Rsa(pair.into(), &RSA_PSS_SHA256))
            }
        };
        let pair = pair.map_err(|_| KeyError::Rejected(algorithm))?;
        let key = pair.public_key().ok_or(KeyError::Rejected(algorithm))?;
        let public_jwk = PublicJwk { alg: algorithm, key_use: "sig", kid: key.thumbprint(), key };
        Ok(Self { pair, random, public_jwk })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.public_jwk.alg
    }

    /// The key id: the SHA-256 thumbprint of the public key (RFC 7638).
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.public_jwk.kid
    }

    /// The public key, for those who verify.
    #[must_use]
    pub const fn public_jwk(&self) -> &PublicJwk {
        &self.public_jwk
    }

    /// The signature over `message`, as RFC 7515 wants it.
    ///
    /// # Errors
    /// When the system gives no randomness to an algorithm that needs some.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BackendError> {
        let failed = |_| BackendError::new("the system gave no random bytes for a signature");
        match &self.pair {
            KeyPair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            KeyPair::P256(pair) => Ok(pair.sign(&self.random, message).map_err(failed)?.as_ref().to_vec()),
            KeyPair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &self.random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

impl SigningKey {
    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let (algorithm, key): (&dyn VerificationAlgorithm, &[u8]) = match (&self.pair, self.algorithm()) {
            (KeyPair::Ed25519(pair), _) => (&ED25519, pair.public_key().as_ref()),
            (KeyPair::P256(pair), _) => (&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()),
            (KeyPair::Rsa(pair, _), SigningAlgorithm::Ps256) => (&RSA_PSS_2048_8192_SHA256, pair.public_key().as_ref()),
            (KeyPair::Rsa(pair, _), _) => (&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()),
        };
        UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("alg", &self.algorithm())
            .field("kid", &self.key_id())
            .finish_non_exhaustive()
    }
}

impl KeyPair {
    fn public_key(&self) -> Option<PublicKey> {
        let base64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        Some(match self {
            Self::Ed25519(pair) => {
                PublicKey::Ed25519 { crv: "Ed25519", kty: "OKP", x: base64(pair.public_key().as_ref()) }
            }
            Self::P256(pair) => {
                // SEC 1 §2.3.3: 4, then both coordinates.
                let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
                PublicKey::P256 { crv: "P-256", kty: "EC", x: base64(x), y: base64(y) }
            }
            Self::Rsa(pair, _) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                PublicKey::Rsa { e: base64(&e), kty: "RSA", n: base64(&n) }
            }
        })
    }
}

impl PublicKey {
    /// RFC 7638 §3: the hash of what this type serializes to.
    fn thumbprint(&self) -> String {
        let mut json = Vec::new();
        json::value(&mut json, self);
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7638_3_1_rsa_thumbprint() {
        // The example of RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = PublicKey::Rsa { e: "AQAB".into(), kty: "RSA", n: n.into() };
        assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn rfc8037_a_ed25519_key_and_thumbprint() {
        // The key of RFC 8037 §A.1, its public half of §A.2 and its thumbprint of §A.3.
        let seed = BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let der = [b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".as_slice(), &seed].concat();
        let key = SigningKey::from_pkcs8_der(SigningAlgorithm::EdDsa, &der).unwrap();
        assert_eq!(key.key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let jwk = serde_json::to_value(key.public_jwk()).unwrap();
        assert_eq!(jwk["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!((&jwk["alg"], &jwk["use"], &jwk["kty"]), (&"EdDSA".into(), &"sig".into(), &"OKP".into()));
        assert!(jwk.get("d").is_none());
        assert_eq!(
            format!("{key:?}"),
            r#"SigningKey { alg: EdDsa, kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", .. }"#
        );
    }

    #[test]
    fn keys_that_cannot_be_used() {
        use SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};
        assert_eq!(SigningKey::from_pkcs8_pem(EdDsa, b"no key").unwrap_err(), KeyError::NoPem);
        assert_eq!(SigningKey::generate(Rs256).unwrap_err(), KeyError::CannotGenerate);
        let p256 = SigningKey::generate_pkcs8(Es256).unwrap();
        for algorithm in [EdDsa, Rs256, Ps256] {
            assert_eq!(SigningKey::from_pkcs8_der(algorithm, &p256).unwrap_err(), KeyError::Rejected(algorithm));
        }
        assert!(SigningKey::from_pkcs8_der(Es256, &p256[..20]).is_err());
    }
}
