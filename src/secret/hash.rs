//! How a client secret is stored, and how one that is presented is compared with it.

#[cfg(feature = "argon2")]
mod argon2;
#[cfg(feature = "bcrypt")]
mod bcrypt;
#[cfg(test)]
pub(crate) mod counted;
mod pbkdf2;
mod salted;
#[cfg(feature = "scrypt")]
mod scrypt;
mod slow;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use self::{
    pbkdf2::Pbkdf2,
    salted::{SALT_LEN, Salted},
    slow::{Function, Slow},
};
use super::ClientSecret;
use crate::{BackendError, ParseError, RandomSource};

/// How hard a secret is to guess, which decides how it has to be hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretClass {
    /// 256 random bits: one salted SHA-256 is enough, since there is nothing to guess.
    #[default]
    Generated,
    /// Chosen by a person, or of unknown making: a slow hash makes each guess expensive.
    Chosen,
}

/// A client secret as a store keeps it: salted, hashed, and good only for comparing.
///
/// Its text names its own format, as PHC strings do, and is what a store should write into a column or a file:
///
/// | text | made by |
/// | --- | --- |
/// | `$sha256$SALT$DIGEST` | [`ClientSecretHash::generated`]: SHA-256 over the 12 bytes of salt, then the secret |
/// | `$pbkdf2-sha256$i=ITERATIONS$SALT$DIGEST` | [`ClientSecretHash::chosen`]: PBKDF2-HMAC-SHA256, 32 bytes |
///
/// SALT and DIGEST are base64 without padding. Clients of another system keep their secrets: its hashes are read too, and
/// are written again as they were.
///
/// | text | of | Cargo feature |
/// | --- | --- | --- |
/// | `$pbkdf2-sha256$i=…,l=…$…`, and with `sha1` or `sha512` | Ory Hydra | |
/// | `$pbkdf2-sha256$ITERATIONS$…`, `$pbkdf2-sha512$…`, and `$pbkdf2$…` for SHA-1 | passlib | |
/// | `pbkdf2_sha256$ITERATIONS$…`, `pbkdf2_sha1$…` | Django | |
/// | `$argon2id$v=19$m=…,t=…,p=…$…` or with `v=16`, also after Django's `argon2` | everybody | `argon2` |
/// | `$2a$`, `$2b$` or `$2y$`, also after Django's `bcrypt$` or `bcrypt_sha256$` | everybody | `bcrypt` |
/// | `$bcrypt-sha256$v=2,t=2b,r=…$…`, and `$bcrypt-sha256$2b,…$…` (or `2a`) of before passlib 1.7.3 | passlib | `bcrypt` |
/// | `$scrypt$ln=…,r=…,p=…$…` | passlib | `scrypt` |
/// | `scrypt$N$SALT$R$P$DIGEST` | Django | `scrypt` |
///
/// Django's salts are texts, and its digests are in base64 with padding. Numbers are as they would be printed, so none starts with
/// a zero but bcrypt's cost of two digits.
///
/// All of these are of the class [`SecretClass::Chosen`]. What they cost has a limit, which a text is checked for when it is
/// read, since the work is done at each request: 256 MiB of memory and some seconds of time. bcrypt itself looks at the first 72
/// bytes of a secret and at no more, here as elsewhere.
///
/// ```
/// use client_credentials::ClientSecretHash;
///
/// // What Django has in its column `password`.
/// let hash: ClientSecretHash = "pbkdf2_sha256$1000$saltsaltsalt$l7x9ZtbiTw/xa5ON2Ey5FeyKY9geyAv9JXRyc4Houz4=".parse()?;
/// assert!(hash.verify("pa:ss wörd%"));
/// # Ok::<(), client_credentials::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecretHash(Format);

#[derive(Clone, PartialEq, Eq)]
enum Format {
    Salted(Salted),
    Slow(Box<Slow>),
}

