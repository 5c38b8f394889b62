use std::time::Duration;

use time::OffsetDateTime;

use super::{OrStop as _, check, race, unique};
use crate::{
    Client, ClientBuilder, ClientSecretHash, ClientStore, Role, StoredSecret, TenantName, TokenEndpointAuthMethod,
};

/// The hash of nothing in particular.
const HASH: &str = "$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$KBJH0RIw+FCnOKJi2s/ppNgRHFTFzBjXqxs+xS3zHTY";

/// The same for another secret and another salt.
const OTHER_HASH: &str = "$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM";

fn built(client: ClientBuilder) -> Client {
    client.build().expect("a client")
}

pub(super) fn full(client_id: &str) -> Client {
    let hash: ClientSecretHash = HASH.parse().expect("a hash");
    let role = |id, resources: &[&str]| Role::new(id, resources.iter().copied()).expect("a role");
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).expect("a time");
    let other: ClientSecretHash = OTHER_HASH.parse().expect("a hash");
    let current = StoredSecret::new(hash).with_created_at(at(1_700_000_000)).with_expires_at(at(2_000_000_000));
    let client = Client::builder(client_id)
        .client_id_issued_at(at(1_600_000_000))
        .client_name("A \"name\" with 'quotes', é and \\")
        .client_secrets([current, StoredSecret::new(other).with_expires_at(at(1_900_000_000))])
        .token_endpoint_auth_method(TokenEndpointAuthMethod::ClientSecretPost)
        .seacatauth_credentials(true)
        .scope("read write")
        .default_scope("read")
        .client_credentials_grant_expiration(Duration::from_secs(60))
        .tenant("acme")
        .tenant("bolt")
        .role(role("*/reader", &["report:read"]))
        .role(role("acme/editor", &["report:edit", "report:read"]));
    built(client)
}

/// Which lines of the two differ, so that nobody has to look for it.
fn difference(there: &Client, found: Option<&Client>) -> String {
    let Some(found) = found else { return format!("{} is there, and was not found", there.client_id()) };
    let (there, found) = (format!("{there:#?}"), format!("{found:#?}"));
    let differ = there.lines().zip(found.lines()).find(|(there, found)| there != found);
    format!("what was found is not what is there, from here on: {differ:?}")
}

pub(super) async fn finds_what_is_there<S: ClientStore>(make: &impl AsyncFn(Vec<Client>) -> S) {
    let name = "finds_what_is_there";
    let clients = [full(&unique("full")), built(Client::builder(&unique("bare")))];
    let store = make(clients.to_vec()).await;
    for client in clients {
        let found = store.find_client(client.client_id().as_str()).await.or_stop(name);
        check(name, found.as_deref() == Some(&client), format_args!("{}", difference(&client, found.as_deref())));
    }
    check(
        name,
        store.find_client(&unique("unknown")).await.or_stop(name).is_none(),
        "an unknown client is none, and no error",
    );
}

pub(super) async fn tells_identifiers_apart<S: ClientStore>(make: &impl AsyncFn(Vec<Client>) -> S) {
    let (name, id) = ("tells_identifiers_apart", unique("Client"));
    let others = [id.to_lowercase(), format!("{id}x"), format!("{id}' OR '1'='1"), format!("a b+%{id}")];
    let ids: Vec<String> = others.into_iter().chain([id.clone()]).collect();
    let store = make(ids.iter().map(|id| built(Client::builder(id).client_name(id.as_str()))).collect()).await;
    for id in &ids {
        let found = store.find_client(id).await.or_stop(name);
        let named = found.as_ref().and_then(|client| client.client_name());
        check(name, named == Some(id.as_str()), format_args!("{id:?} finds its own client, not {named:?}"));
    }
    let ids =
        [id.to_uppercase(), format!("{id} "), format!(" {id}"), format!("{id}%"), id.replace('-', "_"), "%".into()];
    for id in ids {
        check(name, store.find_client(&id).await.or_stop(name).is_none(), format_args!("{id:?} is another identifier"));
    }
}

pub(super) async fn takes_any_text<S: ClientStore>(make: &impl AsyncFn(Vec<Client>) -> S) {
    let (name, store) = ("takes_any_text", make(vec![full(&unique("client"))]).await);
    // The endpoint asks only for what can be an identifier; a host may ask for more.
    for id in ["", "'", "\"", "\\", "; DROP TABLE clients; --", "é", "\n", "\0", "*", "?", &"x".repeat(20_000)] {
        let found = store.find_client(id).await;
        check(
            name,
            matches!(found, Ok(None)),
            format_args!("{:?} is an unknown client, and no error", id.get(..30).unwrap_or(id)),
        );
    }
}

pub(super) async fn answers_many_at_once<S: ClientStore + 'static>(make: &impl AsyncFn(Vec<Client>) -> S) {
    let (name, client) = ("answers_many_at_once", full(&unique("client")));
    let store = make(vec![client.clone()]).await;
    let found = race(store, |store, n| {
        let id = if n % 2 == 0 { client.client_id().to_string() } else { unique("unknown") };
        async move { (n % 2 == 0, store.find_client(&id).await.or_stop(name)) }
    });
    for (known, found) in found.await {
        check(name, found.as_deref() == known.then_some(&client), "each look-up gets its own answer");
    }
}

pub(super) async fn names_only_tenants_that_exist<S: ClientStore>(make: &impl AsyncFn(Vec<Client>) -> S) {
    let name = "names_only_tenants_that_exist";
    let tenant = |name: String| TenantName::parse(name).expect("a tenant");
    let (known, unknown) = (tenant(unique("Known")), tenant(unique("unknown")));
    let other = tenant(known.as_str().to_lowercase());
    let store = make(vec![built(Client::builder(&unique("client")).tenant(known.as_str()))]).await;
    let existing = store.existing_tenants(&[unknown, known.clone(), other]).await.or_stop(name);
    check(name, existing.iter().all(|tenant| *tenant == known), format_args!("{existing:?} are not all there"));
    check(name, store.existing_tenants(&[]).await.or_stop(name).is_empty(), "none is asked for, so none is named");
}
