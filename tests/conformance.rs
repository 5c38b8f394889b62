//! Every store through the same suites, and broken ones that must not pass.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[allow(dead_code, reason = "an example has a `main`")]
#[path = "../examples/custom_store.rs"]
mod custom_store;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use client_credentials::{
    Admitted, AnyClientStore, AnyCounterStore, AnyTokenStore, Attempt, BackendError, Claim, Claims, Client, ClientId,
    ClientRegistry, ClientStore, CounterKey, CounterStore, FailureLimit, Failures, MemoryCounters, MemoryStore,
    Registered, ReplayStore, Role, RoleId, Taken, TenantName, TokenHash, TokenStore, Updated, Version, conformance,
    time::OffsetDateTime,
};
use custom_store::store::MyStore;
use serde::{Serialize, de::DeserializeOwned};

fn memory(clients: Vec<Client>) -> MemoryStore {
    let store = MemoryStore::default();
    clients.into_iter().for_each(|client| store.insert_client(client));
    store
}

#[test]
fn memory_store() {
    conformance::client_store(async |clients| memory(clients));
    conformance::token_store(async || MemoryStore::default());
    conformance::replay_store(async || MemoryStore::default());
    conformance::client_registry(async || MemoryStore::default());
    conformance::counter_store(async || MemoryCounters::default());
    // One store for all checks, as a database would be.
    let shared = MemoryStore::default();
    conformance::token_store(async || shared.clone());
    conformance::replay_store(async || shared.clone());
    conformance::client_registry(async || shared.clone());
    let shared = MemoryCounters::default();
    conformance::counter_store(async || shared.clone());
}

#[test]
fn pointers_and_type_erased_stores() {
    conformance::client_store(async |clients| Arc::new(memory(clients)));
    conformance::client_store(async |clients| AnyClientStore::new(memory(clients)));
    conformance::token_store(async || Arc::new(MemoryStore::default()));
    conformance::token_store(async || AnyTokenStore::new(MemoryStore::default()));
    conformance::replay_store(async || Arc::new(MemoryStore::default()));
    conformance::client_registry(async || Arc::new(MemoryStore::default()));
    conformance::counter_store(async || AnyCounterStore::new(MemoryCounters::default()));
    conformance::counter_store(async || AnyCounterStore::new(Arc::new(MemoryCounters::default())));
}

/// Counters of which nothing is kept but texts, and of which every argument and answer goes over a wire.
#[derive(Clone, Default)]
struct TextCounters(Arc<Mutex<HashMap<String, String>>>, MemoryCounters);

fn over_a_wire<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

impl CounterStore for TextCounters {
    async fn attempt(
        &self,
        key: CounterKey<'_>,
        limit: &FailureLimit,
        now: OffsetDateTime,
    ) -> Result<Attempt, BackendError> {
        let mut rows = self.0.lock().unwrap();
        let row = rows.entry(key.to_string()).or_insert_with(|| serde_json::to_string(&Failures::default()).unwrap());
        let mut failures: Failures = serde_json::from_str(row).unwrap();
        let attempt = failures.attempt(&over_a_wire(limit), now);
        *row = serde_json::to_string(&failures).unwrap();
        rows.retain(|_, row| serde_json::from_str::<Failures>(row).unwrap().stale_at() > now);
        Ok(match attempt {
            Attempt::Admitted(admitted) => Attempt::Admitted(over_a_wire(&admitted)),
            Attempt::Refused { until } => Attempt::Refused { until },
        })
    }

    async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) -> Result<(), BackendError> {
        if let Some(row) = self.0.lock().unwrap().get_mut(&key.to_string()) {
            let mut failures: Failures = serde_json::from_str(row).unwrap();
            let mut again = Admitted::new(admitted.at(), admitted.window());
            if let Some(until) = admitted.blocks_until() {
                again = again.with_strike(admitted.strikes(), until);
            }
            assert_eq!(again, *admitted);
            failures.forgive(&again);
            *row = serde_json::to_string(&failures).unwrap();
        }
        Ok(())
    }

    async fn take(
        &self,
        key: CounterKey<'_>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Result<Taken, BackendError> {
        self.1.take(key, most, now, ends_at).await
    }

    async fn give_back(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> Result<(), BackendError> {
        self.1.give_back(key, ends_at).await
    }
}

