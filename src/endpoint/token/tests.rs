//! What only the inside can see: how often a secret is verified, and what becomes of a failing backend.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use time::OffsetDateTime;

use super::*;
use crate::{
    AccessToken, Authorization, Claims, Client, ClientBuilder, ClientId, ClientSecret, ClientSecretHash, Config, Error,
    MemoryStore, RandomSource, Role, Scope, SecretClass, TokenEndpointAuthMethod, TokenHash, TokenStore,
    secret::counted,
};

const FORM: &[u8] = b"application/x-www-form-urlencoded";
const GRANT: &[u8] = b"grant_type=client_credentials";

fn hash(class: SecretClass) -> ClientSecretHash {
    // Few rounds: what is counted here is verifications.
    match class {
        SecretClass::Generated => {
            ClientSecretHash::generated(&ClientSecret::new("right".into()), &RandomSource::default())
        }
        SecretClass::Chosen => return SLOW.parse().unwrap(),
    }
    .unwrap()
}

/// Of "right"; `hashlib.pbkdf2_hmac('sha256', b'right', b'saltsalt', 2, 32)` in Python.
const SLOW: &str = "$pbkdf2-sha256$i=2$c2FsdHNhbHQ$AnGU186ifJGhVOzWISODRDr+KWh19aAI8GHYT95EtV4";

fn store(class: SecretClass) -> MemoryStore {
    let store = MemoryStore::default();
    let client = |id: &str| Client::builder(id).seacatauth_credentials(true);
    let known = client("known").client_secret_hash(hash(class)).tenant("acme");
    let known = known.role(Role::new("*/reader", ["read"]).unwrap()).role(Role::new("acme/editor", ["edit"]).unwrap());
    store.insert_client(known.build().unwrap());
    store.insert_client(client("secretless").build().unwrap());
    let expired =
        client("expired").client_secret_hash(hash(class)).client_secret_expires_at(OffsetDateTime::UNIX_EPOCH);
    store.insert_client(expired.build().unwrap());
    let posting = client("posting").client_secret_hash(hash(class));
    store.insert_client(posting.token_endpoint_auth_method(TokenEndpointAuthMethod::ClientSecretPost).build().unwrap());
    store.insert_client(Client::builder("disabled").client_secret_hash(hash(class)).build().unwrap());
    store
}

fn parse<'a>(authorization: &'a str, config: &Config) -> TokenRequest<'a> {
    let request = Request::new("POST", OffsetDateTime::UNIX_EPOCH + time::Duration::DAY);
    let request = request.header("Authorization", authorization.as_bytes()).header("Content-Type", FORM).body(GRANT);
    TokenRequest::parse(&request, config).unwrap()
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

#[tokio::test]
async fn equal_work_for_every_answer() {
    for class in [SecretClass::Generated, SecretClass::Chosen] {
        let config = Config::default().with_unknown_client_secret_hash(hash(class));
        let store = store(class);
        for (credentials, cause) in [
            ("known:right", ""),
            ("known:wrong", "WrongSecret"),
            ("known:", "WrongSecret"),
            ("unknown:right", "UnknownClient"),
            ("secretless:right", "NoSecretRegistered"),
            ("secretless:", "NoSecretRegistered"),
            ("expired:right", "ExpiredSecret"),
            ("expired:wrong", "WrongSecret"),
            ("posting:right", "WrongMethod"),
            ("posting:wrong", "WrongSecret"),
            ("disabled:wrong", "WrongSecret"),
        ] {
            let authorization = basic(credentials);
            let request = parse(&authorization, &config);
            let client = store.find_client(request.client_id()).await.unwrap();
            counted::take();
            let refused = request.authenticate(client, &config).err();
            assert_eq!(counted::take(), [hash(class).cost()], "{credentials}");
            assert_eq!(refused.map(|cause| format!("{cause:?}")).unwrap_or_default(), cause, "{credentials}");
        }
    }
}

