//! JWT access tokens (RFC 9068): signed, self-contained, and readable by whoever holds them.

pub(crate) mod check;
mod verifier;

use std::{slice, time::Duration};

use base64_simd::URL_SAFE_NO_PAD;
use serde::Serialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use self::check::{Jwt, JwtRules};
use super::{AnySigner, KeySet, PublicJwk, Signer as _, TokenIssuer, TokenVerifier};
use crate::{AccessToken, Authorization, BackendError, Claims, RandomSource, Scope, TokenHash, json, token::wire};
pub use verifier::JwtVerifier;

/// Issues JWTs of RFC 9068. Nothing is kept: whoever has the public key can check one, and it ends when it expires.
///
/// Beside the claims of RFC 9068 §2.2 a token has `resources`, the map of [`Authorization`].
///
/// ```
/// use client_credentials::{JwtIssuer, KeySet, SigningAlgorithm, SigningKey};
///
/// let key = SigningKey::generate(SigningAlgorithm::EdDsa)?;
/// let issuer = JwtIssuer::new("https://auth.example.com", key).with_audience("https://api.example.com");
///
/// // Or with keys that follow one another:
/// let [first, second] = [SigningKey::generate(SigningAlgorithm::EdDsa)?, SigningKey::generate(SigningAlgorithm::EdDsa)?];
/// let keys = KeySet::from(first).with_next(second);
/// let issuer = JwtIssuer::new("https://auth.example.com", keys.clone());
/// # Ok::<(), client_credentials::KeyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct JwtIssuer {
    issuer: String,
    /// Whom the tokens are for that name nobody else.
    audience: String,
    keys: KeySet<AnySigner>,
    random: RandomSource,
}

impl JwtIssuer {
    /// An issuer with this identifier (`iss`, a URL: RFC 8414 §2), which is also the audience unless told otherwise.
    pub fn new(issuer: impl Into<String>, keys: impl Into<KeySet<AnySigner>>) -> Self {
        let issuer = issuer.into();
        Self { audience: issuer.clone(), issuer, keys: keys.into(), random: RandomSource::seeded() }
    }

    /// For whom the tokens are meant (`aud`, RFC 9068 §3) whose clients have named nobody: the identifier of the API that takes
    /// them. It is that API's to check them, and this server does not take them for itself: only API keys open its management
    /// endpoint then.
    #[must_use]
    pub fn with_audience(self, audience: impl Into<String>) -> Self {
        Self { audience: audience.into(), ..self }
    }

    /// Takes the 16 random bytes of `jti` from elsewhere than [`RandomSource::seeded`].
    #[must_use]
    pub fn with_random(self, random: RandomSource) -> Self {
        Self { random, ..self }
    }

    /// The keys, to rotate them.
    #[must_use]
    pub const fn keys(&self) -> &KeySet<AnySigner> {
        &self.keys
    }

    /// What a token of this issuer says, if it counts at `now`; [`TokenVerifier::verify`] for hosts without an executor.
    ///
    /// A token that is meant for another API than this server has that API as its [audience](Claims::audience) (RFC 9068 §4), and
    /// opens nothing here.
    ///
    /// A token has to be what [`issue`](TokenIssuer::issue) makes, to the letter of its header: nothing in it chooses how it is
    /// checked (RFC 8725 §3.1).
    #[must_use]
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Option<Claims> {
        let key = self.keys.find(now, |key| token.starts_with(key.header()).then(|| key.clone()))?;
        let rules = JwtRules { issuer: &self.issuer, clock_skew: Duration::ZERO };
        Jwt::parse(token)?.check(key.public_jwk(), &rules, now)
    }
}

impl TokenVerifier for JwtIssuer {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        Ok(self.check(token, now))
    }
}

impl TokenIssuer for JwtIssuer {
    async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        let mut jti = [0; 16];
        self.random.fill(&mut jti)?;
        let client_id = claims.client_id().as_str();
        let payload = Payload {
            iss: &self.issuer,
            sub: client_id,
            aud: match claims.audience() {
                [] => slice::from_ref(&self.audience),
                named => named,
            },
            client_id,
            exp: claims.expires_at().unix_timestamp(),
            iat: claims.issued_at().unix_timestamp(),
            jti: &URL_SAFE_NO_PAD.encode_to_string(jti),
            scope: claims.scope().map(Scope::as_str),
            resources: claims.authorization(),
        };
        let payload = to_json(&payload);
        let key = self.keys.with_signing(AnySigner::clone);
        // Room for all of it, so that growing leaves no copy behind: 4/3 of the payload, and an RSA signature at most.
        let mut token = Zeroizing::new(String::with_capacity(key.header().len() + payload.len() * 4 / 3 + 1400));
        token.push_str(key.header());
        URL_SAFE_NO_PAD.encode_append(&*payload, &mut *token);
        let signature = Zeroizing::new(key.sign(token.as_bytes()).await?);
        token.push('.');
        URL_SAFE_NO_PAD.encode_append(&*signature, &mut *token);
        Ok(AccessToken::new(std::mem::take(&mut *token))?)
    }

    fn public_jwks(&self, now: OffsetDateTime) -> Vec<PublicJwk> {
        self.keys.map(now, |key| key.public_jwk().clone())
    }

    fn token_id(&self, token: &AccessToken) -> TokenHash {
        let jti = Jwt::parse(token.expose()).and_then(|jwt| jwt.jti());
        jti.map_or_else(|| token.hash(), |jti| TokenHash::of(&jti))
    }
}

/// RFC 9068 §2.2.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    #[serde(serialize_with = "wire::audience")]
    aud: &'a [String],
    client_id: &'a str,
    exp: i64,
    iat: i64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    resources: &'a Authorization,
}

