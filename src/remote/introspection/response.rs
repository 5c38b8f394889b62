use serde::Deserialize;
use time::{Duration, OffsetDateTime};

use crate::{
    Authorization, BackendError, Claims, ClientId, Scope,
    json::Object,
    token::wire::{self, Audience, NumericDate},
};

/// After how long a token is said to expire whose server does not say so: it is asked about again anyway, and whoever does
/// something for as long as a token counts ends soon.
const UNSTATED_LIFETIME: Duration = Duration::MINUTE;

/// An introspection response (RFC 7662 §2.2). What else is said of a token that does not count is not looked at.
#[derive(Deserialize)]
struct Response {
    active: bool,
}

/// What is said of a token that counts.
#[derive(Deserialize)]
struct Said {
    client_id: ClientId,
    #[serde(default, deserialize_with = "wire::scope")]
    scope: Option<Scope>,
    token_type: Option<String>,
    exp: Option<NumericDate>,
    iat: Option<NumericDate>,
    iss: Option<String>,
    #[serde(default)]
    aud: Audience,
    jti: Option<String>,
    #[serde(default, deserialize_with = "wire::present")]
    cnf: bool,
    resources: Option<Authorization>,
}

/// What a response says of a token; `None` when it does not count as a bearer token, or is another issuer's.
pub(super) fn claims(json: &[u8], issuer: Option<&str>, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
    // What serde would say may repeat what was answered.
    let malformed = |_| BackendError::new("the introspection response is not what RFC 7662 has it be");
    let Object::<Response>(response) = serde_json::from_slice(json).map_err(malformed)?;
    if !response.active {
        return Ok(None);
    }
    let Object::<Said>(said) = serde_json::from_slice(json).map_err(malformed)?;
    let is_bearer = said.token_type.is_none_or(|token_type| token_type.eq_ignore_ascii_case("bearer"));
    let is_of_issuer = issuer.is_none_or(|issuer| said.iss.is_none_or(|iss| iss == issuer));
    if !is_bearer || !is_of_issuer || said.cnf {
        return Ok(None);
    }
    let issued_at = said.iat.map_or(now, |NumericDate(iat)| iat);
    let expires_at = said.exp.map_or_else(|| now.saturating_add(UNSTATED_LIFETIME), |NumericDate(exp)| exp);
    let claims = Claims::new(said.client_id, issued_at, expires_at)
        .with_scope(said.scope)
        .with_authorization(said.resources.unwrap_or_default())
        .with_audience(said.aud.named(issuer))
        .with_jti(said.jti);
    Ok(Some(claims))
}
