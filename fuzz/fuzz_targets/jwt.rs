//! JWTs (RFC 9068). What is no JSON is taken for a token; a line of JSON for a header and one for the payload are signed with
//! the right key first, since nobody reads further than the signature otherwise.
#![no_main]

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use client_credentials::{Claims, JwtIssuer, JwtVerifier, Signer as _, SigningKey};
use client_credentials_fuzz::{ISSUER, bounded, done, now, signing_key};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<SigningKey> = LazyLock::new(signing_key);
static ISSUES: LazyLock<JwtIssuer> = LazyLock::new(|| JwtIssuer::new(ISSUER, signing_key()));
static VERIFIER: LazyLock<JwtVerifier> =
    LazyLock::new(|| JwtVerifier::new(ISSUER, [KEY.public_jwk().clone()].into_iter().collect()));

fuzz_target!(|text: &str| {
    if text.starts_with('{') {
        let (header, payload) = text.split_once('\n').unwrap_or((text, ""));
        let header = header.replace("KID", KEY.key_id());
        let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(payload));
        let signature = done(KEY.sign(signed.as_bytes())).unwrap();
        let token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        let (here, elsewhere) = both(&token);
        // What counts where it was issued, to the letter of its header, counts elsewhere too.
        assert!(here.is_none() || here == elsewhere);
    } else {
        let (here, elsewhere) = both(text);
        assert!(here.is_none() && elsewhere.is_none(), "forged");
    }
});

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
