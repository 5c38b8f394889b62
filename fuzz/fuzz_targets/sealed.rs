//! Sealed tokens. The first line is a token, the second one edits a good one (`AT=BYTES`), and the rest are claims, which are
//! sealed and opened again.
#![no_main]

use std::sync::LazyLock;

use client_credentials::{
    Authorization, Claims, ClientId, KeySet, Resources, Scope, SealedIssuer, SealingKey, TenantName, time::Duration,
};
use client_credentials_fuzz::{ISSUER, bounded, now, random};
use libfuzzer_sys::fuzz_target;

static ISSUES: LazyLock<SealedIssuer> =
    LazyLock::new(|| SealedIssuer::new(ISSUER, KeySet::from(SealingKey::from_bytes(&[7; 32]))).with_random(random()));

fuzz_target!(|text: &str| {
    let (token, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (edit, said) = rest.split_once('\n').unwrap_or((rest, ""));
    assert!(bounded(token.len(), || ISSUES.check(token, now())).is_none(), "forged");

    let claims = claims(said);
    // From 64 KiB on there is none.
    let Ok(good) = ISSUES.seal(&claims) else { return };
    let opened = ISSUES.check(good.expose(), now());
    // It is revoked by a name that it does not have to carry.
    assert!(opened.as_ref().is_none_or(|claims| claims.jti().is_some()));
    let opened = opened.map(|claims| claims.with_jti(None));
    assert_eq!(opened, Some(claims).filter(|claims| now() < claims.expires_at()));

    if let Some((at, bytes)) = edit.split_once('=') {
        let mut edited = good.expose().to_owned();
        let at = at.parse::<usize>().unwrap_or_default() % edited.len();
        let end = (at + bytes.len()).min(edited.len());
        edited.replace_range(at..end, bytes);
        if edited != good.expose() {
            assert!(bounded(edited.len(), || ISSUES.check(&edited, now())).is_none(), "changed");
        }
    }
});

/// Claims, one a line: a client, then what begins with a name.
fn claims(text: &str) -> Claims {
    let mut lines = text.lines();
    let client_id = lines.next().and_then(|id| ClientId::parse(id).ok());
    let client_id = client_id.unwrap_or_else(|| ClientId::parse("basic").unwrap());
    let (mut lifetime, mut before) = (180_i64, 0_i64);
    let (mut scope, mut audience) = (None, Vec::new());
    let (mut global, mut tenants) = (Resources::default(), Vec::new());
    for line in lines {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        match name {
            "exp" => lifetime = value.parse().unwrap_or(180),
            "iat" => before = value.parse().unwrap_or(0),
            "scope" => scope = Scope::parse(value).ok(),
            "aud" => audience.push(value.to_owned()),
            "resources" => global = value.split(' ').collect(),
            "tenant" => {
                let (tenant, resources) = value.split_once(' ').unwrap_or((value, ""));
                tenants.extend(TenantName::parse(tenant).ok().map(|tenant| (tenant, resources.split(' ').collect())));
            }
            _ => {}
        }
    }
    let issued_at = now().saturating_sub(Duration::nanoseconds(before));
    Claims::new(client_id, issued_at, issued_at.saturating_add(Duration::seconds(lifetime)))
        .with_scope(scope)
        .with_audience(audience)
        .with_authorization(Authorization::new(global, tenants))
}
