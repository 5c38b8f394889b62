//! Keys that follow one another while tokens are made and checked, on one instance and on two.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

use std::{
    collections::{BTreeSet, VecDeque},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread::{self, ScopedJoinHandle},
};

use client_credentials::{
    AccessToken, AnySigner, AnyTokenIssuer, Claims, ClientId, JwtIssuer, JwtVerifier, KeySet, SealedIssuer, SealingKey,
    SigningAlgorithm, SigningKey, TokenIssuer as _, TokenVerifier as _,
    time::{Duration, OffsetDateTime},
};

const ISSUER: &str = "https://auth.example.com";

/// What none of these issuers makes one wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// Makes issuers of one kind, all with the same keys.
struct Row {
    name: &'static str,
    /// The part of a token that tells which key has made it.
    key_of: fn(&str) -> &str,
    instance: Box<dyn Fn() -> Instance>,
}

/// An issuer that signs with key 0 and knows key 1 already.
struct Instance {
    issuer: AnyTokenIssuer,
    /// Rotates at a time, so that the key of this number is next.
    rotate: Box<dyn Fn(usize, OffsetDateTime, std::time::Duration) + Send + Sync>,
}

impl Instance {
    fn issue(&self, now: OffsetDateTime, lifetime: Duration) -> AccessToken {
        let claims = Claims::new(ClientId::parse("billing").unwrap(), now, now + lifetime);
        at_once(self.issuer.issue(&claims)).unwrap()
    }

    fn takes(&self, token: &AccessToken, now: OffsetDateTime) -> bool {
        at_once(self.issuer.verify(token.expose(), now)).unwrap().is_some()
    }
}

/// As many as any of these tests needs.
const KEYS: usize = 16;

fn row<K: Send + Sync + 'static>(
    name: &'static str,
    key_of: fn(&str) -> &str,
    key: impl Fn(usize) -> K + Send + Sync + 'static,
    issuer: impl Fn(KeySet<K>) -> AnyTokenIssuer + 'static,
) -> Row {
    let key = Arc::new(key);
    let instance = move || {
        let (key, keys) = (key.clone(), KeySet::new(key(0)).with_next(key(1)));
        let issuer = issuer(keys.clone());
        Instance { issuer, rotate: Box::new(move |next, now, keep| keys.rotate(key(next), now, keep).unwrap()) }
    };
    Row { name, key_of, instance: Box::new(instance) }
}

fn jwt(
    name: &'static str,
    algorithm: SigningAlgorithm,
    signer: fn(usize, SigningAlgorithm, &[u8]) -> AnySigner,
) -> Row {
    let keys: Vec<_> = (0..KEYS).map(|_| SigningKey::generate_pkcs8(algorithm).unwrap()).collect();
    row(
        name,
        |token| token.split('.').next().unwrap(),
        move |number| signer(number, algorithm, &keys[number]),
        |keys| AnyTokenIssuer::new(JwtIssuer::new(ISSUER, keys)),
    )
}

/// Whose tokens others check too.
fn jwts() -> Vec<Row> {
    let ring = |_, algorithm, der: &[u8]| SigningKey::from_pkcs8_der(algorithm, der).unwrap().into();
    let rows = [
        jwt("EdDSA", SigningAlgorithm::EdDsa, ring),
        jwt("ES256", SigningAlgorithm::Es256, ring),
        // A host that goes over from one to the other.
        #[cfg(feature = "aws-lc-rs")]
        jwt("EdDSA by ring and AWS-LC", SigningAlgorithm::EdDsa, |number, algorithm, der| match number % 2 {
            0 => SigningKey::from_pkcs8_der(algorithm, der).unwrap().into(),
            _ => client_credentials::AwsLcSigningKey::from_pkcs8_der(algorithm, der).unwrap().into(),
        }),
    ];
    Vec::from(rows)
}

/// The version, and nearly all of the key id: 6 characters are 36 bits.
fn sealed() -> Row {
    row(
        "sealed",
        |token| &token[..6],
        |number| SealingKey::from_bytes(&[number.try_into().unwrap(); 32]),
        |keys| AnyTokenIssuer::new(SealedIssuer::new(ISSUER, keys)),
    )
}

fn rows() -> Vec<Row> {
    jwts().into_iter().chain([sealed()]).collect()
}

fn at(second: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000 + second).unwrap()
}

