use super::{call::Call, document};
use crate::{Administrator, ClientRegistry, Error, Request, TokenStore, Version, request::Field};

/// What the preconditions of a request come to (RFC 9110 §13.2.2).
pub(super) enum Precondition {
    /// It may go on, with the client of this version if one is named.
    Holds(Option<Version>),
    /// The caller has the client as it is.
    NotModified(String),
}

impl Precondition {
    /// Holds a call to what `If-Match` and `If-None-Match` say (RFC 9110 §13.1). Of all that there is, clients have entity tags.
    pub(super) async fn of<S, T>(
        administrator: &Administrator<'_, S, T>,
        call: &Call,
        request: &Request<'_>,
    ) -> Result<Self, Error>
    where
        S: ClientRegistry + TokenStore,
    {
        let (if_match, if_none_match) = (request.if_match, request.if_none_match);
        if matches!((if_match, if_none_match), (Field::Absent, Field::Absent)) {
            return Ok(Self::Holds(None));
        }
        let version = match call.client_id() {
            Some(client_id) => Some(administrator.find(client_id, &call.subject()).await?.1),
            None => None,
        };
        let etag = version.map(document::etag);
        let only = match Tags::of(if_match) {
            Tags::None | Tags::Any => None,
            tags if tags.has(etag.as_deref()) => version,
            Tags::These(_) => return Err(Error::StaleVersion),
        };
        match (Tags::of(if_none_match).has(etag.as_deref()), etag) {
            (false, _) => Ok(Self::Holds(only)),
            (true, Some(etag)) if call.action().is_read() => Ok(Self::NotModified(etag)),
            (true, _) => Err(Error::StaleVersion),
        }
    }
}

/// What one of the fields names.
enum Tags<'a> {
    None,
    Any,
    These(&'a [u8]),
}

impl<'a> Tags<'a> {
    const fn of(field: Field<'a>) -> Self {
        match field {
            Field::Absent => Self::None,
            Field::Once(tags) if matches!(tags.trim_ascii(), b"*") => Self::Any,
            Field::Once(tags) => Self::These(tags),
            // A list in several lines is none that anybody sends: it names nothing here.
            Field::Repeated => Self::These(&[]),
        }
    }

    /// Whether this tag is among them, to the letter.
    fn has(&self, etag: Option<&str>) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::These(tags) => {
                etag.is_some_and(|etag| tags.split(|b| *b == b',').any(|tag| tag.trim_ascii() == etag.as_bytes()))
            }
        }
    }
}
