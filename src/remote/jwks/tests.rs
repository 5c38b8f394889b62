use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    ClientId, JwtIssuer, Signer as _, SigningAlgorithm, SigningKey, TokenIssuer as _, remote::fake::Fake,
    secret::MAX_TOKEN_BYTES,
};

const ISSUER: &str = "https://auth.example.com";
const RSA: &[u8] = include_bytes!("../../../tests/keys/rsa2048.pem");

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000 + seconds).unwrap()
}

fn key() -> SigningKey {
    SigningKey::generate(SigningAlgorithm::EdDsa).unwrap()
}

fn jwks(keys: &[&SigningKey]) -> String {
    json!({"keys": keys.iter().map(|key| key.public_jwk()).collect::<Vec<_>>()}).to_string()
}

fn verifier(server: &Fake) -> JwksVerifier<Fake> {
    JwksVerifier::new(ISSUER, "https://auth.example.com/jwks.json", server.clone()).unwrap()
}

/// A token of anything at all.
fn signed(key: &SigningKey, header: &Value, payload: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(payload));
    let signature = done(key.sign(signed.as_bytes())).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn header(key: &SigningKey) -> Value {
    json!({"alg": key.algorithm(), "typ": "at+jwt", "kid": key.key_id()})
}

fn payload() -> Value {
    json!({
        "iss": ISSUER, "aud": "https://api.example.com", "sub": "billing", "client_id": "billing", "jti": "the-jti",
        "iat": 1_699_999_900, "exp": 1_700_000_100,
    })
}

/// These members over those; `null` takes one away.
fn with(mut value: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("not members") };
    members.into_iter().for_each(|(name, member)| value[name] = member);
    value.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    value
}

/// A good token for a day.
fn token(key: &SigningKey) -> String {
    signed(key, &header(key), &with(payload(), json!({"exp": 1_700_086_400})))
}

/// Runs a future that does not have to wait.
fn done<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Whether a token counts; `None` when it cannot be told.
fn counts(tokens: &JwksVerifier<Fake>, token: &str, seconds: i64) -> Option<bool> {
    done(tokens.verify(token, at(seconds))).ok().map(|claims| claims.is_some())
}

#[test]
fn rfc9068_4_tokens_of_every_algorithm() {
    use SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256};
    let keys = [
        SigningKey::generate(EdDsa).unwrap(),
        SigningKey::generate(Es256).unwrap(),
        SigningKey::from_pkcs8_pem(Rs256, RSA).unwrap(),
        SigningKey::from_pkcs8_pem(Ps256, RSA).unwrap(),
    ];
    let claims = Claims::new(ClientId::parse("billing").unwrap(), at(0), at(180))
        .with_scope(crate::Scope::parse("r tenant:acme").unwrap())
        .with_authorization(crate::Authorization::new(["read"].into_iter().collect(), []));
    // What is said of a key that stands alone, and that others leave out.
    for without in [&[][..], &["alg"], &["kid"], &["use"], &["alg", "kid", "use"]] {
        for key in &keys {
            let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
            jwk.as_object_mut().unwrap().retain(|name, _| !without.contains(&name.as_str()));
            let tokens = verifier(&Fake::answering(json!({"keys": [jwk]}).to_string()));
            // An RSA key that does not say is taken to be for the more usual one.
            let expected = Some(!without.contains(&"alg") || key.algorithm() != Ps256);
            assert_eq!(counts(&tokens, &token(key), 0), expected, "{key:?} {without:?}");
            let kidless = with(header(key), json!({"kid": null}));
            assert_eq!(counts(&tokens, &signed(key, &kidless, &payload()), 0), expected, "{key:?} {without:?}");
        }
    }
    // All of them in one set, of which two are the same key for other algorithms.
    let all = Fake::answering(jwks(&keys.each_ref()));
    let tokens = verifier(&all);
    for key in keys {
        let issuer = JwtIssuer::new(ISSUER, key);
        let token = done(issuer.issue(&claims)).unwrap();
        let read = done(tokens.verify(token.expose(), at(0))).unwrap().unwrap();
        assert_eq!(Some(&read), issuer.check(token.expose(), at(0)).as_ref());
        assert!(read.audience().is_empty() && read.jti().is_some());
        let elsewhere = issuer.with_audience("https://api.example.com");
        let elsewhere = done(elsewhere.issue(&claims)).unwrap();
        let read = done(tokens.verify(elsewhere.expose(), at(0))).unwrap().unwrap();
        assert_eq!(read.audience(), ["https://api.example.com"]);
    }
    assert_eq!(all.asked(), 1);
}

