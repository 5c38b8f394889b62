//! A whole authorization server at the address and paths of SeaCat Auth's, over HTTPS, ready to be asked with curl: the token
//! endpoint at `/openidconnect/token`, the management calls at `/client`, `/role` and so on, the description of all of them
//! at `/openapi.json`, and for clients to find them at `/.well-known/oauth-authorization-server`.
//!
//!     cargo run --example server --features tower
//!     cargo run --example server --features tower,sqlite,postgres,cached
//!     cargo run --example server --features tower -- --help
//!
//! Where there is no client at all, which is at the first start, it registers an administrator and shows its secret, and without
//! `--clients` a demo client too, with the command that mints a token with it.
//! With the feature `sqlite` clients and tokens are in a file unless `--database` says otherwise, and are still there after
//! the next start. With the feature `cached` the clients of a database are kept in memory for the `cache_expiration` of the
//! configuration. The keys of JWTs and of sealed tokens are in files of the folder of `--state`, so that a token counts after the
//! next start too; beside the one in use there is the next one, which is accepted and published already. This lets it sign
//! from the next start on (for sealed tokens with `sealing` in the place of `signing`):
//!
//!     cp -p signing.key signing-retired.key && mv signing-next.key signing.key
//!
//! A retired key still verifies for `client_credentials_grant_max_expiration` from a start on, since no token lives longer.
//! Remove its file after that, and rotate no sooner again.
//!
//! Who keeps it waiting is given up on after `--timeout`, and who comes when there are `--connections` already, waits.
#![allow(clippy::print_stdout, reason = "it is the output")]

#[path = "server/connections.rs"]
mod connections;

