//! How a client secret is stored, and how one that is presented is compared with it.

use std::{fmt, num::NonZeroU32, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use ring::{
    digest::{Context, SHA256},
    pbkdf2,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use subtle::ConstantTimeEq as _;

use super::{ClientSecret, bytes};
use crate::{BackendError, ParseError, RandomSource};

/// Salt, secret and SHA-256's own padding fill exactly one block of it when the secret is a generated one:
/// 12 + 43 + 9 = 64 bytes. A longer salt would double the cost of a mint.
const SALT_LEN: usize = 12;

/// What OWASP asks of PBKDF2-HMAC-SHA256 since 2023.
const PBKDF2_ITERATIONS: u32 = 600_000;

/// More than this in a stored hash is a mistake, and would hang the server at each request of that client.
const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;

/// How hard a secret is to guess, which decides how it has to be hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecretClass {
    /// 256 random bits: one salted SHA-256 is enough, since there is nothing to guess.
    #[default]
    Generated,
    /// Chosen by a person, or of unknown making: PBKDF2 makes each guess expensive.
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
/// SALT and DIGEST are base64 without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecretHash(Format);

#[derive(Clone, PartialEq, Eq)]
enum Format {
    Sha256 { salt: [u8; SALT_LEN], digest: [u8; 32] },
    Pbkdf2 { iterations: NonZeroU32, salt: Box<[u8]>, digest: [u8; 32] },
}

impl ClientSecretHash {
    /// Hashes a secret of 256 random bits, such as [`ClientSecret::generate`] makes: one SHA-256.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn generated(secret: &ClientSecret, random: &RandomSource) -> Result<Self, BackendError> {
        let mut salt = [0; SALT_LEN];
        random.fill(&mut salt)?;
        Ok(Self(Format::Sha256 { salt, digest: salted_sha256(&salt, secret.expose()) }))
    }

    /// Hashes a secret that somebody chose: 600,000 rounds of PBKDF2-HMAC-SHA256. That is a tenth of a second or more, here
    /// and at each verification, and seconds where `ring` is compiled without optimization.
    ///
    /// # Errors
    /// When the source of randomness fails.
    pub fn chosen(secret: &ClientSecret, random: &RandomSource) -> Result<Self, BackendError> {
        let iterations = NonZeroU32::new(PBKDF2_ITERATIONS).unwrap_or(NonZeroU32::MAX);
        let mut salt = [0; 16];
        random.fill(&mut salt)?;
        let digest = pbkdf2_sha256(iterations, &salt, secret.expose());
        Ok(Self(Format::Pbkdf2 { iterations, salt: salt.into(), digest }))
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
        match self.0 {
            Format::Sha256 { salt, .. } => {
                Ok(Self(Format::Sha256 { salt, digest: salted_sha256(&salt, secret.expose()) }))
            }
            Format::Pbkdf2 { .. } => Self::generated(secret, random),
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
            Format::Sha256 { salt, .. } => salted_sha256(salt, presented),
            Format::Pbkdf2 { iterations, salt, .. } => pbkdf2_sha256(*iterations, salt, presented),
        }
    }

    /// Whether this is its digest, in constant time.
    pub(crate) fn has(&self, computed: &[u8; 32]) -> bool {
        same(self.digest(), computed)
    }

    /// The digest, to tell hashes apart by; never to compare a secret with.
    pub(crate) const fn digest(&self) -> &[u8; 32] {
        let (Format::Sha256 { digest, .. } | Format::Pbkdf2 { digest, .. }) = &self.0;
        digest
    }

    /// Whether the same secret has the same digest in both.
    pub(crate) fn is_salted_like(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Format::Sha256 { salt: a, .. }, Format::Sha256 { salt: b, .. }) => a == b,
            (Format::Pbkdf2 { iterations: i, salt: a, .. }, Format::Pbkdf2 { iterations: j, salt: b, .. }) => {
                i == j && a == b
            }
            _ => false,
        }
    }

    /// Class and rounds: what a verification costs.
    #[cfg(test)]
    pub(crate) const fn cost(&self) -> (SecretClass, u32) {
        match &self.0 {
            Format::Sha256 { .. } => (SecretClass::Generated, 1),
            Format::Pbkdf2 { iterations, .. } => (SecretClass::Chosen, iterations.get()),
        }
    }

    /// Which class the format is for.
    #[must_use]
    pub const fn class(&self) -> SecretClass {
        match self.0 {
            Format::Sha256 { .. } => SecretClass::Generated,
            Format::Pbkdf2 { .. } => SecretClass::Chosen,
        }
    }

    /// The text to store, and to [parse](str::parse) again. There is no `Display` and no `Serialize`, so that a hash gets
    /// into a log or a response only where somebody meant it to.
    #[must_use]
    pub fn to_text(&self) -> String {
        let base64 = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes);
        match &self.0 {
            Format::Sha256 { salt, digest } => format!("$sha256${}${}", base64(salt), base64(digest)),
            Format::Pbkdf2 { iterations, salt, digest } => {
                format!("$pbkdf2-sha256$i={iterations}${}${}", base64(salt), base64(digest))
            }
        }
    }

    /// A hash that costs as much as one that is made here for `class`, and that no known secret has: what an unknown client
    /// is compared with.
    pub(crate) fn decoy(class: SecretClass) -> Self {
        match class {
            SecretClass::Generated => Self(Format::Sha256 { salt: [0; SALT_LEN], digest: [0; 32] }),
            SecretClass::Chosen => {
                let iterations = NonZeroU32::new(PBKDF2_ITERATIONS).unwrap_or(NonZeroU32::MAX);
                Self(Format::Pbkdf2 { iterations, salt: [0; 16].into(), digest: [0; 32] })
            }
        }
    }
}

