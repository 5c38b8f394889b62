//! Sealed tokens: what is in them, who can open them, and that nothing else opens.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect, and takes tokens apart"
)]

use std::{collections::HashSet, time::Duration};

use base64::{Engine as _, prelude::*};
use client_credentials::{
    AccessToken, Authorization, AuthorizationServer, Claims, Client, ClientId, ClientSecret, ClientSecretHash, Config,
    KeySet, MemoryStore, RandomSource, Request, Resources, Scope, SealedIssuer, SealingKey, TenantName, TokenHash,
    TokenIssuer as _, TokenStore as _, TokenVerifier as _, handle_token_request, now, time::OffsetDateTime,
};
use proptest::prelude::*;

const ISSUER: &str = "https://auth.example.com";

fn key(byte: u8) -> SealingKey {
    SealingKey::from_bytes(&[byte; 32])
}

fn issuer() -> SealedIssuer {
    SealedIssuer::new(ISSUER, key(1))
}

fn at(nanoseconds: i128) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(1_700_000_000_000_000_000 + nanoseconds).unwrap()
}

fn resources(ids: &[&str]) -> Resources {
    ids.iter().copied().collect()
}

fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

/// For three minutes.
fn claims() -> Claims {
    Claims::new(ClientId::parse("billing").unwrap(), at(1), at(180_000_000_001))
        .with_scope(Scope::parse("read tenant:acme tenant:bolt").unwrap())
        .with_audience(["https://api.example.com", "urn:ä"])
        .with_authorization(Authorization::new(
            resources(&["report:read"]),
            [(tenant("acme"), resources(&["report:read"])), (tenant("bolt"), resources(&["edit", "report:read"]))],
        ))
}

fn bytes(token: &AccessToken) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(token.expose()).unwrap()
}

#[track_caller]
fn refused(issuer: &SealedIssuer, token: &str) {
    assert!(issuer.check(token, at(1)).is_none(), "{token}");
}

#[tokio::test]
async fn a_token_says_all_of_its_claims() {
    let issuer = issuer();
    let plain = Claims::new(ClientId::parse(" ~").unwrap(), at(0), at(1));
    for said in [claims(), plain] {
        let token = issuer.issue(&said).await.unwrap();
        let read = issuer.verify(token.expose(), at(0)).await.unwrap().unwrap();
        assert_eq!(read.clone().with_jti(None), said);
        assert_eq!(read.jti().unwrap().len(), 27);
    }
    let labelled = issuer.seal(&claims().with_api_key_label("no API key is sealed".to_owned())).unwrap();
    assert_eq!(issuer.check(labelled.expose(), at(1)).unwrap().api_key_label(), None);
}

#[test]
fn a_token_is_closed_and_short() {
    let token = issuer().seal(&claims()).unwrap();
    let clear = bytes(&token);
    for said in [&b"bill"[..], b"tena", b"acme", b"repo", b"http"] {
        assert!(!clear.windows(4).any(|window| window == said), "{said:?}");
    }
    let texts = "billing".len() + claims().scope().unwrap().as_str().len() + "https://api.example.comurn:ä".len();
    let texts = texts + "report:readacmeboltreport:readedit".len();
    assert!((55..=55 + (texts + 24).div_ceil(3) * 4).contains(&token.expose().len()), "{}", token.expose().len());
}

#[test]
fn rfc7519_4_1_4_a_token_counts_until_it_expires_to_the_nanosecond() {
    let (issuer, token) = (issuer(), issuer().seal(&claims()).unwrap());
    let checked = |now| issuer.check(token.expose(), now).is_some();
    assert!(checked(at(1)) && checked(at(180_000_000_000)));
    assert!(!checked(at(180_000_000_001)) && !checked(at(180_000_000_002)));
    let expired = Claims::new(ClientId::parse("a").unwrap(), at(1), at(1));
    refused(&issuer, issuer.seal(&expired).unwrap().expose());
}

#[test]
fn rfc7519_4_1_7_each_token_has_its_own_jti() {
    let issuer = issuer();
    let jti = || {
        let token = issuer.seal(&claims()).unwrap();
        issuer.check(token.expose(), at(1)).unwrap().jti().unwrap().to_owned()
    };
    assert_eq!((0..1000).map(|_| jti()).collect::<HashSet<_>>().len(), 1000);
}

#[test]
fn another_key_or_another_issuer_opens_nothing() {
    let token = issuer().seal(&claims()).unwrap();
    assert!(SealedIssuer::new(ISSUER, key(1)).check(token.expose(), at(1)).is_some(), "another instance");
    for other in ["https://other.example.com", "https://auth.example.com/", "https://auth.example.co", ""] {
        refused(&SealedIssuer::new(other, key(1)), token.expose());
    }
    let other = SealedIssuer::new(ISSUER, key(2));
    refused(&other, token.expose());
    // Not even where the token names the other key.
    let theirs = bytes(&other.seal(&claims()).unwrap());
    let mut renamed = bytes(&token);
    renamed[1..5].copy_from_slice(&theirs[1..5]);
    refused(&other, &BASE64_URL_SAFE_NO_PAD.encode(renamed));
}

