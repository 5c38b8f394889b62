//! All endpoints in actix-web, whose types are its own: what any host does by hand that has no `http` types.
//!
//!     cargo run --example actix -- 8080
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{
    error::Error,
    io::{self, Write as _},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer,
    http::StatusCode,
    web,
    web::{Data, Payload},
};
use client_credentials::{
    AuthorizationServer, Config, Endpoint, Endpoints, Error as Cause, MemoryStore, OpaqueIssuer, Provisioning, Reply,
    Request, handle_request, now,
};

type Server = AuthorizationServer<MemoryStore, OpaqueIssuer<MemoryStore>>;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
                       "seacatauth_credentials": true}]"#;
    let store = MemoryStore::from(Provisioning::from_json(clients)?);
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());

    let port: u16 = std::env::args().nth(1).unwrap_or_else(|| "8080".into()).parse()?;
    let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let address = listener.local_addr()?;
    let endpoints = Endpoints::new(format!("http://{address}"))?;
    println!("Listening on http://{address}. Mint a token with\n");
    let token = endpoints.url(Endpoint::Token).unwrap_or_default();
    println!("curl -u billing:an-example-that-nobody-should-use -d grant_type=client_credentials {token}");

    let (server, endpoints) = (Data::new(server), Data::new(endpoints));
    let app = move || App::new().app_data(server.clone()).app_data(endpoints.clone()).default_service(web::to(answer));
    Ok(HttpServer::new(app).workers(2).listen(listener)?.run().await?)
}

async fn answer(server: Data<Server>, endpoints: Data<Endpoints>, head: HttpRequest, body: Payload) -> HttpResponse {
    // Called when the body is there, so that the request is of that time.
    let request = || {
        let headers = head.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let (path, query) = (head.uri().path(), head.uri().query());
        Request::new(head.method().as_str(), now()).path(path).query(query).headers(headers)
    };
    let takes_body = endpoints.find(head.uri().path()).is_some_and(Endpoint::takes_body);
    let reply = if takes_body {
        // It refuses a longer one by its `Content-Length`, or reads as far as here.
        match body.to_bytes_limited(server.config().max_body_bytes()).await {
            Ok(Ok(body)) => handle_request(&server, &endpoints, &request().body(&body)).await,
            Ok(Err(_)) => Reply::error(Cause::IncompleteBody, server.config()),
            Err(_) => handle_request(&server, &endpoints, &request().oversized_body()).await,
        }
    } else {
        handle_request(&server, &endpoints, &request()).await
    };
    if let Some(cause) = reply.cause() {
        // Not `eprintln!`, which panics where nobody reads what it prints.
        let _ = writeln!(io::stderr(), "{} {cause}", reply.status());
    }
    let status = StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponseBuilder::new(status);
    for field in reply.headers() {
        response.append_header(field);
    }
    response.body(reply.into_body())
}
