//! The key of sealed tokens.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
    hmac::{self, HMAC_SHA256},
};
use zeroize::Zeroizing;

use super::{
    epochs::{EpochId, Epochs},
    header::{HEADER_LEN, Header},
};
use crate::{BackendError, ParseError, RandomSource, secret::to_text};

/// What a key is named by in its tokens.
pub(super) type KeyId = [u8; 4];

const LEN: usize = 32;

/// The secret of a [`SealedIssuer`](crate::SealedIssuer): 32 bytes. Whoever has them reads all its tokens and makes more.
///
/// It seals nothing by itself. The key id is derived from it, and so is a key of AES-256-GCM for each 65,536 tokens, by
/// HMAC-SHA256 (NIST SP 800-108r1 §4.1), which nobody gets back from. So it is good for as many tokens as there may be.
///
/// `Debug` shows only the key id, and the bytes are zeroed on drop. What is derived from them, `ring` keeps, and does not zero.
///
/// ```
/// use client_credentials::{RandomSource, SealingKey};
///
/// let key = SealingKey::generate(&RandomSource::default())?;
/// let kept = key.to_text();
///
/// let again: SealingKey = kept.parse()?;
/// assert_eq!(again.key_id(), key.key_id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SealingKey {
    /// On the heap, so that moving the key leaves no copy behind.
    secret: Box<Zeroizing<[u8; LEN]>>,
    key_id: KeyId,
    epochs: Epochs,
}

impl SealingKey {
    /// A new one. To keep it, keep [`SealingKey::to_text`] where secrets are kept.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn generate(random: &RandomSource) -> Result<Self, BackendError> {
        let mut secret = Box::new(Zeroizing::new([0; LEN]));
        random.fill(secret.as_mut_slice())?;
        Ok(Self::of_secret(secret))
    }

    /// A key that was kept by its bytes, which have to be random: a password is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; LEN]) -> Self {
        let mut secret = Box::new(Zeroizing::new([0; LEN]));
        secret.copy_from_slice(bytes);
        Self::of_secret(secret)
    }

    /// The secret itself as base64url, 43 characters: for the place where secrets are kept, from which
    /// [`str::parse`] takes it back.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        to_text(self.secret.as_slice())
    }

    /// The key id: 4 bytes that are derived from the secret, as base64url. Every token has it in the clear.
    #[must_use]
    pub fn key_id(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.key_id)
    }

    fn of_secret(secret: Box<Zeroizing<[u8; LEN]>>) -> Self {
        let mut key_id = KeyId::default();
        let derived = derive(&secret, b"key id", &[]);
        key_id.iter_mut().zip(derived.as_ref()).for_each(|(byte, derived)| *byte = *derived);
        Self { secret, key_id, epochs: Epochs::new() }
    }
}

impl SealingKey {
    /// Writes the header of `token`, seals what follows it, and appends the tag.
    pub(super) fn seal(
        &self,
        nonce: [u8; 12],
        issuer_hash: &[u8; 32],
        token: &mut Vec<u8>,
        random: &RandomSource,
    ) -> Result<(), BackendError> {
        let seal = |epoch: EpochId, key: &LessSafeKey| {
            let header = Header { key_id: self.key_id, epoch, nonce };
            let associated_data = Aad::from(header.associated_data(issuer_hash));
            let (clear, said) = token.split_at_mut_checked(HEADER_LEN).ok_or(Unspecified)?;
            clear.copy_from_slice(&header.to_bytes());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = key.seal_in_place_separate_tag(nonce, associated_data, said)?;
            token.extend_from_slice(tag.as_ref());
            Ok(())
        };
        self.epochs.seal(random, |epoch| self.epoch_key(epoch), seal)
    }

    /// What is sealed, if it is sealed with this key.
    pub(super) fn open<'a>(&self, header: &Header, issuer_hash: &[u8; 32], sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        if header.key_id != self.key_id {
            return None;
        }
        self.epochs.open(
            header.epoch,
            |epoch| self.epoch_key(epoch),
            |key| {
                let associated_data = Aad::from(header.associated_data(issuer_hash));
                let nonce = Nonce::assume_unique_for_key(header.nonce);
                key.open_in_place(nonce, associated_data, sealed).ok().map(|said| &*said)
            },
        )
    }

    fn epoch_key(&self, epoch: EpochId) -> Result<LessSafeKey, Unspecified> {
        UnboundKey::new(&AES_256_GCM, derive(&self.secret, b"sealed token AES-256-GCM", &epoch).as_ref())
            .map(LessSafeKey::new)
    }
}

/// 256 bits by the KDF in counter mode of NIST SP 800-108r1 §4.1, which one block of HMAC-SHA256 gives.
fn derive(secret: &[u8; LEN], label: &[u8], context: &[u8]) -> hmac::Tag {
    let mut kdf = hmac::Context::with_key(&hmac::Key::new(HMAC_SHA256, secret));
    for part in [&1_u32.to_be_bytes(), label, &[0], context, &256_u32.to_be_bytes()] {
        kdf.update(part);
    }
    kdf.sign()
}

impl FromStr for SealingKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut secret = Box::new(Zeroizing::new([0; LEN]));
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, secret.as_mut_slice()) {
            Ok(LEN) => Ok(Self::of_secret(secret)),
            _ => Err(ParseError("a sealing key is 32 bytes as base64url, 43 characters")),
        }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("kid", &self.key_id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_by_its_text_or_its_bytes() {
        let key = SealingKey::generate(&RandomSource::default()).unwrap();
        let text = key.to_text();
        assert_eq!(text.len(), 43);
        let again: SealingKey = text.parse().unwrap();
        assert_eq!((again.to_text(), again.key_id()), (text, key.key_id()));
        assert_eq!(SealingKey::from_bytes(&key.secret).key_id(), key.key_id());
        assert_ne!(SealingKey::from_bytes(&[7; LEN]).key_id(), SealingKey::from_bytes(&[8; LEN]).key_id());
        let zeros = "A".repeat(43);
        assert!(zeros.parse::<SealingKey>().is_ok());
        for wrong in ["", &zeros[1..], &format!("{zeros}A"), &format!("{zeros}="), &format!("{}B", &zeros[1..]), "+"] {
            let error = wrong.parse::<SealingKey>().unwrap_err();
            assert_eq!(error.to_string(), "a sealing key is 32 bytes as base64url, 43 characters");
        }
    }

    /// What OpenSSL derives: `openssl kdf -keylen 32 -kdfopt mac:HMAC -kdfopt digest:SHA256 -kdfopt hexkey:0707… -kdfopt salt:'key id'
    /// KBKDF`, with `hexinfo` for the context.
    #[test]
    fn nist_sp_800_108_4_1_counter_mode() {
        let hex = |tag: hmac::Tag| tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(derive(&[7; LEN], b"key id", &[])),
            "6d36dd4c6106f6e6760ab681a68929eae44f97374d9fb1b9482b6062e08cc64c"
        );
        assert_eq!(
            hex(derive(&[7; LEN], b"sealed token AES-256-GCM", &[1, 2, 3, 4, 5, 6, 7, 8])),
            "15986702a7f5e3cd8e852afb42ecf303fcc01d19ebbff37d992e39b409f70d0d"
        );
    }

    #[test]
    fn debug_shows_the_key_id_alone() {
        let key = SealingKey::from_bytes(&[7; LEN]);
        assert_eq!(format!("{key:?}"), format!("SealingKey {{ kid: {:?}, .. }}", key.key_id()));
    }
}
