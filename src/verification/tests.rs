//! What becomes of slow hashes from request to request. Few rounds: what is counted is verifications.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    pin::pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use base64::{Engine as _, prelude::*};
use ring::pbkdf2;
use time::Duration;

use super::{pool::tests::held, *};
use crate::{
    AuditEvent, AuditSink, ClientBuilder, ClientRegistry as _, ClientSecret, ClientStore as _, Config, MemoryStore,
    OpaqueIssuer, RandomSource, Reply, Request, Throttle, TokenEndpointAuthMethod, handle_token_request,
    secret::counted,
};

type Server = AuthorizationServer<MemoryStore, OpaqueIssuer<MemoryStore>>;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::DAY);

fn slow(secret: &str, rounds: u32) -> ClientSecretHash {
    let mut digest = [0; 32];
    let iterations = NonZeroU32::new(rounds).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, b"saltsalt", secret.as_bytes(), &mut digest);
    format!("$pbkdf2-sha256$i={rounds}$c2FsdHNhbHQ${}", BASE64_STANDARD_NO_PAD.encode(digest)).parse().unwrap()
}

fn client(id: &str) -> ClientBuilder {
    Client::builder(id).seacatauth_credentials(true)
}

/// One that verifies in this thread, where it is counted, with a decoy of nine rounds.
fn server(clients: impl IntoIterator<Item = ClientBuilder>) -> Server {
    let store = MemoryStore::default();
    clients.into_iter().for_each(|client| store.insert_client(client.build().unwrap()));
    let config = Config::default().with_unknown_client_secret_hash(slow("decoy", 9));
    AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), config).with_verification_threads(0)
}

async fn mint_at(server: &Server, credentials: &str, now: OffsetDateTime) -> Reply {
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let request = Request::new("POST", now)
        .header("Authorization", authorization.as_bytes())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .body(b"grant_type=client_credentials");
    handle_token_request(server, &request).await
}

/// The status, and the rounds of each verification that it took.
async fn counted(server: &Server, credentials: &str, now: OffsetDateTime) -> (u16, Vec<u32>) {
    let (reply, rounds) = counted_reply(server, credentials, now).await;
    (reply.status(), rounds)
}

async fn counted_reply(server: &Server, credentials: &str, now: OffsetDateTime) -> (Reply, Vec<u32>) {
    counted::take();
    let reply = mint_at(server, credentials, now).await;
    (reply, counted::take().into_iter().map(|(_, rounds)| rounds).collect())
}

#[tokio::test]
async fn only_what_was_right_is_known_again() {
    let server = server([client("a").client_secret_hash(slow("right", 5)), client("secretless")]);
    for (credentials, expected) in [
        ("a:wrong", (401, vec![5])),
        ("a:wrong", (401, vec![5])),
        ("a:right", (200, vec![5])),
        ("a:right", (200, vec![])),
        // A failure costs the same as before, and takes nothing away.
        ("a:wrong", (401, vec![5])),
        ("a:", (401, vec![5])),
        ("a:right", (200, vec![])),
        ("unknown:right", (401, vec![9])),
        ("unknown:right", (401, vec![9])),
        ("secretless:right", (401, vec![9])),
    ] {
        assert_eq!(counted(&server, credentials, NOW).await, expected, "{credentials}");
    }
    let shared = server.clone();
    assert_eq!(counted(&shared, "a:right", NOW).await, (200, vec![]), "a clone knows it too");
    let none = server.with_verified_secrets(0);
    for _ in 0..2 {
        assert_eq!(counted(&none, "a:right", NOW).await, (200, vec![5]));
    }
}

#[tokio::test]
async fn any_change_of_a_client_is_a_new_beginning() {
    let hash = slow("right", 5);
    let server = server([client("a").client_secret_hash(hash.clone())]);
    assert_eq!(counted(&server, "a:right", NOW).await, (200, vec![5]));
    let store = server.store().clone();
    let put = |client: ClientBuilder| store.insert_client(client.build().unwrap());

    put(client("a").client_secret_hash(hash.clone()));
    assert_eq!(counted(&server, "a:right", NOW).await, (200, vec![]), "an equal one is no change");
    put(client("a").client_secret_hash(hash.clone()).tenant("acme"));
    assert_eq!(counted(&server, "a:right", NOW).await, (200, vec![5]));
    assert_eq!(counted(&server, "a:right", NOW).await, (200, vec![]));
    put(client("a").client_secret_hash(slow("other", 6)));
    assert_eq!(counted(&server, "a:right", NOW).await, (401, vec![6]));
    put(client("a"));
    assert_eq!(counted(&server, "a:right", NOW).await, (401, vec![9]));
    assert!(store.delete(client("a").build().unwrap().client_id()).await.unwrap());
    assert_eq!(counted(&server, "a:right", NOW).await, (401, vec![9]));
    put(client("a").client_secret_hash(hash));
    assert_eq!(counted(&server, "a:right", NOW).await, (200, vec![5]));
}

