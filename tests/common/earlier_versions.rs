//! What is in a database that an earlier version of the tables was made for, and what has to be there afterwards.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::time::Duration;

use client_credentials::{
    Claims, Client, ClientRegistry, ClientSecretHash, Role, TokenHash, TokenStore, now, time::OffsetDateTime,
};

/// What the first version has put into its tables: all but a token, whose hash the databases spell differently. That is of zeros.
pub(crate) const ROWS: &str = r#"
    INSERT INTO client VALUES ('a', 'A', 7, '{"client_id":"a","client_name":"A","token_endpoint_auth_method":"client_secret_basic","client_secret_hash":"$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM","client_secret_expires_at":2000000000,"seacatauth_credentials":true,"scope":"read","tenants":["acme"],"roles":["acme/editor"]}');
    INSERT INTO client VALUES ('b', NULL, 8, '{"client_id":"b","token_endpoint_auth_method":"client_secret_basic","client_secret_hash":"$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM","seacatauth_credentials":false,"tenants":[],"roles":[]}');
    INSERT INTO client VALUES ('c', '"client_secret_hash":', 9, '{"client_id":"c","client_name":"\"client_secret_hash\":","token_endpoint_auth_method":"client_secret_basic","client_secret_expires_at":2000000000,"seacatauth_credentials":false,"tenants":[],"roles":[]}');
    INSERT INTO role VALUES ('acme/editor', '["edit"]');
    INSERT INTO tenant VALUES ('acme');
"#;

/// What the second version has made of that, and a use of its own.
pub(crate) const SECOND_ROWS: &str = r#"
    UPDATE client SET stored = '{"client_id":"a","client_name":"A","token_endpoint_auth_method":"client_secret_basic","client_secrets":[{"hash":"$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM","expires_at":2000000000}],"seacatauth_credentials":true,"scope":"read","tenants":["acme"],"roles":["acme/editor"]}' WHERE client_id = 'a';
    UPDATE client SET stored = '{"client_id":"b","token_endpoint_auth_method":"client_secret_basic","client_secrets":[{"hash":"$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM"}],"seacatauth_credentials":false,"tenants":[],"roles":[]}' WHERE client_id = 'b';
    UPDATE client SET stored = '{"client_id":"c","client_name":"\"client_secret_hash\":","token_endpoint_auth_method":"client_secret_basic","seacatauth_credentials":false,"tenants":[],"roles":[]}' WHERE client_id = 'c';
    INSERT INTO last_use VALUES ('used', 1000000000);
"#;

/// All of it is there, and tokens of today can be kept under `hash` or denied by it.
pub(crate) async fn is_up_to_date(store: &(impl ClientRegistry + TokenStore), hash: TokenHash) {
    let secret: ClientSecretHash =
        "$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM".parse().unwrap();
    let until = OffsetDateTime::from_unix_timestamp(2_000_000_000).unwrap();
    let a = Client::builder("a").client_name("A").client_secret_hash(secret.clone()).client_secret_expires_at(until);
    let a = a.seacatauth_credentials(true).scope("read").tenant("acme");
    let a = a.role(Role::new("acme/editor", ["edit"]).unwrap());
    let b = Client::builder("b").client_secret_hash(secret);
    let c = Client::builder("c").client_name("\"client_secret_hash\":");
    for client in [a, b, c].map(|client| client.build().unwrap()) {
        let found = store.find_client(client.client_id().as_str()).await.unwrap();
        assert_eq!(found.as_deref(), Some(&client));
    }
    let token = store.find(&TokenHash::from_bytes([0; 32])).await.unwrap().unwrap();
    assert!(token.scope().is_some_and(|scope| scope.as_str() == "read") && token.api_key_label().is_none());
    assert!(token.audience().is_empty() && !store.is_denied(&hash, &token).await.unwrap());
    let claims = Claims::new("a".parse().unwrap(), now(), now() + Duration::from_secs(60));
    assert!(store.deny(&hash, &claims).await.unwrap() && store.is_denied(&hash, &claims).await.unwrap());
    let claims = claims.with_api_key_label("deploy".to_owned()).with_audience(["billing"]);
    store.insert(hash, claims).await.unwrap();
    let found = store.find(&hash).await.unwrap().unwrap();
    assert_eq!((found.api_key_label(), found.audience()), (Some("deploy"), &["billing".to_owned()][..]));
}
