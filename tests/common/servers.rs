//! PostgreSQL and Redis, each started for the tests alone: in a temporary folder, on a free port, and gone with the tests,
//! however these end.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test file uses its part of it, and a test stops at what it did not expect"
)]

#[path = "installed.rs"]
pub(crate) mod installed;

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use installed::installed;
use tempfile::TempDir;

/// How long a server may take to start or to go: much longer than it does on a slow machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// One PostgreSQL for all tests of a file, since starting one takes a second. A test that kills it starts its own.
pub(crate) static POSTGRES: LazyLock<Option<Postgres>> = LazyLock::new(Postgres::start);

/// One Redis for all tests of a file.
pub(crate) static REDIS: LazyLock<Option<Redis>> = LazyLock::new(Redis::start);

/// A PostgreSQL with an empty database, which takes whoever comes and syncs what it commits.
pub(crate) struct Postgres(Server);

impl Postgres {
    /// `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let program = installed("postgres")?.canonicalize().unwrap();
        let folder = folder();
        let data = folder.path().join("data");
        let user = unprivileged(folder.path());
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let command = move |program: &Path| {
            let mut command = Command::new(program);
            if let Some((user, group)) = user {
                command.uid(user).gid(group);
            }
            command.arg("-D").arg(&data);
            command
        };
        let mut initdb = command(&program.with_file_name("initdb"));
        initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let output = initdb.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));

        // No socket beside the port: its path would be too long in some temporary folders.
        let name = format!("cluster_name={}", name(&folder));
        let options = ["listen_addresses=127.0.0.1".into(), "unix_socket_directories=".into(), name];
        let command = move |port: u16| {
            let mut command = command(&program);
            for option in &options {
                command.args(["-c", option]);
            }
            command.args(["-p", &port.to_string()]);
            command
        };
        // The messages StartupMessage, Query and Terminate.
        let hello = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        let question = [&hello[..], b"Q\0\0\0\x16SHOW cluster_name\0", b"X\0\0\0\x04"].concat();
        Some(Self(Server::start(folder, command, question)))
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.0.port)
    }

    /// Ends it with all its connections and without any warning.
    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again over the same data and on the same port.
    pub(crate) fn restart(&mut self) {
        self.0.restart();
    }
}

/// A Redis that has synced what it acknowledges.
pub(crate) struct Redis {
    server: Server,
    is_cluster: bool,
}

impl Redis {
    /// `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// A cluster of one node, which refuses what a larger one would: a command or a script whose keys are in several slots.
    pub(crate) fn start_cluster() -> Option<Self> {
        let mut redis = Self::start_with(&["--cluster-enabled", "yes"])?;
        redis.is_cluster = true;
        assert!(redis.server.answers(b"CLUSTER ADDSLOTSRANGE 0 16383\r\nQUIT\r\n", "+OK\r\n+OK"));
        redis.wait_for_the_cluster();
        Some(redis)
    }

    fn start_with(options: &'static [&str]) -> Option<Self> {
        let program = installed("redis-server")?;
        let folder = folder();
        let data = folder.path().to_owned();
        let command = move |port: u16| {
            let mut command = Command::new(&program);
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(&data);
            command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]).args(options);
            command
        };
        let server = Server::start(folder, command, b"CONFIG GET dir\r\nQUIT\r\n".into());
        Some(Self { server, is_cluster: false })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.server.port)
    }

    /// Ends it without any warning.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again over the same data and on the same port.
    pub(crate) fn restart(&mut self) {
        self.server.restart();
        if self.is_cluster {
            self.wait_for_the_cluster();
        }
    }

    fn wait_for_the_cluster(&self) {
        self.server.wait(|| self.server.answers(b"CLUSTER INFO\r\nQUIT\r\n", "cluster_state:ok"));
    }
}

/// A program with its folder and its port.
struct Server {
    /// Before the folder, so that it ends before that goes.
    running: Option<Running>,
    folder: TempDir,
    port: u16,
    command: Box<dyn Fn(u16) -> Command + Send + Sync>,
    /// Something to be answered with the name of the folder, so that no other server is taken for this one.
    question: Vec<u8>,
}