#[test]
fn counters_of_a_store_that_keeps_texts() {
    conformance::counter_store(async || TextCounters::default());
    let shared = TextCounters::default();
    conformance::counter_store(async || shared.clone());
}

/// A memory of counters with one fault.
#[derive(Clone)]
struct BrokenCounters(MemoryCounters, CounterFault);

#[derive(Clone, Copy, Debug, PartialEq)]
enum CounterFault {
    CountsRefusals,
    ForgivesNothing,
    ForgivesWindowsOnly,
    CountsByLookingFirst,
    RoundsTime,
    MixesKeys,
    MixesSides,
    TakesOneMore,
    TakesByLookingFirst,
    GivesNothingBack,
    GivesBackToTheNext,
    ForgetsTheHighest,
}

impl CounterStore for BrokenCounters {
    async fn attempt(
        &self,
        key: CounterKey<'_>,
        limit: &FailureLimit,
        now: OffsetDateTime,
    ) -> Result<Attempt, BackendError> {
        let Self(store, fault) = self;
        match fault {
            CounterFault::MixesKeys => {
                let key = key.to_string().to_lowercase();
                store.attempt(CounterKey::Client(&key), limit, now).await
            }
            CounterFault::RoundsTime => {
                let now = now.replace_millisecond(now.millisecond() / 50 * 50).unwrap();
                store.attempt(key, limit, now).await
            }
            CounterFault::CountsByLookingFirst => {
                // Admits whoever has asked while another one was asking.
                let attempt = store.attempt(key, limit, now).await?;
                let Attempt::Admitted(admitted) = attempt else { return Ok(attempt) };
                store.forgive(key, &admitted).await?;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                let _ = store.attempt(key, limit, now).await?;
                Ok(attempt)
            }
            CounterFault::CountsRefusals => match store.attempt(key, limit, now).await? {
                Attempt::Refused { until } => {
                    let _ = store.attempt(key, limit, until).await?;
                    Ok(Attempt::Refused { until })
                }
                admitted => Ok(admitted),
            },
            _ => store.attempt(key, limit, now).await,
        }
    }

    async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) -> Result<(), BackendError> {
        match self.1 {
            CounterFault::ForgivesNothing => Ok(()),
            CounterFault::MixesKeys => {
                let key = key.to_string().to_lowercase();
                self.0.forgive(CounterKey::Client(&key), admitted).await
            }
            CounterFault::ForgivesWindowsOnly if admitted.blocks_until().is_some() => Ok(()),
            _ => self.0.forgive(key, admitted).await,
        }
    }

    async fn take(
        &self,
        key: CounterKey<'_>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Result<Taken, BackendError> {
        let Self(store, fault) = self;
        match fault {
            CounterFault::MixesSides => {
                let (CounterKey::Client(name) | CounterKey::Tenant(name)) = key else { return Ok(Taken::UsedUp) };
                store.take(CounterKey::Client(name), most, now, ends_at).await
            }
            CounterFault::TakesOneMore => store.take(key, most.saturating_add(1), now, ends_at).await,
            CounterFault::TakesByLookingFirst => {
                let taken = store.take(key, most, now, ends_at).await?;
                if taken != Taken::UsedUp {
                    store.give_back(key, ends_at).await?;
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    let _ = store.take(key, most, now, ends_at).await?;
                }
                Ok(taken)
            }
            CounterFault::ForgetsTheHighest => Ok(match store.take(key, most, now, ends_at).await? {
                Taken::Granted { count, .. } => Taken::Granted { count, is_highest: true },
                Taken::UsedUp => Taken::UsedUp,
            }),
            _ => store.take(key, most, now, ends_at).await,
        }
    }

    async fn give_back(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> Result<(), BackendError> {
        match self.1 {
            CounterFault::GivesNothingBack => Ok(()),
            CounterFault::GivesBackToTheNext => {
                self.0.give_back(key, ends_at).await?;
                self.0.give_back(key, ends_at + std::time::Duration::from_secs(600)).await
            }
            _ => self.0.give_back(key, ends_at).await,
        }
    }
}

