//! JWT access tokens (RFC 9068): signed, self-contained, and readable by whoever holds them.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{SigningKey, TokenIssuer, TokenVerifier};
use crate::{AccessToken, Authorization, BackendError, Claims, ClientId, RandomSource, Scope, json};

/// Issues JWTs of RFC 9068. Nothing is kept: whoever has the public key can check one, and it ends when it expires.
///
/// Beside the claims of RFC 9068 §2.2 a token has `resources`, the map of [`Authorization`].
///
/// ```
/// use client_credentials::{JwtIssuer, SigningAlgorithm, SigningKey};
///
/// let key = SigningKey::generate(SigningAlgorithm::EdDsa)?;
/// let issuer = JwtIssuer::new("https://auth.example.com", key).with_audience("https://api.example.com");
/// # Ok::<(), client_credentials::KeyError>(())
/// ```
#[derive(Debug)]
pub struct JwtIssuer {
    issuer: String,
    audience: String,
    key: SigningKey,
    /// The JOSE header, encoded, with the dot after it: the same for every token.
    header: String,
    random: RandomSource,
}

impl JwtIssuer {
    /// An issuer with this identifier (`iss`, a URL: RFC 8414 §2), which is also the audience unless told otherwise.
    pub fn new(issuer: impl Into<String>, key: SigningKey) -> Self {
        let header = Header { alg: key.algorithm(), kid: key.key_id(), typ: "at+jwt" };
        let header = BASE64_URL_SAFE_NO_PAD.encode(&*to_json(&header)) + ".";
        let issuer = issuer.into();
        Self { audience: issuer.clone(), issuer, key, header, random: RandomSource::seeded() }
    }

    /// For whom the tokens are meant (`aud`, RFC 9068 §3): the identifier of the API that takes them. It is that API's to check
    /// them, and this server does not take them for itself: only API keys open its management endpoint then.
    #[must_use]
    pub fn with_audience(self, audience: impl Into<String>) -> Self {
        Self { audience: audience.into(), ..self }
    }

    /// Takes the 16 random bytes of `jti` from elsewhere than [`RandomSource::seeded`].
    #[must_use]
    pub fn with_random(self, random: RandomSource) -> Self {
        Self { random, ..self }
    }

    /// The key that signs.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Signs a token that says `claims`; [`TokenIssuer::issue`] for hosts without an executor.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn sign(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        let mut jti = [0; 16];
        self.random.fill(&mut jti)?;
        let client_id = claims.client_id().as_str();
        let payload = Payload {
            iss: &self.issuer,
            sub: client_id,
            aud: &self.audience,
            client_id,
            exp: claims.expires_at().unix_timestamp(),
            iat: claims.issued_at().unix_timestamp(),
            jti: &BASE64_URL_SAFE_NO_PAD.encode(jti),
            scope: claims.scope().map(Scope::as_str),
            resources: claims.authorization(),
        };
        let payload = to_json(&payload);
        // Room for all of it, so that growing leaves no copy behind: 4/3 of the payload, and an RSA signature at most.
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 700);
        token.push_str(&self.header);
        BASE64_URL_SAFE_NO_PAD.encode_string(&*payload, &mut token);
        let signature = Zeroizing::new(self.key.sign(token.as_bytes())?);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(&*signature, &mut token);
        Ok(AccessToken::new(token)?)
    }
}

impl JwtIssuer {
    /// What a token of this issuer says, if it counts at `now`; [`TokenVerifier::verify`] for hosts without an executor.
    ///
    /// A token that is meant for another API than this server has that API as its [audience](Claims::audience) (RFC 9068 §4), and
    /// opens nothing here.
    ///
    /// A token has to be what [`sign`](Self::sign) makes, to the letter of its header: nothing in it chooses how it is checked
    /// (RFC 8725 §3.1).
    #[must_use]
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let payload = signed.strip_prefix(&self.header)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !self.key.verify(signed.as_bytes(), &signature) {
            return None;
        }
        let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
        let payload: Checked = serde_json::from_slice(&payload).ok()?;
        let time = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok();
        let claims = Claims::new(payload.client_id, time(payload.iat)?, time(payload.exp)?)
            .with_scope(payload.scope)
            .with_authorization(payload.resources)
            .with_audience((payload.aud != self.issuer).then(|| payload.aud.clone()))
            .with_jti(payload.jti);
        (payload.iss == self.issuer && payload.aud == self.audience && now < claims.expires_at()).then_some(claims)
    }
}

impl TokenVerifier for JwtIssuer {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        Ok(self.check(token, now))
    }
}

impl TokenIssuer for JwtIssuer {
    async fn issue(&self, claims: &Claims) -> Result<AccessToken, BackendError> {
        self.sign(claims)
    }
}

#[derive(Serialize)]
struct Header<'a> {
    alg: super::SigningAlgorithm,
    kid: &'a str,
    typ: &'a str,
}

/// RFC 9068 §2.2.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    exp: i64,
    iat: i64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    resources: &'a Authorization,
}

