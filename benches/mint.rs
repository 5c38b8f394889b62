//! What one mint costs, and one check of a token, beside the cryptography in it.
//!
//!     cargo bench --bench mint
//!
//! A mint is all of `handle_token_request`: from the bytes of the request to the bytes of the reply. Its floor is, by `ring` and `base64`, the
//! SHA-256 of the secret, 32 bytes from the operating system and their base64url, and for a JWT its signature. A sealed token
//! has the floor of an opaque one: what sealing takes is what it costs to have no row. Both are
//! timed in turns in the same run, so that whatever else the machine does strikes both; a ratio is the median of the
//! rounds, and one line `ratio: NAME VALUE`, with its quartiles in a line `spread: NAME LOW HIGH`. Criterion's report follows,
//! unless `-- --ratios` says that there is no need for it.
//!
//! To check a JWT is the other half: from its text to its claims. Its floor is the verification of its signature.
//! That of `verify opaque` is the SHA-256 of the token, and that of `verify sealed` its base64url and one AES-256-GCM over as many
//! bytes; either goes through a thousand tokens.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at what it did not expect"
)]

use std::{
    cell::Cell,
    env,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::*};
use client_credentials::{
    AnySigner, AnyTokenIssuer, Authorization, AuthorizationServer, Claims, Client, ClientId, ClientSecret,
    ClientSecretHash, Config, JwtIssuer, MemoryStore, OpaqueIssuer, RandomSource, Request, Resources, Scope,
    SealedIssuer, SealingKey, Signer, SigningAlgorithm, SigningKey, TenantName, TokenIssuer, TokenVerifier,
    handle_token_request, now,
};
use criterion::Criterion;
use rand::{TryRng as _, rngs::SysRng};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest::{SHA256, digest},
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm},
};

const ROUNDS: usize = 101;
const ROUND: Duration = Duration::from_millis(4);
const RSA: &[u8] = include_bytes!("../tests/keys/rsa2048.pem");

fn main() {
    // Criterion ends the run at an argument that it does not know.
    let criterion = Criterion::default();
    let mut criterion = if ratios_only() { criterion } else { criterion.configure_from_args() };
    let secret = ClientSecret::generate(&RandomSource::default()).unwrap();
    let store = store(&secret);

    let opaque = OpaqueIssuer::new(store.clone());
    let mint = minter(store.clone(), opaque, &secret);
    compare(&mut criterion, "opaque", mint, || floor(&secret));

    for algorithm in
        [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::Ps256]
    {
        let key = || match algorithm {
            SigningAlgorithm::EdDsa | SigningAlgorithm::Es256 => SigningKey::generate(algorithm).unwrap(),
            _ => SigningKey::from_pkcs8_pem(algorithm, RSA).unwrap(),
        };
        let name = serde_json::to_value(algorithm).unwrap();
        jwt(&mut criterion, name.as_str().unwrap(), &store, &secret, key);
    }
    #[cfg(feature = "aws-lc-rs")]
    aws_lc(&mut criterion, &store, &secret);
    for (name, algorithm) in [("check-EdDSA", SigningAlgorithm::EdDsa), ("check-ES256", SigningAlgorithm::Es256)] {
        check(&mut criterion, name, algorithm);
    }
    sealed(&mut criterion, &store, &secret);
    if !ratios_only() {
        criterion.final_summary();
    }
}

fn ratios_only() -> bool {
    env::args().any(|argument| argument == "--ratios")
}

/// Minting a JWT that these keys sign.
fn jwt<K: Signer + Into<AnySigner>>(
    criterion: &mut Criterion,
    name: &str,
    store: &MemoryStore,
    secret: &ClientSecret,
    key: impl Fn() -> K,
) {
    let issuer = JwtIssuer::new("https://localhost:3081", key().into());
    let mint = minter(store.clone(), AnyTokenIssuer::new(issuer), secret);
    let sign = signature(key());
    compare(criterion, name, mint, || {
        floor(secret);
        sign();
    });
}

