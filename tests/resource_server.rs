//! Checking a bearer token in front of an API, row by row, through the function and through a socket.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{Extension, Router, body::Body, routing};
use bytes::Bytes;
use client_credentials::{
    AnyTokenIssuer, AnyTokenVerifier, AuthorizationServer, BackendError, Claims, Client, ClientBuilder, ClientId,
    Config, Error, JwtIssuer, MemoryStore, OpaqueIssuer, Request, Requirements, ResourceServer, ResourceServerLayer,
    SigningAlgorithm, SigningKey, TokenHash, TokenIssuer as _, TokenStore as _, TokenVerifier, now,
    time::{Duration, OffsetDateTime},
};
use common::{Answer, Asked, SECRET, Served, basic, block_on, request, stores};
use http_body_util::Full;
use proptest::prelude::*;
use serde_json::json;
use tower::{Layer as _, Service, ServiceExt as _};

const AUDIENCE: &str = "https://api.example.com";

/// What is required, by path.
fn required() -> [(&'static str, Requirements); 7] {
    let require = Requirements::default;
    [
        ("/any", require()),
        ("/read", require().scope("read").unwrap()),
        ("/write", require().scope("read write").unwrap()),
        ("/acme", require().tenant("acme").unwrap()),
        ("/report", require().resources(["report:read"])),
        ("/acme/report", require().tenant("acme").unwrap().resources(["report:read", "report:edit"])),
        ("/acme/read", require().tenant("acme").unwrap().scope("read").unwrap()),
    ]
}

/// An API behind a layer for each path, and the server that mints tokens for it.
struct Api {
    issuing: Served,
    api: Arc<ResourceServer<AnyTokenVerifier>>,
    address: SocketAddr,
}

impl Api {
    fn start(audience: Option<&str>, issuer: impl FnOnce(MemoryStore) -> AnyTokenIssuer) -> Self {
        let store = common::store();
        let issuing = AuthorizationServer::new(stores(store.clone()), issuer(store), Config::default());
        let issuing = Served::start(issuing);
        let api = ResourceServer::new(AnyTokenVerifier::new(Arc::clone(&issuing.server)), Config::default());
        let api = match audience {
            Some(audience) => api.with_audience(audience),
            None => api,
        };
        let api = Arc::new(api);
        let address = serve(&api);
        Self { issuing, api, address }
    }

    fn opaque() -> Self {
        Self::start(None, |store| AnyTokenIssuer::new(OpaqueIssuer::new(store)))
    }

    fn token(&self, client_id: &str, scope: &str) -> String {
        let form = format!("grant_type=client_credentials&scope={scope}");
        self.issuing.send(&basic(client_id, SECRET, form)).json()["access_token"].as_str().unwrap().into()
    }

    /// Sends a request both ways. What passes is told whose token it was.
    fn ask(&self, asked: &Asked) -> Answer {
        ask(&self.api, self.address, asked)
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(&request("GET", path).bearer(token))
    }
}

fn serve<V: TokenVerifier + 'static>(api: &Arc<ResourceServer<V>>) -> SocketAddr {
    let handler = async |Extension(claims): Extension<Claims>| {
        json!({"client_id": claims.client_id(), "scope": claims.scope()}).to_string()
    };
    let app = required().into_iter().fold(Router::new(), |app, (path, required)| {
        app.route(path, routing::any(handler).layer(ResourceServerLayer::new(Arc::clone(api), required)))
    });
    common::serve(app)
}

fn ask<V: TokenVerifier>(api: &ResourceServer<V>, address: SocketAddr, asked: &Asked) -> Answer {
    let (_, required) = required().into_iter().find(|(path, _)| *path == asked.path()).unwrap();
    let socket = asked.send(address, asked.path());
    match block_on(api.check(&asked.request(), &required)) {
        Ok(claims) => {
            assert_eq!(socket.status, 200, "{asked:?}");
            assert_eq!(socket.json(), json!({"client_id": claims.client_id(), "scope": claims.scope()}));
        }
        Err(cause) => {
            let function = Answer::of(&api.refuse(cause, &required));
            function.is_well_formed();
            assert_eq!(
                (function.status, &function.headers, &function.raw),
                (socket.status, &socket.headers, &socket.raw)
            );
        }
    }
    socket
}

