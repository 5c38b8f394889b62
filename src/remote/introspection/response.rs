use serde::{Deserialize, de::IgnoredAny};
use time::{Duration, OffsetDateTime};

use crate::{Authorization, BackendError, Claims, ClientId, Scope};

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
    scope: Option<String>,
    token_type: Option<String>,
    exp: Option<i64>,
    iat: Option<i64>,
    iss: Option<String>,
    #[serde(default)]
    aud: Audience,
    jti: Option<String>,
    cnf: Option<IgnoredAny>,
    resources: Option<Authorization>,
}

/// What a response says of a token; `None` when it does not count as a bearer token, or is another issuer's.
pub(super) fn claims(json: &[u8], issuer: Option<&str>, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
    // What serde would say may repeat what was answered.
    let malformed = |_| BackendError::new("the introspection response is not what RFC 7662 has it be");
    let response: Response = serde_json::from_slice(json).map_err(malformed)?;
    if !response.active {
        return Ok(None);
    }
    let said: Said = serde_json::from_slice(json).map_err(malformed)?;
    let is_bearer = said.token_type.is_none_or(|token_type| token_type.eq_ignore_ascii_case("bearer"));
    let is_of_issuer = issuer.is_none_or(|issuer| said.iss.is_none_or(|iss| iss == issuer));
    if !is_bearer || !is_of_issuer || said.cnf.is_some() {
        return Ok(None);
    }
    let no_time = |_| BackendError::new("the introspection response has a time that there is not");
    let time = |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).map_err(no_time);
    let issued_at = said.iat.map_or(Ok(now), time)?;
    let expires_at = said.exp.map_or_else(|| Ok(now.saturating_add(UNSTATED_LIFETIME)), time)?;
    let scope = said.scope.filter(|scope| !scope.is_empty()).map(Scope::parse).transpose()?;
    let claims = Claims::new(said.client_id, issued_at, expires_at)
        .with_scope(scope)
        .with_authorization(said.resources.unwrap_or_default())
        .with_audience(said.aud.without(issuer))
        .with_jti(said.jti);
    Ok(Some(claims))
}

/// One text, or a list of them (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Audience {
    /// For whom it is, and nobody when it is for the issuer alone: such a token was made for nobody in particular.
    fn without(self, issuer: Option<&str>) -> Vec<String> {
        let list = match self {
            Self::One(one) => vec![one],
            Self::List(list) => list,
        };
        let for_issuer = matches!(list.as_slice(), [only] if Some(only.as_str()) == issuer);
        if for_issuer { Vec::new() } else { list }
    }
}