impl Server {
    fn start(folder: TempDir, command: impl Fn(u16) -> Command + Send + Sync + 'static, question: Vec<u8>) -> Self {
        let mut server = Self { running: None, folder, port: 0, command: Box::new(command), question };
        let start = Instant::now();
        while !server.launch(free_port()) {
            server.give_up_after(start);
        }
        server
    }

    fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let start = Instant::now();
        while !self.launch(self.port) {
            self.give_up_after(start);
        }
    }

    /// Whether it runs now. It does not where somebody else has the port, for instance.
    fn launch(&mut self, port: u16) -> bool {
        self.port = port;
        let mut running = Running::new((self.command)(port), self.folder.path());
        let mut runs = false;
        self.wait(|| {
            runs = self.answers(&self.question, &name(&self.folder));
            runs || running.server.try_wait().unwrap().is_some()
        });
        self.running = runs.then_some(running);
        runs
    }

    /// Whether the answer to these bytes has this text in it.
    fn answers(&self, question: &[u8], text: &str) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        // Where nobody listens yet, the system may connect the socket with itself, and then nothing ever comes.
        stream.set_read_timeout(Some(PATIENCE / 12)).unwrap();
        let mut answer = Vec::new();
        let answered = stream.write_all(question).and_then(|()| stream.read_to_end(&mut answer));
        answered.is_ok() && String::from_utf8_lossy(&answer).contains(text)
    }

    fn wait(&self, mut until: impl FnMut() -> bool) {
        let start = Instant::now();
        while !until() {
            self.give_up_after(start);
        }
    }

    fn give_up_after(&self, start: Instant) {
        thread::sleep(Duration::from_millis(10));
        if start.elapsed() > PATIENCE {
            panic!("no server: {}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
        }
    }

    fn kill(&mut self) {
        self.running = None;
        // PostgreSQL's children, which carry the name of the cluster, go on for a moment when their parent is gone.
        let name = format!("postgres: {}:", name(&self.folder));
        self.wait(|| {
            let left = processes(&name);
            if !left.is_empty() {
                let _ =
                    Command::new("sh").args(["-c", r#"kill -9 "$@""#, "sh"]).args(&left).stderr(Stdio::null()).status();
            }
            left.is_empty()
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.kill();
        }
    }
}

/// A server, which ends with this value or with the process of the tests.
struct Running {
    server: Child,
    /// Does the same where nothing is dropped: at the end of the process, because of statics, or when it is killed.
    watch: Child,
}

impl Running {
    fn new(mut command: Command, folder: &Path) -> Self {
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // Groups of their own, so that what interrupts the tests at a terminal does not end the watch first.
        let server = command.current_dir(folder).process_group(0).spawn().unwrap();
        let script = r#"read -r _; kill -9 "$1"; for _ in 1 2 3 4 5; do rm -rf "$2" && break; sleep 1; done"#;
        let mut watch = Command::new("sh");
        watch.args(["-c", script, "sh", &server.id().to_string()]).arg(folder).stdin(Stdio::piped());
        let watch = watch.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
        Self { server, watch }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in [&mut self.watch, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("client-credentials-").tempdir().unwrap()
}

fn name(folder: &TempDir) -> String {
    folder.path().file_name().unwrap().to_str().unwrap().into()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whom PostgreSQL can run as where the owner of a new folder is root, which it refuses.
fn unprivileged(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata(folder).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = |name| {
        let line =
            users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|line| line.first() == Some(&name))?;
        Some((line.get(2)?.parse().ok()?, line.get(3)?.parse().ok()?))
    };
    user("postgres").or_else(|| user("nobody"))
}

/// The processes whose command line starts like this, on Linux.
fn processes(title: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let titled =
        all.filter(|process| fs::read(process.path().join("cmdline")).is_ok_and(|c| c.starts_with(title.as_bytes())));
    titled.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}
