//! What a token says that somebody presents, and whether it counts here.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    Authorization, AuthorizationServer, BackendError, Claims, Client, ClientRegistry, ClientStore, TokenHash,
    TokenStore, TokenVerifier, observe,
};

impl<S: ClientStore + TokenStore, T: TokenVerifier> AuthorizationServer<S, T> {
    /// What a bearer token says, if it counts at `now`: an access token of this server, or an API key of its store.
    ///
    /// Its client has to be there, and allowed to use the grant: a client that is deleted or disabled has lost its tokens here,
    /// whatever their kind and wherever they are kept, as soon as the store says so: with `Cached`, that may be after its
    /// `cache_expiration`, if it was done elsewhere. An API key gives no more than its client has today; an access
    /// token gives what it says until it expires. Whoever takes the token for itself
    /// looks at its [audience](Claims::audience) too.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn check_token(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        let Some((claims, client)) = self.find_token(token, now).await? else {
            return Ok(None);
        };
        let is_api_key = claims.api_key_label().is_some();
        Ok(Some(if is_api_key { still_held(claims, &client) } else { claims }))
    }

    async fn find_token(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Option<(Claims, Arc<Client>)>, BackendError> {
        let Some(claims) = self.find_claims(token, now).await? else {
            return Ok(None);
        };
        let client =
            observe::Call::FindClient.begin().end(self.store().find_client(claims.client_id().as_str()).await)?;
        let client = client.filter(|client| client.seacatauth_credentials());
        Ok(client.inspect(|_| self.note(&claims, token, now)).map(|client| (claims, client)))
    }

    /// What the token says by itself, if it has not been revoked.
    pub(crate) async fn find_claims(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        if let Some(claims) = observe::Call::Verify.begin().end(self.issuer().verify(token, now).await)? {
            let is_denied = match claims.jti() {
                Some(jti) => {
                    observe::Call::IsDenied.begin().end(self.store().is_denied(&TokenHash::of(jti), &claims).await)?
                }
                // It is the verifier that has found it in a store.
                None => false,
            };
            return Ok((!is_denied).then_some(claims));
        }
        // Issuers that keep no tokens know no API key, and others may keep theirs elsewhere.
        let found = observe::Call::Find.begin().end(self.store().find(&TokenHash::of(token)).await)?;
        Ok(found.filter(|claims| claims.api_key_label().is_some() && now < claims.expires_at()))
    }

    /// Notes that an API key was used.
    fn note(&self, claims: &Claims, token: &str, now: OffsetDateTime) {
        if let (Some(uses), Some(_)) = (self.uses(), claims.api_key_label()) {
            uses.api_key(&TokenHash::of(token), now);
        }
    }
}

impl<S: ClientRegistry + TokenStore, T: TokenVerifier> AuthorizationServer<S, T> {
    /// What a token says and its client has today, whatever kind of token it is: for what governs this server, where a role that
    /// is taken away must not be there to take itself back. So the client is read past any cache.
    pub(crate) async fn check_administrator(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Claims>, BackendError> {
        let Some(claims) = self.find_claims(token, now).await?.filter(|claims| claims.is_meant_for(None)) else {
            return Ok(None);
        };
        let read = observe::Call::Read.begin().end(self.store().read(claims.client_id()).await)?;
        let client = read.map(|(client, _)| client).filter(Client::seacatauth_credentials);
        Ok(client.inspect(|_| self.note(&claims, token, now)).map(|client| still_held(claims, &client)))
    }
}

/// For an API in the same process as the server: what counts is told by [`check_token`](AuthorizationServer::check_token).
impl<S: ClientStore + TokenStore, T: TokenVerifier> TokenVerifier for AuthorizationServer<S, T> {
    async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        self.check_token(token, now).await
    }
}

/// What a token says, but for what its client no longer holds.
fn still_held(claims: Claims, client: &Client) -> Claims {
    let then = claims.authorization();
    let tenants = then
        .tenants()
        .filter(|(tenant, _)| client.assigned(tenant.as_str()).is_some() || client.has_access_to_all_tenants())
        .map(|(tenant, resources)| (tenant.clone(), resources.intersection(&client.resources_in(tenant))));
    let authorization = Authorization::new(then.global().intersection(client.global()), tenants);
    claims.with_authorization(authorization)
}
