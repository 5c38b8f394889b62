//! What a gateway asks before it lets a request through, row by row, through the function and through a socket.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, BackendError, Claims, ClientId, Config, JwtIssuer, MemoryStore, OpaqueIssuer,
    Request, SigningAlgorithm, SigningKey, TokenHash, TokenIssuer as _, TokenStore as _, TokenVerifier,
    handle_gateway_request, now,
    time::{Duration, OffsetDateTime},
};
use common::{Answer, Asked, Events, SECRET, SERVER, Served, basic, block_on, request, stores};
use proptest::prelude::*;
use serde_json::{Value, json};

const PATH: &str = "/nginx/introspect/openidconnect";
const API: &str = "https://api.example.com";

fn asked(query: &str) -> Asked {
    let asked = request("GET", PATH);
    if query.is_empty() { asked } else { asked.query(query) }
}

fn token(served: &Served, client_id: &str, scope: &str) -> String {
    let answer = served.send(&basic(client_id, SECRET, format!("grant_type=client_credentials&scope={scope}")));
    answer.json()["access_token"].as_str().unwrap().into()
}

fn served(issuer: impl FnOnce(MemoryStore) -> AnyTokenIssuer) -> Served {
    let store = common::store();
    Served::start(AuthorizationServer::new(stores(store.clone()), issuer(store), Config::default()))
}

#[track_caller]
fn passes(answer: &Answer, client_id: &str, scope: &str, tenants: &str, resources: &str) {
    assert_eq!((answer.status, answer.json()), (200, json!({"result": "OK"})), "{answer:?}");
    let headers = ["x-client-id", "x-scope", "x-tenants", "x-resources"].map(|name| answer.header(name).unwrap());
    assert_eq!(headers, [client_id, scope, tenants, resources]);
}

#[test]
fn who_may_pass_is_told_in_headers() {
    for (client_id, scope, query, told) in [
        ("basic", "read+tenant:*", "", ["read tenant:acme tenant:bolt", "acme bolt", "report:read"]),
        ("basic", "read", "scope=read", ["read", "", "report:read"]),
        ("basic", "read+write", "scope=write%20read", ["read write", "", "report:read"]),
        (
            "basic",
            "tenant:acme",
            "tenant=acme&resource=report:edit&resource=report:read",
            ["tenant:acme", "acme", "report:edit report:read"],
        ),
        ("basic", "tenant:*", "tenant=bolt", ["tenant:acme tenant:bolt", "acme bolt", "report:read"]),
        ("post", "", "", ["", "", ""]),
        ("superuser", "", "tenant=anywhere&resource=anything", ["", "", "authz:superuser"]),
    ] {
        let token = match client_id {
            "post" => SERVER
                .send(&common::post(format!("grant_type=client_credentials&client_id=post&client_secret={SECRET}")))
                .json()["access_token"]
                .as_str()
                .unwrap()
                .to_owned(),
            _ => token(&SERVER, client_id, scope),
        };
        let answer = SERVER.ask(&asked(query).bearer(&token));
        passes(&answer, client_id, told[0], told[1], told[2]);
    }
}

#[test]
fn any_method_and_what_else_the_caller_has_sent() {
    let token = token(&SERVER, "basic", "read");
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let spoofed = asked("scope=read")
            .method(method)
            .header("X-Client-Id", "root")
            .header("X-Client-Id", "superuser")
            .header("X-Resources", "authz:superuser")
            .header("Content-Type", "text/plain")
            .header("Cookie", "a=b")
            .body("grant_type=client_credentials");
        passes(&SERVER.ask(&spoofed.bearer(&token)), "basic", "read", "", "report:read");
    }
    let answer = SERVER.ask(&asked("").header("authorization", format!("bEARER {token}")));
    passes(&answer, "basic", "read", "", "report:read");
}

