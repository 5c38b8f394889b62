use std::{collections::BTreeSet, sync::Arc};

use time::{Duration, OffsetDateTime};

use super::{OrStop as _, check, race, unique};
use crate::{
    Client, ClientBuilder, ClientId, ClientRegistry, ClientSecretHash, Registered, Role, RoleId, SUPERUSER, TenantName,
    Updated, Version, now,
};

fn id() -> ClientId {
    ClientId::parse(unique("client")).expect("an identifier")
}

fn named(id: &ClientId, name: &str) -> Client {
    Client::builder(id.as_str()).client_name(name).build().expect("a client")
}

async fn register(name: &str, store: &impl ClientRegistry, client: Client) -> Version {
    match store.register(client).await.or_stop(name) {
        Registered::New(version) => version,
        Registered::Exists => panic!("a new identifier exists already"),
    }
}

async fn name_of(name: &str, store: &impl ClientRegistry, id: &ClientId) -> Option<String> {
    let found = store.find_client(id.as_str()).await.or_stop(name)?;
    found.client_name().map(String::from)
}

pub(super) async fn registers_once(store: &impl ClientRegistry) {
    let (name, id) = ("registers_once", id());
    check(name, store.read(&id).await.or_stop(name).is_none(), "nobody is there before");
    let version = register(name, store, named(&id, "first")).await;
    let read = store.read(&id).await.or_stop(name);
    check(
        name,
        read == Some((named(&id, "first"), version)),
        format_args!("what was registered is read, not {read:?}"),
    );
    check(name, name_of(name, store, &id).await.as_deref() == Some("first"), "a look-up finds it at once");
    let again = store.register(named(&id, "second")).await.or_stop(name);
    check(name, again == Registered::Exists, "an identifier that is there is not registered again");
    check(name, store.read(&id).await.or_stop(name) == read, "and nothing is changed");
}

pub(super) async fn racing_registrations_one_wins<S: ClientRegistry + 'static>(store: S) {
    let (name, id, store) = ("racing_registrations_one_wins", id(), Arc::new(store));
    let outcomes = race(store.clone(), |store, n| {
        let client = named(&id, &n.to_string());
        async move { (n, store.register(client).await.or_stop(name)) }
    });
    let outcomes = outcomes.await;
    let winners: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome != Registered::Exists).collect();
    let [(winner, _)] = winners.as_slice() else {
        panic!("{name}: of registrations at the same time exactly one is new, not {}", winners.len());
    };
    check(name, name_of(name, &store, &id).await == Some(winner.to_string()), "and it is the one that is there");
}

pub(super) async fn updates_what_was_read(store: &impl ClientRegistry) {
    let (name, id) = ("updates_what_was_read", id());
    let unknown = store.update(named(&id, "x"), Version::new(1)).await.or_stop(name);
    check(name, unknown == Updated::Unknown, "a client that is not there is not updated");
    let first = register(name, store, named(&id, "first")).await;
    let Updated::Done(second) = store.update(named(&id, "second"), first).await.or_stop(name) else {
        panic!("{name}: an update of the version that was read is done");
    };
    check(name, second != first, "an update makes another version");
    let stale = store.update(named(&id, "third"), first).await.or_stop(name);
    check(name, stale == Updated::Stale, "an update of a version that is gone is stale");
    check(name, store.read(&id).await.or_stop(name) == Some((named(&id, "second"), second)), "and changes nothing");
    check(name, name_of(name, store, &id).await.as_deref() == Some("second"), "a look-up finds the update at once");
}

pub(super) async fn racing_updates_one_wins<S: ClientRegistry + 'static>(store: S) {
    let (name, id, store) = ("racing_updates_one_wins", id(), Arc::new(store));
    let version = register(name, &store, named(&id, "first")).await;
    let outcomes = race(store.clone(), |store, n| {
        let client = named(&id, &n.to_string());
        async move { (n, store.update(client, version).await.or_stop(name)) }
    });
    let outcomes = outcomes.await;
    let winners: Vec<_> = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Updated::Done(_))).collect();
    let [(winner, _)] = winners.as_slice() else {
        panic!("{name}: of updates of one version exactly one is done, not {}", winners.len());
    };
    check(name, name_of(name, &store, &id).await == Some(winner.to_string()), "and it is the one that is there");
}

