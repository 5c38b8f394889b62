//! What an event says: where it came from, and which token was issued to whom.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{
    fs,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    AnyTokenIssuer, AuditEvent, AuditKey, AuditLog, AuditSink, AuthorizationServer, Client, ClientId, Config, Endpoint,
    Endpoints, JwtIssuer, MemoryCounters, MemoryStore, OpaqueIssuer, Quota, Quotas, RandomSource, Request, Role,
    SealedIssuer, SealingKey, SigningAlgorithm, SigningKey, TenantName, Throttle, handle_request, now,
    time::OffsetDateTime, verify_audit_log,
};
use serde_json::Value;

/// The events, as JSON.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Value>>>);

impl AuditSink for Events {
    fn record(&self, event: &AuditEvent<'_>) {
        self.0.lock().unwrap().push(serde_json::to_value(event).unwrap());
    }
}

impl Events {
    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

type Server = AuthorizationServer<MemoryStore, AnyTokenIssuer>;

const SOURCE: &str = "2001:db8:1:2:3:4:5:6";
const GRANT: &str = "grant_type=client_credentials&scope=read+tenant:acme+tenant:bolt";

fn block_on<R>(run: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(run)
}

fn server(issuer: impl FnOnce(&MemoryStore) -> AnyTokenIssuer, config: Config) -> Server {
    let store = MemoryStore::default();
    let issuer = issuer(&store);
    AuthorizationServer::new(store, issuer, config)
}

fn opaque(store: &MemoryStore) -> AnyTokenIssuer {
    AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()))
}

/// Registers the client `billing`, and says its secret.
fn register(server: &Server) -> String {
    let client = Client::builder("billing").seacatauth_credentials(true).scope("read");
    let client = client.tenant("acme").tenant("bolt").role(Role::superuser());
    block_on(server.administrator("setup", now()).create_client(client)).unwrap().1.expose().to_owned()
}

/// What is answered to a call from the source.
fn ask(
    server: &Server,
    method: &str,
    endpoint: Endpoint,
    authorization: &str,
    form: &str,
    at: OffsetDateTime,
) -> Value {
    let endpoints = Endpoints::new("https://auth.example.com").unwrap().with(Endpoint::Management, "/admin").unwrap();
    let path = endpoints.path(endpoint).unwrap();
    let path = if endpoint == Endpoint::Management { [path, form].concat() } else { path.to_owned() };
    let request = Request::new(method, at).path(&path).source(SOURCE.parse::<IpAddr>().unwrap());
    let request = request.header("Content-Type", b"application/x-www-form-urlencoded");
    let request = request.header("Authorization", authorization.as_bytes()).body(form.as_bytes());
    let reply = block_on(handle_request(server, &endpoints, &request));
    serde_json::from_slice(reply.body()).unwrap_or_default()
}

fn basic(secret: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(["billing:", secret].concat()))
}

#[test]
fn each_event_names_the_source_of_its_request() {
    let events = Events::default();
    let config = Config::default().with_max_failures_per_client(1).with_max_failures_per_source(2);
    let server = server(opaque, config).with_throttle(Throttle::default()).with_audit_sink(events.clone());
    let quotas = Quotas::default().with_default(Quota::per_hour(2).unwrap()).with_thresholds([50]);
    let server = server.with_quotas(quotas, MemoryCounters::default()).with_issued_tokens_audited();
    let (secret, billing, begun) = (register(&server), ClientId::parse("billing").unwrap(), now());
    let overlap = Some(Duration::from_secs(60));
    block_on(server.administrator("setup", begun).reset_secret(&billing, overlap)).unwrap();
    assert!(events.take().iter().all(|event| event.get("source").is_none()), "nobody has named one");

    let token = ask(&server, "POST", Endpoint::Token, &basic(&secret), GRANT, begun);
    let token = token["access_token"].as_str().unwrap();
    let (bearer, form) = (format!("Bearer {token}"), format!("token={token}"));
    for (method, endpoint, authorization, form) in [
        ("POST", Endpoint::Token, &*basic(&secret), GRANT),
        ("POST", Endpoint::Token, &basic(&secret), GRANT),
        ("GET", Endpoint::Management, &bearer, "/client/nobody"),
        ("POST", Endpoint::Management, &bearer, "/tenant_assign/seacatauth:client:billing/cave"),
        ("GET", Endpoint::Management, "Bearer none", "/client"),
        ("GET", Endpoint::Gateway, "Bearer none", ""),
        ("POST", Endpoint::Revocation, &basic(&secret), &form),
        ("POST", Endpoint::Token, &basic("wrong"), GRANT),
        ("POST", Endpoint::Introspection, "", "token=a"),
        ("POST", Endpoint::Revocation, "", "token=a"),
    ] {
        ask(&server, method, endpoint, authorization, form, begun);
    }
    let events = events.take();
    let mut actions: Vec<_> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    for event in &events {
        assert_eq!(event["source"], SOURCE, "{event}");
        if event["action"] == "throttle" && event.get("target").is_some() {
            assert_eq!(event["target"], "2001:db8:1:2::/64", "who has one address of a network has all of them");
        }
    }
    actions.sort_unstable();
    actions.dedup();
    let expected = "assign_tenant call_api cross_threshold exceed_quota introspect issue_token manage read_client \
        request_token revoke_token throttle use_retiring_secret";
    assert_eq!(actions.join(" "), expected);
}

