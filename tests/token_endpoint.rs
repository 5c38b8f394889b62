//! What arrives at the token endpoint and what is answered: every row through the function and through a socket.

mod common;

use common::{AWKWARD, Answer, Asked, SECRET, SERVER, Served, basic, post, request};
use serde_json::{Value, json};

const GRANT: &str = "grant_type=client_credentials";

fn ask(asked: &Asked) -> Answer {
    SERVER.ask(asked)
}

fn with(parameters: &str) -> String {
    format!("{GRANT}&{parameters}")
}

#[test]
fn rfc6749_4_4_3_success() {
    let answer = ask(&basic("basic", SECRET, with("scope=tenant:acme+read")));
    answer.granted(Some("tenant:acme read"));
    let json = answer.json();
    assert_eq!(json["expires_in"], 180);
    assert_eq!(json["access_token"].as_str().unwrap().len(), 43);
    assert_ne!(json["access_token"], ask(&basic("basic", SECRET, GRANT)).json()["access_token"]);
}

#[test]
fn rfc6749_2_3_1_basic_is_form_decoded_after_base64() {
    ask(&basic("awkward : + %", AWKWARD, GRANT)).granted(None);
    for text in [
        "awkward+%3a+%2B+%25:a%3Ab+%2B+c%2520d%26e%3Df%2Fg+%C3%A9+%E2%82%AC+%25%25%3A%3A",
        "awkward+%3A+%2b+%25:a:b+%2B+c%2520d&e=f/g+é+€+%25%25::",
    ] {
        ask(&post(GRANT).authorization(text)).granted(None);
    }
    // Not decoded, or decoded twice, these would be right.
    ask(&post(GRANT).authorization(format!("basic:{}", SECRET.replace('a', "%2561")))).refused(401, "invalid_client");
    ask(&post(GRANT).authorization(format!("basic:{}", SECRET.replace('a', "%61")))).granted(None);
}

#[test]
fn rfc9110_11_1_the_scheme_is_in_any_case() {
    let credentials = base64(&format!("basic:{SECRET}"));
    for scheme in ["Basic", "basic", "BASIC", "bAsIc", "Basic  "] {
        ask(&post(GRANT).header("Authorization", format!("{scheme} {credentials}"))).granted(None);
    }
    ask(&post(GRANT).header("authorization", format!("Basic {credentials}"))).granted(None);
    for scheme in ["Bearer", "Digest", "Basi", "Basic:", ""] {
        ask(&post(GRANT).header("Authorization", format!("{scheme} {credentials}"))).refused(401, "invalid_client");
    }
}

#[test]
fn rfc6749_2_3_1_credentials_in_the_body() {
    ask(&post(with(&format!("client_id=post&client_secret={SECRET}")))).granted(None);
    let secret: String = form_urlencoded::byte_serialize(AWKWARD.as_bytes()).collect();
    ask(&post(with(&format!("client_id=awkward-post&client_secret={secret}")))).granted(None);
    ask(&post(with(&format!("client_secret={SECRET}")))).refused(400, "invalid_request");
}

#[test]
fn rfc6749_2_3_one_authentication_only() {
    let body = with(&format!("client_id=basic&client_secret={SECRET}"));
    for asked in [
        basic("basic", SECRET, &body),
        basic("basic", SECRET, with(&format!("client_secret={SECRET}"))),
        basic("basic", SECRET, GRANT).authorization(format!("basic:{SECRET}")),
        basic("basic", SECRET, GRANT).header("Authorization", "Bearer x"),
        post(&body).header("Authorization", "Bearer x"),
        basic("basic", SECRET, with("client_id=another")),
        basic("basic", SECRET, with("client_id=Basic")),
    ] {
        ask(&asked).refused(400, "invalid_request");
    }
}

