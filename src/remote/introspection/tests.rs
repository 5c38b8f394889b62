use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{TenantName, remote::fake::Fake};

const SECRET: &str = "an-example-that-nobody-should-use";

fn verifier(server: &Fake) -> IntrospectionVerifier<Fake> {
    let (api, secret) = (ClientId::parse("api").unwrap(), ClientSecret::new(SECRET.into()));
    IntrospectionVerifier::new("https://auth.example.com/introspect", &api, &secret, server.clone()).unwrap()
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000 + seconds).unwrap()
}

fn active() -> Value {
    json!({"active": true, "client_id": "billing", "iat": 1_699_999_900, "exp": 1_700_000_100})
}

/// `active` with these members over it; `null` takes one away.
fn with(members: Value) -> Value {
    let mut said = active();
    let Value::Object(members) = members else { panic!("not members") };
    members.into_iter().for_each(|(name, member)| said[name] = member);
    said.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    said
}

/// Runs a future that does not have to wait.
fn done<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn read(said: &Value) -> Result<Option<Claims>, BackendError> {
    done(verifier(&Fake::answering(said.to_string())).verify("token", at(0)))
}

#[test]
fn rfc7662_2_2_what_an_active_token_says() {
    let said = with(json!({
        "scope": "read tenant:acme", "token_type": "Bearer", "aud": ["https://api.example.com", "https://b.example"],
        "iss": "https://auth.example.com", "sub": "billing", "jti": "the-jti", "nbf": 0, "username": "ignored",
        "resources": {"*": ["a"], "acme": ["a", "b"]},
    }));
    let claims = read(&said).unwrap().unwrap();
    let acme = (TenantName::parse("acme").unwrap(), ["a", "b"].into_iter().collect());
    let authorization = crate::Authorization::new(["a"].into_iter().collect(), [acme]);
    let expected = Claims::new(ClientId::parse("billing").unwrap(), at(-100), at(100))
        .with_scope(crate::Scope::parse("read tenant:acme").unwrap())
        .with_audience(["https://api.example.com", "https://b.example"])
        .with_jti(String::from("the-jti"))
        .with_authorization(authorization);
    assert_eq!(claims, expected);

    let claims = read(&json!({"active": true, "client_id": "billing", "scope": ""})).unwrap().unwrap();
    assert_eq!((claims.issued_at(), claims.expires_at(), claims.scope()), (at(0), at(60), None), "by default");
    assert!(claims.audience().is_empty() && claims.jti().is_none() && !claims.authorization().holds(None, &["a"]));
    let one = read(&with(json!({"aud": "https://api.example.com"}))).unwrap().unwrap();
    assert_eq!(one.audience(), ["https://api.example.com"]);
    let fraction = read(&with(json!({"exp": 1_700_000_100.5}))).unwrap().unwrap();
    assert_eq!(fraction.expires_at(), at(100) + time::Duration::milliseconds(500));
}

#[test]
fn rfc7662_2_2_what_does_not_count() {
    for said in [
        json!({"active": false}),
        json!({"active": false, "client_id": 1, "exp": "soon"}),
        with(json!({"active": false})),
        with(json!({"exp": 1_700_000_000})),
        with(json!({"exp": 0})),
        with(json!({"exp": -1})),
        with(json!({"token_type": "DPoP"})),
        with(json!({"token_type": "refresh_token"})),
        with(json!({"token_type": ""})),
        json!({"active": true, "client_id": "billing", "cnf": null}),
        with(json!({"cnf": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}})),
    ] {
        assert_eq!(read(&said).unwrap(), None, "{said}");
    }
    for said in [with(json!({"token_type": "bearer"})), with(json!({"iss": "https://any.example"}))] {
        assert!(read(&said).unwrap().is_some(), "{said}");
    }
}

#[test]
fn rfc7662_2_2_what_is_no_answer() {
    for said in [
        json!(null),
        json!([]),
        json!([true]),
        json!([true, "billing"]),
        json!({}),
        json!("active"),
        json!({"active": "true"}),
        json!({"active": 1}),
        json!({"active": null}),
        json!({"active": true}),
        json!({"active": true, "sub": "billing"}),
        with(json!({"client_id": ""})),
        with(json!({"client_id": 7})),
        with(json!({"scope": "two  spaces"})),
        with(json!({"scope": ["read"]})),
        with(json!({"exp": "1700000100"})),
        with(json!({"exp": i64::MAX})),
        with(json!({"exp": u64::MAX})),
        with(json!({"iat": i64::MIN})),
        with(json!({"aud": 1})),
        with(json!({"aud": [1]})),
        with(json!({"jti": 1})),
        with(json!({"resources": ["a"]})),
        with(json!({"resources": {"two words": []}})),
    ] {
        assert!(read(&said).is_err(), "{said}");
    }
    for text in ["", "{", r#"{"active":true,"active":false,"client_id":"billing"}"#, "<html>", "{\"active\":false} x"] {
        assert!(done(verifier(&Fake::answering(text)).verify("token", at(0))).is_err(), "{text}");
    }
}

