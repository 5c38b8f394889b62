//! What the world may know of a key that signs: a JWK (RFC 7517), and how a signature is checked with it.

mod read;

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
        RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use serde::{Deserialize, Serialize};

use crate::json;

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

/// A public key as a JWK (RFC 7517 §4): it serializes to one and deserializes from one.
///
/// What can be read is an Ed25519 key, one on the curve P-256, or an RSA key of 2048 to 8192 bits. A key without `kid` gets its
/// thumbprint for one (RFC 7638), and a key without `alg` the only one that it can have, which for RSA is taken to be `RS256`.
/// A key that is there for something else than signatures is refused (`use`, `key_ops`), and so is a private key: what holds this
/// type can be published.
///
/// ```
/// use client_credentials::{PublicJwk, SigningAlgorithm};
///
/// // RFC 8037 §A.2, and the signature of §A.4.
/// let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// let key: PublicJwk = serde_json::from_str(key)?;
/// assert_eq!(key.algorithm(), SigningAlgorithm::EdDsa);
/// assert_eq!(key.key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// assert!(!key.verify(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", &[0; 64]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(into = "Written")]
pub struct PublicJwk {
    algorithm: SigningAlgorithm,
    key_id: String,
    key: PublicKey,
}

impl PublicJwk {
    /// With its thumbprint as its key id.
    pub(super) fn new(algorithm: SigningAlgorithm, key: PublicKey) -> Self {
        Self { algorithm, key_id: key.thumbprint(), key }
    }

    /// The algorithm, `alg`: the only one with which a signature is checked.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The key id, `kid`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether `signature`, as RFC 7515 has it, is one over `message` by the private half of this key.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm, key| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match &self.key {
            PublicKey::Ed25519(key) => by(&ED25519, key.as_slice()),
            PublicKey::P256(key) => by(&ECDSA_P256_SHA256_FIXED, key),
            PublicKey::Rsa { n, e } => {
                let parameters: &RsaParameters = match self.algorithm {
                    SigningAlgorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                    _ => &RSA_PKCS1_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
        }
    }
}

impl fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { algorithm, key_id, .. } = self;
        f.debug_struct("PublicJwk").field("alg", algorithm).field("kid", key_id).finish_non_exhaustive()
    }
}

/// A key, as `ring` takes it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    Ed25519([u8; 32]),
    /// An uncompressed point (SEC 1 §2.3.3): 4, then both coordinates.
    P256(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// RFC 7638 §3.
    fn thumbprint(&self) -> String {
        let mut json = Vec::new();
        json::value(&mut json, &self.members());
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &json))
    }

    fn members(&self) -> Members {
        let base64 = |bytes: &[u8]| Some(BASE64_URL_SAFE_NO_PAD.encode(bytes));
        match self {
            Self::Ed25519(x) => Members { crv: Some("Ed25519"), kty: "OKP", x: base64(x), ..Members::default() },
            Self::P256(point) => {
                let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
                Members { crv: Some("P-256"), kty: "EC", x: base64(x), y: base64(y), ..Members::default() }
            }
            Self::Rsa { n, e } => Members { e: base64(e), kty: "RSA", n: base64(n), ..Members::default() },
        }
    }
}

/// The members that RFC 7638 §3.2 and RFC 8037 §2 require, and no others, in the order in which they are hashed.
#[derive(Default, Serialize)]
struct Members {
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    kty: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

/// A key as it is written: nothing but what is public has a place here.
#[derive(Serialize)]
struct Written {
    alg: SigningAlgorithm,
    #[serde(rename = "use")]
    key_use: &'static str,
    kid: String,
    #[serde(flatten)]
    members: Members,
}

impl From<PublicJwk> for Written {
    fn from(PublicJwk { algorithm, key_id, key }: PublicJwk) -> Self {
        Self { alg: algorithm, key_use: "sig", kid: key_id, members: key.members() }
    }
}