#[test]
fn rfc6749_3_2_1_basic_with_the_same_client_id_in_the_body() {
    ask(&basic("basic", SECRET, with("client_id=basic"))).granted(None);
    ask(&basic("basic", SECRET, with("client_id=basic&client_secret="))).granted(None);
}

#[test]
fn rfc7591_2_only_the_registered_method() {
    let wrong = ask(&basic("basic", "wrong", GRANT));
    for asked in [basic("post", SECRET, GRANT), post(with(&format!("client_id=basic&client_secret={SECRET}")))] {
        let answer = ask(&asked);
        answer.refused(401, "invalid_client");
        assert_eq!((answer.headers, answer.raw), (wrong.headers.clone(), wrong.raw.clone()));
    }
}

#[test]
fn rfc6749_5_2_invalid_client_never_says_why() {
    let wrong = ask(&basic("basic", "wrong", GRANT));
    wrong.refused(401, "invalid_client");
    assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"asab\", charset=\"UTF-8\""));
    let long = "x".repeat(4000);
    for asked in [
        basic("unknown", SECRET, GRANT),
        basic("unknown", "wrong", GRANT),
        basic("BASIC", SECRET, GRANT),
        basic("basic", &long, GRANT),
        basic("basic", "", GRANT),
        basic("basic", &SECRET[1..], GRANT),
        basic("expired", SECRET, GRANT),
        basic("secretless", SECRET, GRANT),
        basic("secretless", "", GRANT),
        basic("disabled", "wrong", GRANT),
        post(with("client_id=unknown&client_secret=wrong")),
        post(with("client_id=post&client_secret=wrong")),
    ] {
        let answer = ask(&asked);
        answer.refused(401, "invalid_client");
        assert_eq!((answer.headers, answer.raw), (wrong.headers.clone(), wrong.raw.clone()), "{asked:?}");
    }
}

#[test]
fn rfc6749_5_2_no_authentication_at_all() {
    for asked in [
        post(GRANT),
        post(with("client_id=basic")),
        post(with("client_id=post&client_secret=")),
        post(with("client_id=&client_secret=")),
    ] {
        ask(&asked).refused(401, "invalid_client");
    }
}

#[test]
fn rfc7617_2_malformed_basic() {
    for text in [
        &b""[..],
        b"basic",
        b":",
        b":secret",
        b"basic:\xff",
        b"\xff:secret",
        b"ba\nsic:s",
        b"basic:%00",
        b"basic:%0D%0A",
        b"basic:\x7f",
        b"basic:%zz",
        b"basic:%",
        b"%C3:%A9",
    ] {
        ask(&post(GRANT).authorization(text)).refused(400, "invalid_request");
    }
    for header in ["Basic", "Basic ", "Basic !!!!", "Basic YTpi YTpi", "Basic YTp", "Basic ====", "Basic YTpi\u{e9}"] {
        ask(&post(GRANT).header("Authorization", header)).refused(400, "invalid_request");
    }
    ask(&post(GRANT).header("Authorization", b"\xff\xfe")).refused(401, "invalid_client");
    for control in ["%00", "%09", "%0A", "%0D", "%1F", "%7F", "%C2%85"] {
        ask(&post(with(&format!("client_id=a{control}&client_secret=b")))).refused(400, "invalid_request");
        ask(&post(with(&format!("client_id=a&client_secret=b{control}")))).refused(400, "invalid_request");
        ask(&post(GRANT).authorization(format!("a{control}:b"))).refused(400, "invalid_request");
        ask(&post(GRANT).authorization(format!("a:b{control}"))).refused(400, "invalid_request");
    }
    // Appendix A.1: neither can be a client identifier, so no store is asked for it.
    for client_id in ["%C3%A9", &"x".repeat(256)] {
        ask(&post(with(&format!("client_id={client_id}&client_secret=b")))).refused(400, "invalid_request");
        ask(&post(GRANT).authorization(format!("{client_id}:b"))).refused(400, "invalid_request");
    }
}