/// The same with AWS-LC, and its signatures beside those of ring.
#[cfg(feature = "aws-lc-rs")]
fn aws_lc(criterion: &mut Criterion, store: &MemoryStore, secret: &ClientSecret) {
    use client_credentials::AwsLcSigningKey;

    for (name, ratio, algorithm) in [
        ("EdDSA-aws-lc", "EdDSA-aws-lc/ring", SigningAlgorithm::EdDsa),
        ("ES256-aws-lc", "ES256-aws-lc/ring", SigningAlgorithm::Es256),
    ] {
        let key = || AwsLcSigningKey::generate(algorithm).unwrap();
        jwt(criterion, name, store, secret, key);
        let ring = signature(SigningKey::generate(algorithm).unwrap());
        print_ratio(ratio, &signature(key()), &ring);
    }
    let (key, ring) = (
        AwsLcSigningKey::from_pkcs8_pem(SigningAlgorithm::Rs256, RSA),
        SigningKey::from_pkcs8_pem(SigningAlgorithm::Rs256, RSA),
    );
    print_ratio("RS256-aws-lc/ring", &signature(key.unwrap()), &signature(ring.unwrap()));
}

/// A function that signs as much as there is to sign in a JWT.
fn signature(key: impl Signer) -> impl Fn() {
    let message = [b'.'; 512];
    move || drop(black_box(at_once(key.sign(black_box(&message))).unwrap()))
}

/// Minting a sealed token, and checking it beside an opaque one.
fn sealed(criterion: &mut Criterion, store: &MemoryStore, secret: &ClientSecret) {
    let issuer =
        || SealedIssuer::new("https://localhost:3081", SealingKey::generate(&RandomSource::default()).unwrap());
    compare(criterion, "sealed", minter(store.clone(), issuer(), secret), || floor(secret));

    let tokens = OpaqueIssuer::new(MemoryStore::default());
    let opaque = minted(&tokens);
    compare(criterion, "verify opaque", checker(&tokens, &opaque), || {
        black_box(digest(&SHA256, black_box(opaque[0].as_bytes())));
    });
    let tokens = issuer();
    let sealed = minted(&tokens);
    let key = || LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let (key, mut bytes) = (key(), BASE64_URL_SAFE_NO_PAD.decode(&sealed[0]).unwrap());
    bytes.truncate(bytes.len() - 41);
    let nonce = || Nonce::assume_unique_for_key([7; 12]);
    key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut bytes).unwrap();
    compare(criterion, "verify sealed", checker(&tokens, &sealed), || {
        black_box(BASE64_URL_SAFE_NO_PAD.decode(black_box(&sealed[0])).unwrap());
        black_box(key.open_in_place(nonce(), Aad::empty(), &mut black_box(bytes.clone())).unwrap());
    });
}

/// A thousand tokens of a client with a scope and a tenant.
fn minted(issuer: &impl TokenIssuer) -> Vec<String> {
    let acme = (TenantName::parse("my-corporation").unwrap(), Resources::default());
    let claims = Claims::new(ClientId::parse("client-999").unwrap(), now(), now() + Duration::from_secs(3600))
        .with_scope(Scope::parse("tenant:my-corporation").unwrap())
        .with_authorization(Authorization::new(Resources::default(), [acme]));
    (0..1000).map(|_| at_once(issuer.issue(&claims)).unwrap().expose().to_owned()).collect()
}

/// A function that checks one of these tokens after another.
fn checker(issuer: &impl TokenVerifier, tokens: &[String]) -> impl Fn() {
    let (now, next) = (now(), Cell::new(0));
    move || {
        next.set((next.get() + 1) % tokens.len());
        assert!(black_box(at_once(issuer.verify(black_box(&tokens[next.get()]), now)).unwrap()).is_some());
    }
}

