//! The texts that stand for something: what is parsed is printed as it was, and parsed again to the same.
#![no_main]

use std::str::FromStr;

use client_credentials::{
    AccessToken, ClientId, ClientSecretHash, Endpoint, Endpoints, RoleId, Scope, SealingKey, TenantName, TokenHash,
};
use client_credentials_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    bounded(text.len(), || texts(text));
    addresses(text);
});

fn texts(text: &str) {
    if let Ok(scope) = Scope::parse(text) {
        assert_eq!(scope.tokens().collect::<Vec<_>>().join(" "), text);
        assert!(scope.tokens().all(|token| scope.contains(token)));
    }
    assert_eq!(TenantName::parse(text).is_ok(), TenantName::from_str(text).is_ok());
    if let Ok(role) = RoleId::parse(text) {
        assert!(role.tenant().is_none_or(|tenant| TenantName::parse(tenant).is_ok()));
        assert_eq!(role.to_string(), text);
    }
    if let Ok(id) = ClientId::parse(text) {
        assert!(text.len() <= 255 && id.as_str() == text);
    }
    // Never verified: some take a second.
    if let Ok(hash) = text.parse::<ClientSecretHash>() {
        let printed = hash.to_text();
        assert_eq!(printed.parse::<ClientSecretHash>().unwrap(), hash);
        assert!(!format!("{hash:?}").contains(printed.rsplit('$').next().unwrap()));
    }
    if let Ok(hash) = text.parse::<TokenHash>() {
        assert_eq!(hash.to_text(), text);
    }
    if let Ok(token) = AccessToken::new(text.into()) {
        assert_eq!(token.expose(), text);
        assert_eq!(token.hash().to_text().len(), 43);
    }
    if let Ok(key) = text.parse::<SealingKey>() {
        assert_eq!(key.to_text().parse::<SealingKey>().unwrap().key_id(), key.key_id());
    }
}

/// An issuer identifier, and the path of an endpoint.
fn addresses(text: &str) {
    let (issuer, path) = text.split_once(' ').unwrap_or((text, text));
    if let Ok(endpoints) = Endpoints::new(issuer) {
        assert_eq!(endpoints.issuer(), issuer);
        let paths = [Endpoint::Token, Endpoint::Introspection, Endpoint::Jwks, Endpoint::Metadata, Endpoint::OpenApi];
        for endpoint in paths {
            assert_eq!(endpoints.find(endpoints.path(endpoint).unwrap()), Some(endpoint));
            assert!(endpoints.url(endpoint).unwrap().starts_with("http"));
        }
        let document: serde_json::Value = serde_json::from_str(endpoints.openapi()).unwrap();
        assert!(document.is_object());
    }
    let endpoints = Endpoints::new("https://auth.example.com/t").unwrap().without(Endpoint::Management);
    let _ = endpoints.find(path);
    for endpoint in [Endpoint::Token, Endpoint::Management] {
        if let Ok(endpoints) = endpoints.clone().with(endpoint, path) {
            assert_eq!(endpoints.path(endpoint), Some(path));
            assert_eq!(endpoints.find(&format!("{path}/")).is_some(), endpoint == Endpoint::Management);
            assert_eq!(endpoints.find(path) == Some(endpoint), endpoint == Endpoint::Token);
        }
    }
}
