//! The secrets of a client: the current one, and those that live on beside it for a while.

use std::ops::{Deref, DerefMut};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use time::OffsetDateTime;

use crate::ClientSecretHash;

/// One secret of a client, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    hash: ClientSecretHash,
    created_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
}

impl StoredSecret {
    /// The secret of this hash, which never expires.
    #[must_use]
    pub const fn new(hash: ClientSecretHash) -> Self {
        Self { hash, created_at: None, expires_at: None }
    }

    /// When it was made, to the second.
    #[must_use]
    pub fn with_created_at(self, at: impl Into<Option<OffsetDateTime>>) -> Self {
        Self { created_at: at.into().map(whole_seconds), ..self }
    }

    /// From when on it does not count any more, to the second (RFC 7591 §3.2.1): a fraction is dropped. `None` for never.
    #[must_use]
    pub fn with_expires_at(self, at: impl Into<Option<OffsetDateTime>>) -> Self {
        Self { expires_at: at.into().map(whole_seconds), ..self }
    }

    /// A name for it that says nothing about it: 16 characters of base64url, made of its hash.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = digest(&SHA256, self.hash.to_text().as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref().first_chunk::<12>().unwrap_or(&[0; 12]))
    }

    /// A text that can be such a name.
    pub(crate) fn parse_id(text: &str) -> Option<String> {
        let is_id = text.len() == 16 && BASE64_URL_SAFE_NO_PAD.decode(text).is_ok();
        is_id.then(|| text.into())
    }

    /// The hash.
    #[must_use]
    pub const fn hash(&self) -> &ClientSecretHash {
        &self.hash
    }

    /// When it was made, if that is known.
    #[must_use]
    pub const fn created_at(&self) -> Option<OffsetDateTime> {
        self.created_at
    }

    /// From when on it does not count any more.
    #[must_use]
    pub const fn expires_at(&self) -> Option<OffsetDateTime> {
        self.expires_at
    }

    /// Which of these is the presented one, and its place. Those that are live are looked at, all of them whichever it is, and
    /// what has one salt is hashed once. Where none is live, it is the first alone, so that it costs as much as an unknown
    /// client.
    pub(crate) fn find<'s>(secrets: &'s [Self], presented: &str, now: OffsetDateTime) -> Option<(usize, &'s Self)> {
        let (mut found, mut last) = (None, None::<(&ClientSecretHash, [u8; 32])>);
        for (place, secret) in Self::looked_at(secrets, now) {
            let digest = match last {
                Some((hash, digest)) if hash.is_salted_like(&secret.hash) => digest,
                _ => secret.hash.digest_of(presented),
            };
            if secret.hash.has(&digest) {
                found = found.or(Some((place, secret)));
            }
            last = Some((&secret.hash, digest));
        }
        found
    }

    /// Those that a presented secret is compared with, and their places.
    pub(crate) fn looked_at(secrets: &[Self], now: OffsetDateTime) -> impl Iterator<Item = (usize, &Self)> {
        let any_live = secrets.iter().any(|secret| secret.is_live(now));
        let looked_at = move |place: usize, secret: &Self| if any_live { secret.is_live(now) } else { place == 0 };
        secrets.iter().enumerate().filter(move |(place, secret)| looked_at(*place, secret))
    }

    /// Whether it counts at `now`.
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

/// All that a client has, the current one first. Nearly every client has one secret: that one lies in the client itself, since
/// it is read at each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    One([StoredSecret; 1]),
    /// None, or more than one.
    Others(Vec<StoredSecret>),
}

impl FromIterator<StoredSecret> for Secrets {
    fn from_iter<I: IntoIterator<Item = StoredSecret>>(secrets: I) -> Self {
        <[_; 1]>::try_from(Vec::from_iter(secrets)).map_or_else(Self::Others, Self::One)
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::Others(Vec::new())
    }
}

impl Deref for Secrets {
    type Target = [StoredSecret];

    fn deref(&self) -> &[StoredSecret] {
        match self {
            Self::One(secret) => secret,
            Self::Others(secrets) => secrets,
        }
    }
}

impl DerefMut for Secrets {
    fn deref_mut(&mut self) -> &mut [StoredSecret] {
        match self {
            Self::One(secret) => secret,
            Self::Others(secrets) => secrets,
        }
    }
}

fn whole_seconds(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientSecret, RandomSource, secret::counted};

    #[test]
    fn generated_secrets_side_by_side_cost_one_verification() {
        let random = RandomSource::default();
        let [a, b, c] = ["a", "b", "c"].map(|text| ClientSecret::new(text.into()));
        let first = ClientSecretHash::generated(&a, &random).unwrap();
        let second = first.beside(&b, &random).unwrap();
        let chosen = "$pbkdf2-sha256$i=2$c2FsdHNhbHQ$AnGU186ifJGhVOzWISODRDr+KWh19aAI8GHYT95EtV4";
        let chosen: ClientSecretHash = chosen.parse().unwrap();
        let third = chosen.beside(&c, &random).unwrap();
        let now = OffsetDateTime::UNIX_EPOCH;
        let find = |hashes: &[&ClientSecretHash], presented: &str| {
            let secrets: Vec<_> = hashes.iter().map(|hash| StoredSecret::new(Clone::clone(*hash))).collect();
            StoredSecret::find(&secrets, presented, now).map(|(place, _)| place)
        };
        counted::take();
        for (presented, found) in [("a", Some(0)), ("b", Some(1)), ("c", None), ("", None)] {
            assert_eq!(find(&[&first, &second], presented), found, "{presented}");
            assert_eq!(counted::take(), [first.cost()]);
        }
        for (presented, found) in [("c", Some(0)), ("right", Some(1)), ("wrong", None)] {
            assert_eq!(find(&[&third, &chosen], presented), found, "{presented}");
            assert_eq!(counted::take(), [third.cost(), chosen.cost()], "two kinds are two verifications");
        }

        // What has expired costs nothing beside what has not, and no more than one verification without.
        let (live, over) = (StoredSecret::new(third), StoredSecret::new(chosen).with_expires_at(now));
        for (secrets, presented, found, cost) in [
            ([live.clone(), over.clone()], "right", None, live.hash.cost()),
            ([over.clone(), live.clone()], "c", Some(1), live.hash.cost()),
            ([over.clone(), over.clone()], "right", Some(0), over.hash.cost()),
        ] {
            assert_eq!(StoredSecret::find(&secrets, presented, now).map(|(place, _)| place), found, "{presented}");
            assert_eq!(counted::take(), [cost], "{presented}");
        }
    }

    #[test]
    fn an_id_is_the_secrets_own_and_says_nothing_of_it() {
        let (random, secret) = (RandomSource::default(), ClientSecret::new("a".into()));
        let hash = ClientSecretHash::generated(&secret, &random).unwrap();
        let (one, other) = (
            StoredSecret::new(hash.clone()),
            StoredSecret::new(hash.beside(&ClientSecret::new("b".into()), &random).unwrap()),
        );
        assert_eq!(one.id(), one.clone().with_expires_at(OffsetDateTime::UNIX_EPOCH).id());
        assert_ne!(one.id(), other.id());
        assert!(one.id().len() == 16 && !hash.to_text().contains(&one.id()));
    }
}
