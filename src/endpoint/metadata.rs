//! What a client can find out about the server by itself (RFC 8414).

use serde::Serialize;

use super::{Endpoint, Endpoints};
use crate::{AuthorizationServer, Error, Reply, Request, TokenEndpointAuthMethod};

/// Answers a request for the metadata of the server (RFC 8414 §3.1): its issuer identifier, where its endpoints are, and what
/// they take. There is always a reply.
///
/// An endpoint that these endpoints have not is not in it. The `issuer` has to be the one of the JWTs, if the server issues
/// any: a verifier compares the two (§3.3).
///
/// ```
/// use client_credentials::{
///     AuthorizationServer, Config, Endpoints, MemoryStore, OpaqueIssuer, Request, handle_metadata_request, now,
/// };
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// let endpoints = Endpoints::new("https://auth.example.com")?;
///
/// let reply = handle_metadata_request(&server, &endpoints, &Request::new("GET", now()));
/// let metadata: serde_json::Value = serde_json::from_slice(reply.body())?;
/// assert_eq!(metadata["token_endpoint"], "https://auth.example.com/openidconnect/token");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn handle_metadata_request<S, T>(
    server: &AuthorizationServer<S, T>,
    endpoints: &Endpoints,
    request: &Request<'_>,
) -> Reply {
    match request.method {
        "GET" => Reply::json(200, &Metadata::of(endpoints)),
        _ => Reply::error(Error::MethodNotAllowed("GET"), server.config()),
    }
}

/// Authorization server metadata (RFC 8414 §2).
#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    #[serde(flatten)]
    token: Option<TokenEndpoint>,
    /// There is no authorization endpoint, but the member is required.
    response_types_supported: [&'static str; 0],
    /// Said also where there is nothing, since leaving it out would say the code grant and the implicit one.
    grant_types_supported: &'static [&'static str],
    #[serde(flatten)]
    introspection: Option<IntrospectionEndpoint>,
}

#[derive(Serialize)]
struct TokenEndpoint {
    token_endpoint: String,
    token_endpoint_auth_methods_supported: &'static [TokenEndpointAuthMethod],
}

#[derive(Serialize)]
struct IntrospectionEndpoint {
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: &'static [TokenEndpointAuthMethod],
}

/// How a client can authenticate, wherever it has to.
const AUTH_METHODS: &[TokenEndpointAuthMethod] =
    &[TokenEndpointAuthMethod::ClientSecretBasic, TokenEndpointAuthMethod::ClientSecretPost];

impl<'a> Metadata<'a> {
    fn of(endpoints: &'a Endpoints) -> Self {
        let token = endpoints.url(Endpoint::Token);
        Self {
            issuer: endpoints.issuer(),
            grant_types_supported: if token.is_some() { &["client_credentials"] } else { &[] },
            token: token.map(|token_endpoint| TokenEndpoint {
                token_endpoint,
                token_endpoint_auth_methods_supported: AUTH_METHODS,
            }),
            response_types_supported: [],
            introspection: endpoints.url(Endpoint::Introspection).map(|introspection_endpoint| IntrospectionEndpoint {
                introspection_endpoint,
                introspection_endpoint_auth_methods_supported: AUTH_METHODS,
            }),
        }
    }
}
