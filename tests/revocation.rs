//! The revocation endpoint, row by row, through the function and through a socket.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{future::pending, time::Duration};

use client_credentials::{
    AnyClientRegistry, AnyTokenIssuer, AnyTokenStore, AuthorizationServer, BackendError, Claims, ClientId, Config,
    JwtIssuer, MemoryStore, OpaqueIssuer, RandomSource, SealedIssuer, SealingKey, SigningAlgorithm, SigningKey, Stores,
    TokenHash, TokenStore, handle_revocation_request, now, time::OffsetDateTime,
};
use common::{Asked, Events, SECRET, SERVER, Served, basic, request, stores};

fn ask(form: &str) -> Asked {
    request("POST", "/openidconnect/token/revoke").form(form)
}

fn token(served: &Served, client_id: &str) -> String {
    let answer = served.send(&basic(client_id, SECRET, "grant_type=client_credentials"));
    answer.json()["access_token"].as_str().unwrap().into()
}

fn is_active(served: &Served, token: &str) -> bool {
    let asked = request("POST", "/openidconnect/introspect").form(format!("token={token}"));
    served.ask(&asked.credentials("basic", SECRET)).json()["active"].as_bool().unwrap()
}

/// A server for each kind of token.
fn all_kinds() -> Vec<(&'static str, Served)> {
    let opaque = |store| AnyTokenIssuer::new(OpaqueIssuer::new(store));
    let jwt = |_| {
        let key = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
        AnyTokenIssuer::new(JwtIssuer::new("https://localhost", key))
    };
    let sealed = |_| {
        let key = SealingKey::generate(&RandomSource::default()).unwrap();
        AnyTokenIssuer::new(SealedIssuer::new("https://localhost", key))
    };
    type Kind = (&'static str, fn(MemoryStore) -> AnyTokenIssuer);
    let kinds: [Kind; 3] = [("opaque", opaque), ("jwt", jwt), ("sealed", sealed)];
    let served = |(kind, issuer): Kind| {
        let store = common::store();
        (kind, Served::start(AuthorizationServer::new(stores(store.clone()), issuer(store), Config::default())))
    };
    kinds.into_iter().map(served).collect()
}

#[test]
fn rfc7009_2_1_a_client_ends_its_token() {
    for (kind, served) in all_kinds() {
        let (mine, other) = (token(&served, "basic"), token(&served, "basic"));
        assert!(is_active(&served, &mine), "{kind}");
        let asked = ask(&format!("token={mine}&token_type_hint=refresh_token")).credentials("basic", SECRET);
        for _ in 0..2 {
            let answer = served.ask(&asked);
            assert_eq!((answer.status, answer.raw.as_slice()), (200, b"{}".as_slice()), "{kind}");
            assert!(!is_active(&served, &mine), "{kind}");
        }
        assert!(is_active(&served, &other), "{kind}: another token of the client stands");
    }
}

#[test]
fn rfc7009_2_2_an_unknown_token_is_none_any_more() {
    for (kind, served) in all_kinds() {
        for unknown in ["unknown", "a.b.c", "%C3%A9", "%25", "a+b", &"A".repeat(10_000)] {
            let answer = served.ask(&ask(&format!("token={unknown}")).credentials("basic", SECRET));
            assert_eq!(answer.status, 200, "{kind}: {unknown}");
        }
    }
}

#[test]
fn rfc7009_2_1_never_the_token_of_another_client() {
    for (kind, served) in all_kinds() {
        let theirs = token(&served, "post-basic");
        let asked = ask(&format!("token={theirs}"));
        for other in ["basic", "superuser"] {
            served.ask(&asked.clone().credentials(other, SECRET)).refused(400, "unauthorized_client");
            assert!(is_active(&served, &theirs), "{kind}");
        }
        // One that is no client learns nothing and ends nothing.
        served.ask(&asked.clone().credentials("basic", "wrong")).refused(401, "invalid_client");
        served.ask(&asked.clone().bearer(&theirs)).refused(401, "invalid_client");
        served.ask(&asked).refused(401, "invalid_client");
        assert!(is_active(&served, &theirs), "{kind}");
        assert_eq!(served.ask(&asked.clone().credentials("post-basic", SECRET)).status, 200);
        assert!(!is_active(&served, &theirs), "{kind}");
    }
}

#[test]
fn rfc7009_2_1_an_api_key_is_a_token_too() {
    let served = &SERVER;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let administrator = served.server.administrator("test", now());
    let client = "basic".parse().unwrap();
    let (key, _) = runtime.block_on(administrator.create_api_key(&client, "a label", None, None)).unwrap();
    assert!(is_active(served, key.expose()));
    served
        .ask(&ask(&format!("token={}", key.expose())).credentials("superuser", SECRET))
        .refused(400, "unauthorized_client");
    assert_eq!(served.ask(&ask(&format!("token={}", key.expose())).credentials("basic", SECRET)).status, 200);
    assert!(!is_active(served, key.expose()));
}

#[test]
fn all_tokens_of_a_client_end_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (kind, served) in all_kinds() {
        let (mine, theirs) = ([(); 3].map(|()| token(&served, "basic")), token(&served, "post-basic"));
        let administrator = served.server.administrator("test", now());
        let (client, unknown) = ("basic".parse().unwrap(), "unknown".parse().unwrap());
        runtime.block_on(administrator.revoke_tokens(&client)).unwrap();
        assert!(mine.iter().all(|token| !is_active(&served, token)), "{kind}");
        assert!(is_active(&served, &theirs), "{kind}: another client's stand");
        assert!(runtime.block_on(administrator.revoke_tokens(&unknown)).is_err());
        // A JWT tells its time to the second.
        std::thread::sleep(Duration::from_millis(1100));
        assert!(is_active(&served, &token(&served, "basic")), "{kind}: a new one counts");
    }
}

