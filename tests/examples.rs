//! The examples, run as a user runs them.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;
#[path = "common/installed.rs"]
mod installed;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use installed::installed;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

/// The program of an example, which `cargo test` has built beside this one.
fn example(name: &str) -> Command {
    let deps = std::env::current_exe().unwrap();
    let path = deps.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build --examples` first", path.display());
    Command::new(path)
}

fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The JSON at the end of what a program printed.
fn reply(printed: &str) -> Value {
    let json = printed.get(printed.rfind("{\"").unwrap()..).unwrap();
    serde_json::from_str(json.trim()).unwrap()
}

/// What the token in a reply says, once an independent library has verified it with the public key that was printed.
fn verified(reply: &Value, jwk: &str) -> Value {
    let key = DecodingKey::from_jwk(&serde_json::from_str(jwk).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_aud = false;
    jsonwebtoken::decode(reply["access_token"].as_str().unwrap(), &key, &validation).unwrap().claims
}

#[test]
fn the_examples_that_end_print_a_token() {
    for (name, arguments) in [("mint", &[][..]), ("mint", &["--jwt"]), ("sync_host", &[]), ("custom_store", &[])] {
        let mut command = example(name);
        command.args(arguments);
        let printed = output(command);
        let reply = reply(&printed);
        assert_eq!((reply["token_type"].as_str(), reply["expires_in"].as_u64()), (Some("Bearer"), Some(180)), "{name}");
        let is_jwt = reply["access_token"].as_str().unwrap().split('.').count() == 3;
        assert_eq!(is_jwt, arguments == ["--jwt"]);
        if let Some((_, key)) = printed.split_once("Public key: ") {
            assert_eq!(verified(&reply, key.lines().next().unwrap())["iss"], "https://localhost:3081");
        }
    }
    let printed = output(example("minimal"));
    assert!(printed.contains("200 {\"access_token\":"), "{printed}");
    assert_eq!(reply(&printed)["error"], "invalid_client");
}

/// What the README shows is `examples/minimal.rs`, and is as short as it claims.
#[test]
fn the_readme_shows_the_minimal_example() {
    let (readme, minimal) =
        (fs::read_to_string("README.md").unwrap(), fs::read_to_string("examples/minimal.rs").unwrap());
    for (region, most) in [("in process", 10), ("in axum", 20)] {
        let (_, code) = minimal.split_once(&format!("// [{region}]\n")).unwrap();
        let (code, _) = code.split_once("    // [end]").unwrap();
        let code: Vec<_> = code
            .lines()
            .map(|line| line.trim_start().replace("pub(crate) ", ""))
            .filter(|line| !line.is_empty())
            .collect();
        assert!(code.len() <= most, "{region}: {} lines", code.len());
        let readme: Vec<_> = readme.lines().map(str::trim_start).filter(|line| !line.is_empty()).collect();
        assert!(readme.windows(code.len()).any(|lines| lines == code), "{region}: the README shows something else");
    }
}

/// A running example, ended with the test.
struct Running {
    child: Child,
    printed: BufReader<ChildStdout>,
    head: String,
}

impl Running {
    /// Starts it and reads what it prints up to a line that begins with `last`.
    fn start(mut command: Command, last: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut printed, mut head) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        while !head.lines().any(|line| line.trim_start().starts_with(last)) {
            assert_ne!(printed.read_line(&mut head).unwrap(), 0, "{command:?} ended after {head}");
        }
        Self { child, printed, head }
    }

    fn line(&self, start: &str) -> &str {
        self.head.lines().find_map(|line| line.strip_prefix(start)).unwrap()
    }

    /// Asks it to stop, and returns what it logged and what it printed since.
    fn stop(mut self) -> String {
        assert!(Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap().success());
        let mut rest = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut rest).unwrap();
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

fn server(state: &Path, arguments: &[&str], last: &str) -> Running {
    let mut command = example("server");
    command.args(["--listen", "127.0.0.1:0", "--state"]).arg(state).args(arguments);
    Running::start(command, last)
}

/// The command that the server printed, run by a shell as it stands.
fn paste(running: &Running) -> (String, Value) {
    let at = running.head.find("export CLIENT_ID").unwrap();
    let command = running.head[at..].replacen("curl ", "curl --silent --show-error --include ", 1);
    let mut shell = Command::new("sh");
    shell.args(["-ec", &command]);
    let printed = output(shell);
    let (head, body) = printed.split_once("\r\n\r\n").unwrap();
    (head.into(), serde_json::from_str(body).unwrap())
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn seacat_auth_curl_command_over_https() {
    if installed("curl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // Somebody was there first: a key that all can read must not become ours.
    fs::create_dir(&state).unwrap();
    file(&state, "localhost.key", "");
    let running = server(&state, &[], "--data");
    let (head, json) = paste(&running);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(json["access_token"].as_str().unwrap().len(), 43);
    assert_eq!((json["token_type"].as_str(), json["expires_in"].as_u64()), (Some("Bearer"), Some(180)));
    assert_eq!((json["scope"].as_str(), json.as_object().unwrap().len()), (Some("tenant:my-corporation"), 4));
    assert!(running.stop().ends_with("Stopped.\n"));

    // The key is its owner's only, and the second start takes the certificate that the first one made.
    let mode = |name: &str| fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("localhost.key"), 0o600);
    let certificate = fs::read(state.join("localhost.pem")).unwrap();
    assert_eq!(fs::read_dir(&state).unwrap().count(), 2, "nothing unfinished is left");
    let config = file(folder.path(), "server.conf", "[openidconnect]\nclient_credentials_grant_expiration=10m\n");
    let running = server(&state, &["--config", config.to_str().unwrap()], "--data");
    assert_eq!(paste(&running).1["expires_in"], 600);
    assert_eq!(fs::read(state.join("localhost.pem")).unwrap(), certificate);
}

#[test]
fn server_with_a_client_file_and_jwts() {
    let folder = tempfile::tempdir().unwrap();
    let clients = format!(
        r#"[{{"client_id": "billing", "client_secret": "{}", "seacatauth_credentials": true}}]"#,
        common::SECRET
    );
    let clients = file(folder.path(), "clients.json", &clients);
    let arguments = ["--http", "--token", "jwt", "--clients", clients.to_str().unwrap()];
    for issuer in [None, Some("https://auth.example.com")] {
        let mut arguments = arguments.to_vec();
        arguments.extend(issuer.iter().flat_map(|issuer| ["--issuer", issuer]));
        let running = server(folder.path(), &arguments, "Public key: ");
        let url = running.line("Token endpoint: ").strip_suffix("/openidconnect/token").unwrap();
        let address = url.strip_prefix("http://").unwrap().replace("localhost", "127.0.0.1").parse().unwrap();
        let answer = common::basic("billing", common::SECRET, "grant_type=client_credentials")
            .send(address, "/openidconnect/token");
        answer.granted(None);
        let payload = verified(&answer.json(), running.line("Public key: "));
        assert_eq!((payload["iss"].as_str(), payload["sub"].as_str()), (Some(issuer.unwrap_or(url)), Some("billing")));

        let refused =
            common::basic("billing", "wrong", "grant_type=client_credentials").send(address, "/openidconnect/token");
        refused.refused(401, "invalid_client");
        let printed = running.stop();
        assert!(printed.contains("401 the secret is wrong") && !printed.contains(common::SECRET), "{printed}");
    }
}

#[test]
fn server_says_what_is_wrong_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "wrong.conf", "[openidconnect]\nclient_credentials_grant_expiration=soon\n");
    let clients = file(folder.path(), "wrong.json", r#"[{"client_id": "a", "scope": " "}]"#);
    for (flag, path, member) in
        [("--config", &config, "`client_credentials_grant_expiration`"), ("--clients", &clients, "clients[0].scope")]
    {
        let output = example("server").args(["--listen", "127.0.0.1:0"]).arg(flag).arg(path).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && error.contains(member) && error.contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn axum_answers() {
    let mut command = example("axum");
    command.arg("127.0.0.1:0");
    let running = Running::start(command, "http://");
    let address = running.line("http://").strip_suffix("/openidconnect/token").unwrap().parse().unwrap();
    let asked = common::basic("billing", "an-example-that-nobody-should-use", "grant_type=client_credentials");
    asked.send(address, "/openidconnect/token").granted(None);
    common::post("x".repeat(20_000)).send(address, "/openidconnect/token").refused(413, "invalid_request");
}
