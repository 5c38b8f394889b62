//! The examples as programs that run beside a test.
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test file uses its part of it, and a test stops at what it did not expect"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

/// The path of the token endpoint in the example `server`.
pub(crate) const PATH: &str = "/openidconnect/token";

/// The program of an example, which `cargo test` has built beside this one.
pub(crate) fn example(name: &str) -> Command {
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --examples` first", path.display());
    Command::new(path)
}

/// A running example, ended with the test.
pub(crate) struct Running {
    child: Child,
    printed: BufReader<ChildStdout>,
    pub(crate) head: String,
}

impl Running {
    /// Starts it and reads what it prints up to a line that begins with `last`.
    pub(crate) fn start(mut command: Command, last: &str) -> Self {
        command.stderr(Stdio::piped());
        Self::start_logging(command, last)
    }

    /// The same for one whose log goes where the command says.
    pub(crate) fn start_logging(mut command: Command, last: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (mut printed, mut head) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        while !head.lines().any(|line| line.trim_start().starts_with(last)) {
            assert_ne!(printed.read_line(&mut head).unwrap(), 0, "{command:?} ended after {head}");
        }
        Self { child, printed, head }
    }

    pub(crate) fn line(&self, start: &str) -> &str {
        self.head.lines().find_map(|line| line.strip_prefix(start)).unwrap()
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where the token endpoint of the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let url = self.line("Token endpoint: ").strip_suffix(PATH).unwrap();
        let (_, address) = url.split_once("://").unwrap();
        address.replace("localhost", "127.0.0.1").parse().unwrap()
    }

    /// Asks it to stop, and returns what it logged and what it printed since.
    pub(crate) fn stop(mut self) -> String {
        assert!(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap().success());
        let mut rest = String::new();
        if let Some(mut log) = self.child.stderr.take() {
            log.read_to_string(&mut rest).unwrap();
        }
        self.printed.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn server(state: &Path, arguments: &[&str], last: &str) -> Running {
    let mut command = example("server");
    command.args(["--listen", "127.0.0.1:0", "--state"]).arg(state).args(arguments);
    Running::start(command, last)
}
