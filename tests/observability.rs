//! What an operator sees of requests: spans, numbers and diagnoses, and no secret in any of them.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

use std::{
    cell::RefCell,
    collections::BTreeMap,
    error::Error as _,
    fmt::{Debug, Write as _},
    pin::Pin,
    sync::{Arc, Mutex, Once},
    task::{self, Poll},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use client_credentials::{
    Admitted, AnyCounterStore, Attempt, AuditEvent, AuditSink, AuthorizationServer, AuthorizationService, BackendError,
    Client, ClientSecret, ClientSecretHash, ClientStore, Config, CounterKey, CounterStore, Endpoint, Endpoints, Error,
    FailureLimit, MemoryCounters, MemoryStore, OpaqueIssuer, Quota, Quotas, RandomSource, Reply, Request, SecretClass,
    Source, StoredSecret, Taken, Throttle, TokenEndpointAuthMethod, describe_metrics, handle_request,
    handle_token_request, now, time::OffsetDateTime,
};
use http_body::{Body, Frame};
use metrics_exporter_prometheus::PrometheusBuilder;
use tower::ServiceExt as _;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::Context, prelude::*, registry::LookupSpan};

const FORM: &[u8] = b"application/x-www-form-urlencoded";

thread_local!(static SEEN: RefCell<Kept> = RefCell::default());

/// Keeps every span and event for the thread, which is the test, that it is in. One subscriber for all tests: what `tracing`
/// remembers of who is interested is not the thread's.
struct Seen;

#[derive(Default)]
struct Kept {
    spans: Vec<(u64, Fields)>,
    events: Vec<(Option<u64>, Fields)>,
}

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Empty where there is none.
    fn of(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.to_string());
    }

    fn record_u64(&mut self, field: &Field, _: u64) {
        panic!("OpenTelemetry has no unsigned integers: `{field}` would become a string");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, _: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        SEEN.with_borrow_mut(|kept| kept.spans.push((id.into_u64(), fields)));
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        SEEN.with_borrow_mut(|kept| {
            values.record(&mut kept.spans.iter_mut().rev().find(|(known, _)| *known == id.into_u64()).unwrap().1);
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = context.event_span(event).map(|span| span.id().into_u64());
        SEEN.with_borrow_mut(|kept| kept.events.push((span, fields)));
    }
}

/// What there is to be seen of this test from here on.
fn watch() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| tracing_subscriber::registry().with(Seen).init());
}

fn seen() -> Kept {
    SEEN.take()
}

fn block_on<R>(run: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run)
}

fn basic(text: impl AsRef<[u8]>) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(text))
}

fn server(
    secret: &str,
    method: TokenEndpointAuthMethod,
) -> AuthorizationServer<MemoryStore, OpaqueIssuer<MemoryStore>> {
    let hash = ClientSecretHash::generated(&ClientSecret::new(secret.into()), &RandomSource::default()).unwrap();
    let client = Client::builder("billing").seacatauth_credentials(true).client_secret_hash(hash);
    let store = MemoryStore::default();
    store.insert_client(client.token_endpoint_auth_method(method).build().unwrap());
    AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default())
}

fn endpoints() -> Endpoints {
    Endpoints::new("https://auth.example.com").unwrap().with(Endpoint::Management, "/admin").unwrap()
}

const BASIC: TokenEndpointAuthMethod = TokenEndpointAuthMethod::ClientSecretBasic;