fn salted_sha256(salt: &[u8; SALT_LEN], secret: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(salt);
    context.update(secret.as_bytes());
    bytes(&context.finish())
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

fn pbkdf2_sha256(iterations: NonZeroU32, salt: &[u8], secret: &str) -> [u8; 32] {
    let mut digest = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, secret.as_bytes(), &mut digest);
    digest
}

impl FromStr for ClientSecretHash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).map(Self).ok_or(ParseError(
            "a client secret hash is `$sha256$SALT$DIGEST` or `$pbkdf2-sha256$i=ITERATIONS$SALT$DIGEST`, \
             with SALT and DIGEST in base64 without padding and at most 10,000,000 iterations",
        ))
    }
}

fn parse(text: &str) -> Option<Format> {
    let base64 = |part: &str| BASE64_STANDARD_NO_PAD.decode(part).ok();
    let (format, rest) = text.strip_prefix('$')?.split_once('$')?;
    match format {
        "sha256" => {
            let (salt, digest) = rest.split_once('$')?;
            Some(Format::Sha256 { salt: base64(salt)?.try_into().ok()?, digest: base64(digest)?.try_into().ok()? })
        }
        "pbkdf2-sha256" => {
            let (iterations, rest) = rest.strip_prefix("i=")?.split_once('$')?;
            let (salt, digest) = rest.split_once('$')?;
            let iterations: NonZeroU32 = iterations.parse().ok()?;
            let salt = base64(salt)?.into_boxed_slice();
            (iterations.get() <= PBKDF2_ITERATIONS_MAX && salt.len() >= 8).then_some(Format::Pbkdf2 {
                iterations,
                salt,
                digest: base64(digest)?.try_into().ok()?,
            })
        }
        _ => None,
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
        match self.0 {
            Format::Sha256 { .. } => f.write_str("ClientSecretHash($sha256$…)"),
            Format::Pbkdf2 { .. } => f.write_str("ClientSecretHash($pbkdf2-sha256$…)"),
        }
    }
}

/// Counts the verifications of this thread, to hold that every refusal costs the same.
#[cfg(test)]
pub(crate) mod counted {
    use std::cell::RefCell;

    use super::SecretClass;

