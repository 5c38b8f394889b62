use std::time::Duration;

use http::{HeaderMap, Response, header};

use crate::{BackendError, Jwks, remote::body};

/// As many keys as are looked at, each with a chain of certificates.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// The keys of a response, and for how long the server says that they count.
pub(super) fn keys(response: Response<Vec<u8>>) -> Result<(Jwks, Option<Duration>), BackendError> {
    let max_age = max_age(response.headers());
    let keys = serde_json::from_slice(&body(response, MAX_DOCUMENT_BYTES)?);
    // What serde would say may repeat what was answered.
    Ok((keys.map_err(|_| BackendError::new("the keys are not a JWK set"))?, max_age))
}

/// RFC 9111 §4.2: `max-age`, less the time that the response has been in a cache.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut max_age = None;
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => max_age = max_age.or_else(|| seconds(value.trim().trim_matches('"'))),
            _ => {}
        }
    }
    let age = headers.get(header::AGE).and_then(|age| seconds(age.to_str().ok()?)).unwrap_or_default();
    max_age.map(|max_age| max_age.saturating_sub(age))
}

fn seconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn rfc9111_5_2_2_for_how_long_keys_count() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (cache_control, age, expected) in [
            (&[][..], None, None),
            (&["public"], None, None),
            (&["max-age=60"], None, seconds(60)),
            (&["public, Max-Age = 60 , must-revalidate"], None, seconds(60)),
            (&["max-age=\"60\""], None, seconds(60)),
            (&["public", "max-age=60"], None, seconds(60)),
            (&["max-age=60, max-age=600"], None, seconds(60)),
            (&["max-age=60"], Some("20"), seconds(40)),
            (&["max-age=60"], Some("200"), seconds(0)),
            (&["max-age=60"], Some("soon"), seconds(60)),
            (&["s-maxage=60"], None, None),
            (&["max-age=-1"], None, None),
            (&["max-age=a"], None, None),
            (&["max-age"], None, None),
            (&["max-age=99999999999999999999999"], None, None),
            (&["max-age=60, no-store"], None, seconds(0)),
            (&["no-cache"], None, seconds(0)),
        ] {
            let values = cache_control.iter().map(|value| (header::CACHE_CONTROL, HeaderValue::from_static(value)));
            let age: Option<(HeaderName, HeaderValue)> = age.map(|age| (header::AGE, HeaderValue::from_static(age)));
            assert_eq!(max_age(&values.chain(age).collect()), expected, "{cache_control:?}");
        }
    }
}