#[test]
fn rfc6749_5_2_unauthorized_client_only_after_authentication() {
    ask(&basic("disabled", SECRET, GRANT)).refused(400, "unauthorized_client");
    ask(&basic("disabled", SECRET, with("scope=read"))).refused(400, "unauthorized_client");
    ask(&basic("disabled", "wrong", GRANT)).refused(401, "invalid_client");
}

#[test]
fn rfc6749_4_4_2_grant_type() {
    for form in ["", "grant_type", "grant_type=", "scope=read", "Grant_Type=client_credentials", "&&=&"] {
        ask(&basic("basic", SECRET, form)).refused(400, "invalid_request");
    }
    for form in [
        "grant_type=password",
        "grant_type=authorization_code",
        "grant_type=Client_Credentials",
        "grant_type=client_credentials+",
        "grant_type=%00",
    ] {
        ask(&basic("basic", SECRET, form)).refused(400, "unsupported_grant_type");
    }
    ask(&basic("basic", SECRET, "gr%61nt_type=client%5Fcredentials")).granted(None);
}

#[test]
fn rfc6749_3_2_parameters_once() {
    let credentials = format!("client_id=post&client_secret={SECRET}");
    for form in [
        format!("{GRANT}&{GRANT}&{credentials}"),
        format!("{GRANT}&scope=a&scope=a&{credentials}"),
        format!("{GRANT}&client_id=post&{credentials}"),
        format!("{GRANT}&client_secret=x&{credentials}"),
        format!("{GRANT}&{credentials}&%63lient_id=post"),
    ] {
        ask(&post(form)).refused(400, "invalid_request");
    }
    for form in [with("x=1"), with("x=1&x=2"), with("x=%zz"), with("&&"), with("x=1&y=2&z")] {
        ask(&basic("basic", SECRET, form)).granted(None);
    }
    ask(&basic("basic", SECRET, with("%zz=1"))).refused(400, "invalid_request");
}

#[test]
fn rfc6749_3_1_without_a_value_is_not_there() {
    for form in
        [with("scope="), with("scope"), with("client_id="), with("scope=&scope="), format!("grant_type=&{GRANT}")]
    {
        ask(&basic("basic", SECRET, form)).granted(None);
    }
    ask(&basic("basic", SECRET, with("scope=&scope=read"))).granted(Some("read"));
}

#[test]
fn rfc6749_b_the_form_is_utf_8() {
    for scope in ["%ff", "%c3", "\u{fffd}", "%", "%2"] {
        let answer = ask(&basic("basic", SECRET, with(&format!("scope={scope}"))));
        assert_eq!(answer.status, 400, "{scope}");
    }
    let mut form = with("scope=").into_bytes();
    form.push(0xff);
    ask(&basic("basic", SECRET, form)).refused(400, "invalid_request");
}

