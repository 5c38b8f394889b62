//! What the calls take: a JSON object in the body, or parameters in the query.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset, format_description::well_known::Iso8601};

use crate::{
    Client, ClientBuilder, ClientId, Config, Error, ParameterName, Request, Resources, TenantName, duration, form,
};

/// How many clients are on a page, unless said, and at most.
const PAGE: usize = 10;
const PAGE_MAX: usize = 100;

/// Which clients are asked for.
pub(super) struct Page {
    pub(super) filter: String,
    pub(super) skip: usize,
    pub(super) most: usize,
}

/// What is said of a new API key.
pub(super) struct NewApiKey {
    pub(super) label: String,
    pub(super) tenant: Option<TenantName>,
    pub(super) expires_at: Option<OffsetDateTime>,
}

/// The JSON object in the body. An empty body is one without members.
fn object(request: &Request<'_>, config: &Config) -> Result<Map<String, Value>, Error> {
    let body = request.body_up_to(config.max_body_bytes())?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    if !request.content_type.is_media_type(b"application/json") {
        return Err(Error::NotJson);
    }
    let Members(members) = serde_json::from_slice(body).map_err(|_| Error::MalformedJson)?;
    Ok(members)
}

/// An object whose members have a name each: of two with one name, nobody knows which one is meant.
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = map.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is there twice"));
            }
        }
        Ok(Members(members))
    }
}

pub(super) fn page(request: &Request<'_>, config: &Config) -> Result<Page, Error> {
    let query = request.query.unwrap_or_default();
    if query.len() > config.max_body_bytes() {
        return Err(Error::QueryTooLong);
    }
    if form::count(query.as_bytes()) > config.max_parameters() {
        return Err(Error::TooManyParameters);
    }
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
            "f" if value.chars().any(char::is_control) => {
                return Err(Error::WrongParameter("f", "a text of one line is expected"));
            }
            "f" => value.clone_into(&mut filter),
            _ => {}
        }
    }
    Ok(Page { filter, skip: (page - 1).saturating_mul(most), most })
}

pub(super) fn overlap(request: &Request<'_>, config: &Config) -> Result<Option<Duration>, Error> {
    let mut members = object(request, config)?;
    let overlap = match members.remove("overlap") {
        None | Some(Value::Null) => None,
        Some(value) => {
            const EXPECTED: Error =
                Error::WrongParameter("overlap", "a duration such as 24h or 600 is expected, or 0 for none");
            let text = value.as_str().map_or_else(|| value.to_string(), String::from);
            Some(duration::parse_any(&text).ok_or(EXPECTED)?).filter(|overlap| !overlap.is_zero())
        }
    };
    nothing_else(&members)?;
    Ok(overlap)
}

pub(super) fn api_key(request: &Request<'_>, config: &Config) -> Result<NewApiKey, Error> {
    const EXPECTED: &str =
        "a number of seconds, a duration such as 180d or 4 h, or an ISO 8601 date or date-time is expected";
    let mut members = object(request, config)?;
    let expires_at = match members.remove("exp") {
        None | Some(Value::Null) => None,
        Some(value) => Some(expiry(&value, request.received_at).ok_or(Error::WrongParameter("exp", EXPECTED))?),
    };
    let tenant = match members.remove("tenant") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => {
            Some(TenantName::parse(name).map_err(|expected| Error::WrongParameter("tenant", expected.0))?)
        }
        Some(_) => return Err(Error::WrongParameter("tenant", "the name of a tenant is expected")),
    };
    let label = match members.remove("label") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(label)) => label,
        Some(_) => return Err(Error::WrongParameter("label", "a text is expected")),
    };
    nothing_else(&members)?;
    Ok(NewApiKey { label, tenant, expires_at })
}

pub(super) fn resources(request: &Request<'_>, config: &Config) -> Result<Resources, Error> {
    const EXPECTED: Error = Error::WrongParameter("resources", "an array of resource ids is expected");
    let mut members = object(request, config)?;
    let resources = members.remove("resources").ok_or(EXPECTED)?;
    nothing_else(&members)?;
    serde_json::from_value(resources).map_err(|_| EXPECTED)
}

