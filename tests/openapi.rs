//! The OpenAPI document, held against the server: neither has a path, a method, a status, a header or a member that the other
//! has not.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use client_credentials::{
    AnyClientRegistry, AnyTokenIssuer, AnyTokenStore, AuthorizationServer, BackendError, Client, ClientId,
    ClientRegistry, ClientStore, Config, JwtIssuer, MemoryCounters, MemoryStore, OPENAPI, OpaqueIssuer, Provisioning,
    Quota, Quotas, Registered, Role, RoleId, SigningAlgorithm, SigningKey, Stores, TenantName, Throttle, Updated,
    Version, handle_management_request, now,
};
use common::{Answer, Asked, SECRET, Served, basic, block_on, post, request, stores};
use serde_json::{Value, json};

const TOKEN_ENDPOINT: &str = "/openidconnect/token";
const INTROSPECTION_ENDPOINT: &str = "/openidconnect/introspect";
const REVOCATION_ENDPOINT: &str = "/openidconnect/token/revoke";
const GATEWAY_ENDPOINT: &str = "/nginx/introspect/openidconnect";
const JWKS: [&str; 2] = ["/openidconnect/public_keys", "/.well-known/jwks.json"];
const METADATA: &str = "/.well-known/oauth-authorization-server";
/// The operations where clients authenticate.
const OF_CLIENTS: [&str; 3] = ["requestToken", "introspectToken", "revokeToken"];
/// What a gateway asks for a caller.
const OF_GATEWAYS: [&str; 2] = ["checkRequest", "checkPostRequest"];
/// Where nobody authenticates, and the path.
const PUBLIC: [(&str, &str); 3] = [("readPublicKeys", JWKS[0]), ("readJwks", JWKS[1]), ("readMetadata", METADATA)];
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];

/// An operation of the document.
struct Operation {
    id: String,
    method: String,
    path: String,
    operation: Value,
}

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// In the order of the document's methods, as `Allow` has them.
fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = item.get(method.to_lowercase()) {
                let id = operation["operationId"].as_str().unwrap().into();
                operations.push(Operation {
                    id,
                    method: method.into(),
                    path: path.clone(),
                    operation: operation.clone(),
                });
            }
        }
    }
    operations
}

/// Whether it is a call of the management API.
fn is_management(id: &str) -> bool {
    !OF_CLIENTS.contains(&id) && !OF_GATEWAYS.contains(&id) && !is_public(id)
}

fn is_public(id: &str) -> bool {
    PUBLIC.iter().any(|(public, _)| *public == id)
}

/// What a `$ref` stands for.
fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) if value.as_object().unwrap().len() == 1 => {
            document.pointer(reference.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{reference} is nowhere"))
        }
        _ => value,
    }
}

/// What is wrong with a value, by a schema of the document.
fn wrong(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let schema = json!({"allOf": [schema], "components": document["components"]});
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true);
    let errors: Vec<_> = options.build(&schema).unwrap().iter_errors(value).map(|error| error.to_string()).collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}

/// Each value in a document, with the name of the member that has it.
fn walk<'d>(value: &'d Value, visit: &mut impl FnMut(&'d str, &'d Value)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                visit(name, value);
                walk(value, visit);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

/// An API that each client may name.
const API: &str = "https://api.example.com";

fn store() -> MemoryStore {
    let client = |id: &str, role: &str, method: &str| json!({"client_id": id, "client_secret": SECRET, "seacatauth_credentials": true, "roles": [role], "tenants": ["acme"], "scope": "read", "audience": ["api", API], "token_endpoint_auth_method": method});
    let json = json!({
        "roles": {"*/auditor": ["report:read"], "acme/accountant": ["invoice:edit"]},
        "clients": [
            client("root", "*/superuser", "client_secret_basic"),
            client("nobody", "*/auditor", "client_secret_basic"),
            client("billing", "acme/accountant", "client_secret_basic"),
            client("post", "*/auditor", "client_secret_post"),
            {"client_id": "disabled", "client_secret": SECRET},
        ],
    });
    MemoryStore::from(Provisioning::from_json(&json.to_string()).unwrap())
}

/// A database that is gone.
struct Down;

fn down<R>() -> Result<R, BackendError> {
    Err(BackendError::new("the database is gone"))
}

impl ClientStore for Down {
    async fn find_client(&self, _: &str) -> Result<Option<Arc<Client>>, BackendError> {
        down()
    }
}

impl ClientRegistry for Down {
    async fn register(&self, _: Client) -> Result<Registered, BackendError> {
        down()
    }

    async fn read(&self, _: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
        down()
    }

    async fn update(&self, _: Client, _: Version) -> Result<Updated, BackendError> {
        down()
    }

    async fn delete(&self, _: &ClientId) -> Result<bool, BackendError> {
        down()
    }

    async fn list_clients(&self, _: &str, _: usize, _: usize) -> Result<(Vec<Client>, usize), BackendError> {
        down()
    }

    async fn define_tenant(&self, _: TenantName) -> Result<(), BackendError> {
        down()
    }

    async fn define_role(&self, _: Role) -> Result<(), BackendError> {
        down()
    }

