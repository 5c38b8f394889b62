//! PBKDF2 (RFC 8018 §5.2): the way of this crate, and as Ory Hydra, passlib and Django write it.

use std::num::NonZeroU32;

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use ring::pbkdf2::{self, Algorithm};

use super::slow::{OUTPUT_LEN, number};
use crate::ParseError;

/// What OWASP asks of PBKDF2-HMAC-SHA256 since 2023.
const ITERATIONS: u32 = 600_000;

/// More than this in a stored hash is a mistake, and would hang the server at each request of that client.
const ITERATIONS_MAX: usize = 10_000_000;

pub(super) const EXPECTED: ParseError = ParseError(
    "a PBKDF2 hash is `$pbkdf2-sha256$i=ITERATIONS$SALT$DIGEST` (base64 without padding), its like with `sha1` or `sha512` or \
     with `,l=LENGTH`, or what passlib or Django writes; with a salt of 8 bytes or more, a digest of 16 to 64, and at most \
     10,000,000 iterations for all of it",
);

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pbkdf2 {
    hmac: Hmac,
    iterations: NonZeroU32,
    salt: Box<[u8]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hmac {
    Sha1,
    Sha256,
    Sha512,
}

impl Pbkdf2 {
    /// HMAC-SHA256 with as many rounds as a chosen secret needs.
    pub(super) fn chosen(salt: [u8; 16]) -> Self {
        let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MAX);
        Self { hmac: Hmac::Sha256, iterations, salt: salt.into() }
    }

    pub(super) fn derive(&self, secret: &str, output: &mut [u8]) -> Option<()> {
        pbkdf2::derive(self.hmac.algorithm(), self.iterations, &self.salt, secret.as_bytes(), output);
        Some(())
    }

    /// The text of a hash that has this output.
    pub(super) fn to_text(&self, output: &[u8]) -> String {
        let base64 = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
        format!("${}$i={}${}${}", self.name(), self.iterations, base64(&self.salt), base64(output))
    }

    pub(super) const fn name(&self) -> &'static str {
        match self.hmac {
            Hmac::Sha1 => "pbkdf2-sha1",
            Hmac::Sha256 => "pbkdf2-sha256",
            Hmac::Sha512 => "pbkdf2-sha512",
        }
    }

    #[cfg(test)]
    pub(super) const fn iterations(&self) -> u32 {
        self.iterations.get()
    }
}

impl Hmac {
    fn algorithm(self) -> Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// The function and its output.
pub(super) fn parse(text: &str) -> Option<(Pbkdf2, Vec<u8>)> {
    let base64 = |part: &str| BASE64_STANDARD_NO_PAD.decode(part).ok();
    let (name, rest) = text.strip_prefix('$').unwrap_or(text).split_once('$')?;
    let [parameters, salt, digest] = three(rest)?;
    let of_django = name.starts_with("pbkdf2_");
    let hmac = match (text.starts_with('$'), name) {
        (true, "pbkdf2-sha1") | (false, "pbkdf2_sha1") => Hmac::Sha1,
        // passlib calls it so, and others mean another function by that.
        (true, "pbkdf2") if !parameters.starts_with("i=") => Hmac::Sha1,
        (true, "pbkdf2-sha256") | (false, "pbkdf2_sha256") => Hmac::Sha256,
        (true, "pbkdf2-sha512") => Hmac::Sha512,
        _ => return None,
    };
    let (iterations, length, salt, digest) = match parameters.strip_prefix("i=") {
        Some(parameters) if !of_django => {
            let (iterations, length) = parameters
                .split_once(",l=")
                .map_or((parameters, None), |(iterations, length)| (iterations, Some(length)));
            (iterations, length, base64(salt)?, base64(digest)?)
        }
        // Django's salt is a text, and its base64 is padded.
        None if of_django => (parameters, None, salt.into(), BASE64_STANDARD.decode(digest).ok()?),
        // passlib's base64 has `.` in the place of `+`.
        None => (parameters, None, base64(&salt.replace('.', "+"))?, base64(&digest.replace('.', "+"))?),
        Some(_) => return None,
    };
    if let Some(length) = length {
        (number(length)? as usize == digest.len()).then_some(())?;
    }
    let iterations = NonZeroU32::new(number(iterations)?)?;
    // Each block of the output takes as many rounds again.
    let rounds = digest.len().div_ceil(hmac.len()).checked_mul(usize::try_from(iterations.get()).ok()?)?;
    let right = rounds <= ITERATIONS_MAX && salt.len() >= 8 && OUTPUT_LEN.contains(&digest.len());
    right.then(|| (Pbkdf2 { hmac, iterations, salt: salt.into() }, digest))
}

fn three(text: &str) -> Option<[&str; 3]> {
    let (first, rest) = text.split_once('$')?;
    let (second, third) = rest.split_once('$')?;
    (!third.contains('$')).then_some([first, second, third])
}
