//! Sealed tokens: self-contained like a JWT, and closed to everybody but this server.

mod epochs;
mod header;
mod key;
mod plaintext;

pub use key::SealingKey;
use ring::digest::{SHA256, digest};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use self::header::{HEADER_LEN, Header, TAG_LEN};
use super::{KeySet, TokenIssuer, TokenVerifier};
use crate::{AccessToken, BackendError, Claims, RandomSource, TokenHash};

/// How many characters a token may have: more than any header carries, and little enough to be decoded for anybody.
const MAX_TOKEN_LEN: usize = 64 * 1024;

/// What most tokens fit into before they are encoded.
const USUAL_LEN: usize = 256;

/// Issues tokens that carry what they say, encrypted and authenticated with a [`SealingKey`]. Nothing is kept, and the client
/// learns nothing from its token: whoever wants to know what it says asks the server, by introspection (RFC 7662).
///
/// It is for a server that wants no row for each token, and whose APIs ask it rather than read tokens by themselves. All of the
/// [`Claims`] are in it, to the nanosecond, but for the label of an API key, which is never sealed. It ends when it expires, or
/// when a [`TokenStore`](crate::TokenStore) is told to deny it.
///
/// A token has 55 characters and 4 for each 3 bytes of what it says: 18 bytes or so beside the texts of client id, scope,
/// audience, tenants and resources. A client with one tenant gets about 140 characters, less than half of what a JWT takes. As with a JWT,
/// nothing here keeps a client with hundreds of tenants from a token that is longer than a header may be (8 KiB by default:
/// `max_authorization_bytes` of [`Config`](crate::Config), and as much with most web servers), and that is then refused
/// wherever it is presented; `max_tenants` bounds it. From 64 KiB on none is issued.
///
/// ```
/// use client_credentials::{Claims, ClientId, RandomSource, SealedIssuer, SealingKey, now};
///
/// let key = SealingKey::generate(&RandomSource::default())?;
/// let issuer = SealedIssuer::new("https://auth.example.com", key);
///
/// let at = now();
/// let claims = Claims::new(ClientId::parse("billing")?, at, at + std::time::Duration::from_secs(180));
/// let token = issuer.seal(&claims)?;
/// let checked = issuer.check(token.expose(), at).expect("it is this server's, and has not expired");
/// assert_eq!(checked.client_id().as_str(), "billing");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SealedIssuer {
    issuer: String,
    /// What stands for the issuer in the associated data: of one length, whatever the identifier is.
    issuer_hash: [u8; 32],
    keys: KeySet<SealingKey>,
    random: RandomSource,
}

impl SealedIssuer {
    /// An issuer with this identifier (a URL: RFC 8414 §2). The tokens of two issuers do not open to one another, even if they
    /// have the same keys.
    pub fn new(issuer: impl Into<String>, keys: impl Into<KeySet<SealingKey>>) -> Self {
        let issuer = issuer.into();
        let mut issuer_hash = [0; 32];
        issuer_hash.copy_from_slice(digest(&SHA256, issuer.as_bytes()).as_ref());
        Self { issuer, issuer_hash, keys: keys.into(), random: RandomSource::seeded() }
    }

    /// Takes the random bytes of a token from elsewhere than [`RandomSource::seeded`].
    ///
    /// They must not come again: two tokens with the same ones tell how to forge more. So where a virtual machine may be copied
    /// while it issues tokens, take `RandomSource::default()`.
    #[must_use]
    pub fn with_random(self, random: RandomSource) -> Self {
        Self { random, ..self }
    }

    /// The identifier of the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The keys, to rotate them.
    #[must_use]
    pub const fn keys(&self) -> &KeySet<SealingKey> {
        &self.keys
    }

    /// Seals a token that says `claims`; [`TokenIssuer::issue`] for hosts without an executor.
    ///
    /// # Errors
    /// When the source of randomness fails, or the token would have more than 64 KiB.
    pub fn seal(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        let mut token = Zeroizing::new(Vec::with_capacity(USUAL_LEN));
        token.extend_from_slice(&[0; HEADER_LEN]);
        plaintext::write(claims, &mut token);
        // Before it is sealed, so that growing leaves no copy of it behind.
        token.reserve_exact(TAG_LEN);
        if (token.len() + TAG_LEN).div_ceil(3) * 4 > MAX_TOKEN_LEN {
            return Err(BackendError::new(
                "a sealed token would have more than 64 KiB: the client has too many tenants",
            ));
        }
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce)?;
        header::mix_in(claims.issued_at(), &mut nonce);
        self.keys.with_signing(|key| key.seal(nonce, &self.issuer_hash, &mut token, &self.random))?;
        let text = AccessToken::of_bytes(&token);
        // Its memory is zeroed next, which takes long where it holds a token: that goes byte by byte, what is spare at once.
        token.clear();
        Ok(text)
    }

    /// What a token of this issuer says, if it counts at `now`; [`TokenVerifier::verify`] for hosts without an executor.
    ///
    /// Its [`jti`](Claims::jti) is made of the random bytes of the token. There is one spelling of a token: none of its
    /// characters can be another one.
    #[must_use]
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Option<Claims> {
        if token.len() > MAX_TOKEN_LEN {
            return None;
        }
        // It refuses padding, other alphabets, and bits in the last character that stand for nothing.
        let token = Zeroizing::new(base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).ok()?);
        let (header, sealed) = Header::split(&token)?;
        let claims = self.keys.find(now, |key| {
            let mut sealed = Zeroizing::new(sealed.to_vec());
            plaintext::parse(key.open(&header, &self.issuer_hash, &mut sealed)?)
        })?;
        (now < claims.expires_at()).then(|| claims.with_jti(header.jti()))
    }
}

impl TokenIssuer for SealedIssuer {
    async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        self.seal(claims)
    }

    fn token_id(&self, token: &AccessToken) -> TokenHash {
        // What names it stands in the clear.
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token.expose()).map(Zeroizing::new).ok();
        let header = bytes.as_ref().and_then(|bytes| Some(Header::split(bytes)?.0));
        header.map_or_else(|| token.hash(), |header| TokenHash::of(&header.jti()))
    }
}

impl TokenVerifier for SealedIssuer {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        Ok(self.check(token, now))
    }
}
