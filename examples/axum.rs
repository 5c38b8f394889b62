//! A token endpoint in an axum service.
//!
//!     cargo run --example axum -- 127.0.0.1:8080
//!     curl -u billing:an-example-that-nobody-should-use -d grant_type=client_credentials http://127.0.0.1:8080/openidconnect/token
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{
    error::Error,
    io::{self, Write as _},
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{StatusCode, request::Parts},
    response::Response,
    routing::any,
};
use client_credentials::{
    AuthorizationServer, Config, Error as Cause, MemoryStore, OpaqueIssuer, Provisioning, Reply, Request,
    handle_token_request, now,
};
use tokio::net::TcpListener;

type Server = AuthorizationServer<MemoryStore, OpaqueIssuer<MemoryStore>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
                       "seacatauth_credentials": true}]"#;
    let store = MemoryStore::from(Provisioning::from_json(clients)?);
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());

    // Any method: it is the endpoint that answers the wrong ones, with 405 in the form of the others.
    let limit = DefaultBodyLimit::max(server.config().max_body_bytes());
    let app = Router::new().route("/openidconnect/token", any(token)).layer(limit).with_state(Arc::new(server));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/openidconnect/token", listener.local_addr()?);
    let stop = async {
        tokio::signal::ctrl_c().await.ok();
    };
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}

async fn token(State(server): State<Arc<Server>>, head: Parts, body: Result<Bytes, BytesRejection>) -> Response {
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let request = Request::new(head.method.as_str(), now()).query(head.uri.query()).headers(headers);
    let reply = match &body {
        Ok(body) => handle_token_request(&server, &request.body(body)).await,
        Err(rejected) if rejected.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            handle_token_request(&server, &request.oversized_body()).await
        }
        Err(_) => Reply::error(Cause::MalformedForm, server.config()),
    };
    if let Some(cause) = reply.cause() {
        let source = cause.source().map(|source| format!(": {source}")).unwrap_or_default();
        // Not `eprintln!`, which panics where nobody reads what it prints.
        let _ = writeln!(io::stderr(), "{} {cause}{source}", reply.status());
    }
    let response = Response::builder().status(reply.status());
    let response = reply.headers().fold(response, |response, (name, value)| response.header(name, value));
    response.body(Body::from(reply.into_body())).unwrap_or_default()
}
