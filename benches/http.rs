//! What a token costs over HTTP, beside an answer that costs nothing to find.
//!
//!     cargo bench --bench http --features tower [-- SECONDS]
//!
//! The service of this crate in axum, and an axum handler that answers bytes of the same number with the same header fields and
//! looks at nothing, each in a process of one thread. Another, `bare-body`, takes the body of the request as well: what it takes beyond
//! the bare one is what hyper and axum have any handler pay that reads one. `wrk` (which has to be installed) sends the same request to
//! each, over 16 connections and over 1,024, in turns of as many seconds as it is told, two unless said. What is compared is the time that
//! the server's process has had of the processor, by `/proc`, for each request that was answered, so this runs on Linux. A row is the
//! median of five turns, beside the median of the bare handler; memory is what the process has in the end. One line `ratio: NAME VALUE`
//! for each, and the lowest and the highest turn in a line `spread: NAME LOW HIGH`. The run fails where an answer is an error or does
//! not come, or where opaque or sealed takes more than 1.2 times what the bare handler takes.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at what it did not expect"
)]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitCode, Stdio},
};

use axum::{Router, body::Bytes, response::IntoResponse as _, routing::post};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, AuthorizationService, Client, ClientSecret, ClientSecretHash, Config,
    Endpoints, JwtIssuer, MemoryStore, OpaqueIssuer, RandomSource, SealedIssuer, SealingKey, SigningAlgorithm,
    SigningKey,
};
use tokio::net::TcpListener;

const TURNS: usize = 5;
const MOST: f64 = 1.2;
const KINDS: [&str; 5] = ["bare", "bare-body", "opaque", "sealed", "EdDSA"];
const ISSUER: &str = "https://localhost:3081";
/// Nobody's.
const SECRET: &str = "an-example-that-nobody-should-ever-use-43-ch";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", kind] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(kind));
            ExitCode::SUCCESS
        }
        _ => compare(arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(2)),
    }
}

