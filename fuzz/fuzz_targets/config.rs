//! A configuration, as the whole file or as the section of one: what is read keeps its own rules.
#![no_main]

use client_credentials::Config;
use client_credentials_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let section = format!("{{\"openidconnect\":{text}}}");
    let file: Result<Config, _> = bounded(text.len(), || serde_json::from_str(text));
    let read = bounded(section.len(), || serde_json::from_str::<Config>(&section));
    for config in file.iter().chain(&read) {
        let (usual, longest) =
            (config.client_credentials_grant_expiration(), config.client_credentials_grant_max_expiration());
        assert!(usual <= longest && usual.as_secs() > 0 && usual.subsec_nanos() == 0);
        assert!(config.max_body_bytes() > 0 && config.max_parameters() > 0 && config.max_tenants() > 0);
        assert!(config.max_authorization_bytes() > 0 && config.max_client_secrets() > 0);
        assert!(config.bearer_realm().bytes().all(|b| matches!(b, 0x20..=0x7E) && b != b'"' && b != b'\\'));
        assert_eq!(config.clone().with_max_body_bytes(config.max_body_bytes()).as_ref(), Ok(config));
    }
});