#[tokio::test]
async fn what_is_known_expires() {
    let end = NOW + Duration::MINUTE;
    let secrets = [StoredSecret::new(slow("new", 5)), StoredSecret::new(slow("old", 6)).with_expires_at(end)];
    let one = client("one").client_secret_hash(slow("right", 7)).client_secret_expires_at(end);
    let server = server([client("two").client_secrets(secrets), one]);
    for (credentials, now, expected) in [
        ("one:right", NOW, (200, vec![7])),
        ("one:right", end - Duration::SECOND, (200, vec![])),
        ("one:right", end, (401, vec![7])),
        ("two:old", NOW, (200, vec![5, 6])),
        ("two:old", NOW, (200, vec![])),
        ("two:new", NOW, (200, vec![5, 6])),
        ("two:new", NOW, (200, vec![])),
        ("two:old", NOW, (200, vec![])),
        ("two:old", end, (401, vec![5])),
        ("two:new", end, (200, vec![])),
        ("two:newer", NOW, (401, vec![5, 6])),
    ] {
        assert_eq!(counted(&server, credentials, now).await, expected, "{credentials}");
    }
}

#[tokio::test]
async fn a_misspelt_secret_is_told_once_the_right_one_is_known() {
    let server = server([client("a").client_secret_hash(slow("right", 5)), client("b")]).with_misspellings_noted();
    let told = async |server: &Server, credentials: &str| {
        let (reply, work) = counted_reply(server, credentials, NOW).await;
        let cause = reply.cause().map(Error::name).unwrap_or_default();
        (cause, work)
    };
    // The decoy of fast hashes is tried with each spelling, whoever is asked for.
    for (credentials, expected) in [
        ("a:'right'", ("wrong_secret", vec![5, 1, 1])),
        ("a:right", ("", vec![5])),
        ("a:'right'", ("misspelled_secret", vec![5, 1, 1])),
        ("a:'wrong'", ("wrong_secret", vec![5, 1, 1])),
        ("b:'right'", ("no_secret_registered", vec![9, 1, 1])),
        ("c:'right'", ("unknown_client", vec![9, 1, 1])),
    ] {
        assert_eq!(told(&server, credentials).await, expected, "{credentials}");
    }
    let changed = client("a").client_secret_hash(slow("right", 5)).tenant("acme");
    server.store().insert_client(changed.build().unwrap());
    assert_eq!(told(&server, "a:'right'").await.0, "wrong_secret", "what is known ends with any change");

    let none = server.with_verified_secrets(0);
    for (credentials, cause) in [("a:right", ""), ("a:'right'", "wrong_secret")] {
        assert_eq!(told(&none, credentials).await.0, cause, "{credentials}");
    }
}

#[tokio::test]
async fn a_client_that_is_refused_otherwise_is_not_known() {
    let post = client("a").token_endpoint_auth_method(TokenEndpointAuthMethod::ClientSecretPost);
    let server = server([post.client_secret_hash(slow("right", 5))]);
    for _ in 0..2 {
        assert_eq!(counted(&server, "a:right", NOW).await, (401, vec![5]));
    }
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl AuditSink for Events {
    fn record(&self, event: &AuditEvent<'_>) {
        let AuditEvent { action, client_id, target, .. } = event;
        let event = format!("{action:?} {client_id:?} {target:?} {}", event.outcome());
        self.0.lock().unwrap().push(event);
    }
}

#[tokio::test]
async fn a_full_queue_is_answered_with_503_whoever_asks() {
    let events = Events::default();
    let server = server([client("a").client_secret_hash(slow("right", 5))]).with_audit_sink(events.clone());
    let server = server.with_verification_threads(1).with_verification_queue(1);
    assert_eq!(mint_at(&server, "a:right", NOW).await.status(), 200);

    let (held, starts, end) = held();
    let mut running = pin!(server.verification().pool.run("other", None, held));
    let mut waiting = pin!(server.verification().pool.run("another", None, || None));
    let mut context = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut context).is_pending());
    starts.recv().unwrap();
    assert!(waiting.as_mut().poll(&mut context).is_pending());

    for credentials in ["a:wrong", "unknown:wrong"] {
        let reply = mint_at(&server, credentials, NOW).await;
        assert_eq!(reply.status(), 503);
        assert!(reply.headers().any(|(name, value)| (name, value) == ("Retry-After", "1")));
    }
    assert_eq!(mint_at(&server, "a:right", NOW).await.status(), 200, "what is known does not wait");
    end.send(()).unwrap();
    assert_eq!((running.await.unwrap(), waiting.await.unwrap()), (Some(7), None));
    assert_eq!(mint_at(&server, "a:wrong", NOW).await.status(), 401);
    let events = events.0.lock().unwrap();
    assert_eq!(events[0], "RequestToken None None failed", "nobody knows yet whether there is such a client");
    assert!(!events[1].ends_with("failed"), "that it is full is told once");
}