#[test]
fn rfc8707_2_resource_and_audience() {
    let (api, urn) = ("https%3A%2F%2Fapi.example.com%2Fv1", "urn%3Aexample%3Aapi");
    let introspect = |token: &str| {
        let form = format!("token={token}");
        SERVER.ask(&request("POST", "/openidconnect/introspect").form(form).credentials("introspector", SECRET)).json()
    };
    for (parameters, aud) in [
        (String::new(), Value::Null),
        ("&resource=&audience=".into(), Value::Null),
        (format!("&resource={api}"), json!("https://api.example.com/v1")),
        (format!("&audience={api}"), json!("https://api.example.com/v1")),
        ("&audience=api".into(), json!("api")),
        (
            format!("&resource={urn}&audience=api&resource={api}"),
            json!(["urn:example:api", "https://api.example.com/v1", "api"]),
        ),
        (format!("&resource={urn}&resource={urn}&audience={urn}"), json!("urn:example:api")),
        // Names that are no resources.
        (format!("&audience={api}%23part"), json!("https://api.example.com/v1#part")),
        ("&audience=1x:y".into(), json!("1x:y")),
        ("&audience=/v1".into(), json!("/v1")),
    ] {
        let form = format!("grant_type=client_credentials&scope=read{parameters}");
        // Twice: what a client usually gets is not what it gets for another API.
        for _ in 0..2 {
            let answer = ask(&basic("introspector", SECRET, &form));
            assert_eq!(answer.status, 200, "{parameters}: {answer:?}");
            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
            assert_eq!(introspect(&token).get("aud").cloned().unwrap_or_default(), aud, "{parameters}");
        }
    }
    for parameters in [
        "resource=api",
        "resource=https%3A%2F%2Fapi.example.com",
        "resource=https%3A%2F%2Fapi.example.com%2FV1",
        "resource=https%3A%2F%2Fapi.example.com%2Fv1%23part",
        "resource=%2Fv1",
        "resource=1x%3Ay",
        "resource=%3Ay",
        "audience=API",
        "audience=api+urn%3Aexample%3Aapi",
        "audience=api&audience=other",
    ] {
        let form = format!("grant_type=client_credentials&{parameters}");
        ask(&basic("introspector", SECRET, form)).refused(400, "invalid_target");
    }
    // A client without an audience of its own names none.
    ask(&basic("basic", SECRET, "grant_type=client_credentials&audience=api")).refused(400, "invalid_target");
    ask(&basic("basic", "wrong", "grant_type=client_credentials&audience=api")).refused(401, "invalid_client");
}

#[test]
fn rfc6749_3_3_scope_grammar() {
    for scope in ["+", "+read", "read+", "read++write", "read%09write", "%22", "%5C", "%C3%A9", "%00", "read%0A", "%7F"]
    {
        ask(&basic("basic", SECRET, with(&format!("scope={scope}")))).refused(400, "invalid_scope");
    }
}

#[test]
fn rfc6749_3_3_scope_is_what_the_client_may_have() {
    for (scope, issued) in
        [("read", "read"), ("write+read", "write read"), ("read%20write", "read write"), ("read+read", "read")]
    {
        ask(&basic("basic", SECRET, with(&format!("scope={scope}")))).granted(Some(issued));
    }
    for scope in ["admin", "read+admin", "READ", "rea", "read+write+x", "tenants", "tenant:nowhere"] {
        ask(&basic("basic", SECRET, with(&format!("scope={scope}")))).refused(400, "invalid_scope");
    }
    ask(&basic("post", "x", GRANT)).refused(401, "invalid_client");
}

#[test]
fn rfc6749_3_3_no_scope() {
    ask(&basic("basic", SECRET, GRANT)).granted(None);
    ask(&basic("defaulting", SECRET, GRANT)).granted(Some("write tenant:acme"));
    ask(&basic("defaulting", SECRET, with("scope="))).granted(Some("write tenant:acme"));
    ask(&basic("defaulting", SECRET, with("scope=read"))).granted(Some("read"));
}

#[test]
fn seacat_auth_tenants_in_scope() {
    for (client, scope, issued) in [
        ("basic", "tenant:acme", "tenant:acme"),
        ("basic", "tenant:bolt+tenant:acme", "tenant:bolt tenant:acme"),
        ("basic", "tenant:*", "tenant:acme tenant:bolt"),
        ("basic", "tenant:bolt+tenant:*+read", "tenant:bolt tenant:acme read"),
        ("basic", "tenant:*+tenant:bolt", "tenant:acme tenant:bolt"),
        ("basic", "tenant", "tenant:acme"),
        ("basic", "tenant+tenant:bolt", "tenant:bolt"),
        ("basic", "tenant+read", "read tenant:acme"),
        ("doorkeeper", "tenant:acme", "tenant:acme"),
        ("doorkeeper", "tenant:existing+tenant:acme", "tenant:existing tenant:acme"),
        ("doorkeeper", "tenant:bolt", "tenant:bolt"),
        ("doorkeeper", "tenant:*", "tenant:acme"),
        ("superuser", "tenant:existing", "tenant:existing"),
    ] {
        ask(&basic(client, SECRET, with(&format!("scope={scope}")))).granted(Some(issued));
    }
    for (client, scope) in [
        ("basic", "tenant:existing"),
        ("basic", "tenant:ACME"),
        ("basic", "tenant:"),
        ("basic", "tenant:acme/editor"),
        ("local-doorkeeper", "tenant:existing"),
        ("local-doorkeeper", "tenant:bolt"),
        ("doorkeeper", "tenant:nowhere"),
        ("doorkeeper", "tenant:existing+tenant:nowhere"),
        ("short", "tenant"),
        ("short", "tenant:*"),
        ("short", "tenant:acme"),
        ("superuser", "tenant"),
    ] {
        ask(&basic(client, SECRET, with(&format!("scope={scope}")))).refused(400, "invalid_scope");
    }
}

