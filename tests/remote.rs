//! Tokens that are checked at an API, while the server that issued them is behind a socket.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::request::Parts,
    response::Response,
};
use client_credentials::{
    AnySigner, AnyTokenIssuer, AuthorizationServer, Claims, ClientId, ClientSecret, Config, IntrospectionVerifier,
    JwksVerifier, JwtIssuer, KeySet, MemoryStore, OpaqueIssuer, Reply, Request, SigningAlgorithm, SigningKey,
    TokenHash, TokenIssuer as _, TokenStore as _, TokenVerifier as _, handle_introspection_request,
    handle_jwks_request, http_client_builder, now, reqwest, time::OffsetDateTime,
};
use common::{AWKWARD, SECRET, Server, basic, store, stores};

const ISSUER: &str = "https://auth.example.com";
const RSA: &[u8] = include_bytes!("keys/rsa2048.pem");

/// A server at an address, which counts what it is asked, has its own clock, and can be told to answer something else.
struct Site {
    address: SocketAddr,
    state: Arc<Inner>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Inner {
    server: Server,
    asked: Mutex<BTreeMap<String, usize>>,
    ahead: AtomicI64,
    instead: Mutex<Option<Instead>>,
}

#[derive(Clone)]
enum Instead {
    Says(u16, &'static str, Vec<u8>),
    Hangs,
}

impl Site {
    fn start(server: Server) -> Self {
        let state =
            Arc::new(Inner { server, asked: Mutex::default(), ahead: AtomicI64::new(0), instead: Mutex::default() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let app = Router::new().fallback(answer).with_state(state.clone());
        runtime.spawn(async move { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), app).await });
        Self { address, state, runtime: Some(runtime) }
    }

    fn of_tokens(issuer: AnyTokenIssuer, store: MemoryStore) -> Self {
        Self::start(AuthorizationServer::new(stores(store), issuer, Config::default()))
    }

