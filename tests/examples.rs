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
#[path = "common/running.rs"]
mod running;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use installed::installed;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use running::{PATH, Running, example, server};
use serde_json::Value;

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

/// The command that the server printed, run by a shell as it stands.
fn paste(head: &str) -> (String, Value) {
    let at = head.find("export CLIENT_ID").unwrap();
    let command = head[at..].replacen("curl ", "curl --silent --show-error --include ", 1);
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
    let running = server(&state, &[], "--data");
    let (head, json) = paste(&running.head);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(json["access_token"].as_str().unwrap().len(), 43);
    assert_eq!((json["token_type"].as_str(), json["expires_in"].as_u64()), (Some("Bearer"), Some(180)));
    assert_eq!((json["scope"].as_str(), json.as_object().unwrap().len()), (Some("tenant:my-corporation"), 4));
    assert!(running.stop().ends_with("Stopped.\n"));

    // The key is its owner's only, and the second start takes the certificate that the first one made.
    let mode = |name: &str| fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("localhost.key"), 0o600);
    let certificate = fs::read(state.join("localhost.pem")).unwrap();
    let mut files: Vec<_> =
        fs::read_dir(&state).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|name| !name.starts_with("clients.db"));
    files.sort();
    assert_eq!(files, ["localhost.key", "localhost.pem"], "nothing unfinished is left");
    let config = file(folder.path(), "server.conf", "[openidconnect]\nclient_credentials_grant_expiration=10m\n");
    let arguments = ["--config", config.to_str().unwrap(), "--database", "memory"];
    let running = server(&state, &arguments, "--data");
    assert_eq!(paste(&running.head).1["expires_in"], 600);
    assert_eq!(fs::read(state.join("localhost.pem")).unwrap(), certificate);

    // A start that was cut short between the two files: the certificate is made for the key that is there.
    drop(running);
    let key = fs::read(state.join("localhost.key")).unwrap();
    fs::remove_file(state.join("localhost.pem")).unwrap();
    assert_eq!(paste(&server(&state, &arguments, "--data").head).1["expires_in"], 600);
    assert_eq!(fs::read(state.join("localhost.key")).unwrap(), key);
}