    async fn delete_role(&self, _: &RoleId) -> Result<bool, BackendError> {
        down()
    }

    async fn list_roles(&self, _: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
        down()
    }
}

/// A token of a client, for its tenants.
fn minted(served: &Served, client_id: &str, more: &str) -> String {
    let answer = served.send(&basic(client_id, SECRET, format!("grant_type=client_credentials&scope=tenant:*{more}")));
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// A server, some others with the same clients or the same tokens, and the document that all have to keep to.
struct Described {
    document: Value,
    operations: Vec<Operation>,
    served: Served,
    /// Of the same tokens, without the clients.
    down: Served,
    /// Whose tokens are JWTs.
    jwt: Served,
    /// Whose tokens are kept elsewhere than in its store.
    elsewhere: Served,
    /// Which lets nobody fail, and issues one token a day.
    limited: Served,
    root: String,
    nobody: String,
    /// What was answered: the operation, the status, and the `error`.
    seen: RefCell<BTreeSet<(String, String, Option<String>)>>,
}

impl Described {
    fn start() -> Self {
        let (store, config) = (store(), Config::default().with_client_secret_expiration(Duration::from_secs(3600)));
        let issuer = || AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
        let server = AuthorizationServer::new(stores(store.clone()), issuer(), config).with_uses_noted();
        let served = Served::start(server);
        let without = Stores { clients: AnyClientRegistry::new(Down), tokens: AnyTokenStore::new(store.clone()) };
        let down = Served::start(AuthorizationServer::new(without, issuer(), Config::default()));
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
        let other = |issuer| Served::start(AuthorizationServer::new(stores(store.clone()), issuer, Config::default()));
        let jwt = other(AnyTokenIssuer::new(JwtIssuer::new("https://auth.example.com", key)));
        let elsewhere = other(AnyTokenIssuer::new(OpaqueIssuer::new(MemoryStore::default())));
        let few = Config::default().with_max_failures_per_client(1).with_max_failures_per_source(1);
        let limited = AuthorizationServer::new(stores(store.clone()), issuer(), few).with_throttle(Throttle::default());
        let quotas = Quotas::default().with_default(Quota::per_day(1).unwrap());
        let limited = Served::start(limited.with_quotas(quotas, MemoryCounters::default()));
        let (root, nobody) = (minted(&served, "root", ""), minted(&served, "nobody", ""));
        let (document, seen) = (document(), RefCell::default());
        let operations = operations(&document);
        Self { document, operations, served, down, jwt, elsewhere, limited, root, nobody, seen }
    }

    fn operation(&self, id: &str) -> &Operation {
        self.operations.iter().find(|operation| operation.id == id).unwrap_or_else(|| panic!("no operation {id}"))
    }

    fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        resolved(&self.document, value)
    }

    /// The schema of a request body.
    fn takes(&self, id: &str, media_type: &str) -> &Value {
        &self.operation(id).operation["requestBody"]["content"][media_type]["schema"]
    }

    /// Makes sure that the document has an answer, whole.
    #[track_caller]
    fn documented(&self, operation: &Operation, answer: &Answer) {
        let (id, status) = (&operation.id, answer.status.to_string());
        let Some(response) = operation.operation["responses"].get(&status) else {
            panic!("{id} has no {status}: {answer:?}");
        };
        let response = self.resolved(response);
        let json = if response.get("content").is_none() && answer.raw.is_empty() { json!({}) } else { answer.json() };
        if let Some(content) = response.get("content") {
            let schema = &content[answer.header("content-type").unwrap()]["schema"];
            assert!(schema.is_object(), "{id} {status} has no such type: {answer:?}");
            assert_eq!(wrong(&self.document, schema, &json), None, "{id} {status}: {answer:?}");
        }

        let nothing = json!({});
        let headers = response.get("headers").unwrap_or(&nothing).as_object().unwrap();
        for (name, header) in headers {
            let (header, value) = (self.resolved(header), answer.header(&name.to_lowercase()));
            let Some(value) = value else {
                assert_eq!(header["required"], false, "{id} {status} has no {name}");
                continue;
            };
            let value = if header["schema"]["type"] == "integer" {
                value.parse::<u64>().unwrap().into()
            } else {
                Value::from(value)
            };
            assert_eq!(wrong(&self.document, &header["schema"], &value), None, "{id} {status} {name}");
        }
        for name in answer.headers.keys() {
            let always = matches!(name.as_str(), "content-type" | "cache-control" | "pragma");
            assert!(always || headers.keys().any(|header| header.eq_ignore_ascii_case(name)), "{id} {status}: {name}");
        }
        let is_kept = headers.contains_key("Cache-Control");
        assert_eq!(answer.header("cache-control") == Some("no-store"), !is_kept, "{id} {status}");
        let error = json["error"].as_str().map(Into::into);
        self.seen.borrow_mut().insert((id.clone(), status, error));
    }

    #[track_caller]
    fn asked(&self, id: &str, asked: &Asked, status: u16) -> Answer {
        self.asked_of(&self.served, id, asked, status)
    }

    #[track_caller]
    fn asked_of(&self, served: &Served, id: &str, asked: &Asked, status: u16) -> Answer {
        let answer = served.send(asked);
        assert_eq!(answer.status, status, "{id}: {answer:?}");
        self.documented(self.operation(id), &answer);
        answer
    }

    /// Calls an operation as `root`.
    #[track_caller]
    fn call(&self, id: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let operation = self.operation(id);
        let (named, _) = path.split_once('?').unwrap_or((path, ""));
        assert!(fits(&operation.path, named), "{id} is not at {path}");
        let mut asked = request(&operation.method, path).bearer(&self.root);
        if let Some(body) = body {
            asked = asked.json(body);
            let wrong = wrong(&self.document, self.takes(id, "application/json"), body);
            assert_eq!(wrong.is_none(), !matches!(status, 400), "{id} {body}: {wrong:?}");
        }
        self.asked(id, &asked, status).json()
    }
}