/// With misspellings noted, every refusal costs the same too: one verification, and for each spelling a fast one.
#[tokio::test]
async fn equal_work_for_every_misspelling() {
    for class in [SecretClass::Generated, SecretClass::Chosen] {
        let config = Config::default().with_unknown_client_secret_hash(hash(class));
        let store = store(class);
        let server = AuthorizationServer::new(store.clone(), crate::OpaqueIssuer::new(store), config);
        // On this thread, where they are counted.
        let server = server.with_misspellings_noted().with_verification_threads(0);
        let fast = (SecretClass::Generated, 1);
        for (presented, spellings, misspelling) in [
            ("wrong", 0, None),
            ("", 0, None),
            ("%72ight", 1, None),
            ("%2572ight", 2, Some("EncodedTwice")),
            (" right+", 3, Some("SpacesAround")),
            ("\"right\"", 1, Some("Quoted")),
            ("cmlnaHQ=", 1, Some("Base64")),
        ] {
            let mut answers = Vec::new();
            for client in ["known", "unknown", "secretless", "expired", "posting", "disabled"] {
                let authorization = basic(&format!("{client}:{presented}"));
                let request = Request::new("POST", OffsetDateTime::UNIX_EPOCH + time::Duration::DAY);
                let request = request.header("Authorization", authorization.as_bytes()).header("Content-Type", FORM);
                counted::take();
                let reply = handle_token_request(&server, &request.body(GRANT)).await;
                if reply.status() == 200 || matches!(reply.cause(), Some(Error::GrantNotEnabled)) {
                    assert_eq!((presented, counted::take()), ("%72ight", vec![hash(class).cost()]), "{client}");
                    continue;
                }
                let expected = [vec![hash(class).cost()], vec![fast; 1 + spellings]].concat();
                assert_eq!(counted::take(), expected, "{client}:{presented}");
                let told = reply.cause().map(|cause| format!("{cause:?}")).unwrap_or_default();
                // A slow one is known by the row in which it was right.
                let is_known = match class {
                    SecretClass::Generated => !["unknown", "secretless"].contains(&client),
                    SecretClass::Chosen => ["known", "disabled"].contains(&client),
                };
                match misspelling.filter(|_| is_known) {
                    Some(misspelling) => assert_eq!(told, format!("MisspelledSecret({misspelling})"), "{client}"),
                    None => assert!(!told.contains("Misspelled"), "{client}:{presented} {told}"),
                }
                answers.push((reply.status(), reply.into_body()));
            }
            answers.dedup();
            assert_eq!(answers.len(), 1, "{presented}: the answers differ");
        }
    }
}

#[test]
fn a_secret_expires_at_its_instant() {
    let config = Config::default();
    let arrived = OffsetDateTime::UNIX_EPOCH + time::Duration::DAY;
    for (expires_at, right) in [
        (arrived - time::Duration::NANOSECOND, false),
        (arrived, false),
        // A fraction is dropped: RFC 7591 §3.2.1 counts in seconds.
        (arrived + time::Duration::NANOSECOND, false),
        (arrived + time::Duration::SECOND, true),
    ] {
        let client =
            Client::builder("a").client_secret_hash(hash(SecretClass::Generated)).client_secret_expires_at(expires_at);
        let authorization = basic("a:right");
        let client = Some(Arc::new(client.build().unwrap()));
        assert_eq!(parse(&authorization, &config).authenticate(client, &config).is_ok(), right);
    }
}

#[test]
fn a_step_refuses_the_client_of_another_request() {
    let config = Config::default();
    for other in ["b", "A", "a "] {
        let client =
            Client::builder(other).client_secret_hash(hash(SecretClass::Generated)).seacatauth_credentials(true);
        let authorization = basic("a:right");
        let refused = parse(&authorization, &config).authenticate(Some(Arc::new(client.build().unwrap())), &config);
        assert!(matches!(refused.unwrap_err(), Error::UnknownClient));
    }
}

