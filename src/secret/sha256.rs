//! SHA-256 (FIPS 180-4) of the short texts that every mint has: a secret with its salt, and a token.

use std::{mem::MaybeUninit, slice};

use sha2::{Digest as _, Sha256, block_api::compress256};
use zeroize::Zeroizing;

/// What the hash is before the first block (§5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256 of these parts, one after the other.
pub(super) fn sha256<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    of_one_block(parts).unwrap_or_else(|| {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize().into()
    })
}

/// The same where they fit into one block: then what keeps the count of blocks, and what of the next one is there, takes as long as the
/// hash.
fn of_one_block<const N: usize>(parts: [&[u8]; N]) -> Option<[u8; 32]> {
    // §5.1.1: after the message a bit that is set, and in the last eight bytes the number of its bits.
    // What may not have been written is zeroed at once, and an array byte by byte, which takes as long as the rest.
    let mut memory = Zeroizing::new(MaybeUninit::uninit());
    let (block, mut len) = (memory.write([0; 64]), 0);
    for part in parts {
        block.get_mut(len..)?.get_mut(..part.len())?.copy_from_slice(part);
        len += part.len();
    }
    if len >= 56 {
        return None;
    }
    *block.get_mut(len)? = 0x80;
    let [.., high, low] = block;
    [*high, *low] = u16::try_from(8 * len).ok()?.to_be_bytes();

    let (mut state, mut hash) = (INITIAL, [0; 32]);
    compress256(&mut state, slice::from_ref(block));
    hash.as_chunks_mut().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
    Some(hash)
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA256, digest};

    use super::*;

    #[test]
    fn agrees_with_a_peer_at_every_length() {
        let text: Vec<u8> = (0..200).collect();
        for len in 0..text.len() {
            let text = text.get(..len).unwrap();
            let expected = digest(&SHA256, text);
            for cut in 0..=len {
                let (one, other) = text.split_at(cut);
                assert_eq!(sha256([one, other]), expected.as_ref(), "{len} {cut}");
            }
            assert_eq!(sha256([text]), expected.as_ref());
        }
    }
}
