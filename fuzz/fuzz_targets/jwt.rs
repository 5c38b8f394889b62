//! JWTs (RFC 9068). What is no JSON is taken for a token; a line of JSON for a header and one for the payload are signed with
//! the right key first, since nobody reads further than the signature otherwise.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use client_credentials::{Claims, JwtIssuer, JwtVerifier, Signer as _, SigningKey};
use client_credentials_fuzz::{ISSUER, bounded, done, now, signing_key};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static KEY: LazyLock<SigningKey> = LazyLock::new(signing_key);
static ISSUES: LazyLock<JwtIssuer> = LazyLock::new(|| JwtIssuer::new(ISSUER, signing_key()));
static VERIFIER: LazyLock<JwtVerifier> =
    LazyLock::new(|| JwtVerifier::new(ISSUER, [KEY.public_jwk().clone()].into_iter().collect()));

fuzz_target!(|text: &str| {
    if text.starts_with('{') {
        let (header, payload) = text.split_once('\n').unwrap_or((text, ""));
        let header = header.replace("KID", KEY.key_id());
        let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(&header), BASE64_URL_SAFE_NO_PAD.encode(payload));
        let mut signature = done(KEY.sign(signed.as_bytes())).unwrap();
        let (here, elsewhere) = both(&format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(&signature)));
        // What counts where it was issued, to the letter of its header, counts elsewhere too.
        assert!(here.is_none() || here == elsewhere);
        if let Some(claims) = &elsewhere {
            says(&header, payload, claims);
        }
        signature[0] ^= 1;
        let forged = both(&format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)));
        assert_eq!(forged, (None, None));
    } else {
        let (here, elsewhere) = both(text);
        assert!(here.is_none() && elsewhere.is_none(), "forged");
    }
});

/// What RFC 9068 §4 asks of a token that counts, so far as another reader of JSON can tell.
fn says(header: &str, payload: &str, claims: &Claims) {
    let (Ok(header), Ok(payload)) = (serde_json::from_str::<Value>(header), serde_json::from_str::<Value>(payload))
    else {
        // Texts that nobody reads may be none.
        return;
    };
    assert_eq!(header["alg"], "EdDSA");
    assert!(header["typ"].as_str().is_some_and(|typ| typ.to_lowercase().ends_with("at+jwt")));
    assert!(header["crit"].is_null() && payload["cnf"].is_null());
    assert_eq!((&payload["iss"], &payload["sub"]), (&ISSUER.into(), &payload["client_id"]));
    assert_eq!(payload["client_id"], claims.client_id().as_str());
    let named = match &payload["aud"] {
        Value::String(aud) => vec![aud.as_str()],
        aud => aud.as_array().unwrap().iter().map(|aud| aud.as_str().unwrap()).collect(),
    };
    assert!(!named.is_empty() && claims.audience().iter().all(|aud| named.contains(&aud.as_str())));
    assert!(!claims.audience().is_empty() || named.iter().all(|aud| *aud == ISSUER));
    let (exp, nbf) = (payload["exp"].as_f64().unwrap(), payload["nbf"].as_f64().unwrap_or_default());
    assert!(exp > 1_799_999_994.0 && nbf < 1_800_000_006.0, "{exp} {nbf}");
}

fn both(token: &str) -> (Option<Claims>, Option<Claims>) {
    let both = bounded(token.len(), || (ISSUES.check(token, now()), VERIFIER.check(token, now())));
    let (here, elsewhere) = &both;
    assert!(here.as_ref().is_none_or(|claims| now() < claims.expires_at()));
    for claims in [here, elsewhere].into_iter().flatten() {
        assert!(claims.jti().is_some_and(|jti| !jti.is_empty()));
        assert!(claims.api_key_label().is_none());
    }
    both
}
