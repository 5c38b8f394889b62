//! Tokens that are not quite what was issued, for the server that issued them and for an API that knows its public keys.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

mod common;

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use client_credentials::{
    Authorization, AuthorizationServer, Claims, ClientId, Config, Error, JwtIssuer, JwtVerifier, Request, Requirements,
    ResourceServer, Scope, Signer as _, SigningAlgorithm, SigningKey, TokenHash, TokenIssuer as _, TokenStore as _,
    time::{Duration, OffsetDateTime},
};
use ring::hmac;
use serde_json::{Value, json};

const RSA: &[u8] = include_bytes!("keys/rsa2048.pem");
const ALGORITHMS: [SigningAlgorithm; 4] =
    [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::Ps256];
const ISSUER: &str = "https://auth.example.com";
const API: &str = "https://api.example.com";

/// What none of these parts makes one wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(part: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

fn name(algorithm: SigningAlgorithm) -> String {
    serde_json::to_value(algorithm).unwrap().as_str().unwrap().into()
}

/// An issuer, an API that takes its tokens, and the key of both, to forge with.
struct Parts {
    issuer: JwtIssuer,
    verifier: JwtVerifier,
    key: SigningKey,
}

fn parts(algorithm: SigningAlgorithm) -> Parts {
    let keys = || match algorithm {
        SigningAlgorithm::EdDsa => SigningKey::from_pkcs8_pem(algorithm, include_bytes!("keys/ed25519.pem")).unwrap(),
        SigningAlgorithm::Es256 => SigningKey::from_pkcs8_pem(algorithm, include_bytes!("keys/p256.pem")).unwrap(),
        _ => SigningKey::from_pkcs8_pem(algorithm, RSA).unwrap(),
    };
    // As it is read from the network.
    let published = json!({"keys": [keys().public_jwk()]}).to_string();
    Parts {
        issuer: JwtIssuer::new(ISSUER, keys()).with_audience(API),
        verifier: JwtVerifier::new(ISSUER, serde_json::from_str(&published).unwrap())
            .with_clock_skew(std::time::Duration::ZERO),
        key: keys(),
    }
}

impl Parts {
    fn token(&self) -> String {
        let acme = ("acme".parse().unwrap(), ["read"].into_iter().collect());
        let claims = Claims::new(ClientId::parse("billing").unwrap(), now(), now() + Duration::MINUTE)
            .with_scope(Scope::parse("r tenant:acme").unwrap())
            .with_authorization(Authorization::new(["read"].into_iter().collect(), [acme]));
        at_once(self.issuer.issue(&claims)).unwrap().expose().to_owned()
    }

    /// Whether the server that issued it takes a token, and whether the API does.
    fn takes(&self, token: &str, now: OffsetDateTime) -> (bool, bool) {
        let is_for_api = |claims: Claims| claims.audience().iter().any(|named| named == API);
        (self.issuer.check(token, now).is_some(), self.verifier.check(token, now).is_some_and(is_for_api))
    }

    #[track_caller]
    fn refuse(&self, token: &str, what: &str) {
        assert_eq!(self.takes(token, now()), (false, false), "{what}: {token}");
    }