fn check(criterion: &mut Criterion, name: &str, algorithm: SigningAlgorithm) {
    let key = SigningKey::generate(algorithm).unwrap();
    let jwk = serde_json::to_value(key.public_jwk()).unwrap();
    let member = |name: &str| jwk[name].as_str().map(decode).unwrap_or_default();
    let (ring, public): (&dyn VerificationAlgorithm, _) = match algorithm {
        SigningAlgorithm::EdDsa => (&ED25519, member("x")),
        _ => (&ECDSA_P256_SHA256_FIXED, [vec![4], member("x"), member("y")].concat()),
    };

    let issuer = JwtIssuer::new("https://localhost:3081", key);
    let claims = Claims::new(ClientId::parse("client-999").unwrap(), now(), now() + Duration::from_secs(180))
        .with_scope(Scope::parse("tenant:my-corporation").unwrap());
    let (token, now) = (at_once(issuer.issue(&claims)).unwrap(), now());
    let (message, signature) = token.expose().rsplit_once('.').unwrap();
    let signature = decode(signature);
    compare(
        criterion,
        name,
        || drop(black_box(issuer.check(black_box(token.expose()), now).unwrap())),
        || UnparsedPublicKey::new(ring, &public).verify(black_box(message.as_bytes()), &signature).unwrap(),
    );
}

fn decode(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// What nothing in memory makes one wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing in memory ever waits"),
    }
}

/// Prints the ratio of the two, then has criterion measure them if it is wanted.
fn compare(criterion: &mut Criterion, name: &str, mint: impl Fn(), floor: impl Fn()) {
    print_ratio(name, &mint, &floor);
    if ratios_only() {
        return;
    }

    let mut group = criterion.benchmark_group(name);
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    group.bench_function("mint", |bencher| bencher.iter(&mint));
    group.bench_function("floor", |bencher| bencher.iter(&floor));
    group.finish();
}

fn print_ratio(name: &str, mint: &impl Fn(), floor: &impl Fn()) {
    let mut ratios: Vec<f64> = (0..ROUNDS).map(|_| per_call(mint) / per_call(floor)).collect();
    ratios.sort_by(f64::total_cmp);
    println!("ratio: {name} {:.2}", ratios[ROUNDS / 2]);
    println!("spread: {name} {:.2} {:.2}", ratios[ROUNDS / 4], ratios[3 * ROUNDS / 4]);
}

fn per_call(call: impl Fn()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0.0);
    loop {
        for _ in 0..8 {
            call();
        }
        calls += 8.0;
        let elapsed = start.elapsed();
        if elapsed >= ROUND {
            return elapsed.as_secs_f64() / calls;
        }
    }
}

fn floor(secret: &ClientSecret) {
    black_box(digest(&SHA256, black_box(secret.expose().as_bytes())));
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes).unwrap();
    black_box(BASE64_URL_SAFE_NO_PAD.encode(bytes));
}

/// A thousand clients, the last of which mints.
fn store(secret: &ClientSecret) -> MemoryStore {
    let store = MemoryStore::default();
    for n in 0..1000 {
        let hash = ClientSecretHash::generated(secret, &RandomSource::default()).unwrap();
        let client = Client::builder(&format!("client-{n}")).client_secret_hash(hash).seacatauth_credentials(true);
        store.insert_client(client.tenant("my-corporation").build().unwrap());
    }
    store
}

/// A function that mints with a header, a scope and a tenant.
fn minter<T: TokenIssuer>(store: MemoryStore, issuer: T, secret: &ClientSecret) -> impl Fn() {
    let server = AuthorizationServer::new(store, issuer, Config::default());
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("client-999:{}", secret.expose())));
    let (clock, ticks) = (Cell::new(now()), Cell::new(0_u32));
    move || {
        // Ten mints a second, so that 1,800 tokens live at a time and each mint drops one that has expired. The clock goes by steps,
        // since to reckon with times takes time.
        ticks.set(ticks.get() + 1);
        if ticks.get() % 16 == 0 {
            clock.set(clock.get() + Duration::from_millis(1600));
        }
        let request = Request::new("POST", clock.get())
            .header("Authorization", authorization.as_bytes())
            .header("Content-Type", b"application/x-www-form-urlencoded")
            .body(b"grant_type=client_credentials&scope=tenant:my-corporation");
        let reply = at_once(handle_token_request(&server, black_box(&request)));
        assert_eq!(reply.status(), 200);
        black_box(reply.into_body());
    }
}