pub(super) async fn racing_changes_all_get_through<S: ClientRegistry + 'static>(store: S) {
    let (name, id, store) = ("racing_changes_all_get_through", id(), Arc::new(store));
    let _: Version = register(name, &store, named(&id, "first")).await;
    let changed = race(store.clone(), |store, n| {
        let (id, tenant) = (id.clone(), format!("tenant-{n}"));
        async move { store.change(&id, |client: ClientBuilder| client.tenant(&tenant)).await.or_stop(name) }
    });
    check(name, changed.await.into_iter().all(|changed| changed), "each change is told that it was done");
    let found = store.find_client(id.as_str()).await.or_stop(name).expect("the client");
    check(name, found.tenants().len() == super::RACERS, format_args!("and none is lost: {:?}", found.tenants()));
    let gone = store.change(&self::id(), |client| client).await.or_stop(name);
    check(name, !gone, "a client that is not there is not changed");
}

pub(super) async fn versions_never_come_back(store: &impl ClientRegistry) {
    let (name, id) = ("versions_never_come_back", id());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let version = register(name, store, named(&id, "registered")).await;
        let Updated::Done(updated) = store.update(named(&id, "updated"), version).await.or_stop(name) else {
            panic!("{name}: an update of the version that was registered is done");
        };
        for version in [version, updated] {
            check(
                name,
                !seen.contains(&version),
                "a version is not given twice, even if the client was away in between",
            );
            seen.push(version);
        }
        check(name, store.delete(&id).await.or_stop(name), "a client can be deleted");
    }
}

pub(super) async fn deletes_once(store: &impl ClientRegistry) {
    let (name, mine, other) = ("deletes_once", id(), id());
    check(name, !store.delete(&mine).await.or_stop(name), "a client that is not there is not deleted");
    let version = register(name, store, named(&mine, "mine")).await;
    let _: Version = register(name, store, named(&other, "other")).await;
    check(name, store.delete(&mine).await.or_stop(name), "the call that deletes a client says so");
    check(name, !store.delete(&mine).await.or_stop(name), "a deleted client is not deleted again");
    check(name, name_of(name, store, &mine).await.is_none(), "a look-up finds it no more");
    check(name, store.read(&mine).await.or_stop(name).is_none(), "nor does a read");
    let updated = store.update(named(&mine, "again"), version).await.or_stop(name);
    check(name, updated == Updated::Unknown, "an update does not bring it back");
    check(name, name_of(name, store, &other).await.is_some(), "another client stays");
}

pub(super) async fn racing_deletions_one_wins<S: ClientRegistry + 'static>(store: S) {
    let (name, id) = ("racing_deletions_one_wins", id());
    let _: Version = register(name, &store, named(&id, "a")).await;
    let outcomes = race(store, |store, _| {
        let id = id.clone();
        async move { store.delete(&id).await.or_stop(name) }
    });
    let winners = outcomes.await.into_iter().filter(|won| *won).count();
    check(name, winners == 1, format_args!("of deletions at the same time exactly one deletes, not {winners}"));
}