    fn of_jwts(issuer: JwtIssuer) -> Self {
        Self::of_tokens(AnyTokenIssuer::new(issuer), store())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self, path: &str) -> usize {
        self.state.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    fn instead(&self, instead: impl Into<Option<Instead>>) {
        *self.state.instead.lock().unwrap() = instead.into();
    }

    fn says(&self, status: u16, header: &'static str, body: impl Into<Vec<u8>>) {
        self.instead(Instead::Says(status, header, body.into()));
    }

    fn go_down(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
        while std::net::TcpStream::connect(self.address).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A token of the client `basic`.
    fn mint(&self) -> String {
        let asked = basic("basic", SECRET, "grant_type=client_credentials&scope=read+tenant:acme");
        // On a thread of its own, since it has a runtime of its own.
        let granted = std::thread::scope(|scope| scope.spawn(|| asked.call(&self.state.server)).join().unwrap());
        granted.json()["access_token"].as_str().unwrap().into()
    }

    fn jwks(&self) -> JwksVerifier<reqwest::Client> {
        JwksVerifier::new(ISSUER, &self.url("/jwks"), client()).unwrap()
    }

    fn introspection(&self, client_id: &str, secret: &str) -> IntrospectionVerifier<reqwest::Client> {
        let (client_id, secret) = (ClientId::parse(client_id).unwrap(), ClientSecret::new(secret.into()));
        IntrospectionVerifier::new(&self.url(INTROSPECT), &client_id, &secret, client()).unwrap()
    }
}

const INTROSPECT: &str = "/openidconnect/introspect";

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(State(site): State<Arc<Inner>>, head: Parts, body: Bytes) -> Response {
    let path = head.uri.path();
    *site.asked.lock().unwrap().entry(path.into()).or_default() += 1;
    let instead = site.instead.lock().unwrap().clone();
    match instead {
        Some(Instead::Hangs) => std::future::pending().await,
        Some(Instead::Says(status, header, body)) => {
            let response = Response::builder().status(status);
            let header = header.split_once(": ");
            let response = header.into_iter().fold(response, |response, (name, value)| response.header(name, value));
            return response.body(Body::from(body)).unwrap();
        }
        None => {}
    }
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let now = now() + Duration::from_secs(site.ahead.load(SeqCst).unsigned_abs());
    let request = Request::new(head.method.as_str(), now).path(path).headers(headers).body(&body);
    let reply: Reply = match path {
        "/jwks" => handle_jwks_request(&site.server, &request),
        _ => handle_introspection_request(&site.server, &request).await,
    };
    let response = Response::builder().status(reply.status());
    let response = reply.headers().fold(response, |response, (name, value)| response.header(name, value));
    response.body(Body::from(reply.into_body())).unwrap()
}

/// With the features that it has in these tests, `reqwest` wants to be told who does the cryptography, though nothing here needs it.
fn builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    http_client_builder()
}

fn client() -> reqwest::Client {
    builder().build().unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(SigningAlgorithm::EdDsa).unwrap()
}

fn claims(from: OffsetDateTime, seconds: u64) -> Claims {
    Claims::new(ClientId::parse("basic").unwrap(), from, from + Duration::from_secs(seconds))
}

fn after(seconds: u64) -> OffsetDateTime {
    now() + Duration::from_secs(seconds)
}

#[tokio::test]
async fn rfc9068_4_tokens_of_every_algorithm() {
    use SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};
    for key in [
        SigningKey::generate(EdDsa),
        SigningKey::generate(Es256),
        SigningKey::from_pkcs8_pem(Rs256, RSA),
        SigningKey::from_pkcs8_pem(Ps256, RSA),
    ] {
        let site = Site::of_jwts(JwtIssuer::new(ISSUER, key.unwrap()));
        let token = &*site.mint();
        let tokens = site.jwks();
        for _ in 0..3 {
            let read = tokens.verify(token, now()).await.unwrap();
            assert_eq!(read, site.state.server.issuer().verify(token, now()).await.unwrap());
            assert!(read.unwrap().authorization().holds(Some("acme"), &["report:edit"]));
        }
        assert!(tokens.verify(&token[..token.len() - 4], now()).await.unwrap().is_none());
        assert_eq!(site.asked("/jwks"), 1);
        assert!(tokens.verify(token, after(3600)).await.unwrap().is_none(), "expired");
        assert_eq!(site.asked("/jwks"), 2, "the keys were as old");
    }
}

/// The keys follow one another for hours, as the documentation of `KeySet` has it.
#[tokio::test]
async fn no_good_token_is_refused_while_keys_follow_one_another() {
    let keys = KeySet::<AnySigner>::from(AnySigner::from(key())).with_next(key());
    let issuer = JwtIssuer::new(ISSUER, keys.clone());
    let site = Site::of_jwts(issuer.clone());
    let (tokens, start) = (site.jwks(), now());
    let mut living = Vec::new();
    for minute in 0..120 {
        let at = start + Duration::from_secs(minute * 60);
        site.state.ahead.store(i64::try_from(minute * 60).unwrap(), SeqCst);
        if minute % 6 == 5 {
            keys.rotate(key(), at, Duration::from_secs(180)).unwrap();
        }
        living.push((issuer.issue(&claims(at, 180)).await.unwrap(), at + Duration::from_secs(180)));
        living.retain(|(_, end)| at < *end);
        for (token, _) in &living {
            assert!(tokens.verify(token.expose(), at).await.unwrap().is_some(), "minute {minute}");
        }
    }
    assert!(site.asked("/jwks") <= 120 / 5 + 1, "{}", site.asked("/jwks"));
}

#[tokio::test]
async fn a_key_that_is_used_as_soon_as_it_is_published_is_found() {
    let keys = KeySet::<AnySigner>::from(AnySigner::from(key()));
    let issuer = JwtIssuer::new(ISSUER, keys.clone());
    let site = Site::of_jwts(issuer.clone());
    let tokens = site.jwks();
    let old = issuer.issue(&claims(now(), 180)).await.unwrap();
    assert!(tokens.verify(old.expose(), now()).await.unwrap().is_some());
    keys.set_next(key());
    keys.rotate(key(), now(), Duration::from_secs(180)).unwrap();
    let new = issuer.issue(&claims(now(), 180)).await.unwrap();
    for token in [&new, &old] {
        assert!(tokens.verify(token.expose(), now()).await.unwrap().is_some());
    }
    assert_eq!(site.asked("/jwks"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_invented_keys_do_not_keep_the_server_busy() {
    let issuer = JwtIssuer::new(ISSUER, key());
    let site = Site::of_jwts(issuer.clone());
    let (tokens, start) = (site.jwks(), now());
    let good = issuer.issue(&claims(now(), 180)).await.unwrap();
    assert!(tokens.verify(good.expose(), start).await.unwrap().is_some());
    let asking: Vec<_> = (1..=1000)
        .map(|i| {
            let tokens = tokens.clone();
            tokio::spawn(async move {
                let stranger = JwtIssuer::new(ISSUER, key());
                let token = stranger.issue(&claims(now(), 180)).await.unwrap();
                tokens.verify(token.expose(), start + Duration::from_millis(i)).await.unwrap().is_none()
            })
        })
        .collect();
    for asking in asking {
        assert!(asking.await.unwrap());
    }
    assert!(tokens.verify(good.expose(), now()).await.unwrap().is_some());
    assert_eq!(site.asked("/jwks"), 2);
}

#[tokio::test]
async fn rfc5861_4_keys_outlive_the_server_for_an_hour() {
    let issuer = JwtIssuer::new(ISSUER, key());
    let mut site = Site::of_jwts(issuer.clone());
    let token = issuer.issue(&claims(now(), 86_400)).await.unwrap();
    let tokens = site.jwks();
    assert!(tokens.verify(token.expose(), now()).await.unwrap().is_some());
    assert!(tokens.verify(token.expose(), after(290)).await.unwrap().is_some());
    assert_eq!(site.asked("/jwks"), 1, "for as long as the server says");
    assert!(tokens.verify(token.expose(), after(310)).await.unwrap().is_some());
    assert_eq!(site.asked("/jwks"), 2);
    site.go_down();
    assert!(tokens.verify(token.expose(), after(1000)).await.unwrap().is_some());
    assert!(tokens.verify(token.expose(), after(4300)).await.is_err(), "closed");
    assert!(site.jwks().verify(token.expose(), now()).await.is_err(), "nothing to begin with");
}

#[tokio::test]
async fn what_is_no_document_is_an_error() {
    let issuer = JwtIssuer::new(ISSUER, key());
    let site = Site::of_jwts(issuer.clone());
    let token = issuer.issue(&claims(now(), 180)).await.unwrap();
    let document = reqwest::get(site.url("/jwks")).await.unwrap().bytes().await.unwrap().to_vec();
    for (status, header, body) in [
        (200, "", b"garbage".to_vec()),
        (200, "", Vec::new()),
        (200, "", vec![0xFF; 1000]),
        (200, "", vec![b' '; 8 * 1024 * 1024]),
        (200, "", [document.clone(), vec![b' '; 512 * 1024]].concat()),
        (500, "", document.clone()),
        (404, "", document.clone()),
        (302, "Location: /elsewhere", document.clone()),
        (307, "Location: /elsewhere", document.clone()),
    ] {
        site.says(status, header, body);
        assert!(site.jwks().verify(token.expose(), now()).await.is_err(), "{status}");
        assert!(site.introspection("basic", SECRET).verify(token.expose(), now()).await.is_err(), "{status}");
    }
    assert_eq!(site.asked("/elsewhere"), 0);
    let follower = JwksVerifier::new(ISSUER, &site.url("/jwks"), reqwest::Client::builder().build().unwrap()).unwrap();
    assert!(follower.verify(token.expose(), now()).await.is_err());
    site.instead(Instead::Hangs);
    let hasty = builder().timeout(Duration::from_millis(200)).build().unwrap();
    let hasty = JwksVerifier::new(ISSUER, &site.url("/jwks"), hasty).unwrap();
    assert!(hasty.verify(token.expose(), now()).await.is_err());
    site.instead(None);
    assert!(site.jwks().verify(token.expose(), now()).await.unwrap().is_some());
}

#[tokio::test]
async fn rfc8414_3_keys_are_found_by_the_metadata() {
    let site = Site::start(AuthorizationServer::new(
        stores(store()),
        AnyTokenIssuer::new(OpaqueIssuer::new(MemoryStore::default())),
        Config::default(),
    ));
    let address = site.url("");
    let metadata = |issuer: &str| format!(r#"{{"issuer": "{issuer}", "jwks_uri": "{}"}}"#, site.url("/jwks"));
    site.says(200, "Content-Type: application/json", metadata("http://somebody.else"));
    assert!(JwksVerifier::discover(&address, client()).await.is_err());
    site.says(200, "Content-Type: application/json", metadata(&address));
    let tokens = JwksVerifier::discover(&address, client()).await.unwrap();
    assert_eq!(site.asked("/.well-known/oauth-authorization-server"), 2);
    let key = key();
    let keys = format!(r#"{{"keys": [{}]}}"#, serde_json::to_string(key.public_jwk()).unwrap());
    site.says(200, "Content-Type: application/jwk-set+json", keys);
    let token = JwtIssuer::new(address, key).issue(&claims(now(), 180)).await.unwrap();
    assert!(tokens.verify(token.expose(), now()).await.unwrap().is_some());
}

fn opaque() -> (Site, MemoryStore, String) {
    let store = store();
    let site = Site::of_tokens(AnyTokenIssuer::new(OpaqueIssuer::new(store.clone())), store.clone());
    let token = site.mint();
    (site, store, token)
}

#[tokio::test]
async fn rfc7662_2_a_token_says_what_it_says_at_its_server() {
    let (site, store, token) = opaque();
    // Any client may ask, also one whose secret is full of what goes wrong.
    for (client_id, secret) in [("basic", SECRET), ("disabled", SECRET), ("awkward : + %", AWKWARD)] {
        let tokens = site.introspection(client_id, secret);
        let read = tokens.verify(&token, now()).await.unwrap().unwrap();
        let there = site.state.server.check_token(&token, now()).await.unwrap().unwrap();
        assert_eq!((read.client_id(), read.scope()), (there.client_id(), there.scope()));
        assert_eq!((read.authorization(), read.audience()), (there.authorization(), there.audience()));
        assert_eq!(read.expires_at().unix_timestamp(), there.expires_at().unix_timestamp());
        assert!(tokens.verify("unknown", now()).await.unwrap().is_none());
    }
    let (tokens, asked, start) = (site.introspection("basic", SECRET), site.asked(INTROSPECT), now());
    let within = start + Duration::from_secs(9);
    for _ in 0..10 {
        assert!(tokens.verify(&token, start).await.unwrap().is_some());
        assert!(tokens.verify("unknown", start).await.unwrap().is_none());
    }
    assert_eq!(site.asked(INTROSPECT), asked + 2);
    store.revoke(&TokenHash::of(&token)).await.unwrap();
    assert!(tokens.verify(&token, within).await.unwrap().is_some(), "nobody has asked yet");
    assert!(tokens.verify(&token, start + Duration::from_secs(10)).await.unwrap().is_none());
    assert_eq!(site.asked(INTROSPECT), asked + 3);
}

#[tokio::test]
async fn rfc7662_2_3_a_server_that_refuses_this_api_has_said_nothing() {
    let (mut site, _, token) = opaque();
    for (client_id, secret) in [("basic", "wrong"), ("nobody", SECRET), ("post", SECRET)] {
        assert!(site.introspection(client_id, secret).verify(&token, now()).await.is_err(), "{client_id}");
    }
    let tokens = site.introspection("basic", SECRET);
    assert!(tokens.verify(&token, now()).await.unwrap().is_some());
    site.go_down();
    assert!(tokens.verify(&token, now()).await.unwrap().is_some(), "kept");
    assert!(tokens.verify("another", now()).await.is_err());
    assert!(tokens.verify(&token, after(11)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_present_one_token_have_it_asked_about_once() {
    let (site, _, token) = opaque();
    let (tokens, at) = (site.introspection("basic", SECRET), now());
    let asking: Vec<_> = (0..200)
        .map(|_| {
            let (tokens, token) = (tokens.clone(), token.clone());
            tokio::spawn(async move { tokens.verify(&token, at).await.unwrap().is_some() })
        })
        .collect();
    for asking in asking {
        assert!(asking.await.unwrap());
    }
    assert_eq!(site.asked(INTROSPECT), 1);
}