    /// The header as it is issued.
    fn header(&self) -> String {
        format!(r#"{{"alg":"{}","kid":"{}","typ":"at+jwt"}}"#, name(self.key.algorithm()), self.key.key_id())
    }

    /// A token that says anything, with a signature that is right.
    fn signed(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", base64(header), base64(payload));
        let signature = at_once(self.key.sign(message.as_bytes())).unwrap();
        format!("{message}.{}", base64(signature))
    }

    fn saying(&self, payload: &Value) -> String {
        self.signed(&self.header(), &payload.to_string())
    }
}

fn payload() -> Value {
    let now = now().unix_timestamp();
    json!({"iss": ISSUER, "sub": "billing", "aud": API, "client_id": "billing", "exp": now + 60, "iat": now, "jti": "1",
           "resources": {"*": []}})
}

#[test]
fn no_byte_can_be_another() {
    for parts in ALGORITHMS.map(parts) {
        let token = parts.token();
        assert_eq!(parts.takes(&token, now()), (true, true));

        // The text, character by character: the bits of a base64url digit, and what is none.
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for at in 0..token.len() {
            let old = token.as_bytes()[at];
            let digit = DIGITS.iter().position(|digit| *digit == old);
            let others = (0..6).filter_map(|bit| digit.map(|digit| DIGITS[digit ^ (1 << bit)]));
            for new in others.chain(*b".=+/A \0").filter(|new| *new != old) {
                let mut other = token.clone().into_bytes();
                other[at] = new;
                parts.refuse(str::from_utf8(&other).unwrap(), &format!("character {at}"));
            }
            parts.refuse(&format!("{}{}", &token[..at], &token[at + 1..]), "one less");
            parts.refuse(&format!("{}A{}", &token[..at], &token[at..]), "one more");
            parts.refuse(&token[..at], "cut short");
        }

        // What it stands for, bit by bit.
        let texts: Vec<_> = token.split('.').collect();
        for (part, text) in texts.iter().enumerate() {
            let bytes = decoded(text);
            for bit in 0..bytes.len() * 8 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                let other = base64(other);
                let mut texts = texts.clone();
                texts[part] = &other;
                parts.refuse(&texts.join("."), &format!("bit {bit} of part {part}"));
            }
        }
    }
}

#[test]
fn no_part_can_be_missing_or_from_elsewhere() {
    for parts in ALGORITHMS.map(parts) {
        let (token, another) = (parts.token(), parts.token());
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let [_, payload_2, signature_2] = another.split('.').collect::<Vec<_>>().try_into().unwrap();
        for forged in [
            format!("{header}.{payload_2}.{signature}"),
            format!("{header}.{payload}.{signature_2}"),
            format!("{header}.{payload}."),
            format!("{header}.{payload}"),
            format!("{header}..{signature}"),
            format!(".{payload}.{signature}"),
            format!("{payload}.{header}.{signature}"),
            format!("{header}.{payload}.{signature}.{signature}"),
            format!("{header}.{payload}.{payload}.{signature}"),
            format!("{header}.{header}.{payload}.{signature}"),
            format!("{header}.{payload}.{signature}."),
            format!(".{token}"),
            format!(" {token}"),
            format!("{token} "),
            format!("{token}\n"),
            format!("{token}="),
            token.to_ascii_lowercase(),
            header.into(),
            ".".into(),
            "..".into(),
            String::new(),
        ] {
            parts.refuse(&forged, "a part");
        }
        for length in [0, 1, 32, 63, 65, 255, 257, 1024] {
            for byte in [0, 1, 0xFF] {
                parts.refuse(&format!("{header}.{payload}.{}", base64(vec![byte; length])), "a made up signature");
            }
        }
    }
}