pub(super) async fn replaces_the_secret(store: &impl ClientRegistry) {
    let (name, id) = ("replaces_the_secret", id());
    let hash = |digest: &str| -> ClientSecretHash {
        format!("$pbkdf2-sha256$i=1000$c2FsdHNhbHQ${digest}").parse().expect("a hash")
    };
    let old = hash("KBJH0RIw+FCnOKJi2s/ppNgRHFTFzBjXqxs+xS3zHTY");
    let new = hash("LBJH0RIw+FCnOKJi2s/ppNgRHFTFzBjXqxs+xS3zHTY");
    let client = Client::builder(id.as_str()).client_secret_hash(old).scope("read").tenant("acme");
    let _: Version = register(name, store, client.build().expect("a client")).await;
    let expires_at = now().replace_nanosecond(0).expect("a whole second");
    for expires_at in [Some(expires_at), None] {
        check(name, store.replace_secret(&id, new.clone(), expires_at).await.or_stop(name), "a secret can be replaced");
        let found = store.find_client(id.as_str()).await.or_stop(name).expect("the client");
        check(name, found.client_secret_hash() == Some(&new), "the new secret counts at once");
        check(name, found.client_secret_expires_at() == expires_at, "until its own expiry");
        check(name, found.scope().is_some() && found.tenants().len() == 1, "and nothing else has changed");
    }
    check(
        name,
        !store.replace_secret(&self::id(), new, None).await.or_stop(name),
        "an unknown client has no secret to replace",
    );
}

pub(super) async fn roles_give_what_their_definition_says(store: &impl ClientRegistry) {
    let (name, id, role_id) = ("roles_give_what_their_definition_says", id(), format!("{}/editor", unique("tenant")));
    let tenant = role_id.split('/').next().unwrap_or_default();
    let role = |resources: &[&str]| Role::new(&role_id, resources.iter().copied()).expect("a role");
    let gives = async |expected: &[&str], promise: &str| {
        let found = store.find_client(id.as_str()).await.or_stop(name).expect("the client");
        let given: BTreeSet<_> = found.roles().iter().flat_map(|role| role.resources().iter()).collect();
        check(name, given == expected.iter().copied().collect(), format_args!("{promise}: {given:?}"));
        let read = store.read(&id).await.or_stop(name).expect("the client").0;
        check(name, read == *found, "a read and a look-up say the same");
    };
    let client = Client::builder(id.as_str()).tenant(tenant).role(role(&["only in the client"]));
    let _: Version = register(name, store, client.build().expect("a client")).await;
    gives(&[], "a role without a definition gives nothing, whatever the client was registered with").await;
    store.define_role(role(&["read"])).await.or_stop(name);
    gives(&["read"], "a role gives what its definition says").await;
    store.define_role(role(&["edit", "write"])).await.or_stop(name);
    gives(&["edit", "write"], "and what it says now").await;
    check(
        name,
        store.change(&id, |client| client.role(Role::superuser())).await.or_stop(name),
        "a role can be assigned",
    );
    gives(&[SUPERUSER, "edit", "write"], "the superuser's needs no definition").await;
    check(
        name,
        store.change(&id, |client| client.without_role(Role::SUPERUSER_ID)).await.or_stop(name),
        "and taken away",
    );
    gives(&["edit", "write"], "and then gives nothing").await;
    let defined = RoleId::parse(role_id.as_str()).expect("a role id");
    check(name, store.delete_role(&defined).await.or_stop(name), "the call that removes a definition says so");
    gives(&[], "a role that no longer exists grants nothing").await;
    check(name, !store.delete_role(&defined).await.or_stop(name), "what is not defined is not removed");
    store.define_role(role(&["read"])).await.or_stop(name);
    gives(&["read"], "a client keeps a role whose definition comes back").await;
}

pub(super) async fn lists_by_identifier(store: &impl ClientRegistry) {
    let (name, group) = ("lists_by_identifier", unique("group"));
    let id = |n: usize| ClientId::parse(format!("{group}-{n}")).expect("an identifier");
    for n in [2, 0, 3, 1] {
        let _: Version = register(name, store, named(&id(n), "a client")).await;
    }
    let _: Version = register(name, store, named(&self::id(), &format!("of the {group}, by name"))).await;
    let list = async |filter: &str, skip, most| {
        let (clients, count) = store.list_clients(filter, skip, most).await.or_stop(name);
        let ids: Vec<_> = clients.into_iter().map(|client| client.client_id().to_string()).collect();
        (ids, count)
    };
    let (ids, count) = list(&group, 0, 10).await;
    check(name, count == 5 && ids.len() == 5, "a filter finds identifiers and names that contain it");
    check(name, ids.is_sorted(), "by identifier");
    let (page, count) = list(&format!("{group}-"), 1, 2).await;
    let expected = [id(1).to_string(), id(2).to_string()];
    check(
        name,
        page == expected && count == 4,
        format_args!("a page is a part, the count is of all: {page:?}, {count}"),
    );
    check(name, list(&unique("nobody"), 0, 10).await == (Vec::new(), 0), "nobody is nobody");
    check(name, list(&format!("{group}%"), 0, 10).await.1 == 0, "a filter is a text, not a pattern");
}

