//! A bearer token in a request (RFC 6750 §2.1), and what it says.

use time::OffsetDateTime;

use crate::{
    Authorization, AuthorizationServer, Claims, Client, ClientStore, Config, Error, TokenHash, TokenStore,
    TokenVerifier, request::Field,
};

/// The token in an `Authorization` header.
pub(crate) fn token<'a>(authorization: Field<'a>, config: &Config) -> Result<&'a str, Error> {
    let header = match authorization {
        Field::Absent => return Err(Error::NoToken),
        Field::Once(value) => value,
        Field::Repeated => return Err(Error::SeveralAuthentications),
    };
    if header.len() > config.max_authorization_bytes() {
        return Err(Error::AuthorizationTooLong);
    }
    let mut parts = header.trim_ascii().splitn(2, |b| *b == b' ');
    if !parts.next().unwrap_or_default().eq_ignore_ascii_case(b"bearer") {
        return Err(Error::NoToken);
    }
    std::str::from_utf8(parts.next().unwrap_or_default().trim_ascii()).map_err(|_| Error::InvalidToken)
}

/// What a token says that counts at `now`: an access token, or an API key, which gives no more than its client has today.
pub(crate) async fn check<S, T>(
    server: &AuthorizationServer<S, T>,
    token: &str,
    now: OffsetDateTime,
) -> Result<Claims, Error>
where
    S: ClientStore + TokenStore,
    T: TokenVerifier,
{
    let claims = match server.issuer().verify(token, now).await? {
        Some(claims) => claims,
        // Issuers that keep no tokens know no API key, and others may keep theirs elsewhere.
        None => {
            let found = server.store().find(&TokenHash::of(token)).await?;
            let counts = |claims: &Claims| claims.api_key_label().is_some() && now < claims.expires_at();
            found.filter(counts).ok_or(Error::InvalidToken)?
        }
    };
    if claims.api_key_label().is_none() {
        return Ok(claims);
    }
    let client = server.store().find_client(claims.client_id().as_str()).await?;
    let client = client.filter(|client| client.seacatauth_credentials()).ok_or(Error::InvalidToken)?;
    let authorization = still_held(claims.authorization(), &client);
    Ok(claims.with_authorization(authorization))
}

/// What a client still holds of what it once held.
fn still_held(then: &Authorization, client: &Client) -> Authorization {
    let tenants = then
        .tenants()
        .filter(|(tenant, _)| client.assigned(tenant.as_str()).is_some() || client.has_access_to_all_tenants())
        .map(|(tenant, resources)| (tenant.clone(), resources.intersection(&client.resources_in(tenant))));
    Authorization::new(then.global().intersection(client.global()), tenants)
}