#[test]
fn broken_counters_do_not_pass() {
    for (fault, expected) in [
        (CounterFault::CountsRefusals, "admits_up_to_the_limit"),
        (CounterFault::ForgivesNothing, "forgives_what_did_not_fail"),
        (CounterFault::ForgivesWindowsOnly, "forgives_what_did_not_fail"),
        (CounterFault::CountsByLookingFirst, "racing_attempts_the_limit_holds"),
        (CounterFault::RoundsTime, "counts_as_failures_do"),
        (CounterFault::MixesKeys, "tells_keys_apart"),
        (CounterFault::MixesSides, "tells_keys_apart"),
        (CounterFault::TakesOneMore, "tells_keys_apart"),
        (CounterFault::TakesByLookingFirst, "racing_takes_each_has_its_count"),
        (CounterFault::GivesNothingBack, "takes_up_to_the_most"),
        (CounterFault::GivesBackToTheNext, "takes_up_to_the_most"),
        (CounterFault::ForgetsTheHighest, "takes_up_to_the_most"),
    ] {
        let broken = || BrokenCounters(MemoryCounters::default(), fault);
        let run = AssertUnwindSafe(|| conformance::counter_store(async || broken()));
        let panic = catch_unwind(run).expect_err(&format!("{fault:?} passes"));
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.starts_with(expected), "{fault:?}: {message}");
    }
}

#[test]
fn the_custom_store_of_the_example() {
    conformance::client_store(async |clients| clients.into_iter().collect::<MyStore>());
    conformance::token_store(async || MyStore::default());

    let example = fs::read_to_string("examples/custom_store.rs").unwrap();
    let (_, store) = example.split_once("// [store]\n").unwrap();
    let (store, _) = store.split_once("// [end]").unwrap();
    let lines = store.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 50, "{lines} lines");
}

/// What a broken store does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    FindsWithoutCase,
    FailsForUnknownClients,
    DropsRoles,
    NamesEveryTenant,
    ForgetsScope,
    ForgetsAudience,
    SortsAudience,
    RevokesForever,
    RevokesTwice,
    RevokesAllByWrite,
    RevokesAllForGood,
    GoesBack,
    ListsOthers,
    PurgesTooMuch,
    PurgesTheLiving,
    DeniesNothing,
    DeniesTheClient,
    DeniesForever,
    DeniesByLookingFirst,
    DeniesNoneByDate,
    DeniesAllByDate,
    DeniesByLastDate,
    PurgesDenials,
    PurgesTooManyDenials,
    DeniesInPlaceOfOthers,
    ClaimsTwice,
    ClaimsRace,
    ClaimsForgotten,
    RegistersOver,
    RegistersByLookingFirst,
    UpdatesBlindly,
    UpdatesByLookingFirst,
    VersionsComeBack,
    KeepsResources,
    KeepsDeletedRoles,
    DeletesTwice,
    FiltersByPattern,
    ForgetsTenants,
    KeepsAnyUse,
    KeepsUsesByLookingFirst,
    AnswersForKnownIds,
    AnswersById,
    InventsUses,
}

/// A memory store with one fault.
#[derive(Clone)]
struct Broken {
    store: MemoryStore,
    fault: Fault,
    inserted: Arc<Mutex<Vec<(TokenHash, Claims)>>>,
    denied: Arc<Mutex<BTreeMap<TokenHash, OffsetDateTime>>>,
    revoked: Arc<Mutex<BTreeMap<ClientId, OffsetDateTime>>>,
    claimed: Arc<Mutex<Vec<(String, OffsetDateTime)>>>,
    used: Arc<Mutex<BTreeMap<String, OffsetDateTime>>>,
}