/// What a request came as, and what its span says of it.
struct Row {
    sent: (&'static str, &'static str, &'static str),
    name: &'static str,
    method: (&'static str, &'static str),
    path: &'static str,
    route: &'static str,
    endpoint: &'static str,
    ended: (&'static str, &'static str),
    client: &'static str,
}

#[test]
fn one_span_a_request_with_the_fields_of_opentelemetry() {
    watch();
    let endpoints = endpoints();
    let server = server("right", BASIC);
    let down =
        self::server("right", BASIC).with_throttle(Throttle::with_counters(Forgetful(MemoryCounters::default(), true)));
    let ask = |server: &AuthorizationServer<_, _>, (method, path, credentials): (&str, &str, &str)| {
        let authorization = basic(credentials);
        let request = Request::new(method, now()).path(path).query("HUNTER2").header("Content-Type", FORM);
        let request = request.header("Authorization", authorization.as_bytes());
        let request = request.source("192.0.2.7".parse::<std::net::IpAddr>().unwrap());
        drop(block_on(handle_request(server, &endpoints, &request.body(b"grant_type=client_credentials"))));
        seen()
    };
    const TOKEN: &str = "/openidconnect/token";
    let token = |sent, ended, client| Row {
        sent,
        name: "POST /openidconnect/token",
        method: ("POST", ""),
        path: TOKEN,
        route: TOKEN,
        endpoint: "token",
        ended,
        client,
    };
    let (mut refused, mut failed) = (0, 0);
    for (server, row) in [
        (&server, token(("POST", TOKEN, "billing:right"), ("200", ""), "billing")),
        (&server, token(("POST", TOKEN, "billing:wrong"), ("401", "wrong_secret"), "billing")),
        (&server, token(("POST", TOKEN, "nobody:right"), ("401", "unknown_client"), "")),
        (&down, token(("POST", TOKEN, "billing:right"), ("503", "backend"), "")),
        (
            &server,
            Row {
                name: "HTTP /openidconnect/token",
                method: ("_OTHER", "REDACTED"),
                ..token(("FROB", TOKEN, "billing:right"), ("405", "method_not_allowed"), "")
            },
        ),
        (
            &server,
            Row {
                name: "HTTP /openidconnect/token",
                method: ("_OTHER", "post"),
                ..token(("post", TOKEN, "billing:right"), ("405", "method_not_allowed"), "")
            },
        ),
        (
            &server,
            Row {
                sent: ("GET", "/elsewhere", "billing:right"),
                name: "GET",
                method: ("GET", ""),
                path: "/REDACTED",
                route: "",
                endpoint: "",
                ended: ("404", "not_found"),
                client: "",
            },
        ),
        (
            &server,
            Row {
                sent: ("GET", "/openapi.json", "billing:right"),
                name: "GET /openapi.json",
                method: ("GET", ""),
                path: "/openapi.json",
                route: "/openapi.json",
                endpoint: "openapi",
                ended: ("200", ""),
                client: "",
            },
        ),
        (
            &server,
            Row {
                sent: ("PUT", "/admin/client/billing", "billing:right"),
                name: "PUT /admin/client/{client_id}",
                method: ("PUT", ""),
                path: "/admin/REDACTED",
                route: "/admin/client/{client_id}",
                endpoint: "management",
                ended: ("401", "no_token"),
                client: "",
            },
        ),
    ] {
        let Kept { spans, events } = ask(server, row.sent);
        let [(id, span)] = spans.as_slice() else { panic!("one span: {spans:?}") };
        let (field, (status, cause)) = (|name| span.of(name), row.ended);
        assert_eq!(field("otel.name"), row.name, "{span:?}");
        assert_eq!(field("otel.kind"), "server");
        assert_eq!((field("http.request.method"), field("http.request.method_original")), row.method, "{span:?}");
        assert_eq!((field("url.scheme"), field("url.path"), field("url.query")), ("https", row.path, "REDACTED"));
        assert_eq!((field("http.route"), field("oauth.endpoint")), (row.route, row.endpoint), "{span:?}");
        assert_eq!((field("http.response.status_code"), field("oauth.cause")), (status, cause), "{span:?}");
        assert_eq!((field("client.address"), field("oauth.client_id")), ("192.0.2.7", row.client), "{span:?}");
        // What is refused is the caller's error.
        let error = if status == "503" { ("ERROR", cause) } else { ("", "") };
        assert_eq!((field("otel.status_code"), field("error.type")), error, "{span:?}");
        for (of, event) in &events {
            assert!(*of == Some(*id) && !event.of("diagnosis").is_empty(), "{event:?}");
        }
        let told: Vec<_> = events.iter().map(|(_, event)| event.of("message")).collect();
        match cause {
            "" => assert!(told.is_empty(), "{told:?}"),
            "backend" => assert_eq!(told, ["failed"]),
            _ => assert_eq!(told, ["refused"]),
        }
        refused += usize::from(told == ["refused"]);
        failed += usize::from(told == ["failed"]);
    }
    assert_eq!((refused, failed), (6, 1));
}

#[test]
fn a_failure_is_told_where_only_warnings_pass() {
    watch();
    let counters = Forgetful(MemoryCounters::default(), true);
    let down = server("right", BASIC).with_throttle(Throttle::with_counters(counters));
    let authorization = basic("billing:right");
    let request = Request::new("POST", now()).header("Content-Type", FORM).body(b"grant_type=client_credentials");
    let request = request.header("Authorization", authorization.as_bytes());
    let only_warnings = tracing_subscriber::registry().with(LevelFilter::WARN).with(Seen);
    let reply = tracing::subscriber::with_default(only_warnings, || block_on(handle_token_request(&down, &request)));
    assert_eq!(reply.status(), 503);
    let Kept { spans, events } = seen();
    let [(None, event)] = events.as_slice() else { panic!("one event: {events:?}") };
    assert_eq!((event.of("message"), event.of("cause"), spans.len()), ("failed", "a backend failed", 0));
    // What the backend says is for the host to log, if it may be seen.
    assert!(event.of("diagnosis").contains("log `Reply::cause` and its sources"), "{event:?}");
    assert!(!event.0.values().any(|text| text.contains(DOWN)), "{event:?}");
    assert_eq!(reply.cause().and_then(|cause| cause.source()).unwrap().to_string(), DOWN);
}

/// A body that breaks off after some of it.
struct BrokenOff(bool);

impl Body for BrokenOff {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let is_begun = std::mem::replace(&mut self.0, true);
        Poll::Ready(Some(if is_begun { Err("reset") } else { Ok(Frame::data(Bytes::from_static(b"grant"))) }))
    }
}