/// What is read of a payload whose signature is right.
#[derive(Deserialize)]
struct Checked {
    iss: String,
    aud: String,
    client_id: ClientId,
    exp: i64,
    iat: i64,
    jti: String,
    scope: Option<Scope>,
    resources: Authorization,
}

/// Zeroed afterwards, since payload and signature together are the token.
fn to_json(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    json::value(&mut bytes, value);
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{SigningAlgorithm, TenantName};

    fn issuer() -> JwtIssuer {
        JwtIssuer::new("https://auth.example.com", SigningKey::generate(SigningAlgorithm::EdDsa).unwrap())
    }

    fn claims() -> Claims {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap() + time::Duration::milliseconds(999);
        Claims::new(ClientId::parse("billing").unwrap(), now, now + time::Duration::minutes(3))
    }

    fn payload(token: &AccessToken) -> Value {
        let payload = token.expose().split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    #[test]
    fn rfc9068_2_2_claims() {
        let random = RandomSource::from_fn(|bytes| {
            bytes.fill(0);
            Ok(())
        });
        let issuer = issuer().with_random(random);
        let mut expected = json!({
            "iss": "https://auth.example.com", "aud": "https://auth.example.com", "sub": "billing", "client_id": "billing",
            "iat": 1_700_000_000, "exp": 1_700_000_180, "jti": "AAAAAAAAAAAAAAAAAAAAAA", "resources": {"*": []},
        });
        assert_eq!(payload(&issuer.sign(&claims()).unwrap()), expected);

        let acme = (TenantName::parse("acme").unwrap(), ["read", "edit"].into_iter().collect());
        let claims = claims()
            .with_scope(Scope::parse("r tenant:acme").unwrap())
            .with_authorization(Authorization::new(["read"].into_iter().collect(), [acme]));
        expected["aud"] = "https://api.example.com".into();
        expected["scope"] = "r tenant:acme".into();
        expected["resources"] = json!({"*": ["read"], "acme": ["edit", "read"]});
        let issuer = issuer.with_audience("https://api.example.com");
        assert_eq!(payload(&issuer.sign(&claims).unwrap()), expected);
    }

    #[test]
    fn rfc9068_4_a_token_counts_here_and_now_or_not_at_all() {
        const RSA: &[u8] = include_bytes!("../../tests/keys/rsa2048.pem");
        let keys = [
            SigningKey::generate(SigningAlgorithm::EdDsa),
            SigningKey::generate(SigningAlgorithm::Es256),
            SigningKey::from_pkcs8_pem(SigningAlgorithm::Rs256, RSA),
            SigningKey::from_pkcs8_pem(SigningAlgorithm::Ps256, RSA),
        ];
        let acme = (TenantName::parse("acme").unwrap(), ["read"].into_iter().collect());
        let said = claims()
            .with_scope(Scope::parse("r tenant:acme").unwrap())
            .with_authorization(Authorization::new(["read"].into_iter().collect(), [acme]));
        for key in keys {
            let issuer = JwtIssuer::new("https://auth.example.com", key.unwrap());
            let token = issuer.sign(&said).unwrap();
            let now = said.issued_at();
            let read = issuer.check(token.expose(), now).unwrap();
            assert_eq!((read.client_id(), read.scope()), (said.client_id(), said.scope()));
            assert_eq!(read.authorization(), said.authorization());
            let expiry = read.expires_at();
            assert!(issuer.check(token.expose(), expiry - time::Duration::NANOSECOND).is_some());
            assert!(issuer.check(token.expose(), expiry).is_none(), "expired");

            let parts: Vec<_> = token.expose().split('.').collect();
            let [header, payload, signature] = parts.try_into().unwrap();
            let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
            let other = issuer.sign(&claims()).unwrap();
            let other = other.expose().split('.').nth(1).unwrap();
            for forged in [
                format!("{header}.{other}.{signature}"),
                format!("{none}.{payload}."),
                format!("{none}.{payload}.{signature}"),
                format!("{header}.{payload}."),
                format!("{header}.{payload}"),
                format!("{header}.{payload}.{signature}.{signature}"),
                format!("{header}.{payload}.{}", &signature[..signature.len() - 4]),
                format!(".{payload}.{signature}"),
                header.into(),
                String::new(),
            ] {
                assert!(issuer.check(&forged, now).is_none(), "{forged}");
            }
            assert!(read.audience().is_empty(), "for this server itself");
            let mut elsewhere = issuer.with_audience("https://api.example.com");
            assert!(elsewhere.check(token.expose(), now).is_none(), "for another audience");
            let theirs = elsewhere.sign(&said).unwrap();
            let read = elsewhere.check(theirs.expose(), now).unwrap();
            assert_eq!(read.audience(), ["https://api.example.com"]);
            elsewhere.issuer = "https://other.example.com".into();
            elsewhere.audience = "https://auth.example.com".into();
            assert!(elsewhere.check(token.expose(), now).is_none(), "of another issuer");
        }
    }

    #[test]
    fn rfc7519_4_1_7_each_token_has_its_own_jti() {
        let issuer = issuer();
        let jti = || payload(&issuer.sign(&claims()).unwrap())["jti"].clone();
        assert_ne!(jti(), jti());
    }
}
