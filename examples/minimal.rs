//! The README's example: a token in process, and a token endpoint in axum.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is the output, and brevity is the point")]

mod in_process {
    // [in process]
    use client_credentials::*;

    pub(crate) async fn mint() -> Result<Reply, ProvisioningError> {
        let clients = r#"[{"client_id": "billing", "client_secret": "an-example-that-nobody-should-use",
            "token_endpoint_auth_method": "client_secret_post", "seacatauth_credentials": true}]"#;
        let store = MemoryStore::from(Provisioning::from_json(clients)?);
        let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
        let form = b"grant_type=client_credentials&client_id=billing&client_secret=an-example-that-nobody-should-use";
        let request =
            Request::new("POST", now()).header("Content-Type", b"application/x-www-form-urlencoded").body(form);
        Ok(handle_token_request(&server, &request).await)
    }
    // [end]
}

mod in_axum {
    // [in axum]
    use axum::{Router, body::Bytes, extract::State, http, response::Response, routing::any};
    use client_credentials::*;
    use std::sync::Arc;

    type Server = AuthorizationServer<MemoryStore, OpaqueIssuer<MemoryStore>>;

    pub(crate) fn app(server: Server) -> Router {
        Router::new().route("/openidconnect/token", any(token)).with_state(Arc::new(server))
    }

    async fn token(State(server): State<Arc<Server>>, head: http::request::Parts, body: Bytes) -> Response {
        let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let request = Request::new(head.method.as_str(), now()).query(head.uri.query()).headers(headers).body(&body);
        let reply = handle_token_request(&server, &request).await;
        let response = http::Response::builder().status(reply.status());
        let response = reply.headers().fold(response, |response, (name, value)| response.header(name, value));
        response.body(reply.into_body().into()).unwrap()
    }
    // [end]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reply = in_process::mint().await?;
    println!("{} {}", reply.status(), String::from_utf8_lossy(reply.body()));

    let store = client_credentials::MemoryStore::default();
    let issuer = client_credentials::OpaqueIssuer::new(store.clone());
    let app = in_axum::app(client_credentials::AuthorizationServer::new(store, issuer, Default::default()));
    println!("{app:?}");
    Ok(())
}