impl Broken {
    fn new(store: MemoryStore, fault: Fault) -> Self {
        let (inserted, denied, revoked) = (Arc::default(), Arc::default(), Arc::default());
        Self { store, fault, inserted, denied, revoked, claimed: Arc::default(), used: Arc::default() }
    }

    fn inserted(&self) -> Vec<(TokenHash, Claims)> {
        self.inserted.lock().unwrap().clone()
    }
}

impl ClientStore for Broken {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        let found = self.store.find_client(client_id).await?;
        match (self.fault, found) {
            (Fault::FindsWithoutCase, None) => self.store.find_client(client_id.trim()).await,
            (Fault::FailsForUnknownClients, None) => Err(BackendError::new("no rows")),
            (Fault::DropsRoles, Some(client)) => {
                let client =
                    Client::builder(client.client_id().as_str()).client_name(client.client_name().unwrap_or("-"));
                Ok(Some(Arc::new(client.build()?)))
            }
            (_, found) => Ok(found),
        }
    }

    async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
        match self.fault {
            Fault::NamesEveryTenant => Ok(tenants.to_vec()),
            _ => self.store.existing_tenants(tenants).await,
        }
    }
}

impl TokenStore for Broken {
    async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
        self.inserted.lock().unwrap().push((hash, claims.clone()));
        let claims = match self.fault {
            Fault::ForgetsScope => claims.with_scope(None),
            Fault::ForgetsAudience => claims.with_audience([""; 0]),
            Fault::SortsAudience => {
                let apis: BTreeSet<_> = claims.audience().iter().cloned().collect();
                claims.with_audience(apis)
            }
            _ => claims,
        };
        self.store.insert(hash, claims).await
    }

    async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
        self.store.find(hash).await
    }

    async fn revoke(&self, hash: &TokenHash) -> Result<bool, BackendError> {
        match self.fault {
            Fault::RevokesForever => Ok(self.store.find(hash).await?.is_some()),
            Fault::RevokesTwice => {
                let stood = self.store.find(hash).await?.is_some();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                self.store.revoke(hash).await?;
                Ok(stood)
            }
            _ => self.store.revoke(hash).await,
        }
    }

    async fn revoke_all(&self, client_id: &ClientId, at: OffsetDateTime) -> Result<(), BackendError> {
        self.revoked.lock().unwrap().insert(client_id.clone(), at);
        match self.fault {
            // By deleting the rows that are there, which is what comes to mind first.
            Fault::RevokesAllByWrite => {
                for (hash, claims) in self.inserted() {
                    if claims.client_id() == client_id && claims.issued_at() <= at {
                        self.store.revoke(&hash).await?;
                    }
                }
                Ok(())
            }
            Fault::RevokesAllForGood => {
                self.store.revoke_all(client_id, at + std::time::Duration::from_secs(3600)).await
            }
            Fault::GoesBack if self.inserted().len() == 1 => {
                // Remembers only the last call; the store below only ever goes forward.
                let (hash, claims) = self.inserted().remove(0);
                match at < claims.issued_at() {
                    true => self.store.insert(hash, claims).await,
                    false => self.store.revoke(&hash).await.map(drop),
                }
            }
            _ => self.store.revoke_all(client_id, at).await,
        }
    }

    async fn deny(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
        match self.fault {
            Fault::DeniesTheClient => {
                let stood = !self.store.is_denied(jti, claims).await?;
                self.store.revoke_all(claims.client_id(), claims.issued_at()).await?;
                Ok(stood)
            }
            Fault::DeniesForever => self.store.deny(jti, claims).await.map(|_| true),
            Fault::DeniesByLookingFirst => {
                let stood = !self.store.is_denied(jti, claims).await?;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                self.store.deny(jti, claims).await?;
                Ok(stood)
            }
            Fault::PurgesDenials | Fault::PurgesTooManyDenials | Fault::DeniesInPlaceOfOthers => {
                let mut denied = self.denied.lock().unwrap();
                if self.fault == Fault::DeniesInPlaceOfOthers {
                    // What expires before this one is taken for expired.
                    denied.retain(|_, expires_at| *expires_at >= claims.expires_at());
                }
                Ok(denied.insert(*jti, claims.expires_at()).is_none())
            }
            _ => self.store.deny(jti, claims).await,
        }
    }

    async fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
        let is_denied = self.store.is_denied(jti, claims).await?;
        let revoked = self.revoked.lock().unwrap().get(claims.client_id()).copied();
        // As if all tokens of its client had never been revoked.
        let nobodys = Claims::new(ClientId::parse("nobody").unwrap(), claims.issued_at(), claims.expires_at());
        let by_itself = self.store.is_denied(jti, &nobodys).await? || self.denied.lock().unwrap().contains_key(jti);
        Ok(match self.fault {
            Fault::DeniesNothing => false,
            Fault::DeniesNoneByDate => by_itself,
            Fault::DeniesAllByDate => is_denied || revoked.is_some(),
            Fault::DeniesByLastDate => by_itself || revoked.is_some_and(|at| claims.issued_at() <= at),
            _ => is_denied || by_itself,
        })
    }

    async fn list_tokens(
        &self,
        client_id: &ClientId,
        now: OffsetDateTime,
    ) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
        match self.fault {
            Fault::ListsOthers => Ok(self.inserted()),
            _ => self.store.list_tokens(client_id, now).await,
        }
    }

    async fn purge_expired(&self, now: OffsetDateTime, most: usize) -> Result<usize, BackendError> {
        match self.fault {
            Fault::PurgesTooMuch => self.store.purge_expired(now, most + 20).await,
            Fault::PurgesTheLiving => {
                for (hash, _) in self.inserted() {
                    self.store.revoke(&hash).await?;
                }
                Ok(0)
            }
            Fault::PurgesDenials => {
                self.denied.lock().unwrap().clear();
                self.store.purge_expired(now, most).await
            }
            Fault::PurgesTooManyDenials => {
                let expired = {
                    let mut denied = self.denied.lock().unwrap();
                    let before = denied.len();
                    denied.retain(|_, expires_at| *expires_at > now);
                    before - denied.len()
                };
                Ok(expired + self.store.purge_expired(now, most).await?)
            }
            _ => self.store.purge_expired(now, most).await,
        }
    }
}

