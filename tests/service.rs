//! All endpoints as one service: in process, in axum and in hyper.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;

use std::{
    convert::Infallible,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use client_credentials::{
    AnyClientRegistry, AnyTokenIssuer, AnyTokenStore, AuthorizationServer, AuthorizationService, Config, Endpoint,
    Endpoints, Error, JwtIssuer, MemoryStore, OPENAPI, OpaqueIssuer, SigningAlgorithm, SigningKey, Stores,
};
use common::{Answer, Asked, Events, SECRET, Served, Server, basic, request, stores};
use http::Response;
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::{Value, json};
use tower::ServiceExt as _;

type Service = AuthorizationService<Stores<AnyClientRegistry, AnyTokenStore>, AnyTokenIssuer>;

fn server(config: Config) -> Server {
    let store = common::store();
    AuthorizationServer::new(stores(store.clone()), AnyTokenIssuer::new(OpaqueIssuer::new(store)), config)
}

fn service(endpoints: Endpoints) -> Service {
    AuthorizationService::new(server(Config::default()), endpoints)
}

fn usual() -> Endpoints {
    Endpoints::new("https://auth.example.com").unwrap()
}

/// What the service answers in process.
async fn answer<B: Body + Send + 'static>(service: &Service, request: http::Request<B>) -> Response<Bytes> {
    let (parts, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

async fn ask(service: &Service, method: &str, path: &str) -> Response<Bytes> {
    answer(service, http::Request::builder().method(method).uri(path).body(Empty::<Bytes>::new()).unwrap()).await
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// What tells which endpoint it was that answered `GET` and `POST` without anything.
fn answered(response: &Response<Bytes>) -> (u16, String) {
    let description = json(response)["error_description"].as_str().unwrap_or_default().to_owned();
    (response.status().as_u16(), description)
}

const WRONG_METHOD: &str = "the method is not allowed here";
const NO_FORM: &str = "the content type must be application/x-www-form-urlencoded";
const MISSPELT: &str = "there is no parameter `scop`";
const NO_PATH: &str = "there is no such path";
const NOTHING_THERE: &str = "there is no such endpoint";

#[tokio::test]
async fn every_path_by_its_method() {
    let metadata = "/.well-known/oauth-authorization-server";
    let (own, other) = ("/t/oauth", "/.well-known/oauth-authorization-server/t");
    let chosen = Endpoints::new("https://auth.example.com/t").unwrap();
    let chosen = chosen.with(Endpoint::Token, own).unwrap().with(Endpoint::Management, "/admin").unwrap();
    let chosen = service(chosen.with_another(Endpoint::Token, "/token").unwrap());
    let under = service(Endpoints::new("http://localhost:3081/tenant1").unwrap());
    let usual = service(usual());
    let without = service(
        [
            Endpoint::Introspection,
            Endpoint::Revocation,
            Endpoint::Jwks,
            Endpoint::Gateway,
            Endpoint::Metadata,
            Endpoint::Management,
            Endpoint::OpenApi,
        ]
        .into_iter()
        .fold(Endpoints::new("https://h").unwrap(), Endpoints::without),
    );
    for (service, path, get, post) in [
        (&usual, "/openidconnect/token", (405, WRONG_METHOD), (400, NO_FORM)),
        (&usual, "/openidconnect/token?a=b", (405, WRONG_METHOD), (400, NO_FORM)),
        (&usual, "https://auth.example.com/openidconnect/token", (405, WRONG_METHOD), (400, NO_FORM)),
        (&usual, "/openidconnect/introspect", (405, WRONG_METHOD), (400, NO_FORM)),
        (&usual, "/openidconnect/token/revoke", (405, WRONG_METHOD), (400, NO_FORM)),
        (&usual, "/openidconnect/public_keys", (200, ""), (405, WRONG_METHOD)),
        (&usual, "/.well-known/jwks.json", (200, ""), (405, WRONG_METHOD)),
        (&usual, "/nginx/introspect/openidconnect", (401, ""), (401, "")),
        (&usual, "/nginx/introspect/openidconnect?scop=read", (400, MISSPELT), (400, MISSPELT)),
        (&usual, metadata, (200, ""), (405, WRONG_METHOD)),
        (&usual, "/openapi.json", (200, ""), (405, WRONG_METHOD)),
        (&usual, "/client", (401, ""), (401, "")),
        (&usual, "/openidconnect/token/", (404, NO_PATH), (404, NO_PATH)),
        (&usual, "/nowhere", (404, NO_PATH), (404, NO_PATH)),
        (&usual, "/", (404, NO_PATH), (404, NO_PATH)),
        (&usual, "*", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&under, "/tenant1/openidconnect/token", (405, WRONG_METHOD), (400, NO_FORM)),
        (&under, "/tenant1/openidconnect/introspect", (405, WRONG_METHOD), (400, NO_FORM)),
        (&under, "/.well-known/oauth-authorization-server/tenant1", (200, ""), (405, WRONG_METHOD)),
        (&under, "/tenant1/openidconnect/token/revoke", (405, WRONG_METHOD), (400, NO_FORM)),
        (&under, "/tenant1/openidconnect/public_keys", (200, ""), (405, WRONG_METHOD)),
        (&under, "/tenant1/.well-known/jwks.json", (200, ""), (405, WRONG_METHOD)),
        (&under, "/tenant1/nginx/introspect/openidconnect", (401, ""), (401, "")),
        (&under, "/tenant1/openapi.json", (200, ""), (405, WRONG_METHOD)),
        (&under, "/tenant1/client", (401, ""), (401, "")),
        (&under, metadata, (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&under, "/openidconnect/token", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&under, "/tenant1", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&under, "/client", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&chosen, own, (405, WRONG_METHOD), (400, NO_FORM)),
        (&chosen, "/token", (405, WRONG_METHOD), (400, NO_FORM)),
        (&chosen, "/t/openidconnect/token", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&chosen, other, (200, ""), (405, WRONG_METHOD)),
        (&chosen, "/admin/client", (401, ""), (401, "")),
        (&chosen, "/client", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&without, "/openidconnect/token", (405, WRONG_METHOD), (400, NO_FORM)),
        (&without, "/openidconnect/introspect", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&without, "/openidconnect/token/revoke", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&without, "/.well-known/jwks.json", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&without, "/nginx/introspect/openidconnect", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&without, metadata, (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&without, "/openapi.json", (404, NOTHING_THERE), (404, NOTHING_THERE)),
        (&without, "/client", (404, NOTHING_THERE), (404, NOTHING_THERE)),
    ] {
        for (method, expected) in [("GET", get), ("POST", post)] {
            let response = ask(service, method, path).await;
            assert_eq!(answered(&response), (expected.0, expected.1.to_owned()), "{method} {path}");
            let cause = response.extensions().get::<Error>();
            assert_eq!(cause.is_some(), response.status() != 200, "{method} {path}: {cause:?}");
            assert_eq!(response.headers()["content-type"], "application/json");
        }
    }
    assert_eq!(ask(&usual, "GET", "/openapi.json").await.body(), OPENAPI);
}

#[tokio::test]
async fn a_management_call_has_its_path_without_the_prefix() {
    let endpoints = usual().with(Endpoint::Management, "/admin").unwrap();
    let service = service(endpoints);
    let form = "grant_type=client_credentials";
    let minted = form_post(&service, "/openidconnect/token", form, Some(basic_of("superuser"))).await;
    let token = json(&minted)["access_token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let call = http::Request::get("/admin/client/basic").header("Authorization", &bearer).body(String::new());
    let response = answer(&service, call.unwrap()).await;
    assert_eq!((response.status().as_u16(), json(&response)["client_id"].as_str()), (200, Some("basic")));
    let call = http::Request::post("/admin/client")
        .header("Authorization", bearer)
        .header("Content-Type", "application/json")
        .body(Full::new(&br#"{"preferred_client_id": "added"}"#[..]));
    let response = answer(&service, call.unwrap()).await;
    assert_eq!((response.status().as_u16(), json(&response)["client_id"].as_str()), (201, Some("added")));
}

#[tokio::test]
async fn rfc8414_2_metadata() {
    let path = "/.well-known/oauth-authorization-server";
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    let response = ask(&service(usual()), "GET", path).await;
    let expected = json!({
        "issuer": "https://auth.example.com",
        "token_endpoint": "https://auth.example.com/openidconnect/token",
        "token_endpoint_auth_methods_supported": methods,
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "introspection_endpoint": "https://auth.example.com/openidconnect/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "Bearer"],
        "revocation_endpoint": "https://auth.example.com/openidconnect/token/revoke",
        "revocation_endpoint_auth_methods_supported": methods,
    });
    assert_eq!(json(&response), expected);
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    assert!(response.headers().get("pragma").is_none());

    // With public keys, and with endpoints left out or put elsewhere.
    let others = Endpoints::new("https://example.com:8443/t").unwrap().with(Endpoint::Token, "/token").unwrap();
    let others = others.without(Endpoint::Introspection).without(Endpoint::Revocation);
    let response = ask(&with_keys(others.clone()), "GET", "/.well-known/oauth-authorization-server/t").await;
    let mut expected = json!({
        "issuer": "https://example.com:8443/t",
        "token_endpoint": "https://example.com:8443/token",
        "token_endpoint_auth_methods_supported": methods,
        "jwks_uri": "https://example.com:8443/t/openidconnect/public_keys",
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
    });
    assert_eq!(json(&response), expected);
    let keys = ask(&with_keys(others.clone()), "GET", "/t/openidconnect/public_keys").await;
    assert_eq!(json(&keys)["keys"].as_array().unwrap().len(), 1);
    expected.as_object_mut().unwrap().remove("jwks_uri");
    let without = with_keys(others.without(Endpoint::Jwks));
    let response = ask(&without, "GET", "/.well-known/oauth-authorization-server/t").await;
    assert_eq!(json(&response), expected);

    let none = [Endpoint::Token, Endpoint::Introspection, Endpoint::Revocation].into_iter();
    let response = ask(&service(none.fold(usual(), Endpoints::without)), "GET", path).await;
    let expected =
        json!({"issuer": "https://auth.example.com", "response_types_supported": [], "grant_types_supported": []});
    assert_eq!(json(&response), expected);
}

/// A service whose tokens are JWTs.
fn with_keys(endpoints: Endpoints) -> Service {
    let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
    let issuer = AnyTokenIssuer::new(JwtIssuer::new(endpoints.issuer(), key));
    AuthorizationService::new(AuthorizationServer::new(stores(common::store()), issuer, Config::default()), endpoints)
}

/// Each method that the metadata gives is one that the endpoint takes.
#[tokio::test]
async fn rfc8414_2_what_the_metadata_says_is_so() {
    let service = service(usual());
    let metadata = json(&ask(&service, "GET", "/.well-known/oauth-authorization-server").await);
    let mint =
        form_post(&service, "/openidconnect/token", "grant_type=client_credentials", Some(basic_of("introspector")));
    let token = json(&mint.await)["access_token"].as_str().unwrap().to_owned();
    for (endpoint, form) in [
        ("token", "grant_type=client_credentials".to_owned()),
        ("introspection", format!("token={token}")),
        ("revocation", "token=unknown".to_owned()),
    ] {
        let url = metadata[format!("{endpoint}_endpoint")].as_str().unwrap();
        for method in metadata[format!("{endpoint}_endpoint_auth_methods_supported")].as_array().unwrap() {
            let (form, authorization) = match method.as_str().unwrap() {
                "client_secret_basic" => (form.clone(), Some(basic_of("basic"))),
                "client_secret_post" => (format!("{form}&client_id=post&client_secret={SECRET}"), None),
                "Bearer" => (form.clone(), Some(format!("Bearer {token}"))),
                other => panic!("{other}"),
            };
            let response = form_post(&service, url, &form, authorization).await;
            assert_eq!(response.status(), 200, "{endpoint}, {method}: {:?}", response.body());
        }
    }
}

fn basic_of(client_id: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{client_id}:{SECRET}")))
}

async fn form_post(service: &Service, url: &str, form: &str, authorization: Option<String>) -> Response<Bytes> {
    let request = http::Request::post(url).header("Content-Type", "application/x-www-form-urlencoded");
    let request = authorization.into_iter().fold(request, |request, value| request.header("Authorization", value));
    answer(service, request.body(form.to_owned()).unwrap()).await
}

/// A body that must not be read.
struct Unread;

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("it is read");
    }
}

#[tokio::test]
async fn what_takes_no_body_does_not_read_it() {
    let service = service(usual().with(Endpoint::Management, "/admin").unwrap());
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
        "/nginx/introspect/openidconnect",
        "/openapi.json",
        "/nowhere",
    ] {
        let response = answer(&service, http::Request::post(path).body(Unread).unwrap()).await;
        assert!(matches!(response.status().as_u16(), 401 | 404 | 405), "{path}");
    }
    let long = http::Request::post("/openidconnect/token").header("Content-Length", "16385").body(Unread);
    assert_eq!(answer(&service, long.unwrap()).await.status(), 413);
}

/// An address at which the service answers in hyper, without axum.
fn in_hyper(service: Service) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(service.clone());
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
    });
    address
}

/// The same server behind both.
fn addresses() -> [(&'static str, SocketAddr); 2] {
    let config = Config::default().with_max_body_bytes(100).unwrap();
    let served = Served::start(server(config));
    let service = AuthorizationService::new(served.server.clone(), usual());
    [("axum", served.address), ("hyper", in_hyper(service))]
}

const PATH: &str = "/openidconnect/token";

/// A form of this length, which asks for a token.
fn form(len: usize) -> String {
    let form = "grant_type=client_credentials&x=";
    form.to_owned() + &"x".repeat(len - form.len())
}

#[test]
fn bodies_up_to_the_limit() {
    for (host, address) in addresses() {
        for (len, status) in [(40, 200), (100, 200), (101, 413), (20_000, 413)] {
            let asked = basic("basic", SECRET, form(len));
            assert_eq!(asked.send(address, PATH).status, status, "{host}, {len} declared");
            // Only management takes another body, and it asks for a token first.
            let call = request("POST", "/client").body(&form(len));
            assert_eq!(call.send(address, "/client").status, 401, "{host}, {len} declared");

            let answer = common::exchange(address, &chunked(&asked, &form(len), "0\r\n\r\n"));
            assert_eq!(answer.status, status, "{host}, {len} in chunks");
        }
    }
}

/// The request with its body in chunks, whose length nobody says.
fn chunked(asked: &Asked, body: &str, end: &str) -> Vec<u8> {
    let bytes = String::from_utf8(asked.bytes(PATH)).unwrap();
    let (head, _) = bytes.split_once("Content-Length").unwrap();
    let mut message = format!("{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    for part in body.as_bytes().chunks(33) {
        message += &format!("{:x}\r\n{}\r\n", part.len(), std::str::from_utf8(part).unwrap());
    }
    (message + end).into_bytes()
}

#[test]
fn bodies_that_break_off() {
    for (host, address) in addresses() {
        let asked = basic("basic", SECRET, form(60));
        let (whole, chunked) = (asked.bytes(PATH), chunked(&asked, &form(60), ""));
        let other = chunked_wrongly(&asked);
        for message in [&whole[..whole.len() - 1], &whole[..whole.len() - 60], &chunked, &other] {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(message).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
            // A server may also close the connection without an answer when it sees that nobody is there any more.
            if !answer.is_empty() {
                let answer = Answer::parse(&answer);
                answer.refused(400, "invalid_request");
                assert_eq!(answer.json()["error_description"], "the body is incomplete", "{host}");
            }
        }
        let answer = common::exchange(address, &other);
        assert_eq!(answer.json()["error_description"], "the body is incomplete", "{host}");
        basic("basic", SECRET, form(60)).send(address, PATH).granted(None);
    }
}

/// A body that ends in an error.
struct BrokenOff;

impl Body for BrokenOff {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(Some(Err("reset")))
    }
}

#[tokio::test]
async fn a_management_call_whose_body_breaks_off_does_nothing() {
    let events = Events::default();
    let server = server(Config::default()).with_audit_sink(events.clone());
    let service = AuthorizationService::new(server, usual().with(Endpoint::Management, "/admin").unwrap());
    let form = "grant_type=client_credentials";
    let minted = form_post(&service, "/openidconnect/token", form, Some(basic_of("superuser"))).await;
    let bearer = format!("Bearer {}", json(&minted)["access_token"].as_str().unwrap());
    // Some of these take no body.
    for (method, path) in [
        ("POST", "/admin/client"),
        ("PUT", "/admin/client/basic"),
        ("POST", "/admin/client/basic/reset_secret"),
        ("DELETE", "/admin/client/basic/secret"),
        ("DELETE", "/admin/client/basic"),
    ] {
        let call = http::Request::builder().method(method).uri(path).header("Authorization", &bearer);
        let call = call.header("Content-Type", "application/json").body(BrokenOff).unwrap();
        let response = answer(&service, call).await;
        assert_eq!(response.status(), 400, "{method} {path}");
        assert!(matches!(response.extensions().get(), Some(Error::IncompleteBody)));
        let told = std::mem::take(&mut *events.0.lock().unwrap());
        assert_eq!((told.len(), &told[0]["outcome"], &told[0]["actor"]), (1, &json!("refused"), &json!("superuser")));
    }
    let minted = form_post(&service, "/openidconnect/token", form, Some(basic_of("basic"))).await;
    assert_eq!(minted.status(), 200);
}

/// A chunk whose length is no number.
fn chunked_wrongly(asked: &Asked) -> Vec<u8> {
    chunked(asked, &form(60), "zz\r\n")
}

#[test]
fn a_token_over_each_host() {
    for (host, address) in addresses() {
        let asked = basic("basic", SECRET, "grant_type=client_credentials&scope=read");
        asked.send(address, PATH).granted(Some("read"));
        basic("basic", "wrong", "grant_type=client_credentials").send(address, PATH).refused(401, "invalid_client");
        let path = "/.well-known/oauth-authorization-server";
        assert_eq!(request("GET", path).send(address, path).json()["issuer"], "https://auth.example.com", "{host}");
    }
}

#[test]
fn a_clone_shares_the_server() {
    let store = MemoryStore::default();
    let server = Arc::new(AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default()));
    let service = AuthorizationService::new(server.clone(), usual());
    let clone = service.clone();
    assert!(Arc::ptr_eq(clone.server(), service.server()) && Arc::ptr_eq(clone.server(), &server));
    assert_eq!(clone.endpoints().issuer(), "https://auth.example.com");
    let printed = format!("{service:?}");
    assert!(printed.contains("https://auth.example.com") && printed.contains("/openidconnect/token"), "{printed}");
}

#[test]
fn a_call_counts_from_when_all_of_it_has_arrived() {
    let store = common::store();
    let short = Config::default().with_client_credentials_grant_expiration(Duration::from_secs(1)).unwrap();
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
    let served = Served::start(AuthorizationServer::new(stores(store), issuer, short));
    let minted = served.send(&basic("superuser", SECRET, "grant_type=client_credentials")).json();
    let token = minted["access_token"].as_str().unwrap();
    let path = "/client";
    let bytes = request("POST", path).bearer(token).json(&json!({"preferred_client_id": "late"})).bytes(path);
    let (head, body) = bytes.split_at(bytes.len() - 5);
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.write_all(head).unwrap();
    thread::sleep(Duration::from_millis(1500));
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer::parse(&answer).refused(401, "invalid_token");
}
