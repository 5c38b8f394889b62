//! The hashes that make each guess expensive: ours, and those that other systems have made, each in its own spelling.

use zeroize::Zeroizing;

#[cfg(feature = "argon2")]
use super::argon2::{self, Argon2id};
#[cfg(feature = "bcrypt")]
use super::bcrypt::{self, Bcrypt};
use super::pbkdf2::{self, Pbkdf2};
#[cfg(feature = "scrypt")]
use super::scrypt::{self, Scrypt};
use crate::{ParseError, secret::sha256};

/// No hash has a longer text.
const MAX_TEXT_LEN: usize = 512;

/// The outputs that are taken: a shorter one is found by trying, and no system has a longer one.
pub(super) const OUTPUT_LEN: std::ops::RangeInclusive<usize> = 16..=64;

/// A slow function of a secret, and what came of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Slow {
    function: Function,
    output_len: usize,
    /// The SHA-256 of the output, so that all of it counts, and that digests of all kinds are compared in one way.
    digest: [u8; 32],
    /// As it was read, so that it is written in the same spelling.
    text: Box<str>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Function {
    Pbkdf2(Pbkdf2),
    #[cfg(feature = "argon2")]
    Argon2id(Argon2id),
    #[cfg(feature = "bcrypt")]
    Bcrypt(Bcrypt),
    #[cfg(feature = "scrypt")]
    Scrypt(Scrypt),
}

impl Slow {
    /// The hash of this text, whose function gives this output for its secret.
    pub(super) fn new(text: &str, function: Function, output: &[u8]) -> Self {
        Self { function, output_len: output.len(), digest: sha256([output]), text: text.into() }
    }

    pub(super) fn parse(text: &str) -> Result<Self, ParseError> {
        let (function, output) = parse(text)?;
        Ok(Self::new(text, function, &output))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn digest_of(&self, presented: &str) -> [u8; 32] {
        let mut output = Zeroizing::new(vec![0; self.output_len]);
        let derived = match &self.function {
            Function::Pbkdf2(pbkdf2) => pbkdf2.derive(presented, &mut output),
            #[cfg(feature = "argon2")]
            Function::Argon2id(argon2id) => argon2id.derive(presented, &mut output),
            #[cfg(feature = "bcrypt")]
            Function::Bcrypt(bcrypt) => bcrypt.derive(presented, &mut output),
            #[cfg(feature = "scrypt")]
            Function::Scrypt(scrypt) => scrypt.derive(presented, &mut output),
        };
        match derived {
            Some(()) => sha256([&output]),
            // No parameters that were read make this happen; if some did, no secret would be right.
            None => self.digest.map(|byte| !byte),
        }
    }

    pub(super) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn is_salted_like(&self, other: &Self) -> bool {
        self.output_len == other.output_len && self.function == other.function
    }

    /// The name of the function, for `Debug`. Its text may start otherwise: with `$2b$`, or as Django and passlib spell it.
    pub(super) const fn name(&self) -> &'static str {
        match &self.function {
            Function::Pbkdf2(pbkdf2) => pbkdf2.name(),
            #[cfg(feature = "argon2")]
            Function::Argon2id(_) => "argon2id",
            #[cfg(feature = "bcrypt")]
            Function::Bcrypt(_) => "bcrypt",
            #[cfg(feature = "scrypt")]
            Function::Scrypt(_) => "scrypt",
        }
    }

    /// Something that grows with the work.
    #[cfg(test)]
    pub(super) const fn work(&self) -> u32 {
        match &self.function {
            Function::Pbkdf2(pbkdf2) => pbkdf2.iterations(),
            #[cfg(feature = "argon2")]
            Function::Argon2id(argon2id) => argon2id.work(),
            #[cfg(feature = "bcrypt")]
            Function::Bcrypt(bcrypt) => bcrypt.work(),
            #[cfg(feature = "scrypt")]
            Function::Scrypt(scrypt) => scrypt.work(),
        }
    }
}

/// Which family a text is of; each reads its own.
fn parse(text: &str) -> Result<(Function, Vec<u8>), ParseError> {
    const UNKNOWN: ParseError = ParseError(
        "a client secret hash is `$sha256$SALT$DIGEST`, `$pbkdf2-sha256$i=ITERATIONS$SALT$DIGEST`, or the text of a PBKDF2, \
         argon2id, bcrypt or scrypt hash as other systems write it",
    );
    let starts = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    if text.len() > MAX_TEXT_LEN {
        return Err(UNKNOWN);
    }
    if starts(&["$pbkdf2", "pbkdf2_"]) {
        let (pbkdf2, output) = pbkdf2::parse(text).ok_or(pbkdf2::EXPECTED)?;
        return Ok((Function::Pbkdf2(pbkdf2), output));
    }
    if starts(&["$argon2", "argon2$"]) {
        #[cfg(not(feature = "argon2"))]
        return Err(ParseError("an argon2id hash needs the Cargo feature `argon2`"));
        #[cfg(feature = "argon2")]
        return argon2::parse(text)
            .map(|(argon2id, output)| (Function::Argon2id(argon2id), output))
            .ok_or(argon2::EXPECTED);
    }
    if starts(&["$2a$", "$2b$", "$2y$", "bcrypt$", "bcrypt_sha256$", "$bcrypt-sha256$"]) {
        #[cfg(not(feature = "bcrypt"))]
        return Err(ParseError("a bcrypt hash needs the Cargo feature `bcrypt`"));
        #[cfg(feature = "bcrypt")]
        return bcrypt::parse(text).map(|(bcrypt, output)| (Function::Bcrypt(bcrypt), output)).ok_or(bcrypt::EXPECTED);
    }
    if starts(&["$scrypt$", "scrypt$"]) {
        #[cfg(not(feature = "scrypt"))]
        return Err(ParseError("a scrypt hash needs the Cargo feature `scrypt`"));
        #[cfg(feature = "scrypt")]
        return scrypt::parse(text).map(|(scrypt, output)| (Function::Scrypt(scrypt), output)).ok_or(scrypt::EXPECTED);
    }
    Err(UNKNOWN)
}

/// The number in `NAME=NUMBER`, written as it would be printed.
#[cfg(any(feature = "argon2", feature = "scrypt"))]
pub(super) fn parameter(text: &str, name: &str) -> Option<u32> {
    number(text.strip_prefix(name)?.strip_prefix('=')?)
}

/// A number of digits alone, without zeros before it: `parse` would take these and a sign too.
pub(super) fn number(text: &str) -> Option<u32> {
    let is_printed = text == "0" || text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    is_printed.then(|| text.parse().ok()).flatten()
}
