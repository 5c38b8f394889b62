//! The same private keys, with which AWS-LC signs.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding,
        RsaKeyPair,
    },
};

use super::{KeyError, SigningKey, key_at_hand};
use crate::{BackendError, PublicJwk, Signer, SigningAlgorithm};

/// A private key that signs tokens with one algorithm, by AWS-LC through the crate `aws-lc-rs`. `Debug` shows only algorithm
/// and key id.
///
/// It takes the keys that [`SigningKey`] takes, under the same key ids, so one can stand in for the other where tokens are
/// already out, or on another instance. With Ed25519 and RSA it signs faster, with P-256 about as fast; what it costs is the C of
/// AWS-LC in the build, for which a C compiler is enough on Linux. Only signing is AWS-LC's: tokens are verified by `ring`
/// whichever signs.
///
/// ```
/// use client_credentials::{AwsLcSigningKey, JwtIssuer, SigningAlgorithm, SigningKey};
///
/// let der = SigningKey::generate_pkcs8(SigningAlgorithm::EdDsa)?;
/// // … and later, from the place where secrets are kept:
/// let key = AwsLcSigningKey::from_pkcs8_der(SigningAlgorithm::EdDsa, &der)?;
/// assert_eq!(key.key_id(), SigningKey::from_pkcs8_der(SigningAlgorithm::EdDsa, &der)?.key_id());
/// let issuer = JwtIssuer::new("https://auth.example.com", key);
/// # Ok::<(), client_credentials::KeyError>(())
/// ```
pub struct AwsLcSigningKey {
    pair: KeyPair,
    public_jwk: PublicJwk,
}

enum KeyPair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

impl AwsLcSigningKey {
    /// A new key, which lives as long as this value. To keep one, keep what [`SigningKey::generate_pkcs8`] makes.
    ///
    /// # Errors
    /// As [`SigningKey::generate`].
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, KeyError> {
        Self::from_pkcs8_der(algorithm, &SigningKey::generate_pkcs8(algorithm)?)
    }

    /// Reads a private key in PKCS#8 DER (RFC 5208, RFC 5958).
    ///
    /// # Errors
    /// When it is not a key for this algorithm, or not one that [`SigningKey::from_pkcs8_der`] takes: AWS-LC would take RSA keys
    /// with which no other signer of this crate can follow it.
    pub fn from_pkcs8_der(algorithm: SigningAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        let SigningKey { public_jwk, .. } = SigningKey::from_pkcs8_der(algorithm, der)?;
        let pair = match algorithm {
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(der).map(KeyPair::Ed25519),
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(KeyPair::P256)
            }
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(der).map(|pair| KeyPair::Rsa(pair, &RSA_PKCS1_SHA256)),
            SigningAlgorithm::Ps256 => RsaKeyPair::from_pkcs8(der).map(|pair| KeyPair::Rsa(pair, &RSA_PSS_SHA256)),
        };
        let pair = pair.map_err(|_| KeyError::Rejected(algorithm))?;
        Ok(Self { pair, public_jwk })
    }
}

impl Signer for AwsLcSigningKey {
    fn public_jwk(&self) -> &PublicJwk {
        &self.public_jwk
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, BackendError> {
        // AWS-LC has its own source whatever it is given.
        let random = SystemRandom::new();
        let failed = |_| BackendError::new("AWS-LC gave no signature");
        match &self.pair {
            KeyPair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(failed)?.as_ref().to_vec()),
            KeyPair::P256(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            KeyPair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }
}

key_at_hand!(AwsLcSigningKey);

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;
    use crate::SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};

    const RSA: &[u8] = include_bytes!("../../../tests/keys/rsa2048.pem");

    fn signature(key: &AwsLcSigningKey, message: &[u8]) -> Vec<u8> {
        match pin!(key.sign(message)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(signature) => signature.unwrap(),
            Poll::Pending => panic!("it waits for nothing"),
        }
    }

    #[test]
    fn rfc7515_a_each_algorithm_with_the_same_keys_as_ring() {
        let made = [EdDsa, Es256].map(|algorithm| {
            let der = SigningKey::generate_pkcs8(algorithm).unwrap();
            let key = AwsLcSigningKey::from_pkcs8_der(algorithm, &der).unwrap();
            (key, SigningKey::from_pkcs8_der(algorithm, &der).unwrap())
        });
        let rsa = [Rs256, Ps256].map(|algorithm| {
            let key = AwsLcSigningKey::from_pkcs8_pem(algorithm, RSA).unwrap();
            (key, SigningKey::from_pkcs8_pem(algorithm, RSA).unwrap())
        });
        for (key, ring) in made.into_iter().chain(rsa) {
            assert_eq!(key.public_jwk(), ring.public_jwk());
            assert_eq!((key.algorithm(), key.key_id()), (ring.algorithm(), ring.key_id()));
            // ring verifies.
            assert!(ring.public_jwk().verify(b"message", &signature(&key, b"message")), "{key:?}");
            assert!(!ring.public_jwk().verify(b"massage", &signature(&key, b"message")), "{key:?}");
            assert_eq!(format!("{key:?}"), format!("AwsLc{ring:?}"));
        }
    }

    #[test]
    fn keys_that_aws_lc_has_made() {
        let random = SystemRandom::new();
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed25519_v1 = Ed25519KeyPair::generate_pkcs8v1(&random).unwrap();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        for (algorithm, der) in [(EdDsa, ed25519), (EdDsa, ed25519_v1), (Es256, p256)] {
            let key = AwsLcSigningKey::from_pkcs8_der(algorithm, der.as_ref()).unwrap();
            let ring = SigningKey::from_pkcs8_der(algorithm, der.as_ref()).unwrap();
            assert_eq!(key.public_jwk(), ring.public_jwk());
            assert!(key.public_jwk().verify(b"", &signature(&key, b"")));
        }
    }

    #[test]
    fn rfc8037_a_ed25519_signature() {
        let decoded = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        let seed = decoded("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let der = [b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".as_slice(), &seed].concat();
        let key = AwsLcSigningKey::from_pkcs8_der(EdDsa, &der).unwrap();
        // The thumbprint of §A.3, and the signature of §A.4.
        assert_eq!(key.key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(
            signature(&key, b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
            decoded("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
        );
    }

    #[test]
    fn keys_that_cannot_be_used() {
        assert_eq!(AwsLcSigningKey::from_pkcs8_pem(EdDsa, b"no key").unwrap_err(), KeyError::NoPem);
        assert_eq!(AwsLcSigningKey::generate(Rs256).unwrap_err(), KeyError::CannotGenerate);
        let p256 = SigningKey::generate_pkcs8(Es256).unwrap();
        for algorithm in [EdDsa, Rs256, Ps256] {
            assert_eq!(AwsLcSigningKey::from_pkcs8_der(algorithm, &p256).unwrap_err(), KeyError::Rejected(algorithm));
        }
        assert!(AwsLcSigningKey::from_pkcs8_der(Es256, &p256[..20]).is_err());

        // Without its public half (RFC 5915 §3): AWS-LC takes it, ring does not, so neither type does.
        let alone = [
            b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
                .as_slice(),
            b"\x04\x27\x30\x25\x02\x01\x01\x04\x20",
            &[7; 32],
        ]
        .concat();
        assert!(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &alone).is_ok());
        assert_eq!(SigningKey::from_pkcs8_der(Es256, &alone).unwrap_err(), KeyError::Rejected(Es256));
        assert_eq!(AwsLcSigningKey::from_pkcs8_der(Es256, &alone).unwrap_err(), KeyError::Rejected(Es256));
    }
}