#[test]
fn rfc7009_2_1_what_is_no_revocation_request() {
    let form = ask("token=unknown");
    for nobody in [ask(""), ask("").credentials("basic", "wrong")] {
        SERVER.ask(&nobody).refused(401, "invalid_client");
    }
    for (refused, status) in [
        (ask("").credentials("basic", SECRET), 400),
        (ask("token=").credentials("basic", SECRET), 400),
        (ask("token=a&token=a").credentials("basic", SECRET), 400),
        (form.clone().credentials("basic", SECRET).without("Content-Type"), 400),
        (form.credentials("basic", SECRET).method("GET"), 405),
        (ask(&"x".repeat(17_000)).credentials("basic", SECRET), 413),
    ] {
        SERVER.ask(&refused).refused(status, "invalid_request");
    }
}

#[test]
fn rfc7009_2_2_1_a_token_that_is_kept_elsewhere_is_not_said_to_be_ended() {
    let (store, elsewhere) = (common::store(), MemoryStore::default());
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(elsewhere));
    let served = Served::start(AuthorizationServer::new(stores(store), issuer, Config::default()));
    let mine = token(&served, "basic");
    let asked = ask(&format!("token={mine}")).credentials("basic", SECRET);
    served.ask(&asked).refused(400, "unsupported_token_type");
}

#[test]
fn each_revocation_and_each_refusal_is_an_event() {
    let (events, store) = (Events::default(), common::store());
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(store.clone()));
    let server = AuthorizationServer::new(stores(store), issuer, Config::default()).with_audit_sink(events.clone());
    let served = Served::start(server);
    let mine = token(&served, "basic");
    // Whoever is guessed at is told, but not what names no client, which may be a secret in the wrong place.
    let asked = ask(&format!("token={mine}"));
    for (client_id, secret) in
        [("superuser", SECRET), ("basic", "wrong"), ("HUNTER2", "basic"), ("basic", SECRET), ("basic", SECRET)]
    {
        served.send(&asked.clone().credentials(client_id, secret));
    }
    served.send(&ask("").credentials("basic", SECRET));
    served.send(&ask(&format!("token={mine}&client_id=post&client_secret=wrong")));
    served.send(&ask(&format!("token={mine}&client_id=post")));
    let events = events.0.lock().unwrap();
    let said: Vec<_> = events
        .iter()
        .map(|event| {
            assert!(!event.to_string().contains(&mine), "{event}");
            let text = |name: &str| event.get(name).and_then(|value| value.as_str()).map(String::from);
            assert_eq!(text("action").as_deref(), Some("revoke_token"));
            (text("actor"), text("client_id"), text("outcome").unwrap(), event.get("target").is_some())
        })
        .collect();
    let some = |client_id: &str| Some(client_id.to_owned());
    assert_eq!(
        said,
        [
            (some("superuser"), some("superuser"), "refused".into(), true),
            (None, some("basic"), "refused".into(), false),
            (None, None, "refused".into(), false),
            (some("basic"), some("basic"), "success".into(), true),
            (None, some("basic"), "refused".into(), false),
            (None, some("post"), "refused".into(), false),
            (None, None, "refused".into(), false),
        ]
    );
}

/// A store that has done what it was told, but does not say so.
struct Silent(MemoryStore);

impl TokenStore for Silent {
    async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
        self.0.insert(hash, claims).await
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
        self.0.find(hash).await
    }

    async fn revoke(&self, hash: &TokenHash) -> Result<bool, BackendError> {
        self.0.revoke(hash).await?;
        pending().await
    }

    async fn revoke_all(&self, client_id: &ClientId, at: OffsetDateTime) -> Result<(), BackendError> {
        self.0.revoke_all(client_id, at).await
    }

    async fn deny(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
        self.0.deny(jti, claims).await?;
        pending().await
    }

    async fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
        self.0.is_denied(jti, claims).await
    }

    async fn list_tokens(
        &self,
        client_id: &ClientId,
        now: OffsetDateTime,
    ) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
        self.0.list_tokens(client_id, now).await
    }

    async fn purge_expired(&self, now: OffsetDateTime, most: usize) -> Result<usize, BackendError> {
        self.0.purge_expired(now, most).await
    }
}

#[test]
fn a_revocation_that_is_cut_short_is_an_event() {
    let (events, store) = (Events::default(), common::store());
    let tokens = AnyTokenStore::new(Silent(store.clone()));
    let stores = Stores { clients: AnyClientRegistry::new(store), tokens: tokens.clone() };
    let issuer = AnyTokenIssuer::new(OpaqueIssuer::new(tokens));
    let server = AuthorizationServer::new(stores, issuer, Config::default()).with_audit_sink(events.clone());
    let served = Served::start(server);
    let mine = token(&served, "basic");
    let form = format!("token={mine}");
    let asked = ask(&form).credentials("basic", SECRET);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let request = asked.request();
        let revoking = handle_revocation_request(&served.server, &request);
        assert!(tokio::time::timeout(Duration::from_millis(50), revoking).await.is_err());
    });
    assert!(!is_active(&served, &mine), "it was done");
    let events = events.0.lock().unwrap();
    assert!(events.len() == 1 && events[0]["outcome"] == "failed", "{events:?}");
}