#[test]
fn a_key_is_accepted_before_it_seals_and_as_long_as_it_is_kept_after() {
    let keys = KeySet::new(key(1)).with_next(key(2));
    let (issuer, next) = (SealedIssuer::new(ISSUER, keys.clone()), SealedIssuer::new(ISSUER, key(2)));
    let first = issuer.seal(&claims()).unwrap();
    let ahead = next.seal(&claims()).unwrap();
    assert!(issuer.check(ahead.expose(), at(1)).is_some(), "an instance that has rotated already");

    keys.rotate(key(3), at(1), Duration::from_nanos(10)).unwrap();
    let second = issuer.seal(&claims()).unwrap();
    assert!(next.check(second.expose(), at(1)).is_some(), "sealed with the next key");
    for (now, first_counts) in [(1, true), (10, true), (11, false)] {
        assert_eq!(issuer.check(first.expose(), at(now)).is_some(), first_counts, "{now}");
        assert!(issuer.check(second.expose(), at(now)).is_some());
    }
    refused(&SealedIssuer::new(ISSUER, KeySet::new(key(2)).with_retired(key(1), at(1))), first.expose());
    let anew = SealedIssuer::new(ISSUER, KeySet::new(key(2)).with_retired(key(1), at(2)));
    assert!(anew.check(first.expose(), at(1)).is_some());
}

#[test]
fn no_bit_of_a_token_can_be_another_one() {
    let issuer = issuer();
    let sealed = bytes(&issuer.seal(&claims()).unwrap());
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    assert!(issuer.check(&encode(&sealed), at(1)).is_some());
    for byte in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[byte] ^= 1 << bit;
            refused(&issuer, &encode(&changed));
        }
        refused(&issuer, &encode(&sealed[..byte]));
        refused(&issuer, &encode(&sealed[byte + 1..]));
        let without = [&sealed[..byte], &sealed[byte + 1..]].concat();
        refused(&issuer, &encode(&without));
        for more in [0, 0xFF] {
            refused(&issuer, &encode(&[&sealed[..byte], &[more], &sealed[byte..]].concat()));
        }
    }
    refused(&issuer, &encode(&[&sealed[..], &[0]].concat()));
    // Parts of two tokens that both count.
    let other = bytes(&issuer.seal(&claims()).unwrap());
    for at in 1..sealed.len() {
        let spliced = [&sealed[..at], &other[at..]].concat();
        if spliced != sealed && spliced != other {
            refused(&issuer, &encode(&spliced));
        }
    }
}

#[test]
fn a_token_has_one_spelling() {
    let issuer = issuer();
    // Of each length that base64 tells from the others.
    for client_id in ["a", "ab", "abc"] {
        let said = Claims::new(ClientId::parse(client_id).unwrap(), at(1), at(180_000_000_001));
        let token = issuer.seal(&said).unwrap();
        let token = token.expose();
        assert!(issuer.check(token, at(1)).is_some());
        for place in 0..token.len() {
            for other in (0..=0x7F).map(char::from).filter(|other| !token[place..].starts_with(*other)) {
                refused(&issuer, &format!("{}{other}{}", &token[..place], &token[place + 1..]));
            }
            for more in ["=", " ", "\n", "A", "\0", "é"] {
                refused(&issuer, &format!("{}{more}{}", &token[..place], &token[place..]));
            }
        }
        for wrong in [
            format!("{token}="),
            format!("{token}=="),
            format!("{token}A"),
            format!("{token}\n"),
            BASE64_URL_SAFE.encode(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()),
            BASE64_STANDARD_NO_PAD.encode(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()),
        ] {
            if wrong != token {
                refused(&issuer, &wrong);
            }
        }
    }
    for huge in [0, 65_536, 65_537, 10_000_000] {
        refused(&issuer, &"A".repeat(huge));
    }
}

