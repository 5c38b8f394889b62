//! Credentials of any kind, as a client encodes them (RFC 6749 §2.3.1): in the header and in the body they come to the same, and
//! nobody else's do. The first line is an identifier, the rest a secret.
#![no_main]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    Client, ClientId, ClientSecret, ClientSecretHash, Reply, Request, TokenEndpointAuthMethod, handle_token_request,
};
use client_credentials_fuzz::{Issuer, Log, bounded, done, now, random, serve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (id, secret) = text.split_once('\n').unwrap_or((text, "secret"));
    // What follows is about credentials that a request can carry.
    if secret.is_empty() || text.len() > 1024 || ClientId::parse(id).is_err() {
        return;
    }
    let hash = ClientSecretHash::generated(&ClientSecret::new(secret.into()), &random()).unwrap();
    for method in [TokenEndpointAuthMethod::ClientSecretBasic, TokenEndpointAuthMethod::ClientSecretPost] {
        let client = Client::builder(id).seacatauth_credentials(true).client_secret_hash(hash.clone());
        let log = Log::new(None);
        let server = serve(Issuer::Opaque, [&client.token_endpoint_auth_method(method).build().unwrap()]);
        let server = server.with_audit_sink(log.sink());
        let ask = |secret: &str| -> Reply {
            let request = Request::new("POST", now()).header("Content-Type", b"application/x-www-form-urlencoded");
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let (id, secret) = (encode(id), encode(secret));
            let (form, authorization);
            let request = match method {
                TokenEndpointAuthMethod::ClientSecretBasic => {
                    form = String::from("grant_type=client_credentials");
                    authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
                    request.header("Authorization", authorization.as_bytes())
                }
                _ => {
                    form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
                    request
                }
            };
            bounded(text.len(), || done(handle_token_request(&server, &request.body(form.as_bytes()))))
        };
        let expected = if secret.chars().any(char::is_control) { 400 } else { 200 };
        assert_eq!(ask(secret).status(), expected, "{method:?}");
        assert_eq!(ask(&format!("{secret}x")).status(), if expected == 200 { 401 } else { 400 }, "{method:?}");
        log.check(&[]);
    }
});