#[test]
fn a_body_that_breaks_off_has_the_span_of_its_endpoint() {
    watch();
    let service = AuthorizationService::new(server("right", BASIC), endpoints());
    const TOKEN: &str = "/openidconnect/token";
    for (method, path, url_path, route, endpoint, status, cause) in [
        ("POST", TOKEN, TOKEN, TOKEN, "token", "400", "incomplete_body"),
        ("PUT", TOKEN, TOKEN, TOKEN, "token", "405", "method_not_allowed"),
        (
            "PUT",
            "/admin/client/HUNTER2",
            "/admin/REDACTED",
            "/admin/client/{client_id}",
            "management",
            "401",
            "no_token",
        ),
        ("PUT", "/admin/HUNTER2", "/admin/REDACTED", "", "management", "404", "not_found"),
    ] {
        let request = http::Request::builder().method(method).uri(path).body(BrokenOff(false)).unwrap();
        let response = block_on(service.clone().oneshot(request)).unwrap();
        assert_eq!(response.extensions().get().map(Error::name), Some(cause));
        let kept = seen();
        let [(_, span)] = kept.spans.as_slice() else { panic!("one span") };
        assert_eq!(
            (span.of("url.path"), span.of("http.route"), span.of("oauth.endpoint")),
            (url_path, route, endpoint)
        );
        assert_eq!(span.of("otel.name"), format!("{method} {route}").trim_end());
        let ended = (span.of("http.response.status_code"), span.of("oauth.cause"), span.of("error.type"));
        assert_eq!((span.of("url.scheme"), ended), ("https", (status, cause, "")));
        assert!(!format!("{:?}{:?}", kept.spans, kept.events).contains("HUNTER2"));
    }
}

