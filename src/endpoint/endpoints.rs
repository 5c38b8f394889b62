//! Where the endpoints are: the issuer identifier, and the path of each of them.

mod issuer;
mod path;

use std::{borrow::Cow, fmt, sync::OnceLock};

use super::openapi;
use crate::variants;
use issuer::Issuer;

/// An endpoint of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// [`handle_token_request`](crate::handle_token_request), at `/openidconnect/token` unless told otherwise.
    Token,
    /// [`handle_introspection_request`](crate::handle_introspection_request), at `/openidconnect/introspect`.
    Introspection,
    /// [`handle_revocation_request`](crate::handle_revocation_request), at `/openidconnect/token/revoke`.
    Revocation,
    /// [`handle_jwks_request`](crate::handle_jwks_request), at `/openidconnect/public_keys` and at `/.well-known/jwks.json`.
    Jwks,
    /// [`handle_gateway_request`](crate::handle_gateway_request), at `/nginx/introspect/openidconnect`.
    Gateway,
    /// [`handle_metadata_request`](crate::handle_metadata_request), at `/.well-known/oauth-authorization-server`, followed by
    /// the path of the issuer identifier (RFC 8414 §3.1).
    Metadata,
    /// [`handle_management_request`](crate::handle_management_request), at every path under this one where there is no other
    /// endpoint; at the root, which is the empty path.
    Management,
    /// The document [`OPENAPI`](crate::OPENAPI) with the paths that are in use, at `/openapi.json`.
    OpenApi,
}

impl Endpoint {
    pub(crate) const ALL: [Self; 8] = variants::all!(
        Endpoint: Token,
        Introspection,
        Revocation,
        Jwks,
        Gateway,
        Metadata,
        Management,
        OpenApi,
    );