impl ClientSecretHash {
    /// Hashes a secret of 256 random bits, such as [`ClientSecret::generate`] makes: one SHA-256.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn generated(secret: &ClientSecret, random: &RandomSource) -> Result<Self, BackendError> {
        let mut salt = [0; SALT_LEN];
        random.fill(&mut salt)?;
        Ok(Self(Format::Salted(Salted::new(salt, secret.expose()))))
    }

    /// Hashes a secret that somebody chose: 600,000 rounds of PBKDF2-HMAC-SHA256. That is a tenth of a second or more, here
    /// and at each verification, and seconds where `ring` is compiled without optimization.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn chosen(secret: &ClientSecret, random: &RandomSource) -> Result<Self, BackendError> {
        let (mut salt, mut output) = ([0; 16], Zeroizing::new([0; 32]));
        random.fill(&mut salt)?;
        let pbkdf2 = Pbkdf2::chosen(salt);
        pbkdf2.derive(secret.expose(), &mut *output);
        Ok(Self::pbkdf2(pbkdf2, &*output))
    }

    fn pbkdf2(pbkdf2: Pbkdf2, output: &[u8]) -> Self {
        let text = pbkdf2.to_text(output);
        Self(Format::Slow(Box::new(Slow::new(&text, Function::Pbkdf2(pbkdf2), output))))
    }

    /// Hashes a secret in the way of its class.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn of(secret: &ClientSecret, class: SecretClass, random: &RandomSource) -> Result<Self, BackendError> {
        match class {
            SecretClass::Generated => Self::generated(secret, random),
            SecretClass::Chosen => Self::chosen(secret, random),
        }
    }

    /// Hashes a generated secret that is to count beside this one for a while. Where this one is of a generated secret too,
    /// both have one salt, so that one SHA-256 tells whether a presented secret is either.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn beside(&self, secret: &ClientSecret, random: &RandomSource) -> Result<Self, BackendError> {
        match &self.0 {
            Format::Salted(salted) => Ok(Self(Format::Salted(salted.beside(secret.expose())))),
            Format::Slow(_) => Self::generated(secret, random),
        }
    }

    /// Whether `presented` is the secret, in constant time once hashed.
    #[must_use]
    pub fn verify(&self, presented: &str) -> bool {
        self.has(&self.digest_of(presented))
    }

    /// What the digest is if this is the secret: the work of a verification.
    pub(crate) fn digest_of(&self, presented: &str) -> [u8; 32] {
        #[cfg(test)]
        counted::record(self.cost());
        match &self.0 {
            Format::Salted(salted) => salted.digest_of(presented),
            Format::Slow(slow) => slow.digest_of(presented),
        }
    }

    /// Whether this is its digest, in constant time.
    pub(crate) fn has(&self, computed: &[u8; 32]) -> bool {
        same(self.digest(), computed)
    }

    /// The digest, to tell hashes apart by; never to compare a secret with.
    pub(crate) fn digest(&self) -> &[u8; 32] {
        match &self.0 {
            Format::Salted(salted) => salted.digest(),
            Format::Slow(slow) => slow.digest(),
        }
    }

    /// Whether the same secret has the same digest in both.
    pub(crate) fn is_salted_like(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Format::Salted(a), Format::Salted(b)) => a.is_salted_like(b),
            (Format::Slow(a), Format::Slow(b)) => a.is_salted_like(b),
            _ => false,
        }
    }

    /// Class and work: what a verification costs.
    #[cfg(test)]
    pub(crate) fn cost(&self) -> (SecretClass, u32) {
        match &self.0 {
            Format::Salted(_) => (SecretClass::Generated, 1),
            Format::Slow(slow) => (SecretClass::Chosen, slow.work()),
        }
    }

    /// Which class the format is for.
    #[must_use]
    pub const fn class(&self) -> SecretClass {
        match self.0 {
            Format::Salted(_) => SecretClass::Generated,
            Format::Slow(_) => SecretClass::Chosen,
        }
    }

    /// The text to store, and to [parse](str::parse) again. There is no `Display` and no `Serialize`, so that a hash gets
    /// into a log or a response only where somebody meant it to.
    #[must_use]
    pub fn to_text(&self) -> String {
        match &self.0 {
            Format::Salted(salted) => salted.to_text(),
            Format::Slow(slow) => slow.text().into(),
        }
    }

    /// A hash that costs as much as one that is made here for `class`, and that no known secret has: what an unknown client
    /// is compared with.
    pub(crate) fn decoy(class: SecretClass) -> Self {
        match class {
            SecretClass::Generated => Self(Format::Salted(Salted::decoy())),
            SecretClass::Chosen => Self::pbkdf2(Pbkdf2::chosen([0; 16]), &[0; 32]),
        }
    }
}

/// Whether two digests are the same, in constant time. Eight bytes at a time, since the barrier that `subtle` puts around
/// each comparison would otherwise cost as much as the hash.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let words = |digest: &[u8; 32]| -> [u64; 4] {
        let mut words = [0; 4];
        let (chunks, _) = digest.as_chunks();
        words.iter_mut().zip(chunks).for_each(|(word, chunk)| *word = u64::from_ne_bytes(*chunk));
        words
    };
    words(a).ct_eq(&words(b)).into()
}

impl FromStr for ClientSecretHash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let format = match text.strip_prefix("$sha256$") {
            Some(rest) => Salted::parse(rest).map(Format::Salted).ok_or(ParseError(
                "the hash of a generated secret is `$sha256$SALT$DIGEST` with SALT (12 bytes) and DIGEST (32) in base64 \
                 without padding",
            ))?,
            None => Format::Slow(Box::new(Slow::parse(text)?)),
        };
        Ok(Self(format))
    }
}

impl<'de> Deserialize<'de> for ClientSecretHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As with the secret: what stands here by mistake must not get into the message.
        let text =
            String::deserialize(deserializer).map_err(|_| D::Error::custom("a client secret hash is a string"))?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Debug for ClientSecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Format::Salted(_) => "sha256",
            Format::Slow(slow) => slow.name(),
        };
        write!(f, "ClientSecretHash(${name}$…)")
    }
}
