//! Clients that bring their secrets' hashes from another system, from the provisioning file to the token.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    AuthorizationServer, ClientRegistry, Config, MemoryStore, OpaqueIssuer, Provisioning, Request, TokenStore,
    handle_token_request, now,
};

const SECRET: &str = "k2HvY7-dQx_9LmZ0RtB4uw";

/// As costly as in use, and made by others: hashlib, passlib 1.7.4, argon2-cffi 25.1, Python's bcrypt 4.0.
const HASHES: &[(&str, &str)] = &[
    ("hydra", "$pbkdf2-sha256$i=25000,l=32$c2FsdHNhbHRzYWx0c2FsdA$cyZN4ANfKuJAgXTsFa+W/Kgxh1/J0dC5gSFrmxM5bko"),
    (
        "passlib",
        "$pbkdf2-sha512$25000$c2FsdHNhbHRzYWx0c2FsdA$5EOs0jXu.U3cyyPWq3/EbGIFfv2fptEJg/keMnHKqyqZa1PdC7iMEP13T2zbvOTKTazVoU/s9gW4DuvAXjqbXA",
    ),
    #[cfg(feature = "argon2")]
    ("argon2id", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Q+eCN23dqoNVG3NhyrHPmArL+rDdVcNafOCgJwEsLgM"),
    #[cfg(feature = "bcrypt")]
    ("bcrypt", "$2b$10$abcdefghijklmnopqrstuufBGtQ3ATU/TVMLVq5GySo2fYT8ZbOVW"),
    #[cfg(feature = "scrypt")]
    ("scrypt", "$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$T9GUH2SE95v31sZwarawBJbwqIaI1d8x0GT6pP53H6c"),
];

fn provisioning() -> Provisioning {
    let client = |(id, hash): &(&str, &str)| serde_json::json!({"client_id": id, "client_secret_hash": hash, "seacatauth_credentials": true, "scope": "read"});
    let clients: Vec<_> = HASHES.iter().map(client).collect();
    Provisioning::from_json(&serde_json::Value::from(clients).to_string()).unwrap()
}

/// Clients mint with the secrets that they have always had, before and after their hashes are upgraded.
async fn mint(store: impl ClientRegistry + TokenStore + Clone) {
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let server = server.with_hashes_upgraded();
    for upgraded in [HASHES.len(), 0] {
        for &(id, hash) in HASHES {
            let found = server.store().find_client(id).await.unwrap().unwrap();
            assert_eq!(found.client_secret_hash().unwrap().to_text() == hash, upgraded > 0);
            for (secret, status) in [(SECRET, 200), ("wrong", 401), ("", 401), (SECRET, 200)] {
                let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
                let request = Request::new("POST", now())
                    .header("Authorization", authorization.as_bytes())
                    .header("Content-Type", b"application/x-www-form-urlencoded")
                    .body(b"grant_type=client_credentials&scope=read");
                assert_eq!(handle_token_request(&server, &request).await.status(), status, "{id} {secret}");
            }
        }
        assert_eq!(server.upgrade_hashes(now()).await.unwrap(), upgraded);
    }
}

#[tokio::test]
async fn secrets_survive_the_move_into_memory() {
    mint(MemoryStore::from(provisioning())).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn secrets_survive_the_move_into_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = client_credentials::SqliteStore::open(&folder.path().join("clients.db")).await.unwrap();
    assert!(provisioning().register_in(&store).await.unwrap().is_empty());
    mint(store).await;
}

#[tokio::test]
async fn a_hash_that_cannot_be_read_says_what_is_missing() {
    for (hash, expected) in [
        ("$2b$10$abcdefghijklmnopqrstuufBGtQ3ATU/TVMLVq5GySo2fYT8ZbOV", "bcrypt"),
        ("$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$Q+eCN23dqoNVG3NhyrHPmArL+rDdVcNafOCgJwEsLgM", "argon2"),
        ("$scrypt$ln=30,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$T9GUH2SE95v31sZwarawBJbwqIaI1d8x0GT6pP53H6c", "scrypt"),
        ("$pbkdf2-sha256$i=25000,l=32$c2FsdHNhbHRzYWx0c2FsdA$cyZN4ANfKuJAgXTsFa", "PBKDF2"),
    ] {
        let file = serde_json::json!([{"client_id": "a", "client_secret_hash": hash}]);
        let error = Provisioning::from_json(&file.to_string()).unwrap_err();
        let text = error.to_string();
        assert!(error.path() == "clients[0].client_secret_hash" && text.contains(expected), "{text}");
        assert!(!text.contains("c2FsdHNhbHRzYWx0c2FsdA") && !text.contains("abcdefgh"), "{text}");
    }
}
