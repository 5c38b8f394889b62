//! A file of clients and roles.
#![no_main]

use client_credentials::{Client, MemoryStore, Provisioning};
use client_credentials_fuzz::{bounded, done};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let file: Value = serde_json::from_str(text).unwrap_or_default();
    if takes_long(&file) {
        return;
    }
    match bounded(text.len(), || Provisioning::from_json(text)) {
        Ok(provisioning) => {
            for client in provisioning.clients() {
                let read = Client::from_stored(&client.to_stored()).unwrap();
                assert_eq!(read.to_stored(), client.to_stored());
            }
            let (store, clients) = (MemoryStore::default(), provisioning.clients().len());
            assert!(done(provisioning.register_in(&store)).unwrap().is_empty());
            assert_eq!(done(provisioning.register_in(&store)).unwrap().len(), clients);
        }
        Err(error) => {
            let (said, mut names, mut values) = (error.to_string(), Vec::new(), Vec::new());
            sort(&file, "", &mut names, &mut values);
            // It may be a secret in the wrong place. What is also a name, or an identifier, may be told.
            let is_told = |value: &&str| said.contains(*value) && !names.iter().any(|name| name.contains(*value));
            assert!(!values.iter().any(is_told), "{said}");
            assert!(!error.path().is_empty());
        }
    }
});

/// The texts of a file that are names and identifiers, and those that begin as the secret of the first inputs does and are none.
fn sort<'a>(value: &'a Value, member: &str, names: &mut Vec<&'a str>, values: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if matches!(member, "client_id" | "roles") => names.push(text),
        Value::String(text) if text.len() >= 16 && text.starts_with("01234567") => values.push(text),
        Value::Array(all) => all.iter().for_each(|value| sort(value, member, names, values)),
        Value::Object(members) => {
            for (name, value) in members {
                names.push(name);
                sort(value, name, names, values);
            }
        }
        _ => {}
    }
}

/// Whether there is a secret in it that people choose, which is hashed for a tenth of a second.
fn takes_long(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(takes_long),
        Value::Object(members) => {
            let is_short = |secret: &Value| secret.as_str().is_some_and(|secret| secret.chars().count() < 32);
            let class = members.get("client_secret_class").and_then(Value::as_str);
            match members.get("client_secret") {
                Some(_) if class == Some("chosen") => true,
                Some(secret) if is_short(secret) && class != Some("generated") => true,
                _ => members.values().any(takes_long),
            }
        }
        _ => false,
    }
}