#[test]
fn a_body_that_breaks_off_is_audited_and_counted() {
    let (told, source) = (Arc::new(Mutex::new(String::new())), Source([192, 0, 2, 7].into()));
    let store = MemoryStore::default();
    let config = Config::default().with_max_failures_per_source(2);
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), config);
    let server = server.with_throttle(Throttle::default()).with_audit_sink(Told(told.clone()));
    let service = AuthorizationService::new(server, endpoints());
    let ask = |path: &str| {
        let request = http::Request::post(path).header("Content-Type", FORM).extension(source);
        let response = block_on(service.clone().oneshot(request.body(BrokenOff(false)).unwrap())).unwrap();
        (response.status().as_u16(), std::mem::take(&mut *told.lock().unwrap()))
    };
    for (path, action, events) in [
        ("/openidconnect/token", "request_token", 1),
        // The second is the last one, and the audit is told that the source has to wait.
        ("/openidconnect/introspect", "introspect", 2),
    ] {
        let (status, told) = ask(path);
        let told: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((status, told.len()), (400, events), "{told:?}");
        let refusal = told.last().unwrap();
        assert_eq!((&refusal["action"], &refusal["outcome"]), (&action.into(), &"refused".into()), "{told:?}");
        assert_eq!(
            (&refusal["cause"], &refusal["source"]),
            (&"the body broke off before its end".into(), &"192.0.2.7".into())
        );
    }
    assert_eq!(ask("/openidconnect/token/revoke"), (429, String::new()));
}

/// A store that lets others run first.
struct Slow(MemoryStore);

impl ClientStore for Slow {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        tokio::task::yield_now().await;
        self.0.find_client(client_id).await
    }
}

#[test]
fn a_handler_of_its_own_has_a_span_too_and_spans_stay_apart() {
    watch();
    let server = server("right", BASIC);
    let server =
        AuthorizationServer::new(Slow(server.store().clone()), server.issuer().clone(), server.config().clone());
    let (right, other) = (basic("billing:right"), basic("nobody:right"));
    let request = |authorization| {
        let request = Request::new("POST", now()).path("/what/the/caller/sent").header("Content-Type", FORM);
        request.header("Authorization", authorization).body(b"grant_type=client_credentials")
    };
    let (one, two) = (request(right.as_bytes()), request(other.as_bytes()));
    // Both at once in one task: each is entered only while it runs.
    let (one, two) =
        block_on(async { tokio::join!(handle_token_request(&server, &one), handle_token_request(&server, &two)) });
    assert_eq!((one.status(), two.status()), (200, 401));
    let kept = seen();
    let [(_, one), (_, two)] = kept.spans.as_slice() else { panic!("two spans") };
    assert_eq!((one.0["otel.name"].as_str(), one.0["oauth.client_id"].as_str()), ("POST", "billing"));
    assert!(!two.0.contains_key("oauth.client_id") && !one.0.contains_key("http.route"), "{one:?}");
    assert!(
        one.of("url.path") == "/REDACTED" && !one.0.contains_key("url.scheme"),
        "the host has not said it: {one:?}"
    );
}

/// A store that never answers.
struct Stuck;

impl ClientStore for Stuck {
    async fn find_client(&self, _: &str) -> Result<Option<Arc<Client>>, BackendError> {
        std::future::pending().await
    }
}

#[test]
fn a_request_that_is_dropped_is_an_interrupted_one() {
    watch();
    let (server, right) = (server("right", BASIC), basic("billing:right"));
    let server = AuthorizationServer::new(Stuck, server.issuer().clone(), server.config().clone());
    let request = Request::new("POST", now()).header("Content-Type", FORM).body(b"grant_type=client_credentials");
    let request = request.header("Authorization", right.as_bytes());
    let mut answer = Box::pin(handle_token_request(&server, &request));
    assert!(answer.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())).is_pending());
    drop(answer);
    let Kept { spans, events } = seen();
    let [(_, span)] = spans.as_slice() else { panic!("one span: {spans:?}") };
    assert_eq!((span.of("otel.status_code"), span.of("error.type")), ("ERROR", "interrupted"));
    assert!(!span.0.contains_key("http.response.status_code") && events.is_empty(), "{span:?} {events:?}");
}

