//! The management endpoint, call by call: what it answers to whom, and what it changes.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;

use std::{
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{
    AnyTokenIssuer, AuthorizationServer, ClientRegistry as _, Config, JwtIssuer, MemoryStore, OpaqueIssuer,
    Provisioning, SigningAlgorithm, SigningKey, TokenStore as _, now,
    time::{self, Duration, OffsetDateTime},
};
use common::{Answer, Asked, Events, SECRET, Served, basic, request, stores};
use serde_json::{Value, json};

/// A server with administrators of all kinds, and the events that it records.
struct Managed {
    served: Served,
    events: Arc<Mutex<Vec<Value>>>,
}

const GRANT: &str = "grant_type=client_credentials";

fn store() -> MemoryStore {
    let administrator = |id: &str, role: &str| json!({"client_id": id, "client_secret": SECRET, "seacatauth_credentials": true, "roles": [role], "tenants": ["acme"]});
    let json = json!({
        "roles": {
            "*/reader": ["seacat:client:access", "seacat:role:access:global"],
            "*/editor": ["seacat:client:edit"],
            "*/key-keeper": ["seacat:client:apikey:manage"],
            "*/tenant-assigner": ["seacat:tenant:assign"],
            "*/role-assigner": ["seacat:role:assign:global"],
            "*/role-editor": ["seacat:role:edit:global"],
            "acme/local": ["seacat:role:assign", "seacat:role:edit", "seacat:role:access", "seacat:tenant:assign"],
            "acme/accountant": ["invoice:edit"],
            "*/auditor": ["report:read"],
        },
        "clients": [
            administrator("root", "*/superuser"),
            administrator("reader", "*/reader"),
            administrator("editor", "*/editor"),
            administrator("key-keeper", "*/key-keeper"),
            administrator("tenant-assigner", "*/tenant-assigner"),
            administrator("role-assigner", "*/role-assigner"),
            administrator("role-editor", "*/role-editor"),
            administrator("local", "acme/local"),
            administrator("nobody", "*/auditor"),
            {"client_id": "billing", "client_secret": SECRET, "seacatauth_credentials": true, "tenants": ["acme"],
             "roles": ["*/auditor", "acme/accountant"]},
        ],
    });
    MemoryStore::from(Provisioning::from_json(&json.to_string()).unwrap())
}

impl Managed {
    fn start() -> Self {
        Self::with(Config::default(), |store| AnyTokenIssuer::new(OpaqueIssuer::new(store)))
    }

    fn with(config: Config, issuer: impl FnOnce(MemoryStore) -> AnyTokenIssuer) -> Self {
        let (store, events) = (store(), Arc::default());
        let server = AuthorizationServer::new(stores(store.clone()), issuer(store), config);
        let server = server.with_audit_sink(Events(Arc::clone(&events))).with_uses_noted();
        Self { served: Served::start(server), events }
    }

    /// A token of this client, for all its tenants.
    fn token(&self, client_id: &str) -> String {
        self.mint(client_id, SECRET, "tenant:*").json()["access_token"].as_str().unwrap().into()
    }

    fn mint(&self, client_id: &str, secret: &str, scope: &str) -> Answer {
        self.send(&basic(client_id, secret, format!("{GRANT}&scope={scope}")))
    }

    /// Over the socket.
    fn send(&self, asked: &Asked) -> Answer {
        self.served.send(asked)
    }

    /// As `root`.
    fn root(&self, method: &str, path: &str) -> Answer {
        self.send(&request(method, path).bearer(&self.token("root")))
    }

    fn root_with(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(&request(method, path).bearer(&self.token("root")).json(body))
    }

    fn take_events(&self) -> Vec<Value> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

#[track_caller]
fn ok(answer: &Answer) {
    assert_eq!((answer.status, answer.json()), (200, json!({"result": "OK"})), "{answer:?}");
}

/// Each row of the table: method, path, body, who holds exactly its resource, and what is answered.
fn rows() -> Vec<(&'static str, &'static str, Option<Value>, &'static str, u16)> {
    let (of_billing, key) = ("seacatauth:client:billing", "A".repeat(43));
    let path = |text: String| -> &'static str { text.leak() };
    vec![
        ("GET", "/client", None, "reader", 200),
        ("GET", "/client/billing", None, "reader", 200),
        ("GET", "/client/billing/secret", None, "reader", 200),
        ("GET", "/client/billing/secret/AAAAAAAAAAAAAAAA", None, "reader", 404),
        ("POST", "/client", Some(json!({"client_name": "New"})), "editor", 201),
        ("PUT", "/client/billing", Some(json!({"client_name": "Billing"})), "editor", 200),
        ("POST", "/client/billing/reset_secret", None, "editor", 200),
        ("DELETE", "/client/billing/secret/AAAAAAAAAAAAAAAA", None, "editor", 404),
        ("DELETE", "/client/billing/secret", None, "editor", 200),
        ("POST", "/client/billing/token", Some(json!({"label": "a"})), "key-keeper", 201),
        ("GET", "/client/billing/token", None, "key-keeper", 200),
        ("DELETE", path(format!("/client/billing/token/{key}")), None, "key-keeper", 404),
        ("DELETE", "/client/billing/token", None, "key-keeper", 200),
        ("POST", path(format!("/tenant_assign/{of_billing}/bolt")), None, "tenant-assigner", 200),
        ("DELETE", path(format!("/tenant_assign/{of_billing}/bolt")), None, "tenant-assigner", 200),
        ("POST", path(format!("/tenant_assign/{of_billing}/acme")), None, "local", 200),
        ("POST", path(format!("/role_assign/{of_billing}/*/auditor")), None, "role-assigner", 200),
        ("DELETE", path(format!("/role_assign/{of_billing}/*/auditor")), None, "role-assigner", 200),
        ("POST", path(format!("/role_assign/{of_billing}/acme/accountant")), None, "local", 200),
        ("DELETE", path(format!("/role_assign/{of_billing}/acme/accountant")), None, "local", 200),
        ("GET", "/role/*/auditor", None, "reader", 200),
        ("POST", "/role/*/new", Some(json!({"resources": ["a"]})), "role-editor", 200),
        ("PUT", "/role/*/auditor", Some(json!({"resources": []})), "role-editor", 200),
        ("DELETE", "/role/*/auditor", None, "role-editor", 200),
        ("GET", "/role/acme/accountant", None, "local", 200),
        ("POST", "/role/acme/new", Some(json!({"resources": ["a"]})), "local", 200),
        ("PUT", "/role/acme/accountant", Some(json!({"resources": ["a"]})), "local", 200),
        ("DELETE", "/role/acme/accountant", None, "local", 200),
        ("DELETE", "/client/billing", None, "editor", 200),
    ]
}

fn asked(method: &str, path: &str, body: Option<&Value>) -> Asked {
    let asked = request(method, path);
    body.map_or_else(|| asked.clone(), |body| asked.clone().json(body))
}

#[test]
fn each_call_is_open_to_its_resource_and_to_the_superuser() {
    for who in ["", "root"] {
        let managed = Managed::start();
        for (method, path, body, holder, status) in rows() {
            let who = if who.is_empty() { holder } else { who };
            let answer = managed.send(&asked(method, path, body.as_ref()).bearer(&managed.token(who)));
            assert_eq!(answer.status, status, "{who} {method} {path}: {answer:?}");
        }
    }
}

/// Both ways, since none of it changes anything.
#[test]
fn rfc6750_3_1_nothing_is_reachable_without_a_token_that_holds_the_resource() {
    let managed = Managed::start();
    let nobody = managed.token("nobody");
    for (method, path, body, holder, _) in rows() {
        let asked = asked(method, path, body.as_ref());
        for without in [asked.clone(), asked.clone().header("Authorization", "Basic YTpi")] {
            let answer = managed.served.ask(&without);
            assert_eq!((answer.status, answer.json()), (401, json!({})), "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="asab""#));
        }
        for token in ["", "x", "é", &"A".repeat(43), &format!("{nobody}A"), "a b"] {
            let answer = managed.served.ask(&asked.clone().bearer(token));
            answer.refused(401, "invalid_token");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with(r#"Bearer realm="asab", error="invalid_token", error_desc"#), "{challenge}");
        }
        let twice = asked.clone().bearer(&nobody).bearer(&nobody);
        let answer = managed.served.ask(&twice);
        answer.refused(400, "invalid_request");
        assert!(answer.header("www-authenticate").unwrap().contains(r#"error="invalid_request""#));
        managed.served.ask(&asked.clone().bearer(&"a".repeat(9000))).refused(400, "invalid_request");
        for who in
            ["nobody", "reader", "editor", "key-keeper", "tenant-assigner", "role-assigner", "role-editor", "local"]
        {
            let local = path.contains("acme") && matches!(who, "local")
                || who == "tenant-assigner" && path.contains("tenant_assign");
            if who == holder || local {
                continue;
            }
            let answer = managed.served.ask(&asked.clone().bearer(&managed.token(who)));
            answer.refused(403, "insufficient_scope");
            assert!(
                answer.header("www-authenticate").unwrap().contains(r#"error="insufficient_scope""#),
                "{who} {path}"
            );
        }
    }
    assert_eq!(managed.root("GET", "/client").json()["count"], 10, "nothing was changed");
    let events = managed.take_events();
    assert!(events.iter().all(|event| event["outcome"] == "refused" && event.get("cause").is_some()), "{events:?}");
    assert!(!serde_json::to_string(&events).unwrap().contains(&nobody));
}

#[test]
fn an_unknown_client_is_not_found() {
    let managed = Managed::start();
    let root = managed.token("root");
    for (method, path, body, _, _) in rows() {
        if !path.contains("billing") {
            continue;
        }
        for unknown in ["nobody-knows", "%00", "%FF"] {
            let path = path.replace("billing", unknown);
            let answer = managed.served.ask(&asked(method, &path, body.as_ref()).bearer(&root));
            answer.refused(404, "not_found");
        }
    }
    for path in [
        "/",
        "/clients",
        "/client/",
        "/client/billing/",
        "/client/a/b",
        "/client/billing/token/short",
        "/role/acme",
        "/role/*/2",
        "/role/a*b/x",
        "/tenant_assign/billing/acme",
        "/tenant_assign/seacatauth:client:billing/a%2Fb",
    ] {
        assert_eq!(managed.served.ask(&request("GET", path).bearer(&root)).status, 404, "{path}");
    }
    for (method, path, allow) in [
        ("PATCH", "/client", "GET, POST"),
        ("POST", "/client/billing", "GET, PUT, DELETE"),
        ("GET", "/client/billing/reset_secret", "POST"),
        ("PUT", "/role_assign/seacatauth:client:billing/*/auditor", "POST, DELETE"),
        ("HEAD", "/role/*/auditor", "GET, POST, PUT, DELETE"),
    ] {
        let answer = asked(method, path, None).bearer(&root).call(&managed.served.server);
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
    }
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let managed = Managed::start();
    let root = managed.token("root");
    let before = managed.root("GET", "/client/billing").json();
    let key = |body: Value| ("POST", "/client/billing/token", body);
    let put = |body: Value| ("PUT", "/client/billing", body);
    let post = |body: Value| ("POST", "/client", body);
    for ((method, path, body), named) in [
        (put(json!({"client_nam": "x"})), "no member `client_nam`"),
        (put(json!({"HUNTER2": 1})), "no member `...`"),
        (put(json!({"client_id": "x"})), "`client_id` is read-only"),
        (put(json!({"preferred_client_id": "abcd"})), "`preferred_client_id` is read-only"),
        (put(json!({"client_secret": "x"})), "`client_secret` is read-only"),
        (put(json!({"client_secret_expires_at": 0})), "`client_secret_expires_at` is read-only"),
        (put(json!({"tenants": []})), "`tenants` is read-only"),
        (put(json!({"roles": []})), "`roles` is read-only"),
        (put(json!({"client_name": 1})), "client_name"),
        (put(json!({"client_name": "a\nb"})), "client_name"),
        (put(json!({"seacatauth_credentials": "true"})), "seacatauth_credentials"),
        (put(json!({"seacatauth_credentials": null})), "seacatauth_credentials"),
        (put(json!({"token_endpoint_auth_method": "none"})), "token_endpoint_auth_method"),
        (put(json!({"scope": "a  b"})), "scope"),
        (put(json!({"scope": "tenant:acme"})), "scope"),
        (put(json!({"default_scope": "unregistered"})), "default_scope"),
        (put(json!({"client_credentials_grant_expiration": "soon"})), "client_credentials_grant_expiration"),
        (put(json!({"client_credentials_grant_expiration": 0})), "client_credentials_grant_expiration"),
        (put(json!({"audience": "api"})), "audience"),
        (put(json!({"audience": [1]})), "audience"),
        (put(json!({"audience": [null]})), "audience"),
        (put(json!({"audience": ["api", ""]})), "audience"),
        (put(json!({"audience": ["a b"]})), "audience"),
        (put(json!({"audience": ["a\"b"]})), "audience"),
        (put(json!({"audience": ["a\\b"]})), "audience"),
        (put(json!({"audience": ["é"]})), "audience"),
        (put(json!({"audience": ["a".repeat(256)]})), "audience"),
        (post(json!({"audience": {}})), "audience"),
        (post(json!({"preferred_client_id": "abc"})), "preferred_client_id"),
        (post(json!({"preferred_client_id": "a b c d"})), "preferred_client_id"),
        (post(json!({"preferred_client_id": "a".repeat(65)})), "preferred_client_id"),
        (post(json!({"tenants": ["acme"]})), "`tenants` is read-only"),
        (("POST", "/client/billing/reset_secret", json!({"overlap": "-1h"})), "overlap"),
        (("POST", "/client/billing/reset_secret", json!({"overlap": true})), "overlap"),
        (("POST", "/client/billing/reset_secret", json!({"over": "1h"})), "no parameter `over`"),
        (key(json!({"exp": "tomorrow"})), "exp"),
        (key(json!({"exp": "2020-01-01"})), "exp"),
        (key(json!({"exp": -1})), "exp"),
        (key(json!({"tenant": "a/b"})), "tenant"),
        (key(json!({"label": 1})), "label"),
        (key(json!({"label": "a\nb"})), "label"),
        (key(json!({"label": "a".repeat(257)})), "label"),
        (key(json!({"scope": "x"})), "no parameter `scope`"),
        (("POST", "/role/acme/new", json!({})), "resources"),
        (("POST", "/role/acme/new", json!({"resources": "a"})), "resources"),
        (("POST", "/role/acme/new", json!({"resources": ["a b"]})), "resources"),
        (("POST", "/role/acme/new", json!({"resources": [""]})), "resources"),
    ] {
        managed.take_events();
        let answer = managed.send(&asked(method, path, Some(&body)).bearer(&root));
        let is_metadata = matches!(path, "/client" | "/client/billing");
        answer.refused(400, if is_metadata { "invalid_client_metadata" } else { "invalid_request" });
        let events = managed.take_events();
        assert!(
            matches!(&*events, [event] if event["outcome"] == "refused" && event["actor"] == "root"),
            "{body}: {events:?}"
        );
        managed
            .served
            .ask(&asked(method, path, Some(&body)).bearer(&root))
            .refused(400, if is_metadata { "invalid_client_metadata" } else { "invalid_request" });
        let description = answer.json()["error_description"].as_str().unwrap().to_owned();
        assert!(description.contains(named) && !description.contains("HUNTER2"), "{body}: {description}");
    }
    for (query, status) in
        [("p=0", 400), ("p=x", 400), ("i=101", 400), ("i=-1", 400), ("f=%zz", 400), ("p=99999999999999", 200)]
    {
        assert_eq!(managed.root("GET", &format!("/client?{query}")).status, status, "{query}");
    }
    for (body, content_type, status) in [
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ("null", "application/json", 400),
        (r#"{"client_name": "a", "client_name": "b"}"#, "application/json", 400),
        ("{}", "text/plain", 415),
        ("{}", "", 415),
        (r#"{"client_name": "x"}"#, "application/x-www-form-urlencoded", 415),
    ] {
        let mut asked = request("PUT", "/client/billing").bearer(&root).body(body);
        if !content_type.is_empty() {
            asked = asked.header("Content-Type", content_type);
        }
        assert_eq!(managed.served.ask(&asked).status, status, "{body} {content_type}");
    }
    let long = request("PUT", "/client/billing").bearer(&root).json(&json!({"client_name": "x".repeat(17_000)}));
    managed.served.ask(&long).refused(413, "invalid_request");
    assert_eq!(managed.root("GET", "/client/billing").json(), before);
    managed.root_with("POST", "/client", &json!({"preferred_client_id": "billing"})).refused(409, "conflict");
    managed.root_with("POST", "/role/*/superuser", &json!({"resources": []})).refused(409, "conflict");
    managed.root_with("PUT", "/role/*/superuser", &json!({"resources": []})).refused(400, "invalid_request");
    managed.root("DELETE", "/role/*/superuser").refused(400, "invalid_request");
    managed.root_with("PUT", "/role/*/missing", &json!({"resources": []})).refused(404, "not_found");
    managed.root("POST", "/role_assign/seacatauth:client:billing/*/missing").refused(404, "not_found");
}

#[test]
fn a_client_is_created_updated_and_deleted() {
    let managed = Managed::start();
    let created = managed.root_with(
        "POST",
        "/client",
        &json!({"preferred_client_id": "new-client", "client_name": "New", "seacatauth_credentials": true, "scope": "read write"}),
    );
    assert_eq!(created.status, 201);
    let secret = created.json()["client_secret"].as_str().unwrap().to_owned();
    assert_eq!((secret.len(), created.json()["client_secret_expires_at"].as_i64()), (43, Some(0)));
    managed.mint("new-client", &secret, "read").granted(Some("read"));

    let read = managed.root("GET", "/client/new-client");
    let mut expected = json!({
        "client_id": "new-client", "client_id_issued_at": read.json()["client_id_issued_at"], "client_name": "New",
        "client_secret": true, "token_endpoint_auth_method": "client_secret_basic", "seacatauth_credentials": true,
        "credentials_id": "seacatauth:client:new-client", "scope": "read write", "audience": [], "tenants": [],
        "roles": [],
    });
    assert_eq!(read.json(), expected);
    assert!((now().unix_timestamp() - read.json()["client_id_issued_at"].as_i64().unwrap()).abs() < 100);

    // What is not named stays, and `null` takes away.
    ok(&managed.root_with(
        "PUT",
        "/client/new-client",
        &json!({"client_name": null, "client_credentials_grant_expiration": "1m"}),
    ));
    expected["client_credentials_grant_expiration"] = 60.into();
    expected.as_object_mut().unwrap().remove("client_name");
    assert_eq!(managed.root("GET", "/client/new-client").json(), expected);
    assert_eq!(managed.mint("new-client", &secret, "read").json()["expires_in"], 60);

    for (audience, is_now) in [
        (json!(["b", "https://api.example.com/v1", "b"]), json!(["b", "https://api.example.com/v1"])),
        (json!(["api"]), json!(["api"])),
        (Value::Null, json!([])),
        (json!(["~".repeat(255)]), json!(["~".repeat(255)])),
        (json!([]), json!([])),
    ] {
        ok(&managed.root_with("PUT", "/client/new-client", &json!({"audience": audience})));
        expected["audience"] = is_now;
        assert_eq!(managed.root("GET", "/client/new-client").json(), expected);
    }
    managed.mint("new-client", &secret, "read&audience=api").refused(400, "invalid_target");
    ok(&managed.root_with("PUT", "/client/new-client", &json!({"audience": ["api"]})));
    managed.mint("new-client", &secret, "read&audience=api").granted(Some("read"));
    ok(&managed.root_with("PUT", "/client/new-client", &json!({"client_name": "New"})));
    managed.mint("new-client", &secret, "read&audience=api").granted(Some("read"));
    let other = json!({"preferred_client_id": "for-an-api", "audience": ["api"]});
    assert_eq!(managed.root_with("POST", "/client", &other).json()["audience"], json!(["api"]));
    assert_eq!(managed.root("GET", "/client/for-an-api").json()["audience"], json!(["api"]));
    ok(&managed.root("DELETE", "/client/for-an-api"));

    ok(&managed.root_with("PUT", "/client/new-client", &json!({"token_endpoint_auth_method": "client_secret_post"})));
    managed.mint("new-client", &secret, "read").refused(401, "invalid_client");
    ok(&managed.root_with("PUT", "/client/new-client", &json!({"token_endpoint_auth_method": "client_secret_basic"})));
    ok(&managed.root_with("PUT", "/client/new-client", &json!({"seacatauth_credentials": false})));
    managed.mint("new-client", &secret, "read").refused(400, "unauthorized_client");

    let listed = managed.root("GET", "/client?f=new-&i=5").json();
    assert_eq!((listed["count"].as_u64(), &listed["data"][0]["client_id"]), (Some(1), &json!("new-client")));
    assert!(!listed.to_string().contains(&secret));
    let pages: Vec<_> = (1..=4).map(|p| managed.root("GET", &format!("/client?p={p}&i=4")).json()).collect();
    let sizes: Vec<_> = pages.iter().map(|page| page["data"].as_array().unwrap().len()).collect();
    assert_eq!((sizes, &pages[3]["count"]), (vec![4, 4, 3, 0], &json!(11)));

    let random = managed.root_with("POST", "/client", &json!({})).json();
    assert_eq!(random["client_id"].as_str().unwrap().len(), 22);
    assert_eq!(random["seacatauth_credentials"], false);

    ok(&managed.root("DELETE", "/client/new-client"));
    managed.mint("new-client", &secret, "read").refused(401, "invalid_client");
    managed.root("DELETE", "/client/new-client").refused(404, "not_found");
}

#[test]
fn a_client_takes_its_tokens_and_keys_with_it() {
    let managed = Managed::start();
    let token = managed.token("reader");
    let key =
        managed.root_with("POST", "/client/reader/token", &json!({})).json()["token"].as_str().unwrap().to_owned();
    for token in [&token, &key] {
        assert_eq!(managed.send(&request("GET", "/client").bearer(token)).status, 200);
    }
    ok(&managed.root_with("PUT", "/client/reader", &json!({"seacatauth_credentials": false})));
    for token in [&token, &key] {
        managed.send(&request("GET", "/client").bearer(token)).refused(401, "invalid_token");
    }
    ok(&managed.root_with("PUT", "/client/reader", &json!({"seacatauth_credentials": true})));
    for token in [&token, &key] {
        assert_eq!(managed.send(&request("GET", "/client").bearer(token)).status, 200);
    }
    ok(&managed.root("DELETE", "/client/reader"));
    let again = json!({"preferred_client_id": "reader", "seacatauth_credentials": true});
    assert_eq!(managed.root_with("POST", "/client", &again).status, 201);
    ok(&managed.root("POST", "/role_assign/seacatauth:client:reader/*/reader"));
    for token in [&token, &key] {
        managed.send(&request("GET", "/client").bearer(token)).refused(401, "invalid_token");
    }
}

/// Where the tokens are in another store than the clients, and where they are in none.
#[test]
fn a_deleted_client_does_nothing_here_wherever_its_tokens_are() {
    for jwt in [false, true] {
        let managed = Managed::with(Config::default(), |_| {
            if jwt {
                let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
                AnyTokenIssuer::new(JwtIssuer::new("https://localhost", key))
            } else {
                AnyTokenIssuer::new(OpaqueIssuer::new(MemoryStore::default()))
            }
        });
        let token = managed.token("reader");
        assert_eq!(managed.send(&request("GET", "/client").bearer(&token)).status, 200);
        ok(&managed.root("DELETE", "/client/reader"));
        managed.send(&request("GET", "/client").bearer(&token)).refused(401, "invalid_token");
    }
}

#[test]
fn rfc9110_13_1_1_a_stale_update_is_refused() {
    let managed = Managed::start();
    let root = managed.token("root");
    let etag = managed.root("GET", "/client/billing").header("etag").unwrap().to_owned();
    let put = |name: &str, etag: &str| {
        managed.send(
            &request("PUT", "/client/billing")
                .bearer(&root)
                .header("If-Match", etag)
                .json(&json!({"client_name": name})),
        )
    };
    let updated = put("one", &etag);
    ok(&updated);
    put("two", &etag).refused(412, "precondition_failed");
    assert_eq!(updated.header("etag"), None, "RFC 9110 section 9.3.4: what is kept is not what was sent");
    let weak = format!("W/{}", managed.root("GET", "/client/billing").header("etag").unwrap());
    for wrong in ["\"\"", "x", &weak, "\"0000000000000001\", \"0000000000000002\"", ""] {
        put("three", wrong).refused(412, "precondition_failed");
    }
    let twice = request("PUT", "/client/billing").bearer(&root).header("If-Match", &etag).header("If-Match", "*");
    managed.send(&twice.json(&json!({"client_name": "four"}))).refused(412, "precondition_failed");
    let read = managed.root("GET", "/client/billing");
    assert_eq!(read.json()["client_name"], "one");
    ok(&put("five", read.header("etag").unwrap()));
    let etag = managed.root("GET", "/client/billing").header("etag").unwrap().to_owned();
    ok(&put("six", &format!("\"0000000000000001\", {etag}")));
    ok(&put("seven", "*"));
    // Whatever the call, it does nothing where the condition does not hold.
    for (method, path, body, _, _) in rows() {
        if path.contains("billing") {
            let stale = asked(method, path, body.as_ref()).bearer(&root).header("If-Match", &etag);
            managed.send(&stale).refused(412, "precondition_failed");
        }
    }

    for (method, path) in [("GET", "/role/*/auditor"), ("GET", "/client"), ("POST", "/client")] {
        let nothing = request(method, path).bearer(&root).header("If-Match", "\"0000000000000001\"");
        managed.send(&nothing).refused(412, "precondition_failed");
    }
    let etag = managed.root("GET", "/client/billing").header("etag").unwrap().to_owned();
    let none = |method: &str, tag: &str| {
        managed.send(&request(method, "/client/billing").bearer(&root).header("If-None-Match", tag).json(&json!({})))
    };
    let answer = none("GET", &format!("\"0000000000000001\", {etag}"));
    assert_eq!((answer.status, answer.header("etag"), answer.raw.len()), (304, Some(&*etag), 0));
    assert_eq!(none("GET", "\"0000000000000001\"").status, 200);
    assert_eq!(none("GET", "*").status, 304);
    none("PUT", "*").refused(412, "precondition_failed");
    none("DELETE", &etag).refused(412, "precondition_failed");
    ok(&none("PUT", "\"0000000000000001\""));

    // Of many at once from one version one wins.
    let etag = managed.root("GET", "/client/billing").header("etag").unwrap().to_owned();
    let statuses: Vec<_> = thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn({
                    let (put, etag) = (&put, &etag);
                    move || put(&format!("racer {n}"), etag).status
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 412)), "{statuses:?}");
}

#[test]
fn a_secret_is_reset_at_once_or_with_an_overlap() {
    let managed = Managed::start();
    let reset = |body: &Value| {
        let answer = managed.root_with("POST", "/client/billing/reset_secret", body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["client_secret"].as_str().unwrap().to_owned()
    };
    let works = |secret: &str| managed.mint("billing", secret, "tenant").status == 200;
    let first = reset(&json!({"overlap": "0"}));
    assert!(works(&first) && !works(SECRET), "the old one ends at once");

    let second = reset(&json!({"overlap": "24h"}));
    let third = reset(&json!({"overlap": 2}));
    assert!(works(&first) && works(&second) && works(&third));
    managed.root_with("POST", "/client/billing/reset_secret", &json!({"overlap": "1h"})).refused(409, "conflict");

    let secrets = managed.root("GET", "/client/billing/secret").json();
    assert_eq!(secrets["count"], 3);
    for secret in [&first, &second, &third] {
        assert!(!secrets.to_string().contains(secret.as_str()));
    }
    assert!(secrets["data"][0].get("expires_at").is_none() && secrets["data"][1]["expires_at"].is_i64());
    let id = |n: usize| secrets["data"][n]["_id"].as_str().unwrap().to_owned();
    assert_eq!(managed.root("GET", &format!("/client/billing/secret/{}", id(1))).json(), secrets["data"][1]);

    // One that is about to end warns.
    managed.take_events();
    assert!(works(&second));
    let events = managed.take_events();
    assert!(
        events.iter().any(|e| e["action"] == "use_retiring_secret"
            && e["client_id"] == "billing"
            && e["target"] == id(1).as_str()),
        "{events:?}"
    );

    ok(&managed.root("DELETE", &format!("/client/billing/secret/{}", id(2))));
    assert!(!works(&first) && works(&second) && works(&third));
    managed.root("DELETE", &format!("/client/billing/secret/{}", id(2))).refused(404, "not_found");
    thread::sleep(std::time::Duration::from_millis(3100));
    assert!(!works(&second) && works(&third), "the overlap is over");
    ok(&managed.root("DELETE", "/client/billing/secret"));
    assert!(!works(&third));
    assert!(managed.root("GET", "/client/billing").json().get("client_secret").is_none());
    assert!(works(&reset(&json!({}))));
}

#[test]
fn secrets_expire_as_configured() {
    let config = Config::default().with_client_secret_expiration(std::time::Duration::from_secs(3600));
    let managed = Managed::with(config, |store| AnyTokenIssuer::new(OpaqueIssuer::new(store)));
    let created = managed.root_with("POST", "/client", &json!({})).json();
    let reset = managed.root_with("POST", "/client/billing/reset_secret", &json!({})).json();
    for answer in [created, reset] {
        let left = answer["client_secret_expires_at"].as_i64().unwrap() - now().unix_timestamp();
        assert!((3500..=3600).contains(&left), "{left}");
    }
}

/// Rotation under load: as long as both secrets count, neither ever fails.
#[test]
fn a_rotation_fails_no_mint() {
    let managed = Managed::start();
    let rotated = Mutex::new(vec![SECRET.to_owned()]);
    thread::scope(|scope| {
        let minting: Vec<_> = (0..2)
            .map(|n| {
                let (managed, rotated) = (&managed, &rotated);
                scope.spawn(move || {
                    for mint in 0..5000 {
                        let secrets = rotated.lock().unwrap().clone();
                        let secret = secrets.iter().rev().take(2).nth((n + mint) % secrets.len().min(2)).unwrap();
                        let asked = basic("billing", secret, format!("{GRANT}&scope=tenant:acme"));
                        assert_eq!(asked.call(&managed.served.server).status, 200, "mint {mint}");
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            thread::sleep(std::time::Duration::from_millis(100));
            let reset = managed.root_with("POST", "/client/billing/reset_secret", &json!({"overlap": "1h"})).json();
            rotated.lock().unwrap().push(reset["client_secret"].as_str().unwrap().into());
        }
        minting.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_token_carries_what_was_assigned_before_it() {
    let managed = Managed::start();
    let of_billing = "seacatauth:client:billing";
    ok(&managed.root_with("POST", "/role/bolt/driver", &json!({"resources": ["truck:drive"]})));
    ok(&managed.root("POST", &format!("/tenant_assign/{of_billing}/bolt")));
    ok(&managed.root("POST", &format!("/role_assign/{of_billing}/bolt/driver")));
    managed.mint("billing", SECRET, "tenant:bolt").granted(Some("tenant:bolt"));
    let key = || managed.root_with("POST", "/client/billing/token", &json!({"tenant": "bolt"})).json();
    assert_eq!(key()["resources"], json!({"*": ["report:read"], "bolt": ["report:read", "truck:drive"]}));
    ok(&managed.root_with("PUT", "/role/bolt/driver", &json!({"resources": ["truck:park"]})));
    assert_eq!(key()["resources"]["bolt"], json!(["report:read", "truck:park"]));
    ok(&managed.root("DELETE", "/role/bolt/driver"));
    assert_eq!(key()["resources"]["bolt"], json!(["report:read"]), "a deleted role grants nothing");
    ok(&managed.root("DELETE", &format!("/role_assign/{of_billing}/*/auditor")));
    assert_eq!(key()["resources"], json!({"*": [], "bolt": []}));
    managed.root("DELETE", &format!("/role_assign/{of_billing}/*/auditor")).refused(404, "not_found");
    ok(&managed.root("DELETE", &format!("/tenant_assign/{of_billing}/bolt")));
    managed.root("DELETE", &format!("/tenant_assign/{of_billing}/bolt")).refused(404, "not_found");
    managed.mint("billing", SECRET, "tenant:bolt").refused(400, "invalid_scope");
    managed.root_with("POST", "/client/billing/token", &json!({"tenant": "bolt"})).refused(400, "invalid_request");
}

#[test]
fn an_api_key_counts_wherever_an_access_token_does() {
    let opaque = |store| AnyTokenIssuer::new(OpaqueIssuer::new(store));
    let jwt = |_| {
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
        AnyTokenIssuer::new(JwtIssuer::new("https://localhost", key))
    };
    for managed in [Managed::with(Config::default(), opaque), Managed::with(Config::default(), jwt)] {
        let make = |body: Value| {
            let answer = managed.root_with("POST", "/client/reader/token", &body);
            assert_eq!(answer.status, 201, "{answer:?}");
            answer.json()
        };
        let (one, other) = (
            make(json!({"label": "one", "exp": "180d"})),
            make(json!({"label": "other", "exp": "2099-01-01T12:00:00Z"})),
        );
        assert!(other["exp"] == "2099-01-01T12:00:00Z" && one["tenant"].is_null());
        for (exp, days) in [(json!("4 h"), 0), (json!(86_400), 1), (json!("86400"), 1), (Value::Null, 365)] {
            let key = make(json!({"exp": exp}));
            let at =
                OffsetDateTime::parse(key["exp"].as_str().unwrap(), &time::format_description::well_known::Rfc3339);
            let left = at.unwrap() - now();
            assert!(
                left > Duration::days(days) - Duration::minutes(1) && left <= Duration::days(days) + Duration::hours(4),
                "{exp}"
            );
        }
        let list = || managed.root("GET", "/client/reader/token").json();
        assert_eq!((list()["count"].as_u64(), list()["data"][0].get("token")), (Some(6), None));
        let reads =
            |key: &Value| managed.send(&request("GET", "/client").bearer(key["token"].as_str().unwrap())).status;
        assert_eq!((reads(&one), reads(&other)), (200, 200));

        ok(&managed.root("DELETE", &format!("/client/reader/token/{}", one["_id"].as_str().unwrap())));
        assert_eq!((reads(&one), reads(&other)), (401, 200));
        managed
            .root("DELETE", &format!("/client/reader/token/{}", one["_id"].as_str().unwrap()))
            .refused(404, "not_found");
        managed
            .root("DELETE", &format!("/client/billing/token/{}", other["_id"].as_str().unwrap()))
            .refused(404, "not_found");
        assert_eq!(reads(&other), 200, "it is no other client's to end");

        // It gives no more than its client has today, and no more than when it was made.
        ok(&managed.root("DELETE", "/role_assign/seacatauth:client:reader/*/reader"));
        assert_eq!(reads(&other), 403);
        ok(&managed.root("POST", "/role_assign/seacatauth:client:reader/*/superuser"));
        assert_eq!(reads(&other), 403);
        ok(&managed.root("POST", "/role_assign/seacatauth:client:reader/*/reader"));
        assert_eq!(reads(&other), 200);
        ok(&managed.root_with("PUT", "/client/reader", &json!({"seacatauth_credentials": false})));
        assert_eq!(reads(&other), 401);
        managed.root_with("POST", "/client/reader/token", &json!({})).refused(400, "unauthorized_client");
        ok(&managed.root_with("PUT", "/client/reader", &json!({"seacatauth_credentials": true})));
        ok(&managed.root("DELETE", "/client/reader/token"));
        assert_eq!((reads(&other), list()["count"].as_u64()), (401, Some(0)));
    }
}

/// Whoever may edit clients, roles or keys must not become a superuser by it.
#[test]
fn nobody_gives_away_what_they_do_not_hold() {
    let managed = Managed::start();
    let body = json!({"resources": ["authz:superuser"]});
    for (who, method, path, body) in [
        ("editor", "POST", "/client/root/reset_secret", None),
        ("key-keeper", "POST", "/client/root/token", None),
        ("key-keeper", "POST", "/client/local/token", None),
        ("role-assigner", "POST", "/role_assign/seacatauth:client:billing/*/superuser", None),
        ("role-assigner", "POST", "/role_assign/seacatauth:client:role-assigner/*/editor", None),
        ("role-editor", "PUT", "/role/*/auditor", Some(&body)),
        ("role-editor", "POST", "/role/*/new", Some(&json!({"resources": ["authz:tenant:access"]}))),
        // Nor do they take away, or wake up, what others hold.
        ("editor", "PUT", "/client/root", Some(&json!({"seacatauth_credentials": true}))),
        ("editor", "DELETE", "/client/root", None),
        ("editor", "DELETE", "/client/root/secret", None),
        ("role-assigner", "DELETE", "/role_assign/seacatauth:client:root/*/superuser", None),
        ("tenant-assigner", "DELETE", "/tenant_assign/seacatauth:client:local/acme", None),
        ("tenant-assigner", "POST", "/tenant_assign/seacatauth:client:local/acme", None),
        ("key-keeper", "DELETE", "/client/root/token", None),
        ("role-editor", "PUT", "/role/*/editor", Some(&json!({"resources": []}))),
        ("role-editor", "DELETE", "/role/*/editor", None),
        ("local", "POST", "/role/acme/new", Some(&body)),
    ] {
        let answer = managed.served.ask(&asked(method, path, body).bearer(&managed.token(who)));
        answer.refused(403, "insufficient_scope");
        assert!(answer.header("www-authenticate").unwrap().contains(r#"error="insufficient_scope""#));
    }
    // What they hold, and what is none of this server's, they can give.
    let local = managed.token("local");
    let roles = json!({"resources": ["seacat:role:edit", "invoice:read"]});
    ok(&managed.send(&request("POST", "/role/acme/new").bearer(&local).json(&roles)));
    ok(&managed.send(&request("POST", "/role_assign/seacatauth:client:billing/acme/new").bearer(&local)));
}

#[test]
fn each_change_and_each_refusal_is_an_event() {
    let managed = Managed::start();
    let (root, reader) = (managed.token("root"), managed.token("reader"));
    managed.take_events();
    let send = |asked: Asked, token: &str| managed.send(&asked.bearer(token));
    assert_eq!(send(request("GET", "/client"), &reader).status, 200);
    assert_eq!(managed.take_events(), [Value::Null; 0], "a read is none");
    let secret = send(request("POST", "/client/billing/reset_secret"), &root).json()["client_secret"].clone();
    send(request("POST", "/role_assign/seacatauth:client:billing/acme/accountant"), &root);
    send(request("DELETE", "/client/billing"), &reader);
    send(request("GET", "/nothing"), &reader);
    send(request("PUT", "/client/billing").json(&json!({"x": 1})), &root);
    managed.send(&request("GET", "/client"));
    let misplaced = managed.token("nobody");
    send(request("DELETE", &format!("/client/billing/token/{misplaced}")), &root);
    managed.mint("billing", "wrong", "tenant");
    managed.mint("unknown", "wrong", "tenant");
    let events = managed.take_events();
    let seen: Vec<_> = events
        .iter()
        .map(|event| {
            let text = |name: &str| event.get(name).map_or("-", |value| value.as_str().unwrap());
            format!("{} {} {} {} {}", text("actor"), text("action"), text("client_id"), text("target"), text("outcome"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            "root reset_secret billing - success",
            "root assign_role billing acme/accountant success",
            "reader delete_client billing - refused",
            "- manage - - refused",
            "root update_client billing - refused",
            "- manage - - refused",
            "root revoke_api_key billing - refused",
            "- request_token billing - refused",
            "- request_token - - refused",
        ]
    );
    let text = serde_json::to_string(&events).unwrap();
    for secret in [secret.as_str().unwrap(), &root, &reader, &misplaced, SECRET] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// A secret, or a token, where a client, a secret, an API key, a tenant or a role is named.
#[test]
fn a_secret_in_the_path_is_in_no_event() {
    let managed = Managed::start();
    let tokens = ["nobody", "root"].map(|who| (who, managed.token(who)));
    let live = managed.root_with("POST", "/client/billing/token", &json!({})).json()["token"].clone();
    managed.take_events();
    // The first could be the id of a secret, the second a client, a tenant or a role, and the last an API key.
    for misplaced in ["Tr0ubadorTr0ub4d", "Tr0ubador", live.as_str().unwrap()] {
        for (method, path, body, _, _) in rows() {
            let segments: Vec<_> = path.split('/').collect();
            for at in 2..segments.len() {
                let mut segments = segments.clone();
                let named = match segments[at] {
                    "secret" | "token" | "reset_secret" => continue,
                    of if of.starts_with("seacatauth:") => format!("seacatauth:client:{misplaced}"),
                    _ => misplaced.to_owned(),
                };
                segments[at] = &named;
                let path = segments.join("/");
                // What is made under this name has it from then on.
                let makes = method == "POST" && (path.starts_with("/role/") || path.starts_with("/tenant_assign/"));
                for (who, token) in &tokens {
                    let well_formed = asked(method, &path, body.as_ref());
                    let malformed = request(method, &path).json(&json!({"x": 1}));
                    let stale = well_formed.clone().header("If-Match", "\"0\"");
                    for (asked, is_refused) in [(malformed, body.is_some()), (stale, true), (well_formed, false)] {
                        if *who == "root" && makes && !is_refused {
                            continue;
                        }
                        let answer = managed.served.ask(&asked.bearer(token));
                        let text = serde_json::to_string(&managed.take_events()).unwrap();
                        assert!(!text.contains(misplaced), "{method} {path} {}: {text}", answer.status);
                    }
                }
            }
        }
    }
}

/// Who is refused before anything is done is told to the audit with all that there is of what the call names.
#[test]
fn what_a_refused_call_names_is_in_its_event_where_it_is_there() {
    let managed = Managed::start();
    let (nobody, root) = (managed.token("nobody"), managed.token("root"));
    let secrets = managed.root("GET", "/client/billing/secret").json();
    let secret = secrets["data"][0]["_id"].as_str().unwrap();
    managed.take_events();
    let of_billing = "seacatauth:client:billing";
    for (method, path, target) in [
        ("DELETE", "/client/billing".to_owned(), None),
        ("DELETE", format!("/client/billing/secret/{secret}"), Some(secret)),
        ("POST", format!("/tenant_assign/{of_billing}/acme"), Some("acme")),
        ("POST", format!("/tenant_assign/{of_billing}/bolt"), None),
        ("POST", format!("/role_assign/{of_billing}/*/superuser"), Some("*/superuser")),
        ("DELETE", format!("/role_assign/{of_billing}/acme/nothing"), None),
    ] {
        for (token, if_match) in [(&nobody, "*"), (&root, "\"0\"")] {
            managed.send(&request(method, &path).header("If-Match", if_match).bearer(token));
            let events = managed.take_events();
            let [event] = &events[..] else { panic!("{events:?}") };
            assert_eq!(
                (&event["client_id"], event["outcome"].as_str()),
                (&json!("billing"), Some("refused")),
                "{event}"
            );
            assert_eq!(event.get("target").and_then(Value::as_str), target, "{event}");
        }
    }
}

#[test]
fn what_has_expired_does_not_count() {
    let config = Config::default().with_client_credentials_grant_expiration(std::time::Duration::from_secs(1)).unwrap();
    let jwt = |_| {
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
        AnyTokenIssuer::new(JwtIssuer::new("https://localhost", key))
    };
    let opaque = |store| AnyTokenIssuer::new(OpaqueIssuer::new(store));
    for managed in [Managed::with(config.clone(), opaque), Managed::with(config, jwt)] {
        let key = managed.root_with("POST", "/client/reader/token", &json!({"exp": 1})).json();
        let tokens = [managed.token("reader"), key["token"].as_str().unwrap().into()];
        for token in &tokens {
            assert_eq!(managed.send(&request("GET", "/client").bearer(token)).status, 200);
        }
        thread::sleep(std::time::Duration::from_millis(1200));
        for token in &tokens {
            managed.send(&request("GET", "/client").bearer(token)).refused(401, "invalid_token");
        }
    }
}

#[test]
fn a_token_does_not_undo_what_was_taken_from_its_client() {
    let managed = Managed::start();
    ok(&managed.root("POST", "/role_assign/seacatauth:client:reader/*/superuser"));
    let second = managed.token("reader");
    ok(&managed.root("DELETE", "/role_assign/seacatauth:client:reader/*/superuser"));
    let back = request("POST", "/role_assign/seacatauth:client:reader/*/superuser").bearer(&second);
    managed.send(&back).refused(403, "insufficient_scope");
    assert_eq!(managed.send(&request("GET", "/client").bearer(&second)).status, 200, "what is left counts");

    // The same in a tenant, and the tenant itself.
    let local = managed.token("local");
    let path = "/role/acme/accountant";
    assert_eq!(managed.send(&request("GET", path).bearer(&local)).status, 200);
    ok(&managed.root("DELETE", "/tenant_assign/seacatauth:client:local/acme"));
    managed.send(&request("GET", path).bearer(&local)).refused(403, "insufficient_scope");
}

#[test]
fn api_keys_end_without_the_access_tokens_beside_them() {
    let managed = Managed::start();
    let access = managed.token("reader");
    let key = managed.root_with("POST", "/client/reader/token", &json!({})).json();
    assert_eq!(managed.root("GET", "/client/reader/token").json()["count"], 1, "the access token is none");
    ok(&managed.root("DELETE", "/client/reader/token"));
    assert_eq!(managed.send(&request("GET", "/client").bearer(&access)).status, 200);
    let key = request("GET", "/client").bearer(key["token"].as_str().unwrap());
    managed.send(&key).refused(401, "invalid_token");
}

#[test]
fn iso_8601_dates_are_taken_as_they_are() {
    let managed = Managed::start();
    for (exp, kept) in [
        ("2099-01-01", "2099-01-01T00:00:00Z"),
        ("2099-01-01T12:30:00", "2099-01-01T12:30:00Z"),
        ("2099-01-01T12:30:00Z", "2099-01-01T12:30:00Z"),
        ("2099-01-01T12:30:00+02:00", "2099-01-01T10:30:00Z"),
    ] {
        let key = managed.root_with("POST", "/client/billing/token", &json!({"exp": exp}));
        assert_eq!((key.status, key.json()["exp"].as_str()), (201, Some(kept)), "{exp}");
        let location = key.header("location").unwrap();
        assert_eq!(location, format!("token/{}", key.json()["_id"].as_str().unwrap()));
    }
    for exp in ["2999-01-01", "9999-12-31T23:59:59-01:00", "2099-13-01", "2099-01-01T25:00:00"] {
        managed.root_with("POST", "/client/billing/token", &json!({"exp": exp})).refused(400, "invalid_request");
    }
}

/// A request that arrives while the client is being deleted may have its token kept after the tokens are revoked.
#[tokio::test]
async fn a_deletion_ends_what_came_in_between() {
    let store = store();
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store.clone()), Config::default());
    let (start, client_id) = (now(), "billing".parse().unwrap());
    let deleting = server.administrator("setup", start);
    let between = server.administrator("setup", start + Duration::milliseconds(1));
    let (key, _) = between.create_api_key(&client_id, "", None, None).await.unwrap();
    thread::sleep(std::time::Duration::from_millis(5));
    deleting.delete_client(&client_id).await.unwrap();
    assert!(store.find(&key.hash()).await.unwrap().is_none());
}

/// A caller that hangs up has its call dropped in the middle.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_call_that_is_cut_short_is_an_event() {
    let folder = tempfile::tempdir().unwrap();
    let store = client_credentials::SqliteStore::open(folder.path().join("clients.db")).await.unwrap();
    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    // The tokens are elsewhere, so that the deletion is the first that waits.
    let store = client_credentials::Stores { clients: store, tokens: MemoryStore::default() };
    let server = AuthorizationServer::new(store, OpaqueIssuer::new(MemoryStore::default()), Config::default());
    let server = server.with_audit_sink(Events(Arc::clone(&events)));
    let administrator = server.administrator("setup", now());
    let (client, _) = administrator.create_client(client_credentials::Client::builder("billing")).await.unwrap();
    events.lock().unwrap().clear();

    drop(administrator.delete_client(client.client_id()));
    assert!(events.lock().unwrap().is_empty(), "nothing was begun");
    // As long as another process writes, the call waits.
    let path = format!("sqlite://{}", folder.path().join("clients.db").display());
    let other = sqlx::SqlitePool::connect(&path).await.unwrap();
    let _writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let deleting = administrator.delete_client(client.client_id());
    assert!(tokio::time::timeout(std::time::Duration::from_millis(100), deleting).await.is_err());
    let events = events.lock().unwrap();
    let expected = (1, &json!("delete_client"), &json!("failed"));
    assert_eq!((events.len(), &events[0]["action"], &events[0]["outcome"]), expected);
}

#[test]
fn secrets_and_keys_are_listed_with_their_last_use() {
    let managed = Managed::start();
    let server = &managed.served.server;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let last = |path: &str| managed.root("GET", path).json()["data"][0].get("last_used_at").cloned();
    let (secrets, keys) = ("/client/reader/secret", "/client/reader/token");
    let key = managed.root_with("POST", keys, &json!({})).json();
    assert_eq!((last(secrets), last(keys)), (None, None));
    managed.mint("reader", "wrong", "tenant");
    assert_eq!(last(secrets), None, "a wrong secret is no use");

    managed.token("reader");
    assert_eq!(managed.send(&request("GET", "/client").bearer(key["token"].as_str().unwrap())).status, 200);
    let used = last(secrets).unwrap().as_i64().unwrap();
    assert!((0..60).contains(&(now().unix_timestamp() - used)), "{used}");
    assert!(last(keys).unwrap().as_str().unwrap().ends_with('Z'));

    // Written down it is still there, and a use that came later counts.
    let ids = [managed.root("GET", secrets).json()["data"][0]["_id"].as_str().unwrap().to_owned()];
    let kept = || runtime.block_on(server.store().last_uses(&ids)).unwrap()[0];
    assert_eq!(kept(), None, "no request wrote it");
    runtime.block_on(server.record_uses()).unwrap();
    let first = kept().unwrap();
    assert_eq!(last(secrets), Some(first.unix_timestamp().into()));
    thread::sleep(std::time::Duration::from_millis(10));
    managed.token("reader");
    runtime.block_on(server.record_uses()).unwrap();
    assert!(kept().unwrap() > first);
}

/// What one instance takes away, another must not give back because it does not know yet.
#[cfg(feature = "cached")]
#[test]
fn a_token_does_not_undo_what_was_taken_from_its_client_elsewhere() {
    use client_credentials::{AnyClientRegistry, AnyTokenStore, Cached, Stores};

    let store = store();
    let start = || {
        let clients = AnyClientRegistry::new(Cached::new(store.clone()));
        let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
        let stores = Stores { clients, tokens: AnyTokenStore::new(store.clone()) };
        Managed {
            served: Served::start(AuthorizationServer::new(stores, issuer, Config::default())),
            events: Arc::default(),
        }
    };
    let (here, there) = (start(), start());
    ok(&here.root("POST", "/role_assign/seacatauth:client:reader/*/superuser"));
    let token = there.token("reader");
    ok(&there.send(&request("POST", "/tenant_assign/seacatauth:client:billing/bolt").bearer(&token)));
    ok(&here.root("DELETE", "/role_assign/seacatauth:client:reader/*/superuser"));
    let back = request("POST", "/role_assign/seacatauth:client:reader/*/superuser").bearer(&token);
    there.send(&back).refused(403, "insufficient_scope");
    ok(&here.root("DELETE", "/client/reader"));
    there.send(&request("GET", "/client").bearer(&token)).refused(401, "invalid_token");
}

/// A token says what it said until it expires, which is soon; an API key, which lives long, says no more than its client has.
#[tokio::test]
async fn what_a_token_still_may_do_when_a_role_is_taken_away() {
    let store = store();
    let config = Config::default();
    let lifetime = Duration::try_from(config.client_credentials_grant_expiration()).unwrap();
    assert_eq!(lifetime, Duration::minutes(3), "as the README says");
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), config);
    let (start, client_id) = (now(), "billing".parse().unwrap());
    let administrator = || server.administrator("setup", start);
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("billing:{SECRET}")));
    let post = client_credentials::Request::new("POST", start)
        .header("Authorization", authorization.as_bytes())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .body(b"grant_type=client_credentials&scope=tenant:acme");
    let reply = client_credentials::handle_token_request(&server, &post).await;
    let token: Value = serde_json::from_slice(reply.body()).unwrap();
    let token = token["access_token"].as_str().unwrap();
    let acme = "acme".parse().unwrap();
    let (key, _) = administrator().create_api_key(&client_id, "", Some(&acme), None).await.unwrap();

    // What a call says of it, and what introspection says, which must be the same.
    let says = async |token: &str, at| {
        let claims = server.check_token(token, at).await.unwrap();
        let said = claims.map(|claims| serde_json::to_value(claims.authorization()).unwrap());
        let body = format!("token={token}&client_id=nobody");
        let caller = format!("Basic {}", BASE64_STANDARD.encode(format!("nobody:{SECRET}")));
        let post = client_credentials::Request::new("POST", at)
            .header("Authorization", caller.as_bytes())
            .header("Content-Type", b"application/x-www-form-urlencoded")
            .body(body.as_bytes());
        let reply = client_credentials::handle_introspection_request(&server, &post).await;
        let introspected: Value = serde_json::from_slice(reply.body()).unwrap();
        assert_eq!(introspected["active"], said.is_some());
        assert_eq!(introspected.get("resources"), said.as_ref());
        said
    };
    let all = json!({"*": ["report:read"], "acme": ["invoice:edit", "report:read"]});
    assert_eq!([says(token, start).await, says(key.expose(), start).await], [Some(all.clone()), Some(all.clone())]);
    administrator().unassign_role(&client_id, &"acme/accountant".parse().unwrap()).await.unwrap();
    let less = json!({"*": ["report:read"], "acme": ["report:read"]});
    assert_eq!([says(token, start).await, says(key.expose(), start).await], [Some(all.clone()), Some(less.clone())]);

    // Until it expires, and not an instant longer; a new one says less at once.
    let end = start + lifetime;
    assert_eq!(says(token, end - Duration::NANOSECOND).await, Some(all));
    assert_eq!([says(token, end).await, says(key.expose(), end).await], [None, Some(less.clone())]);
    let reply = client_credentials::handle_token_request(&server, &post).await;
    let token: Value = serde_json::from_slice(reply.body()).unwrap();
    assert_eq!(says(token["access_token"].as_str().unwrap(), start).await, Some(less));
    administrator().delete_client(&client_id).await.unwrap();
    assert_eq!(says(key.expose(), start).await, None);
}

/// While the store is away nobody knows whether what stands where an identifier belongs is one.
#[tokio::test]
async fn an_identifier_that_nobody_has_looked_up_is_in_no_event() {
    struct Away;

    impl client_credentials::ClientStore for Away {
        async fn find_client(
            &self,
            _: &str,
        ) -> Result<Option<Arc<client_credentials::Client>>, client_credentials::BackendError> {
            Err(client_credentials::BackendError::new("away"))
        }
    }

    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    let server = AuthorizationServer::new(Away, OpaqueIssuer::new(MemoryStore::default()), Config::default());
    let server = server.with_audit_sink(Events(Arc::clone(&events)));
    // The halves the wrong way round.
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("{SECRET}:billing")));
    let post = client_credentials::Request::new("POST", now())
        .header("Authorization", authorization.as_bytes())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .body(GRANT.as_bytes());
    assert_eq!(client_credentials::handle_token_request(&server, &post).await.status(), 503);
    let events = events.lock().unwrap();
    assert_eq!((events.len(), &events[0]["outcome"]), (1, &json!("failed")));
    assert!(!events[0].to_string().contains(SECRET), "{events:?}");
}