    thread_local!(static VERIFICATIONS: RefCell<Vec<(SecretClass, u32)>> = const { RefCell::new(Vec::new()) });

    pub(super) fn record(cost: (SecretClass, u32)) {
        VERIFICATIONS.with_borrow_mut(|all| all.push(cost));
    }

    /// The verifications since the last call.
    pub(crate) fn take() -> Vec<(SecretClass, u32)> {
        VERIFICATIONS.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(text: &str) -> ClientSecretHash {
        text.parse().unwrap()
    }

    #[test]
    fn known_digests() {
        // printf 'saltsaltsaltsecret' | openssl dgst -sha256 -binary | base64
        let fast = hash("$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM");
        assert!(fast.verify("secret") && !fast.verify("secret "));
        // Python: hashlib.pbkdf2_hmac('sha256', b'passwd', b'saltsalt', 1000, 32)
        let slow = hash("$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$KBJH0RIw+FCnOKJi2s/ppNgRHFTFzBjXqxs+xS3zHTY");
        assert!(slow.verify("passwd") && !slow.verify("Passwd"));
    }

    #[test]
    fn both_classes_survive_their_text() {
        let (secret, random) = (ClientSecret::new("a:b+c%20&é".into()), RandomSource::default());
        for class in [SecretClass::Generated, SecretClass::Chosen] {
            let made = ClientSecretHash::of(&secret, class, &random).unwrap();
            let read = hash(&made.to_text());
            assert!(read == made && read.cost() == made.cost() && read.class() == class);
            assert!(made != ClientSecretHash::of(&secret, class, &random).unwrap(), "no salt");
            assert_eq!(made.cost(), ClientSecretHash::decoy(class).cost());
            assert!(read.verify(secret.expose()) && !read.verify("a:b+c%20&e"));
            assert!(!format!("{read:?}").contains(made.to_text().split('$').next_back().unwrap()));
        }
    }

    #[test]
    fn salts_differ_and_long_secrets_count_whole() {
        let (secret, random) = (ClientSecret::new("x".repeat(1000)), RandomSource::default());
        let one = ClientSecretHash::generated(&secret, &random).unwrap();
        assert!(one != ClientSecretHash::generated(&secret, &random).unwrap());
        assert!(one.verify(secret.expose()) && !one.verify(&"x".repeat(999)));
    }

    #[test]
    fn chosen_secrets_cost_what_owasp_asks() {
        let hash = ClientSecretHash::chosen(&ClientSecret::new("a".into()), &RandomSource::default()).unwrap();
        assert!(hash.to_text().starts_with("$pbkdf2-sha256$i=600000$"));
    }

    #[test]
    fn every_byte_of_a_digest_counts() {
        let digest = salted_sha256(&[7; SALT_LEN], "secret");
        assert!(same(&digest, &digest.clone()));
        for at in 0..32 {
            let mut other = digest;
            other[at] ^= 1;
            assert!(!same(&digest, &other), "{at}");
        }
    }

    #[test]
    fn malformed_texts() {
        for text in [
            "",
            "secret",
            "$",
            "$sha256",
            "$sha256$$",
            "$sha256$c2FsdHNhbHRzYWx0$AAAA",
            "$sha1$c2FsdHNhbHRzYWx0$AAAA",
            "$pbkdf2-sha256$i=0$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
            "$pbkdf2-sha256$i=10000001$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
            "$pbkdf2-sha256$i=1000$c2E$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        ] {
            assert!(text.parse::<ClientSecretHash>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_the_same(text in "\\$(sha256|pbkdf2-sha256\\$i=[0-9]{1,9})\\$[A-Za-z0-9+/]{10,24}\\$[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]") {
            if let Ok(hash) = text.parse::<ClientSecretHash>() {
                let printed = hash.to_text();
                prop_assert_eq!(printed.parse::<ClientSecretHash>().unwrap().to_text(), printed);
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,80}") {
            let _: Result<ClientSecretHash, ParseError> = text.parse();
        }
    }
}
