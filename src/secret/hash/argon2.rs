//! argon2id (RFC 9106), in its PHC spelling and with Django's `argon2` before it.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};

use super::slow::{OUTPUT_LEN, parameter};
use crate::ParseError;

/// The most memory that one verification may take, in KiB.
const MEMORY_MAX: u32 = 256 * 1024;

/// The most that all passes over it may come to, in KiB: some seconds.
const WORK_MAX: u32 = 8 * MEMORY_MAX;

pub(super) const EXPECTED: ParseError = ParseError(
    "an argon2id hash is `$argon2id$v=19$m=MEMORY,t=PASSES,p=LANES$SALT$DIGEST` (or `v=16`) with SALT (8 bytes or more) and DIGEST (16 to \
     64) in base64 without padding, at most 256 MiB of memory and 2 GiB for all passes; argon2i and argon2d are not taken",
);

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Argon2id {
    version: Version,
    params: Params,
    salt: Box<[u8]>,
}

impl Argon2id {
    pub(super) fn derive(&self, secret: &str, output: &mut [u8]) -> Option<()> {
        let argon2 = Argon2::new(Algorithm::Argon2id, self.version, self.params.clone());
        argon2.hash_password_into(secret.as_bytes(), &self.salt, output).ok()
    }

    #[cfg(test)]
    pub(super) const fn work(&self) -> u32 {
        self.params.m_cost() * self.params.t_cost()
    }
}

/// The function and its output.
pub(super) fn parse(text: &str) -> Option<(Argon2id, Vec<u8>)> {
    let base64 = |part: &str| BASE64_STANDARD_NO_PAD.decode(part).ok();
    let rest = text.strip_prefix("argon2").unwrap_or(text).strip_prefix("$argon2id$")?;
    let mut parts = rest.split('$');
    let version = match parts.next()? {
        "v=19" => Version::V0x13,
        "v=16" => Version::V0x10,
        _ => return None,
    };
    let mut parameters = parts.next()?.split(',');
    let mut next = |name| parameter(parameters.next()?, name);
    let (memory, passes, lanes) = (next("m")?, next("t")?, next("p")?);
    let (salt, digest) = (base64(parts.next()?)?, base64(parts.next()?)?);
    let params = Params::new(memory, passes, lanes, Some(digest.len())).ok()?;
    let right = memory <= MEMORY_MAX
        && memory.checked_mul(passes).is_some_and(|work| work <= WORK_MAX)
        && salt.len() >= 8
        && OUTPUT_LEN.contains(&digest.len())
        && parameters.next().is_none()
        && parts.next().is_none();
    right.then(|| (Argon2id { version, params, salt: salt.into() }, digest))
}