/// Whether a path is one of these, parameters in braces.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(path).all(|(part, is)| part.starts_with('{') || *part == is)
}

/// A path with something that there is for each parameter, or with the same for all.
fn filled(template: &str, all: Option<&str>) -> String {
    let key = "A".repeat(43);
    let values = [
        ("{client_id}", "billing"),
        ("{credentials_id}", "seacatauth:client:billing"),
        ("{tenant}", "acme"),
        ("{role}", "accountant"),
        ("{secret_id}", "AAAAAAAAAAAAAAAA"),
        ("{token_id}", &key),
    ];
    values.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, all.unwrap_or(value)))
}

#[test]
fn each_path_has_the_documented_methods_and_no_other() {
    let described = Described::start();
    let mut methods = BTreeMap::<&str, Vec<&str>>::new();
    for operation in &described.operations {
        methods.entry(&operation.path).or_default().push(&operation.method);
    }
    for (path, methods) in methods {
        for method in METHODS {
            let path = filled(path, None);
            let answer = request(method, &path).bearer(&described.root).send(described.served.address, &path);
            if path == GATEWAY_ENDPOINT {
                // Gateways ask with the method of their caller: the document has two, and all are answered alike.
                assert_eq!(answer.status, 200, "{method}: {answer:?}");
                continue;
            }
            // Whoever has GET must have HEAD (RFC 9110 §9.1); management calls are no documents, and do not.
            let is_document = matches!(&*path, METADATA | "/openidconnect/public_keys" | "/.well-known/jwks.json");
            if is_document && method == "HEAD" {
                assert_eq!((answer.status, answer.raw.len()), (200, 0), "{path}");
                continue;
            }
            assert_eq!(answer.status != 405, methods.contains(&method), "{method} {path}: {answer:?}");
            let known = answer.status != 404 || answer.json()["error_description"] != "there is no such path";
            assert!(known, "{method} {path}");
            if answer.status == 405 {
                let head = if is_document { ", HEAD" } else { "" };
                assert_eq!(answer.header("allow"), Some(&*(methods.join(", ") + head)), "{method} {path}");
            }
        }
    }
}

/// Whatever word a path can have stands in the source, so these are all paths that there are, up to their fourth segment.
#[test]
fn each_path_that_the_server_has_is_documented() {
    let described = Described::start();
    let source = include_str!("../src/endpoint/management/call.rs");
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let mut words: BTreeSet<_> = source.split('"').skip(1).step_by(2).filter(is_word).collect();
    assert!(words.contains("reset_secret") && words.len() > 6, "{words:?}");
    let key = "A".repeat(43);
    words.extend(["billing", "*", "seacatauth:client:billing", "AAAAAAAAAAAAAAAA", &key]);

    let mut found = BTreeSet::from([TOKEN_ENDPOINT, INTROSPECTION_ENDPOINT, REVOCATION_ENDPOINT, GATEWAY_ENDPOINT]);
    found.extend(PUBLIC.map(|(_, path)| path));
    let mut paths = vec![String::new()];
    for _ in 0..4 {
        paths = paths.iter().flat_map(|path| words.iter().map(move |word| format!("{path}/{word}"))).collect();
        // `/token` is another name that the token endpoint has in these tests.
        for path in paths.iter().filter(|path| *path != "/token") {
            // No path has it, so it is refused where there is one, and changes nothing.
            let answer = request("PATCH", path).bearer(&described.root).call(&described.served.server);
            let template = described.operations.iter().find(|operation| fits(&operation.path, path));
            match answer.status {
                405 => drop(found.insert(&template.unwrap_or_else(|| panic!("{path} is not documented")).path)),
                status => assert_eq!(status, 404, "{path}"),
            }
        }
    }
    let documented: BTreeSet<_> = described.operations.iter().map(|operation| operation.path.as_str()).collect();
    assert_eq!(found, documented);
}