#[test]
fn a_token_says_the_resources_of_its_tenants() {
    let config = Config::default();
    let client = Client::builder("a")
        .client_secret_hash(hash(SecretClass::Generated))
        .seacatauth_credentials(true)
        .tenant("acme")
        .tenant("bolt")
        .role(Role::new("*/reader", ["read"]).unwrap())
        .role(Role::new("acme/editor", ["edit"]).unwrap())
        .role(Role::new("other/editor", ["edit-other"]).unwrap());
    let client = Arc::new(client.build().unwrap());
    for (scope, map) in [
        ("", r#"{"*":["read"]}"#),
        ("&scope=tenant:acme", r#"{"*":["read"],"acme":["edit","read"]}"#),
        ("&scope=tenant:*", r#"{"*":["read"],"acme":["edit","read"],"bolt":["read"]}"#),
    ] {
        let (authorization, body) = (basic("a:right"), [GRANT, scope.as_bytes()].concat());
        let request = Request::new("POST", OffsetDateTime::UNIX_EPOCH).header("Content-Type", FORM).body(&body);
        let request = request.header("Authorization", authorization.as_bytes());
        let request =
            TokenRequest::parse(&request, &config).unwrap().authenticate(Some(client.clone()), &config).unwrap();
        assert!(request.unassigned_tenants().is_empty());
        let request = request.authorize(&[], &config).unwrap();
        assert_eq!(serde_json::to_string(request.claims().authorization()).unwrap(), map);
        assert_eq!(request.claims().expires_at(), OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(3));
    }
}

/// What this client gets for a scope, as `scope map`, or the refusal.
fn granted(client: &Arc<Client>, scope: &str, existing: &[TenantName], config: &Config) -> String {
    let (authorization, body) = (basic("a:right"), [GRANT, scope.as_bytes()].concat());
    let request = Request::new("POST", OffsetDateTime::UNIX_EPOCH).header("Content-Type", FORM).body(&body);
    let request = TokenRequest::parse(&request.header("Authorization", authorization.as_bytes()), config).unwrap();
    match request.authenticate(Some(client.clone()), config).unwrap().authorize(existing, config) {
        Ok(request) => {
            let scope = request.claims().scope().map_or("-", Scope::as_str);
            format!("{scope} {}", serde_json::to_string(request.claims().authorization()).unwrap())
        }
        Err(cause) => format!("{cause:?}"),
    }
}

#[test]
fn what_a_client_was_granted_once_is_granted_no_other() {
    let config = Config::default();
    let client = Client::builder("a")
        .client_secret_hash(hash(SecretClass::Generated))
        .seacatauth_credentials(true)
        .scope("read")
        .tenant("acme")
        .tenant("bolt")
        .role(Role::new("*/doorkeeper", [crate::TENANT_ACCESS]).unwrap());
    let client = Arc::new(client.build().unwrap());
    let open = [TenantName::parse("open").unwrap()];
    // Among the first is one that depends on the store, and one that is refused: neither may stay.
    for _ in 0..3 {
        let all = r#"{"*":["authz:tenant:access"],"open":["authz:tenant:access"]}"#;
        assert_eq!(granted(&client, "&scope=tenant:open", &open, &config), format!("tenant:open {all}"));
        assert_eq!(granted(&client, "&scope=tenant:open", &[], &config), "TenantNotAssigned");
        let both = r#"{"*":["authz:tenant:access"],"acme":["authz:tenant:access"],"bolt":["authz:tenant:access"]}"#;
        assert_eq!(granted(&client, "&scope=tenant:*", &[], &config), format!("tenant:acme tenant:bolt {both}"));
        assert_eq!(granted(&client, "&scope=read", &[], &config), r#"read {"*":["authz:tenant:access"]}"#);
        assert_eq!(granted(&client, "", &[], &config), r#"- {"*":["authz:tenant:access"]}"#);
        assert_eq!(granted(&client, "&scope=write", &[], &config), "ScopeNotRegistered");
    }
    let narrow = Config::default().with_max_tenants(1).unwrap();
    assert_eq!(granted(&client, "&scope=tenant:*", &[], &narrow), "TooManyTenants");

    // A changed client is another one.
    let changed = Client::clone(&client).into_builder().without_tenant("bolt").without_role("*/doorkeeper");
    let changed = Arc::new(changed.build().unwrap());
    assert_eq!(granted(&changed, "&scope=tenant:*", &[], &config), r#"tenant:acme {"*":[],"acme":[]}"#);
    let resolved = Arc::new(Client::clone(&client).with_roles_resolved(|_| None));
    assert_eq!(granted(&resolved, "&scope=read", &[], &config), r#"read {"*":[]}"#);
    assert_eq!(*changed, Client::clone(&changed), "what was granted is no part of a client");
}

#[test]
fn tenants_that_exist_are_open_to_nobody_without_the_resource() {
    let (config, existing) = (Config::default(), [TenantName::parse("acme").unwrap()]);
    let client = |role: Option<&str>| {
        let client = Client::builder("a").client_secret_hash(hash(SecretClass::Generated)).seacatauth_credentials(true);
        let client =
            role.map(|id| Role::new(id, [crate::TENANT_ACCESS]).unwrap()).into_iter().fold(client, ClientBuilder::role);
        Some(Arc::new(client.build().unwrap()))
    };
    for (role, asks, allowed) in [
        (None, 0, false),
        (Some("acme/doorkeeper"), 0, false),
        (Some("other/doorkeeper"), 0, false),
        (Some("*/doorkeeper"), 1, true),
    ] {
        let (authorization, body) = (basic("a:right"), [GRANT, b"&scope=tenant:acme"].concat());
        let request = Request::new("POST", OffsetDateTime::UNIX_EPOCH).header("Content-Type", FORM).body(&body);
        let request = TokenRequest::parse(&request.header("Authorization", authorization.as_bytes()), &config).unwrap();
        let request = request.authenticate(client(role), &config).unwrap();
        assert_eq!(request.unassigned_tenants().len(), asks, "{role:?}");
        assert_eq!(request.authorize(&existing, &config).is_ok(), allowed, "{role:?}");
    }
}

/// A store and an issuer that fail when told to, and count what they are asked.
#[derive(Default)]
struct Frail {
    store: Option<MemoryStore>,
    tokens: Mutex<Vec<(TokenHash, Claims)>>,
    look_ups: AtomicUsize,
    fail_to_find: bool,
    fail_to_keep: bool,
}

impl ClientStore for Frail {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        match &self.store {
            Some(store) if !self.fail_to_find => store.find_client(client_id).await,
            _ => Err(BackendError::new("the disk of db-7 is on fire")),
        }
    }
}

impl TokenStore for Frail {
    async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
        if self.fail_to_keep {
            return Err(BackendError::new("the disk of db-7 is on fire"));
        }
        self.tokens.lock().unwrap().push((hash, claims));
        Ok(())
    }

    async fn find(&self, _: &TokenHash) -> Result<Option<Claims>, BackendError> {
        Ok(None)
    }

    async fn revoke(&self, _: &TokenHash) -> Result<bool, BackendError> {
        Ok(false)
    }

    async fn revoke_all(&self, _: &ClientId, _: OffsetDateTime) -> Result<(), BackendError> {
        Ok(())
    }

    async fn deny(&self, _: &TokenHash, _: &Claims) -> Result<bool, BackendError> {
        Ok(false)
    }

    async fn is_denied(&self, _: &TokenHash, _: &Claims) -> Result<bool, BackendError> {
        Ok(false)
    }

    async fn list_tokens(&self, _: &ClientId, _: OffsetDateTime) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
        Ok(Vec::new())
    }

    async fn purge_expired(&self, _: OffsetDateTime, _: usize) -> Result<usize, BackendError> {
        Ok(0)
    }
}

async fn mint(backend: &Arc<Frail>) -> Reply {
    let server =
        AuthorizationServer::new(backend.clone(), crate::OpaqueIssuer::new(backend.clone()), Config::default());
    let (authorization, form) = (basic("known:right"), [GRANT, b"&scope=tenant:acme"].concat());
    let request = Request::new("POST", OffsetDateTime::UNIX_EPOCH).header("Content-Type", FORM).body(&form);
    handle_token_request(&server, &request.header("Authorization", authorization.as_bytes())).await
}

#[tokio::test]
async fn a_mint_is_one_look_up_and_one_row() {
    let backend = Arc::new(Frail { store: Some(store(SecretClass::Generated)), ..Frail::default() });
    let reply = mint(&backend).await;
    assert_eq!((reply.status(), backend.look_ups.load(Ordering::Relaxed)), (200, 1));
    let body: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
    let tokens = backend.tokens.lock().unwrap();
    let [(hash, claims)] = tokens.as_slice() else { panic!("one token, one row") };
    assert_eq!(*hash, TokenHash::of(body["access_token"].as_str().unwrap()));
    let (tenant, now) = (TenantName::parse("acme").unwrap(), OffsetDateTime::UNIX_EPOCH);
    let expected = Claims::new(ClientId::parse("known").unwrap(), now, now + time::Duration::minutes(3))
        .with_scope(Scope::parse("tenant:acme").unwrap())
        .with_authorization(Authorization::new(
            ["read"].into_iter().collect(),
            [(tenant, ["edit", "read"].into_iter().collect())],
        ));
    assert_eq!(*claims, expected);
}

#[tokio::test]
async fn a_failing_backend_is_503_without_detail() {
    for (fail_to_find, fail_to_keep) in [(true, false), (false, true)] {
        let store = Some(store(SecretClass::Generated));
        let reply = mint(&Arc::new(Frail { store, fail_to_find, fail_to_keep, ..Frail::default() })).await;
        assert_eq!(reply.status(), 503);
        assert!(reply.headers().any(|(name, _)| name == "Retry-After"));
        let body = std::str::from_utf8(reply.body()).unwrap();
        assert_eq!(body, r#"{"error":"temporarily_unavailable","error_description":"the server cannot answer now"}"#);
        let cause = std::error::Error::source(reply.cause().unwrap()).unwrap().to_string();
        assert_eq!(cause, "the disk of db-7 is on fire");
    }
}

#[tokio::test]
async fn rfc6749_5_1_the_steps_and_the_handler_say_the_same() {
    let (store, config) = (store(SecretClass::Generated), Config::default());
    let random = RandomSource::from_fn(|bytes| {
        bytes.fill(7);
        Ok(())
    });
    let issuer = crate::OpaqueIssuer::new(store.clone()).with_random(random);
    let (authorization, form) = (basic("known:right"), [GRANT, b"&scope=tenant:acme"].concat());
    let request = Request::new("POST", OffsetDateTime::UNIX_EPOCH).header("Content-Type", FORM).body(&form);
    let request = request.header("Authorization", authorization.as_bytes());

    let step = TokenRequest::parse(&request, &config).unwrap();
    let client = store.find_client(step.client_id()).await.unwrap();
    let step = step.authenticate(client, &config).unwrap().authorize(&[], &config).unwrap();
    let token = issuer.issue(step.claims()).await.unwrap();
    let by_steps = Reply::from(step.respond(token));

    let at_once = handle_token_request(&AuthorizationServer::new(store, issuer, config), &request).await;
    assert_eq!((by_steps.status(), by_steps.body()), (200, at_once.body()));
    assert!(at_once.status() == 200 && by_steps.headers().eq(at_once.headers()));
}

#[tokio::test]
async fn time_and_randomness_come_from_outside() {
    let random = || {
        RandomSource::from_fn(|bytes| {
            bytes.fill(7);
            Ok(())
        })
    };
    let mint = async || {
        let store = store(SecretClass::Generated);
        let server = AuthorizationServer::new(
            store.clone(),
            crate::OpaqueIssuer::new(store).with_random(random()),
            Config::default(),
        );
        let authorization = basic("known:right");
        let request = Request::new("POST", OffsetDateTime::UNIX_EPOCH).header("Content-Type", FORM).body(GRANT);
        handle_token_request(&server, &request.header("Authorization", authorization.as_bytes())).await.into_body()
    };
    assert_eq!(mint().await, mint().await);
    let failing = RandomSource::from_fn(|_| Err(BackendError::new("no entropy")));
    assert!(AccessToken::generate(&failing).is_err() && ClientSecret::generate(&failing).is_err());
}
