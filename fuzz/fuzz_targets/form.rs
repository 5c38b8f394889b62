//! Forms, as `form_urlencoded` reads them: the token endpoint grants exactly what it finds there too.
#![no_main]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{Request, handle_token_request};
use client_credentials_fuzz::{Issuer, Log, SECRET, bounded, clients, done, now, serve};
use libfuzzer_sys::fuzz_target;

const KNOWN: [&str; 6] = ["grant_type", "scope", "client_id", "client_secret", "resource", "audience"];

fuzz_target!(|body: &[u8]| {
    // Where it stands for bytes that are no text, `form_urlencoded` has lost them.
    if form_urlencoded::parse(body).any(|(name, value)| [name, value].iter().any(|text| text.contains('\u{FFFD}'))) {
        return;
    }
    let log = Log::new(None);
    let server = serve(Issuer::Opaque, clients().clients()).with_audit_sink(log.sink());
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("plain:{SECRET}")));
    let request = Request::new("POST", now())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .header("Authorization", authorization.as_bytes())
        .body(body);
    let reply = bounded(body.len(), || done(handle_token_request(&server, &request)));
    log.check(&[]);
    assert!(matches!(reply.status(), 200 | 400 | 413), "{reply:?}");
    assert_eq!(reply.status() == 200, is_granted(body), "{reply:?}");
    if reply.status() == 200 {
        let json: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
        let asked = form_urlencoded::parse(body).find(|(name, value)| name == "scope" && !value.is_empty());
        assert_eq!(json["scope"].as_str(), asked.map(|(_, scope)| scope).as_deref());
    }
});

/// Whether the client `plain` gets a token for this form.
fn is_granted(body: &[u8]) -> bool {
    // Half of a character as it is and half of it encoded is one for `form_urlencoded`, but not for RFC 6749 Appendix B.
    let is_text = str::from_utf8(body).is_ok();
    if !is_text || body.len() > 16 * 1024 || body.iter().filter(|b| **b == b'&').count() >= 32 {
        return false;
    }
    // What is merely almost right is refused, where it is looked at.
    let pieces = body.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    let pairs: Vec<_> = form_urlencoded::parse(body).collect();
    for (piece, (name, value)) in pieces.zip(&pairs) {
        let (raw_name, raw_value) = piece.split_at(piece.iter().position(|b| *b == b'=').unwrap_or(piece.len()));
        if !is_encoded(raw_name) || (KNOWN.contains(&&**name) && !value.is_empty() && !is_encoded(raw_value)) {
            return false;
        }
    }
    let all = |known: &str| -> Vec<&str> {
        pairs.iter().filter(|(name, value)| name == known && !value.is_empty()).map(|(_, value)| &**value).collect()
    };
    let is_scope = |scope: &str| {
        let tokens: Vec<_> = scope.split(' ').collect();
        tokens.len() <= 64 && tokens.iter().all(|token| ["read", "write"].contains(token))
    };
    all("grant_type") == ["client_credentials"]
        && matches!(&*all("client_id"), [] | ["plain"])
        && all("client_secret").is_empty()
        && all("resource").is_empty()
        && all("audience").is_empty()
        && match &*all("scope") {
            [] => true,
            [scope] => is_scope(scope),
            _ => false,
        }
}

/// Whether each `%` has two hexadecimal digits after it.
fn is_encoded(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return false,
        }
    }
    true
}
