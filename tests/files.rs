//! What an operator writes: the configuration and the provisioning file.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use client_credentials::{
    Client, ClientRegistry, ClientStore, Config, MemoryStore, Provisioning, Role, SecretClass, TokenEndpointAuthMethod,
};
use config::{File, FileFormat};
use proptest::prelude::*;
use serde::Deserialize as _;

fn configured(text: &str, format: FileFormat) -> Result<Config, config::ConfigError> {
    config::Config::builder().add_source(File::from_str(text, format)).build()?.try_deserialize()
}

#[test]
fn seacat_auth_configuration() {
    let ini = "[web]\nlisten=8080\n[openidconnect]\nclient_credentials_grant_expiration=10m\nbearer_realm=asab\n\
               [seacatauth:client]\ncache_expiration=30 s\n";
    let config = configured(ini, FileFormat::Ini).unwrap();
    assert_eq!(config.client_credentials_grant_expiration().as_secs(), 600);
    assert_eq!(config.bearer_realm(), "asab");
    assert_eq!(config.cache_expiration().as_secs(), 30);
    assert_eq!(configured("", FileFormat::Ini).unwrap(), Config::default());
    assert_eq!(Config::default().client_credentials_grant_expiration().as_secs(), 180);
    assert_eq!(Config::default().cache_expiration().as_secs(), 30);
}

#[test]
fn the_same_from_any_format() {
    let ini = "[openidconnect]\nclient_credentials_grant_expiration=4 h\nmax_body_bytes=100\nbearer_realm=elsewhere\n\
               [seacatauth:client]\nclient_secret_expiration=30 d\ncache_expiration=1m\n";
    let toml = "[openidconnect]\nclient_credentials_grant_expiration = 14400\nmax_body_bytes = 100\nbearer_realm = \"elsewhere\"\n\
                [\"seacatauth:client\"]\ncache_expiration = 60\nclient_secret_expiration = 2592000\nothers = [1]\n";
    let json = r#"{"openidconnect": {"client_credentials_grant_expiration": "4h", "max_body_bytes": 100, "bearer_realm": "elsewhere"},
                   "seacatauth:client": {"cache_expiration": "60", "client_secret_expiration": "30d", "others": {"x": null}}}"#;
    let config = configured(ini, FileFormat::Ini).unwrap();
    assert_eq!((config.max_body_bytes(), config.cache_expiration().as_secs()), (100, 60));
    assert_eq!(config.client_secret_expiration().map(|lifetime| lifetime.as_secs()), Some(30 * 24 * 60 * 60));
    assert_eq!(config, configured(toml, FileFormat::Toml).unwrap());
    assert_eq!(config, configured(json, FileFormat::Json).unwrap());
    assert_eq!(config, serde_json::from_str(json).unwrap());

    // As a part of the host's own settings, and as the section alone: then the other section is the host's.
    let config = config.with_cache_expiration(Config::default().cache_expiration()).with_client_secret_expiration(None);
    #[derive(serde::Deserialize)]
    struct Settings {
        openidconnect: Config,
    }
    assert_eq!(config, serde_json::from_str::<Settings>(json).unwrap().openidconnect);
    let file = config::Config::builder().add_source(File::from_str(ini, FileFormat::Ini)).build().unwrap();
    assert_eq!(config, file.get("openidconnect").unwrap());
    assert_eq!(config, file.try_deserialize::<Settings>().unwrap().openidconnect);
}