impl ClientRegistry for Broken {
    async fn register(&self, client: Client) -> Result<Registered, BackendError> {
        let there = self.store.find_client(client.client_id().as_str()).await?.is_some();
        match self.fault {
            Fault::RegistersOver if there => {
                self.store.delete(client.client_id()).await?;
                self.store.register(client).await
            }
            Fault::RegistersByLookingFirst => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                if there {
                    return Ok(Registered::Exists);
                }
                self.store.delete(client.client_id()).await?;
                self.store.register(client).await
            }
            Fault::VersionsComeBack => match self.store.register(client).await? {
                Registered::New(_) => Ok(Registered::New(Version::new(1))),
                exists => Ok(exists),
            },
            Fault::KeepsResources => {
                for role in client.roles() {
                    self.store.define_role(role.clone()).await?;
                }
                self.store.register(client).await
            }
            _ => self.store.register(client).await,
        }
    }

    async fn read(&self, client_id: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
        let read = ClientRegistry::read(&self.store, client_id).await?;
        match self.fault {
            Fault::VersionsComeBack => Ok(read.map(|(client, _)| (client, Version::new(1)))),
            _ => Ok(read),
        }
    }

    async fn update(&self, client: Client, version: Version) -> Result<Updated, BackendError> {
        let current = ClientRegistry::read(&self.store, client.client_id()).await?.map(|(_, version)| version);
        match (self.fault, current) {
            (Fault::UpdatesBlindly, Some(current)) => self.store.update(client, current).await,
            (Fault::UpdatesByLookingFirst, Some(current)) if current == version => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                let current = ClientRegistry::read(&self.store, client.client_id()).await?;
                self.store.update(client, current.map_or(version, |(_, version)| version)).await
            }
            (Fault::VersionsComeBack, Some(current)) => self.store.update(client, current).await,
            _ => self.store.update(client, version).await,
        }
    }

    async fn delete(&self, client_id: &ClientId) -> Result<bool, BackendError> {
        let deleted = self.store.delete(client_id).await?;
        Ok(deleted || self.fault == Fault::DeletesTwice)
    }

    async fn list_clients(&self, filter: &str, skip: usize, most: usize) -> Result<(Vec<Client>, usize), BackendError> {
        let filter = if self.fault == Fault::FiltersByPattern { filter.trim_end_matches('%') } else { filter };
        self.store.list_clients(filter, skip, most).await
    }

    async fn define_tenant(&self, tenant: TenantName) -> Result<(), BackendError> {
        match self.fault {
            Fault::ForgetsTenants => Ok(()),
            _ => self.store.define_tenant(tenant).await,
        }
    }

    async fn define_role(&self, role: Role) -> Result<(), BackendError> {
        self.store.define_role(role).await
    }

    async fn delete_role(&self, id: &RoleId) -> Result<bool, BackendError> {
        match self.fault {
            Fault::KeepsDeletedRoles => Ok(true),
            _ => self.store.delete_role(id).await,
        }
    }

    async fn list_roles(&self, tenant: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
        self.store.list_roles(tenant).await
    }

    async fn record_uses(&self, uses: &[(String, OffsetDateTime)]) -> Result<(), BackendError> {
        let before = self.used.lock().unwrap().clone();
        if self.fault == Fault::KeepsUsesByLookingFirst {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let mut latest = before.clone();
        for (id, at) in uses {
            let kept = latest.entry(id.clone()).or_insert(*at);
            *kept = if self.fault == Fault::KeepsAnyUse { *at } else { *at.max(kept) };
        }
        if [Fault::KeepsAnyUse, Fault::KeepsUsesByLookingFirst].contains(&self.fault) {
            *self.used.lock().unwrap() = latest;
        }
        self.store.record_uses(uses).await
    }

    async fn last_uses(&self, ids: &[String]) -> Result<Vec<Option<OffsetDateTime>>, BackendError> {
        let uses = self.store.last_uses(ids).await?;
        Ok(match self.fault {
            Fault::KeepsAnyUse | Fault::KeepsUsesByLookingFirst => {
                let used = self.used.lock().unwrap();
                ids.iter().map(|id| used.get(id).copied()).collect()
            }
            Fault::AnswersForKnownIds => uses.into_iter().filter(Option::is_some).collect(),
            Fault::AnswersById => {
                let mut ids = ids.to_vec();
                ids.sort();
                self.store.last_uses(&ids).await?
            }
            Fault::InventsUses => uses.into_iter().map(|at| at.or(Some(OffsetDateTime::UNIX_EPOCH))).collect(),
            _ => uses,
        })
    }
}

