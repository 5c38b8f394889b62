//! The token endpoint (RFC 6749 §3.2), for the client credentials grant (§4.4).

mod authorize;
mod parse;
mod respond;
#[cfg(test)]
mod tests;

pub use authorize::{AuthenticatedRequest, AuthorizedRequest};
pub use parse::TokenRequest;
pub use respond::TokenResponse;

use std::net::IpAddr;

use super::Endpoint;
use crate::{
    AccessToken, AuditAction, AuditEvent, AuthorizationServer, BackendError, Claims, ClientStore, Config, Error, Reply,
    Request, Scope, TenantName, TokenIssuer, observe,
};

/// Answers an access token request (RFC 6749 §4.4.2). There is always a reply.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use client_credentials::{
///     AuthorizationServer, Config, MemoryStore, OpaqueIssuer, Provisioning, Request, handle_token_request, now,
/// };
///
/// let clients = r#"[{"client_id": "billing", "client_secret": "an example, which nobody should ever use",
///                    "token_endpoint_auth_method": "client_secret_post", "seacatauth_credentials": true}]"#;
/// let store = MemoryStore::from(Provisioning::from_json(clients)?);
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
///
/// let request = Request::new("POST", now())
///     .header("Content-Type", b"application/x-www-form-urlencoded")
///     .body(b"grant_type=client_credentials&client_id=billing&client_secret=an+example,+which+nobody+should+ever+use");
/// let reply = handle_token_request(&server, &request).await;
/// assert_eq!(reply.status(), 200);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub async fn handle_token_request<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Reply
where
    S: ClientStore,
    T: TokenIssuer,
{
    let answer = || async {
        match mint(server, request).await {
            Ok(reply) => {
                observe::issued();
                reply
            }
            Err(cause) => {
                record_refusal(server, request, &cause);
                Reply::error(cause, server.config())
            }
        }
    };
    observe::answer(Some(Endpoint::Token), request, answer).await
}

/// The walk: each step consumes what the one before it made, and there is no other way to make it.
async fn mint<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Result<Reply, Error>
where
    S: ClientStore,
    T: TokenIssuer,
{
    let config = server.config();
    let (authentication, asked) = match TokenRequest::read(request, config) {
        Ok(read) => read,
        Err(cause) => return Err(server.count_unauthenticated(cause, request).await),
    };
    let client = server.authenticate(&authentication, request).await?; //       §2.3
    let authenticated = asked?.authenticated(client, request.received_at); //   §4.4.2
    record_retiring_secret(server, &authenticated, request.source);
    let tenants = existing(server.store(), &authenticated.unassigned_tenants()).await?;
    let authorized = authenticated.authorize(&tenants, config)?; //             §3.3
    let rate_limit = server.take_token(authorized.claims(), request).await?;
    let issued = observe::Call::Issue.begin().end(server.issuer().issue(authorized.claims()).await); // §1.4
    let cause = match issued {
        // The token stays where it is, since what has just been written waits for its row when it is moved.
        Ok(ref access_token) if fits_into_a_header(access_token, config) => {
            record_issue(server, authorized.claims(), access_token, request);
            return Ok(authorized.reply(access_token, rate_limit.as_deref())); // §4.4.3, §5.1
        }
        Ok(_) => Error::TokenTooLong,
        Err(cause) => cause.into(),
    };
    server.give_token_back(authorized.claims()).await;
    Err(cause)
}

/// Nobody gets a token that no endpoint here would look at: it could not even be revoked.
fn fits_into_a_header(token: &AccessToken, config: &Config) -> bool {
    "Bearer ".len() + token.expose().len() <= config.max_authorization_bytes()
}

/// Which of these tenants there are. Nearly every request names none of them, and then the store is not asked.
async fn existing<S: ClientStore>(store: &S, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
    if tenants.is_empty() {
        return Ok(Vec::new());
    }
    observe::Call::ExistingTenants.begin().end(store.existing_tenants(tenants).await)
}

/// Tells the audit who was refused, so far as the request says it.
fn record_refusal<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>, cause: &Error) {
    if server.is_audited() {
        let read = TokenRequest::read(request, server.config()).ok();
        let client_id = read.as_ref().map(|(authentication, _)| authentication.client_id());
        server.record_refusal(request, AuditAction::RequestToken, client_id, cause);
    }
}

/// Tells the audit when a client has not changed over to its current secret yet.
fn record_retiring_secret<S, T>(
    server: &AuthorizationServer<S, T>,
    request: &AuthenticatedRequest<'_>,
    source: Option<IpAddr>,
) {
    if let Some(secret) = request.retiring_secret().filter(|_| server.is_audited()) {
        let (client_id, id) = (Some(request.client().client_id().as_str()), secret.id());
        let event = AuditEvent::new(request.received_at(), AuditAction::UseRetiringSecret);
        server.record(AuditEvent { source, actor: client_id, client_id, target: Some(&id), ..event });
    }
}

/// Tells the audit who got which token, if it wants to know: by what its revocation would name it, and never the token.
fn record_issue<S, T: TokenIssuer>(
    server: &AuthorizationServer<S, T>,
    claims: &Claims,
    token: &AccessToken,
    request: &Request<'_>,
) {
    if server.are_issued_tokens_audited() {
        let (client_id, id) = (Some(claims.client_id().as_str()), server.issuer().token_id(token).to_text());
        let (scope, expires_at) = (claims.scope().map(Scope::as_str), Some(claims.expires_at()));
        let event = AuditEvent::new(claims.issued_at(), AuditAction::IssueToken);
        let event = AuditEvent { actor: client_id, client_id, target: Some(&id), ..event };
        server.record(AuditEvent { source: request.source, scope, expires_at, ..event });
    }
}
