//! A store of one's own, clients and opaque tokens both, with `HashMap`s in place of a database.
//!
//!     cargo run --example custom_store
//!
//! `tests/conformance.rs` runs this very store through the suites of the feature `test-util`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is the output; and only a panic poisons these locks")]

use std::{error::Error, sync::Arc};

use client_credentials::{
    AuthorizationServer, Client, Config, OpaqueIssuer, Request, Role, TokenEndpointAuthMethod, handle_token_request,
    now,
};
use store::MyStore;

pub(crate) mod store {
    use client_credentials::time::{self, OffsetDateTime as At};
    use client_credentials::{BackendError, Claims, Client, ClientId, ClientStore, TokenHash, TokenStore};
    use std::{
        collections::HashMap,
        sync::{Arc, RwLock},
    };

    // [store]
    #[derive(Default)]
    pub(crate) struct MyStore {
        clients: HashMap<String, Arc<Client>>,
        tokens: RwLock<HashMap<TokenHash, Claims>>,
        revoked: RwLock<HashMap<ClientId, At>>,
        denied: RwLock<HashMap<TokenHash, At>>,
    }
    impl ClientStore for MyStore {
        async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
            Ok(self.clients.get(client_id).cloned())
        }
    }
    impl MyStore {
        fn stands(&self, claims: &Claims) -> bool {
            Some(&claims.issued_at()) > self.revoked.read().unwrap().get(claims.client_id())
        }
    }
    impl TokenStore for MyStore {
        async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
            self.tokens.write().unwrap().insert(hash, claims);
            Ok(())
        }
        async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
            Ok(self.tokens.read().unwrap().get(hash).filter(|claims| self.stands(claims)).cloned())
        }
        async fn revoke(&self, hash: &TokenHash) -> Result<bool, BackendError> {
            Ok(self.tokens.write().unwrap().remove(hash).is_some_and(|claims| self.stands(&claims)))
        }
        async fn revoke_all(&self, client: &ClientId, at: At) -> Result<(), BackendError> {
            self.revoked.write().unwrap().entry(client.clone()).and_modify(|was| *was = at.max(*was)).or_insert(at);
            Ok(())
        }
        async fn deny(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
            Ok(self.denied.write().unwrap().insert(*jti, claims.expires_at() + time::Duration::MINUTE).is_none())
        }
        async fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
            Ok(self.denied.read().unwrap().contains_key(jti) || !self.stands(claims))
        }
        async fn list_tokens(&self, client: &ClientId, now: At) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
            let live = |c: &Claims| c.client_id() == client && c.expires_at() > now && self.stands(c);
            let tokens = self.tokens.read().unwrap();
            Ok(tokens.iter().filter(|(_, claims)| live(claims)).map(|(hash, claims)| (*hash, claims.clone())).collect())
        }
        async fn purge_expired(&self, now: At, most: usize) -> Result<usize, BackendError> {
            let denied = self.denied.write().unwrap().extract_if(|_, until| *until <= now).take(most).count();
            let expired = |_: &_, claims: &mut Claims| claims.expires_at() <= now;
            Ok(denied + self.tokens.write().unwrap().extract_if(expired).take(most - denied).count())
        }
    }
    // [end]

    impl FromIterator<Client> for MyStore {
        fn from_iter<I: IntoIterator<Item = Client>>(clients: I) -> Self {
            let clients = clients.into_iter().map(|client| (client.client_id().to_string(), Arc::new(client)));
            Self { clients: clients.collect(), ..Self::default() }
        }
    }
}

fn client() -> Result<Client, Box<dyn Error>> {
    // Of "a-secret-for-an-example"; made once with `ClientSecretHash::chosen`, and kept as this text.
    let hash = "$pbkdf2-sha256$i=600000$SAd+AkOjNj6wLX0LFXoiwQ$Zcjxnl795jNABeNQB3uLNBRsRsET3EfNNm3eBpE4WT0";
    Ok(Client::builder("c-1001")
        .client_secret_hash(hash.parse()?)
        .token_endpoint_auth_method(TokenEndpointAuthMethod::ClientSecretPost)
        .seacatauth_credentials(true)
        .tenant("acme")
        .role(Role::new("acme/reader", ["report:read"])?)
        .build()?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Arc::new(MyStore::from_iter([client()?]));
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());

    let form = "grant_type=client_credentials&client_id=c-1001&client_secret=a-secret-for-an-example&scope=tenant:acme";
    let request =
        Request::new("POST", now()).header("Content-Type", b"application/x-www-form-urlencoded").body(form.as_bytes());
    let reply = handle_token_request(&server, &request).await;
    println!("{} {}", reply.status(), String::from_utf8_lossy(reply.body()));
    Ok(())
}
