//! A configuration and quotas, as the whole file or as the section of one: what is read keeps its own rules, and a server works
//! with it.
#![no_main]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{Config, MemoryCounters, Quotas, Reply, Request, Throttle, handle_token_request};
use client_credentials_fuzz::{Issuer, SECRET, Server, bounded, clients, done, now, serve, serve_as};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;

fuzz_target!(|text: &str| {
    for config in read::<Config>("openidconnect", text) {
        let (usual, longest) =
            (config.client_credentials_grant_expiration(), config.client_credentials_grant_max_expiration());
        assert!(usual <= longest && usual.as_secs() > 0 && usual.subsec_nanos() == 0);
        assert!(config.max_body_bytes() > 0 && config.max_parameters() > 0 && config.max_tenants() > 0);
        assert!(config.max_authorization_bytes() > 0 && config.max_client_secrets() > 0);
        assert!(config.bearer_realm().bytes().all(|b| matches!(b, 0x20..=0x7E) && b != b'"' && b != b'\\'));
        assert_eq!(config.clone().with_max_body_bytes(config.max_body_bytes()).as_ref(), Ok(&config));
        throttled(config);
    }
    for quotas in read::<Quotas>("quota", text) {
        limited(quotas);
    }
});

fn read<T: DeserializeOwned>(section: &str, text: &str) -> impl Iterator<Item = T> {
    let file = format!("{{\"{section}\":{text}}}");
    [text.into(), file].into_iter().filter_map(|text: String| bounded(text.len(), || serde_json::from_str(&text)).ok())
}

/// However long its times are and however low its limits.
fn throttled(config: Config) {
    let (most, longest) = (config.max_failures_per_client(), config.max_retry_after().as_secs());
    // Then there may be no room for the request.
    let is_small = config.max_body_bytes() < 1024 || config.max_authorization_bytes() < 1024;
    let is_small = is_small || config.max_parameters() < 2 || config.max_scope_tokens() < 1;
    let server = serve_as(config, Issuer::Opaque, clients().clients()).with_throttle(Throttle::with_capacity(8));
    for attempt in 1..=3 {
        let reply = ask(&server, "wrong");
        let waits = most > 0 && attempt > most;
        assert!(is_small || reply.status() == if waits { 429 } else { 401 }, "{reply:?}");
        let retry_after = header(&reply, "Retry-After").map(|seconds| seconds.parse::<u64>().unwrap());
        assert!(retry_after.is_none_or(|seconds| seconds > 0 && seconds <= longest), "{reply:?}");
    }
    let reply = ask(&server, SECRET);
    assert!(is_small || matches!(reply.status(), 200 | 429), "{reply:?}");
}

/// Each of them lets a first token through, and a second one where it says that one is left.
fn limited(quotas: Quotas) {
    let is_empty = quotas.is_empty();
    let server = serve(Issuer::Opaque, clients().clients()).with_quotas(quotas, MemoryCounters::default());
    let first = ask(&server, SECRET);
    assert_eq!(first.status(), 200, "{first:?}");
    let left = header(&first, "RateLimit");
    assert!(!is_empty || left.is_none(), "{first:?}");
    let is_used_up = left.is_some_and(|left| left.contains(";r=0;"));
    assert_eq!(ask(&server, SECRET).status(), if is_used_up { 429 } else { 200 });
}

fn ask(server: &Server, secret: &str) -> Reply {
    let authorization = format!("Basic {}", BASE64_STANDARD.encode(format!("basic:{secret}")));
    let request = Request::new("POST", now())
        .header("Content-Type", b"application/x-www-form-urlencoded")
        .header("Authorization", authorization.as_bytes())
        .body(b"grant_type=client_credentials&scope=tenant:acme");
    done(handle_token_request(server, &request))
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers().find(|(known, _)| *known == name).map(|(_, value)| value)
}
