//! The introspection endpoint (RFC 7662).

use serde::Serialize;
use time::OffsetDateTime;

use super::form_post;
use crate::{
    AuditAction, AuditEvent, Authorization, AuthorizationServer, Claims, ClientStore, Error, Reply, Request, Scope,
    TokenStore, TokenVerifier, authentication::ClientAuthentication, form,
};

/// Answers an introspection request (RFC 7662 §2.1): whether a token counts, and what it says. There is always a reply.
///
/// Any client may ask that authenticates as it would for a token; it need not be allowed to use the grant. Access tokens and API
/// keys are told alike, as [`check_token`](AuthorizationServer::check_token) tells them, and one that is unknown, expired or
/// revoked, or whose client is gone, is `{"active": false}` and nothing else (§2.2).
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
    match introspect(server, request).await {
        Ok(response) => Reply::json(200, &response),
        Err(cause) => {
            if let Some(sink) = server.audit() {
                let (time, action, cause) = (request.received_at, AuditAction::Introspect, Some(&cause));
                sink.record(&AuditEvent { time, actor: None, action, client_id: None, target: None, cause });
            }
            Reply::error(cause, server.config())
        }
    }
}

async fn introspect<S, T>(
    server: &AuthorizationServer<S, T>,
    request: &Request<'_>,
) -> Result<IntrospectionResponse, Error>
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    let (config, now) = (server.config(), request.received_at);
    // §2.1; `token_type_hint` is not needed, since there is one place to look.
    let names = ["token", "client_id", "client_secret"];
    let [token, client_id, client_secret] = form::parameters(form_post::form(request, config)?, names)?;
    let authentication = ClientAuthentication::parse(request.authorization, client_id, client_secret)?;
    let client = server.store().find_client(authentication.client_id()).await?;
    let (client, secret) = authentication.authenticate(client, now, config)?;
    if let (Some(uses), Some(secret)) = (server.uses(), client.client_secrets().get(secret)) {
        uses.secret(secret, now);
    }
    let token = token.ok_or(Error::MissingParameter("token"))?;
    Ok(IntrospectionResponse::of(server.check_token(&token, now).await?.as_ref()))
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
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