/// What is granted, operation by operation.
fn successes(described: &Described) {
    let call = |id: &str, path: &str, body: Option<Value>| {
        let responses = described.operation(id).operation["responses"].as_object().unwrap();
        let granted: Vec<_> = responses.keys().filter(|status| status.starts_with('2')).collect();
        assert_eq!(granted.len(), 1, "{id}");
        described.call(id, path, body.as_ref(), granted[0].parse().unwrap())
    };
    let token = |asked: Asked| described.asked("requestToken", &asked, 200);
    for scope in ["", "&scope=", "&scope=tenant:*+read"] {
        token(basic("billing", SECRET, format!("grant_type=client_credentials{scope}")));
    }
    token(post(format!("grant_type=client_credentials&client_id=post&client_secret={SECRET}&else=1")));

    let whole = json!({
        "preferred_client_id": "new-client", "client_name": "New", "token_endpoint_auth_method": "client_secret_post",
        "seacatauth_credentials": true, "scope": "read write", "default_scope": "write",
        "client_credentials_grant_expiration": "10m", "audience": ["api", "urn:example:api"],
    });
    call("createClient", "/client", Some(whole.clone()));
    call("createClient", "/client", Some(json!({})));
    call("createClient", "/client", None);
    call("readClient", "/client/new-client", None);
    call("listClients", "/client", None);
    call("listClients", "/client?p=1&i=100&f=new", None);
    let mut members = whole;
    members.as_object_mut().unwrap().remove("preferred_client_id");
    call("updateClient", "/client/new-client", Some(members));
    for expiration in [json!(60), json!("60"), json!("1h 30m"), json!("1.5 h"), Value::Null] {
        let update = json!({"client_credentials_grant_expiration": expiration});
        call("updateClient", "/client/new-client", Some(update));
    }
    let none = json!({"client_name": null, "scope": null, "default_scope": null, "audience": null});
    call("updateClient", "/client/new-client", Some(none));
    call("readClient", "/client/new-client", None);

    call("listSecrets", "/client/billing/secret", None); // with its last use
    call("resetSecret", "/client/new-client/reset_secret", None);
    call("resetSecret", "/client/new-client/reset_secret", Some(json!({"overlap": null})));
    call("resetSecret", "/client/new-client/reset_secret", Some(json!({"overlap": "24h"})));
    let secrets = call("listSecrets", "/client/new-client/secret", None);
    let secret = format!("/client/new-client/secret/{}", secrets["data"][1]["_id"].as_str().unwrap());
    call("readSecret", &secret, None);
    call("deleteSecret", &secret, None);
    call("deleteSecrets", "/client/new-client/secret", None);
    call("listSecrets", "/client/new-client/secret", None);
    call("readClient", "/client/new-client", None);

    for body in [
        json!({}),
        json!({"exp": "180d", "tenant": "acme", "label": "bäckup"}),
        json!({"exp": 3600, "tenant": null, "label": null}),
        json!({"exp": "2099-01-01"}),
        json!({"exp": "2099-01-01T12:00:00+02:00", "label": ""}),
        json!({"exp": null}),
    ] {
        call("createApiKey", "/client/billing/token", Some(body));
    }
    call("createApiKey", "/client/billing/token", None);
    let keys = call("listApiKeys", "/client/billing/token", None);
    let key = keys["data"][0]["_id"].as_str().unwrap();
    call("deleteApiKey", &format!("/client/billing/token/{key}"), None);
    call("deleteApiKeys", "/client/billing/token", None);

    let of_billing = "seacatauth:client:billing";
    call("assignTenant", &format!("/tenant_assign/{of_billing}/bolt"), None);
    for tenant in ["*", "bolt"] {
        let (role, assign) = (format!("/role/{tenant}/driver"), format!("/role_assign/{of_billing}/{tenant}/driver"));
        call("createRole", &role, Some(json!({"resources": ["truck:drive"]})));
        call("readRole", &role, None);
        call("updateRole", &role, Some(json!({"resources": []})));
        call("assignRole", &assign, None);
        call("readClient", "/client/billing", None);
        call("unassignRole", &assign, None);
        call("deleteRole", &role, None);
    }
    call("readRole", "/role/*/superuser", None);
    call("unassignTenant", &format!("/tenant_assign/{of_billing}/bolt"), None);
    call("deleteClient", "/client/new-client", None);
}