#[test]
fn rfc8725_3_1_a_key_is_used_for_its_algorithm_only() {
    let rsa = |algorithm| SigningKey::from_pkcs8_pem(algorithm, RSA).unwrap();
    let (rs256, ps256) = (rsa(SigningAlgorithm::Rs256), rsa(SigningAlgorithm::Ps256));
    let tokens = verifier(&Fake::answering(jwks(&[&rs256])));
    assert_eq!(counts(&tokens, &token(&rs256), 0), Some(true));
    assert_eq!(counts(&tokens, &token(&ps256), 0), Some(false));
    // A signature by one algorithm under the name of another.
    let said = with(header(&ps256), json!({"alg": "RS256"}));
    assert_eq!(counts(&tokens, &signed(&ps256, &said, &payload()), 0), Some(false));
    for alg in ["none", "HS256", "ES256", "EdDSA", "RS512", "rs256", ""] {
        let said = with(header(&rs256), json!({"alg": alg}));
        assert_eq!(counts(&tokens, &signed(&rs256, &said, &payload()), 0), Some(false), "{alg}");
    }
}

#[test]
fn rfc9068_4_header() {
    let key = key();
    let server = Fake::answering(jwks(&[&key]));
    let tokens = verifier(&server);
    for (members, expected) in [
        (json!({}), true),
        (json!({"typ": "application/at+jwt"}), true),
        (json!({"typ": "AT+JWT"}), true),
        (json!({"cty": "x", "x5u": "https://evil.example", "jku": "https://evil.example"}), true),
        (json!({"typ": "JWT"}), false),
        (json!({"typ": "logout+jwt"}), false),
        (json!({"typ": null}), false),
        (json!({"typ": 1}), false),
        (json!({"crit": ["exp"], "exp": 0}), false),
        (json!({"crit": []}), false),
        (json!({"alg": null}), false),
        (json!({"kid": 7}), false),
    ] {
        let token = signed(&key, &with(header(&key), members.clone()), &payload());
        assert_eq!(counts(&tokens, &token, 0), Some(expected), "{members}");
    }
    let good = token(&key);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = signed(&self::key(), &self::header(&key), &self::payload());
    for forged in [
        other,
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 4]),
        format!("{header}.{payload}.{signature}=="),
        format!("{header}.{payload}A.{signature}"),
        format!("{header} .{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{}", "a".repeat(MAX_TOKEN_BYTES)),
        "a".repeat(MAX_TOKEN_BYTES + 1),
        header.into(),
        "..".into(),
        String::new(),
    ] {
        assert_eq!(counts(&tokens, &forged, 0), Some(false), "{forged}");
    }
    assert_eq!(server.asked(), 1);
}