use std::{
    error::Error,
    fmt::Display,
    fs,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::HeaderName,
    middleware::{map_request_with_state, map_response},
    response::Response,
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::{Parser, ValueEnum};
#[cfg(feature = "cached")]
use client_credentials::Cached;
#[cfg(feature = "postgres")]
use client_credentials::PostgresStore;
#[cfg(feature = "sqlite")]
use client_credentials::SqliteStore;
use client_credentials::{
    AnyClientRegistry, AnySigner, AnyTokenIssuer, AnyTokenStore, AuditEvent, AuditKey, AuditLog, AuditSink,
    AuthorizationServer, AuthorizationService, Client, ClientRegistry, ClientSecret, Config, Endpoint, Endpoints,
    Error as Cause, JwtIssuer, KeySet, MemoryCounters, MemoryStore, OpaqueIssuer, Provisioning, Quotas, RandomSource,
    SealedIssuer, SealingKey, SigningAlgorithm, SigningKey, Source, Stores, Throttle, TokenIssuer as _, TokenStore,
    now,
};
use config::{File, FileFormat};
use connections::Limits;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

/// An OAuth 2.0 authorization server: the token endpoint at /openidconnect/token, and all others.
#[derive(Parser)]
struct Arguments {
    /// An INI file with the sections [openidconnect], [seacatauth:client] and [quota].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A JSON file of clients and roles, to be added to those that are there; without it the first start makes a demo
    /// client.
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// Where clients and tokens are kept: `memory`, `sqlite:FILE`, or a URL `postgres://…` (with the password in PGPASSWORD);
    /// by default the file `clients.db` in the folder of `--state`, or memory without the feature `sqlite`.
    #[arg(long, value_name = "DATABASE")]
    database: Option<Database>,
    /// Where events are written to, beside the standard error: a file that shows whether somebody has changed it. See
    /// `examples/audit_log.rs`, which checks it.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// The key of that log, a file of 32 bytes or more, made when neither it nor the log is there: without it, nobody can make a log that
    /// looks whole, nor tell whether this one is. Keep a copy elsewhere. A log that was begun without a key goes on without one.
    #[arg(long, value_name = "FILE", requires = "audit")]
    audit_key: Option<PathBuf>,
    /// Plain HTTP instead of HTTPS, for behind a proxy.
    #[arg(long)]
    http: bool,
    /// The header in which the proxy says the address of whoever asks, such as `X-Real-IP`, and which nobody else can set. Without it
    /// all that come through a proxy share its address, and have to wait when one of them fails too often.
    #[arg(long, value_name = "NAME")]
    source_header: Option<HeaderName>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3081")]
    listen: SocketAddr,
    /// The issuer identifier, an `https` URL; by default the URL that it listens on. Paths are under its path.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The kind of token.
    #[arg(long, value_enum, default_value = "opaque")]
    token: Token,
    /// Where the certificate, the keys and the database are kept that are made at the first start.
    #[arg(long, value_name = "DIR", default_value = ".client-credentials")]
    state: PathBuf,
    /// How many connections there may be at a time, as far as there are file descriptors for them; more have to wait.
    #[arg(long, value_name = "NUMBER", default_value = "16000")]
    connections: usize,
    /// How long a client may take for its TLS handshake, for the head of a request, for its body, and to read the answer.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Token {
    Opaque,
    Jwt,
    Sealed,
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

/// Stores that are chosen by the arguments.
type Chosen = Stores<AnyClientRegistry, AnyTokenStore>;
type Server = AuthorizationServer<Chosen>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (config, quotas) = match &arguments.config {
        Some(path) => read_config(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => (Config::default(), Quotas::default()),
    };
    let clients = arguments.clients.as_deref();
    let clients = clients.map(|path| read_clients(path).map_err(|error| format!("{}: {error}", path.display())));
    let clients = clients.transpose()?;

    let listen = arguments.listen;
    // tokio's has a longer queue than the one of `std`.
    let listener = TcpListener::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    let local = address.ip().is_loopback() || address.ip().is_unspecified();
    let host = if local { format!("localhost:{}", address.port()) } else { address.to_string() };
    let url = format!("{}://{host}", if arguments.http { "http" } else { "https" });
    let issuer = arguments.issuer.unwrap_or_else(|| url.clone());
    let endpoints =
        Endpoints::new(&issuer).map_err(|error| format!("`{issuer}`: {error}; --issuer sets another one"))?;
    fs::create_dir_all(&arguments.state)?;
    let certificate = if arguments.http { None } else { Some(certificate(&arguments.state)?) };

    #[cfg(feature = "sqlite")]
    let default = || Database::Sqlite(arguments.state.join("clients.db"));
    #[cfg(not(feature = "sqlite"))]
    let default = || Database::Memory;
    let stores = open(arguments.database.unwrap_or_else(default), &config).await?;
    let tokens = stores.tokens.clone();
    let keep = config.client_credentials_grant_max_expiration();
    let issuer = match arguments.token {
        Token::Opaque => AnyTokenIssuer::new(OpaqueIssuer::new(tokens.clone())),
        Token::Jwt => AnyTokenIssuer::new(JwtIssuer::new(issuer, signing_keys(&arguments.state, keep)?)),
        Token::Sealed => AnyTokenIssuer::new(SealedIssuer::new(issuer, sealing_keys(&arguments.state, keep)?)),
    };
    // The first is the one that signs.
    let public_key = issuer.public_jwks(now()).first().map(serde_json::to_string).transpose()?;
    let audit_key = arguments.audit_key.as_deref().zip(arguments.audit.as_deref());
    let audit_key = audit_key.map(|(key, log)| audit_key_of(key, log)).transpose()?;
    let audit = arguments.audit.as_deref().map(|path| {
        AuditLog::open(path, audit_key).map_err(|error| format!("{}: {error}", path.display())).map(Arc::new)
    });
    let audit = audit.transpose()?;
    let server = AuthorizationServer::new(stores, issuer, config).with_audit_sink(Log(audit.clone()));
    let server = server.with_uses_noted().with_hashes_upgraded().with_misspellings_noted();
    let server = server.with_throttle(Throttle::default()).with_quotas(quotas, MemoryCounters::default());
    let server = Arc::new(server);

    // Last of all that can fail, since a secret that is made now is shown only now.
    let demo = fill(&server, clients.as_ref()).await?;
    let here = |endpoint| format!("{url}{}", endpoints.path(endpoint).unwrap_or_default());
    println!("Token endpoint: {}", here(Endpoint::Token));
    println!("Metadata: {}", here(Endpoint::Metadata));
    println!("OpenAPI document: {}", here(Endpoint::OpenApi));
    let mut curl = String::from("curl");
    if let Some((path, _)) = &certificate {
        println!("Certificate: {}", path.display());
        curl += &format!(" --cacert '{}'", path.display());
    }
    if let Some(secret) = demo {
        println!("Demo client, whose secret is shown only now. Mint a token with it:\n");
        println!("export CLIENT_ID=demo CLIENT_SECRET={}", secret.expose());
        println!("{curl} -X POST {} \\", here(Endpoint::Token));
        println!(r#"    -u "${{CLIENT_ID}}:${{CLIENT_SECRET}}" \"#);
        println!(r#"    -H "Content-Type: application/x-www-form-urlencoded" \"#);
        println!(r#"    --data "grant_type=client_credentials&scope=tenant:my-corporation""#);
    }
    if let Some(public_key) = public_key {
        println!("\nPublic key: {public_key}");
    }
    if arguments.http && arguments.source_header.is_none() {
        log(
            &"Warning: without --source-header all who come through a proxy are counted as one, and wait when one of them fails \
              too often to authenticate",
        );
    }
    println!("\nReady.");

    let service = AuthorizationService::new(server.clone(), endpoints);
    let app = Router::new().fallback_service(service).layer(map_response(log_source));
    let app = app.layer(map_request_with_state(arguments.source_header, name_source));
    let limits = Limits { connections: arguments.connections, timeout: Duration::from_secs(arguments.timeout) };
    let handle = Handle::new();
    tokio::spawn(stop(handle.clone()));
    tokio::spawn(tidy(server.clone(), tokens, audit.clone()));
    let tls = certificate.map(|(_, tls)| tls);
    connections::serve(listener, tls, app, limits, handle).await?;
    server.record_uses().await?;
    audit.map_or(Ok(()), |audit| audit.sync())?;
    println!("Stopped.");
    Ok(())
}

/// Tells the service where a request comes from, as the connection says or as the proxy does.
async fn name_source(
    State(header): State<Option<HeaderName>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Request {
    let source = match header {
        None => Some(peer.ip()),
        Some(name) => request.headers().get(name).and_then(|value| value.to_str().ok()?.parse().ok()),
    };
    if let Some(source) = source {
        request.extensions_mut().insert(Source(source));
    }
    request
}

/// The audit says what was refused; why a backend failed is only here.
async fn log_source(response: Response) -> Response {
    if let Some(source) = response.extensions().get::<Cause>().and_then(|cause| cause.source()) {
        log(&source);
    }
    response
}

/// Each event as a line of JSON, with its diagnosis, and in the audit log if there is one.
struct Log(Option<Arc<AuditLog>>);

impl AuditSink for Log {
    fn record(&self, event: &AuditEvent<'_>) {
        log(&serde_json::to_string(event).unwrap_or_default());
        if let Some(audit) = &self.0 {
            audit.record(event);
        }
    }
}

fn log(line: &dyn Display) {
    // Not `eprintln!`, which panics where nobody reads what it prints.
    let _ = writeln!(io::stderr(), "{line}");
}

fn read_config(path: &Path) -> Result<(Config, Quotas), config::ConfigError> {
    let file = config::Config::builder().add_source(File::from(path).format(FileFormat::Ini)).build()?;
    Ok((file.clone().try_deserialize()?, file.try_deserialize()?))
}

fn read_clients(path: &Path) -> Result<Provisioning, Box<dyn Error>> {
    let file = Zeroizing::new(fs::read_to_string(path)?);
    Ok(Provisioning::from_json(&file)?)
}

async fn open(database: Database, config: &Config) -> Result<Chosen, Box<dyn Error>> {
    let stores = match database {
        Database::Memory => {
            println!("Database: memory, gone when the server stops");
            both(MemoryStore::default())
        }
        #[cfg(feature = "sqlite")]
        Database::Sqlite(path) => {
            let store = SqliteStore::open(&path).await?;
            println!("Database: {}", path.display());
            both(store)
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(url) => {
            let store = PostgresStore::connect(&url).await?;
            // Without the URL, which may have a password in it.
            println!("Database: PostgreSQL");
            both(store)
        }
    };
    // Memory needs no cache, but does not mind one either.
    Ok(cached(stores, config))
}

fn both(store: impl ClientRegistry + TokenStore + Clone + 'static) -> Chosen {
    Stores { clients: AnyClientRegistry::new(store.clone()), tokens: AnyTokenStore::new(store) }
}

#[cfg(feature = "cached")]
fn cached(Chosen { clients, tokens }: Chosen, config: &Config) -> Chosen {
    let clients = Cached::new(clients).with_cache_expiration(config.cache_expiration());
    Stores { clients: AnyClientRegistry::new(clients), tokens }
}

#[cfg(not(feature = "cached"))]
fn cached(stores: Chosen, _: &Config) -> Chosen {
    stores
}

/// At the first start registers an administrator, and the clients of a file or else a demo client, whose secret it returns;
/// later on only what is new in the file.
async fn fill(server: &Server, clients: Option<&Provisioning>) -> Result<Option<ClientSecret>, Box<dyn Error>> {
    let setup = server.administrator("the first start", now());
    let administrator = setup.create_first_administrator().await?;
    if let Some((_, secret)) = &administrator {
        // At once: whatever fails from here on, there is no second time.
        println!("Administrator, whose secret is shown only now:\n");
        println!("export ADMIN_ID=administrator ADMIN_SECRET={}\n", secret.expose());
    }
    if let Some(clients) = clients {
        for client_id in clients.register_in(server.store()).await? {
            println!("Client {client_id} was there already, and stays as it was.");
        }
        return Ok(None);
    }
    if administrator.is_none() {
        return Ok(None);
    }
    let client = Client::builder("demo").seacatauth_credentials(true).tenant("my-corporation");
    Ok(Some(setup.create_client(client).await?.1))
}

/// Clears expired tokens away, so that a database does not grow forever, writes down what was used and what was upgraded, and puts
/// the audit log onto the disk.
async fn tidy(server: Arc<Server>, tokens: AnyTokenStore, audit: Option<Arc<AuditLog>>) {
    let mut interval = tokio::time::interval(Duration::from_secs(60));
    loop {
        interval.tick().await;
        if let Err(error) = server.record_uses().await {
            log(&error);
        }
        if let Err(error) = server.upgrade_hashes(now()).await {
            log(&error);
        }
        if let Some(Err(error)) = audit.as_ref().map(|audit| audit.sync()) {
            log(&error);
        }
        while matches!(tokens.purge_expired(now(), 10_000).await, Ok(10_000)) {}
    }
}

/// The certificate for localhost, made when there is none yet, with a key that only its owner can read.
fn certificate(state: &Path) -> Result<(PathBuf, RustlsConfig), Box<dyn Error>> {
    let state = state.canonicalize()?;
    let (certificate, key) = (state.join("localhost.pem"), state.join("localhost.key"));
    let make = || Ok(rcgen::KeyPair::generate()?.serialize_pem().into());
    let key = kept(&key, &make, &|bytes| Ok(Zeroizing::new(str::from_utf8(bytes)?.to_owned())))?;
    if !certificate.try_exists()? {
        // Of the key that is there: whoever else starts now makes one of the same key, and either will do.
        let names = rcgen::CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(String::from))?;
        write_new(&certificate, &names.self_signed(&rcgen::KeyPair::from_pem(&key)?)?.pem())?;
    }
    let chain = rustls_pki_types::pem::PemObject::from_pem_file(&certificate)?;
    let key = rustls_pki_types::pem::PemObject::from_pem_slice(key.as_bytes())?;
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)?;
    Ok((certificate, RustlsConfig::from_config(Arc::new(tls))))
}

/// The keys of JWTs, as `openssl genpkey -algorithm ed25519` writes them too.
fn signing_keys(state: &Path, keep: Duration) -> Result<KeySet<AnySigner>, Box<dyn Error>> {
    let make = || {
        let key = SigningKey::generate_pkcs8(SigningAlgorithm::EdDsa)?;
        let key = Zeroizing::new(BASE64_STANDARD.encode(&*key));
        let (first, rest) = key.split_at(key.len().min(64));
        Ok(format!("-----BEGIN PRIVATE KEY-----\n{first}\n{rest}\n-----END PRIVATE KEY-----\n").into())
    };
    let read = |bytes: &[u8]| Ok(SigningKey::from_pkcs8_pem(SigningAlgorithm::EdDsa, bytes)?.into());
    keys(state, "signing", keep, &make, &read)
}

/// The keys of sealed tokens.
fn sealing_keys(state: &Path, keep: Duration) -> Result<KeySet<SealingKey>, Box<dyn Error>> {
    let make = || Ok(SealingKey::generate(&RandomSource::default())?.to_text());
    keys(state, "sealing", keep, &make, &|bytes| Ok(str::from_utf8(bytes)?.trim_end().parse()?))
}

/// The key of the audit log: all that is in its file, as `examples/audit_log.rs` takes it. It is made for a log that begins: one
/// that was begun has a key already, or none.
fn audit_key_of(path: &Path, log: &Path) -> Result<AuditKey, Box<dyn Error>> {
    let make = || {
        if fs::metadata(log).is_ok_and(|log| log.len() > 0) {
            return Err(format!("there is no such key, and {} was begun already", log.display()).into());
        }
        let mut key = Zeroizing::new([0; 32]);
        RandomSource::default().fill(&mut *key)?;
        Ok(BASE64_STANDARD.encode(*key).into())
    };
    kept(path, &make, &|bytes| Ok(AuditKey::new(bytes)?))
}

/// The key in use and the next one, and where there is one the key that was in use before, for as long as `keep`.
fn keys<K>(
    state: &Path,
    name: &str,
    keep: Duration,
    make: &Make<'_>,
    read: &Read<'_, K>,
) -> Result<KeySet<K>, Box<dyn Error>> {
    let path = |which| state.join(format!("{name}{which}.key"));
    let key = |which| kept(&path(which), make, read);
    let keys = KeySet::new(key("")?).with_next(key("-next")?);
    if !path("-retired").try_exists()? {
        return Ok(keys);
    }
    Ok(keys.with_retired(key("-retired")?, now().saturating_add(keep.try_into()?)))
}

type Make<'a> = dyn Fn() -> Result<Zeroizing<String>, Box<dyn Error>> + 'a;
type Read<'a, K> = dyn Fn(&[u8]) -> Result<K, Box<dyn Error>> + 'a;

/// What is in a file that is its owner's alone, made when there is none yet. What is there is read in any case: it may be
/// from another start at the same time.
fn kept<K>(path: &Path, make: &Make<'_>, read: &Read<'_, K>) -> Result<K, Box<dyn Error>> {
    let kept = || {
        if !path.try_exists()? {
            write_new(path, &make()?)?;
        }
        let mut file = fs::File::open(path)?;
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions()) & 0o077 != 0 {
            return Err("others have access to it; if none has used that, `chmod 600` lets it count".into());
        }
        // With room for all of it, so that growing leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(file.metadata()?.len())? + 1));
        file.read_to_end(&mut bytes)?;
        read(&bytes)
    };
    kept().map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Writes a file, whole and its owner's alone before it has its name, unless one is there.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
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
