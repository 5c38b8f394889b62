//! Clients and verifiers that somebody else wrote.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use client_credentials::{
    AccessToken, AnySigner, AnyTokenIssuer, AuthorizationServer, Config, JwtIssuer, Signer as _, SigningAlgorithm,
    SigningKey,
};
use common::{AWKWARD, SECRET, SERVER, Served, basic};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::Jwk};
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, Scope, TokenResponse as _, TokenUrl,
    basic::BasicClient, http,
};
use serde_json::Value;

// openssl genpkey -algorithm ed25519, and -algorithm EC -pkeyopt ec_paramgen_curve:P-256: made for these tests alone.
const ED25519: &[u8] = include_bytes!("keys/ed25519.pem");
const P256: &[u8] = include_bytes!("keys/p256.pem");
const RSA: &[u8] = include_bytes!("keys/rsa2048.pem");

/// The HTTP that the `oauth2` crate leaves to its user.
fn send(request: HttpRequest) -> Result<HttpResponse, std::io::Error> {
    let (head, body) = request.into_parts();
    let mut stream = TcpStream::connect(head.uri.authority().unwrap().as_str())?;
    write!(stream, "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", head.method, head.uri.path())?;
    for (name, value) in &head.headers {
        stream.write_all(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat())?;
    }
    write!(stream, "Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(&body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = common::Answer::parse(&answer);
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(answer.raw).unwrap())
}

#[test]
fn the_oauth2_crate_gets_a_token() {
    let url = TokenUrl::new(format!("http://{}/token", SERVER.address)).unwrap();
    for (client, secret, auth_type) in [
        ("basic", SECRET, AuthType::BasicAuth),
        ("awkward : + %", AWKWARD, AuthType::BasicAuth),
        ("post", SECRET, AuthType::RequestBody),
        ("awkward-post", AWKWARD, AuthType::RequestBody),
    ] {
        let client = BasicClient::new(ClientId::new(client.into()))
            .set_client_secret(ClientSecret::new(secret.into()))
            .set_auth_type(auth_type)
            .set_token_uri(url.clone());
        let token = client.exchange_client_credentials().request(&send).unwrap();
        assert_eq!(token.access_token().secret().len(), 43);
        assert_eq!(token.expires_in().unwrap().as_secs(), 180);
        assert!(token.refresh_token().is_none());
    }
    let client = BasicClient::new(ClientId::new("basic".into())).set_client_secret(ClientSecret::new(SECRET.into()));
    let client = client.set_token_uri(url);
    let token =
        client.exchange_client_credentials().add_scope(Scope::new("tenant:acme".into())).request(&send).unwrap();
    assert_eq!(token.scopes().unwrap()[0].as_str(), "tenant:acme");
    let refused =
        client.exchange_client_credentials().add_scope(Scope::new("admin".into())).request(&send).unwrap_err();
    let oauth2::RequestTokenError::ServerResponse(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.error(), &oauth2::basic::BasicErrorResponseType::InvalidScope);
}

#[test]
fn rfc9068_2_an_independent_library_verifies_from_the_public_key_alone() {
    for (theirs, key) in signers() {
        let public = serde_json::to_string(key.public_jwk()).unwrap();
        for private in ["\"d\"", "\"p\"", "\"q\"", "\"dp\"", "\"dq\"", "\"qi\""] {
            assert!(!public.contains(private));
        }
        let issuer = JwtIssuer::new("https://auth.example.com", key).with_audience("https://api.example.com");
        let server =
            AuthorizationServer::new(common::stores(common::store()), AnyTokenIssuer::new(issuer), Config::default());
        let answer =
            Served::start(server).ask(&basic("basic", SECRET, "grant_type=client_credentials&scope=read+tenant:acme"));
        let token = AccessToken::new(answer.json()["access_token"].as_str().unwrap().into()).unwrap();

        let jwk: Jwk = serde_json::from_str(&public).unwrap();
        let mut validation = Validation::new(theirs);
        validation.set_audience(&["https://api.example.com"]);
        validation.set_issuer(&["https://auth.example.com"]);
        validation.set_required_spec_claims(&["iss", "exp", "aud", "sub"]);
        let decoded =
            jsonwebtoken::decode::<Value>(token.expose(), &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap();
        assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(
            decoded.header.kid.as_deref(),
            Some(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap().as_str())
        );

        let mut claims = decoded.claims;
        let members: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["aud", "client_id", "exp", "iat", "iss", "jti", "resources", "scope", "sub"]);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 180);
        assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
        assert_eq!((claims["sub"].take(), claims["client_id"].take()), ("basic".into(), "basic".into()));
        assert_eq!(claims["scope"], "read tenant:acme");
        assert_eq!(claims["resources"].to_string(), r#"{"*":["report:read"],"acme":["report:edit","report:read"]}"#);

        // The same verifier refuses a token in which one bit of the signature is another.
        let (message, signature) = token.expose().rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let tampered = format!("{message}.{first}{}", &signature[1..]);
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        assert!(jsonwebtoken::decode::<Value>(&tampered, &key, &validation).is_err());
    }
}

/// Whatever signs with keys at hand, with each algorithm.
fn signers() -> Vec<(Algorithm, AnySigner)> {
    let signers = |(algorithm, theirs, pem): (_, _, &[u8])| {
        [
            (theirs, AnySigner::from(SigningKey::from_pkcs8_pem(algorithm, pem).unwrap())),
            #[cfg(feature = "aws-lc-rs")]
            (theirs, client_credentials::AwsLcSigningKey::from_pkcs8_pem(algorithm, pem).unwrap().into()),
        ]
    };
    let keys = [
        (SigningAlgorithm::EdDsa, Algorithm::EdDSA, ED25519),
        (SigningAlgorithm::Es256, Algorithm::ES256, P256),
        (SigningAlgorithm::Rs256, Algorithm::RS256, RSA),
        (SigningAlgorithm::Ps256, Algorithm::PS256, RSA),
    ];
    keys.into_iter().flat_map(signers).collect()
}

#[test]
fn keys_that_openssl_wrote() {
    for (algorithm, pem) in
        [(SigningAlgorithm::EdDsa, ED25519), (SigningAlgorithm::Es256, P256), (SigningAlgorithm::Rs256, RSA)]
    {
        let key = SigningKey::from_pkcs8_pem(algorithm, pem).unwrap();
        assert_eq!(key.key_id().len(), 43);
        assert_eq!(SigningKey::from_pkcs8_pem(algorithm, pem).unwrap().key_id(), key.key_id());
    }
}