/// What is told of tokens, to clients, to gateways and to anybody, and how tokens end.
fn tokens(described: &Described) {
    let introspect = |served: &Served, token: &str| {
        let asked = request("POST", INTROSPECTION_ENDPOINT).form(format!("token={token}"));
        let said = described.asked_of(served, "introspectToken", &asked.clone().credentials("billing", SECRET), 200);
        let root = asked.bearer(&minted(served, "root", ""));
        let by_bearer = described.asked_of(served, "introspectToken", &root, 200);
        assert_eq!(said.raw, by_bearer.raw);
        said.json()
    };
    assert_eq!(introspect(&described.served, "unknown"), json!({"active": false}));
    for (served, is_jwt) in [(&described.served, false), (&described.jwt, true)] {
        for (more, aud) in [
            ("", Value::Null),
            ("&audience=api", json!("api")),
            ("&resource=&audience=", Value::Null),
            ("&resource=https://api.example.com", json!(API)),
            ("&audience=api&resource=https://api.example.com&audience=api", json!([API, "api"])),
        ] {
            let said = introspect(served, &minted(served, "billing", more));
            assert_eq!((&said["active"], said["jti"].is_string()), (&json!(true), is_jwt), "{more}");
            assert_eq!(said["aud"], aud, "{more}");
        }
    }

    let revoke = |served: &Served, token: &str, status| {
        let asked = request("POST", REVOCATION_ENDPOINT).form(format!("token={token}"));
        described.asked_of(served, "revokeToken", &asked.credentials("billing", SECRET), status)
    };
    for served in [&described.served, &described.jwt] {
        let token = minted(served, "billing", "");
        for _ in 0..2 {
            assert_eq!(revoke(served, &token, 200).json(), json!({}));
            assert_eq!(introspect(served, &token)["active"], false);
        }
    }
    revoke(&described.served, &described.root, 400).refused(400, "unauthorized_client");
    let elsewhere = minted(&described.elsewhere, "billing", "");
    revoke(&described.elsewhere, &elsewhere, 400).refused(400, "unsupported_token_type");

    let read = minted(&described.served, "billing", "+read");
    for id in OF_GATEWAYS {
        for query in ["", "?scope=read&tenant=acme&resource=invoice:edit&resource=invoice:edit"] {
            let asked = request(&described.operation(id).method, &format!("{GATEWAY_ENDPOINT}{query}"));
            described.asked(id, &asked.clone().bearer(&read), 200);
            let status = if query.is_empty() { 200 } else { 403 };
            described.asked(id, &asked.bearer(&described.nobody), status);
        }
    }

    for (id, path) in PUBLIC {
        for (served, has_keys) in [(&described.served, false), (&described.jwt, true)] {
            let said = described.asked_of(served, id, &request("GET", path), 200).json();
            let said = said.get("jwks_uri").or_else(|| said["keys"].get(0));
            assert_eq!(said.is_some(), has_keys, "{path}: {said:?}");
        }
    }
}

/// What every call of the management API refuses alike.
fn common_errors(described: &Described, operation: &Operation) {
    let (id, path) = (operation.id.as_str(), filled(&operation.path, None));
    let asked = |path: &str| request(&operation.method, path);
    let as_root = || asked(&path).bearer(&described.root);
    let has = |status: &str| operation.operation["responses"].get(status).is_some();

    described.asked(id, &asked(&path), 401);
    described.asked(id, &asked(&path).bearer("unknown"), 401);
    described.asked(id, &as_root().bearer(&described.root), 400);
    described.asked(id, &as_root().method("PATCH"), 405);
    // Without a token, from where somebody was without one just now.
    let mut anonymous = (0..10).map(|_| {
        let request = asked(&path);
        let request = request.request_at(now()).source(IpAddr::from([192, 0, 2, 1]));
        Answer::of(&block_on(handle_management_request(&*described.limited.server, &request)))
    });
    described.documented(operation, &anonymous.find(|answer| answer.status == 429).unwrap());
    let mut needed = BTreeSet::new();
    for tenant in ["acme", "*"] {
        let path = filled(&operation.path.replace("{tenant}", tenant), None);
        if !(tenant == "*" && id.ends_with("signTenant")) {
            let refused = described.asked(id, &asked(&path).bearer(&described.nobody), 403).json();
            let description = refused["error_description"].as_str().unwrap();
            let resource = description.strip_prefix("the bearer token does not hold the resource `").unwrap();
            needed.insert(resource.strip_suffix('`').unwrap().to_owned());
        }
    }
    let security = operation.operation["security"].as_array().unwrap();
    let documented = security.iter().map(|security| security["bearer"][0].as_str().unwrap().to_owned());
    assert_eq!(needed, documented.collect(), "{id}");
    assert_eq!(has("404"), operation.path.contains('{'), "{id}");
    if has("404") {
        described.asked(id, &asked(&filled(&operation.path, Some("%00"))).bearer(&described.root), 404);
    }
    let of_client = operation.path.contains("{client_id}") || operation.path.contains("{credentials_id}");
    assert_eq!((has("412"), has("304")), (of_client, of_client && operation.method == "GET"), "{id}");
    if of_client {
        described.asked(id, &as_root().header("If-Match", "\"0123456789abcdef\""), 412);
        let status = if operation.method == "GET" { 304 } else { 412 };
        described.asked(id, &as_root().header("If-None-Match", "*"), status);
    }
    let takes = operation.operation.get("requestBody").is_some();
    assert_eq!((has("413"), has("415")), (takes, takes), "{id}");
    if takes {
        described.asked(id, &as_root().body("{}"), 415);
        described.asked(id, &as_root().json(&json!("x".repeat(17_000))), 413);
        described.call(id, &path, Some(&json!({"such_a_member": 1})), 400);
    }
    let down = described.down.send(&as_root().json(&json!({})));
    let down = if down.status == 400 { described.down.send(&as_root().json(&json!({"resources": []}))) } else { down };
    down.refused(503, "temporarily_unavailable");
    described.documented(operation, &down);
}

