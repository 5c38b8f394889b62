//! All endpoints in an axum service, with a log of what goes wrong.
//!
//!     cargo run --example axum --features tower -- 127.0.0.1:8080
//!     curl -u billing:an-example-that-nobody-should-use -d grant_type=client_credentials http://127.0.0.1:8080/openidconnect/token
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    middleware::{map_request, map_response},
    response::Response,
    routing::get,
};
use client_credentials::{
    AuthorizationServer, AuthorizationService, Config, Endpoints, Error as Cause, MemoryStore, OpaqueIssuer,
    Provisioning, Source, Throttle,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
                       "seacatauth_credentials": true}]"#;
    let store = MemoryStore::from(Provisioning::from_json(clients)?);
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let server = server.with_throttle(Throttle::default());

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let listener = TcpListener::bind(address).await?;
    let port = listener.local_addr()?.port();
    let service = AuthorizationService::new(server, Endpoints::new(format!("http://localhost:{port}"))?);
    // Whatever else the host has comes first. What it has not is the service's to answer.
    let app = Router::new().route("/health", get(|| async { "OK" })).fallback_service(service);
    let app = app.layer(map_response(log)).layer(map_request(name_source));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();

    println!("http://{}/openidconnect/token", listener.local_addr()?);
    let stop = async {
        tokio::signal::ctrl_c().await.ok();
    };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}

/// Tells the service where a request comes from. Behind a proxy, take what that says instead, from a header that nobody else can
/// set.
async fn name_source(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
    request.extensions_mut().insert(Source(peer.ip()));
    request
}

/// The cause of a refusal is in the response, and goes no further than here.
async fn log(response: Response) -> Response {
    if let Some(cause) = response.extensions().get::<Cause>() {
        let source = cause.source().map(|source| format!(": {source}")).unwrap_or_default();
        // Not `eprintln!`, which panics where nobody reads what it prints.
        let _ = writeln!(io::stderr(), "{} {cause}{source}", response.status());
    }
    response
}