/// The page of SeaCat Auth from which this crate was made, sentence by sentence.
#[cfg(feature = "sqlite")]
#[test]
fn the_page_of_seacat_auth() {
    if installed("curl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // "Default token expiration is 3 minutes. You can customize it in the config":
    let config =
        "[openidconnect]\nclient_credentials_grant_expiration=10m\n[seacatauth:client]\nclient_secret_expiration=90d\n";
    let config = file(folder.path(), "seacat.conf", config);
    let state = folder.path().join("state");
    let database = format!("sqlite:{}", folder.path().join("clients.db").display());
    let arguments = ["--config", config.to_str().unwrap(), "--database", &database];
    let running = server(&state, &arguments, "Ready.");
    let (url, certificate) =
        (running.line("Token endpoint: ").strip_suffix(PATH).unwrap(), running.line("Certificate: ").to_owned());
    let secret = running.line("export ADMIN_ID=administrator ADMIN_SECRET=");
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--cacert", &certificate, "--write-out", " %{http_code}"])
            .args(arguments);
        let printed = output(command);
        let (json, status) = printed.rsplit_once(' ').unwrap();
        (status.to_owned(), serde_json::from_str::<Value>(json).unwrap())
    };
    let token = |id: &str, secret: &str, form: &str| {
        // The command of the page, as it stands there.
        let form_type = "Content-Type: application/x-www-form-urlencoded";
        curl(&["-X", "POST", &format!("{url}{PATH}"), "-u", &format!("{id}:{secret}"), "-H", form_type, "--data", form])
    };
    let (_, administrator) = token("administrator", secret, "grant_type=client_credentials");
    let bearer = format!("Authorization: Bearer {}", administrator["access_token"].as_str().unwrap());
    let call = |method: &str, path: &str, body: &str| {
        let json = "Content-Type: application/json";
        let (status, answer) =
            curl(&["-X", method, &format!("{url}{path}"), "-H", &bearer, "-H", json, "--data", body]);
        assert!(status.starts_with('2'), "{method} {path}: {status} {answer}");
        answer
    };
    let (status, nobody) = curl(&[&format!("{url}/client")]);
    assert_eq!((status.as_str(), nobody), ("401", serde_json::json!({})));

    // "The client has `seacatauth_credentials` enabled", and "`token_endpoint_auth_method` enabled with a supported method":
    let client = call("POST", "/client", r#"{"preferred_client_id": "my-client"}"#);
    let update = r#"{"seacatauth_credentials": true, "token_endpoint_auth_method": "client_secret_basic"}"#;
    assert_eq!(client["client_id"], "my-client");
    assert_eq!(call("PUT", "/client/my-client", update), serde_json::json!({"result": "OK"}));
    // "If you need to generate a new client secret, use the Reset Client Secret API":
    let reset = call("POST", "/client/my-client/reset_secret", "");
    assert!(reset["client_secret_expires_at"].is_i64());
    let (new, old) = (reset["client_secret"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let asked = "grant_type=client_credentials&scope=tenant:my-corporation";
    assert_eq!(token("my-client", old, asked).0, "401");
    assert_eq!(token("my-client", new, asked).1["error"], "invalid_scope");
    // "Control the client's API access by assigning tenants and roles to the credentials object":
    call("POST", "/tenant_assign/seacatauth:client:my-client/my-corporation", "");
    call("POST", "/role/my-corporation/accountant", r#"{"resources": ["invoice:edit"]}"#);
    call("POST", "/role_assign/seacatauth:client:my-client/my-corporation/accountant", "");
    // "The response follows the OAuth 2.0 standard token response": access_token, token_type, expires_in, scope.
    let (status, response) = token("my-client", new, asked);
    assert_eq!((status.as_str(), response.as_object().unwrap().len()), ("200", 4), "{response}");
    assert!(response["access_token"].is_string());
    assert_eq!(response["token_type"], "Bearer");
    assert_eq!(response["expires_in"], 600);
    assert_eq!(response["scope"], "tenant:my-corporation");
    // "For long-lived, manually managed API keys":
    let key =
        call("POST", "/client/my-client/token", r#"{"exp": "180d", "tenant": "my-corporation", "label": "backup"}"#);
    assert_eq!(key["resources"]["my-corporation"], serde_json::json!(["invoice:edit"]));

    // A second start makes no second administrator, and everything is there.
    drop(running);
    let running = server(&state, &arguments, "Ready.");
    assert!(!running.head.contains("ADMIN_SECRET") && !running.head.contains("Demo client"), "{}", running.head);
    let url = running.line("Token endpoint: ");
    let again = curl(&["-X", "POST", url, "-u", &format!("my-client:{new}"), "--data", asked]);
    assert_eq!(again.0, "200");
}

/// The management calls by the example `manage`, over HTTPS, to the last one that it has.
#[test]
fn manage_drives_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let running = server(folder.path(), &["--database", "memory"], "Ready.");
    let url = running.line("Token endpoint: ").strip_suffix(PATH).unwrap();
    let certificate = running.line("Certificate: ");
    let administrator = running.line("export ADMIN_ID=administrator ADMIN_SECRET=").to_owned();
    let command = |line: &str| {
        let mut command = example("manage");
        command.args(line.split(' ')).args(["--url", url, "--cacert", certificate]).env("ADMIN_SECRET", &administrator);
        command
    };
    let manage = |line: &str| {
        let output = command(line).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.as_str()), (Some(0), ""), "{line}");
        String::from_utf8(output.stdout).unwrap()
    };
    let json = |line: &str| -> Value { serde_json::from_str(&manage(&format!("{line} --json"))).unwrap() };
    let fails = |mut command: Command, code: i32, said: &str| {
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{error}");
        assert!(error.contains(said) && !error.contains(&administrator), "{error}");
    };

    let secret = |printed: &str, start: &str| {
        let secret = printed.strip_prefix(start).and_then(|rest| rest.strip_suffix('\n')).unwrap().to_owned();
        assert_eq!(secret.len(), 43);
        secret
    };
    let printed = manage("create --id my-client --name Mine --scope report:read");
    let old = secret(&printed, "export CLIENT_ID=my-client CLIENT_SECRET=");
    let other = json("create --name other --auth-method client_secret_post");
    assert_eq!((&other["client_secret_expires_at"], &other["seacatauth_credentials"]), (&0.into(), &false.into()));
    let other = other["client_id"].as_str().unwrap();

    // One of 64 generated identifiers begins with a hyphen.
    assert_eq!(json("create --id -x-y")["client_id"], "-x-y");
    assert_eq!(json("show -x-y")["client_id"], "-x-y");
    fails(command("secrets -x-y --retire -HJDc4kxxqCd-DUf"), 1, "secret");
    fails(command("api-key revoke -x-y -HJDc4kxxqCd-DUf"), 1, "");
    manage("delete -x-y");

    // A version counts once, with its quotation marks or without.
    let shown = manage("show my-client");
    let etag = shown.lines().find_map(|line| line.strip_prefix("ETag ")).unwrap().trim();
    let updated = manage(&format!("update my-client --enable --scope= --if-match {}", etag.trim_matches('"')));
    assert_eq!(updated, "OK\n");
    let stale = format!("update my-client --name Late --if-match {etag}");
    fails(command(&stale), 1, "412 Precondition Failed: precondition_failed: it has changed since it was read\n");
    let client = json("show my-client");
    assert_eq!((&client["seacatauth_credentials"], &client["client_name"]), (&true.into(), &"Mine".into()));
    assert!(client.get("scope").is_none(), "{client}");

    assert_eq!(manage("role create acme/accountant --resource invoice:edit --resource report:read"), "OK\n");
    let assigned = manage("assign my-client --role acme/accountant --tenant acme --tenant bolt --role */superuser");
    assert_eq!(assigned, "acme: OK\nbolt: OK\nacme/accountant: OK\n*/superuser: OK\n");
    assert_eq!(manage("unassign my-client --tenant bolt --role */superuser"), "bolt: OK\n*/superuser: OK\n");
    assert_eq!(manage("role update acme/accountant --resource invoice:edit"), "OK\n");
    assert_eq!(manage("role show acme/accountant"), "_id        acme/accountant\nresources  invoice:edit\n");

    // Beside the new secret the old one goes on: both get a token, which does not open the call.
    let new = secret(&manage("reset-secret my-client --overlap 24h"), "export CLIENT_SECRET=");
    let kept = file(folder.path(), "secret", &format!("{new}\n"));
    let refused =
        "403 Forbidden: insufficient_scope: the bearer token does not hold the resource `seacat:client:access`\n";
    let mut with_old = command("list --admin-id my-client");
    with_old.env("ADMIN_SECRET", &old);
    fails(with_old, 1, refused);
    let with_new = format!("list --admin-id my-client --secret-file {}", kept.display());
    fails(command(&with_new), 1, refused);
    let secrets = json("secrets my-client");
    assert_eq!(secrets["count"], 2);
    let retired = secrets["data"][1]["_id"].as_str().unwrap();
    assert!(manage("secrets my-client").contains(&format!("\n{retired}  20")), "a date follows");
    assert_eq!(manage(&format!("secrets my-client --retire {retired}")), "OK\n");
    let mut with_old = command("list --admin-id my-client");
    with_old.env("ADMIN_SECRET", &old);
    fails(with_old, 1, "401 Unauthorized: invalid_client: client authentication failed\n");

    secret(&manage("api-key create my-client --exp 180d --tenant acme --label backup"), "export API_KEY=");
    json("api-key create my-client");
    let keys = json("api-key list my-client");
    let key = keys["data"].as_array().unwrap().iter().find(|key| key["label"] == "backup").unwrap();
    assert_eq!(key["resources"]["acme"], serde_json::json!(["invoice:edit"]));
    let (id, listed) = (key["_id"].as_str().unwrap(), manage("api-key list my-client"));
    assert!(listed.contains(&format!("\n{id}  backup  acme    20")), "{listed}");
    assert_eq!(manage(&format!("api-key revoke my-client {id}")), "OK\n");
    assert_eq!(json("api-key list my-client")["count"], 1);
    assert_eq!(manage("api-key revoke my-client"), "OK\n");
    assert_eq!(json("api-key list my-client")["count"], 0);

    let list = "\
client_id  client_name  seacatauth_credentials  tenants  roles
my-client  Mine         true                    acme     acme/accountant
";
    assert_eq!(manage("list --filter my-c"), list);
    assert!(manage("list --items 1 --page 2").ends_with("\n1 of 4\n"));
    assert_eq!(json("list --filter my-c")["data"][0], json("show my-client"));

    assert_eq!(manage("role delete acme/accountant"), "OK\n");
    assert_eq!(manage(&format!("delete {other}")), "OK\n");
    fails(command(&format!("show {other}")), 1, "404 Not Found: not_found: there is no such client\n");
    fails(command("show a/../b?c#d+%2F"), 1, "404 Not Found: not_found: there is no such client\n");

    let mut without_secret = command("list");
    without_secret.env_remove("ADMIN_SECRET");
    fails(without_secret, 2, "ADMIN_SECRET");
    for wrong in ["lst", "assign my-client", "role create acme/new", "role show acme", "create --auth-method none"] {
        fails(command(wrong), 2, "For more information, try '--help'.");
    }
    let mut elsewhere = example("manage");
    elsewhere.args(["list", "--url", url]).env("ADMIN_SECRET", &administrator);
    fails(elsewhere, 1, "certificate");

    let help = manage("--help");
    for name in [
        "list",
        "show",
        "create",
        "update",
        "delete",
        "reset-secret",
        "secrets",
        "assign",
        "unassign",
        "role",
        "api-key",
    ] {
        assert!(help.contains(&format!("\n  {name} ")), "{name}: {help}");
    }
    assert!(!help.contains(&administrator));
    let printed = running.stop();
    assert!(![administrator, old, new].iter().any(|secret| printed.contains(secret)), "{printed}");
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
        let (url, address) = (running.line("Token endpoint: ").strip_suffix(PATH).unwrap(), running.address());
        let answer = common::basic("billing", common::SECRET, "grant_type=client_credentials").send(address, PATH);
        answer.granted(None);
        let payload = verified(&answer.json(), running.line("Public key: "));
        assert_eq!((payload["iss"].as_str(), payload["sub"].as_str()), (Some(issuer.unwrap_or(url)), Some("billing")));

        let document = common::request("GET", "/openapi.json").send(address, "/openapi.json");
        assert_eq!((document.status, document.header("content-type")), (200, Some("application/json")));
        assert_eq!(document.raw, client_credentials::OPENAPI.as_bytes());
        assert!(running.line("Metadata: ").ends_with("/.well-known/oauth-authorization-server"));

        let refused = common::basic("billing", "wrong", "grant_type=client_credentials").send(address, PATH);
        refused.refused(401, "invalid_client");
        let printed = running.stop();
        assert!(printed.contains(r#""cause":"the secret is wrong""#) && !printed.contains(common::SECRET), "{printed}");
    }
}

/// The keys are kept, so a token counts after a restart; the next ones are published before they sign; and the commands of the
/// example let them sign, without a token being refused.
#[test]
fn server_keeps_and_rotates_its_keys() {
    for (kind, name, published) in [("jwt", "signing", true), ("sealed", "sealing", false)] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let clients = format!(
            r#"[{{"client_id": "billing", "client_secret": "{}", "seacatauth_credentials": true}}]"#,
            common::SECRET
        );
        let clients = file(folder.path(), "clients.json", &clients);
        let issuer = "https://auth.example.com/tenant1";
        let arguments = [
            ["--http", "--issuer", issuer].as_slice(),
            &["--token", kind, "--clients", clients.to_str().unwrap(), "--database", "memory"],
        ]
        .concat();
        let start = || server(&state, &arguments, "Ready.");
        let address = |running: &Running, line: &str, path: &str| {
            let (_, address) = running.line(line).strip_suffix(path).unwrap().split_once("://").unwrap();
            address.replace("localhost", "127.0.0.1").parse().unwrap()
        };
        let path = format!("/tenant1{PATH}");
        let ask = |running: &Running, form: String, path_asked: &str| {
            let at = address(running, "Token endpoint: ", &path);
            common::basic("billing", common::SECRET, form).send(at, path_asked).json()
        };
        let mint = |running: &Running| ask(running, "grant_type=client_credentials".into(), &path);
        let counts = |running: &Running, minted: &Value| {
            let form = format!("token={}", minted["access_token"].as_str().unwrap());
            let said = ask(running, form, "/tenant1/openidconnect/introspect");
            assert_eq!(said["active"] == true, said["client_id"] == "billing");
            said["active"] == true
        };
        let keys = |running: &Running| {
            let at = address(running, "Token endpoint: ", &path);
            let keys = common::request("GET", "/").send(at, "/tenant1/.well-known/jwks.json").json();
            keys["keys"].as_array().unwrap().clone()
        };
        let running = start();
        let old = mint(&running);
        drop(running);

        let running = start();
        assert!(counts(&running, &old));
        let before = keys(&running);
        assert_eq!(before.len(), if published { 2 } else { 0 });

        let well_known = "/.well-known/oauth-authorization-server/tenant1";
        let at = address(&running, "Metadata: ", well_known);
        let metadata = common::request("GET", "/").send(at, well_known).json();
        assert_eq!((metadata["issuer"].as_str(), metadata.get("jwks_uri").is_some()), (Some(issuer), published));

        let files = || {
            let mut files: Vec<_> =
                fs::read_dir(&state).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            for file in &files {
                assert_eq!(fs::metadata(state.join(file)).unwrap().permissions().mode() & 0o777, 0o600);
            }
            files
        };
        let [key, next, retired] = ["", "-next", "-retired"].map(|which| format!("{name}{which}.key"));
        assert_eq!(files(), [next.clone(), key.clone()]);

        // The commands that the example shows, as they stand there.
        let source = fs::read_to_string("examples/server.rs").unwrap();
        let commands = source.lines().find_map(|line| line.strip_prefix("//!     cp ")).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-ec", &format!("cp {}", commands.replace("signing", name))]).current_dir(&state);
        let former_next = fs::read(state.join(&next)).unwrap();
        output(shell);
        assert_eq!(fs::read(state.join(&key)).unwrap(), former_next);
        drop(running);

        let running = start();
        let new = mint(&running);
        assert!(counts(&running, &old) && counts(&running, &new));
        assert_eq!(files(), [next, retired.clone(), key]);
        if published {
            let after = keys(&running);
            assert_eq!((after.len(), &after[0], &after[2]), (3, &before[1], &before[0]));
            assert_eq!(verified(&new, &before[1].to_string())["sub"], "billing");
        }
        drop(running);

        // Without its file the old key counts no more.
        fs::remove_file(state.join(retired)).unwrap();
        let running = start();
        assert!(!counts(&running, &old) && counts(&running, &new));
    }
}

/// Whoever loses the race for a file takes what the winner wrote, and a certificate is for the key beside it.
#[test]
fn servers_that_start_at_once_have_one_key() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let start = || server(folder.path(), &["--token", "jwt", "--database", "memory"], "Ready.");
        let running = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect::<Vec<_>>()
        });
        let key = running[0].line("Public key: ");
        assert!(running.iter().all(|running| running.line("Public key: ") == key));
    }
}

