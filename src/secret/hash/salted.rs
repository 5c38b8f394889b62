//! The hash of a generated secret: one SHA-256 over the salt, then the secret.

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};

use crate::secret::sha256;

/// Salt, secret and SHA-256's own padding fill exactly one block of it when the secret is a generated one:
/// 12 + 43 + 9 = 64 bytes. A longer salt would double the cost of a mint.
pub(super) const SALT_LEN: usize = 12;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Salted {
    salt: [u8; SALT_LEN],
    digest: [u8; 32],
}

impl Salted {
    pub(super) fn new(salt: [u8; SALT_LEN], secret: &str) -> Self {
        Self { salt, digest: salted_sha256(&salt, secret) }
    }

    /// One that no known secret has.
    pub(super) const fn decoy() -> Self {
        Self { salt: [0; SALT_LEN], digest: [0; 32] }
    }

    /// `SALT$DIGEST`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let base64 = |part: &str| BASE64_STANDARD_NO_PAD.decode(part).ok();
        let (salt, digest) = text.split_once('$')?;
        Some(Self { salt: base64(salt)?.try_into().ok()?, digest: base64(digest)?.try_into().ok()? })
    }

    pub(super) fn to_text(&self) -> String {
        let base64 = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
        format!("$sha256${}${}", base64(&self.salt), base64(&self.digest))
    }

    /// The hash of another secret with the same salt.
    pub(super) fn beside(&self, secret: &str) -> Self {
        Self::new(self.salt, secret)
    }

    pub(super) fn digest_of(&self, presented: &str) -> [u8; 32] {
        salted_sha256(&self.salt, presented)
    }

    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn is_salted_like(&self, other: &Self) -> bool {
        self.salt == other.salt
    }
}

fn salted_sha256(salt: &[u8; SALT_LEN], secret: &str) -> [u8; 32] {
    sha256([salt, secret.as_bytes()])
}
