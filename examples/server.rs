//! A whole token endpoint at the address and path of SeaCat Auth's, over HTTPS, ready to be asked with curl.
//!
//!     cargo run --example server
//!     cargo run --example server -- --help
//!
//! Without `--clients` it makes a demo client and prints the command that mints a token with it.
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{StatusCode, request::Parts},
    response::Response,
    routing::any,
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use clap::{Parser, ValueEnum};
use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, Client, ClientSecret, ClientSecretHash, Config, Error as Cause, JwtIssuer,
    MemoryStore, OpaqueIssuer, Provisioning, RandomSource, Reply, Request, SigningAlgorithm, SigningKey,
    handle_token_request, now,
};
use config::{File, FileFormat};
use zeroize::Zeroizing;

/// The token endpoint of an OAuth 2.0 authorization server, at /openidconnect/token.
#[derive(Parser)]
struct Arguments {
    /// An INI file with a section [openidconnect].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A JSON file of clients and roles; without it there is one demo client.
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// Plain HTTP instead of HTTPS, for behind a proxy.
    #[arg(long)]
    http: bool,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3081")]
    listen: SocketAddr,
    /// The issuer in JWTs; by default the URL that it listens on.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The kind of token.
    #[arg(long, value_enum, default_value = "opaque")]
    token: Token,
    /// Where the certificate is kept that is made at the first start.
    #[arg(long, value_name = "DIR", default_value = ".client-credentials")]
    state: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Token {
    Opaque,
    Jwt,
}

type Server = AuthorizationServer<MemoryStore, AnyTokenIssuer>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let config = match &arguments.config {
        Some(path) => read_config(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => Config::default(),
    };
    let clients = arguments.clients.as_deref();
    let clients = clients.map(|path| read_clients(path).map_err(|error| format!("{}: {error}", path.display())));
    let store = clients.transpose()?;

    let listen = arguments.listen;
    let listener = TcpListener::bind(listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    let local = address.ip().is_loopback() || address.ip().is_unspecified();
    let host = if local { format!("localhost:{}", address.port()) } else { address.to_string() };
    let url = format!("{}://{host}", if arguments.http { "http" } else { "https" });
    let certificate = if arguments.http { None } else { Some(certificate(&arguments.state)?) };

    println!("Token endpoint: {url}/openidconnect/token");
    let mut curl = String::from("curl");
    if let Some((path, _)) = &certificate {
        println!("Certificate: {}", path.display());
        curl += &format!(" --cacert '{}'", path.display());
    }
    let store = match store {
        Some(store) => store,
        None => {
            let (store, secret) = demo()?;
            println!("Demo client, gone when the server stops. Mint a token with it:\n");
            println!("export CLIENT_ID=demo CLIENT_SECRET={}", secret.expose());
            println!("{curl} -X POST {url}/openidconnect/token \\");
            println!(r#"    -u "${{CLIENT_ID}}:${{CLIENT_SECRET}}" \"#);
            println!(r#"    -H "Content-Type: application/x-www-form-urlencoded" \"#);
            println!(r#"    --data "grant_type=client_credentials&scope=tenant:my-corporation""#);
            store
        }
    };
    let issuer = match arguments.token {
        Token::Opaque => AnyTokenIssuer::new(OpaqueIssuer::new(store.clone())),
        Token::Jwt => {
            let key = SigningKey::generate(SigningAlgorithm::EdDsa)?;
            println!("\nPublic key: {}", serde_json::to_string(key.public_jwk())?);
            AnyTokenIssuer::new(JwtIssuer::new(arguments.issuer.unwrap_or(url), key))
        }
    };

    let server = Arc::new(AuthorizationServer::new(store, issuer, config));
    let limit = DefaultBodyLimit::max(server.config().max_body_bytes());
    let app =
        Router::new().route("/openidconnect/token", any(token)).layer(limit).with_state(server).into_make_service();
    let handle = Handle::new();
    tokio::spawn(stop(handle.clone()));
    match certificate {
        Some((_, tls)) => axum_server::from_tcp_rustls(listener, tls)?.handle(handle).serve(app).await?,
        None => axum_server::from_tcp(listener)?.handle(handle).serve(app).await?,
    }
    println!("Stopped.");
    Ok(())
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

fn read_config(path: &Path) -> Result<Config, config::ConfigError> {
    config::Config::builder().add_source(File::from(path).format(FileFormat::Ini)).build()?.try_deserialize()
}

fn read_clients(path: &Path) -> Result<MemoryStore, Box<dyn Error>> {
    let file = Zeroizing::new(fs::read_to_string(path)?);
    Ok(MemoryStore::from(Provisioning::from_json(&file)?))
}

fn demo() -> Result<(MemoryStore, ClientSecret), Box<dyn Error>> {
    let random = RandomSource::default();
    let secret = ClientSecret::generate(&random)?;
    let hash = ClientSecretHash::generated(&secret, &random)?;
    let store = MemoryStore::default();
    let client = Client::builder("demo").client_secret_hash(hash).seacatauth_credentials(true);
    store.insert_client(client.tenant("my-corporation").build()?);
    Ok((store, secret))
}

/// The certificate for localhost, made when there is none yet, with a key that only its owner can read.
fn certificate(state: &Path) -> Result<(PathBuf, RustlsConfig), Box<dyn Error>> {
    fs::create_dir_all(state)?;
    let state = state.canonicalize()?;
    let (certificate, key) = (state.join("localhost.pem"), state.join("localhost.key"));
    if !certificate.exists() {
        let made = rcgen::generate_simple_self_signed(["localhost", "127.0.0.1", "::1"].map(String::from))?;
        // The certificate last, and each at once: a start that is cut short leaves nothing that looks finished.
        write_whole(&key, &Zeroizing::new(made.signing_key.serialize_pem()))?;
        write_whole(&certificate, &made.cert.pem())?;
    }
    let chain = rustls_pki_types::pem::PemObject::from_pem_file(&certificate)?;
    let key = rustls_pki_types::pem::PemObject::from_pem_file(&key)?;
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)?;
    Ok((certificate, RustlsConfig::from_config(Arc::new(tls))))
}

/// Writes a file that is new, whole and its owner's alone before it has its name.
fn write_whole(path: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM, then lets the requests under way finish.
async fn stop(handle: Handle<SocketAddr>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            },
            Err(_) => drop(tokio::signal::ctrl_c().await),
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
    handle.graceful_shutdown(Some(Duration::from_secs(10)));
}
