//! Any bytes at all: there is always a reply, and it is always one of those that RFC 6749 knows.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use client_credentials::{
    ClientId, Reply, Request, RoleId, Scope, SigningAlgorithm, SigningKey, TenantName, handle_token_request, now,
};
use common::{SECRET, SERVER};
use proptest::prelude::*;

fn reply(request: &Request<'_>) -> Reply {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(handle_token_request(&SERVER.server, request))
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

proptest! {
    #[test]
    fn any_request_has_a_reply(
        method in prop_oneof![Just("POST".to_owned()), ".{0,8}"],
        query in proptest::option::of(".{0,40}"),
        authorization in prop::collection::vec(prop_oneof![bytes(80), "Basic [A-Za-z0-9+/=]{0,40}".prop_map(String::into_bytes)], 0..3),
        content_type in prop_oneof![Just(b"application/x-www-form-urlencoded".to_vec()), bytes(50)],
        body in prop_oneof![bytes(200), "((grant_type|scope|client_id|client_secret|x)=[a-z%+&=_]{0,20}&){0,8}".prop_map(String::into_bytes)],
    ) {
        let authorization = authorization.iter().map(|value| ("Authorization", value.as_slice()));
        let request = Request::new(&method, now()).query(query.as_deref()).headers(authorization);
        let reply = reply(&request.header("Content-Type", &content_type).body(&body));
        prop_assert!(matches!(reply.status(), 400 | 401 | 405), "{:?}", reply);
        prop_assert!(reply.cause().is_some());
        let body: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
        prop_assert!(body["error"].is_string());
    }

    #[test]
    fn a_known_client_gets_exactly_what_it_may_have(scope in "(read|write|admin|tenant|tenant:\\*|tenant:acme|tenant:cold|[ -~]{0,6})( (read|write|tenant:bolt|[!-~]{1,6})){0,4}") {
        let form = form_urlencoded::Serializer::new(String::from("grant_type=client_credentials&client_id=post")).append_pair("scope", &scope).finish();
        let asked = common::basic("basic", SECRET, form.replace("client_id=post", "client_id=basic"));
        let answer = SERVER.ask(&asked);
        if answer.status == 200 {
            let json = answer.json();
            for token in json["scope"].as_str().unwrap_or_default().split(' ').filter(|token| !token.is_empty()) {
                prop_assert!(["read", "write", "tenant:acme", "tenant:bolt"].contains(&token), "{}", token);
            }
        } else {
            answer.refused(400, "invalid_scope");
        }
    }

    #[test]
    fn any_text_is_a_name_or_refused(text in ".{0,80}") {
        let parsed = [
            ClientId::parse(text.as_str()).map(|parsed| parsed.to_string()),
            TenantName::parse(text.as_str()).map(|parsed| parsed.to_string()),
            RoleId::parse(text.as_str()).map(|parsed| parsed.to_string()),
            Scope::parse(text.as_str()).map(|parsed| parsed.to_string()),
        ];
        for parsed in parsed.into_iter().flatten() {
            prop_assert_eq!(&parsed, &text);
        }
    }

    #[test]
    fn any_bytes_are_a_key_or_refused(der in bytes(120), base64 in "[A-Za-z0-9+/\\n]{0,80}") {
        for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::Ps256] {
            prop_assert!(SigningKey::from_pkcs8_der(algorithm, &der).is_err());
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
            prop_assert!(SigningKey::from_pkcs8_pem(algorithm, pem.as_bytes()).is_err());
        }
    }
}
