//! What the calls take: a JSON object in the body, or parameters in the query.

use std::time::Duration;

use serde_json::{Map, Value};
use time::{Date, OffsetDateTime, format_description::well_known::Iso8601};

use super::call::{Call, Object, Verb};
use crate::{
    ClientBuilder, ClientId, Config, Error, Name, Request, Resources, TenantName, TokenEndpointAuthMethod, duration,
    form, request::Field,
};

/// The input of a call.
pub(super) enum Input {
    None,
    Page { filter: String, skip: usize, most: usize },
    Metadata(Metadata),
    Overlap(Option<Duration>),
    ApiKey { label: String, tenant: Option<TenantName>, expires_at: Option<OffsetDateTime> },
    Resources(Resources),
}

/// How many clients are on a page, unless said, and at most.
const PAGE: usize = 10;
const PAGE_MAX: usize = 100;

impl Input {
    pub(super) fn read(call: &Call, request: &Request<'_>, config: &Config) -> Result<Self, Error> {
        let query = request.query.unwrap_or_default();
        if query.len() > config.max_body_bytes() {
            return Err(Error::QueryTooLong);
        }
        if form::count(query.as_bytes()) > config.max_parameters() {
            return Err(Error::TooManyParameters);
        }
        match (call.object(), call.verb()) {
            (Object::Clients, Verb::Get) => page(query),
            (Object::Clients, _) => Ok(Self::Metadata(Metadata::parse(object(request, config)?, true)?)),
            (Object::Client(_), Verb::Put) => Ok(Self::Metadata(Metadata::parse(object(request, config)?, false)?)),
            (Object::ResetSecret(_), _) => overlap(object(request, config)?),
            (Object::ApiKeys(_), Verb::Post) => api_key(object(request, config)?, request.received_at),
            (Object::Role(_), Verb::Post | Verb::Put) => resources(object(request, config)?),
            _ => Ok(Self::None),
        }
    }
}

/// The JSON object in the body. An empty body is one without members.
fn object(request: &Request<'_>, config: &Config) -> Result<Map<String, Value>, Error> {
    let body = request.body.filter(|body| body.len() <= config.max_body_bytes()).ok_or(Error::BodyTooLarge)?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    let media_type = match request.content_type {
        Field::Once(value) => value.split(|b| *b == b';').next().unwrap_or_default(),
        Field::Absent | Field::Repeated => return Err(Error::NotJson),
    };
    if !media_type.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        return Err(Error::NotJson);
    }
    serde_json::from_slice(body).map_err(|_| Error::MalformedJson)
}

fn page(query: &str) -> Result<Input, Error> {
    let (mut page, mut most, mut filter) = (1, PAGE, String::new());
    for (name, value) in form::pairs(query) {
        let (name, value) = (form::decode(name)?, form::decode(value)?);
        let number = || value.parse::<usize>().ok().filter(|number| *number > 0);
        match &*name {
            "p" => page = number().ok_or(Error::WrongParameter("p", "a page, from 1 on, is expected"))?,
            "i" => {
                let number = number().filter(|number| *number <= PAGE_MAX);
                most = number.ok_or(Error::WrongParameter("i", "a number from 1 to 100 is expected"))?;
            }
            "f" => value.clone_into(&mut filter),
            _ => {}
        }
    }
    Ok(Input::Page { filter, skip: (page - 1).saturating_mul(most), most })
}

fn overlap(mut members: Map<String, Value>) -> Result<Input, Error> {
    let overlap = match members.remove("overlap") {
        None | Some(Value::Null) => None,
        Some(value) => {
            const EXPECTED: Error =
                Error::WrongMember("overlap", "a duration such as 24h or 600 is expected, or 0 for none");
            let text = value.as_str().map_or_else(|| value.to_string(), String::from);
            Some(duration::parse_any(&text).ok_or(EXPECTED)?).filter(|overlap| !overlap.is_zero())
        }
    };
    nothing_else(&members)?;
    Ok(Input::Overlap(overlap))
}

fn api_key(mut members: Map<String, Value>, now: OffsetDateTime) -> Result<Input, Error> {
    const EXPECTED: &str =
        "a number of seconds, a duration such as 180d or 4 h, or an ISO 8601 date or date-time is expected";
    let expires_at = match members.remove("exp") {
        None | Some(Value::Null) => None,
        Some(value) => Some(expiry(&value, now).ok_or(Error::WrongMember("exp", EXPECTED))?),
    };
    let tenant = match members.remove("tenant") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => {
            Some(TenantName::parse(name).map_err(|expected| Error::WrongMember("tenant", expected.0))?)
        }
        Some(_) => return Err(Error::WrongMember("tenant", "the name of a tenant is expected")),
    };
    let label = match members.remove("label") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(label)) => label,
        Some(_) => return Err(Error::WrongMember("label", "a text is expected")),
    };
    nothing_else(&members)?;
    Ok(Input::ApiKey { label, tenant, expires_at })
}

