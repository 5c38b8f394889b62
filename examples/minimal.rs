//! The README's example: a token in process, and all endpoints in axum.
#![allow(clippy::print_stdout, reason = "it is the output, and brevity is the point")]

mod in_process {
    // [in process]
    use client_credentials::*;

    pub(crate) async fn mint() -> Result<Reply, ProvisioningError> {
        let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
            "token_endpoint_auth_method": "client_secret_post", "seacatauth_credentials": true}]"#;
        let store = MemoryStore::from(Provisioning::from_json(clients)?);
        let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
        let form = b"grant_type=client_credentials&client_id=billing&client_secret=an-example-that-nobody-should-use";
        let post = Request::new("POST", now()).header("Content-Type", b"application/x-www-form-urlencoded").body(form);
        Ok(handle_token_request(&server, &post).await)
    }
    // [end]
}

mod in_axum {
    // [in axum]
    use axum::Router;
    use client_credentials::*;

    type Server = AuthorizationServer<MemoryStore, OpaqueIssuer<MemoryStore>>;

    pub(crate) fn app(server: Server) -> Result<Router, EndpointError> {
        let endpoints = Endpoints::new("https://auth.example.com")?;
        Ok(Router::new().fallback_service(AuthorizationService::new(server, endpoints)))
    }
    // [end]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    use client_credentials::{AuthorizationServer, Config, MemoryStore, OpaqueIssuer};

    let reply = in_process::mint().await?;
    println!("{} {}\n", reply.status(), String::from_utf8_lossy(reply.body()));

    let store = MemoryStore::default();
    let app = in_axum::app(AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default()))?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, app).into_future());
    println!("{}", tokio::task::spawn_blocking(move || ask(address)).await??);
    Ok(())
}

/// Asks without any credentials, and so is refused.
fn ask(address: std::net::SocketAddr) -> std::io::Result<String> {
    use std::io::Write as _;

    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(
        b"POST /openidconnect/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
          Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n\r\ngrant_type=client_credentials",
    )?;
    std::io::read_to_string(stream)
}