pub(super) async fn lists_roles_by_tenant(store: &impl ClientRegistry) {
    let (name, tenant) = ("lists_roles_by_tenant", unique("tenant"));
    let role = |id: String| Role::new(&id, ["a", "b"]).expect("a role");
    let global = role(format!("*/r{}", unique("").replace('-', "_").get(..16).unwrap_or("x")));
    let (one, two) = (role(format!("{tenant}/one")), role(format!("{tenant}/two")));
    for role in [&two, &global, &one] {
        store.define_role(role.clone()).await.or_stop(name);
    }
    let tenant = TenantName::parse(tenant).expect("a tenant");
    check(
        name,
        store.list_roles(Some(&tenant)).await.or_stop(name) == [one, two],
        "a tenant's roles are its own, by id",
    );
    let globals = store.list_roles(None).await.or_stop(name);
    check(name, globals.contains(&global), "global roles are listed without a tenant");
    check(name, globals.iter().all(|role| role.id().tenant().is_none()), "and no others");
    check(
        name,
        globals.iter().all(|role| role.id().as_str() != Role::SUPERUSER_ID),
        "the built-in role is not among them",
    );
}

pub(super) async fn keeps_all_of_a_client(store: &impl ClientRegistry) {
    let name = "keeps_all_of_a_client";
    let full = super::clients::full(&unique("full"));
    for role in full.roles() {
        store.define_role(role.clone()).await.or_stop(name);
    }
    let bare = Client::builder(full.client_id().as_str()).build().expect("a client");
    let mut version: Version = register(name, store, bare.clone()).await;
    for client in [full, bare] {
        version = match store.update(client.clone(), version).await.or_stop(name) {
            Updated::Done(version) => version,
            other => panic!("{name}: an update from the last version is {other:?}"),
        };
        let read = store.read(client.client_id()).await.or_stop(name).map(|(client, _)| client);
        check(name, read.as_ref() == Some(&client), format_args!("{client:?} was written, {read:?} was read"));
    }
}

pub(super) async fn defined_tenants_exist(store: &impl ClientRegistry) {
    let name = "defined_tenants_exist";
    let tenant = |prefix: &str| TenantName::parse(unique(prefix)).expect("a tenant");
    let [assigned, defined, later, unknown] = ["assigned", "defined", "later", "unknown"].map(tenant);
    let client = Client::builder(id().as_str()).tenant(assigned.as_str()).build().expect("a client");
    let _: Version = register(name, store, client.clone()).await;
    store.define_tenant(defined.clone()).await.or_stop(name);
    store.define_tenant(defined.clone()).await.or_stop(name);
    let existing = async || {
        let mut existing =
            store.existing_tenants(&[&assigned, &defined, &later, &unknown].map(Clone::clone)).await.or_stop(name);
        existing.sort();
        existing
    };
    let changed = store.change(client.client_id(), |client| client.tenant(later.as_str())).await.or_stop(name);
    check(name, changed, "a client can be changed");
    let all = [assigned.clone(), defined.clone(), later.clone()];
    // A store that keeps to the provided `existing_tenants` names none at all.
    let expected = if existing().await.is_empty() { &[][..] } else { &all };
    check(name, existing().await == expected, "tenants that are defined or assigned exist, each named once");
    check(name, store.delete(client.client_id()).await.or_stop(name), "a client can be removed");
    check(name, existing().await == expected, "a tenant goes on existing without the client it was assigned to");
}