#[test]
fn server_refuses_a_key_that_others_can_read() {
    for (kind, name) in [("jwt", "signing.key"), ("sealed", "sealing-next.key"), ("opaque", "localhost.key")] {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--token", kind, "--database", "memory"];
        drop(server(folder.path(), &arguments, "Ready."));
        let path = folder.path().join(name);
        for mode in [0o644, 0o640, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let mut command = example("server");
            command.args(["--listen", "127.0.0.1:0", "--state"]).arg(folder.path()).args(arguments);
            let output = command.output().unwrap();
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && error.contains(path.to_str().unwrap()), "{error}");
            assert!(error.contains("others") && error.contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        drop(server(folder.path(), &arguments, "Ready."));
    }
}

#[test]
fn server_warns_of_a_proxy_that_names_no_source() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, warns) in [(&["--http"][..], true), (&["--http", "--source-header", "X-Real-IP"], false)] {
        let running = server(folder.path(), &[&["--database", "memory"], arguments].concat(), "Ready.");
        common::request("GET", "/openapi.json").send(running.address(), "/openapi.json");
        let log = running.stop();
        assert_eq!(log.contains("Warning: without --source-header "), warns, "{log}");
    }
}

#[test]
fn server_refuses_an_issuer_that_is_none() {
    for issuer in ["http://auth.example.com", "https://auth.example.com?a=b"] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = example("server");
        command.args(["--http", "--listen", "127.0.0.1:0", "--issuer", issuer, "--state"]).arg(folder.path());
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains("--issuer") && error.contains(issuer), "{error}");
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

