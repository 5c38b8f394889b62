//! What makes a log of events one chain: each line says the hash of the line before it, and its own.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    hmac,
};
use subtle::ConstantTimeEq as _;

use crate::ParseError;

/// No line is longer: what comes from a caller is cut before.
pub(super) const LINE_LEN: usize = 8192;

/// A key for the hashes of an audit log, so that nobody can make one who can write into its file.
///
/// Let each log have one of its own: the beginning of another log with the same key is as good as the beginning of this one.
#[derive(Clone)]
pub struct AuditKey(hmac::Key);

impl AuditKey {
    /// A key of 256 random bits or more.
    ///
    /// # Errors
    /// When it is shorter than 32 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() < 32 {
            return Err(ParseError("the key of an audit log has 32 bytes or more"));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(…)")
    }
}

/// How far an audit log has come: the number of its lines, and the hash of the last one.
///
/// Whoever keeps it elsewhere can see later whether the end of the log has been cut off. Its text is `COUNT:HASH`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuditHead {
    pub(super) count: u64,
    pub(super) hash: [u8; 32],
}

impl AuditHead {
    /// How many lines there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The line that comes next, with its line end, and the head that it makes. `event` is a JSON object, and `lost` is how many
    /// events there are none of since the line before.
    pub(super) fn followed_by(&self, event: &str, lost: u64, key: Option<&AuditKey>) -> (String, Self) {
        let members = event.strip_prefix('{').and_then(|event| event.strip_suffix('}')).unwrap_or_default();
        let mut line = beginning(self.count + 1, &self.hash);
        if lost > 0 {
            line += &format!("\"lost\":{lost},");
        }
        line += members;
        let hash = hash(&line, key);
        line += &ending(&hash);
        line.push('\n');
        (line, Self { count: self.count + 1, hash })
    }

    /// The head that a line makes, without its line end, wherever it stands; `None` if it is not as it was written. The second is
    /// the hash of the line before.
    pub(super) fn of_line(line: &[u8], key: Option<&AuditKey>) -> Option<(Self, [u8; 32])> {
        let line = std::str::from_utf8(line).ok()?;
        let rest = line.strip_prefix("{\"seq\":")?;
        let (count, rest) = rest.split_once(",\"prev\":\"")?;
        let (before, _) = rest.split_once("\",")?;
        let (count, before): (u64, _) = (count.parse().ok()?, parse_hash(before)?);
        let (hashed, end) = line.split_at_checked(line.len().checked_sub(ending(&[0; 32]).len())?)?;
        let hash = hash(hashed, key);
        // Each byte of the line is hashed or compared.
        let is_whole: bool = end.as_bytes().ct_eq(ending(&hash).as_bytes()).into();
        (is_whole && hashed.starts_with(&beginning(count, &before))).then_some((Self { count, hash }, before))
    }
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.count, BASE64_URL_SAFE_NO_PAD.encode(self.hash))
    }
}

impl FromStr for AuditHead {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parse = || {
            let (count, hash) = text.split_once(':')?;
            Some(Self { count: count.parse().ok()?, hash: parse_hash(hash)? })
        };
        parse().ok_or(ParseError("the head of an audit log is `COUNT:HASH`, with 43 characters of base64url"))
    }
}

fn beginning(count: u64, before: &[u8; 32]) -> String {
    format!("{{\"seq\":{count},\"prev\":\"{}\",", BASE64_URL_SAFE_NO_PAD.encode(before))
}

fn ending(hash: &[u8; 32]) -> String {
    format!(",\"hash\":\"{}\"}}", BASE64_URL_SAFE_NO_PAD.encode(hash))
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn hash(text: &str, key: Option<&AuditKey>) -> [u8; 32] {
    let mut hash = [0; 32];
    match key {
        Some(AuditKey(key)) => hash.copy_from_slice(hmac::sign(key, text.as_bytes()).as_ref()),
        None => hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref()),
    }
    hash
}
