//! scrypt (RFC 7914), in its PHC spelling and in Django's.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use scrypt::{Params, scrypt};

use super::slow::{OUTPUT_LEN, number, parameter};
use crate::ParseError;

/// The most memory that one verification may take, in bytes.
const MEMORY_MAX: u64 = 256 << 20;

/// The most that all passes over it may come to, in bytes: some seconds.
const WORK_MAX: u64 = 4 * MEMORY_MAX;

/// The most passes: others take one, and with more of them it is the last step that takes long.
const PASSES_MAX: u32 = 64;

pub(super) const EXPECTED: ParseError = ParseError(
    "a scrypt hash is `$scrypt$ln=LOG2N,r=R,p=P$SALT$DIGEST` with SALT (8 bytes or more) and DIGEST (16 to 64) in base64 \
     without padding, or Django's `scrypt$N$SALT$R$P$DIGEST`, whose SALT is a text and whose DIGEST is padded; with at most 256 MiB of memory, 64 passes, and 1 GiB for all of them",
);

#[derive(Clone, PartialEq)]
pub(super) struct Scrypt {
    params: Params,
    salt: Box<[u8]>,
}

impl Eq for Scrypt {}

impl Scrypt {
    pub(super) fn derive(&self, secret: &str, output: &mut [u8]) -> Option<()> {
        scrypt(secret.as_bytes(), &self.salt, &self.params, output).ok()
    }

    #[cfg(test)]
    pub(super) const fn work(&self) -> u32 {
        (1 << self.params.log_n()) * self.params.r() * self.params.p()
    }
}

/// The function and its output.
pub(super) fn parse(text: &str) -> Option<(Scrypt, Vec<u8>)> {
    let base64 = |part: &str| BASE64_STANDARD_NO_PAD.decode(part).ok();
    let (log_n, r, p, salt, digest) = if let Some(rest) = text.strip_prefix("$scrypt$") {
        let mut parts = rest.split('$');
        let mut parameters = parts.next()?.split(',');
        let mut next = |name| parameter(parameters.next()?, name);
        let (log_n, r, p) = (next("ln")?, next("r")?, next("p")?);
        let (salt, digest) = (base64(parts.next()?)?, base64(parts.next()?)?);
        (parameters.next().is_none() && parts.next().is_none()).then_some((log_n, r, p, salt, digest))?
    } else {
        // Django's salt is a text, and its base64 is padded.
        let mut parts = text.strip_prefix("scrypt$")?.split('$');
        let n = number(parts.next()?).filter(|n| n.is_power_of_two())?;
        let (salt, r, p) = (parts.next()?, number(parts.next()?)?, number(parts.next()?)?);
        let digest = BASE64_STANDARD.decode(parts.next()?).ok()?;
        parts.next().is_none().then_some((n.trailing_zeros(), r, p, salt.into(), digest))?
    };
    // RFC 7914 §6: the blocks that are mixed one after another, and those that wait for it, are in memory at once. This stands
    // before the crate, which multiplies without looking.
    let block = 128_u64.checked_mul(r.into())?;
    let mixed = block.checked_mul(1_u64.checked_shl(log_n)?)?;
    let memory = mixed.checked_add(block.checked_mul(p.into())?)?;
    if memory > MEMORY_MAX || p > PASSES_MAX || mixed.checked_mul(p.into())? > WORK_MAX {
        return None;
    }
    // RFC 7914 §2: N is larger than 1.
    let log_n = u8::try_from(log_n).ok().filter(|log_n| *log_n > 0)?;
    let params = Params::new(log_n, r, p).ok()?;
    let right = salt.len() >= 8 && OUTPUT_LEN.contains(&digest.len());
    right.then(|| (Scrypt { params, salt: salt.into() }, digest))
}