#[test]
fn rfc7662_2_3_a_failure_is_no_answer_and_is_not_kept() {
    let server = Fake::answering(active().to_string());
    let tokens = verifier(&server);
    for status in [201, 204, 302, 307, 400, 401, 403, 404, 429, 500, 503] {
        server.respond(http::Response::builder().status(status).body(b"{\"active\":false}".to_vec()).unwrap());
        assert!(done(tokens.verify("token", at(0))).is_err(), "{status}");
    }
    server.answer(format!("{{\"active\":false{}}}", " ".repeat(MAX_RESPONSE_BYTES)));
    assert!(done(tokens.verify("token", at(0))).is_err(), "too long");
    server.go_down();
    assert!(done(tokens.verify("token", at(0))).is_err());
    server.answer(active().to_string());
    assert!(done(tokens.verify("token", at(0))).unwrap().is_some());
    assert_eq!(tokens.answers.count(), (1, 0, 0));
}

#[test]
fn rfc8707_2_the_issuer_alone_is_no_audience() {
    let server = Fake::answering("");
    let tokens = verifier(&server).with_issuer("https://auth.example.com").with_cache_expiration(Duration::ZERO);
    let audience = |said: Value| {
        server.answer(said.to_string());
        done(tokens.verify("token", at(0))).unwrap().map(|claims| claims.audience().to_vec())
    };
    assert_eq!(audience(with(json!({"aud": "https://auth.example.com"}))), Some(vec![]));
    assert_eq!(audience(with(json!({"aud": ["https://auth.example.com"]}))), Some(vec![]));
    assert_eq!(audience(with(json!({"aud": ["https://auth.example.com", "b"]}))).unwrap().len(), 2);
    assert_eq!(audience(with(json!({"iss": "https://auth.example.com"}))), Some(vec![]));
    assert_eq!(audience(with(json!({"iss": "https://auth.example.com/"}))), None, "another issuer's");
}