fn resources(mut members: Map<String, Value>) -> Result<Input, Error> {
    const EXPECTED: Error = Error::WrongMember(
        "resources",
        "an array of resource ids, each of visible ASCII and at most 256 characters, is expected",
    );
    let Some(Value::Array(resources)) = members.remove("resources") else {
        return Err(EXPECTED);
    };
    nothing_else(&members)?;
    let resources = resources.into_iter().map(|resource| match resource {
        Value::String(id) if (1..=256).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) => Ok(id),
        _ => Err(EXPECTED),
    });
    Ok(Input::Resources(resources.collect::<Result<_, _>>()?))
}

fn nothing_else(members: &Map<String, Value>) -> Result<(), Error> {
    members.keys().next().map_or(Ok(()), |name| Err(Error::UnknownMember(Name::of(name))))
}

fn duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(seconds) => duration::parse(&seconds.to_string()),
        Value::String(text) => duration::parse(text),
        _ => None,
    }
}

/// A point in time, or how long it is until then.
fn expiry(value: &Value, now: OffsetDateTime) -> Option<OffsetDateTime> {
    if let Some(duration) = duration(value) {
        return now.checked_add(time::Duration::try_from(duration).ok()?);
    }
    let text = value.as_str()?;
    let date = || Date::parse(text, &Iso8601::DATE).ok().map(|date| date.midnight().assume_utc());
    OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok().or_else(date)
}

/// What a body says of a client: of each member nothing, a value, or that there is to be none.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    preferred_client_id: Option<ClientId>,
    client_name: Option<Option<String>>,
    token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    seacatauth_credentials: Option<bool>,
    scope: Option<Option<String>>,
    default_scope: Option<Option<String>>,
    client_credentials_grant_expiration: Option<Option<Duration>>,
}

/// What a client's document has and only other calls can change.
const READ_ONLY: [&str; 9] = [
    "client_id",
    "client_id_issued_at",
    "client_secret",
    "client_secret_expires_at",
    "credentials_id",
    "preferred_client_id",
    "roles",
    "tenants",
    "client_secret_hash",
];

impl Metadata {
    fn parse(members: Map<String, Value>, new: bool) -> Result<Self, Error> {
        let mut metadata = Self::default();
        for (name, value) in members {
            match name.as_str() {
                "preferred_client_id" if new => metadata.preferred_client_id = Some(preferred(&value)?),
                "client_name" => metadata.client_name = Some(text("client_name", value)?),
                "scope" => metadata.scope = Some(text("scope", value)?),
                "default_scope" => metadata.default_scope = Some(text("default_scope", value)?),
                "seacatauth_credentials" => {
                    let enabled = value.as_bool();
                    metadata.seacatauth_credentials =
                        Some(enabled.ok_or(Error::WrongMember("seacatauth_credentials", "true or false is expected"))?);
                }
                "token_endpoint_auth_method" => {
                    const EXPECTED: Error = Error::WrongMember(
                        "token_endpoint_auth_method",
                        "client_secret_basic or client_secret_post is expected",
                    );
                    metadata.token_endpoint_auth_method = Some(serde_json::from_value(value).map_err(|_| EXPECTED)?);
                }
                "client_credentials_grant_expiration" => {
                    const EXPECTED: Error =
                        Error::WrongMember("client_credentials_grant_expiration", duration::EXPECTED);
                    let expiration = if value.is_null() { None } else { Some(duration(&value).ok_or(EXPECTED)?) };
                    metadata.client_credentials_grant_expiration = Some(expiration);
                }
                name if READ_ONLY.contains(&name) => return Err(Error::ReadOnlyMember(Name::of(name))),
                name => return Err(Error::UnknownMember(Name::of(name))),
            }
        }
        Ok(metadata)
    }

    pub(super) const fn preferred_client_id(&self) -> Option<&ClientId> {
        self.preferred_client_id.as_ref()
    }

    pub(super) fn apply(&self, mut client: ClientBuilder) -> ClientBuilder {
        if let Some(name) = &self.client_name {
            client = client.client_name(name.as_deref());
        }
        if let Some(method) = self.token_endpoint_auth_method {
            client = client.token_endpoint_auth_method(method);
        }
        if let Some(enabled) = self.seacatauth_credentials {
            client = client.seacatauth_credentials(enabled);
        }
        if let Some(scope) = &self.scope {
            client = client.scope(scope.as_deref());
        }
        if let Some(scope) = &self.default_scope {
            client = client.default_scope(scope.as_deref());
        }
        if let Some(expiration) = self.client_credentials_grant_expiration {
            client = client.client_credentials_grant_expiration(expiration);
        }
        client
    }
}

fn text(name: &'static str, value: Value) -> Result<Option<String>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(Error::WrongMember(name, "a text is expected")),
    }
}

/// `^[-_a-zA-Z0-9]{4,64}$`
fn preferred(value: &Value) -> Result<ClientId, Error> {
    let fits = |text: &&str| {
        (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let id = value.as_str().filter(fits).and_then(|text| ClientId::parse(text).ok());
    id.ok_or(Error::WrongMember("preferred_client_id", "4 to 64 letters, digits, - and _ are expected"))
}