#[test]
fn seacat_auth_lifetime_of_a_client() {
    for (client, seconds) in [("basic", 180), ("short", 60), ("long", 24 * 60 * 60)] {
        assert_eq!(ask(&basic(client, SECRET, GRANT)).json()["expires_in"], seconds, "{client}");
    }
}

#[test]
fn rfc6749_3_2_post_only() {
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "post", "BREW"] {
        let answer = ask(&basic("basic", SECRET, GRANT).method(method));
        answer.refused(405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
}

#[test]
fn rfc9110_9_3_2_head_has_no_body_and_mints_nothing() {
    let head = basic("basic", SECRET, GRANT).method("HEAD");
    for answer in [head.call(&SERVER.server), head.send(SERVER.address, "/token")] {
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    }
    assert!(head.send(SERVER.address, "/token").raw.is_empty());
}

#[test]
fn a_body_that_is_too_long_or_broken() {
    // Whatever the body is, it is the method that is wrong.
    ask(&basic("basic", SECRET, "x".repeat(64 * 1024)).method("GET")).refused(405, "invalid_request");
    let chunked = |chunks: &str| {
        let head = "POST /token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\n\r\n";
        common::exchange(SERVER.address, format!("{head}{chunks}").as_bytes())
    };
    chunked("zz\r\n").refused(400, "invalid_request");
    chunked("4\r\na=b&\r\n0\r\n\r\n").refused(401, "invalid_client");
    chunked(&format!("5000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x5000))).refused(413, "invalid_request");
}

#[test]
fn rfc6749_4_4_2_content_type() {
    let typed = |value: &str| basic("basic", SECRET, GRANT).without("Content-Type").header("Content-Type", value);
    for value in [
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=utf-8",
        "application/x-www-form-urlencoded ; charset=\"utf-8\"",
        "APPLICATION/X-WWW-FORM-URLENCODED",
        "Application/X-WWW-Form-URLEncoded; Charset=UTF-8",
    ] {
        ask(&typed(value)).granted(None);
    }
    for value in [
        "application/json",
        "text/plain",
        "",
        "application/x-www-form-urlencodedx",
        "multipart/form-data; boundary=x",
        ";application/x-www-form-urlencoded",
    ] {
        ask(&typed(value)).refused(400, "invalid_request");
    }
    ask(&basic("basic", SECRET, GRANT).without("Content-Type")).refused(400, "invalid_request");
    ask(&basic("basic", SECRET, GRANT).header("Content-Type", "application/json")).refused(400, "invalid_request");
}

#[test]
fn rfc6749_2_3_1_no_credentials_in_the_url() {
    for query in [
        "client_secret=x",
        "client_id=basic",
        "a=b&client_secret=x",
        "client%5Fsecret=x",
        "client_secret",
        "client_id=basic&client_secret=x",
    ] {
        ask(&basic("basic", SECRET, GRANT).query(query)).refused(400, "invalid_request");
    }
    for query in ["", "a=b", "%zz=%zz"] {
        ask(&basic("basic", SECRET, GRANT).query(query)).granted(None);
    }
    // What is in the URL is not a parameter of the request.
    ask(&basic("basic", SECRET, "").query(GRANT)).refused(400, "invalid_request");
}

#[test]
fn limits_stand_before_the_parsers() {
    let padded = |len: usize| with(&format!("x={}", "y".repeat(len - with("x=").len())));
    ask(&basic("basic", SECRET, padded(16 * 1024))).granted(None);
    ask(&basic("basic", SECRET, padded(16 * 1024 + 1))).refused(413, "invalid_request");
    ask(&basic("basic", SECRET, vec![b'&'; 64 * 1024])).refused(413, "invalid_request");

    let header = |len: usize| format!("Basic {}", "A".repeat(len - 6));
    ask(&post(GRANT).header("Authorization", header(8 * 1024))).refused(400, "invalid_request");
    let answer = ask(&post(GRANT).header("Authorization", header(8 * 1024 + 1)));
    answer.refused(400, "invalid_request");
    assert_eq!(answer.json()["error_description"], "the Authorization header is too long");

    ask(&basic("basic", SECRET, with(&"x=1&".repeat(30)))).granted(None);
    let answer = ask(&basic("basic", SECRET, with(&"x=1&".repeat(32))));
    answer.refused(400, "invalid_request");
    assert_eq!(answer.json()["error_description"], "there are too many parameters");

    ask(&basic("basic", SECRET, with(&format!("scope={}read", "read+".repeat(63))))).granted(Some("read"));
    ask(&basic("basic", SECRET, with(&format!("scope={}read", "read+".repeat(64))))).refused(400, "invalid_scope");

    // What is too long is not looked into, whatever it holds.
    for (query, description) in [
        (format!("client_secret=x&{}", "x".repeat(16 * 1024)), "the query of the URL is too long"),
        ("&".repeat(32), "there are too many parameters"),
        (format!("client_secret=x{}", "&".repeat(32)), "there are too many parameters"),
    ] {
        let answer = ask(&basic("basic", SECRET, GRANT).query(&query));
        answer.refused(400, "invalid_request");
        assert_eq!(answer.json()["error_description"], description);
    }
    ask(&basic("basic", SECRET, GRANT).query(&"&".repeat(31))).granted(None);
}

#[test]
fn limits_are_the_configured_ones() {
    use client_credentials::{AnyTokenIssuer, AuthorizationServer, Config, OpaqueIssuer};

    let config = Config::default()
        .with_max_body_bytes(100)
        .and_then(|config| config.with_max_authorization_bytes(100))
        .and_then(|config| config.with_max_parameters(2))
        .and_then(|config| config.with_max_scope_tokens(1))
        .and_then(|config| config.with_max_tenants(1))
        .and_then(|config| config.with_bearer_realm("elsewhere"))
        .unwrap();
    let store = common::store();
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
    let served = Served::start(AuthorizationServer::new(common::stores(store), issuer, config));

    served.ask(&basic("basic", SECRET, with("scope=read"))).granted(Some("read"));
    served.ask(&basic("basic", SECRET, with("scope=read+write"))).refused(400, "invalid_scope");
    served.ask(&basic("basic", SECRET, with("scope=tenant"))).granted(Some("tenant:acme"));
    served.ask(&basic("basic", SECRET, with("scope=tenant:*"))).refused(400, "invalid_scope");
    served.ask(&basic("basic", SECRET, with("a&b"))).refused(400, "invalid_request");
    served.ask(&basic("basic", SECRET, with(&"x".repeat(100)))).refused(413, "invalid_request");
    served.ask(&basic("basic", &"x".repeat(100), GRANT)).refused(400, "invalid_request");
    let refused = served.ask(&basic("basic", "x", GRANT));
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"elsewhere\", charset=\"UTF-8\""));
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}
