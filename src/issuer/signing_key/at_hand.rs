//! What is the same for every key at hand, whatever signs with it.

use std::fmt;

use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::Zeroize as _;

use super::KeyError;
use crate::PublicJwk;

/// Completes a type that has a field `public_jwk` and `from_pkcs8_der`.
macro_rules! key_at_hand {
    ($key:ident) => {
        impl $key {
            /// Reads the first `PRIVATE KEY` section of a PEM text (RFC 7468 §10).
            ///
            /// # Errors
            /// When there is none, or it is not a key for this algorithm.
            pub fn from_pkcs8_pem(algorithm: $crate::SigningAlgorithm, pem: &[u8]) -> Result<Self, $crate::KeyError> {
                $crate::issuer::signing_key::at_hand::read_pem(pem, |der| Self::from_pkcs8_der(algorithm, der))
            }

            /// The algorithm.
            #[must_use]
            pub const fn algorithm(&self) -> $crate::SigningAlgorithm {
                self.public_jwk.algorithm()
            }

            /// The key id: the SHA-256 thumbprint of the public key (RFC 7638).
            #[must_use]
            pub fn key_id(&self) -> &str {
                self.public_jwk.key_id()
            }

            /// The public key, for those who verify.
            #[must_use]
            pub const fn public_jwk(&self) -> &$crate::PublicJwk {
                &self.public_jwk
            }
        }

        impl std::fmt::Debug for $key {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::issuer::signing_key::at_hand::debug(f, stringify!($key), &self.public_jwk)
            }
        }

        impl From<$key> for $crate::AnySigner {
            fn from(key: $key) -> Self {
                Self::new(key)
            }
        }

        impl From<$key> for $crate::KeySet<$crate::AnySigner> {
            fn from(key: $key) -> Self {
                Self::new(key.into())
            }
        }
    };
}

pub(super) use key_at_hand;

pub(super) fn read_pem<K>(pem: &[u8], read: impl FnOnce(&[u8]) -> Result<K, KeyError>) -> Result<K, KeyError> {
    let mut der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoPem)?;
    let key = read(der.secret_pkcs8_der());
    der.zeroize();
    key
}

pub(super) fn debug(f: &mut fmt::Formatter<'_>, name: &str, public_jwk: &PublicJwk) -> fmt::Result {
    f.debug_struct(name)
        .field("alg", &public_jwk.algorithm())
        .field("kid", &public_jwk.key_id())
        .finish_non_exhaustive()
}
