//! A whole token endpoint at the address and path of SeaCat Auth's, over HTTPS, ready to be asked with curl.
//!
//!     cargo run --example server
//!     cargo run --example server --features sqlite,postgres,cached
//!     cargo run --example server -- --help
//!
//! Without `--clients` it makes a demo client where there is none at all, and prints the command that mints a token with it.
//! With the feature `sqlite` clients and tokens are in a file unless `--database` says otherwise, and are still there after
//! the next start. With the feature `cached` the clients of a database are kept in memory for the `cache_expiration` of the
//! configuration.
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    str::FromStr,
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
#[cfg(feature = "cached")]
use client_credentials::Cached;
#[cfg(feature = "postgres")]
use client_credentials::PostgresStore;
#[cfg(feature = "sqlite")]
use client_credentials::SqliteStore;
use client_credentials::{
    AnyClientStore, AnyTokenIssuer, AnyTokenStore, AuthorizationServer, Client, ClientRegistry, ClientSecret,
    ClientSecretHash, Config, Error as Cause, JwtIssuer, MemoryStore, OpaqueIssuer, Provisioning, RandomSource,
    Registered, Reply, Request, SigningAlgorithm, SigningKey, TokenStore, handle_token_request, now,
};
use config::{File, FileFormat};
use zeroize::Zeroizing;

/// The token endpoint of an OAuth 2.0 authorization server, at /openidconnect/token.
#[derive(Parser)]
struct Arguments {
    /// An INI file with a section [openidconnect], and [seacatauth:client] for the `cache_expiration`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A JSON file of clients and roles, to be added to those that are there; where there are none, without it, there is one
    /// demo client.
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// Where clients and tokens are kept: `memory`, `sqlite:FILE`, or a URL `postgres://…` (with the password in PGPASSWORD);
    /// by default the file `clients.db` in the folder of `--state`, or memory without the feature `sqlite`.
    #[arg(long, value_name = "DATABASE")]
    database: Option<Database>,
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
    /// Where the certificate and the database are kept that are made at the first start.
    #[arg(long, value_name = "DIR", default_value = ".client-credentials")]
    state: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Token {
    Opaque,
    Jwt,
}

/// Where clients and tokens are kept.
#[derive(Clone, Debug)]
enum Database {
    Memory,
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
}

impl FromStr for Database {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            #[cfg(feature = "sqlite")]
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            #[cfg(feature = "postgres")]
            Some(("postgres", _)) => Ok(Self::Postgres(text.into())),
            _ => Err("it is `memory`, or with the Cargo feature of that name `sqlite:FILE` or `postgres://…`"),
        }
    }
}