/// RFC 8725 §2.1, §3.1: the key chooses the algorithm, and the header only repeats it.
#[test]
fn rfc8725_3_1_algorithms_are_not_confused() {
    for parts in ALGORITHMS.map(parts) {
        let (alg, kid, said) = (name(parts.key.algorithm()), parts.key.key_id(), payload().to_string());
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            for header in [json!({"alg": alg, "typ": "at+jwt"}), json!({"alg": alg, "kid": kid, "typ": "at+jwt"})] {
                let message = format!("{}.{}", base64(header.to_string()), base64(&said));
                parts.refuse(&format!("{message}."), "none");
                parts.refuse(&parts.signed(&header.to_string(), &said), "none, and signed");
            }
        }

        // The public key as the secret of a MAC, in every form in which somebody may have it.
        let jwk = serde_json::to_value(parts.key.public_jwk()).unwrap();
        let mut secrets = vec![jwk.to_string().into_bytes(), Vec::new()];
        for member in ["x", "y", "n", "e", "kid"] {
            if let Some(text) = jwk[member].as_str() {
                secrets.extend([text.as_bytes().to_vec(), decoded(text)]);
            }
        }
        for secret in secrets {
            for alg in ["HS256", &alg] {
                let header = json!({"alg": alg, "kid": kid, "typ": "at+jwt"}).to_string();
                let message = format!("{}.{}", base64(header), base64(&said));
                let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
                parts.refuse(&format!("{message}.{}", base64(mac)), "a MAC");
            }
        }

        for other in ALGORITHMS.map(self::parts).iter().filter(|other| other.key.algorithm() != parts.key.algorithm()) {
            // Another algorithm in the header, with the signature of the key as it is; PS256 and RS256 have one key id here.
            let header = json!({"alg": name(other.key.algorithm()), "kid": kid, "typ": "at+jwt"}).to_string();
            parts.refuse(&parts.signed(&header, &said), "another algorithm named");
            // The header as it is, with the signature of another algorithm.
            parts.refuse(&other.signed(&parts.header(), &said), "another algorithm used");
            // Both.
            parts.refuse(&other.signed(&header, &said), "another algorithm");
            parts.refuse(&other.token(), "another key");
        }

        // A key that comes with the token (RFC 7515 §4.1.2, §4.1.3, §4.1.5).
        let own = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
        for (name, value) in [
            ("jwk", serde_json::to_value(own.public_jwk()).unwrap()),
            ("jku", "https://evil.example.com/jwks.json".into()),
            ("x5u", "https://evil.example.com/chain.pem".into()),
            ("x5c", json!(["AAAA"])),
        ] {
            let mut header = json!({"alg": "EdDSA", "kid": kid, "typ": "at+jwt"});
            header[name] = value;
            let message = format!("{}.{}", base64(header.to_string()), base64(&said));
            let signature = at_once(own.sign(message.as_bytes())).unwrap();
            parts.refuse(&format!("{message}.{}", base64(signature)), name);
        }
    }
}