/// All that an operator gets of a request, as one text.
struct Told(Arc<Mutex<String>>);

impl AuditSink for Told {
    fn record(&self, event: &AuditEvent<'_>) {
        writeln!(self.0.lock().unwrap(), "{}", serde_json::to_string(event).unwrap()).unwrap();
    }
}

#[test]
fn no_secret_is_seen_wherever_it_stands() {
    const SECRET: &str = "HUNTER2";
    let recorder = PrometheusBuilder::new().build_recorder();
    watch();
    let (told, endpoints) = (Arc::new(Mutex::new(String::new())), endpoints());
    let server = server("right", BASIC).with_audit_sink(Told(told.clone())).with_misspellings_noted();
    let posted = format!("grant_type=client_credentials&client_id=billing&client_secret={SECRET}");
    let scope = format!("grant_type=client_credentials&scope={SECRET}");
    let (as_secret, as_id) = (basic(format!("billing:{SECRET}")), basic(format!("{SECRET}:billing")));
    let (quoted, right) = (basic(format!("billing:\"{SECRET}\"")), basic("billing:right"));
    let (bearer, digest) = (format!("Bearer {SECRET}"), format!("Digest {SECRET}"));
    let mut requests = 0;
    for path in ["/openidconnect/token", "/openidconnect/introspect", "/openidconnect/token/revoke"] {
        for authorization in ["", &as_secret, &as_id, &quoted, &right, &bearer, &digest, SECRET] {
            for body in ["grant_type=client_credentials", &posted, &scope, SECRET] {
                for query in [None, Some("client_secret=HUNTER2"), Some("HUNTER2")] {
                    let request = Request::new("POST", now()).path(path).query(query).header("Content-Type", FORM);
                    let request = match authorization {
                        "" => request,
                        text => request.header("Authorization", text.as_bytes()),
                    };
                    let request = request.body(body.as_bytes());
                    let ask = || block_on(handle_request(&server, &endpoints, &request));
                    drop(metrics::with_local_recorder(&recorder, ask));
                    requests += 1;
                }
            }
        }
    }
    for (method, path) in [
        ("GET", "/HUNTER2"),
        ("HUNTER2", "/openidconnect/token"),
        ("hunter2", "/openidconnect/token"),
        ("GET", "/admin/client/HUNTER2"),
        ("GET", "/admin/HUNTER2"),
        ("DELETE", "/admin/client/billing/token/HUNTER2"),
        ("GET", "/nginx/introspect/openidconnect"),
    ] {
        let request = Request::new(method, now()).path(path).query("resource=HUNTER2&HUNTER2=HUNTER2");
        let request = request.header("Authorization", bearer.as_bytes());
        let ask = || block_on(handle_request(&server, &endpoints, &request));
        drop(metrics::with_local_recorder(&recorder, ask));
        requests += 1;
    }
    let kept = seen();
    assert_eq!(kept.spans.len(), requests);
    let numbers = recorder.handle().render();
    let audit = told.lock().unwrap();
    assert!(numbers.contains("client_credentials_requests_total") && audit.lines().count() > 100);
    for text in [format!("{:?}{:?}", kept.spans, kept.events), numbers, audit.clone()] {
        let leaked = text.lines().find(|line| line.to_lowercase().contains("hunter2"));
        assert_eq!(leaked, None);
    }
}

