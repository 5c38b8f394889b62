//! bcrypt, as everybody writes it, with Django's two prefixes before it, and over a digest as with passlib.

use std::fmt::Write as _;

use base64::{
    Engine as _, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, NO_PAD},
    prelude::BASE64_STANDARD,
};
use bcrypt::bcrypt;
use ring::{
    digest::{SHA256, digest},
    hmac,
};
use zeroize::Zeroizing;

use super::slow::number;
use crate::ParseError;

/// 65,536 rounds: some seconds.
const COST: std::ops::RangeInclusive<u32> = 4..=16;

/// What bcrypt sees of a secret. All that made these hashes cut off the rest, or refused it.
const SECRET_LEN: usize = 72;

pub(super) const EXPECTED: ParseError = ParseError(
    "a bcrypt hash is `$2b$COST$` (or `$2a$`, `$2y$`) with 53 characters after it and a cost of 4 to 16, or the same after \
     Django's `bcrypt$` or `bcrypt_sha256$`, or passlib's `$bcrypt-sha256$v=2,t=2b,r=COST$SALT$DIGEST`",
);

/// Some write salts with bits set after their end.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::BCRYPT, GeneralPurposeConfig::with_decode_allow_trailing_bits(NO_PAD, true));

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    over: Over,
}

/// What of the secret it goes over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    Secret,
    /// Its SHA-256 in hexadecimal, as with Django.
    HexSha256,
    /// Its SHA-256 in base64, as with passlib before 1.7.3.
    Base64Sha256,
    /// Its HMAC-SHA256 in base64 under the salt as it is written, as with passlib since.
    Base64Hmac,
}

impl Bcrypt {
    pub(super) fn derive(&self, secret: &str, output: &mut [u8]) -> Option<()> {
        let mut seen = Zeroizing::new(String::with_capacity(2 * SECRET_LEN));
        match self.over {
            Over::Secret => {}
            Over::HexSha256 => {
                let digest = digest(&SHA256, secret.as_bytes());
                digest.as_ref().iter().try_for_each(|byte| write!(seen, "{byte:02x}")).ok()?;
            }
            Over::Base64Sha256 => BASE64_STANDARD.encode_string(digest(&SHA256, secret.as_bytes()), &mut seen),
            Over::Base64Hmac => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, BASE64.encode(self.salt).as_bytes());
                BASE64_STANDARD.encode_string(hmac::sign(&key, secret.as_bytes()), &mut seen);
            }
        }
        // It ends with a zero byte, if there is room for one.
        let bytes = if self.over == Over::Secret { secret.as_bytes() } else { seen.as_bytes() };
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
    if let Some(rest) = text.strip_prefix("$bcrypt-sha256$") {
        return parse_passlib(rest);
    }
    let of_sha256 = text.strip_prefix("bcrypt_sha256$");
    let rest = of_sha256.or_else(|| text.strip_prefix("bcrypt$")).unwrap_or(text);
    let over = if of_sha256.is_some() { Over::HexSha256 } else { Over::Secret };
    // The three differ in faults of old implementations, which no text within their limits shows.
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|version| rest.strip_prefix(version))?;
    let (cost, rest) = rest.split_once('$')?;
    // The only number here that is written with a zero before it.
    let cost = (cost.len() == 2).then(|| number(cost.strip_prefix('0').unwrap_or(cost))).flatten()?;
    let (salt, output) = rest.split_at_checked(22)?;
    assemble(over, cost, salt, output)
}

/// `PARAMETERS$SALT$OUTPUT`.
fn parse_passlib(text: &str) -> Option<(Bcrypt, Vec<u8>)> {
    let (parameters, rest) = text.split_once('$')?;
    let (salt, output) = rest.split_once('$')?;
    let (over, cost) = match parameters.strip_prefix("v=2,t=2b,r=") {
        Some(cost) => (Over::Base64Hmac, cost),
        None => (Over::Base64Sha256, parameters.strip_prefix("2b,").or_else(|| parameters.strip_prefix("2a,"))?),
    };
    let (bcrypt, output) = assemble(over, number(cost)?, salt, output)?;
    // passlib takes no other spelling of a salt, and its own is a key here.
    (BASE64.encode(bcrypt.salt) == salt).then_some((bcrypt, output))
}

fn assemble(over: Over, cost: u32, salt: &str, output: &str) -> Option<(Bcrypt, Vec<u8>)> {
    let (salt, output) = (BASE64.decode(salt).ok()?, BASE64.decode(output).ok()?);
    let right = COST.contains(&cost) && output.len() == 23;
    right.then_some((Bcrypt { cost, salt: salt.try_into().ok()?, over }, output))
}