#[test]
fn rfc6750_3_1_no_token_and_no_error() {
    let api = Api::opaque();
    let token = api.token("basic", "read");
    for anonymous in [
        request("GET", "/any"),
        request("GET", "/read"),
        request("GET", "/any").credentials("basic", SECRET),
        request("GET", "/any").header("Authorization", ""),
        request("GET", "/any").header("Authorization", &token),
        request("GET", "/any").header("Authorization", format!("Token {token}")),
        request("GET", "/any").header("X-Client-Id", "basic"),
        // RFC 6750 §2.2 and §2.3 are not for this server.
        request("POST", "/any").form(format!("access_token={token}")),
        request("GET", "/any").query(&format!("access_token={token}")),
    ] {
        let answer = api.ask(&anonymous);
        assert_eq!((answer.status, answer.json()), (401, json!({})), "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="asab""#));
    }
}

#[test]
fn rfc6750_3_1_invalid_request() {
    let api = Api::opaque();
    let token = api.token("basic", "read");
    for malformed in [
        request("GET", "/any").bearer(&token).bearer(&token),
        request("GET", "/any").bearer(&token).credentials("basic", SECRET),
        request("GET", "/any").bearer(&"x".repeat(9000)),
    ] {
        let answer = api.ask(&malformed);
        answer.refused(400, "invalid_request");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with(r#"Bearer realm="asab", error="invalid_request", "#), "{challenge}");
    }
}

#[test]
fn rfc6750_3_1_invalid_token() {
    let api = Api::opaque();
    let token = api.token("basic", "read");
    let shifted = format!("{token} {token}");
    let values = ["Bearer", "Bearer unknown", "Bearer a.b.c", &format!("Bearer {shifted}")].map(str::to_owned);
    let values = values.into_iter().map(String::into_bytes).chain([b"Bearer \xff\xfe".to_vec()]);
    for value in values {
        let answer = api.ask(&request("GET", "/read").header("Authorization", value));
        answer.refused(401, "invalid_token");
        let challenge =
            r#"Bearer realm="asab", error="invalid_token", error_description="the bearer token is not valid""#;
        assert_eq!(answer.header("www-authenticate"), Some(challenge));
    }
}

#[test]
fn rfc6750_3_1_insufficient_scope() {
    let api = Api::opaque();
    for (client_id, scope, path, status, challenge) in [
        ("basic", "read", "/any", 200, ""),
        ("basic", "read", "/read", 200, ""),
        ("basic", "read+write", "/write", 200, ""),
        ("basic", "read", "/write", 403, r#"scope="read write""#),
        ("basic", "tenant:acme", "/acme", 200, ""),
        ("basic", "tenant:bolt", "/acme", 403, ""),
        ("basic", "read", "/acme", 403, ""),
        ("basic", "read", "/report", 200, ""),
        ("short", "", "/report", 403, ""),
        ("basic", "tenant:acme", "/acme/report", 200, ""),
        ("basic", "read", "/acme/report", 403, ""),
        ("defaulting", "tenant:acme", "/acme/report", 403, ""),
        ("basic", "read", "/acme/read", 403, r#"scope="read""#),
        ("basic", "tenant:acme", "/acme/read", 403, r#"scope="read""#),
        ("superuser", "", "/acme/report", 200, ""),
        ("superuser", "", "/acme", 200, ""),
        ("superuser", "", "/report", 200, ""),
        ("superuser", "", "/read", 403, r#"scope="read""#),
        ("local-doorkeeper", "tenant:acme", "/acme/report", 200, ""),
        ("local-doorkeeper", "tenant:acme", "/report", 403, ""),
    ] {
        let answer = api.get(path, &api.token(client_id, scope));
        assert_eq!(answer.status, status, "{client_id} {scope} {path}");
        if status == 403 {
            answer.refused(403, "insufficient_scope");
            let told = answer.header("www-authenticate").unwrap();
            assert!(told.starts_with(r#"Bearer realm="asab", error="insufficient_scope", "#), "{told}");
            assert_eq!(told.contains(", scope="), !challenge.is_empty(), "{told}");
            assert!(told.ends_with(challenge), "{told}");
        }
    }
    for scheme in ["bearer", "BEARER", "bEaReR"] {
        let header = format!("{scheme}   {} ", api.token("basic", "read"));
        assert_eq!(api.ask(&request("PATCH", "/any").header("Authorization", header)).status, 200, "{scheme}");
    }
}

#[test]
fn rfc9068_4_audience() {
    let issuer = OpaqueIssuer::new;
    let (general, special) = (
        Api::start(None, |store| AnyTokenIssuer::new(issuer(store))),
        Api::start(Some(AUDIENCE), |store| AnyTokenIssuer::new(issuer(store))),
    );
    for (named, at_general, at_special) in [
        (&[][..], 200, 401),
        (&[AUDIENCE], 401, 200),
        (&["https://other.example.com", AUDIENCE], 401, 200),
        (&["https://other.example.com"], 401, 401),
    ] {
        let claims = Claims::new(ClientId::parse("basic").unwrap(), now(), now() + Duration::MINUTE);
        for (api, status) in [(&general, at_general), (&special, at_special)] {
            let claims = claims.clone().with_audience(named.iter().copied());
            let token = block_on(api.issuing.server.issuer().issue(&claims)).unwrap();
            let answer = api.get("/any", token.expose());
            assert_eq!(answer.status, status, "{named:?}");
            if status == 401 {
                answer.refused(401, "invalid_token");
            }
        }
    }
    let jwt = || JwtIssuer::new("https://localhost", SigningKey::generate(SigningAlgorithm::EdDsa).unwrap());
    for (audience, of_tokens, status) in [
        (None, None, 200),
        (Some(AUDIENCE), None, 401),
        (None, Some(AUDIENCE), 401),
        (Some(AUDIENCE), Some(AUDIENCE), 200),
    ] {
        let api = Api::start(audience, |_| {
            AnyTokenIssuer::new(match of_tokens {
                Some(audience) => jwt().with_audience(audience),
                None => jwt(),
            })
        });
        assert_eq!(api.get("/any", &api.token("basic", "read")).status, status, "{audience:?} {of_tokens:?}");
    }
}

#[test]
fn what_no_longer_counts() {
    let disable = |client: ClientBuilder| client.seacatauth_credentials(false);
    let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
    for api in [Api::opaque(), Api::start(None, |_| AnyTokenIssuer::new(JwtIssuer::new("https://localhost", key)))] {
        let server = &api.issuing.server;
        let id = |id: &str| ClientId::parse(id).unwrap();
        let claims = Claims::new(id("basic"), now() - Duration::HOUR, now() - Duration::SECOND);
        let expired = block_on(server.issuer().issue(&claims)).unwrap();
        api.get("/any", expired.expose()).refused(401, "invalid_token");

        // A signed token is denied by its `jti`, and a random one is taken away.
        let token = api.token("basic", "read");
        assert_eq!(api.get("/any", &token).status, 200);
        let claims = block_on(server.check_token(&token, now())).unwrap().unwrap();
        match claims.jti() {
            Some(jti) => assert!(block_on(server.store().deny(&TokenHash::of(jti), &claims)).unwrap()),
            None => assert!(block_on(server.store().revoke(&TokenHash::of(&token))).unwrap()),
        }
        api.get("/any", &token).refused(401, "invalid_token");

        let administrator = server.administrator("test", now());
        let token = api.token("short", "");
        assert_eq!(api.get("/any", &token).status, 200);
        block_on(administrator.update_client(&id("short"), None, disable)).unwrap();
        api.get("/any", &token).refused(401, "invalid_token");
        let token = api.token("superuser", "");
        assert_eq!(api.get("/report", &token).status, 200);
        block_on(administrator.delete_client(&id("superuser"))).unwrap();
        api.get("/report", &token).refused(401, "invalid_token");
    }
}

#[test]
fn api_keys_give_what_the_client_holds_today() {
    let api = Api::opaque();
    let administrator = api.issuing.server.administrator("test", now());
    let (basic, acme) = (ClientId::parse("basic").unwrap(), "acme".parse().unwrap());
    let (key, _) = block_on(administrator.create_api_key(&basic, "nightly", Some(&acme), None)).unwrap();
    assert_eq!(api.get("/acme/report", key.expose()).status, 200);
    block_on(administrator.unassign_role(&basic, &"acme/editor".parse().unwrap())).unwrap();
    api.get("/acme/report", key.expose()).refused(403, "insufficient_scope");
    assert_eq!(api.get("/acme", key.expose()).status, 200);
    block_on(administrator.unassign_tenant(&basic, &acme)).unwrap();
    api.get("/acme", key.expose()).refused(403, "insufficient_scope");
    block_on(administrator.revoke_api_key(&basic, None)).unwrap();
    api.get("/any", key.expose()).refused(401, "invalid_token");
}

#[test]
fn a_verifier_that_cannot_tell() {
    struct Down;
    impl TokenVerifier for Down {
        async fn verify(&self, _: &str, _: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
            Err(BackendError::new("down"))
        }
    }
    let api = Arc::new(ResourceServer::new(Down, Config::default().with_bearer_realm("reports").unwrap()));
    let address = serve(&api);
    let answer = ask(&api, address, &request("GET", "/any").bearer("a"));
    answer.refused(503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let answer = ask(&api, address, &request("GET", "/any"));
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="reports""#));
}

/// A service that may only be called when it has been polled, as tower wants it.
struct Picky {
    ready: bool,
    called: Arc<AtomicBool>,
}

impl Clone for Picky {
    fn clone(&self) -> Self {
        Self { ready: false, called: Arc::clone(&self.called) }
    }
}

impl Service<http::Request<Vec<u8>>> for Picky {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Vec<u8>>) -> Self::Future {
        assert!(std::mem::replace(&mut self.ready, false), "called before it was ready");
        assert!(request.extensions().get::<Claims>().is_some());
        self.called.store(true, Ordering::Relaxed);
        std::future::ready(Ok(http::Response::new(Full::from("passed"))))
    }
}

#[tokio::test]
async fn the_layer_keeps_to_what_tower_wants() {
    let store = MemoryStore::default();
    store.insert_client(Client::builder("billing").seacatauth_credentials(true).build().unwrap());
    let issuer = OpaqueIssuer::new(store);
    let claims = Claims::new(ClientId::parse("billing").unwrap(), now(), now() + Duration::MINUTE);
    let token = issuer.issue(&claims).await.unwrap();
    let called = Arc::new(AtomicBool::new(false));
    let api = Arc::new(ResourceServer::new(issuer, Config::default()));
    let layer = ResourceServerLayer::new(api, Requirements::default());
    let mut service = layer.layer(Picky { ready: false, called: Arc::clone(&called) });

    let asked = http::Request::get("/").body(Vec::new()).unwrap();
    let refused = service.ready().await.unwrap().call(asked).await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["content-type"], "application/json");
    assert!(matches!(refused.extensions().get(), Some(Error::NoToken)), "for the host's log");
    assert!(!called.load(Ordering::Relaxed));

    for _ in 0..2 {
        // Claims that somebody else has put there do not stay.
        let asked = http::Request::get("/").header("Authorization", format!("Bearer {}", token.expose()));
        let asked = asked.extension(Claims::new(ClientId::parse("root").unwrap(), now(), now()));
        let passed = service.ready().await.unwrap().call(asked.body(Vec::new()).unwrap()).await.unwrap();
        assert_eq!(passed.status(), 200);
    }
    assert!(called.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_layer_over_a_whole_router() {
    let verifier = AnyTokenVerifier::new(OpaqueIssuer::new(MemoryStore::default()));
    let layer = ResourceServerLayer::new(
        Arc::new(ResourceServer::new(verifier, Config::default())),
        Requirements::default().scope("read").unwrap(),
    );
    let app = Router::new().route("/", routing::any(async || "passed")).layer(layer);
    let asked = http::Request::get("/nowhere").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(asked).await.unwrap().status(), 401, "nobody learns what there is");
}

proptest! {
    #[test]
    fn any_header_is_answered(
        authorization in prop::collection::vec(
            prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "[Bb]earer [ -~]{0,40}".prop_map(String::into_bytes)],
            0..3,
        ),
    ) {
        let api = ResourceServer::new(OpaqueIssuer::new(MemoryStore::default()), Config::default());
        let authorization = authorization.iter().map(|value| ("Authorization", value.as_slice()));
        let request = Request::new("GET", now()).headers(authorization);
        let required = Requirements::default();
        let cause = block_on(api.check(&request, &required)).unwrap_err();
        let answer = Answer::of(&api.refuse(cause, &required));
        answer.is_well_formed();
        prop_assert!(matches!(answer.status, 400 | 401));
    }
}