/// What only one operation refuses, or for a reason of its own.
fn errors_of_their_own(described: &Described) {
    let token = |asked: Asked, status| described.asked("requestToken", &asked, status);
    let grant = "grant_type=client_credentials";
    token(basic("billing", SECRET, ""), 400);
    token(basic("billing", SECRET, "grant_type=password"), 400);
    token(basic("billing", SECRET, format!("{grant}&scope=write")), 400);
    token(basic("billing", SECRET, format!("{grant}&resource=api")), 400).refused(400, "invalid_target");
    token(basic("billing", SECRET, format!("{grant}&audience=unknown")), 400).refused(400, "invalid_target");
    token(basic("disabled", SECRET, grant), 400);
    token(basic("billing", "wrong", grant), 401);
    token(post(grant), 401);
    token(basic("billing", SECRET, grant).method("GET"), 405);
    token(post("x".repeat(17_000)), 413);
    let down = described.down.send(&basic("billing", SECRET, grant));
    described.documented(described.operation("requestToken"), &down);

    for (id, path) in [("introspectToken", INTROSPECTION_ENDPOINT), ("revokeToken", REVOCATION_ENDPOINT)] {
        let form = |form: &str, secret: &str| request("POST", path).form(form).credentials("billing", secret);
        described.asked(id, &form("", SECRET), 400);
        described.asked(id, &form("token=a", "wrong"), 401).refused(401, "invalid_client");
        described.asked(id, &form("token=a", SECRET).method("GET"), 405);
        described.asked(id, &form(&"x".repeat(17_000), SECRET), 413);
        described.asked_of(&described.down, id, &form("token=a", SECRET), 503);
    }
    for (id, path) in [
        ("requestToken", TOKEN_ENDPOINT),
        ("introspectToken", INTROSPECTION_ENDPOINT),
        ("revokeToken", REVOCATION_ENDPOINT),
    ] {
        let guess = request("POST", path).form(format!("token=a&{grant}")).credentials("billing", "wrong");
        // At most the first one is verified, unless a second goes by in between.
        let mut guesses = (0..10).map(|_| described.limited.send(&guess));
        let refused = guesses.find(|answer| answer.status == 429).unwrap();
        described.documented(described.operation(id), &refused);
    }
    let mint = basic("disabled", SECRET, grant);
    described.asked_of(&described.limited, "requestToken", &mint, 400);
    let mint = basic("root", SECRET, grant);
    let granted = described.asked_of(&described.limited, "requestToken", &mint, 200);
    let refused = described.asked_of(&described.limited, "requestToken", &mint, 429);
    assert!([granted, refused].iter().all(|answer| answer.header("ratelimit").is_some()));

    let introspect = request("POST", INTROSPECTION_ENDPOINT).form("token=a");
    described.asked("introspectToken", &introspect, 401).refused(401, "invalid_client");
    described.asked("introspectToken", &introspect.clone().bearer("unknown"), 401).refused(401, "invalid_token");
    described.asked("introspectToken", &introspect.clone().bearer(&described.nobody), 403);
    described.asked_of(&described.down, "introspectToken", &introspect.bearer(&described.root), 503);

    for id in OF_GATEWAYS {
        let asked = |query: &str| request(&described.operation(id).method, &format!("{GATEWAY_ENDPOINT}{query}"));
        described.asked(id, &asked(""), 401);
        described.asked(id, &asked("").bearer("unknown"), 401);
        // Other than elsewhere, since a gateway passes no 400 on.
        described.asked(id, &asked("").bearer(&described.root).bearer(&described.root), 401);
        described.asked(id, &asked("?scope=write").bearer(&described.root), 403);
        described.asked(id, &asked("?tenant=acme").bearer(&described.nobody), 200);
        described.asked(id, &asked("?audience=api").bearer(&described.root), 401);
        described.asked(id, &asked("?such_a_parameter=1").bearer(&described.root), 400);
        described.asked(id, &asked("?scope=a++b").bearer(&described.root), 400).refused(400, "invalid_scope");
        described.asked_of(&described.down, id, &asked("").bearer(&described.root), 503);
    }
    for (id, path) in PUBLIC {
        described.asked(id, &request("POST", path), 405);
    }

    described.call("listClients", "/client?p=0", None, 400);
    described.call("listClients", "/client?i=101", None, 400);
    described.call("listClients", "/client?f=%zz", None, 400);
    described.call("createClient", "/client", Some(&json!({"preferred_client_id": "billing"})), 409);
    let overlap = json!({"overlap": "1h"});
    for status in [200, 200, 409] {
        described.call("resetSecret", "/client/billing/reset_secret", Some(&overlap), status);
    }
    let key = |path, body: Value| {
        let asked = request("POST", path).bearer(&described.root).json(&body);
        described.asked("createApiKey", &asked, 400)
    };
    key("/client/disabled/token", json!({})).refused(400, "unauthorized_client");
    key("/client/billing/token", json!({"tenant": "bolt"})).refused(400, "invalid_request");
    described.call("createRole", "/role/acme/accountant", Some(&json!({"resources": []})), 409);
    described.call("deleteRole", "/role/*/superuser", None, 400);
    for id in ["readSecret", "deleteSecret", "deleteApiKey"] {
        described.call(id, &filled(&described.operation(id).path, None), None, 404);
    }
}

