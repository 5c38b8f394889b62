use std::{hint::black_box, time::Duration};

use client_credentials::{
    AuthorizationServer, Client, ClientSecret, ClientSecretHash, Config, JwtIssuer, MemoryStore, OpaqueIssuer,
    RandomSource, Request, SigningAlgorithm, SigningKey, TokenIssuer, handle_token_request, now,
};

use crate::{CLIENTS, Contestant, FORM, FORM_TYPE, SCOPE, at_once, timed};

pub fn opaque(secret: &ClientSecret, authorization: &str) -> Contestant {
    let store = store(secret);
    contestant(store.clone(), OpaqueIssuer::new(store), authorization)
}

pub fn es256(secret: &ClientSecret, authorization: &str) -> Contestant {
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    contestant(store(secret), JwtIssuer::new("https://localhost:3081", key), authorization)
}

fn store(secret: &ClientSecret) -> MemoryStore {
    let store = MemoryStore::default();
    for n in 0..CLIENTS {
        let hash = ClientSecretHash::generated(secret, &RandomSource::default()).unwrap();
        let client = Client::builder(&format!("client-{n}")).client_secret_hash(hash).seacatauth_credentials(true);
        store.insert_client(client.tenant("my-corporation").build().unwrap());
    }
    store
}

fn contestant(store: MemoryStore, issuer: impl TokenIssuer + 'static, authorization: &str) -> Contestant {
    let server = AuthorizationServer::new(store, issuer, Config::default());
    let (authorization, mut clock) = (authorization.to_owned(), now());
    Box::new(move |calls| {
        timed(calls, || {
            // Ten mints a second, so that 1,800 tokens live at a time and each mint drops one that has expired.
            clock += Duration::from_millis(100);
            let request = Request::new("POST", clock)
                .header("Authorization", authorization.as_bytes())
                .header("Content-Type", FORM_TYPE.as_bytes())
                .body(FORM.as_bytes());
            let reply = at_once(handle_token_request(&server, black_box(&request)));
            assert!(reply.status() == 200 && SCOPE.len() < reply.body().len());
            black_box(reply.into_body());
        })
    })
}