#[test]
fn no_token_is_refused_while_keys_follow_one_another() {
    const LIFETIME: i64 = 10;
    /// How much later the second instance rotates.
    const LAG: i64 = 4;
    for Row { name, key_of, instance } in rows() {
        let instances = [instance(), instance()];
        let (clock, over) = (AtomicI64::new(0), AtomicBool::new(false));
        let (checks, used) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
        let work = |which: usize| {
            let mut tokens: VecDeque<(i64, AccessToken)> = VecDeque::new();
            while !over.load(Ordering::SeqCst) {
                let now = clock.load(Ordering::SeqCst);
                let token = instances[which].issue(at(now), Duration::seconds(LIFETIME));
                used.lock().unwrap().insert(key_of(token.expose()).to_owned());
                tokens.push_back((now + LIFETIME, token));
                if tokens.len() > 24 {
                    tokens.pop_front();
                }
                for (expiry, token) in &tokens {
                    for instance in &instances {
                        let now = clock.load(Ordering::SeqCst);
                        let counts = instance.takes(token, at(now));
                        // Where it was refused it may have been a stale time that was asked for, and keys are gone by now.
                        let is_over = clock.load(Ordering::SeqCst) >= *expiry;
                        assert!(counts || is_over, "{name}: refused at {now}, though good until {expiry}");
                        checks.fetch_add(usize::from(counts), Ordering::SeqCst);
                    }
                }
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|n| scope.spawn(move || work(n % 2))).collect();
            let keep = std::time::Duration::from_secs((LIFETIME + LAG).try_into().unwrap());
            let wait = |seconds: i64| {
                for _ in 0..seconds {
                    let before = checks.load(Ordering::SeqCst);
                    while checks.load(Ordering::SeqCst) < before + 20
                        && !workers.iter().any(ScopedJoinHandle::is_finished)
                    {
                        thread::yield_now();
                    }
                    clock.fetch_add(1, Ordering::SeqCst);
                }
            };
            for next in 2..KEYS {
                wait(3);
                (instances[0].rotate)(next, at(clock.load(Ordering::SeqCst)), keep);
                wait(LAG);
                (instances[1].rotate)(next, at(clock.load(Ordering::SeqCst)), keep);
            }
            wait(3);
            over.store(true, Ordering::SeqCst);
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
        assert_eq!(used.into_inner().unwrap().len(), KEYS - 1, "{name}: each key but the last has signed");
    }
}

#[test]
fn a_token_of_a_retired_key_ends_with_its_time() {
    let keep = std::time::Duration::from_secs(60);
    for Row { name, instance, .. } in rows() {
        let (first, second) = (instance(), instance());
        let old = first.issue(at(0), Duration::DAY);
        (first.rotate)(2, at(100), keep);
        (second.rotate)(2, at(105), keep);
        let new = first.issue(at(100), Duration::DAY);
        for (time, by_first, by_second) in [
            (at(100), true, true),
            (at(160) - Duration::NANOSECOND, true, true),
            (at(160), false, true),
            (at(165) - Duration::NANOSECOND, false, true),
            (at(165), false, false),
            (at(1000), false, false),
        ] {
            assert_eq!((first.takes(&old, time), second.takes(&old, time)), (by_first, by_second), "{name} {time}");
            assert!(first.takes(&new, time) && second.takes(&new, time), "{name} {time}");
        }
        // And no less when another rotation has thrown it away.
        (first.rotate)(3, at(160), keep);
        assert!(!first.takes(&old, at(100)) && first.takes(&new, at(160)), "{name}");
    }
}

#[test]
fn a_next_key_is_accepted_before_it_signs_here() {
    for Row { name, instance, .. } in rows() {
        let (ahead, behind) = (instance(), instance());
        (ahead.rotate)(2, at(0), std::time::Duration::from_secs(60));
        let token = ahead.issue(at(0), Duration::MINUTE);
        assert!(behind.takes(&token, at(0)), "{name}: rotated elsewhere first");
        (ahead.rotate)(3, at(0), std::time::Duration::from_secs(60));
        let token = ahead.issue(at(0), Duration::MINUTE);
        assert!(!behind.takes(&token, at(0)), "{name}: nobody has told it of that key");
    }
}

/// What was published before a rotation is enough to check what is signed after it.
#[test]
fn rfc7517_5_a_copy_of_the_published_keys_outlives_a_rotation() {
    for Row { name, instance, .. } in jwts() {
        let instance = instance();
        let verifier = |now| {
            let published = instance.issuer.public_jwks(now).into_iter().collect();
            JwtVerifier::new(ISSUER, published)
        };
        let before = verifier(at(0));
        let old = instance.issue(at(0), Duration::DAY);
        (instance.rotate)(2, at(0), std::time::Duration::from_secs(60));
        let new = instance.issue(at(0), Duration::DAY);
        let count = |now| instance.issuer.public_jwks(now).len();
        assert_eq!((count(at(0)), count(at(59)), count(at(60))), (3, 3, 2), "{name}");
        for (verifier, takes_old) in [(before, true), (verifier(at(59)), true), (verifier(at(60)), false)] {
            assert_eq!(verifier.check(old.expose(), at(60)).is_some(), takes_old, "{name}");
            assert!(verifier.check(new.expose(), at(60)).is_some(), "{name}");
        }
    }
}