#[test]
fn what_is_counted_and_timed() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let (server, endpoints) = (server("right", BASIC), endpoints());
    let (right, wrong) = (basic("billing:right"), basic("billing:wrong"));
    metrics::with_local_recorder(&recorder, || {
        describe_metrics();
        for authorization in [&right, &right, &wrong] {
            let request = Request::new("POST", now()).path("/openidconnect/token").header("Content-Type", FORM);
            let request = request.header("Authorization", authorization.as_bytes());
            drop(block_on(handle_request(&server, &endpoints, &request.body(b"grant_type=client_credentials"))));
        }
        drop(block_on(handle_request(&server, &endpoints, &Request::new("GET", now()).path("/nowhere"))));
    });
    let text = recorder.handle().render();
    for line in [
        r#"client_credentials_requests_total{endpoint="token",status="200"} 2"#,
        r#"client_credentials_requests_total{endpoint="token",status="401"} 1"#,
        r#"client_credentials_requests_total{endpoint="none",status="404"} 1"#,
        r#"client_credentials_refusals_total{endpoint="token",cause="wrong_secret"} 1"#,
        r#"client_credentials_refusals_total{endpoint="none",cause="not_found"} 1"#,
        "client_credentials_tokens_issued_total 2",
        r#"client_credentials_request_duration_seconds_count{endpoint="token"} 3"#,
        r#"client_credentials_store_duration_seconds_count{operation="find_client"} 3"#,
        r#"client_credentials_issuer_duration_seconds_count{operation="issue"} 2"#,
        "# HELP client_credentials_tokens_issued_total Access tokens that were issued",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

/// What a backend says that fails.
const DOWN: &str = "the backend is down";

/// Counters whose `forgive` and `give_back` fail, and whose others do where they are told to.
struct Forgetful(MemoryCounters, bool);

impl CounterStore for Forgetful {
    async fn attempt(
        &self,
        key: CounterKey<'_>,
        limit: &FailureLimit,
        now: OffsetDateTime,
    ) -> Result<Attempt, BackendError> {
        if self.1 { Err(BackendError::new(DOWN)) } else { self.0.attempt(key, limit, now).await }
    }

    async fn forgive(&self, _: CounterKey<'_>, _: &Admitted) -> Result<(), BackendError> {
        Err(BackendError::new(DOWN))
    }

    async fn take(
        &self,
        key: CounterKey<'_>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Result<Taken, BackendError> {
        if self.1 { Err(BackendError::new(DOWN)) } else { self.0.take(key, most, now, ends_at).await }
    }

    async fn give_back(&self, _: CounterKey<'_>, _: OffsetDateTime) -> Result<(), BackendError> {
        Err(BackendError::new(DOWN))
    }
}

#[test]
fn counters_are_stores_whose_calls_are_timed() {
    let counted = |fail: bool, memory: bool| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let counters = || match memory {
            true => AnyCounterStore::new(AnyCounterStore::new(MemoryCounters::default())),
            false => AnyCounterStore::new(Forgetful(MemoryCounters::default(), fail)),
        };
        let quotas = Quotas::default().with_default(Quota::per_day(1).unwrap());
        let server = server("right", BASIC).with_quotas(quotas, counters());
        let server = server.with_throttle(Throttle::with_counters(counters()));
        let right = basic("billing:right");
        metrics::with_local_recorder(&recorder, || {
            describe_metrics();
            for _ in 0..2 {
                let request = Request::new("POST", now()).header("Content-Type", FORM);
                let request = request.header("Authorization", right.as_bytes());
                drop(block_on(handle_token_request(&server, &request.body(b"grant_type=client_credentials"))));
            }
        });
        recorder.handle().render()
    };
    let called = |operation: &str, times: usize| {
        format!("client_credentials_store_duration_seconds_count{{operation=\"{operation}\"}} {times}")
    };
    let failed = |operation: &str, times: usize| {
        format!("client_credentials_store_errors_total{{operation=\"{operation}\"}} {times}")
    };
    for (text, lines) in [
        (counted(false, true), vec![called("attempt", 2), called("forgive", 2), called("take", 2)]),
        (counted(false, false), vec![called("attempt", 2), failed("forgive", 2), called("take", 2)]),
        (counted(true, false), vec![called("attempt", 2), failed("attempt", 2)]),
    ] {
        for line in &lines {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let errors = text.lines().filter(|line| line.starts_with("client_credentials_store_errors_total")).count();
        assert_eq!(errors, lines.iter().filter(|line| line.contains("errors")).count(), "{text}");
    }
}

#[test]
fn upgrades_of_hashes_are_calls_of_the_store() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let secret = ClientSecret::generate(&RandomSource::default()).unwrap();
    let hash = ClientSecretHash::of(&secret, SecretClass::Chosen, &RandomSource::default()).unwrap();
    let store = MemoryStore::default();
    let client = Client::builder("billing").seacatauth_credentials(true).client_secret_hash(hash);
    store.insert_client(client.build().unwrap());
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let server = server.with_hashes_upgraded().with_uses_noted();
    let right = basic(format!("billing:{}", secret.expose()));
    metrics::with_local_recorder(&recorder, || {
        let request = Request::new("POST", now()).header("Content-Type", FORM);
        let request = request.header("Authorization", right.as_bytes()).body(b"grant_type=client_credentials");
        assert_eq!(block_on(handle_token_request(&server, &request)).status(), 200);
        assert_eq!(block_on(server.upgrade_hashes(now())).unwrap(), 1);
    });
    let text = recorder.handle().render();
    for operation in ["find_client", "read", "update", "record_uses"] {
        let line = format!("client_credentials_store_duration_seconds_count{{operation=\"{operation}\"}} 1");
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

/// The token endpoint's answer, when the client's secret is `secret` and it comes in this header or in this form.
fn refused(secret: &str, authorization: Option<&[u8]>, form: &str) -> (Reply, String) {
    let method = if authorization.is_some() { BASIC } else { TokenEndpointAuthMethod::ClientSecretPost };
    let told = Arc::new(Mutex::new(String::new()));
    let server = server(secret, method).with_misspellings_noted().with_audit_sink(Told(told.clone()));
    let body = format!("grant_type=client_credentials{form}");
    let mut request = Request::new("POST", now()).header("Content-Type", FORM).body(body.as_bytes());
    if let Some(header) = authorization {
        request = request.header("Authorization", header);
    }
    let reply = block_on(handle_token_request(&server, &request));
    let told = told.lock().unwrap().clone();
    (reply, told)
}

#[test]
fn what_clients_do_wrong_in_the_header() {
    for (secret, sent, name, diagnosis) in [
        ("a+b", &b"billing:a+b"[..], "misspelled_secret", "before it is decoded"),
        ("a%41b", b"billing:a%41b", "misspelled_secret", "mostly a `+` or a `%`"),
        ("a+b c", b"billing:a+b%20c", "misspelled_secret", "`%2B`"),
        ("a+b", b"billing:a%252Bb", "misspelled_secret", "encodes it twice"),
        ("abc", b"billing:abc ", "misspelled_secret", "without the spaces"),
        ("abc", b"billing: abc", "misspelled_secret", "without the spaces"),
        ("abc", b"billing:\"abc\"", "misspelled_secret", "without the quotes"),
        ("abc", b"billing:'abc'", "misspelled_secret", "without the quotes"),
        ("caf\u{e9}", "billing:caf\u{c3}\u{a9}".as_bytes(), "misspelled_secret", "ISO-8859-1"),
        ("abc", b"billing:YWJj", "misspelled_secret", "base64"),
        ("abc", b"billing:billing:abc", "misspelled_secret", "client identifier and the colon"),
        ("abc", b"billing:abd", "wrong_secret", "reset, cut off"),
        ("abc", b"billing:ABC", "wrong_secret", "the secret is another one"),
        ("abc", b"Billing:abc", "unknown_client", "case, spaces and encoding"),
        ("abc", b"abc:billing", "unknown_client", "exchanged"),
        ("100%", b"billing:100%", "bare_percent", "`%25`"),
        ("caf\u{e9}", b"billing:caf\xe9", "credentials_not_utf8", "ISO-8859-1"),
        ("abc", b"billing:abc\n", "line_end_in_credentials", "`echo` without `-n`"),
        ("abc", b"billing", "malformed_credentials", "a colon"),
    ] {
        let (reply, audit) = refused(secret, Some(basic(sent).as_bytes()), "");
        let cause = reply.cause().unwrap();
        assert_eq!(cause.name(), name, "{}", String::from_utf8_lossy(sent));
        assert!(cause.diagnosis().contains(diagnosis), "{name}: {}", cause.diagnosis());
        let audit: serde_json::Value = serde_json::from_str(&audit).unwrap();
        assert_eq!(audit["diagnosis"], cause.diagnosis());
        // The client is told what it was told before.
        let usual = if name.ends_with("secret") || name == "unknown_client" {
            Error::WrongSecret
        } else {
            Error::MalformedCredentials
        };
        let usual = Reply::error(usual, &Config::default());
        assert_eq!((reply.status(), reply.body()), (usual.status(), usual.body()));
        assert!(reply.headers().eq(usual.headers()));
    }
    for (header, name) in [("Bearer abc", "unsupported_scheme"), ("Basic billing:abc", "malformed_credentials")] {
        assert_eq!(refused("abc", Some(header.as_bytes()), "").0.cause().unwrap().name(), name, "{header}");
    }
}

#[test]
fn what_clients_do_wrong_in_the_body() {
    for (secret, sent, name, diagnosis) in [
        ("a+b", "a+b", "misspelled_secret", "before it is decoded"),
        ("a+b", "a%252Bb", "misspelled_secret", "encodes it twice"),
        ("a+b c", "a+b%20c", "misspelled_secret", "`%2B`"),
        ("abc", "+abc", "misspelled_secret", "without the spaces"),
        ("abc", "%22abc%22", "misspelled_secret", "without the quotes"),
        ("caf\u{e9}", "caf%C3%83%C2%A9", "misspelled_secret", "ISO-8859-1"),
        ("abc", "YWJj", "misspelled_secret", "base64"),
        ("abc", "abc%0A", "line_end_in_credentials", "from a file"),
        ("abc", "abd", "wrong_secret", "the secret is another one"),
        ("100%", "100%", "malformed_form", "does not encode its parameters"),
    ] {
        let (reply, _) = refused(secret, None, &format!("&client_id=billing&client_secret={sent}"));
        let cause = reply.cause().unwrap();
        assert_eq!(cause.name(), name, "{sent}");
        assert!(cause.diagnosis().contains(diagnosis), "{sent}: {}", cause.diagnosis());
    }
}

#[test]
fn an_earlier_secret_is_told_from_a_wrong_one() {
    let (random, earlier) = (RandomSource::default(), ClientSecret::new("earlier".into()));
    let hash = ClientSecretHash::generated(&earlier, &random).unwrap();
    let current = hash.beside(&ClientSecret::new("current".into()), &random).unwrap();
    let ended = StoredSecret::new(hash).with_expires_at(OffsetDateTime::UNIX_EPOCH);
    let client = Client::builder("billing").seacatauth_credentials(true);
    let client = client.client_secrets([StoredSecret::new(current), ended]);
    let store = MemoryStore::default();
    store.insert_client(client.build().unwrap());
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let ask = |server: &AuthorizationServer<_, _>, secret: &str| {
        let authorization = basic(format!("billing:{secret}"));
        let request = Request::new("POST", now()).header("Content-Type", FORM).body(b"grant_type=client_credentials");
        let reply = block_on(handle_token_request(server, &request.header("Authorization", authorization.as_bytes())));
        reply.cause().map_or("", Error::name)
    };
    assert_eq!((ask(&server, "current"), ask(&server, "earlier")), ("", "wrong_secret"));
    let server = server.with_misspellings_noted();
    assert_eq!((ask(&server, "current"), ask(&server, "earlier")), ("", "expired_secret"));
    assert_eq!((ask(&server, "\"earlier\""), ask(&server, "never")), ("misspelled_secret", "wrong_secret"));
}
