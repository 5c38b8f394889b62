//! The introspection endpoint (RFC 7662).

use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;

use super::{Endpoint, form_post};
use crate::{
    AuditAction, Authorization, AuthorizationServer, Claims, Client, ClientStore, Error, Reply, Request, Scope,
    TokenStore, TokenVerifier,
    authentication::{ClientAuthentication, bearer},
    form::Decoded,
    observe, resource_server,
    token::wire,
};

/// The resource that lets its holder ask about any token with a bearer token of its own, and that a client has to hold where
/// [`Config::introspection_restricted`](crate::Config::introspection_restricted) says so.
pub const INTROSPECTION: &str = "seacat:token:introspect";

/// Answers an introspection request (RFC 7662 §2.1): whether a token counts, and what it says. There is always a reply.
///
/// Any client may ask that authenticates as it would for a token; it need not be allowed to use the grant, but where
/// [`Config::introspection_restricted`](crate::Config::introspection_restricted) is set, one of its global roles has to give
/// [`INTROSPECTION`]. So may the holder of a bearer token of this very server, an access token or an API key, that holds it.
///
/// Access tokens and API keys are told alike, as [`check_token`](AuthorizationServer::check_token) tells them, and one that is
/// unknown, expired or revoked, or whose client is gone, is `{"active": false}` and nothing else (§2.2). So is one that names the
/// APIs that it is for ([`Claims::audience`]), but for the client that got it, a client whose identifier is one of these names, and
/// holders of [`INTROSPECTION`] (§4): give the client of an API that goes by a URL a role with that resource.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     AuthorizationServer, Config, MemoryStore, OpaqueIssuer, Provisioning, Request, handle_introspection_request, now,
/// };
///
/// let clients = r#"[{"client_id": "api", "client_secret": "an-example-that-nobody-should-use",
///                    "token_endpoint_auth_method": "client_secret_post"}]"#;
/// let store = MemoryStore::from(Provisioning::from_json(clients)?);
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
///
/// let request = Request::new("POST", now())
///     .header("Content-Type", b"application/x-www-form-urlencoded")
///     .body(b"token=unknown&client_id=api&client_secret=an-example-that-nobody-should-use");
/// let reply = handle_introspection_request(&server, &request).await;
/// assert_eq!(reply.body(), br#"{"active":false}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn handle_introspection_request<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Reply
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    let answer = || async {
        match introspect(server, request).await {
            Ok(response) => Reply::json(200, &response),
            Err(cause) => {
                form_post::record_refusal(server, request, AuditAction::Introspect, &cause);
                Reply::error(cause, server.config())
            }
        }
    };
    observe::answer(Some(Endpoint::Introspection), request, answer).await
}

async fn introspect<S, T>(
    server: &AuthorizationServer<S, T>,
    request: &Request<'_>,
) -> Result<IntrospectionResponse, Error>
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    let [token, client_id, client_secret] = match form_post::about_token(request, server.config()) {
        Ok(parameters) => parameters,
        Err(cause) => return Err(server.count_unauthenticated(cause, request).await),
    };
    let asker = if bearer::is_bearer(request.authorization) && client_secret.is_none() {
        authorize_bearer(server, request).await?
    } else {
        authorize_client(server, request, client_id, client_secret).await?
    };
    let token = token.ok_or(Error::MissingParameter("token"))?;
    let claims = server.check_token(&token, request.received_at).await?;
    Ok(IntrospectionResponse::of(claims.filter(|claims| asker.may_know(claims)).as_ref()))
}

/// Who asks.
enum Asker {
    /// Somebody who holds [`INTROSPECTION`].
    OfAny,
    Client(Arc<Client>),
}

impl Asker {
    /// §4: whether the token can be used where it is asked about. One that names APIs is no concern of others than these, each of
    /// which is known by its client identifier, and the client that got it.
    fn may_know(&self, claims: &Claims) -> bool {
        let Self::Client(client) = self else { return true };
        let id = client.client_id();
        let is_named = || claims.audience().iter().any(|api| api == id.as_str());
        claims.audience().is_empty() || claims.client_id() == id || is_named()
    }
}

async fn authorize_bearer<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Result<Asker, Error>
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    let claims = resource_server::check(server, request, None, server.config()).await?;
    observe::client(claims.client_id().as_str());
    let may = claims.authorization().holds(None, &[INTROSPECTION]);
    if may { Ok(Asker::OfAny) } else { Err(Error::MissingResource(INTROSPECTION)) }
}

async fn authorize_client<S: ClientStore, T>(
    server: &AuthorizationServer<S, T>,
    request: &Request<'_>,
    client_id: Option<Decoded<'_>>,
    client_secret: Option<Decoded<'_>>,
) -> Result<Asker, Error> {
    let authentication = match ClientAuthentication::parse(request.authorization, client_id, client_secret) {
        Ok(authentication) => authentication,
        Err(cause) => return Err(server.count_unauthenticated(cause, request).await),
    };
    let client = server.authenticate(&authentication, request).await?.client().clone();
    let may_all = Authorization::new(client.global().clone(), []).holds(None, &[INTROSPECTION]);
    match server.config().introspection_restricted() {
        _ if may_all => Ok(Asker::OfAny),
        false => Ok(Asker::Client(client)),
        true => Err(Error::MissingResource(INTROSPECTION)),
    }
}

/// An introspection response (§2.2).
#[derive(Default, Serialize)]
struct IntrospectionResponse {
    active: bool,
    #[serde(flatten)]
    said: Option<Said>,
}

/// What is told of a token that counts.
#[derive(Serialize)]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
    client_id: String,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    sub: String,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "wire::audience")]
    aud: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// As in a JWT: the map of [`Authorization`].
    resources: Authorization,
}

impl IntrospectionResponse {
    fn of(claims: Option<&Claims>) -> Self {
        let said = claims.map(|claims| Said {
            scope: claims.scope().cloned(),
            client_id: claims.client_id().to_string(),
            token_type: "Bearer",
            exp: OffsetDateTime::unix_timestamp(claims.expires_at()),
            iat: OffsetDateTime::unix_timestamp(claims.issued_at()),
            sub: claims.client_id().to_string(),
            aud: claims.audience().to_vec(),
            jti: claims.jti().map(String::from),
            resources: claims.authorization().clone(),
        });
        Self { active: said.is_some(), said }
    }
}