/// What the server writes, the other example verifies, after a second start too; and it says where somebody has been.
#[test]
fn server_writes_an_audit_log_that_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let verify = |arguments: &[&str]| {
        let mut command = example("audit_log");
        command.arg("verify").arg(&audit).args(arguments);
        command
    };
    let mut heads = Vec::new();
    for _ in 0..2 {
        let arguments = ["--http", "--database", "memory", "--audit", audit.to_str().unwrap()];
        let running = server(&folder.path().join("state"), &arguments, "Ready.");
        common::basic("demo", "wrong", "grant_type=client_credentials")
            .send(running.address(), PATH)
            .refused(401, "invalid_client");
        assert!(running.stop().contains("\"diagnosis\":\"the secret is another one"));
        heads.push(output(verify(&[])).trim().to_owned());
    }
    // An administrator and a demo client each time, and the refusal.
    assert!(heads[0].starts_with("3:") && heads[1].starts_with("6:"), "{heads:?}");
    assert_eq!(output(verify(&["--head", &heads[0]])).trim(), heads[1]);

    let text = fs::read_to_string(&audit).unwrap();
    for (changed, said) in [
        (text.replacen("refused", "success", 1), "line 3 is not as it was written"),
        (text.split_inclusive('\n').skip(1).collect(), "line 1 is the one that was number 2"),
        (text.split_inclusive('\n').take(2).collect(), "there are 2 lines, and there have been 3"),
    ] {
        fs::write(&audit, changed).unwrap();
        let refused = verify(&["--head", &heads[0]]).output().unwrap();
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && error.contains(said), "{said}: {error}");
    }
    fs::write(&audit, &text[..text.len() - 5]).unwrap();
    let mut repair = example("audit_log");
    repair.arg("repair").arg(&audit);
    assert!(output(repair).ends_with("bytes taken off\n"));
    assert!(output(verify(&[])).starts_with("5:"));
}