#[tokio::test]
async fn who_has_too_many_secrets_verified_at_once_has_failed() {
    let events = Events::default();
    let server = server([client("a").client_secret_hash(slow("right", 5))]).with_audit_sink(events.clone());
    let server = server.with_verification_threads(1).with_verification_queue(16).with_throttle(Throttle::default());
    let (held, starts, end) = held();
    let mut running = pin!(server.verification().pool.run("192.0.2.1", None, held));
    let mut waiting = [0; 2].map(|_| Box::pin(server.verification().pool.run("192.0.2.1", None, || None)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut context).is_pending());
    starts.recv().unwrap();
    for waiting in &mut waiting {
        assert!(waiting.as_mut().poll(&mut context).is_pending());
    }

    let (form, most) = ("application/x-www-form-urlencoded", server.config().max_failures_per_source() as usize);
    let mut answers = Vec::new();
    for n in 0..500 {
        let body = format!("grant_type=client_credentials&client_id=unknown-{n}&client_secret=wrong");
        let request = Request::new("POST", NOW).header("Content-Type", form.as_bytes()).body(body.as_bytes());
        answers.push(handle_token_request(&server, &request.source(IpAddr::from([192, 0, 2, 1]))).await.status());
    }
    assert_eq!(answers[..most], vec![503; most]);
    assert_eq!(answers[most..], vec![429; 500 - most]);
    assert_eq!(events.0.lock().unwrap().len(), most + 1, "and the one of the wait");
    end.send(()).unwrap();
    assert_eq!(running.await.unwrap(), Some(7));
}

#[tokio::test]
async fn who_hangs_up_while_a_secret_is_verified_has_failed() {
    let a = client("a").client_secret_hash(slow("right", 200_000));
    let a = a.token_endpoint_auth_method(TokenEndpointAuthMethod::ClientSecretPost);
    let server = server([a]).with_throttle(Throttle::default()).with_verification_threads(1);
    let ask = async |secret: &str| {
        let body = format!("grant_type=client_credentials&client_id=a&client_secret={secret}");
        let form = ("Content-Type", b"application/x-www-form-urlencoded".as_slice());
        let request = Request::new("POST", NOW).header(form.0, form.1).body(body.as_bytes());
        handle_token_request(&server, &request.source(IpAddr::from([192, 0, 2, 1]))).await.status()
    };
    let hangs_up = async |is_verified: bool| {
        let mut asking = Box::pin(ask("wrong"));
        let is_admitted = asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        while is_verified && server.verification().pool.waiting() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        is_admitted
    };
    assert_eq!(ask("right").await, 200);
    let (held, starts, end) = held();
    let mut running = pin!(server.verification().pool.run("other", None, held));
    assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    starts.recv().unwrap();
    for _ in 0..100 {
        assert!(hangs_up(false).await, "what nobody has looked at is no guess");
    }
    end.send(()).unwrap();
    assert_eq!(running.await.unwrap(), Some(7));

    let mut verified = 0;
    for _ in 0..100 {
        verified += u32::from(hangs_up(true).await);
    }
    // As many as the pair may fail, and then as many as anybody.
    assert_eq!(verified, 2 * server.config().max_failures_per_client());
}