#[test]
fn rfc7662_2_1_the_question() {
    let server = Fake::answering(r#"{"active":false}"#);
    let awkward = "a:b + c%20d&e=f/g é € %%::";
    let (api, secret) = (ClientId::parse("awkward : + %").unwrap(), ClientSecret::new(awkward.into()));
    let endpoint = "https://auth.example.com/introspect?tenant=a";
    let tokens = IntrospectionVerifier::new(endpoint, &api, &secret, server.clone()).unwrap();
    assert!(done(tokens.verify("a.b-c_d~e+f/g==", at(0))).unwrap().is_none());

    let request = server.last();
    assert_eq!((request.method(), request.uri().to_string()), (&Method::POST, endpoint.into()));
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(request.body(), b"token=a.b-c_d%7Ee%2Bf%2Fg%3D%3D&token_type_hint=access_token");
    let authorization = &request.headers()["authorization"];
    assert!(authorization.is_sensitive());
    let encoded = authorization.to_str().unwrap().strip_prefix("Basic ").unwrap();
    let pair = String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap();
    let (id, secret) = pair.split_once(':').unwrap();
    assert_eq!((&*form::decode(id).unwrap(), &*form::decode(secret).unwrap()), ("awkward : + %", awkward));
    assert_eq!(
        format!("{tokens:?}"),
        "IntrospectionVerifier { endpoint: https://auth.example.com/introspect?tenant=a, .. }"
    );
}

#[test]
fn rfc6750_2_1_what_cannot_be_a_token_is_not_asked_about() {
    let server = Fake::answering(active().to_string());
    let tokens = verifier(&server);
    for token in ["", "=", "a b", "a\n", "a&b", "é", "a\0", &"a".repeat(MAX_TOKEN_BYTES + 1)] {
        assert!(done(tokens.verify(token, at(0))).unwrap().is_none());
    }
    assert_eq!(server.asked(), 0);
    assert!(done(tokens.verify(&"a".repeat(MAX_TOKEN_BYTES), at(0))).unwrap().is_some());
}

#[test]
fn rfc7662_4_an_answer_is_kept_for_a_while() {
    let server = Fake::answering(active().to_string());
    let tokens = verifier(&server);
    let counts = |seconds| done(tokens.verify("token", at(seconds))).unwrap().is_some();
    assert!(counts(0) && counts(9) && counts(0) && counts(-9));
    assert_eq!(server.asked(), 1);
    server.answer(r#"{"active":false}"#);
    assert!(counts(9), "revoked, but nobody has asked");
    assert!(!counts(10));
    server.answer(active().to_string());
    assert!(!counts(19), "refused for as long");
    assert_eq!(server.asked(), 2);
    assert!(counts(20), "and no longer");
    assert!(counts(29));
    assert!(counts(10 - 3600) && server.asked() == 4, "the clock was put back");
    server.answer(r#"{"active":false}"#);
    assert!(!counts(100) && server.asked() == 5, "an expired answer is asked again");

    server.answer(active().to_string());
    let long = verifier(&server).with_cache_expiration(Duration::from_secs(3600));
    assert!(done(long.verify("token", at(99))).unwrap().is_some());
    assert!(done(long.verify("token", at(100))).unwrap().is_none(), "expired within");
    assert_eq!(server.asked(), 6);

    let off = verifier(&server).with_cache_expiration(Duration::ZERO);
    for _ in 0..3 {
        assert!(done(off.verify("token", at(0))).unwrap().is_some());
    }
    assert_eq!((server.asked(), off.answers.count()), (9, (0, 0, 0)));
}

#[test]
fn invented_tokens_drive_out_no_good_one() {
    let server = Fake::answering(active().to_string());
    let tokens = verifier(&server).with_capacity(100);
    for i in 0..20 {
        assert!(done(tokens.verify(&format!("good-{i}"), at(0))).unwrap().is_some());
    }
    server.answer(r#"{"active":false}"#);
    for i in 0..10_000 {
        assert!(done(tokens.verify(&format!("bad-{i}"), at(0))).unwrap().is_none());
    }
    let asked = server.asked();
    for i in 0..20 {
        assert!(done(tokens.verify(&format!("good-{i}"), at(1))).unwrap().is_some());
    }
    assert_eq!(server.asked(), asked);
    server.answer(active().to_string());
    for i in 0..10_000 {
        assert!(done(tokens.verify(&format!("more-{i}"), at(0))).unwrap().is_some());
    }
    let (active, inactive, under_way) = tokens.answers.count();
    assert!(active <= 100 && inactive <= 100 && under_way == 0, "{active} {inactive} {under_way}");
}

#[tokio::test]
async fn many_who_ask_the_same_ask_once() {
    let server = Fake::answering(active().to_string());
    let tokens = verifier(&server);
    for answer in [Some(true), None, Some(false)] {
        let gate = server.gate();
        match answer {
            Some(true) => server.answer(active().to_string()),
            Some(false) => server.answer(r#"{"active":false}"#),
            None => server.go_down(),
        }
        let (asked, token) = (server.asked(), format!("token-{answer:?}").replace(['(', ')'], ""));
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let (tokens, token) = (tokens.clone(), token.clone());
                tokio::spawn(async move { tokens.verify(&token, at(0)).await })
            })
            .collect();
        while server.asked() == asked {
            tokio::task::yield_now().await;
        }
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        gate.close();
        for asking in asking {
            let found = asking.await.unwrap().map(|claims| claims.is_some());
            assert_eq!(found.ok(), answer);
        }
        assert_eq!(server.asked(), asked + 1);
    }
    assert_eq!(tokens.answers.count(), (1, 1, 0));
}

#[test]
fn one_who_goes_away_leaves_nothing_behind() {
    let server = Fake::answering(active().to_string());
    let tokens = verifier(&server);
    server.gate();
    let mut cx = Context::from_waker(Waker::noop());
    let mut first = Box::pin(tokens.verify("token", at(0)));
    let mut second = Box::pin(tokens.verify("token", at(0)));
    assert!(first.as_mut().poll(&mut cx).is_pending() && second.as_mut().poll(&mut cx).is_pending());
    assert_eq!((server.asked(), tokens.answers.count()), (1, (0, 0, 1)));
    drop(first);
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(server.asked(), 2, "the next one asks");
    server.ungate();
    assert!(done(second).unwrap().is_some());
    assert_eq!(tokens.answers.count(), (1, 0, 0));

    server.gate();
    let mut alone = Box::pin(tokens.verify("another", at(0)));
    assert!(alone.as_mut().poll(&mut cx).is_pending());
    drop(alone);
    assert_eq!(tokens.answers.count(), (1, 0, 0));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_none(body in prop::collection::vec(any::<u8>(), 0..200), status in 200..600_u16) {
        let server = Fake::answering("");
        server.respond(http::Response::builder().status(status).body(body).unwrap());
        prop_assert!(!matches!(done(verifier(&server).verify("token", at(0))), Ok(Some(_))));
    }

    #[test]
    fn any_members_are_an_answer_or_none(
        active in any::<bool>(), exp in any::<i64>(), iat in any::<i64>(), now in any::<i32>(), client_id in ".{0,10}", scope in ".{0,10}", aud in ".{0,10}",
    ) {
        let said = json!({"active": active, "exp": exp, "iat": iat, "client_id": client_id, "scope": scope, "aud": aud});
        if let Ok(Some(claims)) = done(verifier(&Fake::answering(said.to_string())).verify("token", at(now.into()))) {
            prop_assert!(active && at(now.into()) < claims.expires_at());
        }
    }

    #[test]
    fn any_text_is_a_token_or_refused(token in ".{0,60}") {
        let server = Fake::answering(active().to_string());
        let counts = done(verifier(&server).verify(&token, at(0))).unwrap().is_some();
        prop_assert_eq!(counts, crate::AccessToken::new(token).is_ok());
    }

    #[test]
    fn credentials_are_read_as_they_were_meant(id in "[ -~]{1,20}", secret in "[^\\p{Cc}]{0,40}") {
        let header = basic(&ClientId::parse(id.as_str()).unwrap(), &ClientSecret::new(secret.clone())).unwrap();
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap();
        let (i, s) = pair.split_once(':').unwrap();
        prop_assert_eq!((&*form::decode(i).unwrap(), &*form::decode(s).unwrap()), (id.as_str(), secret.as_str()));
    }
}
