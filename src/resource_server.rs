//! The other side: checking a bearer token in front of an API (RFC 6750).

#[cfg(feature = "tower")]
mod layer;
mod requirements;

#[cfg(feature = "tower")]
pub use layer::{ResourceServerLayer, ResourceServerService};
pub use requirements::Requirements;

use crate::{AnyTokenVerifier, Claims, Config, Error, Reply, Request, TokenVerifier, authentication::bearer};

/// A resource server (RFC 6749 §1.1): what stands in front of an API, and lets a request in whose bearer token counts, is meant
/// for this API, and has what the call requires.
///
/// What tells a token is any [`TokenVerifier`]. In the process of the authorization server that is the server itself, so that
/// revoked tokens and those of deleted clients are refused at once, and API keys are taken too.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use std::sync::Arc;
/// use client_credentials::{
///     AuthorizationServer, Claims, Config, MemoryStore, OpaqueIssuer, Request, Requirements, ResourceServer, Scope,
///     TokenIssuer, now, time::Duration,
/// };
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// let (billing, _) = server
///     .administrator("setup", now())
///     .create_client(client_credentials::Client::builder("billing").seacatauth_credentials(true))
///     .await?;
/// let claims = Claims::new(billing.client_id().clone(), now(), now() + Duration::MINUTE).with_scope(Scope::parse("read")?);
/// let token = server.issuer().issue(&claims).await?;
///
/// let api = ResourceServer::new(Arc::new(server), Config::default());
/// let authorization = format!("Bearer {}", token.expose());
/// let request = Request::new("GET", now()).header("Authorization", authorization.as_bytes());
///
/// let claims = api.check(&request, &Requirements::default().scope("read")?).await?;
/// assert_eq!(claims.client_id().as_str(), "billing");
///
/// let write = Requirements::default().scope("write")?;
/// let cause = api.check(&request, &write).await.unwrap_err();
/// assert_eq!(api.refuse(cause, &write).status(), 403);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResourceServer<V = AnyTokenVerifier> {
    verifier: V,
    config: Config,
    audience: Option<String>,
}

impl<V> ResourceServer<V> {
    /// Puts the parts together. Of the configuration, `bearer_realm` and `max_authorization_bytes` count here.
    pub const fn new(verifier: V, config: Config) -> Self {
        Self { verifier, config, audience: None }
    }

    /// Takes only tokens that name this API (`aud`, RFC 9068 §4), among others or alone; a token that names none is refused, and
    /// so is an API key, which never does.
    ///
    /// Without this it is the other way round: a token that names any API is meant for that one, and is refused.
    #[must_use]
    pub fn with_audience(self, audience: impl Into<String>) -> Self {
        Self { audience: Some(audience.into()), ..self }
    }

    /// What checks the tokens.
    pub const fn verifier(&self) -> &V {
        &self.verifier
    }

    /// A refusal, as the caller may see it: with the challenge of RFC 6750 §3, which tells a token that has too little the scope
    /// that is required.
    ///
    /// | cause | answer |
    /// | --- | --- |
    /// | no bearer token, or another scheme | 401, a challenge without an error |
    /// | an `Authorization` header that is there twice or too long | 400 `invalid_request` |
    /// | a token that does not count, or is meant for another API | 401 `invalid_token` |
    /// | a token without the scope, tenant or resources that are required | 403 `insufficient_scope` |
    /// | a verifier that cannot tell | 503, with `Retry-After` |
    #[must_use]
    pub fn refuse(&self, cause: Error, required: &Requirements) -> Reply {
        required.refuse(cause, &self.config)
    }
}

impl<V: TokenVerifier> ResourceServer<V> {
    /// What the bearer token of a request says, if it has all that is required.
    ///
    /// Only the `Authorization` header is looked at (RFC 6750 §2.1). A token in the body or in the URL, where logs keep it, counts
    /// as none.
    ///
    /// # Errors
    /// When there is no token, or not one that will do, or when the verifier cannot tell. [`refuse`](Self::refuse) makes the
    /// answer.
    pub async fn check(&self, request: &Request<'_>, required: &Requirements) -> Result<Claims, Error> {
        let claims = check(&self.verifier, request, self.audience.as_deref(), &self.config).await?;
        required.check(&claims)?;
        Ok(claims)
    }
}

/// What the bearer token of a request says, if it counts for an API with this audience.
pub(crate) async fn check<V: TokenVerifier>(
    verifier: &V,
    request: &Request<'_>,
    audience: Option<&str>,
    config: &Config,
) -> Result<Claims, Error> {
    let token = bearer::token(request.authorization, config)?;
    let claims = verifier.verify(token, request.received_at).await?.ok_or(Error::InvalidToken)?;
    if claims.is_meant_for(audience) { Ok(claims) } else { Err(Error::WrongAudience) }
}
