//! What a sealed token has in the clear.

use std::mem;

use base64_simd::URL_SAFE_NO_PAD;
use time::OffsetDateTime;

use super::{epochs::EpochId, key::KeyId};

/// Version, key id, epoch and nonce.
pub(super) const HEADER_LEN: usize = 1 + 4 + 8 + 12;

/// The authentication tag, which is last in a token.
pub(super) const TAG_LEN: usize = 16;

/// The only one there is so far. Whatever changes in a token, its layout, its algorithm or what it says, makes another one.
const VERSION: u8 = 1;

pub(super) struct Header {
    pub(super) key_id: KeyId,
    pub(super) epoch: EpochId,
    pub(super) nonce: [u8; 12],
}

impl Header {
    /// The header of a token and what follows it.
    pub(super) fn split(token: &[u8]) -> Option<(Self, &[u8])> {
        let (version, token) = token.split_first()?;
        let (key_id, token) = token.split_first_chunk()?;
        let (epoch, token) = token.split_first_chunk()?;
        let (nonce, sealed) = token.split_first_chunk()?;
        (*version == VERSION).then_some((Self { key_id: *key_id, epoch: *epoch, nonce: *nonce }, sealed))
    }

    pub(super) fn to_bytes(&self) -> [u8; HEADER_LEN] {
        joined([&[VERSION], &self.key_id, &self.epoch, &self.nonce])
    }

    /// What the tag covers beside the ciphertext: all of the header, and whose token it is. Both are of one length, so that no two
    /// of them read the same.
    pub(super) fn associated_data(&self, issuer_hash: &[u8; 32]) -> [u8; HEADER_LEN + 32] {
        joined([&self.to_bytes(), issuer_hash])
    }

    /// No other token has this epoch and this nonce, or it would have been sealed with the same key and nonce.
    pub(super) fn jti(&self) -> String {
        URL_SAFE_NO_PAD.encode_to_string(joined::<2, { 8 + 12 }>([&self.epoch, &self.nonce]))
    }
}

/// Parts that together have `LEN` bytes.
fn joined<const PARTS: usize, const LEN: usize>(parts: [&[u8]; PARTS]) -> [u8; LEN] {
    let mut joined = [0; LEN];
    let mut rest = joined.as_mut_slice();
    for part in parts {
        if let Some((place, more)) = mem::take(&mut rest).split_at_mut_checked(part.len()) {
            place.copy_from_slice(part);
            rest = more;
        }
    }
    joined
}

/// Mixes the time into a random nonce, which is as random afterwards. It is for copies of a virtual machine whose generators give
/// the same bytes for a while: they seldom mint in the same nanosecond, and so have different nonces even then.
pub(super) fn mix_in(issued_at: OffsetDateTime, nonce: &mut [u8; 12]) {
    let time = issued_at.unix_timestamp_nanos().to_le_bytes();
    nonce.iter_mut().zip(time).for_each(|(byte, time)| *byte ^= time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_its_parts_in_order() {
        let header = Header { key_id: [2; 4], epoch: [3; 8], nonce: [4; 12] };
        let bytes = header.to_bytes();
        let expected = [&[1][..], &[2; 4], &[3; 8], &[4; 12]].concat();
        assert_eq!(bytes, *expected);
        let (split, rest) = Header::split(&bytes).unwrap();
        assert_eq!((split.to_bytes(), rest), (bytes, &[][..]));
        assert_eq!(header.associated_data(&[5; 32]), *[&expected[..], &[5; 32]].concat());
        assert!(Header::split(&bytes[..HEADER_LEN - 1]).is_none());
        assert!(Header::split(&[]).is_none());
        for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
            let mut other = bytes;
            other[0] = version;
            assert!(Header::split(&other).is_none(), "{version}");
        }
    }

    #[test]
    fn one_generator_twice_gives_two_nonces_at_two_times() {
        let at = |nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
        let nonce = |at| {
            let mut nonce = [7; 12];
            mix_in(at, &mut nonce);
            nonce
        };
        assert_eq!(nonce(at(1)), nonce(at(1)));
        assert_ne!(nonce(at(1)), nonce(at(2)));
        assert_ne!(nonce(at(-1)), nonce(at(1)));
    }
}
