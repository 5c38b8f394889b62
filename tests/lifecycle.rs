//! The life of a token, whatever its kind and wherever it is kept: the example `server` issues it, tells what it says and ends
//! it, and the example `protected_api` takes it and then does not.
#![cfg(unix)]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;
#[path = "common/running.rs"]
mod running;
#[path = "common/servers.rs"]
mod servers;

use std::{fs, net::SocketAddr, path::Path};

use common::{Answer, SECRET, basic, request};
use running::{PATH, Running, example, server};
use serde_json::json;
use servers::Postgres;

const INTROSPECTION: &str = "/openidconnect/introspect";
const REVOCATION: &str = "/openidconnect/token/revoke";

/// An API that asks this server about each token, each time.
fn protected_api(address: SocketAddr) -> (Running, SocketAddr) {
    let mut command = example("protected_api");
    command.args(["--listen", "127.0.0.1:0", "--cache", "0", "--introspection"]);
    command.arg(format!("http://{address}{INTROSPECTION}")).env("CLIENT_ID", "api").env("CLIENT_SECRET", SECRET);
    let running = Running::start(command, "Listening on ");
    let address = running.line("Listening on http://").parse().unwrap();
    (running, address)
}

/// An API that checks JWTs by the keys that it finds by the server's metadata.
fn api_with_keys(issuer: &str) -> (Running, SocketAddr) {
    let mut command = example("protected_api");
    command.args(["--listen", "127.0.0.1:0", "--issuer", issuer]);
    let running = Running::start(command, "Listening on ");
    let address = running.line("Listening on http://").parse().unwrap();
    (running, address)
}

fn lives_and_ends(kind: &str, database: &str, folder: &Path) {
    let clients = folder.join("clients.json");
    let file = json!([
        {"client_id": "billing", "client_secret": SECRET, "seacatauth_credentials": true, "scope": "read", "tenants": ["acme"]},
        {"client_id": "api", "client_secret": SECRET},
    ]);
    fs::write(&clients, file.to_string()).unwrap();
    // The same issuer after a restart, on whatever port.
    let issuer = ["--http", "--issuer", "http://localhost"];
    let arguments = ["--token", kind, "--database", database, "--clients", clients.to_str().unwrap()];
    let arguments: Vec<_> = issuer.into_iter().chain(arguments).collect();
    let running = server(folder, &arguments, "Ready.");
    let address = running.address();
    let (_api, api) = protected_api(address);

    let ask = |path: &str, client_id: &str, token: &str| -> Answer {
        request("POST", path).form(format!("token={token}")).credentials(client_id, SECRET).send(address, path)
    };
    let call = |path: &str, token: &str| request("GET", path).bearer(token).send(api, path);

    let mint = || {
        let minted =
            basic("billing", SECRET, "grant_type=client_credentials&scope=read+tenant:acme").send(address, PATH);
        assert_eq!(minted.status, 200, "{minted:?}");
        minted.json()["access_token"].as_str().unwrap().to_owned()
    };
    let (token, other) = (mint(), mint());
    let said = ask(INTROSPECTION, "api", &token).json();
    assert_eq!(
        (&said["active"], &said["client_id"], &said["scope"]),
        (&json!(true), &json!("billing"), &json!("read tenant:acme"))
    );
    assert_eq!(call("/whoami", &token).json(), json!({"client_id": "billing", "scope": "read tenant:acme"}));
    assert_eq!(call("/acme/report", &token).json(), json!({"tenant": "acme", "for": "billing"}));
    call("/other/report", &token).refused(403, "insufficient_scope");
    call("/whoami", "unknown").refused(401, "invalid_token");
    assert_eq!(request("GET", "/whoami").send(api, "/whoami").status, 401);

    // Not by another client.
    ask(REVOCATION, "api", &token).refused(400, "unauthorized_client");
    assert_eq!(call("/whoami", &token).status, 200);
    assert_eq!(ask(REVOCATION, "billing", &token).status, 200);
    assert_eq!(ask(INTROSPECTION, "api", &token).raw, br#"{"active":false}"#);
    let refused = call("/whoami", &token);
    refused.refused(401, "invalid_token");
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer "), "{refused:?}");
    assert_eq!(call("/whoami", &other).status, 200, "{kind} in {database}: another token of the client stands");

    // What was revoked is so after a restart too, where the database outlives the server.
    if database != "memory" {
        running.stop();
        let running = server(folder, &arguments, "Ready.");
        let (_api, api) = protected_api(running.address());
        let call = |token: &str| request("GET", "/whoami").bearer(token).send(api, "/whoami");
        call(&token).refused(401, "invalid_token");
        assert_eq!(call(&other).status, 200, "{kind} in {database}: what was not revoked stands after a restart");
    }
}

#[test]
fn a_token_of_each_kind_lives_and_ends_in_each_database() {
    let postgres = Postgres::start();
    for kind in ["opaque", "jwt", "sealed"] {
        let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
        lives_and_ends(kind, "memory", folders[0].path());
        let sqlite = format!("sqlite:{}", folders[1].path().join("clients.db").display());
        lives_and_ends(kind, &sqlite, folders[1].path());
        if let Some(postgres) = &postgres {
            lives_and_ends(kind, &postgres.url(), folders[2].path());
        }
    }
}

#[test]
fn an_api_finds_the_keys_by_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let clients = folder.path().join("clients.json");
    let file = json!([{"client_id": "billing", "client_secret": SECRET, "seacatauth_credentials": true, "audience": ["https://api.example.com"]}]);
    fs::write(&clients, file.to_string()).unwrap();
    let arguments = ["--http", "--token", "jwt", "--database", "memory", "--clients", clients.to_str().unwrap()];
    let running = server(folder.path(), &arguments, "Ready.");
    let issuer = running.line("Token endpoint: ").strip_suffix(PATH).unwrap();
    let (_api, api) = api_with_keys(issuer);
    let mint = |form: &str| {
        let minted = basic("billing", SECRET, form).send(running.address(), PATH);
        minted.json()["access_token"].as_str().unwrap().to_owned()
    };
    let token = mint("grant_type=client_credentials");
    let call = |token: &str| request("GET", "/whoami").bearer(token).send(api, "/whoami");
    assert_eq!(call(&token).json()["client_id"], "billing");
    call(&token[..token.len() - 4]).refused(401, "invalid_token");
    let elsewhere = mint("grant_type=client_credentials&resource=https%3A%2F%2Fapi.example.com");
    call(&elsewhere).refused(401, "invalid_token");
}