#[tokio::test]
async fn the_addresses_of_a_network_have_one_place_in_the_queue_together() {
    let server = server([client("a").client_secret_hash(slow("right", 5))]);
    let server = server.with_verification_threads(1).with_verification_queue(8);
    let (held, starts, end) = held();
    let mut running = pin!(server.verification().pool.run("other", None, held));
    let mut context = Context::from_waker(Waker::noop());
    assert!(running.as_mut().poll(&mut context).is_pending());
    starts.recv().unwrap();

    let authorization = format!("Basic {}", BASE64_STANDARD.encode("a:wrong"));
    let request = |source: &str| {
        Request::new("POST", NOW)
            .source(source.parse::<IpAddr>().unwrap())
            .header("Authorization", authorization.as_bytes())
            .header("Content-Type", b"application/x-www-form-urlencoded")
            .body(b"grant_type=client_credentials")
    };
    let requests = ["2001:db8:1:2::1", "2001:db8:1:2:3::2", "2001:db8:1:3::1"].map(request);
    let mut asked = requests.each_ref().map(|request| Box::pin(handle_token_request(&server, request)));
    let polled = asked.each_mut().map(|asked| match asked.as_mut().poll(&mut context) {
        Poll::Ready(reply) => Some(reply.status()),
        Poll::Pending => None,
    });
    assert_eq!(polled, [None, Some(503), None], "an eighth of eight is one");
    end.send(()).unwrap();
    assert_eq!(running.await.unwrap(), Some(7));
}

const MACHINE_MADE: &str = "Zq7hT0mXv2LrK9bYw4JdNs";

#[tokio::test]
async fn machine_made_secrets_get_fast_hashes() {
    let events = Events::default();
    let fast = ClientSecretHash::generated(&ClientSecret::new("fast".into()), &RandomSource::default()).unwrap();
    let old = StoredSecret::new(slow(MACHINE_MADE, 5)).with_created_at(NOW).with_expires_at(NOW + Duration::DAY);
    let server = server([
        client("a").client_secrets([old.clone()]),
        client("beside").client_secrets([StoredSecret::new(fast), old.clone()]),
        client("word").client_secret_hash(slow("right", 5)),
        client("changed").client_secrets([old.clone()]),
        client("deleted").client_secrets([old.clone()]),
        client("silent").client_secrets([old.clone()]),
    ]);
    let server = server.with_hashes_upgraded().with_uses_noted().with_audit_sink(events.clone());
    for id in ["a", "beside", "changed", "deleted"] {
        assert_eq!(mint_at(&server, &format!("{id}:{MACHINE_MADE}"), NOW).await.status(), 200, "{id}");
    }
    assert_eq!(mint_at(&server, "word:right", NOW).await.status(), 200);
    assert_eq!(mint_at(&server, "silent:wrong", NOW).await.status(), 401);
    let store = server.store();
    store.insert_client(client("changed").client_secret_hash(slow("other", 5)).build().unwrap());
    assert!(store.delete(client("deleted").build().unwrap().client_id()).await.unwrap());
    events.0.lock().unwrap().clear();

    assert_eq!(server.upgrade_hashes(NOW).await.unwrap(), 2);
    assert_eq!(server.upgrade_hashes(NOW).await.unwrap(), 0);
    let mut recorded = Vec::new();
    for id in ["a", "beside"] {
        let client = store.find_client(id).await.unwrap().unwrap();
        let secret = client.client_secrets().last().unwrap().clone();
        assert_eq!((secret.created_at(), secret.expires_at()), (old.created_at(), old.expires_at()));
        assert!(secret.hash().verify(MACHINE_MADE));
        assert_eq!(store.last_uses(&[secret.id()]).await.unwrap(), [Some(NOW)]);
        recorded.push(format!("UpgradeSecretHash {:?} {:?} success", Some(id), Some(secret.id())));
        assert_eq!(counted(&server, &format!("{id}:{MACHINE_MADE}"), NOW).await, (200, vec![1]));
    }
    for (id, secret) in [("word", "right"), ("changed", "other"), ("silent", MACHINE_MADE)] {
        let client = store.find_client(id).await.unwrap().unwrap();
        let hash = client.client_secret_hash().unwrap();
        assert!(hash.class() == SecretClass::Chosen && hash.verify(secret), "{id}");
    }
    let mut events = events.0.lock().unwrap().clone();
    events.retain(|event| event.starts_with("Upgrade"));
    events.sort();
    assert_eq!(events, recorded);
}

#[tokio::test]
async fn hashes_stay_as_they_are_unless_the_host_wants_it() {
    let server = server([client("a").client_secret_hash(slow(MACHINE_MADE, 5))]);
    assert_eq!(mint_at(&server, &format!("a:{MACHINE_MADE}"), NOW).await.status(), 200);
    assert_eq!(server.upgrade_hashes(NOW).await.unwrap(), 0);
    let client = server.store().find_client("a").await.unwrap().unwrap();
    assert_eq!(client.client_secret_hash(), Some(&slow(MACHINE_MADE, 5)));
}
