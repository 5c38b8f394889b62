//! What is asked of a JWT before it counts (RFC 9068 §4), whoever asks.

use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::{
    Authorization, Claims, ClientId, Jwks, PublicJwk, Scope, SigningAlgorithm,
    json::Object,
    secret::{MAX_TOKEN_BYTES, is_b64token},
    token::wire::{self, Audience, NumericDate},
};

/// What the header of an access token says that it is, `typ` (RFC 9068 §2.1).
pub(crate) const TYPE: &str = "at+jwt";

const MAX_HEADER_BYTES: usize = 4 * 1024;

/// How far the clocks of two servers may be apart unless told otherwise: they are set by the network.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// A JWT in its three parts. Nothing in it is to be believed before [`Jwt::check`].
pub(crate) struct Jwt<'a> {
    /// Header and payload, with the dot between them.
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What a token has to say beside a signature that is right. For whom it is, whoever takes it has to look at.
pub(crate) struct JwtRules<'a> {
    /// Who must have issued it, `iss`.
    pub(crate) issuer: &'a str,
    /// How far the clocks of the two servers may be apart.
    pub(crate) clock_skew: Duration,
}

/// A JWT of a server elsewhere, whose header says that it is an access token and which key to take.
pub(crate) struct AccessTokenJwt<'a> {
    jwt: Jwt<'a>,
    header: JwtHeader,
}

/// The header of a token of somebody else, as far as it counts (RFC 7515 §4.1): which key to take is all that it may say.
#[derive(Deserialize)]
struct JwtHeader {
    /// Only the key with this algorithm will do.
    alg: SigningAlgorithm,
    kid: Option<String>,
    typ: String,
    /// Extensions that have to be understood (§4.1.11): there are none.
    #[serde(default, deserialize_with = "wire::present")]
    crit: bool,
}

#[derive(Deserialize)]
struct Named {
    jti: String,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, payload) = signed.split_once('.')?;
        Some(Self { signed, payload, signature })
    }

    /// What a token is named by (RFC 7519 §4.1.7) that this server has made itself: it is not asked whether it counts.
    pub(super) fn jti(&self) -> Option<String> {
        let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode_to_vec(self.payload).ok()?);
        Some(serde_json::from_slice::<Named>(&payload).ok()?.jti)
    }

    /// The header, if it is one of an access token (RFC 9068 §4): nothing else that the same server signs is taken for one.
    fn header(&self) -> Option<JwtHeader> {
        let (header, _) = self.signed.split_once('.').filter(|(header, _)| header.len() <= MAX_HEADER_BYTES)?;
        let Object::<JwtHeader>(header) = serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(header).ok()?).ok()?;
        // RFC 7515 §4.1.9: `application/` may be left out.
        let (prefix, typ) = header.typ.split_once('/').unwrap_or(("application", &header.typ));
        let is_access_token = prefix.eq_ignore_ascii_case("application") && typ.eq_ignore_ascii_case(TYPE);
        (is_access_token && !header.crit).then_some(header)
    }

    /// What the token says, if it counts at `now`, and this key has signed it.
    ///
    /// The key alone chooses how the signature is checked (RFC 8725 §3.1).
    pub(crate) fn check(&self, key: &PublicJwk, rules: &JwtRules<'_>, now: OffsetDateTime) -> Option<Claims> {
        let signature = URL_SAFE_NO_PAD.decode_to_vec(self.signature).ok()?;
        if !key.verify(self.signed.as_bytes(), &signature) {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode_to_vec(self.payload).ok()?;
        let Object(payload) = serde_json::from_slice(&payload).ok()?;
        rules.claims(payload, now)
    }
}

impl<'a> AccessTokenJwt<'a> {
    /// Takes a token apart and reads its header; `None` for what no key can make count.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let jwt = Jwt::parse(token).filter(|_| is_b64token(token))?;
        jwt.header().map(|header| Self { jwt, header })
    }

    /// The key that it names. One that names none may be signed with any.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// What the token says, if it counts at `now`, and one of these keys has signed it that its header allows.
    pub(crate) fn check(&self, keys: &Jwks, rules: &JwtRules<'_>, now: OffsetDateTime) -> Option<Claims> {
        keys.find(self.header.alg, self.key_id()).find_map(|key| self.jwt.check(key, rules, now))
    }
}

impl JwtRules<'_> {
    fn claims(&self, payload: Payload, now: OffsetDateTime) -> Option<Claims> {
        let Payload { iss, sub, aud, client_id, exp, nbf, iat, jti, scope, cnf, resources } = payload;
        // A clock that is off by everything is no reason to stop.
        let clock_skew = self.clock_skew.try_into().unwrap_or(time::Duration::MAX);
        let has_begun = nbf.is_none_or(|NumericDate(nbf)| nbf <= now.saturating_add(clock_skew));
        let has_not_ended = now < exp.0.saturating_add(clock_skew);
        let counts = iss == self.issuer
            // RFC 9068 §2.2: where nobody else is involved, the subject is the client. A token for somebody else is another grant's.
            && sub == client_id.as_str()
            // It is revoked by this name, and must not share it.
            && !jti.is_empty()
            && !aud.is_empty()
            // Whoever presents a token that is bound to a key would have to prove that he has it (RFC 8705 §3, RFC 9449 §7).
            && !cnf
            && has_begun
            && has_not_ended;
        if !counts {
            return None;
        }
        let claims = Claims::new(client_id, iat.0, exp.0)
            .with_scope(scope)
            .with_authorization(resources)
            .with_audience(aud.named(Some(self.issuer)))
            .with_jti(jti);
        Some(claims)
    }
}

/// What is read of a payload whose signature is right (RFC 9068 §2.2). A member that is there twice is refused.
#[derive(Deserialize)]
struct Payload {
    iss: String,
    sub: String,
    aud: Audience,
    client_id: ClientId,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: NumericDate,
    jti: String,
    #[serde(default, deserialize_with = "wire::scope")]
    scope: Option<Scope>,
    #[serde(default, deserialize_with = "wire::present")]
    cnf: bool,
    /// Other servers have none.
    #[serde(default)]
    resources: Authorization,
}
