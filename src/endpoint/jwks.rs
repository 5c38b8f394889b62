//! The document of the server's public keys (RFC 7517 §5), the `jwks_uri` of RFC 8414 §2.

use super::{Endpoint, document};
use crate::{AuthorizationServer, Jwks, Reply, Request, TokenIssuer};

/// Answers a request for the public keys of the server, with which anybody can check its tokens. There is always a reply.
///
/// It is a JWK Set of what the issuer [publishes](TokenIssuer::public_jwks), empty where its tokens cannot be checked by others. Whoever
/// has read it may keep it for [`jwks_max_age`](crate::Config::jwks_max_age). It holds nothing secret, and nobody has to authenticate.
///
/// ```
/// use client_credentials::{
///     AuthorizationServer, Config, Jwks, JwtIssuer, MemoryStore, Request, SigningAlgorithm, SigningKey, handle_jwks_request,
///     now,
/// };
///
/// let key = SigningKey::generate(SigningAlgorithm::EdDsa)?;
/// let public = key.public_jwk().clone();
/// let issuer = JwtIssuer::new("https://auth.example.com", key);
/// let server = AuthorizationServer::new(MemoryStore::default(), issuer, Config::default());
///
/// let reply = handle_jwks_request(&server, &Request::new("GET", now()));
/// let jwks: Jwks = serde_json::from_slice(reply.body())?;
/// assert_eq!(jwks.keys(), [public]);
/// assert!(reply.headers().any(|field| field == ("Cache-Control", "public, max-age=300")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn handle_jwks_request<S, T: TokenIssuer>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Reply {
    let config = server.config();
    document::read(Endpoint::Jwks, request, config, || {
        let jwks: Jwks = server.issuer().public_jwks(request.received_at).into_iter().collect();
        Reply::public(&jwks, config.jwks_max_age())
    })
}