#[test]
fn a_key_outside_its_section_is_taken_or_refused_never_ignored() {
    let without = configured("client_credentials_grant_expiration=10m\n[web]\nx=1\n", FileFormat::Ini).unwrap();
    assert_eq!(without.client_credentials_grant_expiration().as_secs(), 600);
    for (json, names) in [
        (r#"{"client_credentials_grant_expiraton": "HUNTER2"}"#, "`client_credentials_grant_expiraton`"),
        (r#"{"bearer_realm": "x", "database_url": "postgres://u:HUNTER2@db"}"#, "`database_url`"),
        (r#"{"bearer_realm": "x", "openidconnect": {"max_parameters": 5}}"#, "`bearer_realm`"),
        (r#"{"openidconnect": {"max_parameters": 5}, "openidconnect": {}}"#, "more than once"),
        (r#"{"openidconnect": {"max_parameters": 5, "max_parameters": 6}}"#, "more than once"),
        ("[]", "not a section"),
        (r#"{"cache_expiration": "0"}"#, "`cache_expiration` stands outside the section `seacatauth:client`"),
        (r#"{"cache_expiration": "0", "web": {}}"#, "`cache_expiration` stands outside"),
        (r#"{"cache_expiration": "0", "openidconnect": {}}"#, "`cache_expiration` stands outside"),
        (r#"{"openidconnect": {"cache_expiration": "0"}}"#, "`cache_expiration` stands outside"),
        (
            r#"{"seacatauth:client": {"bearer_realm": "x"}}"#,
            "`bearer_realm` stands outside the section `openidconnect`",
        ),
        (r#"{"seacatauth:client": {"cache_expiration": [1]}}"#, "`cache_expiration`"),
        (r#"{"seacatauth:client": {"cache_expiration": "1", "cache_expiration": "2"}}"#, "more than once"),
        (r#"{"seacatauth:client": "HUNTER2"}"#, "`seacatauth:client` is not a section"),
        (r#"{"max_parameters": 5, "max_bodybytes": 5}"#, "`max_bodybytes`"),
        (r#"{"openidconnect": 1}"#, "`openidconnect`"),
        (r#"{"openidconnect": {"max_parameters": [1]}}"#, "`max_parameters`"),
        (r#"{"openidconnect": {"bearer_realm": ["x"]}}"#, "`bearer_realm`"),
        (r#"{"openidconnect": {"bearer_realm": {"a": 1}}}"#, "`bearer_realm`"),
        (r#"{"openidconnect": {"bearer_realm": null}}"#, "`bearer_realm`"),
        (r#"{"openidconnect": {"max_parameters": true}}"#, "`max_parameters`"),
    ] {
        let error = serde_json::from_str::<Config>(json).unwrap_err().to_string();
        assert!(error.contains(names) && !error.contains("HUNTER2"), "{json}: {error}");
    }
    let others = r#"{"log_level": "info", "web": {"x": [1, null]}, "seacatauth:client": {}}"#;
    assert_eq!(serde_json::from_str::<Config>(others).unwrap(), Config::default());
    let both = "client_credentials_grant_expiration=10m\n[seacatauth:client]\ncache_expiration=0\n";
    let both = configured(both, FileFormat::Ini).unwrap();
    assert_eq!((both.client_credentials_grant_expiration().as_secs(), both.cache_expiration().as_secs()), (600, 0));
}

#[test]
fn no_limit_is_zero() {
    for error in [
        Config::default().with_max_body_bytes(0).unwrap_err(),
        Config::default().with_max_authorization_bytes(0).unwrap_err(),
        Config::default().with_max_parameters(0).unwrap_err(),
        Config::default().with_max_scope_tokens(0).unwrap_err(),
        Config::default().with_max_tenants(0).unwrap_err(),
    ] {
        assert!(error.key().starts_with("max_") && error.expected().contains("above zero"), "{error}");
    }
}

#[test]
fn durations_in_the_configuration() {
    for (text, seconds) in [("10m", 600), ("3 m", 180), ("4 h", 14_400), ("600", 600), ("1h 30m", 5400)] {
        let config =
            configured(&format!("[openidconnect]\nclient_credentials_grant_expiration={text}\n"), FileFormat::Ini);
        assert_eq!(config.unwrap().client_credentials_grant_expiration().as_secs(), seconds, "{text}");
    }
}

#[test]
fn limits_of_failures() {
    let file = "[openidconnect]\nmax_failures_per_client=5\nmax_failures_per_source=0\nfailure_window=2m\n\
                max_retry_after=10m\n";
    let limits = |config: &Config| {
        let durations = [config.failure_window(), config.max_retry_after()].map(|duration| duration.as_secs());
        ([config.max_failures_per_client(), config.max_failures_per_source()], durations)
    };
    assert_eq!(limits(&Config::default()), ([20, 100], [60, 300]));
    assert_eq!(limits(&configured(file, FileFormat::Ini).unwrap()), ([5, 0], [120, 600]));
    for (key, value) in [
        ("max_failures_per_client", "-1"),
        ("max_failures_per_source", "many"),
        ("failure_window", "0"),
        ("max_retry_after", "1500ms"),
    ] {
        let error = configured(&format!("[openidconnect]\n{key}={value}\n"), FileFormat::Ini).unwrap_err();
        assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
    }
}

#[test]
fn the_public_keys_may_be_kept_for_whole_seconds() {
    assert_eq!(Config::default().jwks_max_age().as_secs(), 300);
    let config = configured("[openidconnect]\njwks_max_age=1h\n", FileFormat::Ini).unwrap();
    assert_eq!(config.jwks_max_age().as_secs(), 3600);
    for value in ["0", "500ms", "never", "-1", ""] {
        let error = configured(&format!("[openidconnect]\njwks_max_age={value}\n"), FileFormat::Ini).unwrap_err();
        assert!(error.to_string().contains("`jwks_max_age`"), "{error}");
    }
    let error = Config::default().with_jwks_max_age(std::time::Duration::ZERO).unwrap_err();
    assert_eq!(error.key(), "jwks_max_age");
}

#[test]
fn the_expiration_of_the_cache_may_be_any_duration() {
    for (text, milliseconds) in
        [("30 s", 30_000), ("1m", 60_000), ("600", 600_000), ("500ms", 500), ("0", 0), ("0 s", 0)]
    {
        let config = configured(&format!("[seacatauth:client]\ncache_expiration={text}\n"), FileFormat::Ini).unwrap();
        assert_eq!(config.cache_expiration().as_millis(), milliseconds, "{text}");
    }
    for value in ["never", "-1", "30 parsecs", ""] {
        let ini = format!("[seacatauth:client]\ncache_expiration={value}\n");
        let error = configured(&ini, FileFormat::Ini).unwrap_err().to_string();
        assert!(error.contains(&format!("`cache_expiration` is `{value}`")) && error.contains("`30 s`"), "{error}");
    }
}

#[test]
fn a_wrong_value_names_key_value_and_what_would_be_right() {
    for (key, value, right) in [
        ("client_credentials_grant_expiration", "10 parsecs", "such as `10m`, `3 m`, `4 h` or `600`"),
        ("client_credentials_grant_expiration", "0", "at least one"),
        ("client_credentials_grant_expiration", "1500ms", "whole seconds"),
        ("client_credentials_grant_max_expiration", "never", "such as `10m`"),
        ("bearer_realm", "a\"b", "printable ASCII"),
        ("max_body_bytes", "0", "above zero"),
        ("max_body_bytes", "-1", "whole number"),
        ("max_parameters", "many", "whole number"),
        ("unknown_client_secret_hash", "…", "`generated`, `chosen` or a hash"),
        ("max_tenants", "0", "above zero"),
        ("client_credentials_grant_expiraton", "…", "one of the keys `client_credentials_grant_expiration`"),
    ] {
        let error = configured(&format!("[openidconnect]\n{key}={value}\n"), FileFormat::Ini).unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{key}`")) && error.contains(&format!("`{value}`")) && error.contains(right),
            "{error}"
        );
    }
    for (ini, maximum) in
        [("client_credentials_grant_expiration=25h", "`1day`"), ("client_credentials_grant_max_expiration=1m", "`1m`")]
    {
        let error = configured(&format!("[openidconnect]\n{ini}\n"), FileFormat::Ini).unwrap_err().to_string();
        assert!(error.contains("`client_credentials_grant_max_expiration`") && error.contains(maximum), "{error}");
    }
    assert!(
        configured(
            "[openidconnect]\nclient_credentials_grant_expiration=25h\nclient_credentials_grant_max_expiration=2d\n",
            FileFormat::Ini
        )
        .is_ok()
    );
}

const SECRET: &str = "0123456789abcdefghijklmnopqrstuv";

fn clients(json: &str) -> Vec<Client> {
    Provisioning::from_json(json).unwrap().into_clients()
}

#[test]
fn rfc7591_2_members_of_a_client() {
    let json = r#"[{"client_id": "a", "client_name": "The A", "client_secret": "SECRET", "client_secret_expires_at": 2000000000,
        "token_endpoint_auth_method": "client_secret_post", "seacatauth_credentials": true, "scope": "r w",
        "default_scope": "r tenant", "client_credentials_grant_expiration": "1 h", "tenants": ["t", "s", "t"],
        "roles": ["*/superuser"]}, {"client_id": "b"}]"#;
    let [a, b] = &clients(&json.replace("SECRET", SECRET))[..] else { unreachable!("two clients") };
    assert_eq!((a.client_id().as_str(), a.client_name()), ("a", Some("The A")));
    assert_eq!(a.token_endpoint_auth_method(), TokenEndpointAuthMethod::ClientSecretPost);
    assert_eq!(a.client_secret_expires_at().unwrap().unix_timestamp(), 2_000_000_000);
    assert!(a.client_secret_hash().unwrap().verify(SECRET) && a.seacatauth_credentials());
    assert_eq!((a.scope().unwrap().as_str(), a.default_scope().unwrap().as_str()), ("r w", "r tenant"));
    assert_eq!(a.client_credentials_grant_expiration().unwrap().as_secs(), 3600);
    assert_eq!(a.tenants().iter().map(client_credentials::TenantName::as_str).collect::<Vec<_>>(), ["s", "t"]);
    assert!(a.roles()[0].resources().hold(&["anything"]));

    assert!(b.client_secret_hash().is_none() && b.client_secret_expires_at().is_none() && !b.seacatauth_credentials());
    assert_eq!(b.token_endpoint_auth_method(), TokenEndpointAuthMethod::ClientSecretBasic);
}

#[test]
fn the_class_of_a_plain_secret() {
    for (secret, class, expected) in [
        (SECRET, "", SecretClass::Generated),
        (&SECRET[1..], "", SecretClass::Chosen),
        (SECRET, "chosen", SecretClass::Chosen),
        ("short", "generated", SecretClass::Generated),
    ] {
        let class = if class.is_empty() { String::new() } else { format!(r#", "client_secret_class": "{class}""#) };
        let json = format!(r#"[{{"client_id": "a", "client_secret": "{secret}"{class}}}]"#);
        let client = &clients(&json)[0];
        let hash = client.client_secret_hash().unwrap();
        assert_eq!(hash.class(), expected);
        assert!(hash.verify(secret) && !hash.verify("another"));

        // What was hashed once can be given as a hash.
        let json = format!(r#"[{{"client_id": "a", "client_secret_hash": "{}"}}]"#, hash.to_text());
        assert!(clients(&json)[0].client_secret_hash().unwrap() == hash);
    }
}

#[tokio::test]
async fn a_file_fills_a_store() {
    let json = r#"{"clients": [{"client_id": "a", "tenants": ["t"], "roles": ["t/x", "*/y"]}],
                   "roles": {"t/x": ["p", "q"], "t/unheld": ["s"], "*/y": ["r"]}, "tenants": ["u"]}"#;
    let store = MemoryStore::from(Provisioning::from_json(json).unwrap());
    let client = store.find_client("a").await.unwrap().unwrap();
    assert_eq!(client.roles().len(), 2);
    let roles = store.list_roles(Some(&"t".parse().unwrap())).await.unwrap();
    assert_eq!(roles.iter().map(|role| role.id().as_str()).collect::<Vec<_>>(), ["t/unheld", "t/x"]);
    assert_eq!(store.list_roles(None).await.unwrap().len(), 1);
    assert!(store.find_client("A").await.unwrap().is_none());
    let tenants = ["t", "u", "v"].map(|name| name.parse().unwrap());
    assert_eq!(store.existing_tenants(&tenants).await.unwrap(), tenants[..2]);
    assert!(clients("[]").is_empty() && clients(r#" {"clients": []} "#).is_empty());
}

#[tokio::test]
async fn a_file_adds_to_a_registry_and_changes_nothing_there() {
    let json = r#"{"clients": [{"client_id": "a", "tenants": ["t"], "roles": ["t/x", "*/superuser"]}, {"client_id": "b"}],
                   "roles": {"t/x": ["p"], "*/y": ["r"]}, "tenants": ["u"]}"#;
    let (file, store) = (Provisioning::from_json(json).unwrap(), MemoryStore::default());
    assert_eq!(file.register_in(&store).await.unwrap(), []);
    let found = store.find_client("a").await.unwrap().unwrap();
    assert_eq!(*found, file.clients()[0]);
    assert_eq!(store.list_roles(None).await.unwrap().len(), 1, "the superuser's is built in");

    // What has been changed since stays so, and what has gone comes back.
    let a = "a".parse().unwrap();
    assert!(store.change(&a, |client| client.without_tenant("t").client_name("changed")).await.unwrap());
    store.define_role(Role::new("t/x", ["q"]).unwrap()).await.unwrap();
    assert!(store.delete(&"b".parse().unwrap()).await.unwrap());
    assert_eq!(file.register_in(&store).await.unwrap(), [a]);
    let found = store.find_client("a").await.unwrap().unwrap();
    assert_eq!((found.client_name(), found.tenants().len()), (Some("changed"), 0));
    assert!(found.roles()[1].resources().hold(&["q"]));
    assert!(store.find_client("b").await.unwrap().is_some());
    let tenants = ["t", "u", "v"].map(|name| name.parse().unwrap());
    assert_eq!(store.existing_tenants(&tenants).await.unwrap(), tenants[..2]);
}

#[test]
fn an_error_names_entry_and_member_and_never_a_secret() {
    for (json, path, problem) in [
        (r#"[{"client_id": "a"}, {"client_id": "a"}]"#, "clients[1].client_id", "there already"),
        (r#"[{"client_id": ""}]"#, "clients[0].client_id", "printable ASCII"),
        (r#"[{}]"#, "clients[0]", "missing field `client_id`"),
        (r#"[{"client_id": "a", "client_secrett": "HUNTER2"}]"#, "clients[0].client_secrett", "unknown field"),
        (r#"[{"client_id": "a", "client_secret": 482048204820}]"#, "clients[0].client_secret", "is a string"),
        (r#"[{"client_id": "a", "client_secret": ["HUNTER2"]}]"#, "clients[0].client_secret", "is a string"),
        (r#"[{"client_id": "a", "client_secret": ""}]"#, "clients[0].client_secret", "empty"),
        (r#"[{"client_id": "a", "client_secret": "HUNTER2\n"}]"#, "clients[0].client_secret", "control character"),
        (r#"[{"client_id": "a", "client_secret_hash": "HUNTER2"}]"#, "clients[0].client_secret_hash", "$sha256$"),
        (
            r#"[{"client_id": "a", "client_secret": "HUNTER2", "client_secret_hash": "$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM"}]"#,
            "clients[0].client_secret_hash",
            "already",
        ),
        (
            r#"[{"client_id": "a", "client_secret_class": "chosen"}]"#,
            "clients[0].client_secret_class",
            "no `client_secret`",
        ),
        (r#"[{"client_id": "a", "client_secret_class": "weak"}]"#, "clients[0].client_secret_class", "`generated`"),
        (
            r#"[{"client_id": "a", "client_secret_expires_at": 99999999999999999}]"#,
            "clients[0].client_secret_expires_at",
            "seconds since 1970",
        ),
        (
            r#"[{"client_id": "a", "token_endpoint_auth_method": "none"}]"#,
            "clients[0].token_endpoint_auth_method",
            "`client_secret_basic`",
        ),
        (
            r#"[{"client_id": "a", "seacatauth_credentials": "HUNTER2"}]"#,
            "clients[0].seacatauth_credentials",
            "boolean",
        ),
        (r#"[{"client_id": "a", "scope": "a  b"}]"#, "clients[0].scope", "one space"),
        (
            r#"[{"client_id": "a", "scope": "a", "default_scope": "b"}]"#,
            "clients[0].default_scope",
            "tokens of `scope`",
        ),
        (
            r#"[{"client_id": "a", "client_credentials_grant_expiration": "soon"}]"#,
            "clients[0].client_credentials_grant_expiration",
            "`10m`",
        ),
        (r#"[{"client_id": "a", "tenants": ["t", "*"]}]"#, "clients[0].tenants[1]", "a tenant name is"),
        (r#"[{"client_id": "a", "roles": ["*/superuser", "t/x"]}]"#, "clients[0].roles[1]", "there is no role `t/x`"),
        (r#"[{"client_id": "a", "roles": ["x"]}]"#, "clients[0].roles[0]", "TENANT/ROLE"),
        (r#"{"clients": [], "roles": {"x": []}}"#, "roles.x", "TENANT/ROLE"),
        (r#"{"clients": [], "roles": {"*/x": "HUNTER2"}}"#, "roles.*/x", "an array"),
        (r#"{"clients": [], "roles": {"*/x": [], "*/x": []}}"#, "roles", "there already"),
        (r#"[["a", "HUNTER2"]]"#, "clients[0]", "which is an object"),
        (r#"{"clients": [], "roles": {"*/superuser": []}}"#, "roles.*/superuser", "built in"),
        (
            r#"[{"client_id": "a", "client_secret_expires_at": "HUNTER2"}]"#,
            "clients[0].client_secret_expires_at",
            "a whole number",
        ),
        (r#"[{"client_id": "a", "scope": "r tenant:t", "tenants": ["t"]}]"#, "clients[0].scope", "leave them out"),
        (
            r#"[{"client_id": "a", "default_scope": "tenant:u", "tenants": ["t"]}]"#,
            "clients[0].default_scope",
            "assigned",
        ),
        (r#"[{"client_id": "a", "default_scope": "tenant"}]"#, "clients[0].default_scope", "assigned"),
        (r#"{"clients": [], "HUNTER2s": 1}"#, "HUNTER2s", "unknown field"),
        (r#"["HUNTER2"]"#, "clients[0]", "this is not a client"),
        (r#"{"roles": {}}"#, ".", "missing field `clients`"),
        ("[] []", ".", "trailing"),
        ("", ".", "EOF"),
        (r#"{"clients": [], "": []}"#, ".", "unknown field"),
        (r#""HUNTER2""#, ".", "not an array of clients"),
    ] {
        let error = Provisioning::from_json(json).unwrap_err();
        assert_eq!(error.path(), path, "{json}: {error}");
        let text = error.to_string();
        assert!(text.contains(path) && text.contains(problem), "{json}: {text}");
        assert!(!text.contains("HUNTER2\"") && !text.contains("HUNTER2`") && !text.contains("4820"), "{text}");
        assert!(!format!("{error:?}").contains("4820"));
    }
}

proptest! {
    #[test]
    fn any_text_is_a_provisioning_file_or_refused(text in ".{0,200}") {
        let _ = Provisioning::from_json(&text);
    }

    #[test]
    fn any_value_of_a_key_is_taken_or_refused(value in ".{0,20}") {
        for key in ["client_credentials_grant_expiration", "bearer_realm", "max_body_bytes", "unknown_client_secret_hash"] {
            let json = serde_json::json!({"openidconnect": {key: value}});
            if let Err(error) = Config::deserialize(&json) {
                prop_assert!(error.to_string().contains(&format!("`{key}`")), "{}", error);
            }
        }
        let json = serde_json::json!({"seacatauth:client": {"cache_expiration": value}});
        if let Err(error) = Config::deserialize(&json) {
            prop_assert!(error.to_string().contains("`cache_expiration`"), "{}", error);
        }
    }
}
