//! The example server as a process that has much to bear, and those who ask it over bare sockets.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test file uses its part of it, and a test stops at what it did not expect"
)]

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::running::{PATH, Running, example};

/// The secret of the clients.
pub(crate) const SECRET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
/// Where good clients come from.
pub(crate) const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// Where bad ones come from: who limits those does not limit the others.
pub(crate) const BAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const CLIENTS: &str = r#"[
    {"client_id": "good", "client_secret": "SECRET", "seacatauth_credentials": true, "scope": "read"},
    {"client_id": "slow", "client_secret": "SECRET", "seacatauth_credentials": true}
]"#;

/// Starts the server with its tokens and clients in memory and without a log. What is kept of a token goes after four seconds.
pub(crate) fn server(state: &Path, arguments: &[&str]) -> Running {
    // Those who ask are in this process, and are many.
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let (config, clients) = (state.join("server.conf"), state.join("clients.json"));
    fs::write(&config, "[openidconnect]\nclient_credentials_grant_expiration=4s\n").unwrap();
    fs::write(&clients, CLIENTS.replace("SECRET", SECRET)).unwrap();
    let mut command = example("server");
    command.args(["--listen", "127.0.0.1:0", "--database", "memory", "--state"]).arg(state);
    command.arg("--config").arg(config).arg("--clients").arg(clients).args(arguments).stderr(Stdio::null());
    Running::start_logging(command, "Ready.")
}

impl Running {
    /// How many file descriptors it has open.
    pub(crate) fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// How much memory it has, in KiB.
    pub(crate) fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// Waits until it has no more than so many file descriptors.
    #[track_caller]
    pub(crate) fn comes_back_to(&self, files: usize) {
        let begun = Instant::now();
        while self.files() > files {
            assert!(begun.elapsed() < Duration::from_secs(20), "{} file descriptors after {files}", self.files());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A connection from this address.
    pub(crate) async fn connect(&self, from: Ipv4Addr) -> TcpStream {
        connect(self.address(), from).await
    }
}

pub(crate) async fn connect(address: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// A client that authenticates with its secret, and keeps its connection.
pub(crate) struct Client {
    stream: TcpStream,
    authorization: String,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) fn new(stream: TcpStream, id: &str, secret: &str) -> Self {
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
        Self { stream, authorization, answer: Vec::new() }
    }

    /// Posts a form, and reads the status and the body of the answer.
    pub(crate) async fn post(&mut self, path: &str, form: &str) -> std::io::Result<(u16, String)> {
        let request = format!("POST {path} HTTP/1.1\r\n{}{form}", self.head(form.len()));
        self.ask(request.as_bytes()).await
    }

    /// What comes after the first line, up to the body.
    pub(crate) fn head(&self, length: usize) -> String {
        let authorization = &self.authorization;
        format!(
            "Host: localhost\r\nAuthorization: {authorization}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    }

    pub(crate) async fn ask(&mut self, request: &[u8]) -> std::io::Result<(u16, String)> {
        self.stream.write_all(request).await?;
        self.read().await
    }

    /// Reads an answer.
    pub(crate) async fn read(&mut self) -> std::io::Result<(u16, String)> {
        loop {
            if let Some((status, body, len)) = answer(&self.answer) {
                self.answer.drain(..len);
                return Ok((status, body));
            }
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// A token with the scope that it has asked for.
    pub(crate) async fn mint(&mut self) -> std::io::Result<String> {
        let (status, body) = self.post(PATH, "grant_type=client_credentials&scope=read").await?;
        assert_eq!(status, 200, "{body}");
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&json["scope"], &json["expires_in"]), (&"read".into(), &4.into()));
        Ok(json["access_token"].as_str().unwrap().into())
    }
}

/// The first answer in these bytes, with its status, its body and its length, if it is there.
fn answer(bytes: &[u8]) -> Option<(u16, String, usize)> {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&bytes[..end]).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    let body = bytes.get(end..end + length)?;
    Some((head[9..12].parse().unwrap(), String::from_utf8(body.into()).unwrap(), end + length))
}

/// How long a good client ever waits, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(5);

/// A good client that mints one token after the other over one connection, and others over one connection each. It stops the
/// test where one does not come.
pub(crate) struct GoodClient {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(usize, Duration)>,
}

impl GoodClient {
    pub(crate) async fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = stop.clone();
        let mut kept = Client::new(connect(address, GOOD).await, "good", SECRET);
        let asking = tokio::spawn(async move {
            let is_over = || is_over.load(Relaxed);
            let over_one = async {
                let mut all = (0, Duration::ZERO);
                while !is_over() {
                    in_time(kept.mint(), &mut all).await;
                }
                all
            };
            let over_many = async {
                let mut all = (0, Duration::ZERO);
                while !is_over() {
                    let new = async { Client::new(connect(address, GOOD).await, "good", SECRET).mint().await };
                    in_time(new, &mut all).await;
                }
                all
            };
            let ((kept, longest), (new, longest_new)) = tokio::join!(over_one, over_many);
            (kept.min(new), longest.max(longest_new))
        });
        Self { stop, asking }
    }

    /// How many tokens it has of either kind at least, and how long it has waited for one at the most.
    pub(crate) async fn stop(self) -> (usize, Duration) {
        self.stop.store(true, Relaxed);
        self.asking.await.unwrap()
    }
}

/// Waits for a token and a moment, and counts.
async fn in_time(mint: impl Future<Output = std::io::Result<String>>, (count, longest): &mut (usize, Duration)) {
    let begun = Instant::now();
    timeout(PATIENCE, mint).await.expect("a good client waits").expect("a good client is sent away");
    *count += 1;
    *longest = (*longest).max(begun.elapsed());
    sleep(Duration::from_millis(20)).await;
}

/// Reads until the server closes, and returns what it has said.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await.expect("the server waits for ever");
    String::from_utf8(said).unwrap()
}
