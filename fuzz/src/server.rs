//! A server with a few clients, the same at each run: its time stands still, and its randomness is counted.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, Client, ClientId, Config, Endpoint, Endpoints, JwtIssuer, KeySet,
    MemoryCounters, MemoryStore, OpaqueIssuer, Provisioning, Quota, Quotas, RandomSource, SealedIssuer, SealingKey,
    SigningAlgorithm, SigningKey, TenantName, Throttle, time::OffsetDateTime,
};

/// A server of any kind of token.
pub type Server = AuthorizationServer<MemoryStore, AnyTokenIssuer>;

/// The secret of every client.
pub const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// The issuer identifier.
pub const ISSUER: &str = "https://auth.example.com";

/// The kind of token that a server issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    Opaque,
    Jwt,
    Sealed,
}

/// The time of every request.
pub fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

/// Bytes that nobody has had before, and that come again when the run does.
pub fn random() -> RandomSource {
    let count = AtomicU64::new(1);
    RandomSource::from_fn(move |bytes| {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64.
            let mut z = count.fetch_add(1, Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    })
}

/// A client with roles, one without, one that posts its secret, and those who may do more.
pub fn clients() -> &'static Provisioning {
    static CLIENTS: LazyLock<Provisioning> = LazyLock::new(|| {
        let json = r#"{
            "tenants": ["existing"],
            "roles": {
                "*/reader": ["report:read"],
                "*/introspector": ["seacat:token:introspect"],
                "*/doorkeeper": ["authz:tenant:access"],
                "acme/editor": ["report:edit"],
                "acme/manager": ["seacat:role:edit", "seacat:role:assign", "seacat:tenant:assign", "seacat:role:access"]
            },
            "clients": [
                {"client_id": "basic", "client_secret": "SECRET", "seacatauth_credentials": true, "scope": "read write",
                 "tenants": ["acme", "bolt"], "roles": ["*/reader", "acme/editor"]},
                {"client_id": "plain", "client_secret": "SECRET", "seacatauth_credentials": true, "scope": "read write"},
                {"client_id": "post", "client_secret": "SECRET", "seacatauth_credentials": true,
                 "token_endpoint_auth_method": "client_secret_post", "default_scope": "tenant:*", "tenants": ["acme"]},
                {"client_id": "api", "client_secret": "SECRET", "seacatauth_credentials": true, "scope": "read",
                 "audience": ["api", "https://api.example.com/v1"], "roles": ["*/introspector"]},
                {"client_id": "doorkeeper", "client_secret": "SECRET", "seacatauth_credentials": true,
                 "roles": ["*/doorkeeper"]},
                {"client_id": "manager", "client_secret": "SECRET", "seacatauth_credentials": true, "tenants": ["acme"],
                 "roles": ["acme/manager"]},
                {"client_id": "disabled", "client_secret": "SECRET"},
                {"client_id": "superuser", "client_secret": "SECRET", "seacatauth_credentials": true,
                 "roles": ["*/superuser"]}
            ]
        }"#;
        Provisioning::from_json(&json.replace("SECRET", SECRET)).unwrap()
    });
    &CLIENTS
}

/// The key that signs JWTs.
pub fn signing_key() -> SigningKey {
    SigningKey::from_pkcs8_pem(SigningAlgorithm::EdDsa, include_bytes!("../../tests/keys/ed25519.pem")).unwrap()
}

/// An issuer of this kind over this store.
pub fn issuer(kind: Issuer, store: &MemoryStore) -> AnyTokenIssuer {
    static JWT: LazyLock<AnyTokenIssuer> =
        LazyLock::new(|| AnyTokenIssuer::new(JwtIssuer::new(ISSUER, signing_key()).with_random(random())));
    static SEALED: LazyLock<AnyTokenIssuer> = LazyLock::new(|| {
        let keys = KeySet::from(SealingKey::from_bytes(&[7; 32]));
        AnyTokenIssuer::new(Arc::new(SealedIssuer::new(ISSUER, keys).with_random(random())))
    });
    match kind {
        Issuer::Opaque => AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()).with_random(random())),
        Issuer::Jwt => JWT.clone(),
        Issuer::Sealed => SEALED.clone(),
    }
}

/// A server that has these clients and has not been asked anything.
pub fn serve<'a>(kind: Issuer, clients: impl IntoIterator<Item = &'a Client>) -> Server {
    serve_as(Config::default(), kind, clients)
}

/// The same as an operator has set it.
pub fn serve_as<'a>(config: Config, kind: Issuer, clients: impl IntoIterator<Item = &'a Client>) -> Server {
    let store = MemoryStore::default();
    for client in clients {
        store.insert_client(client.clone());
    }
    self::clients().roles().for_each(|role| store.insert_role(role));
    store.insert_tenant(TenantName::parse("existing").unwrap());
    let issuer = issuer(kind, &store);
    AuthorizationServer::new(store, issuer, config).with_random(random()).with_uses_noted().with_misspellings_noted()
}

/// A server where few failures make wait, and few tokens are too many.
pub(crate) fn serve_limited(kind: Issuer) -> Server {
    let config = Config::default().with_max_failures_per_client(2).with_max_failures_per_source(3);
    let quota = |tokens| Quota::per_hour(tokens).unwrap();
    let quotas = Quotas::default()
        .with_default(quota(2))
        .with_client(ClientId::parse("superuser").unwrap(), None)
        .with_client(ClientId::parse("post").unwrap(), Quota::per_day(1).unwrap())
        .with_tenant(TenantName::parse("acme").unwrap(), quota(3));
    serve_as(config, kind, clients().clients())
        .with_throttle(Throttle::with_capacity(64))
        .with_quotas(quotas, MemoryCounters::default())
}

/// Where its endpoints are.
pub fn endpoints() -> &'static Endpoints {
    static ENDPOINTS: LazyLock<Endpoints> = LazyLock::new(|| {
        let endpoints = Endpoints::new(ISSUER).unwrap().with_another(Endpoint::Token, "/token").unwrap();
        // It is made once, and is no part of any request.
        assert!(!endpoints.openapi().is_empty());
        endpoints
    });
    &ENDPOINTS
}