#[test]
fn rfc6750_3_1_who_has_no_token_is_told_so_and_no_error() {
    for anonymous in [
        asked("scope=read"),
        asked("scope=read").credentials("basic", SECRET),
        asked("").header("Authorization", ""),
        asked("").header("X-Client-Id", "basic"),
        asked("").method("POST").form(format!("access_token={}", token(&SERVER, "basic", "read"))),
    ] {
        let answer = SERVER.ask(&anonymous);
        assert_eq!((answer.status, answer.json()), (401, json!({})), "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="asab""#));
        assert!(answer.header("x-client-id").is_none());
    }
}

#[test]
fn rfc6750_3_1_a_token_that_does_not_count() {
    let token = token(&SERVER, "basic", "read");
    for refused in [
        asked("").bearer("unknown"),
        asked("").bearer(""),
        asked("").bearer(&format!("{token}x")),
        asked("").bearer(&format!("{token} {token}")),
        asked("").header("Authorization", b"Bearer \xff"),
        // These are an invalid_request elsewhere, but nginx makes 500 of a 400.
        asked("").bearer(&token).bearer(&token),
        asked("").bearer(&token).credentials("basic", SECRET),
        asked("").bearer(&"x".repeat(9000)),
    ] {
        let answer = SERVER.ask(&refused);
        answer.refused(401, "invalid_token");
        let challenge =
            r#"Bearer realm="asab", error="invalid_token", error_description="the bearer token is not valid""#;
        assert_eq!(answer.header("www-authenticate"), Some(challenge));
    }
    let reply = block_on(handle_gateway_request(
        &SERVER.server,
        &Request::new("GET", now()).header("Authorization", b"Bearer a").header("Authorization", b"Bearer a"),
    ));
    assert!(matches!(reply.cause(), Some(client_credentials::Error::MalformedToken)), "the cause is not lost");
}

#[test]
fn rfc6750_3_1_a_token_that_has_too_little() {
    for (client_id, scope, query) in [
        ("basic", "read", "scope=write"),
        ("basic", "read", "scope=read+write"),
        ("superuser", "", "scope=read"),
        ("basic", "read", "tenant=acme"),
        ("basic", "tenant:acme", "tenant=bolt"),
        ("basic", "tenant:acme", "tenant=cold&resource=report:read"),
        ("basic", "tenant:acme", "resource=report:edit"),
        ("basic", "tenant:*", "tenant=bolt&resource=report:edit"),
        ("basic", "tenant:acme", "tenant=acme&resource=report:edit&resource=other:edit"),
        ("local-doorkeeper", "tenant:acme", "resource=report:read"),
    ] {
        let answer = SERVER.ask(&asked(query).bearer(&token(&SERVER, client_id, scope)));
        answer.refused(403, "insufficient_scope");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with(r#"Bearer realm="asab", error="insufficient_scope", "#), "{challenge}");
        let scope = query.strip_prefix("scope=").map(|scope| format!(", scope=\"{}\"", scope.replace('+', " ")));
        assert_eq!(challenge.contains("scope=\""), scope.is_some(), "{challenge}");
        assert!(challenge.ends_with(scope.as_deref().unwrap_or("\"")), "{challenge}");
        assert!(answer.header("x-client-id").is_none());
    }
}

#[test]
fn a_wrong_query_opens_nothing() {
    let token = token(&SERVER, "superuser", "");
    let long = format!("audience={}", "a".repeat(17_000));
    let many = "resource=a&".repeat(33);
    for query in [
        "resources=a",
        "scope=",
        "tenant=",
        "resource=",
        "audience=",
        "tenant=a&tenant=b",
        "audience=a&audience=b",
        "resource=a+b",
        "tenant=a%2Fb",
        "access_token=a",
        "scope=%zz",
        "=",
        &long,
        &many,
    ] {
        // Whoever asks: an operator finds out at the first request.
        for asked in [asked(query), asked(query).bearer(&token)] {
            let answer = SERVER.ask(&asked);
            assert_eq!(answer.status, 400, "{query}");
            assert!(answer.header("x-client-id").is_none());
        }
    }
    SERVER.ask(&asked("scope=%22").bearer(&token)).refused(400, "invalid_scope");
}

#[test]
fn rfc9068_4_a_token_is_for_whom_it_names() {
    let issuer = || JwtIssuer::new("https://localhost", SigningKey::generate(SigningAlgorithm::EdDsa).unwrap());
    let general = served(|_| AnyTokenIssuer::new(issuer()));
    let special = served(|_| AnyTokenIssuer::new(issuer().with_audience(API)));
    for (served, query, status) in [
        (&general, "", 200),
        (&general, "audience=https://api.example.com", 401),
        (&special, "", 401),
        (&special, "audience=https://api.example.com", 200),
        (&special, "audience=https%3A%2F%2Fapi.example.com", 200),
        (&special, "audience=https://api.example.com/", 401),
        (&special, "audience=https://other.example.com", 401),
    ] {
        let answer = served.ask(&asked(query).bearer(&token(served, "basic", "read")));
        assert_eq!(answer.status, status, "{query}");
        if status == 401 {
            answer.refused(401, "invalid_token");
        }
    }
}

#[test]
fn revoked_expired_and_without_a_client() {
    let served = served(|store| AnyTokenIssuer::new(OpaqueIssuer::new(store)));
    let counts = |token: &str| served.ask(&asked("").bearer(token)).status == 200;
    let (basic, short) = (token(&served, "basic", "read"), token(&served, "short", ""));
    let server = &served.server;
    let administrator = server.administrator("test", now());
    let id = |id: &str| ClientId::parse(id).unwrap();

    let (key, _) = block_on(administrator.create_api_key(&id("basic"), "", None, None)).unwrap();
    let answer = served.ask(&asked("resource=report:read").bearer(key.expose()));
    passes(&answer, "basic", "", "", "report:read");
    served.ask(&asked("audience=a").bearer(key.expose())).refused(401, "invalid_token");
    block_on(administrator.revoke_api_key(&id("basic"), Some(&key.hash()))).unwrap();
    assert!(!counts(key.expose()));

    assert!(counts(&basic) && counts(&short));
    assert!(block_on(server.store().revoke(&TokenHash::of(&basic))).unwrap());
    assert!(!counts(&basic));

    let claims = Claims::new(id("basic"), now() - Duration::HOUR, now() - Duration::SECOND);
    let expired = block_on(server.issuer().issue(&claims)).unwrap();
    assert!(!counts(expired.expose()));

    let disable = |client: client_credentials::ClientBuilder| client.seacatauth_credentials(false);
    block_on(administrator.update_client(&id("short"), None, disable)).unwrap();
    assert!(!counts(&short), "disabled");
    let superuser = token(&served, "superuser", "");
    block_on(administrator.delete_client(&id("superuser"))).unwrap();
    assert!(!counts(&superuser), "deleted");
}

/// A verifier that cannot tell.
#[derive(Clone)]
struct Down;

impl TokenVerifier for Down {
    async fn verify(&self, _: &str, _: OffsetDateTime) -> Result<Option<Claims>, BackendError> {
        Err(BackendError::new("down"))
    }
}

#[test]
fn a_store_that_fails_opens_nothing_and_refusals_are_recorded() {
    let (events, store) = (Events::default(), MemoryStore::default());
    let server = AuthorizationServer::new(store, Down, Config::default()).with_audit_sink(events.clone());
    let request = Request::new("GET", now());
    let reply = block_on(handle_gateway_request(&server, &request.header("Authorization", b"Bearer a")));
    assert_eq!(reply.status(), 503);
    assert!(reply.headers().any(|header| header == ("Retry-After", "1")));
    block_on(handle_gateway_request(&server, &request.query("tenants=a")));
    // A call without a token is no event.
    assert_eq!(block_on(handle_gateway_request(&server, &request)).status(), 401);

    let store = common::store();
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let server = server.with_audit_sink(events.clone());
    let claims = Claims::new(ClientId::parse("basic").unwrap(), now(), now() + Duration::MINUTE);
    let token = block_on(server.issuer().issue(&claims)).unwrap();
    let authorization = format!("Bearer {}", token.expose());
    let request = request.header("Authorization", authorization.as_bytes());
    assert_eq!(block_on(handle_gateway_request(&server, &request)).status(), 200);
    assert_eq!(block_on(handle_gateway_request(&server, &request.query("tenant=acme"))).status(), 403);

    let events = events.0.lock().unwrap();
    let said = |event: &Value| {
        assert_eq!(event["action"], "call_api");
        (event["actor"].clone(), event["outcome"].clone(), event["cause"].clone())
    };
    let said: Vec<_> = events.iter().map(said).collect();
    assert_eq!(
        said,
        [
            (Value::Null, json!("failed"), json!("a backend failed")),
            (Value::Null, json!("refused"), json!("there is no parameter `tenants`")),
            (json!("basic"), json!("refused"), json!("the bearer token is not for the tenant that is required")),
        ]
    );
}

proptest! {
    #[test]
    fn any_request_has_a_reply(
        query in proptest::option::of(prop_oneof![".{0,40}", "((scope|tenant|resource|audience|x)=[ -~]{0,12}&){0,6}"]),
        authorization in prop::collection::vec(
            prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "[Bb]earer [ -~]{0,40}".prop_map(String::into_bytes)],
            0..3,
        ),
        method in ".{0,8}",
    ) {
        let authorization = authorization.iter().map(|value| ("Authorization", value.as_slice()));
        let request = Request::new(&method, now()).query(query.as_deref()).headers(authorization);
        let reply = block_on(handle_gateway_request(&SERVER.server, &request));
        prop_assert!(matches!(reply.status(), 400 | 401), "{:?}", reply);
        prop_assert!(reply.cause().is_some());
        for (name, value) in reply.headers() {
            prop_assert!(!name.starts_with("X-") && value.bytes().all(|b| matches!(b, b' '..=b'~')));
        }
    }
}