#[test]
fn rfc9068_4_only_an_access_token_is_one() {
    for parts in ALGORITHMS.map(parts) {
        let (alg, kid, said) = (name(parts.key.algorithm()), parts.key.key_id(), payload().to_string());
        assert_eq!(parts.takes(&parts.signed(&parts.header(), &said), now()), (true, true));
        // The server takes only what it has issued, to the letter; an API what the RFC allows others to write.
        for header in [
            json!({"alg": alg, "kid": kid, "typ": "AT+JWT"}),
            json!({"alg": alg, "kid": kid, "typ": "application/at+jwt"}),
            json!({"alg": alg, "typ": "at+jwt"}),
            json!({"alg": alg, "kid": kid, "typ": "at+jwt", "x": 1}),
        ] {
            assert_eq!(parts.takes(&parts.signed(&header.to_string(), &said), now()), (false, true), "{header}");
        }
        for header in [
            json!({"alg": alg, "kid": kid}),
            json!({"alg": alg, "kid": kid, "typ": null}),
            json!({"alg": alg, "kid": kid, "typ": "JWT"}),
            json!({"alg": alg, "kid": kid, "typ": "jwt"}),
            json!({"alg": alg, "kid": kid, "typ": "at+jwt "}),
            json!({"alg": alg, "kid": kid, "typ": "logout+jwt"}),
            json!({"alg": alg, "kid": kid, "typ": "application/jwt"}),
            json!({"alg": alg, "kid": kid, "typ": ["at+jwt"]}),
            json!({"alg": alg, "kid": "another", "typ": "at+jwt"}),
            json!({"alg": alg, "kid": "", "typ": "at+jwt"}),
            json!({"alg": alg, "kid": 1, "typ": "at+jwt"}),
            json!({"alg": [alg], "kid": kid, "typ": "at+jwt"}),
            json!({"alg": alg.to_ascii_lowercase(), "kid": kid, "typ": "at+jwt"}),
            json!({"kid": kid, "typ": "at+jwt"}),
            // RFC 7515 §4.1.11: what has to be understood is not.
            json!({"alg": alg, "kid": kid, "typ": "at+jwt", "crit": ["exp"], "exp": 1}),
            json!({"alg": alg, "kid": kid, "typ": "at+jwt", "crit": ["b64"], "b64": false}),
            json!({"alg": alg, "kid": kid, "typ": "at+jwt", "crit": []}),
            json!({"alg": alg, "kid": kid, "typ": "at+jwt", "crit": null}),
            json!({"alg": alg, "kid": kid, "typ": "at+jwt", "x": "x".repeat(4096)}),
            json!([alg, kid, "at+jwt"]),
        ] {
            parts.refuse(&parts.signed(&header.to_string(), &said), "header");
        }
        for header in [
            format!(r#"{{"alg":"none","alg":"{alg}","kid":"{kid}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"{alg}","kid":"x","kid":"{kid}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"JWT","typ":"at+jwt"}}"#),
            format!("{}{}", parts.header(), parts.header()),
            format!("{}x", parts.header()),
            String::new(),
        ] {
            parts.refuse(&parts.signed(&header, &said), "header");
        }
    }
}

#[test]
fn rfc9068_4_what_a_token_has_to_say() {
    for parts in ALGORITHMS.map(parts) {
        for (name, value) in [
            ("x", 1.into()),
            ("aud", json!([API])),
            ("aud", json!(["https://other.example.com", API])),
            ("scope", "a b".into()),
            ("scope", "".into()),
            ("nbf", now().unix_timestamp().into()),
            ("exp", 1_700_000_060.5.into()),
        ] {
            let mut said = payload();
            said[name] = value;
            assert_eq!(parts.takes(&parts.saying(&said), now()), (true, true), "{said}");
        }
        for name in ["iss", "sub", "aud", "client_id", "exp", "iat", "jti"] {
            let mut said = payload();
            said.as_object_mut().unwrap().remove(name);
            parts.refuse(&parts.saying(&said), name);
            for wrong in [Value::Null, true.into(), json!({}), json!([]), json!([1]), "".into()] {
                // For nobody, which the server tells whoever asks.
                if name == "aud" && wrong == "" {
                    continue;
                }
                let mut said = payload();
                said[name] = wrong;
                parts.refuse(&parts.saying(&said), name);
            }
        }
        let other = "https://other.example.com";
        for (name, value) in [
            ("iss", other.into()),
            ("iss", format!("{ISSUER}/").into()),
            ("iss", ISSUER.to_ascii_uppercase().into()),
            ("iss", json!([ISSUER])),
            // Of somebody who uses the client, which another grant has let him.
            ("sub", "somebody".into()),
            ("client_id", "somebody".into()),
            ("exp", "1700000060".into()),
            ("exp", 1e300.into()),
            ("exp", u64::MAX.into()),
            ("exp", i64::MAX.into()),
            ("exp", (-1).into()),
            ("nbf", (now().unix_timestamp() + 1).into()),
            ("nbf", "0".into()),
            ("iat", i64::MIN.into()),
            ("scope", "a  b".into()),
            ("scope", json!(["a"])),
            ("resources", json!({"acme": "read"})),
            ("resources", json!([])),
        ] {
            let mut said = payload();
            said[name] = value;
            parts.refuse(&parts.saying(&said), name);
        }
        for said in [
            payload().to_string().replacen('{', r#"{"exp":9999999999,"#, 1),
            payload().to_string().replacen('{', r#"{"iss":"https://auth.example.com","#, 1),
            format!("{}x", payload()),
            "null".into(),
            "[]".into(),
            String::new(),
        ] {
            parts.refuse(&parts.signed(&parts.header(), &said), "payload");
        }

        // The server tells for whom it is, and so does the verifier; an API takes only what is for it.
        let api = ResourceServer::new(&parts.verifier, Config::default()).with_audience(API);
        let call = |said: &Value| {
            let authorization = format!("Bearer {}", parts.saying(said));
            let request = Request::new("GET", now()).header("Authorization", authorization.as_bytes());
            at_once(api.check(&request, &Requirements::default()))
        };
        call(&payload()).unwrap();
        for (aud, named) in [
            (json!(other), vec![other]),
            (json!([other, "https://api.example.com/"]), vec![other, "https://api.example.com/"]),
            (json!(ISSUER), vec![]),
            (json!(""), vec![""]),
        ] {
            let mut said = payload();
            said["aud"] = aud;
            assert_eq!(parts.takes(&parts.saying(&said), now()), (true, false), "{said}");
            assert_eq!(parts.verifier.check(&parts.saying(&said), now()).unwrap().audience(), named);
            assert!(matches!(call(&said), Err(Error::WrongAudience)), "{said}");
        }
        let mut said = payload();
        said["aud"] = other.into();
        assert_eq!(parts.issuer.check(&parts.saying(&said), now()).unwrap().audience(), [other]);
    }
}

#[test]
fn rfc7519_4_1_4_a_token_counts_from_its_beginning_and_before_its_end() {
    let parts = parts(SigningAlgorithm::EdDsa);
    let skewed = JwtVerifier::new(ISSUER, [parts.key.public_jwk().clone()].into_iter().collect());
    let mut said = payload();
    said["nbf"] = (now().unix_timestamp() + 10).into();
    let token = parts.saying(&said);
    let (nbf, exp) = (now() + Duration::seconds(10), now() + Duration::seconds(60));
    let (skew, moment) = (Duration::seconds(5), Duration::NANOSECOND);
    for (at, counts) in [(nbf - moment, false), (nbf, true), (exp - moment, true), (exp, false), (exp + moment, false)]
    {
        assert_eq!(parts.takes(&token, at), (counts, counts), "{at}");
    }
    for (at, counts) in [
        (nbf - skew - moment, false),
        (nbf - skew, true),
        (exp, true),
        (exp + skew - moment, true),
        (exp + skew, false),
    ] {
        assert_eq!(skewed.check(&token, at).is_some(), counts, "{at}");
    }
    // A clock that is off by everything is no reason to stop.
    let lenient = skewed.with_clock_skew(std::time::Duration::MAX);
    assert!(lenient.check(&token, now() + Duration::days(3650)).is_some());
}

/// An ECDSA signature (r, s) is (r, -s) just as well, which whoever holds a token can write without the key: so a token is
/// revoked by its `jti`, and not by its text.
#[tokio::test]
async fn rfc7009_2_1_a_revoked_token_has_no_twin() {
    /// The order of P-256 (SEC 2 §2.4.2).
    const N: [u8; 32] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD,
        0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
    ];
    let (store, key) = (common::store(), SigningKey::generate(SigningAlgorithm::Es256).unwrap());
    let server = AuthorizationServer::new(store.clone(), JwtIssuer::new(ISSUER, key), Config::default());
    let claims = Claims::new(ClientId::parse("basic").unwrap(), now(), now() + Duration::MINUTE);
    let token = server.issuer().issue(&claims).await.unwrap();

    let (message, signature) = token.expose().rsplit_once('.').unwrap();
    let mut respelled = decoded(signature);
    let mut borrow = 0;
    for (s, n) in respelled[32..].iter_mut().zip(N).rev() {
        let difference = i16::from(n) - i16::from(*s) - borrow;
        borrow = i16::from(difference < 0);
        *s = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let twin = format!("{message}.{}", base64(respelled));
    assert_ne!(twin, token.expose());

    let read = server.check_token(token.expose(), now()).await.unwrap().unwrap();
    assert_eq!(server.check_token(&twin, now()).await.unwrap().unwrap(), read, "it is a signature of that key");
    store.deny(&TokenHash::of(read.jti().unwrap()), &read).await.unwrap();
    for token in [token.expose(), &twin] {
        assert!(server.check_token(token, now()).await.unwrap().is_none());
    }
}
