//! An API that trusts the tokens of an authorization server elsewhere, such as the example `server`.
//!
//!     cargo run --example protected_api --features tower,reqwest -- --issuer https://localhost:3081 \
//!         --cacert .client-credentials/localhost.pem
//!
//! checks JWTs by the public keys, which it finds by the issuer's metadata. Tokens of any kind, and whether they have been revoked, it
//! learns by asking the server, with the credentials of a client of its own:
//!
//!     export CLIENT_ID=… CLIENT_SECRET=…
//!     cargo run --example protected_api --features tower,reqwest -- --cacert .client-credentials/localhost.pem \
//!         --introspection https://localhost:3081/openidconnect/introspect
//!
//! `GET /whoami` takes any token; `GET /{tenant}/report` one that is for the tenant.
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{error::Error, fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use clap::Parser;
use client_credentials::{
    AnyTokenVerifier, Claims, ClientId, ClientSecret, Config, IntrospectionVerifier, JwksVerifier, Requirements,
    ResourceServer, ResourceServerLayer, Scope, http_client_builder, reqwest,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// An API that takes bearer tokens.
#[derive(Parser)]
struct Arguments {
    /// Takes JWTs of this issuer, and finds its keys by its metadata.
    #[arg(long, value_name = "URL", required_unless_present = "introspection")]
    issuer: Option<String>,
    /// Asks this endpoint about each token, as the client CLIENT_ID with the secret CLIENT_SECRET.
    #[arg(long, value_name = "URL", conflicts_with = "issuer", requires = "client_id", requires = "client_secret")]
    introspection: Option<String>,
    /// The client that asks.
    #[arg(long, env, value_name = "ID")]
    client_id: Option<String>,
    /// Its secret. Give it by the environment: others can see the arguments of a program.
    #[arg(long, env, hide_env_values = true, value_name = "SECRET")]
    client_secret: Option<String>,
    /// For how many seconds an answer counts, and a revoked token passes.
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    cache: u64,
    /// The name of this API: takes only tokens whose client has named it (RFC 8707).
    #[arg(long, value_name = "API")]
    audience: Option<String>,
    /// The certificate of the server, if it is one of its own making.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3082")]
    listen: SocketAddr,
}

type Api = Arc<ResourceServer<AnyTokenVerifier>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    // reqwest takes the one that is installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = http_client_builder();
    if let Some(path) = &arguments.cacert {
        client = client.tls_certs_only([reqwest::Certificate::from_pem(&fs::read(path)?)?]);
    }
    let tokens = tokens(&arguments, client.build()?).await?;
    let api = ResourceServer::new(tokens, Config::default());
    let api = Arc::new(match arguments.audience {
        Some(audience) => api.with_audience(audience),
        None => api,
    });

    let app = Router::new()
        .route("/whoami", get(whoami))
        .route("/{tenant}/report", get(report))
        .layer(ResourceServerLayer::new(api.clone(), Requirements::default()))
        .with_state(api);
    let listener = TcpListener::bind(arguments.listen).await?;
    println!("Listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// What tells whether a token counts.
async fn tokens(arguments: &Arguments, client: reqwest::Client) -> Result<AnyTokenVerifier, Box<dyn Error>> {
    Ok(match (&arguments.introspection, &arguments.client_id, &arguments.client_secret) {
        (Some(endpoint), Some(client_id), Some(client_secret)) => {
            let (id, secret) = (ClientId::parse(client_id.as_str())?, ClientSecret::new(client_secret.clone()));
            let verifier = IntrospectionVerifier::new(endpoint, &id, &secret, client)?;
            AnyTokenVerifier::new(verifier.with_cache_expiration(Duration::from_secs(arguments.cache)))
        }
        _ => {
            let issuer = arguments.issuer.as_deref().unwrap_or_default();
            AnyTokenVerifier::new(JwksVerifier::discover(issuer, client).await?)
        }
    })
}

/// The layer has put there what the token says.
async fn whoami(Extension(claims): Extension<Claims>) -> Json<Value> {
    Json(json!({"client_id": claims.client_id().as_str(), "scope": claims.scope().map(Scope::as_str)}))
}

/// What is required here depends on the path, so the handler asks for it.
async fn report(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Extension(claims): Extension<Claims>,
) -> Result<Json<Value>, Response> {
    let required = Requirements::default().tenant(&tenant).map_err(|_| StatusCode::NOT_FOUND.into_response())?;
    required.check(&claims).map_err(|cause| Response::from(api.refuse(cause, &required)))?;
    Ok(Json(json!({"tenant": tenant, "for": claims.client_id().as_str()})))
}