fn nothing_else(members: &Map<String, Value>) -> Result<(), Error> {
    members.keys().next().map_or(Ok(()), |name| Err(Error::UnknownParameter(ParameterName::of(name))))
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
    // Without an offset it is UTC, and without a time the beginning of the day.
    let local = || PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).ok().map(PrimitiveDateTime::assume_utc);
    let date = || Date::parse(text, &Iso8601::DATE).ok().map(|date| date.midnight().assume_utc());
    let expiry = OffsetDateTime::parse(text, &Iso8601::DEFAULT).ok().or_else(local).or_else(date)?;
    expiry.checked_to_offset(UtcOffset::UTC)
}

/// The metadata of a new client, and the identifier that it is to have, if it is said.
pub(super) fn new_client(request: &Request<'_>, config: &Config) -> Result<(Option<ClientId>, Metadata), Error> {
    let mut members = object(request, config)?;
    let preferred = members.remove("preferred_client_id").map(|value| preferred(&value)).transpose()?;
    Ok((preferred, Metadata::parse(members)?))
}

/// What is to be changed of a client's metadata.
pub(super) fn metadata(request: &Request<'_>, config: &Config) -> Result<Metadata, Error> {
    Metadata::parse(object(request, config)?)
}

/// Members of a client's metadata, each of which can be set by itself.
#[derive(Debug)]
pub(super) struct Metadata(Map<String, Value>);

/// What only other calls can change.
const READ_ONLY: [&str; 9] = [
    "client_id",
    "client_id_issued_at",
    "client_secret",
    "client_secret_expires_at",
    "client_secret_hash",
    "credentials_id",
    "preferred_client_id",
    "roles",
    "tenants",
];

impl Metadata {
    /// What is wrong with a member by itself is wrong with it in any client.
    fn parse(members: Map<String, Value>) -> Result<Self, Error> {
        let metadata = Self(members);
        metadata.apply(Client::builder("any"))?.build()?;
        Ok(metadata)
    }

    /// Sets them; `null` takes one away.
    pub(super) fn apply(&self, client: ClientBuilder) -> Result<ClientBuilder, Error> {
        self.0.iter().try_fold(client, |client, (name, value)| {
            Ok(match name.as_str() {
                "client_name" => client.client_name(text("client_name", value)?),
                "scope" => client.scope(text("scope", value)?),
                "default_scope" => client.default_scope(text("default_scope", value)?),
                "seacatauth_credentials" => {
                    const EXPECTED: Error = Error::WrongMember("seacatauth_credentials", "true or false is expected");
                    client.seacatauth_credentials(value.as_bool().ok_or(EXPECTED)?)
                }
                "token_endpoint_auth_method" => {
                    const EXPECTED: Error = Error::WrongMember(
                        "token_endpoint_auth_method",
                        "client_secret_basic or client_secret_post is expected",
                    );
                    client.token_endpoint_auth_method(Deserialize::deserialize(value).map_err(|_| EXPECTED)?)
                }
                "client_credentials_grant_expiration" => {
                    const EXPECTED: Error =
                        Error::WrongMember("client_credentials_grant_expiration", duration::EXPECTED);
                    let expiration = if value.is_null() { None } else { Some(duration(value).ok_or(EXPECTED)?) };
                    client.client_credentials_grant_expiration(expiration)
                }
                "audience" => {
                    const EXPECTED: Error = Error::WrongMember("audience", "an array of texts is expected");
                    let apis: Option<Vec<String>> = Deserialize::deserialize(value).map_err(|_| EXPECTED)?;
                    client.audience(apis.unwrap_or_default())
                }
                name if READ_ONLY.contains(&name) => return Err(Error::ReadOnlyMember(ParameterName::of(name))),
                name => return Err(Error::UnknownMember(ParameterName::of(name))),
            })
        })
    }
}

fn text<'v>(name: &'static str, value: &'v Value) -> Result<Option<&'v str>, Error> {
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