/// Answers until it is killed, and says where.
async fn serve(kind: &str) {
    let app = match kind {
        "bare" => Router::new().route("/openidconnect/token", post(async || bare())),
        "bare-body" => Router::new().route("/openidconnect/token", post(async |_: Bytes| bare())),
        _ => Router::new().fallback_service(service(kind)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

/// As many bytes as an answer with an opaque token has.
fn bare() -> axum::response::Response {
    const BODY: &str = r#"{"access_token":"0123456789012345678901234567890123456789012","token_type":"Bearer","expires_in":180,"scope":"tenant:my-corporation"}"#;
    let fields = [("content-type", "application/json"), ("cache-control", "no-store"), ("pragma", "no-cache")];
    (fields, BODY).into_response()
}

fn service(kind: &str) -> AuthorizationService<MemoryStore, AnyTokenIssuer> {
    let store = MemoryStore::default();
    for n in 0..1000 {
        let secret = ClientSecret::new(SECRET.into());
        let hash = ClientSecretHash::generated(&secret, &RandomSource::default()).unwrap();
        let client = Client::builder(&format!("client-{n}")).client_secret_hash(hash).seacatauth_credentials(true);
        store.insert_client(client.tenant("my-corporation").build().unwrap());
    }
    let issuer = match kind {
        "opaque" => AnyTokenIssuer::new(OpaqueIssuer::new(store.clone())),
        "sealed" => {
            let key = SealingKey::generate(&RandomSource::default()).unwrap();
            AnyTokenIssuer::new(SealedIssuer::new(ISSUER, key))
        }
        "EdDSA" => AnyTokenIssuer::new(JwtIssuer::new(ISSUER, SigningKey::generate(SigningAlgorithm::EdDsa).unwrap())),
        other => panic!("no kind of token: {other}"),
    };
    let server = AuthorizationServer::new(store, issuer, Config::default());
    AuthorizationService::new(server, Endpoints::new(ISSUER).unwrap())
}

fn compare(seconds: u64) -> ExitCode {
    let script = tempfile::NamedTempFile::new().unwrap();
    let authorization = BASE64_STANDARD.encode(format!("client-999:{SECRET}"));
    let lua = format!(
        "wrk.method = 'POST'\n\
         wrk.body = 'grant_type=client_credentials&scope=tenant:my-corporation'\n\
         wrk.headers['Content-Type'] = 'application/x-www-form-urlencoded'\n\
         wrk.headers['Authorization'] = 'Basic {authorization}'\n"
    );
    fs::write(script.path(), lua).unwrap();

    let mut code = ExitCode::SUCCESS;
    println!("| answer | connections | µs of CPU a request | beside the bare one | requests a second | memory |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut lines = Vec::new();
    for connections in [16, 1024] {
        let mut servers = KINDS.map(Server::start);
        for _ in 0..TURNS {
            for server in &mut servers {
                server.turn(connections, seconds, script.path().to_str().unwrap());
            }
        }
        let bare = servers[0].median();
        for server in &mut servers {
            let (name, each, ratio) = (server.kind, server.median(), server.median() / bare);
            let memory = server.memory();
            println!(
                "| {name} | {connections} | {:.1} | {ratio:.2} | {:.0} | {memory} KiB |",
                each * 1e6,
                server.answered as f64 / (TURNS as u64 * seconds) as f64
            );
            let [low, high] = server.extremes().map(|each| each / bare);
            lines.push(format!("ratio: http-{name}-{connections} {ratio:.2}"));
            lines.push(format!("spread: http-{name}-{connections} {low:.2} {high:.2}"));
            if matches!(name, "opaque" | "sealed") && ratio > MOST {
                lines.push(format!("{name} takes more than {MOST} times what the bare handler takes"));
                code = ExitCode::FAILURE;
            }
        }
    }
    lines.iter().for_each(|line| println!("{line}"));
    code
}

/// A server in a process of its own, and what it has taken so far.
struct Server {
    kind: &'static str,
    process: Child,
    address: String,
    seconds_each: Vec<f64>,
    answered: u64,
}

impl Server {
    fn start(kind: &'static str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let mut process = command.args(["serve", kind]).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { kind, process, address: address.trim().into(), seconds_each: Vec::new(), answered: 0 }
    }

    fn turn(&mut self, connections: usize, seconds: u64, script: &str) {
        let before = self.cpu();
        let (connections, duration) = (format!("-c{connections}"), format!("-d{seconds}s"));
        let url = format!("http://{}/openidconnect/token", self.address);
        let wrk = Command::new("wrk").args(["-t1", &connections, &duration, "-s", script, &url]).output();
        let wrk = wrk.expect("`wrk` has to be installed");
        let report = String::from_utf8(wrk.stdout).unwrap();
        assert!(wrk.status.success() && !report.contains("Non-2xx"), "{}: {report}", self.kind);
        assert!(!report.contains("Socket errors"), "{}: {report}", self.kind);
        let answered = report.lines().find_map(|line| line.trim().split_once(" requests in ")).unwrap().0;
        let answered: u64 = answered.parse().unwrap();
        self.seconds_each.push((self.cpu() - before) / answered as f64);
        self.answered += answered;
    }

    /// Seconds of the processor that the process has had, in user and in system mode (`proc(5)`).
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
        // A tick is a hundredth of a second on every Linux there is.
        (ticks(11) + ticks(12)) / 100.0
    }

    /// What the process has in memory, in KiB.
    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn median(&mut self) -> f64 {
        self.seconds_each.sort_by(f64::total_cmp);
        self.seconds_each[self.seconds_each.len() / 2]
    }

    /// The lowest and the highest turn.
    fn extremes(&self) -> [f64; 2] {
        [f64::min, f64::max].map(|of| self.seconds_each.iter().copied().reduce(of).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