    /// Its paths in SeaCat Auth, where SeaCat Auth has it, from the path of the issuer identifier on.
    pub(super) const fn usual_paths(self) -> &'static [&'static str] {
        match self {
            Self::Token => &["/openidconnect/token"],
            Self::Introspection => &["/openidconnect/introspect"],
            Self::Revocation => &["/openidconnect/token/revoke"],
            Self::Jwks => &["/openidconnect/public_keys", "/.well-known/jwks.json"],
            Self::Gateway => &["/nginx/introspect/openidconnect"],
            Self::Metadata => &["/.well-known/oauth-authorization-server"],
            Self::Management => &[""],
            Self::OpenApi => &["/openapi.json"],
        }
    }

    /// Its name in errors, metrics and spans.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Introspection => "introspection",
            Self::Revocation => "revocation",
            Self::Jwks => "jwks",
            Self::Gateway => "gateway",
            Self::Metadata => "metadata",
            Self::Management => "management",
            Self::OpenApi => "openapi",
        }
    }

    /// Whether it looks into the body of a request.
    #[must_use]
    pub const fn takes_body(self) -> bool {
        match self {
            Self::Token | Self::Introspection | Self::Revocation | Self::Management => true,
            Self::Jwks | Self::Gateway | Self::Metadata | Self::OpenApi => false,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The addresses of a server: its issuer identifier (RFC 8414 §2), and the path of each endpoint.
///
/// Until told otherwise it has every endpoint, at the path where SeaCat Auth has it, under the path of the issuer identifier.
/// Paths that are set are a host's own, from the root on.
///
/// ```
/// use client_credentials::{Endpoint, Endpoints};
///
/// let endpoints = Endpoints::new("https://auth.example.com")?;
/// assert_eq!(endpoints.url(Endpoint::Token).as_deref(), Some("https://auth.example.com/openidconnect/token"));
///
/// let endpoints = Endpoints::new("https://example.com/tenant1")?
///     .with(Endpoint::Token, "/oauth2/token")?
///     .without(Endpoint::Management);
/// assert_eq!(endpoints.path(Endpoint::Token), Some("/oauth2/token"));
/// assert_eq!(endpoints.path(Endpoint::Introspection), Some("/tenant1/openidconnect/introspect"));
/// assert_eq!(endpoints.path(Endpoint::Metadata), Some("/.well-known/oauth-authorization-server/tenant1"));
/// assert_eq!(endpoints.path(Endpoint::Management), None);
/// # Ok::<(), client_credentials::EndpointError>(())
/// ```
#[derive(Clone)]
pub struct Endpoints {
    issuer: Issuer,
    /// All that there are, in the order in which they were set; no path is there twice.
    paths: Vec<(Endpoint, String)>,
    /// Made when somebody asks for it.
    openapi: OnceLock<Cow<'static, str>>,
}

impl Endpoints {
    /// Every endpoint at its usual path.
    ///
    /// The issuer identifier is a URL without query and fragment, whose scheme is `https` (RFC 8414 §2); `http` is for a
    /// server on the same machine only: at `localhost`, 127.0.0.0/8 or `[::1]`. It is taken to the letter, since those who
    /// compare it do. Give the same one to an issuer of JWTs.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(issuer: impl Into<String>) -> Result<Self, EndpointError> {
        let issuer = Issuer::parse(issuer.into()).ok_or(EndpointError::Issuer)?;
        let usual = |endpoint: Endpoint| {
            let paths = endpoint.usual_paths().iter();
            paths.map(move |path| (endpoint, path))
        };
        let path = |(endpoint, path): (Endpoint, &&str)| match endpoint {
            Endpoint::Metadata => (endpoint, [path, issuer.path()].concat()),
            _ => (endpoint, [issuer.path(), path].concat()),
        };
        let paths = Endpoint::ALL.into_iter().flat_map(usual).map(path).collect();
        Ok(Self { issuer, paths, openapi: OnceLock::new() })
    }

    /// Sets the path of an endpoint, in place of those that it has: from the root of the host, with `/` at its beginning. That
    /// of [`Endpoint::Management`] is a prefix, which may be empty and has no `/` at its end.
    ///
    /// # Errors
    /// When it is no such path, or that of another endpoint.
    pub fn with(self, endpoint: Endpoint, path: impl Into<String>) -> Result<Self, EndpointError> {
        self.without(endpoint).with_another(endpoint, path)
    }

    /// Adds a path to those that an endpoint has. The first is the one that others are told.
    ///
    /// # Errors
    /// When it is no such path, or there is an endpoint already.
    pub fn with_another(mut self, endpoint: Endpoint, path: impl Into<String>) -> Result<Self, EndpointError> {
        let path = path.into();
        let is_path = match endpoint {
            Endpoint::Management => path.is_empty() || path::is_path(&path) && !path.ends_with('/'),
            _ => path::is_path(&path),
        };
        if !is_path {
            return Err(EndpointError::Path(endpoint));
        }
        if let Some((other, _)) = self.paths.iter().find(|(_, taken)| *taken == path) {
            return Err(EndpointError::Taken(endpoint, *other));
        }
        self.paths.push((endpoint, path));
        Ok(Self { openapi: OnceLock::new(), ..self })
    }

    /// Leaves an endpoint out.
    #[must_use]
    pub fn without(mut self, endpoint: Endpoint) -> Self {
        self.paths.retain(|(other, _)| *other != endpoint);
        Self { openapi: OnceLock::new(), ..self }
    }

    /// The issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// The scheme under which the endpoints are reached: that of the issuer identifier.
    pub(super) fn scheme(&self) -> &'static str {
        self.issuer.scheme()
    }

    /// The path of an endpoint, if it is there.
    #[must_use]
    pub fn path(&self, endpoint: Endpoint) -> Option<&str> {
        self.paths(endpoint).next()
    }

    /// All paths of an endpoint.
    pub(super) fn paths(&self, endpoint: Endpoint) -> impl Iterator<Item = &str> {
        self.paths.iter().filter(move |(other, _)| *other == endpoint).map(|(_, path)| path.as_str())
    }

    /// The URL of an endpoint, if it is there.
    #[must_use]
    pub fn url(&self, endpoint: Endpoint) -> Option<String> {
        self.path(endpoint).map(|path| [self.issuer.origin(), path].concat())
    }

    /// Which endpoint is at a path, if one is.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Endpoint> {
        self.route(path).map(|(endpoint, _)| endpoint)
    }

    /// Which endpoint is at a path, and the rest of the path, after its own.
    pub(crate) fn route<'a>(&self, path: &'a str) -> Option<(Endpoint, &'a str)> {
        let exact = self.paths.iter().find(|(endpoint, own)| *endpoint != Endpoint::Management && *own == path);
        if let Some((endpoint, _)) = exact {
            return Some((*endpoint, ""));
        }
        let prefixes = self.paths.iter().filter(|(endpoint, _)| *endpoint == Endpoint::Management);
        let rest = prefixes.filter_map(|(_, prefix)| path.strip_prefix(prefix.as_str()));
        let rest = rest.filter(|rest| rest.starts_with('/')).min_by_key(|rest| rest.len());
        rest.map(|rest| (Endpoint::Management, rest))
    }

    /// The document [`OPENAPI`](crate::OPENAPI) of these endpoints: with their paths, and without those that are left out.
    #[must_use]
    pub fn openapi(&self) -> &str {
        self.openapi.get_or_init(|| openapi::document(self))
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("issuer", &self.issuer()).field("paths", &self.paths).finish()
    }
}

