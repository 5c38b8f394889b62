//! The revocation endpoint (RFC 7009).

use std::collections::BTreeMap;

use super::{Endpoint, form_post};
use crate::{
    AuditAction, AuditEvent, AuthorizationServer, Claims, Client, ClientStore, Error, Reply, Request, TokenHash,
    TokenStore, TokenVerifier, authentication::ClientAuthentication, observe,
};

/// Answers a revocation request (RFC 7009 §2.1): a client ends a token that it got. There is always a reply.
///
/// The client authenticates as it would for a token. Access tokens of every kind and API keys are ended alike, at once and on every
/// instance over the same store: an opaque one by its row, a self-contained one by its `jti`
/// ([`TokenStore::deny`](crate::TokenStore::deny)). APIs that check JWTs by themselves do not learn of it.
///
/// 200 says that the token does not count any more, and so does one that never did (§2.2). A token that was issued to another client
/// is left alone, and the client is told so (§2.1).
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{
///     AuthorizationServer, Config, MemoryStore, OpaqueIssuer, Provisioning, Request, handle_revocation_request, now,
/// };
///
/// let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
///                    "token_endpoint_auth_method": "client_secret_post"}]"#;
/// let store = MemoryStore::from(Provisioning::from_json(clients)?);
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
///
/// let request = Request::new("POST", now())
///     .header("Content-Type", b"application/x-www-form-urlencoded")
///     .body(b"token=unknown&client_id=billing&client_secret=an-example-that-nobody-should-use");
/// assert_eq!(handle_revocation_request(&server, &request).await.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn handle_revocation_request<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Reply
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    let answer = || async {
        match revoke(server, request).await {
            // §2.2: nobody looks at the body.
            Ok(()) => Reply::json(200, &BTreeMap::<&str, &str>::new()),
            Err(cause) => Reply::error(cause, server.config()),
        }
    };
    observe::answer(Some(Endpoint::Revocation), request, answer).await
}

async fn revoke<S, T>(server: &AuthorizationServer<S, T>, request: &Request<'_>) -> Result<(), Error>
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    let now = request.received_at;
    let asked = async {
        let asked = form_post::about_token(request, server.config()).and_then(|[token, client_id, client_secret]| {
            Ok((token, ClientAuthentication::parse(request.authorization, client_id, client_secret)?))
        });
        let (token, authentication) = match asked {
            Ok(asked) => asked,
            Err(cause) => return Err(server.count_unauthenticated(cause, request).await),
        };
        let client = server.authenticate(&authentication, request).await?.client().clone();
        Ok((token.ok_or(Error::MissingParameter("token"))?, client))
    };
    let (token, client) =
        asked.await.inspect_err(|cause| form_post::record_refusal(server, request, AuditAction::RevokeToken, cause))?;
    let Some(claims) = server.find_claims(&token, now).await? else {
        return Ok(());
    };
    let id = TokenHash::of(claims.jti().unwrap_or(&token));
    // A caller who hangs up drops this in the middle, when the store may have done it already.
    let unfinished = Unfinished { server, client: &client, id: &id, request };
    let ended = end(server, &client, &token, &id, &claims, request).await;
    unfinished.record(ended.as_ref().err());
    std::mem::forget(unfinished);
    ended
}

/// A revocation that was begun. If it is dropped, nobody knows what came of it, and the audit is told so.
struct Unfinished<'a, S, T> {
    server: &'a AuthorizationServer<S, T>,
    client: &'a Client,
    id: &'a TokenHash,
    request: &'a Request<'a>,
}

impl<S, T> Unfinished<'_, S, T> {
    fn record(&self, cause: Option<&Error>) {
        if self.server.is_audited() {
            let (client_id, id) = (Some(self.client.client_id().as_str()), self.id.to_text());
            let event = AuditEvent::of_request(self.request, AuditAction::RevokeToken);
            self.server.record(AuditEvent { actor: client_id, client_id, target: Some(&id), cause, ..event });
        }
    }
}

impl<S, T> Drop for Unfinished<'_, S, T> {
    fn drop(&mut self) {
        self.record(Some(&Error::Interrupted));
    }
}

/// Ends a token that counts.
async fn end<S, T>(
    server: &AuthorizationServer<S, T>,
    client: &Client,
    token: &str,
    id: &TokenHash,
    claims: &Claims,
    request: &Request<'_>,
) -> Result<(), Error>
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    if claims.client_id() != client.client_id() {
        return Err(Error::NotItsToken);
    }
    if claims.jti().is_some() {
        observe::Call::Deny.begin().end(server.store().deny(id, claims).await)?;
    } else if !observe::Call::Revoke.begin().end(server.store().revoke(id).await)?
        && server.find_claims(token, request.received_at).await?.is_some()
    {
        // It was not somebody else who was faster: the issuer keeps its tokens elsewhere.
        return Err(Error::UnsupportedTokenType);
    }
    Ok(())
}
