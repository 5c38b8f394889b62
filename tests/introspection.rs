//! The introspection endpoint, row by row, through the function and through a socket.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{thread, time::Duration};

use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, Config, Error, JwtIssuer, MemoryStore, OpaqueIssuer, Provisioning, Request,
    SigningAlgorithm, SigningKey, handle_introspection_request, now,
};
use common::{Answer, Asked, Events, SECRET, SERVER, Served, basic, request, stores};
use serde_json::{Value, json};

fn ask(form: &str) -> Asked {
    request("POST", "/openidconnect/introspect").form(form)
}

/// As a client that may not use the grant, which is none of this endpoint's business.
fn introspect(served: &Served, token: &str) -> Answer {
    introspect_as("disabled", served, token)
}

fn introspect_as(client_id: &str, served: &Served, token: &str) -> Answer {
    let encoded: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
    let answer = served
        .ask(&ask(&format!("token={encoded}&token_type_hint=x&unknown=1&unknown=2")).credentials(client_id, SECRET));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn token(served: &Served, client_id: &str, scope: &str) -> String {
    let answer = served.send(&basic(client_id, SECRET, format!("grant_type=client_credentials&scope={scope}")));
    answer.json()["access_token"].as_str().unwrap().into()
}

fn served(config: Config, issuer: impl FnOnce(MemoryStore) -> AnyTokenIssuer) -> Served {
    let store = common::store();
    Served::start(AuthorizationServer::new(stores(store.clone()), issuer(store), config))
}

fn jwt(audience: Option<&str>) -> AnyTokenIssuer {
    let issuer = JwtIssuer::new("https://localhost", SigningKey::generate(SigningAlgorithm::EdDsa).unwrap());
    AnyTokenIssuer::new(match audience {
        Some(audience) => issuer.with_audience(audience),
        None => issuer,
    })
}

#[test]
fn rfc7662_2_2_what_a_token_says() {
    let opaque = |store| AnyTokenIssuer::new(OpaqueIssuer::new(store));
    let api = "https://api.example.com";
    for (served, aud, is_kept) in [
        (served(Config::default(), opaque), None, true),
        (served(Config::default(), |_| jwt(None)), None, false),
        (served(Config::default(), |_| jwt(Some(api))), Some(api), false),
    ] {
        let token = token(&served, "basic", "read+tenant:acme");
        // One that names an API is told to those who may know of all.
        let said = introspect_as(if aud.is_some() { "introspector" } else { "disabled" }, &served, &token).json();
        let iat = said["iat"].as_i64().unwrap();
        assert!((0..60).contains(&(now().unix_timestamp() - iat)));
        let mut expected = json!({
            "active": true, "scope": "read tenant:acme", "client_id": "basic", "sub": "basic", "token_type": "Bearer",
            "iat": iat, "exp": iat + 180,
            "resources": {"*": ["report:read"], "acme": ["report:edit", "report:read"]},
        });
        if let Some(aud) = aud {
            expected["aud"] = aud.into();
        }
        if !is_kept {
            assert_eq!(said["jti"].as_str().map(str::len), Some(22));
            expected["jti"] = said["jti"].clone();
        }
        assert_eq!(said, expected);
    }
}

#[test]
fn rfc7662_2_2_what_does_not_count_is_not_active_and_nothing_else() {
    for token in ["unknown", &"A".repeat(43), "a.b.c", "é", "a b", "%", &"x".repeat(10_000)] {
        assert_eq!(introspect(&SERVER, token).raw, br#"{"active":false}"#, "{token}");
    }
    let short = Config::default().with_client_credentials_grant_expiration(Duration::from_secs(1)).unwrap();
    for served in
        [served(short.clone(), |store| AnyTokenIssuer::new(OpaqueIssuer::new(store))), served(short, |_| jwt(None))]
    {
        let token = token(&served, "basic", "read");
        assert_eq!(introspect(&served, &token).json()["active"], true);
        let other = introspect(&SERVER, &token);
        assert_eq!(other.raw, br#"{"active":false}"#, "of another server");
        thread::sleep(Duration::from_millis(1100));
        assert_eq!(introspect(&served, &token).raw, br#"{"active":false}"#, "expired");
    }
}

#[test]
fn rfc7662_2_1_the_caller_authenticates() {
    let token = token(&SERVER, "basic", "read");
    let form = format!("token={token}");
    for refused in [
        ask(&form),
        ask(&form).credentials("basic", "wrong"),
        ask(&form).credentials("unknown", SECRET),
        ask(&form).credentials("expired", SECRET),
        ask(&form).credentials("post", SECRET),
        // Whoever has credentials in the body does not ask by a bearer token.
    ] {
        SERVER.ask(&refused).refused(401, "invalid_client");
    }
    let posted = format!("{form}&client_id=post&client_secret={SECRET}");
    assert_eq!(SERVER.ask(&ask(&posted)).json()["active"], true);
    for (refused, status) in [
        (ask("").credentials("basic", SECRET), 400),
        (ask("token=").credentials("basic", SECRET), 400),
        (ask(&format!("{form}&{form}")).credentials("basic", SECRET), 400),
        (ask(&posted).credentials("basic", SECRET), 400),
        (ask("token=%zz").credentials("basic", SECRET), 400),
        (ask(&form).credentials("basic", SECRET).without("Content-Type"), 400),
        (ask(&form).credentials("basic", SECRET).method("GET"), 405),
        (ask(&"x".repeat(17_000)).credentials("basic", SECRET), 413),
    ] {
        SERVER.ask(&refused).refused(status, "invalid_request");
    }
}

#[test]
fn rfc7662_2_1_a_bearer_token_with_the_resource() {
    let mine = token(&SERVER, "basic", "read");
    let form = format!("token={mine}");
    let asker = token(&SERVER, "introspector", "read");
    assert_eq!(SERVER.ask(&ask(&form).bearer(&asker)).json()["client_id"], "basic");
    assert_eq!(SERVER.ask(&ask("token=unknown").bearer(&asker)).raw, br#"{"active":false}"#);
    SERVER.ask(&ask(&form).bearer(&mine)).refused(403, "insufficient_scope");
    SERVER.ask(&ask(&form).bearer("unknown")).refused(401, "invalid_token");
    SERVER.ask(&ask("").bearer(&asker)).refused(400, "invalid_request");
    // RFC 9068 §4.
    let elsewhere = token(&SERVER, "introspector", "read&audience=api");
    SERVER.ask(&ask(&form).bearer(&elsewhere)).refused(401, "invalid_token");
    let authorization = format!("Bearer {elsewhere}");
    let post = Request::new("POST", now())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .header("Authorization", authorization.as_bytes())
        .body(form.as_bytes());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reply = runtime.block_on(handle_introspection_request(&SERVER.server, &post));
    assert!(matches!(reply.cause(), Some(Error::WrongAudience)));
    // In one way only.
    let twice = format!("{form}&client_id=post&client_secret={SECRET}");
    SERVER.ask(&ask(&twice).bearer(&asker)).refused(400, "invalid_request");
}

#[test]
fn a_host_restricts_who_may_ask() {
    let restricted = served(Config::default().with_introspection_restricted(true), |store| {
        AnyTokenIssuer::new(OpaqueIssuer::new(store))
    });
    let mine = token(&restricted, "basic", "read");
    let form = ask(&format!("token={mine}"));
    restricted.ask(&form.clone().credentials("basic", SECRET)).refused(403, "insufficient_scope");
    restricted.ask(&form.clone().credentials("basic", "wrong")).refused(401, "invalid_client");
    for may in ["introspector", "superuser"] {
        assert_eq!(restricted.ask(&form.clone().credentials(may, SECRET)).json()["active"], true, "{may}");
    }
}

#[test]
fn each_refusal_is_an_event_that_says_who_is_guessed_at() {
    let (events, store) = (Events::default(), common::store());
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
    let config = Config::default().with_introspection_restricted(true);
    let server = AuthorizationServer::new(stores(store), issuer, config).with_audit_sink(events.clone());
    let served = Served::start(server);
    let elsewhere = token(&served, "introspector", "read&audience=api");
    let form = ask("token=unknown");
    for asked in [
        form.clone().credentials("basic", "wrong"),
        form.clone().credentials("basic", SECRET),
        form.clone().credentials("introspector", SECRET),
        ask("token=unknown&client_id=post&client_secret=wrong"),
        // What names no client may be a secret in the wrong place.
        form.clone().credentials("HUNTER2", "introspector"),
        ask("token=unknown&client_id=post"),
        form.clone(),
        form.clone().bearer("unknown"),
        form.bearer(&elsewhere),
    ] {
        served.send(&asked);
    }
    let events = events.0.lock().unwrap();
    let said = |event: &Value| {
        assert_eq!((&event["action"], &event["outcome"]), (&json!("introspect"), &json!("refused")));
        assert!(event.get("actor").is_none(), "{event}");
        (event["client_id"].clone(), event["cause"].clone())
    };
    let said: Vec<_> = events.iter().map(said).collect();
    let expected = [
        (json!("basic"), "the secret is wrong"),
        (json!("basic"), "the bearer token does not hold the resource `seacat:token:introspect`"),
        (json!("post"), "the secret is wrong"),
        (Value::Null, "the client is unknown"),
        (Value::Null, "the client does not authenticate"),
        (Value::Null, "the client does not authenticate"),
        (Value::Null, "the bearer token is unknown, expired or revoked"),
        (Value::Null, "the bearer token is meant for other APIs than this one"),
    ];
    assert_eq!(said, expected.map(|(client_id, cause)| (client_id, json!(cause))));
}

#[test]
fn rfc7662_2_1_who_is_nobody_learns_nothing_of_the_rest() {
    for nobody in [ask(""), ask("").credentials("basic", "wrong"), ask("").credentials("unknown", SECRET)] {
        SERVER.ask(&nobody).refused(401, "invalid_client");
    }
}

#[test]
fn rfc7662_4_a_token_that_names_apis_is_told_to_them() {
    let named = token(&SERVER, "introspector", "read&audience=api&audience=basic");
    let usual = token(&SERVER, "introspector", "read");
    for (asker, may_know) in
        [("introspector", true), ("superuser", true), ("basic", true), ("post-basic", false), ("disabled", false)]
    {
        assert_eq!(introspect_as(asker, &SERVER, &named).json()["active"], may_know, "{asker}");
        assert_eq!(introspect_as(asker, &SERVER, &usual).json()["active"], true, "{asker}");
    }
    // Whoever got it may know of it, and ends it.
    let mine = token(&SERVER, "namer", "read&audience=api");
    assert_eq!(introspect_as("namer", &SERVER, &mine).json()["aud"], "api");
    assert_eq!(introspect_as("basic", &SERVER, &mine).raw, br#"{"active":false}"#);
}

/// What an issuer of another kind has left in the store, before the host has changed over.
#[test]
fn only_api_keys_are_taken_beside_the_tokens_of_the_issuer() {
    let store = common::store();
    let opaque = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
    let before = Served::start(AuthorizationServer::new(stores(store.clone()), opaque, Config::default()));
    let left = token(&before, "superuser", "");
    assert_eq!(introspect(&before, &left).json()["active"], true);
    let now = Served::start(AuthorizationServer::new(stores(store), jwt(None), Config::default()));
    assert_eq!(introspect(&now, &left).raw, br#"{"active":false}"#);
    now.ask(&request("GET", "/client").bearer(&left)).refused(401, "invalid_token");
    assert_eq!(now.send(&request("GET", "/client").bearer(&token(&now, "superuser", ""))).status, 200);
}

#[test]
fn what_is_minted_can_be_presented_and_ended() {
    let tenants = |count: usize| (0..count).map(|n| format!("a-tenant-with-a-name-{n:03}")).collect::<Vec<_>>();
    let client = |id: &str, count| json!({"client_id": id, "client_secret": SECRET, "seacatauth_credentials": true, "tenants": tenants(count)});
    let clients = json!([client("large", 60), client("too-large", 200)]).to_string();
    let store = MemoryStore::from(Provisioning::from_json(&clients).unwrap());
    let served = Served::start(AuthorizationServer::new(stores(store), jwt(None), Config::default()));
    let form = "grant_type=client_credentials&scope=tenant:*";
    served.send(&basic("too-large", SECRET, form)).refused(400, "invalid_scope");
    let token = token(&served, "large", "tenant:*");
    assert!(token.len() > 4096, "{}", token.len());
    assert_eq!(introspect_as("large", &served, &token).json()["active"], true);
    let ended = request("POST", "/openidconnect/token/revoke").form(format!("token={token}"));
    assert_eq!(served.ask(&ended.credentials("large", SECRET)).status, 200);
    assert_eq!(introspect_as("large", &served, &token).json()["active"], false);
}
