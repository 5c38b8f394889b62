//! All endpoints in hyper, without a web framework.
//!
//!     cargo run --example hyper --features tower -- 8080
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{error::Error, time::Duration};

use client_credentials::{
    AuthorizationServer, AuthorizationService, Config, Endpoint, Endpoints, MemoryStore, OpaqueIssuer, Provisioning,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
                       "seacatauth_credentials": true}]"#;
    let store = MemoryStore::from(Provisioning::from_json(clients)?);
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());

    let port = std::env::args().nth(1).unwrap_or_else(|| "8080".into()).parse()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let endpoints = Endpoints::new(format!("http://{address}"))?;
    println!("Listening on http://{address}. Mint a token with\n");
    let token = endpoints.url(Endpoint::Token).unwrap_or_default();
    println!("curl -u billing:an-example-that-nobody-should-use -d grant_type=client_credentials {token}");

    let service = AuthorizationService::new(server, endpoints);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
            // A connection that fails is its peer's affair.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
