//! A bearer token in a request (RFC 6750 §2.1).

use crate::{Config, Error, request::Field};

/// Whether the header is there for a bearer token.
pub(crate) fn is_bearer(authorization: Field<'_>) -> bool {
    matches!(authorization, Field::Once(value) if scheme_and_token(value).0.eq_ignore_ascii_case(b"bearer"))
}

/// The token in an `Authorization` header.
pub(crate) fn token<'a>(authorization: Field<'a>, config: &Config) -> Result<&'a str, Error> {
    let header = match authorization {
        Field::Absent => return Err(Error::NoToken),
        Field::Once(value) => value,
        Field::Repeated => return Err(Error::MalformedToken),
    };
    if header.len() > config.max_authorization_bytes() {
        return Err(Error::MalformedToken);
    }
    let (scheme, token) = scheme_and_token(header);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Error::NoToken);
    }
    std::str::from_utf8(token).map_err(|_| Error::InvalidToken)
}

fn scheme_and_token(header: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = header.trim_ascii().splitn(2, |b| *b == b' ');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default().trim_ascii())
}
