//! bcrypt, as everybody writes it and with Django's two prefixes before it.

use std::fmt::Write as _;

use base64::{
    Engine as _, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, NO_PAD},
};
use bcrypt::bcrypt;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::slow::number;
use crate::ParseError;

/// 65,536 rounds: some seconds.
const COST: std::ops::RangeInclusive<u32> = 4..=16;

/// What bcrypt sees of a secret. All that made these hashes cut off the rest, or refused it.
const SECRET_LEN: usize = 72;

pub(super) const EXPECTED: ParseError = ParseError(
    "a bcrypt hash is `$2b$COST$` (or `$2a$`, `$2y$`) with 53 characters after it and a cost of 4 to 16, or the same after \
     Django's `bcrypt$` or `bcrypt_sha256$`",
);

/// Some write salts with bits set after their end.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::BCRYPT, GeneralPurposeConfig::with_decode_allow_trailing_bits(NO_PAD, true));

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    /// Whether it goes over the hexadecimal SHA-256 of the secret, as with Django.
    of_sha256: bool,
}

impl Bcrypt {
    pub(super) fn derive(&self, secret: &str, output: &mut [u8]) -> Option<()> {
        let mut seen = Zeroizing::new(String::with_capacity(2 * SECRET_LEN));
        if self.of_sha256 {
            digest(&SHA256, secret.as_bytes()).as_ref().iter().try_for_each(|byte| write!(seen, "{byte:02x}")).ok()?;
        }
        // It ends with a zero byte, if there is room for one.
        let bytes = if self.of_sha256 { seen.as_bytes() } else { secret.as_bytes() };
        let bytes: Zeroizing<Vec<u8>> =
            Zeroizing::new(bytes.iter().copied().take(SECRET_LEN).chain([0]).take(SECRET_LEN).collect());
        let hash = Zeroizing::new(bcrypt(self.cost, self.salt, &bytes));
        output.copy_from_slice(hash.get(..output.len())?);
        Some(())
    }

    #[cfg(test)]
    pub(super) const fn work(&self) -> u32 {
        1 << self.cost
    }
}

/// The function and its output.
pub(super) fn parse(text: &str) -> Option<(Bcrypt, Vec<u8>)> {
    let of_sha256 = text.strip_prefix("bcrypt_sha256$");
    let rest = of_sha256.or_else(|| text.strip_prefix("bcrypt$")).unwrap_or(text);
    // The three differ in faults of old implementations, which no text within their limits shows.
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| rest.strip_prefix(version))?;
    let (cost, rest) = rest.split_once('$')?;
    let (salt, output) = rest.split_at_checked(22)?;
    let (salt, output) = (BASE64.decode(salt).ok()?, BASE64.decode(output).ok()?);
    let cost = number(cost).filter(|number| cost.len() == 2 && COST.contains(number))?;
    let bcrypt = Bcrypt { cost, salt: salt.try_into().ok()?, of_sha256: of_sha256.is_some() };
    (output.len() == 23).then_some((bcrypt, output))
}