#[test]
fn rfc9068_2_2_payload() {
    let key = key();
    let tokens = verifier(&Fake::answering(jwks(&[&key])));
    for (members, expected) in [
        (json!({}), true),
        (json!({"scope": "read write"}), true),
        (json!({"auth_time": 7}), true),
        (json!({"aud": ["a", "b"]}), true),
        (json!({"exp": 1_700_000_000.5}), true),
        (json!({"nbf": 1_700_000_000}), true),
        (json!({"resources": {"*": ["a"]}}), true),
        (json!({"iss": "https://auth.example.com/"}), false),
        (json!({"iss": "https://other.example.com"}), false),
        (json!({"iss": null}), false),
        (json!({"iss": [ISSUER]}), false),
        (json!({"aud": null}), false),
        (json!({"aud": []}), false),
        (json!({"aud": 1}), false),
        (json!({"client_id": null}), false),
        (json!({"client_id": ""}), false),
        (json!({"exp": null}), false),
        (json!({"exp": "1700000100"}), false),
        (json!({"exp": 0}), false),
        (json!({"exp": -1}), false),
        (json!({"exp": u64::MAX}), false),
        (json!({"exp": 1e300}), false),
        (json!({"iat": null}), false),
        (json!({"jti": null}), false),
        (json!({"sub": null}), false),
        (json!({"sub": "somebody"}), false),
        (json!({"nbf": 1_700_000_006}), false),
        (json!({"nbf": "now"}), false),
        (json!({"scope": "two  spaces"}), false),
        (json!({"scope": ["read"]}), false),
        (json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), false),
        (json!({"resources": ["a"]}), false),
    ] {
        let token = signed(&key, &header(&key), &with(payload(), members.clone()));
        assert_eq!(counts(&tokens, &token, 0), Some(expected), "{members}");
    }
    let plain = done(tokens.verify(&token(&key), at(0))).unwrap().unwrap();
    assert_eq!(plain.authorization(), &crate::Authorization::default());
    let doubled = format!(r#"{{"client_id":"superuser",{}"#, &payload().to_string()[1..]);
    let signed = format!(
        "{}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(header(&key).to_string()),
        BASE64_URL_SAFE_NO_PAD.encode(doubled)
    );
    let signature = BASE64_URL_SAFE_NO_PAD.encode(done(key.sign(signed.as_bytes())).unwrap());
    assert_eq!(counts(&tokens, &format!("{signed}.{signature}"), 0), Some(false), "a member twice");
}

#[test]
fn rfc7519_4_1_4_clock_skew() {
    let key = key();
    let server = Fake::answering(jwks(&[&key]));
    let token = signed(&key, &header(&key), &with(payload(), json!({"nbf": 1_700_000_000})));
    let usual = verifier(&server);
    for (seconds, expected) in [(-6, false), (-5, true), (104, true), (105, false)] {
        assert_eq!(counts(&usual, &token, seconds), Some(expected), "{seconds}");
    }
    let none = verifier(&server).with_clock_skew(Duration::ZERO);
    for (seconds, expected) in [(-1, false), (0, true), (99, true), (100, false)] {
        assert_eq!(counts(&none, &token, seconds), Some(expected), "{seconds}");
    }
    let endless = verifier(&server).with_clock_skew(Duration::MAX);
    assert_eq!(counts(&endless, &token, 1_000_000), Some(true));
}

