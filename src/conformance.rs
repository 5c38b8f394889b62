//! The contracts of the stores, as suites that any backend can be run through.
//!
//! A suite is one call in a test of your own. It makes a store for each of its checks by calling what it is given, runs the
//! checks on a runtime of its own (tokio, several threads), and panics at the first one that fails, with the check's name.
//! The stores may share their data: every check uses identifiers that no other does.
//!
//! ```
//! use client_credentials::{MemoryStore, conformance};
//!
//! // In a `#[test]`:
//! conformance::token_store(async || MemoryStore::default());
//! conformance::replay_store(async || MemoryStore::default());
//! conformance::counter_store(async || client_credentials::MemoryCounters::default());
//! conformance::client_registry(async || MemoryStore::default());
//! conformance::client_store(async |clients| {
//!     let store = MemoryStore::default();
//!     clients.into_iter().for_each(|client| store.insert_client(client));
//!     store
//! });
//! ```
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a suite stops at what it did not expect, which is what it is for"
)]

mod clients;
mod counters;
mod denials;
mod registry;
mod replay;
mod tokens;

use std::{fmt::Display, future::Future, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::{runtime::Builder, sync::Barrier, task::JoinSet};

use crate::{BackendError, Client, ClientRegistry, ClientStore, CounterStore, RandomSource, ReplayStore, TokenStore};

/// How many tasks race where one of them must win.
const RACERS: usize = 16;

/// Holds a [`ClientStore`] against its contract. `make` is given the clients that have to be in the store, with their roles: a
/// registry, which keeps only the ids of a client's roles, has to be told what they give first, by
/// [`define_role`](ClientRegistry::define_role) for each of them but [`Role::superuser`](crate::Role::superuser).
///
/// Tenants that do not exist are asked for too; a store that does not implement `existing_tenants` passes.
pub fn client_store<S: ClientStore + 'static>(make: impl AsyncFn(Vec<Client>) -> S) {
    run(async {
        clients::finds_what_is_there(&make).await;
        clients::tells_identifiers_apart(&make).await;
        clients::takes_any_text(&make).await;
        clients::answers_many_at_once(&make).await;
        clients::names_only_tenants_that_exist(&make).await;
    });
}

/// Holds a [`ClientRegistry`] against its contract, also under concurrency. What it reads is held by [`client_store`].
///
/// A registry that does not implement `record_uses` and `last_uses` passes.
pub fn client_registry<S: ClientRegistry + 'static>(make: impl AsyncFn() -> S) {
    run(async {
        registry::registers_once(&make().await).await;
        registry::racing_registrations_one_wins(make().await).await;
        registry::updates_what_was_read(&make().await).await;
        registry::keeps_all_of_a_client(&make().await).await;
        registry::racing_updates_one_wins(make().await).await;
        registry::racing_changes_all_get_through(make().await).await;
        registry::versions_never_come_back(&make().await).await;
        registry::deletes_once(&make().await).await;
        registry::racing_deletions_one_wins(make().await).await;
        registry::replaces_the_secret(&make().await).await;
        registry::roles_give_what_their_definition_says(&make().await).await;
        registry::lists_by_identifier(&make().await).await;
        registry::lists_roles_by_tenant(&make().await).await;
        registry::defined_tenants_exist(&make().await).await;
        registry::keeps_the_last_use(&make().await).await;
        registry::answers_last_uses_in_order(&make().await).await;
        registry::racing_uses_the_last_one_stays(make().await).await;
    });
}

/// Holds a [`TokenStore`] against its contract, also under concurrency.
pub fn token_store<S: TokenStore + 'static>(make: impl AsyncFn() -> S) {
    run(async {
        tokens::keeps_all_that_a_token_says(&make().await).await;
        tokens::finds_nothing_else(&make().await).await;
        tokens::revokes_once(&make().await).await;
        tokens::racing_revocations_one_wins(make().await).await;
        tokens::revoke_all_is_dated(&make().await).await;
        tokens::revoke_all_never_goes_back(&make().await).await;
        tokens::revoke_all_races_with_mints(make().await).await;
        tokens::lists_what_stands(&make().await).await;
        tokens::purges_what_has_expired_and_nothing_else(&make().await).await;
        denials::denies_once(&make().await).await;
        denials::racing_denials_one_wins(make().await).await;
        denials::revoke_all_denies_by_date(&make().await).await;
        denials::revoke_all_denies_for_good(&make().await).await;
        denials::remembers_denials_until_the_tokens_expire(&make().await).await;
    });
}

/// Holds a [`ReplayStore`] against its contract, also under concurrency.
pub fn replay_store<S: ReplayStore + 'static>(make: impl AsyncFn() -> S) {
    run(async {
        replay::claims_once(&make().await).await;
        replay::tells_ids_apart(&make().await).await;
        replay::lets_go_after_expiry(&make().await).await;
        replay::racing_claims_one_wins(make().await).await;
    });
}

/// Holds a [`CounterStore`] against its contract, also under concurrency.
pub fn counter_store<S: CounterStore + 'static>(make: impl AsyncFn() -> S) {
    run(async {
        counters::admits_up_to_the_limit(&make().await).await;
        counters::forgives_what_did_not_fail(&make().await).await;
        counters::tells_keys_apart(&make().await).await;
        counters::takes_up_to_the_most(&make().await).await;
        counters::counts_as_failures_do(&make().await).await;
        counters::goes_on_where_windows_differ(&make().await).await;
        counters::racing_attempts_the_limit_holds(make().await).await;
        counters::racing_takes_each_has_its_count(make().await).await;
    });
}

fn run(suite: impl Future<Output = ()>) {
    Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime").block_on(suite);
}

/// An identifier that nothing else has.
fn unique(prefix: &str) -> String {
    let mut bytes = [0; 12];
    RandomSource::default().fill(&mut bytes).expect("random bytes");
    format!("{prefix}-{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Stops the suite with the name of the check.
#[track_caller]
fn check(name: &str, holds: bool, promise: impl Display) {
    assert!(holds, "{name}: {promise}");
}

/// Stops the suite with the name of the check where a store fails.
trait OrStop<T> {
    fn or_stop(self, name: &str) -> T;
}

impl<T> OrStop<T> for Result<T, BackendError> {
    #[track_caller]
    fn or_stop(self, name: &str) -> T {
        self.unwrap_or_else(|error| panic!("{name}: the store failed: {error:?}"))
    }
}

/// Has many tasks do the same thing at the same time, and returns what each of them got.
async fn race<S, T, F>(store: S, racer: impl Fn(Arc<S>, usize) -> F) -> Vec<T>
where
    S: Send + Sync + 'static,
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let (store, start) = (Arc::new(store), Arc::new(Barrier::new(RACERS)));
    let mut racers = JoinSet::new();
    for n in 0..RACERS {
        let (run, start) = (racer(store.clone(), n), start.clone());
        racers.spawn(async move {
            start.wait().await;
            run.await
        });
    }
    racers.join_all().await
}
