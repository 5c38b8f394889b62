//! What a server elsewhere answers to an API: public keys (RFC 7517), metadata (RFC 8414), introspection responses (RFC 7662).
#![no_main]

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use client_credentials::{
    BackendError, Claims, ClientId, ClientSecret, HttpClient, IntrospectionVerifier, Jwks, JwksVerifier, MemoryStore,
    PublicJwk, TokenIssuer as _, TokenVerifier as _, http,
};
use client_credentials_fuzz::{ISSUER, Issuer, bounded, done, issuer, now};
use libfuzzer_sys::fuzz_target;

/// Answers everything with this.
struct Server<'a>(&'a [u8]);

impl HttpClient for Server<'_> {
    async fn send(&self, _: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, BackendError> {
        Ok(http::Response::new(self.0.into()))
    }
}

/// A good JWT.
static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let (now, basic) = (now(), ClientId::parse("basic").unwrap());
    let claims = Claims::new(basic, now, now + Duration::from_secs(60));
    let token = done(issuer(Issuer::Jwt, &MemoryStore::default()).issue(&claims)).unwrap();
    token.expose().to_owned()
});

fuzz_target!(|document: &[u8]| {
    LazyLock::force(&TOKEN);
    bounded(document.len(), || {
        keys(document);
        metadata(document);
        response(document);
    });
});

fn keys(document: &[u8]) {
    let key: Result<PublicJwk, _> = serde_json::from_slice(document);
    let jwks: Result<Jwks, _> = serde_json::from_slice(document);
    for key in key.iter().chain(jwks.iter().flat_map(Jwks::keys)) {
        let printed = serde_json::to_string(key).unwrap();
        assert_eq!(serde_json::from_str::<PublicJwk>(&printed).unwrap(), *key);
        assert!(!printed.contains("\"d\""), "a private key");
    }
    if let Ok(jwks) = &jwks {
        assert!(jwks.keys().len() <= 64);
        assert_eq!(serde_json::from_str::<Jwks>(&serde_json::to_string(jwks).unwrap()).unwrap(), *jwks);
    }
    let tokens = JwksVerifier::new(ISSUER, "https://auth.example.com/jwks", Server(document)).unwrap();
    let counts = done(tokens.verify(&TOKEN, now()));
    // Only the right key opens it.
    let is_there = || jwks.iter().flat_map(Jwks::keys).any(has_signed);
    assert!(!matches!(counts, Ok(Some(_))) || is_there());
    assert_eq!(counts.is_err(), jwks.is_err(), "a document of another form is a failure of the server");
}

/// Whether it is this key that has signed the token.
fn has_signed(key: &PublicJwk) -> bool {
    let (signed, signature) = TOKEN.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(signed.as_bytes(), &signature)
}

fn metadata(document: &[u8]) {
    if done(JwksVerifier::discover(ISSUER, Server(document))).is_ok() {
        let Ok(said) = serde_json::from_slice::<serde_json::Value>(document) else { return };
        assert_eq!(said["issuer"], ISSUER);
        // RFC 3986 §3.1: in capitals it is the same scheme.
        assert!(said["jwks_uri"].as_str().unwrap().to_ascii_lowercase().starts_with("https://"));
    }
}

fn response(document: &[u8]) {
    let (id, secret) = (ClientId::parse("api").unwrap(), ClientSecret::new("secret".into()));
    for issuer in [None, Some(ISSUER)] {
        let asked = IntrospectionVerifier::new("https://auth.example.com/introspect", &id, &secret, Server(document));
        let asked = asked.unwrap();
        let asked = if let Some(issuer) = issuer { asked.with_issuer(issuer) } else { asked };
        if let Ok(Some(claims)) = done(asked.verify("token", now())) {
            assert!(now() < claims.expires_at());
            // Texts that nobody reads may be none.
            let Ok(said) = serde_json::from_slice::<serde_json::Value>(document) else { continue };
            assert_eq!((&said["active"], &said["client_id"]), (&true.into(), &claims.client_id().as_str().into()));
            assert!(said["cnf"].is_null());
        }
    }
}