#[test]
fn rfc7517_5_keys_that_are_of_no_use_are_passed_over() {
    let key = key();
    let jwk = serde_json::to_value(key.public_jwk()).unwrap();
    for (members, expected) in [
        (json!({}), true),
        (json!({"key_ops": ["verify"], "x5c": ["x"], "x5t": "x", "ext": true}), true),
        (json!({"use": "enc"}), false),
        (json!({"key_ops": ["encrypt"]}), false),
        (json!({"alg": "ES256"}), false),
        (json!({"alg": "RS512"}), false),
        (json!({"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}), false),
        (json!({"kty": "oct", "k": "AAAA"}), false),
        (json!({"kty": "EC"}), false),
        (json!({"kty": "new", "crv": "new"}), false),
        (json!({"kty": null}), false),
        (json!({"crv": "X25519"}), false),
        (json!({"x": "AAAA"}), false),
        (json!({"x": "!"}), false),
        (json!({"x": null}), false),
    ] {
        let unused = json!([null, 7, "key", {}, {"kty": "oct"}]);
        let mut keys = unused.as_array().unwrap().clone();
        keys.push(with(jwk.clone(), members.clone()));
        let tokens = verifier(&Fake::answering(json!({"keys": keys}).to_string()));
        assert_eq!(counts(&tokens, &token(&key), 0), Some(expected), "{members}");
    }
}

#[test]
fn documents_that_are_none() {
    let key = key();
    let server = Fake::answering("");
    let many = json!({"keys": vec![json!({}); 65]}).to_string();
    for body in ["", "{", "[]", "null", "{}", r#"{"keys": {}}"#, r#"{"keys": null}"#, "<html></html>", &many] {
        server.answer(body);
        assert_eq!(counts(&verifier(&server), &token(&key), 0), None, "{body}");
    }
    server.answer(jwks(&[&key]) + &" ".repeat(256 * 1024));
    assert_eq!(counts(&verifier(&server), &token(&key), 0), None, "too long");
    for status in [201, 204, 301, 302, 304, 307, 401, 404, 500] {
        server.respond(http::Response::builder().status(status).body(jwks(&[&key]).into()).unwrap());
        assert_eq!(counts(&verifier(&server), &token(&key), 0), None, "{status}");
    }
    server.answer(r#"{"keys": []}"#);
    assert_eq!(counts(&verifier(&server), &token(&key), 0), Some(false), "the server has withdrawn all");
    assert_eq!(server.last().headers()["accept"], "application/jwk-set+json, application/json");
}

#[test]
fn rfc9111_5_2_2_1_keys_count_for_max_age() {
    let key = key();
    let token = token(&key);
    for (cache_control, age) in
        [("max-age=60", 60), ("max-age=0", 30), ("no-store", 30), ("public", 300), ("max-age=86400", 3600)]
    {
        let server = Fake::answering("");
        server.answer_with(cache_control, jwks(&[&key]));
        let tokens = verifier(&server);
        for (seconds, asked) in [(0, 1), (age - 1, 1), (1 - age, 1), (age, 2), (age + 1, 2), (2 * age, 3), (0, 4)] {
            assert_eq!(counts(&tokens, &token, seconds), Some(true));
            assert_eq!(server.asked(), asked, "{cache_control} {seconds}");
        }
    }
    let server = Fake::answering("");
    server.answer_with("max-age=3600", jwks(&[&key]));
    let tokens = verifier(&server).with_max_age(Duration::from_secs(120));
    assert_eq!((counts(&tokens, &token, 0), counts(&tokens, &token, 119)), (Some(true), Some(true)));
    assert_eq!(server.asked(), 1);
    server.answer(jwks(&[&self::key()]));
    assert_eq!((counts(&tokens, &token, 120), server.asked()), (Some(false), 2), "withdrawn");
}

#[test]
fn rfc5861_4_old_keys_count_while_the_server_is_down() {
    let key = key();
    let (server, token) = (Fake::answering(jwks(&[&key])), token(&key));
    let tokens = verifier(&server);
    assert_eq!(counts(&tokens, &token, 0), Some(true));
    server.go_down();
    for (seconds, expected, asked) in [
        (299, Some(true), 1),
        (300, Some(true), 2),
        // Left alone for five seconds.
        (304, Some(true), 2),
        (305, Some(true), 3),
        (3899, Some(true), 4),
        (3900, None, 4),
        (3904, None, 5),
    ] {
        assert_eq!(counts(&tokens, &token, seconds), expected, "{seconds}");
        assert_eq!(server.asked(), asked, "{seconds}");
    }
    server.answer("garbage");
    assert_eq!(counts(&tokens, &token, 3910), None);
    server.answer(jwks(&[&key]));
    assert_eq!(counts(&tokens, &token, 3914), None, "left alone");
    assert_eq!(counts(&tokens, &token, 3915), Some(true));

    let strict = verifier(&server).with_stale_if_error(Duration::ZERO);
    assert_eq!(counts(&strict, &token, 0), Some(true));
    server.go_down();
    assert_eq!((counts(&strict, &token, 299), counts(&strict, &token, 300)), (Some(true), None));
}

#[test]
fn an_unknown_key_is_asked_for_but_not_too_often() {
    let [first, second, third] = [key(), key(), key()];
    let server = Fake::answering(jwks(&[&first]));
    let tokens = verifier(&server);
    assert_eq!(counts(&tokens, &token(&second), 0), Some(false), "just fetched");
    assert_eq!(server.asked(), 1);

    server.answer(jwks(&[&first, &second]));
    assert_eq!(counts(&tokens, &token(&second), 1), Some(true), "published and used at once");
    assert_eq!((counts(&tokens, &token(&first), 1), server.asked()), (Some(true), 2));

    server.answer(jwks(&[&first, &second, &third]));
    for i in 0..1000 {
        let invented = with(header(&first), json!({"kid": format!("invented-{i}")}));
        assert_eq!(counts(&tokens, &signed(&first, &invented, &payload()), 2), Some(false));
    }
    assert_eq!((counts(&tokens, &token(&third), 10), server.asked()), (Some(false), 2), "too early");
    assert_eq!((counts(&tokens, &token(&third), 11), server.asked()), (Some(true), 3));
    // A token without `kid` may be signed with a key that is not known yet.
    let fourth = key();
    server.answer(jwks(&[&fourth]));
    let kidless = signed(&fourth, &with(header(&fourth), json!({"kid": null})), &payload());
    assert_eq!((counts(&tokens, &kidless, 20), counts(&tokens, &kidless, 21)), (Some(false), Some(true)));
    assert_eq!((counts(&tokens, &token(&first), 21), server.asked()), (Some(false), 4), "withdrawn with it");

    server.go_down();
    assert_eq!((counts(&tokens, &token(&second), 40), server.asked()), (None, 5), "it cannot be told");
    assert_eq!((counts(&tokens, &token(&second), 49), server.asked()), (None, 5), "nor later");
    assert_eq!((counts(&tokens, &token(&fourth), 49), server.asked()), (Some(true), 5), "but known ones count");
}

#[tokio::test]
async fn one_fetches_for_all() {
    let [first, second] = [key(), key()];
    let server = Fake::answering(jwks(&[&first]));
    let tokens = verifier(&server);
    let ask = async |key: &SigningKey, seconds: i64, before: &dyn Fn()| {
        let asked = server.asked();
        let gate = server.gate();
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let (tokens, token) = (tokens.clone(), token(key));
                tokio::spawn(
                    async move { tokens.verify(&token, at(seconds)).await.map(|claims| claims.is_some()).ok() },
                )
            })
            .collect();
        for _ in 0..300 {
            tokio::task::yield_now().await;
        }
        before();
        gate.close();
        let mut answers = Vec::new();
        for asking in asking {
            answers.push(asking.await.unwrap());
        }
        answers.dedup();
        (answers, server.asked() - asked)
    };
    assert_eq!(ask(&first, 0, &|| server.go_down()).await, (vec![None], 1), "the error is told to all");
    assert_eq!(ask(&first, 10, &|| server.answer(jwks(&[&first]))).await, (vec![Some(true)], 1));
    assert_eq!(ask(&second, 20, &|| server.answer(jwks(&[&second]))).await, (vec![Some(true)], 1), "an unknown one");
    assert_eq!(ask(&second, 5000, &|| server.go_down()).await, (vec![None], 1), "too old");
}

#[test]
fn whose_keys_are_old_but_count_does_not_wait() {
    let key = key();
    let (server, token) = (Fake::answering(jwks(&[&key])), token(&key));
    let tokens = verifier(&server);
    assert_eq!(counts(&tokens, &token, 0), Some(true));
    server.gate();
    let mut cx = Context::from_waker(Waker::noop());
    let mut first = Box::pin(tokens.verify(&token, at(300)));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert_eq!((counts(&tokens, &token, 300), server.asked()), (Some(true), 2));
    drop(first);
    server.ungate();
    assert_eq!((counts(&tokens, &token, 300), server.asked()), (Some(true), 3), "the next one fetches");
    assert_eq!((counts(&tokens, &token, 301), server.asked()), (Some(true), 3));
}

#[test]
fn one_who_goes_away_leaves_it_to_the_next() {
    let [first, second] = [key(), key()];
    let server = Fake::answering(jwks(&[&first]));
    let (tokens, good) = (verifier(&server), token(&first));
    let mut cx = Context::from_waker(Waker::noop());
    server.gate();
    let mut one = Box::pin(tokens.verify(&good, at(0)));
    let mut other = Box::pin(tokens.verify(&good, at(0)));
    assert!(one.as_mut().poll(&mut cx).is_pending() && other.as_mut().poll(&mut cx).is_pending());
    drop(one);
    assert!(other.as_mut().poll(&mut cx).is_pending());
    assert_eq!(server.asked(), 2);
    server.ungate();
    assert!(done(other).unwrap().is_some());

    // For an unknown key three may go away, and then it has to wait.
    server.answer(jwks(&[&first, &second]));
    server.gate();
    let unknown = token(&second);
    for (waits, asked) in [(true, 3), (true, 4), (true, 5), (false, 5), (false, 5)] {
        let mut one = Box::pin(tokens.verify(&unknown, at(20)));
        assert_eq!((one.as_mut().poll(&mut cx).is_pending(), server.asked()), (waits, asked));
    }
    server.ungate();
    assert_eq!(counts(&tokens, &unknown, 20), Some(false));
    assert_eq!((counts(&tokens, &good, 20), server.asked()), (Some(true), 5));
    assert_eq!((counts(&tokens, &unknown, 30), server.asked()), (Some(true), 6));
}

#[test]
fn rfc8414_3_discovery() {
    let key = key();
    let metadata = |issuer: &str, jwks_uri: &str| json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string();
    let discover = |issuer: &str, body: String| {
        let server = Fake::answering(body);
        let found = done(JwksVerifier::discover(issuer, server.clone())).ok();
        (found.map(|tokens| tokens.keys.jwks_uri().to_string()), server)
    };
    let keys = "https://keys.example.com/jwks";
    let (found, server) = discover(ISSUER, metadata(ISSUER, keys));
    assert_eq!(found.as_deref(), Some(keys));
    assert_eq!(server.last().uri(), "https://auth.example.com/.well-known/oauth-authorization-server");
    let tenant = "https://auth.example.com/tenant";
    assert!(discover(tenant, metadata(tenant, keys)).0.is_some());
    assert!(discover("http://a", metadata("http://a", "http://a/jwks")).0.is_some());
    for (issuer, body) in [
        (ISSUER, metadata("https://auth.example.com/", keys)),
        (ISSUER, metadata("https://other.example.com", keys)),
        (ISSUER, metadata(ISSUER, "http://auth.example.com/jwks")),
        (ISSUER, metadata(ISSUER, "/jwks")),
        (ISSUER, json!({"issuer": ISSUER}).to_string()),
        (ISSUER, json!({"jwks_uri": keys}).to_string()),
        (ISSUER, "<html>".into()),
        (ISSUER, metadata(ISSUER, keys) + &" ".repeat(MAX_METADATA_BYTES)),
        ("auth.example.com", metadata("auth.example.com", keys)),
        ("https://a/?b", metadata("https://a/?b", keys)),
    ] {
        assert!(discover(issuer, body.clone()).0.is_none(), "{issuer} {body}");
    }
    let server = Fake::answering(metadata(ISSUER, keys));
    let tokens = done(JwksVerifier::discover(ISSUER, server.clone())).unwrap();
    server.answer(jwks(&[&key]));
    assert_eq!(counts(&tokens, &token(&key), 0), Some(true));
    assert_eq!(
        format!("{tokens:?}"),
        r#"JwksVerifier { issuer: "https://auth.example.com", jwks_uri: https://keys.example.com/jwks, .. }"#
    );
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_refused(token in prop_oneof![".{0,60}", "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}"]) {
        prop_assert_eq!(counts(&verifier(&Fake::answering(r#"{"keys": []}"#)), &token, 0), Some(false));
    }

    #[test]
    fn any_document_has_keys_or_none(body in prop::collection::vec(any::<u8>(), 0..200), n in ".{0,20}", e in "[A-Za-z0-9_-]{0,8}", x in "[A-Za-z0-9_-]{43}") {
        let key = key();
        prop_assert_ne!(counts(&verifier(&Fake::answering(body)), &token(&key), 0), Some(true));
        let keys = json!({"keys": [{"kty": "RSA", "n": n, "e": e}, {"kty": "RSA", "n": x, "e": e}, {"kty": "OKP", "crv": "Ed25519", "x": x}, {"kty": "EC", "crv": "P-256", "x": x, "y": x}]});
        let tokens = verifier(&Fake::answering(keys.to_string()));
        for algorithm in ["EdDSA", "ES256", "RS256", "PS256"] {
            let header = json!({"alg": algorithm, "typ": "at+jwt"});
            prop_assert_eq!(counts(&tokens, &signed(&key, &header, &payload()), 0), Some(false));
        }
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let key = key();
        let tokens = verifier(&Fake::answering(jwks(&[&key])));
        let good = token(&key);
        let at = at.index(good.len());
        let mut changed = good.clone();
        changed.replace_range(at..=at, &to);
        prop_assert_eq!(counts(&tokens, &changed, 0), Some(changed == good));
    }
}
