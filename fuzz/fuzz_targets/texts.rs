//! The texts that stand for something: what is parsed is printed as it was, and parsed again to the same.
#![no_main]

use std::str::FromStr;

use client_credentials::{
    AccessToken, AuditHead, ClientId, ClientSecretHash, Config, Endpoint, Endpoints, Quota, RoleId, Scope, SealingKey,
    TenantName, TokenHash,
};
use client_credentials_fuzz::bounded;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

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
    if let Ok(quota) = text.parse::<Quota>() {
        assert_eq!(quota.to_string().parse(), Ok(quota));
    }
    if let Ok(head) = text.parse::<AuditHead>() {
        assert_eq!(head.to_string().parse(), Ok(head));
    }
    duration(text);
    if let Ok(key) = text.parse::<SealingKey>() {
        assert_eq!(key.to_text().parse::<SealingKey>().unwrap().key_id(), key.key_id());
    }
}

/// A duration, which comes to the same in seconds.
fn duration(text: &str) {
    let read =
        |value: Value| serde_json::from_value::<Config>(json!({"seacatauth:client": {"cache_expiration": value}}));
    let whole = |value: Value| serde_json::from_value::<Config>(json!({"jwks_max_age": value}));
    let any = read(text.into()).map(|config| config.cache_expiration()).ok();
    if let Ok(config) = whole(text.into()) {
        let seconds = config.jwks_max_age();
        assert!(seconds.as_secs() > 0 && seconds.subsec_nanos() == 0 && any == Some(seconds));
        assert_eq!(whole(seconds.as_secs().into()).unwrap(), config);
    } else {
        assert!(any.is_none_or(|any| any.as_secs() == 0 || any.subsec_nanos() > 0));
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
        let document: Value = serde_json::from_str(endpoints.openapi()).unwrap();
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
