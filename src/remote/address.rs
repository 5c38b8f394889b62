//! Addresses of an authorization server: as the host configures them, and as metadata tells them.

use http::Uri;

use crate::ParseError;

/// An absolute URL of a server, without anything that would be lost or logged on the way.
pub(super) fn endpoint(url: &str) -> Result<Uri, ParseError> {
    let uri = url.parse::<Uri>().ok().filter(|uri| {
        let host =
            uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
        // `Uri` drops a fragment.
        host && matches!(uri.scheme_str(), Some("https" | "http")) && !url.contains('#')
    });
    uri.ok_or(ParseError("an endpoint is an `https` or `http` URL with a host, and without user and fragment"))
}

/// Where the metadata of an issuer are (RFC 8414 §3.1): the well-known path comes between the host and the path of the issuer.
pub(super) fn metadata(issuer: &str) -> Result<Uri, ParseError> {
    let uri = endpoint(issuer)?;
    // RFC 8414 §2: an issuer identifier has no query.
    let (Some(scheme), Some(authority), None) = (uri.scheme_str(), uri.authority(), uri.query()) else {
        return Err(ParseError("an issuer identifier is a URL without query"));
    };
    let path = uri.path().trim_end_matches('/');
    endpoint(&format!("{scheme}://{authority}/.well-known/oauth-authorization-server{path}"))
}

/// Whether an endpoint is where metadata of this issuer may send somebody: not from `https` to `http`.
pub(super) fn is_as_safe(endpoint: &Uri, issuer: &str) -> bool {
    endpoint.scheme_str() == Some("https") || issuer.starts_with("http:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_with_a_host() {
        for good in ["https://auth.example.com/jwks", "http://localhost:8080", "https://[::1]/a?b=c"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/jwks",
            "auth.example.com",
            "auth.example.com:443",
            "https://",
            "https:///jwks",
            "ftp://auth.example.com/",
            "file:///etc/passwd",
            "https://user:secret@auth.example.com/",
            "https://auth.example.com/#key",
            "https://auth example.com/",
            "https://auth.example.com/\n",
        ] {
            assert!(endpoint(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rfc8414_3_1_address_of_the_metadata() {
        for (issuer, address) in [
            ("https://example.com", "https://example.com/.well-known/oauth-authorization-server"),
            ("https://example.com/", "https://example.com/.well-known/oauth-authorization-server"),
            ("https://example.com/issuer1", "https://example.com/.well-known/oauth-authorization-server/issuer1"),
            ("http://localhost:80/a/b/", "http://localhost:80/.well-known/oauth-authorization-server/a/b"),
        ] {
            assert_eq!(metadata(issuer).unwrap(), address);
        }
        for bad in ["https://example.com/?tenant=a", "https://example.com/#a", "example.com"] {
            assert!(metadata(bad).is_err(), "{bad}");
        }
    }
}