/// The clients, the tokens, and the secret of the demo client if it was made just now.
type Opened = (AnyClientStore, AnyTokenStore, Option<ClientSecret>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let config = match &arguments.config {
        Some(path) => read_config(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => Config::default(),
    };
    let clients = arguments.clients.as_deref();
    let clients = clients.map(|path| read_clients(path).map_err(|error| format!("{}: {error}", path.display())));
    let clients = clients.transpose()?;

    let listen = arguments.listen;
    let listener = TcpListener::bind(listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    let local = address.ip().is_loopback() || address.ip().is_unspecified();
    let host = if local { format!("localhost:{}", address.port()) } else { address.to_string() };
    let url = format!("{}://{host}", if arguments.http { "http" } else { "https" });
    fs::create_dir_all(&arguments.state)?;
    let certificate = if arguments.http { None } else { Some(certificate(&arguments.state)?) };

    // Last of all that can fail, since a secret that is made now is shown only now.
    #[cfg(feature = "sqlite")]
    let default = || Database::Sqlite(arguments.state.join("clients.db"));
    #[cfg(not(feature = "sqlite"))]
    let default = || Database::Memory;
    let database = arguments.database.unwrap_or_else(default);
    #[cfg(feature = "cached")]
    let is_memory = matches!(database, Database::Memory);
    let (store, tokens, demo) = open(database, clients.as_ref()).await?;
    #[cfg(feature = "cached")]
    let store = if is_memory {
        store
    } else {
        AnyClientStore::new(Cached::new(store).with_cache_expiration(config.cache_expiration()))
    };

    println!("Token endpoint: {url}/openidconnect/token");
    let mut curl = String::from("curl");
    if let Some((path, _)) = &certificate {
        println!("Certificate: {}", path.display());
        curl += &format!(" --cacert '{}'", path.display());
    }
    if let Some(secret) = demo {
        println!("Demo client, whose secret is shown only now. Mint a token with it:\n");
        println!("export CLIENT_ID=demo CLIENT_SECRET={}", secret.expose());
        println!("{curl} -X POST {url}/openidconnect/token \\");
        println!(r#"    -u "${{CLIENT_ID}}:${{CLIENT_SECRET}}" \"#);
        println!(r#"    -H "Content-Type: application/x-www-form-urlencoded" \"#);
        println!(r#"    --data "grant_type=client_credentials&scope=tenant:my-corporation""#);
    }
    let issuer = match arguments.token {
        Token::Opaque => AnyTokenIssuer::new(OpaqueIssuer::new(tokens.clone())),
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
    tokio::spawn(purge(tokens));
    match certificate {
        Some((_, tls)) => axum_server::from_tcp_rustls(listener, tls)?.handle(handle).serve(app).await?,
        None => axum_server::from_tcp(listener)?.handle(handle).serve(app).await?,
    }
    println!("Stopped.");
    Ok(())
}

async fn token(
    State(server): State<Arc<AuthorizationServer>>,
    head: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Response {
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

fn read_clients(path: &Path) -> Result<Provisioning, Box<dyn Error>> {
    let file = Zeroizing::new(fs::read_to_string(path)?);
    Ok(Provisioning::from_json(&file)?)
}

async fn open(database: Database, clients: Option<&Provisioning>) -> Result<Opened, Box<dyn Error>> {
    match database {
        Database::Memory => {
            println!("Database: memory, gone when the server stops");
            fill(MemoryStore::default(), clients).await
        }
        #[cfg(feature = "sqlite")]
        Database::Sqlite(path) => {
            let store = SqliteStore::open(&path).await?;
            println!("Database: {}", path.display());
            fill(store, clients).await
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(url) => {
            let store = PostgresStore::connect(&url).await?;
            // Without the URL, which may have a password in it.
            println!("Database: PostgreSQL");
            fill(store, clients).await
        }
    }
}

/// Adds the clients of a file, or else a demo client where there are no clients.
async fn fill<S>(store: S, clients: Option<&Provisioning>) -> Result<Opened, Box<dyn Error>>
where
    S: ClientRegistry + TokenStore + Clone + 'static,
{
    let mut demo = None;
    if let Some(clients) = clients {
        for client_id in clients.register_in(&store).await? {
            println!("Client {client_id} was there already, and stays as it was.");
        }
    } else if store.list_clients("", 0, 1).await?.1 == 0 {
        let random = RandomSource::default();
        let secret = ClientSecret::generate(&random)?;
        let hash = ClientSecretHash::generated(&secret, &random)?;
        let client = Client::builder("demo").client_secret_hash(hash).seacatauth_credentials(true);
        if let Registered::New(_) = store.register(client.tenant("my-corporation").build()?).await? {
            demo = Some(secret);
        }
    }
    Ok((AnyClientStore::new(store.clone()), AnyTokenStore::new(store), demo))
}

/// Clears expired tokens away, so that a database does not grow forever.
async fn purge(tokens: AnyTokenStore) {
    let mut interval = tokio::time::interval(Duration::from_secs(60));
    loop {
        interval.tick().await;
        while matches!(tokens.purge_expired(now(), 10_000).await, Ok(10_000)) {}
    }
}

/// The certificate for localhost, made when there is none yet, with a key that only its owner can read.
fn certificate(state: &Path) -> Result<(PathBuf, RustlsConfig), Box<dyn Error>> {
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