/// The seconds of the last minute, without fractions.
fn seconds() -> impl Fn(usize) -> OffsetDateTime + Copy {
    let start = now().replace_nanosecond(0).expect("a whole second") - Duration::MINUTE;
    move |n| start + Duration::seconds(n.try_into().expect("a few"))
}

async fn last_uses(name: &str, store: &impl ClientRegistry, ids: &[&str]) -> Vec<Option<OffsetDateTime>> {
    let ids: Vec<_> = ids.iter().copied().map(String::from).collect();
    store.last_uses(&ids).await.or_stop(name)
}

/// What a registry may answer: one that keeps to the provided methods knows of none at all.
fn is_all_or_none(answer: &[Option<OffsetDateTime>], expected: &[Option<OffsetDateTime>]) -> bool {
    answer == expected || (answer.len() == expected.len() && answer.iter().all(Option::is_none))
}

pub(super) async fn keeps_the_last_use(store: &impl ClientRegistry) {
    let (name, second, [mine, other]) = ("keeps_the_last_use", seconds(), ["mine", "other"].map(unique));
    for (batch, last) in [
        (vec![(&mine, 10), (&other, 5)], [10, 5]),
        (vec![(&mine, 9)], [10, 5]),
        (vec![(&mine, 11), (&mine, 13), (&other, 1), (&mine, 12)], [13, 5]),
        (vec![(&other, 14), (&mine, 2)], [13, 14]),
        (vec![], [13, 14]),
    ] {
        let uses: Vec<_> = batch.into_iter().map(|(id, n)| (id.clone(), second(n))).collect();
        store.record_uses(&uses).await.or_stop(name);
        let answer = last_uses(name, store, &[&mine, &other]).await;
        let expected = last.map(second).map(Some);
        check(
            name,
            is_all_or_none(&answer, &expected),
            format_args!("a later use counts and an earlier one does not: {answer:?}, not {expected:?}"),
        );
    }
}

pub(super) async fn answers_last_uses_in_order(store: &impl ClientRegistry) {
    let (name, second, ids) = ("answers_last_uses_in_order", seconds(), ["c", "a", "b", "d"].map(unique));
    let uses: Vec<_> = ids.iter().take(3).enumerate().map(|(n, id)| (id.clone(), second(n))).collect();
    store.record_uses(&uses).await.or_stop(name);
    let [c, a, b, unknown] = ids.each_ref().map(String::as_str);
    for (asked, expected) in [
        (vec![a, unknown, c, b], vec![Some(1), None, Some(0), Some(2)]),
        (vec![b, a, b], vec![Some(2), Some(1), Some(2)]),
        (vec![unknown], vec![None]),
        (vec![], vec![]),
    ] {
        let answer = last_uses(name, store, &asked).await;
        let expected: Vec<_> = expected.into_iter().map(|n| n.map(second)).collect();
        check(
            name,
            is_all_or_none(&answer, &expected),
            format_args!("there is one answer for each id, in their order: {answer:?}, not {expected:?}"),
        );
    }
}

pub(super) async fn racing_uses_the_last_one_stays<S: ClientRegistry + 'static>(store: S) {
    let (name, second, store) = ("racing_uses_the_last_one_stays", seconds(), Arc::new(store));
    // Each time another one has the last use, since whoever writes last must not be right by chance.
    for round in 0..4 {
        let ids = ["a", "b", "c"].map(unique);
        let recorded = race(store.clone(), |store, n| {
            let at = second((n + 4 * round) % super::RACERS);
            let mut uses: Vec<_> = ids.iter().map(|id| (id.clone(), at)).collect();
            uses.rotate_left(n % 3);
            async move { store.record_uses(&uses).await.or_stop(name) }
        });
        recorded.await;
        let answer = last_uses(name, &store, &ids.each_ref().map(String::as_str)).await;
        let expected = [Some(second(super::RACERS - 1)); 3];
        check(
            name,
            is_all_or_none(&answer, &expected),
            format_args!("of uses recorded at the same time the last one stays: {answer:?}, not {expected:?}"),
        );
    }
}
