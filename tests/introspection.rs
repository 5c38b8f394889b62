//! The introspection endpoint, row by row, through the function and through a socket.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{thread, time::Duration};

use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, Config, JwtIssuer, MemoryStore, OpaqueIssuer, SigningAlgorithm, SigningKey,
    now,
};
use common::{Answer, Asked, SECRET, SERVER, Served, basic, request, stores};
use serde_json::json;

fn ask(form: &str) -> Asked {
    request("POST", "/openidconnect/introspect").form(form)
}

/// As a client that may not use the grant, which is none of this endpoint's business.
fn introspect(served: &Served, token: &str) -> Answer {
    let encoded: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
    let answer = served
        .ask(&ask(&format!("token={encoded}&token_type_hint=x&unknown=1&unknown=2")).credentials("disabled", SECRET));
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
    for (served, is_jwt, aud) in [
        (served(Config::default(), opaque), false, None),
        (served(Config::default(), |_| jwt(None)), true, None),
        (served(Config::default(), |_| jwt(Some(api))), true, Some(api)),
    ] {
        let token = token(&served, "basic", "read+tenant:acme");
        let said = introspect(&served, &token).json();
        let iat = said["iat"].as_i64().unwrap();
        assert!((0..60).contains(&(now().unix_timestamp() - iat)));
        let mut expected = json!({
            "active": true, "scope": "read tenant:acme", "client_id": "basic", "sub": "basic", "token_type": "Bearer",
            "iat": iat, "exp": iat + 180,
            "resources": {"*": ["report:read"], "acme": ["report:edit", "report:read"]},
        });
        if let Some(aud) = aud {
            expected["aud"] = json!([aud]);
        }
        if is_jwt {
            assert_eq!(said["jti"].as_str().unwrap().len(), 22);
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
        ask(&form).bearer(&token),
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
