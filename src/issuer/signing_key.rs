//! Private keys at hand, which sign tokens.

mod at_hand;
#[cfg(feature = "aws-lc-rs")]
mod aws_lc;

use at_hand::key_at_hand;
#[cfg(feature = "aws-lc-rs")]
pub use aws_lc::AwsLcSigningKey;
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaEncoding, RsaKeyPair,
    },
};
use zeroize::Zeroizing;

use super::{PublicJwk, Signer, SigningAlgorithm, jwk::PublicKey};
use crate::BackendError;

/// A private key that signs tokens with one algorithm, by `ring`. `Debug` shows only algorithm and key id.
///
/// With the feature `aws-lc-rs` there is `AwsLcSigningKey` beside it, which takes the same keys and signs faster with Ed25519 and
/// RSA.
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
        Ok(Self { pair, random, public_jwk: PublicJwk::new(algorithm, key) })
    }
}

impl Signer for SigningKey {
    fn public_jwk(&self) -> &PublicJwk {
        &self.public_jwk
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BackendError> {
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

key_at_hand!(SigningKey);

impl KeyPair {
    fn public_key(&self) -> Option<PublicKey> {
        Some(match self {
            Self::Ed25519(pair) => PublicKey::Ed25519(pair.public_key().as_ref().try_into().ok()?),
            Self::P256(pair) => PublicKey::P256(pair.public_key().as_ref().to_vec()),
            Self::Rsa(pair, _) => {
                let PublicKeyComponents { n, e } = pair.public().into();
                PublicKey::Rsa { n, e }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;

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
