//! A host's own store: clients in a database of one's own, tokens as JWTs that nobody has to keep.
//!
//!     cargo run --example custom_store
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{collections::HashMap, error::Error, sync::Arc};

use client_credentials::{
    AuthorizationServer, BackendError, Client, ClientStore, Config, JwtIssuer, Request, Role, SigningAlgorithm,
    SigningKey, TokenEndpointAuthMethod, handle_token_request, now,
};

/// Stands for a table in the host's database.
struct Customers(HashMap<&'static str, Row>);

/// One row of it. The hash is the text of a `ClientSecretHash`.
struct Row {
    secret_hash: &'static str,
    company: &'static str,
}

impl ClientStore for Customers {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        // With a database: a query with `client_id` as its parameter, and `BackendError::new` for what goes wrong in it.
        self.0.get(client_id).map(|row| client(client_id, row).map(Arc::new)).transpose()
    }
}

fn client(client_id: &str, row: &Row) -> Result<Client, BackendError> {
    let role = [row.company, "reader"].join("/");
    Ok(Client::builder(client_id)
        .client_secret_hash(row.secret_hash.parse()?)
        .token_endpoint_auth_method(TokenEndpointAuthMethod::ClientSecretPost)
        .seacatauth_credentials(true)
        .tenant(row.company)
        .role(Role::new(&role, ["report:read"])?)
        .build()?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // The hash of "a-secret-for-an-example", made once with `ClientSecretHash::chosen` and kept in the row.
    let row = Row {
        secret_hash: "$pbkdf2-sha256$i=600000$SAd+AkOjNj6wLX0LFXoiwQ$Zcjxnl795jNABeNQB3uLNBRsRsET3EfNNm3eBpE4WT0",
        company: "acme",
    };
    let store = Customers(HashMap::from([("c-1001", row)]));
    let issuer = JwtIssuer::new("https://auth.example.com", SigningKey::generate(SigningAlgorithm::EdDsa)?);
    let server = AuthorizationServer::new(store, issuer, Config::default());

    let form = "grant_type=client_credentials&client_id=c-1001&client_secret=a-secret-for-an-example&scope=tenant:acme";
    let request =
        Request::new("POST", now()).header("Content-Type", b"application/x-www-form-urlencoded").body(form.as_bytes());
    let reply = handle_token_request(&server, &request).await;
    println!("{} {}", reply.status(), String::from_utf8_lossy(reply.body()));
    Ok(())
}
