//! The values that must not be seen: client secrets and access tokens, and the hashes that are kept instead.

mod hash;
mod machine_made;
mod sha256;

use std::{fmt, str::FromStr};

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, de::Error as _};
use zeroize::Zeroizing;

#[cfg(test)]
pub(crate) use hash::counted;
pub use hash::{ClientSecretHash, SecretClass};
pub(crate) use machine_made::looks_machine_made;
use sha256::sha256;

use crate::{BackendError, ParseError, RandomSource};

/// How many random bytes a generated secret and an opaque token have; twice what a brute-force search could cover.
const RANDOM_LEN: usize = 32;

/// A client secret (RFC 6749 §2.3.1), as it is shown to its client once.
///
/// `Debug` is redacted, the memory is zeroed on drop, and [`ClientSecret::expose`] is the only way to the text.
///
/// ```
/// use client_credentials::{ClientSecret, ClientSecretHash, RandomSource};
///
/// let secret = ClientSecret::generate(&RandomSource::default())?;
/// let stored = ClientSecretHash::generated(&secret, &RandomSource::default())?.to_text();
///
/// let hash: ClientSecretHash = stored.parse().unwrap();
/// assert!(hash.verify(secret.expose()));
/// assert_eq!(format!("{secret:?}"), "ClientSecret(…)");
/// # Ok::<(), client_credentials::BackendError>(())
/// ```
pub struct ClientSecret(Zeroizing<String>);

impl ClientSecret {
    /// A new one: 32 random bytes as base64url, 43 characters.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn generate(random: &RandomSource) -> Result<Self, BackendError> {
        random_text(random).map(Self)
    }

    /// Takes over one that was chosen or comes from elsewhere.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

impl<'de> Deserialize<'de> for ClientSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde would put a value of the wrong type into its message, and that value may well be the secret.
        String::deserialize(deserializer).map(Self::new).map_err(|_| D::Error::custom("a client secret is a string"))
    }
}

/// An access token (RFC 6749 §1.4), as it is handed to the client.
///
/// `Debug` is redacted, the memory is zeroed on drop, and [`AccessToken::expose`] is the only way to the text.
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    /// A new opaque one: 32 random bytes as base64url, 43 characters.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn generate(random: &RandomSource) -> Result<Self, BackendError> {
        random_text(random).map(Self)
    }

    /// Takes over one that an issuer made.
    ///
    /// # Errors
    /// When it is not of letters, digits and `-._~+/`, with `=` only at the end: no other token fits into an `Authorization`
    /// header (`b64token` of RFC 6750 §2.1).
    pub fn new(token: String) -> Result<Self, ParseError> {
        let token = Zeroizing::new(token);
        if !is_b64token(&token) {
            return Err(ParseError("an access token is letters, digits and `-._~+/`, with `=` only at the end"));
        }
        Ok(Self(token))
    }

    /// One that an issuer made of bytes: these as base64url, which fits into any header.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self(to_text(bytes))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a store keeps in its place.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }
}

impl Drop for AccessToken {
    fn drop(&mut self) {
        // Its memory is zeroed next, which takes long where it holds text: that goes byte by byte, what is spare at once.
        self.0.clear();
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// The longest token that is taken apart: more has none that a header of a request could carry.
pub(crate) const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// `b64token` of RFC 6750 §2.1.
pub(crate) fn is_b64token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() | matches!(b, b'-'..=b'/' | b'_' | b'~' | b'+');
    let text = text.trim_end_matches('=');
    // Without an early exit the compiler looks at many bytes at once, of which a JWT has hundreds.
    !text.is_empty() && text.bytes().fold(true, |all, b| all & allowed(b))
}

/// The SHA-256 of an opaque token, or of the [`jti`](crate::Claims::jti) of one that no store keeps: it finds the token's row
/// or what is denied of it, and nobody gets from it to the token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token that somebody presents, or of the `jti` that it says.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(sha256([token.as_bytes()]))
    }

    /// A hash that a store has kept by its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be used as a key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TokenHash {
    /// The bytes as base64url, 43 characters: what an API key is named by, and a key where keys are texts.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode_to_string(self.0)
    }
}

impl FromStr for TokenHash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(ParseError("the hash of a token is 32 bytes as base64url, 43 characters"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

fn random_text(random: &RandomSource) -> Result<Zeroizing<String>, BackendError> {
    let mut bytes = Zeroizing::new([0; RANDOM_LEN]);
    random.fill(&mut *bytes)?;
    Ok(to_text(&*bytes))
}

/// Secret bytes as base64url.
pub(crate) fn to_text(bytes: &[u8]) -> Zeroizing<String> {
    // Right into memory of the final length, so that no copy stays behind.
    Zeroizing::new(URL_SAFE_NO_PAD.encode_to_string(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6750_2_1_b64token() {
        for token in ["a", "a.b-c_d~e+f/g==", "0"] {
            assert_eq!(AccessToken::new(token.into()).unwrap().expose(), token);
        }
        for token in ["", "=", "a b", "a=b", "a\"", "a\\", "é", "a\n"] {
            assert!(AccessToken::new(token.into()).is_err(), "{token:?}");
        }
    }
}
