use time::OffsetDateTime;

use super::{Administrator, Subject, Target};
use crate::{
    AccessToken, AuditAction, Authorization, Claims, ClientId, ClientRegistry, Error, Scope, TenantName, TokenHash,
    TokenStore, observe,
};

/// How long an API key counts for which nothing else is said.
const LIFETIME: time::Duration = time::Duration::days(365);

/// No store has to keep times beyond.
const LIFETIME_MAX: time::Duration = time::Duration::days(36_525);

/// How long a label can be, in bytes.
const LABEL_LEN: usize = 256;

impl<S: ClientRegistry + TokenStore, T> Administrator<'_, S, T> {
    /// Makes an API key: an opaque token that counts wherever an access token does, until `expires_at`, or for 365 days.
    ///
    /// It gives what the client's roles give now, globally and in `tenant` if there is one; whenever it is checked, what the
    /// client no longer has by then is left out. Its [hash](AccessToken::hash) is its id.
    ///
    /// # Errors
    /// When there is no such client, it may not use the grant, the tenant is not open to it, the label is no text of one line
    /// and 256 bytes, the key would have expired already, or this administrator may not give it.
    pub async fn create_api_key(
        &self,
        client_id: &ClientId,
        label: &str,
        tenant: Option<&TenantName>,
        expires_at: Option<OffsetDateTime>,
    ) -> Result<(AccessToken, Claims), Error> {
        let token = AccessToken::generate(self.server.random())?;
        let id = token.hash();
        let subject = Subject::new(AuditAction::CreateApiKey, client_id).with_target(Target::ApiKey(&id));
        // It is no caller who has named it.
        subject.found_target();
        let create = async {
            let (client, _) = self.find(client_id, &subject).await?;
            self.may_touch(&client)?;
            if label.len() > LABEL_LEN || label.chars().any(char::is_control) {
                return Err(Error::WrongParameter("label", "a text of one line and at most 256 bytes is expected"));
            }
            let expires_at = expires_at.unwrap_or_else(|| self.now.saturating_add(LIFETIME));
            let last = self.now.saturating_add(LIFETIME_MAX);
            if expires_at <= self.now || expires_at > last {
                return Err(Error::WrongParameter("exp", "a time from now on and within 100 years is expected"));
            }
            if !client.seacatauth_credentials() {
                return Err(Error::GrantNotEnabled);
            }
            if let Some(tenant) = tenant.filter(|tenant| client.assigned(tenant.as_str()).is_none()) {
                let asked = std::slice::from_ref(tenant);
                let open = client.has_access_to_all_tenants()
                    && observe::Call::ExistingTenants
                        .begin()
                        .end(self.server.store().existing_tenants(asked).await)?
                        .contains(tenant);
                if !open {
                    return Err(Error::WrongParameter("tenant", "it is not assigned to the client"));
                }
            }
            let scope = tenant.map(|tenant| Scope::of_tokens(&format!("tenant:{tenant}")));
            let held = tenant.map(|tenant| (tenant.clone(), client.resources_in(tenant)));
            let claims = Claims::new(client_id.clone(), self.now, expires_at)
                .with_scope(scope)
                .with_authorization(Authorization::new(client.global().clone(), held))
                .with_api_key_label(label.to_owned());
            observe::Call::Insert.begin().end(self.server.store().insert(token.hash(), claims.clone()).await)?;
            Ok(claims)
        };
        let claims = self.recorded(&subject, create).await?;
        Ok((token, claims))
    }

    /// The API keys of a client that count, the latest first.
    ///
    /// # Errors
    /// When there is no such client.
    pub async fn api_keys(&self, client_id: &ClientId) -> Result<Vec<(TokenHash, Claims)>, Error> {
        let subject = Subject::new(AuditAction::ListApiKeys, client_id);
        let list = async {
            self.find(client_id, &subject).await?;
            self.find_api_keys(client_id).await
        };
        self.recorded(&subject, list).await
    }

    async fn find_api_keys(&self, client_id: &ClientId) -> Result<Vec<(TokenHash, Claims)>, Error> {
        let mut keys =
            observe::Call::ListTokens.begin().end(self.server.store().list_tokens(client_id, self.now).await)?;
        keys.retain(|(_, claims)| claims.api_key_label().is_some());
        keys.sort_by_key(|(hash, claims)| (std::cmp::Reverse(claims.issued_at()), *hash));
        Ok(keys)
    }

    /// Ends an API key of a client, or all of them when that is `None`. Its access tokens stay.
    ///
    /// # Errors
    /// When there is no such client or key.
    pub async fn revoke_api_key(&self, client_id: &ClientId, id: Option<&TokenHash>) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::RevokeApiKey, client_id).with_target(id.map(Target::ApiKey));
        let store = self.server.store();
        let revoke = async {
            self.may_touch(&self.find(client_id, &subject).await?.0)?;
            let Some(id) = id else {
                for (hash, _) in self.find_api_keys(client_id).await? {
                    observe::Call::Revoke.begin().end(store.revoke(&hash).await)?;
                }
                return Ok(());
            };
            let found = observe::Call::Find.begin().end(store.find(id).await)?;
            let is_its = |claims: &Claims| claims.client_id() == client_id && claims.api_key_label().is_some();
            found.filter(is_its).ok_or(Error::NotFound("API key"))?;
            // Only one that is there is named: what was asked for may be the key itself in the wrong place.
            subject.found_target();
            let revoked = observe::Call::Revoke.begin().end(store.revoke(id).await)?;
            if revoked { Ok(()) } else { Err(Error::NotFound("API key")) }
        };
        self.recorded(&subject, revoke).await
    }
}