#[test]
fn server_makes_a_key_for_its_audit_log_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, key) = (folder.path().join("audit.jsonl"), folder.path().join("audit.key"));
    let start = |key: &Path| {
        let mut command = example("server");
        command.args(["--http", "--database", "memory", "--listen", "127.0.0.1:0", "--state"]).arg(folder.path());
        command.arg("--audit").arg(&audit).arg("--audit-key").arg(key);
        command
    };
    let verify = |arguments: &[&Path]| {
        let mut command = example("audit_log");
        command.arg("verify").arg(&audit).args(arguments).output().unwrap()
    };
    let mut keys = Vec::new();
    for _ in 0..2 {
        drop(Running::start(start(&key), "Ready."));
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        keys.push(fs::read(&key).unwrap());
    }
    assert!(keys[0] == keys[1] && keys[0].len() == 44);
    let verified = verify(&[Path::new("--key"), &key]);
    // An administrator and a demo client at each start.
    assert!(verified.status.success() && verified.stdout.starts_with(b"4:"), "{verified:?}");
    assert!(!verify(&[]).status.success(), "without the key it is not to be made");

    let missing = folder.path().join("missing.key");
    let another = folder.path().join("another.key");
    fs::write(&another, [0xFF; 32]).unwrap();
    fs::set_permissions(&another, fs::Permissions::from_mode(0o600)).unwrap();
    let short = file(folder.path(), "short.key", "too short");
    fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).unwrap();
    for (key, said) in
        [(&missing, "was begun already"), (&another, "written with another key"), (&short, "32 bytes or more")]
    {
        let refused = start(key).output().unwrap();
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && error.contains(said), "{error}");
    }
    assert!(!missing.exists());
    let mut alone = example("server");
    alone.arg("--audit-key").arg(&key);
    let error = String::from_utf8(alone.output().unwrap().stderr).unwrap();
    assert!(error.contains("--audit <FILE>"), "{error}");
}