#[test]
fn each_answer_is_as_documented_and_each_documented_one_is_given() {
    let described = Described::start();
    tokens(&described);
    successes(&described);
    for operation in described.operations.iter().filter(|operation| is_management(&operation.id)) {
        common_errors(&described, operation);
    }
    errors_of_their_own(&described);

    let mut documented = BTreeSet::new();
    for Operation { id, operation, .. } in &described.operations {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let response = described.resolved(response);
            let mut errors = Vec::new();
            walk(response, &mut |name, value| {
                if name == "error" {
                    let one = value.get("const").into_iter();
                    errors.extend(value["enum"].as_array().into_iter().flatten().chain(one).cloned());
                }
            });
            if errors.is_empty() || status == "401" && !OF_CLIENTS.contains(&&**id) {
                documented.insert((id.clone(), status.clone(), None));
            }
            let errors = errors.iter().map(|error| error.as_str().map(Into::into));
            documented.extend(errors.map(|error| (id.clone(), status.clone(), error)));
        }
    }
    let seen = described.seen.borrow();
    let never: Vec<_> = documented.difference(&seen).collect();
    assert!(never.is_empty(), "never answered: {never:?}");
    let more: Vec<_> = seen.difference(&documented).collect();
    assert!(more.is_empty(), "not documented: {more:?}");
}

#[test]
fn what_the_schemas_refuse_the_server_refuses_too() {
    let described = Described::start();
    let (client, role) = ("/client/billing", "/role/acme/new");
    let (secret, key) = ("/client/billing/reset_secret", "/client/billing/token");
    for (id, path, body) in [
        ("updateClient", client, json!([])),
        ("updateClient", client, json!({"client_nam": "x"})),
        ("updateClient", client, json!({"client_id": "x"})),
        ("updateClient", client, json!({"preferred_client_id": "abcd"})),
        ("updateClient", client, json!({"tenants": []})),
        ("updateClient", client, json!({"client_name": 1})),
        ("updateClient", client, json!({"client_name": "a\nb"})),
        ("updateClient", client, json!({"seacatauth_credentials": "true"})),
        ("updateClient", client, json!({"seacatauth_credentials": null})),
        ("updateClient", client, json!({"token_endpoint_auth_method": "none"})),
        ("updateClient", client, json!({"token_endpoint_auth_method": null})),
        ("updateClient", client, json!({"scope": "a  b"})),
        ("updateClient", client, json!({"scope": ""})),
        ("updateClient", client, json!({"scope": "a\"b"})),
        ("updateClient", client, json!({"client_credentials_grant_expiration": "soon"})),
        ("updateClient", client, json!({"client_credentials_grant_expiration": "10 parsecs"})),
        ("updateClient", client, json!({"client_credentials_grant_expiration": 0})),
        ("updateClient", client, json!({"client_credentials_grant_expiration": 1.5})),
        ("updateClient", client, json!({"audience": "api"})),
        ("updateClient", client, json!({"audience": [null]})),
        ("updateClient", client, json!({"audience": [""]})),
        ("updateClient", client, json!({"audience": ["a b"]})),
        ("updateClient", client, json!({"audience": ["a\"b"]})),
        ("updateClient", client, json!({"audience": ["a\\b"]})),
        ("updateClient", client, json!({"audience": ["a".repeat(256)]})),
        ("createClient", "/client", json!({"audience": {}})),
        ("createClient", "/client", json!({"preferred_client_id": "abc"})),
        ("createClient", "/client", json!({"preferred_client_id": "a b c d"})),
        ("createClient", "/client", json!({"preferred_client_id": "a".repeat(65)})),
        ("createClient", "/client", json!({"preferred_client_id": null})),
        ("createClient", "/client", json!({"client_secret": "x"})),
        ("resetSecret", secret, json!({"overlap": "-1h"})),
        ("resetSecret", secret, json!({"overlap": true})),
        ("resetSecret", secret, json!({"over": "1h"})),
        ("createApiKey", key, json!({"exp": "tomorrow"})),
        ("createApiKey", key, json!({"exp": -1})),
        ("createApiKey", key, json!({"exp": "2999-02-30"})),
        ("createApiKey", key, json!({"tenant": "a/b"})),
        ("createApiKey", key, json!({"tenant": "*"})),
        ("createApiKey", key, json!({"label": 1})),
        ("createApiKey", key, json!({"label": "a\nb"})),
        ("createApiKey", key, json!({"label": "a".repeat(257)})),
        ("createRole", role, json!({})),
        ("createRole", role, json!({"resources": "a"})),
        ("createRole", role, json!({"resources": ["a b"]})),
        ("createRole", role, json!({"resources": [""]})),
        ("createRole", role, json!({"resources": ["a".repeat(257)]})),
        ("updateRole", "/role/acme/accountant", json!({"resources": [], "description": "x"})),
    ] {
        described.call(id, path, Some(&body), 400);
    }
    let form = described.takes("requestToken", "application/x-www-form-urlencoded");
    for (body, status) in [
        (json!({"grant_type": "client_credentials", "scope": "read", "else": "1"}), 200),
        (json!({"grant_type": "client_credentials", "scope": "a  b"}), 400),
        (json!({"grant_type": "password"}), 400),
        (json!({"scope": "read"}), 400),
        (json!({"grant_type": "client_credentials", "resource": [API, ""], "audience": ["api", ""]}), 200),
        (json!({"grant_type": "client_credentials", "resource": [API, "api"]}), 400),
        (json!({"grant_type": "client_credentials", "resource": ["https://api.example.com#"]}), 400),
        (json!({"grant_type": "client_credentials", "resource": ["//api.example.com"]}), 400),
    ] {
        let members = body.as_object().unwrap().iter();
        let pairs = members.flat_map(|(name, value)| match value {
            Value::Array(values) => values.iter().map(|value| (name, value.as_str().unwrap())).collect(),
            value => vec![(name, value.as_str().unwrap())],
        });
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        described.asked("requestToken", &basic("billing", SECRET, encoded), status);
        assert_eq!(wrong(&described.document, form, &body).is_none(), status == 200, "{body}");
    }
}

