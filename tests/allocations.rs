//! How much a mint allocates: what no clock has to be asked for, and so the guard that it does not grow unnoticed.
#![allow(clippy::unwrap_used, reason = "tests may")]

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::{AllocationInfo, measure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    AuthorizationServer, Client, ClientSecret, ClientSecretHash, Config, JwtIssuer, MemoryStore, OpaqueIssuer,
    RandomSource, Request, SealedIssuer, SealingKey, SigningAlgorithm, SigningKey, TokenIssuer, handle_token_request,
    now,
};

const SECRET: &str = "k2HvY7-dQx_9LmZ0RtB4uw";
const MINTS: u64 = 4096;

/// Of `MINTS` mints, once everything that is made once is made.
fn mints(store: &MemoryStore, issuer: impl TokenIssuer) -> AllocationInfo {
    let server = AuthorizationServer::new(store.clone(), issuer, Config::default());
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("billing:{SECRET}")));
    let mut clock = now();
    let mut mint = || {
        // So that as many tokens expire as are issued, after a while.
        clock += Duration::from_millis(100);
        let request = Request::new("POST", clock)
            .header("Authorization", authorization.as_bytes())
            .header("Content-Type", b"application/x-www-form-urlencoded")
            .body(b"grant_type=client_credentials&scope=tenant:my-corporation");
        let mint = pin!(handle_token_request(&server, &request));
        let Poll::Ready(reply) = mint.poll(&mut Context::from_waker(Waker::noop())) else {
            unreachable!("nothing in memory ever waits")
        };
        assert_eq!(reply.status(), 200);
    };
    (0..MINTS).for_each(|_| mint());
    measure(|| (0..MINTS).for_each(|_| mint()))
}

fn store() -> MemoryStore {
    let store = MemoryStore::default();
    let hash = ClientSecretHash::generated(&ClientSecret::new(SECRET.into()), &RandomSource::default()).unwrap();
    let client = Client::builder("billing").client_secret_hash(hash).seacatauth_credentials(true);
    store.insert_client(client.tenant("my-corporation").build().unwrap());
    store
}

#[test]
fn a_mint_allocates_no_more_than_it_did() {
    let (store, url) = (store(), "https://localhost:3081");
    let jwt = |algorithm| JwtIssuer::new(url, SigningKey::generate(algorithm).unwrap());
    #[cfg(feature = "aws-lc-rs")]
    let aws_lc = JwtIssuer::new(url, client_credentials::AwsLcSigningKey::generate(SigningAlgorithm::EdDsa).unwrap());
    let sealed = SealedIssuer::new(url, SealingKey::generate(&RandomSource::default()).unwrap());
    // The credentials, the token, the body; for an opaque one now and then more room for its row, for a sealed one what is
    // sealed, for a JWT its payload and what signs, where AWS-LC gives the signature on the heap.
    for (name, mints, allocations, bytes) in [
        ("opaque", mints(&store, OpaqueIssuer::new(store.clone())), 3.5, 350),
        ("sealed", mints(&store, sealed), 4.0, 700),
        ("EdDSA", mints(&store, jwt(SigningAlgorithm::EdDsa)), 7.0, 3200),
        ("ES256", mints(&store, jwt(SigningAlgorithm::Es256)), 7.0, 3200),
        #[cfg(feature = "aws-lc-rs")]
        ("EdDSA by AWS-LC", mints(&store, aws_lc), 8.0, 3200),
    ] {
        let (each, bytes_each) = (mints.count_total as f64 / MINTS as f64, mints.bytes_total / MINTS);
        println!("{name}: {each:.2} allocations of {bytes_each} bytes together");
        assert!(each <= allocations, "{name}: {each} allocations");
        assert!(bytes_each <= bytes, "{name}: {bytes_each} bytes");
        assert!(mints.bytes_current < 64 * 1024, "{name}: {} bytes are kept", mints.bytes_current);
    }
}
