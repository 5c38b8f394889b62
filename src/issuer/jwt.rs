//! JWT access tokens (RFC 9068): signed, self-contained, and readable by whoever holds them.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{SigningKey, TokenIssuer};
use crate::{AccessToken, Authorization, BackendError, Claims, RandomSource, json};

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
        let header = BASE64_URL_SAFE_NO_PAD.encode(to_json(&header)) + ".";
        let issuer = issuer.into();
        Self { audience: issuer.clone(), issuer, key, header, random: RandomSource::seeded() }
    }

    /// For whom the tokens are meant (`aud`, RFC 9068 §3): the identifier of the API that takes them.
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
            scope: claims.scope().map(crate::Scope::as_str),
            resources: claims.authorization(),
        };
        let payload = to_json(&payload);
        // Room for all of it, so that growing leaves no copy behind: 4/3 of the payload, and an RSA signature at most.
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 700);
        token.push_str(&self.header);
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.key.sign(token.as_bytes())?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(AccessToken::new(token)?)
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

fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    json::value(&mut bytes, value);
    bytes
}