/// Zeroed afterwards, since payload and signature together are the token.
fn to_json(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    json::value(&mut bytes, value);
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use time::Duration;

    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;
    use crate::{AnyTokenIssuer, ClientId, SigningAlgorithm, SigningKey, TenantName};

    fn key() -> SigningKey {
        SigningKey::generate(SigningAlgorithm::EdDsa).unwrap()
    }

    fn issuer() -> JwtIssuer {
        JwtIssuer::new("https://auth.example.com", key())
    }

    fn claims() -> Claims {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap() + Duration::milliseconds(999);
        Claims::new(ClientId::parse("billing").unwrap(), now, now + Duration::minutes(3))
    }

    async fn payload(issuer: &JwtIssuer, claims: &Claims) -> Value {
        let token = issuer.issue(claims).await.unwrap();
        let payload = token.expose().split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn rfc9068_2_2_claims() {
        let random = RandomSource::from_fn(|bytes| {
            bytes.fill(0);
            Ok(())
        });
        let issuer = issuer().with_random(random);
        let mut expected = json!({
            "iss": "https://auth.example.com", "aud": "https://auth.example.com", "sub": "billing", "client_id": "billing",
            "iat": 1_700_000_000, "exp": 1_700_000_180, "jti": "AAAAAAAAAAAAAAAAAAAAAA", "resources": {"*": []},
        });
        assert_eq!(payload(&issuer, &claims()).await, expected);

        let acme = (TenantName::parse("acme").unwrap(), ["read", "edit"].into_iter().collect());
        let claims = claims()
            .with_scope(Scope::parse("r tenant:acme").unwrap())
            .with_authorization(Authorization::new(["read"].into_iter().collect(), [acme]));
        expected["aud"] = "https://api.example.com".into();
        expected["scope"] = "r tenant:acme".into();
        expected["resources"] = json!({"*": ["read"], "acme": ["edit", "read"]});
        let issuer = issuer.with_audience("https://api.example.com");
        assert_eq!(payload(&issuer, &claims).await, expected);
    }

    #[tokio::test]
    async fn rfc9068_3_the_audience_is_what_the_client_has_named() {
        let (here, api, other) = ("https://auth.example.com", "https://api.example.com", "https://other.example.com");
        for (default, named, aud, read) in [
            (here, vec![], json!(here), vec![]),
            (here, vec![here], json!(here), vec![]),
            (here, vec![api], json!(api), vec![api]),
            (here, vec![api, other], json!([api, other]), vec![api, other]),
            (here, vec![here, api], json!([here, api]), vec![here, api]),
            (api, vec![], json!(api), vec![api]),
            (api, vec![other], json!(other), vec![other]),
        ] {
            let issuer = issuer().with_audience(default);
            let claims = claims().with_audience(named);
            assert_eq!(payload(&issuer, &claims).await["aud"], aud);
            let token = issuer.issue(&claims).await.unwrap();
            assert_eq!(issuer.check(token.expose(), claims.issued_at()).unwrap().audience(), read);
        }
    }

    #[tokio::test]
    async fn a_token_is_read_as_it_was_meant() {
        let acme = (TenantName::parse("acme").unwrap(), ["read"].into_iter().collect());
        let said = claims()
            .with_scope(Scope::parse("r tenant:acme").unwrap())
            .with_authorization(Authorization::new(["read"].into_iter().collect(), [acme]));
        let issuer = issuer();
        let token = issuer.issue(&said).await.unwrap();
        let read = issuer.check(token.expose(), said.issued_at()).unwrap();
        assert_eq!((read.client_id(), read.scope()), (said.client_id(), said.scope()));
        assert_eq!(read.authorization(), said.authorization());
        assert_eq!(read.jti().unwrap().len(), 22);
        assert_eq!(read.issued_at().unix_timestamp(), said.issued_at().unix_timestamp());
        assert_eq!(read.expires_at().unix_timestamp(), said.expires_at().unix_timestamp());
    }

    #[tokio::test]
    async fn rfc7519_4_1_7_each_token_has_its_own_jti() {
        let issuer = issuer();
        assert_ne!(payload(&issuer, &claims()).await["jti"], payload(&issuer, &claims()).await["jti"]);
    }

    #[tokio::test]
    async fn rfc7519_4_1_7_the_audit_names_a_token_by_its_jti() {
        let issuer = issuer();
        let token = issuer.issue(&claims()).await.unwrap();
        let jti = issuer.check(token.expose(), claims().issued_at()).unwrap().jti().map(TokenHash::of);
        for id in [
            issuer.token_id(&token),
            TokenIssuer::token_id(&&issuer, &token),
            Arc::new(issuer.clone()).token_id(&token),
            AnyTokenIssuer::new(issuer.clone()).token_id(&token),
        ] {
            assert_eq!(Some(id), jti);
        }
        let other = AccessToken::generate(&RandomSource::default()).unwrap();
        assert_eq!(issuer.token_id(&other), other.hash());
    }

    #[tokio::test]
    async fn a_pointer_publishes_what_it_points_to() {
        let [first, second] = [key(), key()];
        let both = [first.public_jwk().clone(), second.public_jwk().clone()];
        let issuer = JwtIssuer::new("https://auth.example.com", KeySet::from(first).with_next(second));
        let now = claims().issued_at();
        let published = |issuer: &dyn Fn() -> Vec<PublicJwk>| assert_eq!(issuer(), both);
        published(&|| issuer.public_jwks(now));
        published(&|| TokenIssuer::public_jwks(&&issuer, now));
        published(&|| Arc::new(issuer.clone()).public_jwks(now));
        published(&|| AnyTokenIssuer::new(issuer.clone()).public_jwks(now));
    }
}