/// Why endpoints cannot be where they were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The issuer identifier is not what RFC 8414 §2 wants.
    #[error(
        "the issuer identifier is not an `https` URL without query and fragment; `http` is for the same machine only"
    )]
    Issuer,
    /// The path of this endpoint is none.
    #[error(
        "the path of the {0} endpoint is not the path of a URL that begins with `/`; that of management ends without one"
    )]
    Path(Endpoint),
    /// The path of this endpoint is also the path of another.
    #[error("the path of the {0} endpoint is that of the {1} endpoint already")]
    Taken(Endpoint, Endpoint),
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rfc8414_2_issuer_identifiers() {
        for issuer in [
            "https://auth.example.com",
            "https://auth.example.com/",
            "https://auth.example.com:8443/tenant1",
            "https://auth.example.com/a/b%20c/",
            "https://192.0.2.1",
            "https://[2001:db8::1]:443/x",
            "http://localhost",
            "http://localhost:3081/tenant1",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "http://[::1]:8080",
        ] {
            assert_eq!(Endpoints::new(issuer).unwrap().issuer(), issuer);
        }
        for issuer in [
            "",
            "https://",
            "https:///path",
            "https://:443",
            "auth.example.com",
            "ftp://auth.example.com",
            "HTTPS://auth.example.com",
            "https://auth.example.com?",
            "https://auth.example.com/?a=b",
            "https://auth.example.com#",
            "https://auth.example.com/#a",
            "https://user@auth.example.com",
            "https://auth.example.com:https",
            "https://auth.example.com:65536",
            "https://auth.example.com:",
            "https://auth example.com",
            "https://auth.example.com/ü",
            "https://auth.example.com/a b",
            "https://auth.example.com/%zz",
            "https://auth.example.com/\"",
            "https://[::1",
            "https://[localhost]",
            "https://::1",
            "https://auth.example.com\n",
            "http://auth.example.com",
            "http://localhost.example.com",
            "http://128.0.0.1",
            "http://[::2]",
        ] {
            assert_eq!(Endpoints::new(issuer).unwrap_err(), EndpointError::Issuer, "{issuer}");
        }
    }

    #[test]
    fn rfc8414_3_1_the_path_of_the_metadata() {
        let well_known = "/.well-known/oauth-authorization-server";
        for (issuer, metadata, token, url) in [
            ("https://h", "", "/openidconnect/token", "https://h/openidconnect/token"),
            ("https://h/", "", "/openidconnect/token", "https://h/openidconnect/token"),
            ("https://h:1/t", "/t", "/t/openidconnect/token", "https://h:1/t/openidconnect/token"),
            ("https://h/t/", "/t", "/t/openidconnect/token", "https://h/t/openidconnect/token"),
            ("https://h/a/b", "/a/b", "/a/b/openidconnect/token", "https://h/a/b/openidconnect/token"),
        ] {
            let endpoints = Endpoints::new(issuer).unwrap();
            assert_eq!(endpoints.path(Endpoint::Metadata), Some(&*format!("{well_known}{metadata}")), "{issuer}");
            assert_eq!(endpoints.path(Endpoint::Token), Some(token), "{issuer}");
            assert_eq!(endpoints.url(Endpoint::Token).as_deref(), Some(url), "{issuer}");
        }
    }

    #[test]
    fn paths_of_the_host() {
        let endpoints = || Endpoints::new("https://h/t").unwrap();
        for path in ["", "token", " /token", "/to ken", "/token?", "/token#", "/tokén", "/%2", "https://h/token", "*"]
        {
            let error = endpoints().with(Endpoint::Token, path).unwrap_err();
            assert_eq!(error, EndpointError::Path(Endpoint::Token), "{path}");
            assert!(error.to_string().contains("the token endpoint"));
        }
        for path in ["/", "/admin/", "admin"] {
            let error = endpoints().with(Endpoint::Management, path).unwrap_err();
            assert_eq!(error, EndpointError::Path(Endpoint::Management), "{path}");
        }
        let error = endpoints().with(Endpoint::Token, "/t/openidconnect/introspect").unwrap_err();
        assert_eq!(error, EndpointError::Taken(Endpoint::Token, Endpoint::Introspection));
        assert_eq!(error.to_string(), "the path of the token endpoint is that of the introspection endpoint already");
        let names: HashSet<_> = Endpoint::ALL.map(Endpoint::name).into();
        assert_eq!(names.len(), Endpoint::ALL.len());

        let endpoints = endpoints().with(Endpoint::Token, "/token").unwrap();
        let endpoints = endpoints.with_another(Endpoint::Token, "/t/token/%C3%A9").unwrap();
        let endpoints = endpoints.with(Endpoint::Management, "/admin").unwrap().without(Endpoint::OpenApi);
        for (path, found) in [
            ("/token", Some((Endpoint::Token, ""))),
            ("/t/token/%C3%A9", Some((Endpoint::Token, ""))),
            ("/token/", None),
            ("/t/openidconnect/token", None),
            ("/t/openidconnect/introspect", Some((Endpoint::Introspection, ""))),
            ("/t/openapi.json", None),
            ("/admin", None),
            ("/admin/", Some((Endpoint::Management, "/"))),
            ("/admin/client", Some((Endpoint::Management, "/client"))),
            ("/administrator/client", None),
            ("/client", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(endpoints.route(path), found, "{path}");
        }
        assert_eq!(endpoints.path(Endpoint::Token), Some("/token"), "the first is the one that others are told");
    }
}