#[test]
fn axum_answers() {
    let mut command = example("axum");
    command.arg("127.0.0.1:0");
    let running = Running::start(command, "http://");
    let address = running.line("http://").strip_suffix("/openidconnect/token").unwrap().parse().unwrap();
    let asked = common::basic("billing", "an-example-that-nobody-should-use", "grant_type=client_credentials");
    asked.send(address, PATH).granted(None);
    common::post("x".repeat(20_000)).send(address, PATH).refused(413, "invalid_request");
}

#[test]
#[cfg(feature = "metrics")]
fn metrics_counts_what_it_answers() {
    let mut command = example("metrics");
    command.arg("127.0.0.1:0");
    let running = Running::start(command, "http://");
    let address = running.line("http://").strip_suffix("/openidconnect/token").unwrap().parse().unwrap();
    let form = "grant_type=client_credentials";
    common::basic("billing", "an-example-that-nobody-should-use", form).send(address, PATH).granted(None);
    common::basic("billing", "wrong", form).send(address, PATH).refused(401, "invalid_client");
    let scraped = common::request("GET", "/metrics").send(address, "/metrics");
    let text = String::from_utf8_lossy(&scraped.raw);
    for line in [
        "client_credentials_tokens_issued_total 1",
        r#"client_credentials_requests_total{endpoint="token",status="200"} 1"#,
        r#"client_credentials_refusals_total{endpoint="token",cause="wrong_secret"} 1"#,
        r#"client_credentials_request_duration_seconds_bucket{endpoint="token",le="+Inf"} 2"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn hyper_and_actix_answer() {
    for name in ["hyper", "actix"] {
        let mut command = example(name);
        command.arg("0");
        let running = Running::start(command, "curl ");
        let url = running.head.lines().last().unwrap().rsplit_once(' ').unwrap().1;
        let address = url.strip_suffix(PATH).unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        let asked = common::basic("billing", "an-example-that-nobody-should-use", "grant_type=client_credentials");
        asked.send(address, PATH).granted(None);
        common::post("x".repeat(20_000)).send(address, PATH).refused(413, "invalid_request");
        common::basic("billing", "wrong", "grant_type=client_credentials")
            .send(address, PATH)
            .refused(401, "invalid_client");
        let metadata = "/.well-known/oauth-authorization-server";
        let said = common::request("GET", metadata).send(address, metadata);
        assert_eq!(said.json()["token_endpoint"], url, "{name}");
        if installed("curl").is_some() {
            let mut shell = Command::new("sh");
            shell.args(["-ec", &format!("{} --silent", running.head.lines().last().unwrap())]);
            assert_eq!(reply(&output(shell))["token_type"], "Bearer", "{name}");
        }
    }
}