#[test]
fn what_the_query_of_a_gateway_cannot_have_is_refused() {
    let described = Described::start();
    let parameters = described.document["paths"][GATEWAY_ENDPOINT]["parameters"].as_array().unwrap();
    let mut known: BTreeSet<_> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
    for (name, value, fits) in [
        ("scope", "read", true),
        ("scope", "read tenant:acme", true),
        ("scope", "", false),
        ("scope", "a  b", false),
        ("scope", "a\"b", false),
        ("tenant", "acme", true),
        ("tenant", "", false),
        ("tenant", "*", false),
        ("tenant", "a/b", false),
        ("tenant", &"a".repeat(65), false),
        ("resource", "report:read", true),
        ("resource", &"a".repeat(256), true),
        ("resource", "", false),
        ("resource", "a b", false),
        ("resource", &"a".repeat(257), false),
        ("audience", "any text", true),
        ("audience", "", false),
    ] {
        known.remove(name);
        let parameter = parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
        let one = if name == "resource" { json!([value]) } else { json!(value) };
        assert_eq!(wrong(&described.document, &parameter["schema"], &one).is_none(), fits, "{name}={value}");
        let query = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
        let asked = request("GET", GATEWAY_ENDPOINT).query(&query).bearer(&described.root);
        let answer = described.served.send(&asked);
        assert_eq!(answer.status != 400, fits, "{query}: {answer:?}");
        described.documented(described.operation("checkRequest"), &answer);
    }
    assert!(known.is_empty(), "{known:?}");
}

#[test]
fn a_member_that_is_not_documented_would_be_noticed() {
    let described = Described::start();
    for Operation { id, operation, .. } in &described.operations {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let Some(content) = described.resolved(response).get("content") else { continue };
            let schema = &content["application/json"]["schema"];
            let errors = wrong(&described.document, schema, &json!({"such_a_member": 1})).unwrap_or_default();
            let is_noticed = ["such_a_member", "anyOf", "False schema"].iter().any(|by| errors.contains(by));
            assert!(is_noticed, "{id} {status}: {errors}");
        }
    }
}

#[test]
fn the_document_is_whole() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.1");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(format!("{}\n", OPENAPI.trim_end()), OPENAPI);

    let (mut used, mut members) = (BTreeSet::new(), 0);
    walk(&document, &mut |name, value| {
        members += 1;
        if let Some(reference) = value.as_str().filter(|_| name == "$ref") {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} is nowhere");
            used.insert(pointer.to_owned());
        }
    });
    assert!(members > 500 && !used.is_empty());
    for (kind, components) in document["components"].as_object().unwrap() {
        for (name, component) in components.as_object().unwrap() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(kind == "securitySchemes" || used.contains(&pointer), "{pointer} is used nowhere");
            assert!(kind != "schemas" || jsonschema::draft202012::meta::is_valid(component), "{pointer}");
        }
    }

    let operations = operations(&document);
    let ids: BTreeSet<_> = operations.iter().map(|operation| &operation.id).collect();
    assert_eq!(ids.len(), operations.len(), "each id is of one operation");
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).map(|n| n.as_str()).collect();
    for Operation { id, path, operation, .. } in &operations {
        assert!(operation["summary"].is_string(), "{id}");
        // What anybody can find out stands in no store.
        assert_eq!(operation["responses"]["503"].is_object(), !is_public(id), "{id}");
        assert!(operation["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag.as_str())), "{id}");
        for security in operation["security"].as_array().unwrap() {
            let schemes = &document["components"]["securitySchemes"];
            assert!(security.as_object().unwrap().keys().all(|scheme| schemes.get(scheme).is_some()), "{id}");
        }
        let item = &document["paths"][path.as_str()];
        let parameters = [item, operation].map(|of| of["parameters"].as_array().cloned().unwrap_or_default()).concat();
        let parameters = parameters.iter().map(|parameter| resolved(&document, parameter));
        let named: BTreeSet<_> =
            parameters.filter(|p| p["in"] == "path").map(|p| format!("{{{}}}", p["name"].as_str().unwrap())).collect();
        let braced: BTreeSet<_> = path.split('/').filter(|part| part.starts_with('{')).map(ToOwned::to_owned).collect();
        assert_eq!(named, braced, "{path}");
    }
}
