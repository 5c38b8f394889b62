//! The text that a store keeps of a client.
#![no_main]

use client_credentials::Client;
use client_credentials_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(client) = bounded(text.len(), || Client::from_stored(text)) {
        let stored = client.to_stored();
        let again = Client::from_stored(&stored).unwrap();
        assert_eq!(again, client);
        assert_eq!(again.to_stored(), stored);
        assert!(is_redacted(&client));
        assert!(!client.client_name().unwrap_or_default().contains(char::is_control));
        assert!(client.client_credentials_grant_expiration().is_none_or(|expiration| expiration.as_secs() > 0));
    }
});

/// `Debug` shows the form of a hash and nothing else of it.
fn is_redacted(client: &Client) -> bool {
    let shown = format!("{:?}", client.client_secrets());
    client.client_secrets().iter().all(|secret| {
        let text = secret.hash().to_text();
        let digest = text.rsplit('$').next().unwrap_or_default();
        !shown.contains(digest)
    })
}