impl ReplayStore for Broken {
    async fn claim(&self, id: &str, now: OffsetDateTime, expires_at: OffsetDateTime) -> Result<Claim, BackendError> {
        let known = self.claimed.lock().unwrap().iter().any(|(claimed, until)| claimed == id && *until > now);
        match self.fault {
            Fault::ClaimsTwice => return Ok(Claim::First),
            Fault::ClaimsRace => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            Fault::ClaimsForgotten => self.claimed.lock().unwrap().truncate(100),
            _ => {}
        }
        self.claimed.lock().unwrap().insert(0, (id.into(), expires_at));
        Ok(if known { Claim::Replayed } else { Claim::First })
    }
}

#[test]
fn a_broken_store_fails_by_name() {
    let clients = |fault| conformance::client_store(async move |clients| Broken::new(memory(clients), fault));
    let tokens = |fault| conformance::token_store(async move || Broken::new(MemoryStore::default(), fault));
    let claims = |fault| conformance::replay_store(async move || Broken::new(MemoryStore::default(), fault));
    type Suite<'a> = &'a dyn Fn(Fault);
    let registry = |fault| conformance::client_registry(async move || Broken::new(MemoryStore::default(), fault));
    let cases: [(Fault, Suite<'_>, &str); 43] = [
        (Fault::RegistersOver, &registry, "registers_once"),
        (Fault::RegistersByLookingFirst, &registry, "racing_registrations_one_wins"),
        (Fault::UpdatesBlindly, &registry, "updates_what_was_read"),
        (Fault::UpdatesByLookingFirst, &registry, "racing_updates_one_wins"),
        (Fault::VersionsComeBack, &registry, "updates_what_was_read"),
        (Fault::KeepsResources, &registry, "roles_give_what_their_definition_says"),
        (Fault::KeepsDeletedRoles, &registry, "roles_give_what_their_definition_says"),
        (Fault::DeletesTwice, &registry, "deletes_once"),
        (Fault::FiltersByPattern, &registry, "lists_by_identifier"),
        (Fault::ForgetsTenants, &registry, "defined_tenants_exist"),
        (Fault::KeepsAnyUse, &registry, "keeps_the_last_use"),
        (Fault::KeepsUsesByLookingFirst, &registry, "racing_uses_the_last_one_stays"),
        (Fault::AnswersForKnownIds, &registry, "answers_last_uses_in_order"),
        (Fault::AnswersById, &registry, "answers_last_uses_in_order"),
        (Fault::InventsUses, &registry, "answers_last_uses_in_order"),
        (Fault::FindsWithoutCase, &clients, "tells_identifiers_apart"),
        (Fault::FailsForUnknownClients, &clients, "finds_what_is_there: the store failed"),
        (Fault::DropsRoles, &clients, "finds_what_is_there"),
        (Fault::NamesEveryTenant, &clients, "names_only_tenants_that_exist"),
        (Fault::ForgetsScope, &tokens, "keeps_all_that_a_token_says"),
        (Fault::ForgetsAudience, &tokens, "keeps_all_that_a_token_says"),
        (Fault::SortsAudience, &tokens, "keeps_all_that_a_token_says"),
        (Fault::RevokesForever, &tokens, "revokes_once"),
        (Fault::RevokesTwice, &tokens, "racing_revocations_one_wins"),
        (Fault::RevokesAllByWrite, &tokens, "revoke_all_is_dated"),
        (Fault::RevokesAllForGood, &tokens, "revoke_all_is_dated"),
        (Fault::GoesBack, &tokens, "revoke_all_never_goes_back"),
        (Fault::ListsOthers, &tokens, "lists_what_stands"),
        (Fault::PurgesTooMuch, &tokens, "purges_what_has_expired_and_nothing_else"),
        (Fault::PurgesTheLiving, &tokens, "purges_what_has_expired_and_nothing_else"),
        (Fault::DeniesNothing, &tokens, "denies_once"),
        (Fault::DeniesTheClient, &tokens, "denies_once"),
        (Fault::DeniesForever, &tokens, "denies_once"),
        (Fault::DeniesByLookingFirst, &tokens, "racing_denials_one_wins"),
        (Fault::DeniesNoneByDate, &tokens, "revoke_all_denies_by_date"),
        (Fault::DeniesAllByDate, &tokens, "revoke_all_denies_by_date"),
        (Fault::DeniesByLastDate, &tokens, "revoke_all_denies_for_good"),
        (Fault::PurgesDenials, &tokens, "remembers_denials_until_the_tokens_expire"),
        (Fault::PurgesTooManyDenials, &tokens, "remembers_denials_until_the_tokens_expire"),
        (Fault::DeniesInPlaceOfOthers, &tokens, "remembers_denials_until_the_tokens_expire"),
        (Fault::ClaimsTwice, &claims, "claims_once"),
        (Fault::ClaimsRace, &claims, "racing_claims_one_wins"),
        (Fault::ClaimsForgotten, &claims, "lets_go_after_expiry"),
    ];
    for (fault, suite, name) in cases {
        let stopped = catch_unwind(AssertUnwindSafe(|| suite(fault))).expect_err(&format!("{fault:?} passed"));
        let message = stopped.downcast_ref::<String>().unwrap();
        assert!(message.contains(name), "{fault:?} was found by another check: {message}");
    }
}
