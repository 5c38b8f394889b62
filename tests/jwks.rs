//! The public keys as they are published.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, Config, JwtIssuer, KeySet, MemoryStore, OpaqueIssuer, Reply, Request,
    SigningAlgorithm, SigningKey, handle_jwks_request, now,
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::Value;

const RSA: &[u8] = include_bytes!("keys/rsa2048.pem");

fn ask(issuer: AnyTokenIssuer, config: Config, method: &str) -> Reply {
    let server = AuthorizationServer::new(MemoryStore::default(), issuer, config);
    handle_jwks_request(&server, &Request::new(method, now()))
}

fn headers(reply: &Reply) -> BTreeMap<&str, &str> {
    let headers: BTreeMap<_, _> = reply.headers().collect();
    assert_eq!(headers.len(), reply.headers().count(), "none is there twice");
    headers
}

#[test]
fn rfc7517_5_the_keys_of_the_issuer() {
    let key = |algorithm| SigningKey::generate(algorithm).unwrap();
    let (signing, next) = (key(SigningAlgorithm::EdDsa), key(SigningAlgorithm::Es256));
    let (retired, gone) = (key(SigningAlgorithm::EdDsa), key(SigningAlgorithm::EdDsa));
    let names = [&signing, &next, &retired].map(|key| key.key_id().to_owned());
    let keys = KeySet::from(signing)
        .with_next(next)
        .with_retired(retired, now() + Duration::from_secs(60))
        .with_retired(gone, now() - Duration::from_secs(1));
    let issuer = AnyTokenIssuer::new(JwtIssuer::new("https://auth.example.com", keys));

    let config = Config::default().with_jwks_max_age(Duration::from_secs(7200)).unwrap();
    let reply = ask(issuer.clone(), config, "GET");
    assert_eq!(reply.status(), 200);
    let expected = [("Cache-Control", "public, max-age=7200"), ("Content-Type", "application/json")];
    assert_eq!(headers(&reply), BTreeMap::from(expected));
    let document: Value = serde_json::from_slice(reply.body()).unwrap();
    assert_eq!(document.as_object().unwrap().len(), 1);
    let kids: Vec<_> = document["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids, names);

    let head = ask(issuer.clone(), Config::default(), "HEAD");
    assert_eq!((head.status(), head.body().len()), (200, 0), "RFC 9110 §9.3.2");
    assert_eq!(headers(&head)["Cache-Control"], "public, max-age=300");
    for method in ["POST", "PUT", "get", ""] {
        let reply = ask(issuer.clone(), Config::default(), method);
        let headers = headers(&reply);
        assert_eq!(
            (reply.status(), headers["Allow"], headers["Cache-Control"]),
            (405, "GET, HEAD", "no-store"),
            "{method}"
        );
    }
}

#[test]
fn an_issuer_of_opaque_tokens_has_no_keys() {
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(MemoryStore::default()));
    let reply = ask(issuer, Config::default(), "GET");
    assert_eq!((reply.status(), reply.body()), (200, br#"{"keys":[]}"#.as_slice()));
    assert_eq!(headers(&reply)["Cache-Control"], "public, max-age=300");
}

/// Neither a member for it (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2) nor a part of the private key itself.
#[test]
fn rfc7517_9_2_no_private_key_is_published() {
    let rsa = PrivatePkcs8KeyDer::from_pem_slice(RSA).unwrap().secret_pkcs8_der().to_vec();
    for (algorithm, der, members) in [
        (
            SigningAlgorithm::EdDsa,
            SigningKey::generate_pkcs8(SigningAlgorithm::EdDsa).unwrap().to_vec(),
            "alg crv kid kty use x",
        ),
        (
            SigningAlgorithm::Es256,
            SigningKey::generate_pkcs8(SigningAlgorithm::Es256).unwrap().to_vec(),
            "alg crv kid kty use x y",
        ),
        (SigningAlgorithm::Rs256, rsa.clone(), "alg e kid kty n use"),
        (SigningAlgorithm::Ps256, rsa, "alg e kid kty n use"),
    ] {
        let key = SigningKey::from_pkcs8_der(algorithm, &der).unwrap();
        let reply = ask(AnyTokenIssuer::new(JwtIssuer::new("https://a.example.com", key)), Config::default(), "GET");
        let document: Value = serde_json::from_slice(reply.body()).unwrap();
        let [key] = document["keys"].as_array().unwrap().as_slice() else { unreachable!("one key") };
        let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names.join(" "), members);

        // Whatever of the private key is there, is its public part; the modulus is in both.
        let public = decoded(key, &["x", "y", "n"]);
        let secret: Vec<_> = der.windows(8).filter(|bytes| !public.windows(8).any(|public| public == *bytes)).collect();
        assert!(secret.len() >= 24);
        let published: Vec<u8> = key.as_object().unwrap().values().filter_map(Value::as_str).flat_map(bytes).collect();
        assert!(!published.windows(8).any(|bytes| secret.contains(&bytes)), "{algorithm:?}");
    }
}

fn decoded(key: &Value, members: &[&str]) -> Vec<u8> {
    members.iter().filter_map(|name| key[*name].as_str()).flat_map(bytes).collect()
}

/// What a text stands for, and the text.
fn bytes(text: &str) -> Vec<u8> {
    [text.as_bytes(), &BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default()].concat()
}
