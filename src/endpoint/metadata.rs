//! What a client can find out about the server by itself (RFC 8414).

use serde::Serialize;

use super::{Endpoint, Endpoints, document};
use crate::{AuthorizationServer, Reply, Request, TokenEndpointAuthMethod, TokenIssuer};

/// Answers a request for the metadata of the server (RFC 8414 §3.1): its issuer identifier, where its endpoints are, and what
/// they take. There is always a reply.
///
/// What is left out of `endpoints` is not in it, nor is a `jwks_uri` where there are no public keys. The issuer identifier has to
/// be the one of the JWTs, if the server issues any: a verifier compares the two (§3.3). Whoever has read it may keep it for
/// [`jwks_max_age`](crate::Config::jwks_max_age), and nobody has to authenticate.
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
pub fn handle_metadata_request<S, T: TokenIssuer>(
    server: &AuthorizationServer<S, T>,
    endpoints: &Endpoints,
    request: &Request<'_>,
) -> Reply {
    let config = server.config();
    document::read(Endpoint::Metadata, request, config, || {
        let has_keys = !server.issuer().public_jwks(request.received_at).is_empty();
        Reply::public(&Metadata::of(endpoints, has_keys), config.jwks_max_age())
    })
}

/// Authorization server metadata (RFC 8414 §2).
#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    #[serde(flatten)]
    token: Option<TokenEndpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    /// There is no authorization endpoint, but §2 requires the member. §3.2 would leave out an empty one; clients that look for it
    /// are told.
    response_types_supported: [&'static str; 0],
    /// Said also where there is no token endpoint, since to leave it out would be to say other grants (§2).
    grant_types_supported: &'static [&'static str],
    #[serde(flatten)]
    introspection: Option<IntrospectionEndpoint>,
    #[serde(flatten)]
    revocation: Option<RevocationEndpoint>,
}

#[derive(Serialize)]
struct TokenEndpoint {
    token_endpoint: String,
    token_endpoint_auth_methods_supported: &'static [TokenEndpointAuthMethod],
}

#[derive(Serialize)]
struct IntrospectionEndpoint {
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: Vec<IntrospectionAuthMethod>,
}

#[derive(Serialize)]
struct RevocationEndpoint {
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'static [TokenEndpointAuthMethod],
}

/// RFC 8414 §2: an access token may be taken instead.
#[derive(Serialize)]
#[serde(untagged)]
enum IntrospectionAuthMethod {
    Client(TokenEndpointAuthMethod),
    TokenType(&'static str),
}

impl<'a> Metadata<'a> {
    fn of(endpoints: &'a Endpoints, has_keys: bool) -> Self {
        let token = endpoints.url(Endpoint::Token).map(|token_endpoint| TokenEndpoint {
            token_endpoint,
            token_endpoint_auth_methods_supported: &TokenEndpointAuthMethod::ALL,
        });
        let introspection =
            endpoints.url(Endpoint::Introspection).map(|introspection_endpoint| IntrospectionEndpoint {
                introspection_endpoint,
                introspection_endpoint_auth_methods_supported: TokenEndpointAuthMethod::ALL
                    .map(IntrospectionAuthMethod::Client)
                    .into_iter()
                    .chain([IntrospectionAuthMethod::TokenType("Bearer")])
                    .collect(),
            });
        let revocation = endpoints.url(Endpoint::Revocation).map(|revocation_endpoint| RevocationEndpoint {
            revocation_endpoint,
            revocation_endpoint_auth_methods_supported: &TokenEndpointAuthMethod::ALL,
        });
        Self {
            issuer: endpoints.issuer(),
            jwks_uri: endpoints.url(Endpoint::Jwks).filter(|_| has_keys),
            response_types_supported: [],
            grant_types_supported: if token.is_some() { &["client_credentials"] } else { &[] },
            token,
            introspection,
            revocation,
        }
    }
}