#[test]
fn a_token_may_be_long_but_not_without_end() {
    let issuer = issuer();
    let with_tenants = |count: usize, own: &str| {
        let names: Vec<_> = (0..count).map(|n| format!("tenant-{n:04}")).collect();
        let tenants = names.iter().map(|name| (tenant(name), resources(&["report:read", &own.replace('N', name)])));
        claims().with_authorization(Authorization::new(resources(&["report:read"]), tenants))
    };
    // One set of resources for all of them, and one for each.
    for (own, at_least, at_most) in [("edit", 4_000, 6_000), ("N:edit", 12_000, 16_000)] {
        let said = with_tenants(256, own);
        let token = issuer.seal(&said).unwrap();
        assert!((at_least..at_most).contains(&token.expose().len()), "{}", token.expose().len());
        assert_eq!(issuer.check(token.expose(), at(1)).unwrap().with_jti(None), said);
    }
    let most = (1_000..2_000).take_while(|count| issuer.seal(&with_tenants(*count, "N:edit")).is_ok()).last().unwrap();
    let token = issuer.seal(&with_tenants(most, "N:edit")).unwrap();
    assert!((65_000..=65_536).contains(&token.expose().len()), "{}", token.expose().len());
    assert!(issuer.check(token.expose(), at(1)).is_some(), "what is issued can be checked");
}

#[test]
fn without_randomness_there_is_no_token() {
    let none = RandomSource::from_fn(|_| Err(client_credentials::BackendError::new("none")));
    assert!(issuer().with_random(none.clone()).seal(&claims()).is_err());
    assert!(SealingKey::generate(&none).is_err());
}

/// A server with one client, and a token that it has issued to it.
async fn minted(store: &MemoryStore) -> (AuthorizationServer<MemoryStore, SealedIssuer>, String) {
    let secret = ClientSecret::generate(&RandomSource::default()).unwrap();
    let hash = ClientSecretHash::generated(&secret, &RandomSource::default()).unwrap();
    let client = Client::builder("billing").client_secret_hash(hash).seacatauth_credentials(true).tenant("acme");
    store.insert_client(client.build().unwrap());
    let server = AuthorizationServer::new(store.clone(), issuer(), Config::default());
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("billing:{}", secret.expose())));
    let request = Request::new("POST", at(0))
        .header("Authorization", authorization.as_bytes())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .body(b"grant_type=client_credentials&scope=tenant:acme");
    let reply = handle_token_request(&server, &request).await;
    let reply: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
    (server, reply["access_token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_token_of_the_endpoint_is_checked_without_a_row() {
    let store = MemoryStore::default();
    let (server, token) = minted(&store).await;
    let claims = server.check_token(&token, at(1)).await.unwrap().unwrap();
    assert_eq!((claims.client_id().as_str(), claims.scope().unwrap().as_str()), ("billing", "tenant:acme"));
    assert!(claims.audience().is_empty());
    assert!(store.list_tokens(claims.client_id(), at(1)).await.unwrap().is_empty());
    assert!(store.find(&TokenHash::of(&token)).await.unwrap().is_none());

    // Another instance with the same key, and no more than that.
    let (elsewhere, _) = minted(&MemoryStore::default()).await;
    assert!(elsewhere.check_token(&token, at(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn rfc7009_2_1_a_token_that_is_denied_counts_no_more_and_others_do() {
    let store = MemoryStore::default();
    let (server, token) = minted(&store).await;
    let other = server.issuer().seal(&claims()).unwrap();
    let denied = server.check_token(&token, at(1)).await.unwrap().unwrap();
    let jti = TokenHash::of(denied.jti().unwrap());
    assert!(store.deny(&jti, &denied).await.unwrap());
    assert!(!store.deny(&jti, &denied).await.unwrap(), "it was ended before");
    assert!(server.check_token(&token, at(1)).await.unwrap().is_none());
    assert!(server.check_token(other.expose(), at(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn all_tokens_of_a_client_are_ended_by_one_entry() {
    let store = MemoryStore::default();
    let (server, token) = minted(&store).await;
    let client_id = ClientId::parse("billing").unwrap();
    let issued_at = |nanoseconds| server.issuer().seal(&Claims::new(client_id.clone(), at(nanoseconds), at(1000)));
    let tokens = [issued_at(5), issued_at(6), issued_at(7)].map(Result::unwrap);
    store.revoke_all(&client_id, at(6)).await.unwrap();
    let counts = async |token: &str| server.check_token(token, at(10)).await.unwrap().is_some();
    assert!(!counts(&token).await && !counts(tokens[0].expose()).await && !counts(tokens[1].expose()).await);
    assert!(counts(tokens[2].expose()).await, "it was issued later, by a nanosecond");
}

proptest! {
    #[test]
    fn any_text_is_refused(text in ".{0,300}", base64 in "[A-Za-z0-9_-]{0,300}") {
        let issuer = issuer();
        prop_assert!(issuer.check(&text, now()).is_none());
        prop_assert!(issuer.check(&base64, now()).is_none());
    }

    #[test]
    fn any_bytes_after_a_right_header_are_refused(sealed in prop::collection::vec(any::<u8>(), 0..300)) {
        let issuer = issuer();
        let header = &bytes(&issuer.seal(&claims()).unwrap())[..25];
        prop_assert!(issuer.check(&BASE64_URL_SAFE_NO_PAD.encode([header, &sealed].concat()), at(1)).is_none());
    }
}
