//! What the sink for `tracing` gives to whoever listens.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    io::{self, Write},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use client_credentials::{
    AuthorizationServer, Client, Config, MemoryStore, OpaqueIssuer, Request, TokenEndpointAuthMethod, TracingSink,
    handle_token_request, now, time::OffsetDateTime,
};

/// What was written, for all who hold it.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const POST: TokenEndpointAuthMethod = TokenEndpointAuthMethod::ClientSecretPost;

fn post(form: &str, received_at: OffsetDateTime) -> Request<'_> {
    let request = Request::new("POST", received_at).header("Content-Type", b"application/x-www-form-urlencoded");
    request.body(form.as_bytes())
}

#[test]
fn tracing_gets_each_event_at_its_level() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber =
        tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(subscriber, || {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let store = MemoryStore::default();
            let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
            let server = server.with_audit_sink(TracingSink::new());
            let billing = Client::builder("billing").seacatauth_credentials(true).tenant("acme");
            let administrator = server.administrator("setup", now());
            let (client, secret) = administrator.create_client(billing.token_endpoint_auth_method(POST)).await.unwrap();
            let form = |secret| {
                format!("grant_type=client_credentials&scope=tenant:acme&client_id=billing&client_secret={secret}")
            };
            let right = form(secret.expose());
            assert_eq!(handle_token_request(&server, &post(&right, now())).await.status(), 200);
            let server = server.with_issued_tokens_audited();
            let administrator = server.administrator("setup", now());
            let request = post(&right, OffsetDateTime::UNIX_EPOCH).source("192.0.2.7".parse::<IpAddr>().unwrap());
            assert_eq!(handle_token_request(&server, &request).await.status(), 200);
            administrator.delete_client(client.client_id()).await.unwrap();
            assert!(administrator.delete_client(client.client_id()).await.is_err());
            assert_eq!(handle_token_request(&server, &post(&form("HUNTER2"), now())).await.status(), 401);
        });
    });
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let audit = text.lines().map(str::trim_start).filter(|line| line.contains("client_credentials::audit"));
    let audit: Vec<_> = audit.map(|line| line.split_once(" diagnosis=").unwrap_or((line, ""))).collect();
    let (lines, diagnoses): (Vec<_>, Vec<_>) = audit.into_iter().unzip();
    assert!(diagnoses[..3] == ["", "", ""] && diagnoses[4].contains("look at the client_id"), "{diagnoses:?}");
    // What is recorded in a request is in its span.
    assert!(lines[4].starts_with("WARN request{") && lines[4].contains("http.request.method=\"POST\""), "{lines:?}");
    let at = |line: &str| line.find("client_credentials::audit").unwrap();
    let lines: Vec<_> = lines.iter().map(|line| [&line[..5], &line[at(line)..]].concat()).collect();
    // The id of the token is another one each time.
    let (before, rest) = lines[1].split_once(" target=\"").unwrap();
    let (id, after) = rest.split_once('"').unwrap();
    assert_eq!(id.len(), 43);
    let lines: Vec<_> = lines.iter().map(|line| line.replace(&lines[1], &[before, after].concat())).collect();
    let expected = [
        "INFO client_credentials::audit: actor=\"setup\" action=CreateClient client_id=\"billing\" outcome=\"success\"",
        "INFO client_credentials::audit: source=192.0.2.7 actor=\"billing\" action=IssueToken client_id=\"billing\" \
            scope=\"tenant:acme\" expires_at=\"1970-01-01T00:03:00Z\" outcome=\"success\"",
        "INFO client_credentials::audit: actor=\"setup\" action=DeleteClient client_id=\"billing\" outcome=\"success\"",
        "WARN client_credentials::audit: actor=\"setup\" action=DeleteClient outcome=\"refused\" cause=there is no such client",
        "WARN client_credentials::audit: action=RequestToken outcome=\"refused\" cause=the client is unknown",
    ];
    assert_eq!(lines, expected);
}
