//! Mints one token in process and prints what goes in and what comes out.
//!
//!     cargo run --example mint
//!     cargo run --example mint -- --jwt
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::error::Error;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, Client, ClientSecret, ClientSecretHash, Config, JwtIssuer, MemoryStore,
    OpaqueIssuer, RandomSource, Request, Role, SigningAlgorithm, SigningKey, handle_token_request, now,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A client with a new secret, which from here on only the client knows: the store has its hash.
    let random = RandomSource::default();
    let secret = ClientSecret::generate(&random)?;
    let client = Client::builder("billing")
        .client_secret_hash(ClientSecretHash::generated(&secret, &random)?)
        .seacatauth_credentials(true)
        .scope("invoices:read")
        .tenant("my-corporation")
        .role(Role::new("my-corporation/accountant", ["invoice:edit"])?)
        .build()?;
    let store = MemoryStore::default();
    store.insert_client(client);

    let issuer = if std::env::args().any(|argument| argument == "--jwt") {
        let key = SigningKey::generate(SigningAlgorithm::EdDsa)?;
        println!("Public key: {}\n", serde_json::to_string(key.public_jwk())?);
        AnyTokenIssuer::new(JwtIssuer::new("https://localhost:3081", key))
    } else {
        AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()))
    };
    let server = AuthorizationServer::new(store, issuer, Config::default());

    // What a web server would hand over. Neither half of these credentials needs form-encoding (RFC 6749 §2.3.1).
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("billing:{}", secret.expose())));
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
    let body = "grant_type=client_credentials&scope=invoices:read+tenant:my-corporation";
    let request = Request::new("POST", now())
        .headers(headers.map(|(name, value)| (name, value.as_bytes())))
        .body(body.as_bytes());
    println!("POST /openidconnect/token");
    headers.iter().for_each(|(name, value)| println!("{name}: {value}"));
    println!("\n{body}\n");

    let reply = handle_token_request(&server, &request).await;
    println!("{}", reply.status());
    reply.headers().for_each(|(name, value)| println!("{name}: {value}"));
    println!("\n{}", String::from_utf8_lossy(reply.body()));
    Ok(())
}