#[test]
fn an_administrator_of_the_host_may_have_a_source() {
    let events = Events::default();
    let server = server(opaque, Config::default()).with_audit_sink(events.clone());
    let administrator = server.administrator("setup", now()).with_source(SOURCE.parse::<IpAddr>().unwrap());
    block_on(administrator.assign_tenant(&ClientId::parse("billing").unwrap(), &TenantName::parse("acme").unwrap()))
        .unwrap_err();
    assert_eq!(events.take()[0]["source"], SOURCE);
}

/// Each kind of token is named by what its revocation names, and is nowhere in the log.
#[test]
fn issued_tokens_are_audited_where_the_host_wants_it() {
    let jwt = |_: &MemoryStore| {
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
        AnyTokenIssuer::new(JwtIssuer::new("https://auth.example.com", key))
    };
    let sealed = |_: &MemoryStore| {
        let key = SealingKey::generate(&RandomSource::default()).unwrap();
        AnyTokenIssuer::new(SealedIssuer::new("https://auth.example.com", key))
    };
    let issuers: [&dyn Fn(&MemoryStore) -> AnyTokenIssuer; 3] = [&opaque, &jwt, &sealed];
    for issuer in issuers {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("audit.jsonl"), AuditKey::new(&[7; 32]).unwrap());
        let begun = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let log = Arc::new(AuditLog::open(&path, key.clone()).unwrap());
        let server = server(issuer, Config::default()).with_audit_sink(log.clone());
        let secret = register(&server);
        ask(&server, "POST", Endpoint::Token, &basic(&secret), GRANT, begun);
        assert_eq!(log.head().count(), 1, "only the client is an event unless the host wants more");

        let server = server.with_issued_tokens_audited();
        let reply = ask(&server, "POST", Endpoint::Token, &basic(&secret), GRANT, begun);
        let token = reply["access_token"].as_str().unwrap();
        ask(&server, "POST", Endpoint::Token, &basic(&secret), "grant_type=client_credentials", begun);
        ask(&server, "POST", Endpoint::Revocation, &basic(&secret), &format!("token={token}"), begun);

        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(verify_audit_log(text.as_bytes(), Some(&key), None).unwrap(), log.head());
        assert!(!text.contains(token) && !text.contains(&secret) && !token.split('.').any(|part| text.contains(part)));
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [_, issued, again, revoked] = &lines[..] else { unreachable!("{text}") };
        for (member, value) in [
            ("time", "2027-01-15T08:00:00Z"),
            ("source", SOURCE),
            ("actor", "billing"),
            ("action", "issue_token"),
            ("client_id", "billing"),
            ("scope", "read tenant:acme tenant:bolt"),
            ("expires_at", "2027-01-15T08:03:00Z"),
            ("outcome", "success"),
        ] {
            assert_eq!(issued[member], value, "{member}");
        }
        assert_eq!((&revoked["action"], &revoked["target"]), (&"revoke_token".into(), &issued["target"]));
        assert_eq!(revoked.get("expires_at"), None);
        assert_eq!((&again["action"], again.get("scope")), (&"issue_token".into(), None));
        assert_ne!(again["target"], issued["target"], "each token has an id of its own");
        assert_eq!(issued["target"].as_str().unwrap().len(), 43);
    }
}

/// Sixty tenants stand there in full, and a hundred are cut.
#[test]
fn a_long_scope_fits_into_a_line() {
    for (tenants, is_cut) in [(60, false), (100, true)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let server = server(opaque, Config::default()).with_audit_sink(AuditLog::open(&path, None).unwrap());
        let server = server.with_issued_tokens_audited();
        let names = (0..tenants).map(|number| format!("the-corporation-number-{number}"));
        let client =
            names.fold(Client::builder("billing").seacatauth_credentials(true), |client, name| client.tenant(&name));
        let (_, secret) = block_on(server.administrator("setup", now()).create_client(client)).unwrap();
        let form = "grant_type=client_credentials&scope=tenant:*";
        let reply = ask(&server, "POST", Endpoint::Token, &basic(secret.expose()), form, now());
        let text = fs::read_to_string(&path).unwrap();
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let (said, scope) = (last["scope"].as_str().unwrap(), reply["scope"].as_str().unwrap());
        assert_eq!(said.ends_with('…'), is_cut, "{}", scope.len());
        assert!(scope.starts_with(said.trim_end_matches('…')) && said.len() >= scope.len().min(2048));
        assert_eq!(verify_audit_log(text.as_bytes(), None, None).unwrap().count(), 2);
    }
}
