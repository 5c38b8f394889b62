use std::{
    cell::Cell,
    pin::pin,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Instant,
};

use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet, yield_now},
    time::timeout,
};

use super::*;
use crate::{Config, MemoryStore};

/// What is held up here goes on when the semaphore is closed.
#[derive(Default)]
struct Gate(Mutex<Option<Arc<Semaphore>>>);

impl Gate {
    /// Holds up whoever comes from now on.
    fn shut(&self) -> Arc<Semaphore> {
        let shut = Arc::new(Semaphore::new(0));
        *self.0.lock().unwrap() = Some(shut.clone());
        shut
    }

    /// Lets through whoever comes from now on.
    fn open(&self) {
        *self.0.lock().unwrap() = None;
    }

    async fn pass(&self) {
        let gate = self.0.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap_err();
        }
    }
}

/// A store that counts what it is asked, and that can be held up before it writes, and held up and fail afterwards.
#[derive(Clone, Default)]
struct Slow(Arc<Inner>);

#[derive(Default)]
struct Inner {
    store: MemoryStore,
    asked: AtomicUsize,
    reads: Gate,
    begun: AtomicUsize,
    begins: Gate,
    written: AtomicUsize,
    writes: Gate,
    fails: AtomicBool,
}

impl Slow {
    fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    fn or_fail<T>(&self, answer: T) -> Result<T, BackendError> {
        if self.0.fails.load(SeqCst) { Err(BackendError::new("told to fail")) } else { Ok(answer) }
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
        self.0.begun.fetch_add(1, SeqCst);
        self.0.begins.pass().await;
        let answer = write.await?;
        self.0.written.fetch_add(1, SeqCst);
        self.0.writes.pass().await;
        self.or_fail(answer)
    }
}

impl ClientStore for Slow {
    async fn find_client(&self, client_id: &str) -> Result<Option<Arc<Client>>, BackendError> {
        let found = self.0.store.find_client(client_id).await?;
        self.0.asked.fetch_add(1, SeqCst);
        self.0.reads.pass().await;
        self.or_fail(found)
    }

    async fn existing_tenants(&self, tenants: &[TenantName]) -> Result<Vec<TenantName>, BackendError> {
        self.0.store.existing_tenants(tenants).await
    }
}

impl ClientRegistry for Slow {
    async fn register(&self, client: Client) -> Result<Registered, BackendError> {
        self.write(self.0.store.register(client)).await
    }

    async fn read(&self, client_id: &ClientId) -> Result<Option<(Client, Version)>, BackendError> {
        self.0.store.read(client_id).await
    }

    async fn update(&self, client: Client, version: Version) -> Result<Updated, BackendError> {
        self.write(self.0.store.update(client, version)).await
    }

    async fn delete(&self, client_id: &ClientId) -> Result<bool, BackendError> {
        self.write(self.0.store.delete(client_id)).await
    }

    async fn list_clients(&self, filter: &str, skip: usize, most: usize) -> Result<(Vec<Client>, usize), BackendError> {
        self.0.store.list_clients(filter, skip, most).await
    }

    async fn define_tenant(&self, tenant: TenantName) -> Result<(), BackendError> {
        self.0.store.define_tenant(tenant).await
    }

    async fn define_role(&self, role: Role) -> Result<(), BackendError> {
        self.write(self.0.store.define_role(role)).await
    }

    async fn delete_role(&self, id: &RoleId) -> Result<bool, BackendError> {
        self.write(self.0.store.delete_role(id)).await
    }

    async fn list_roles(&self, tenant: Option<&TenantName>) -> Result<Vec<Role>, BackendError> {
        self.0.store.list_roles(tenant).await
    }
}

fn client(id: &str) -> Client {
    Client::builder(id).client_name("old").role(Role::new("t/x", ["old"]).unwrap()).build().unwrap()
}

fn cached() -> (Slow, Arc<Cached<Slow>>) {
    let store = Slow::default();
    store.0.store.insert_client(client("a"));
    (store.clone(), Arc::new(Cached::new(store)))
}

/// Asks in a task of its own.
fn ask(cached: &Arc<Cached<Slow>>, client_id: &'static str) -> JoinHandle<Result<Option<Arc<Client>>, BackendError>> {
    let cached = cached.clone();
    tokio::spawn(async move { cached.find_client(client_id).await })
}

async fn until(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "it never comes");
        yield_now().await;
    }
}

/// What a look-up finds that nothing holds up.
async fn find(cached: &Cached<Slow>) -> String {
    let found = timeout(Duration::from_secs(10), cached.find_client("a")).await.expect("it is held up");
    seen(found.unwrap())
}

/// What a look-up tells of a client: its name, and what its role gives.
fn seen(found: Option<Arc<Client>>) -> String {
    found.map_or_else(
        || "-".into(),
        |client| {
            let gives: String = client.roles().iter().flat_map(|role| role.resources().iter()).collect();
            format!("{} {gives}", client.client_name().unwrap())
        },
    )
}

thread_local! {
    static START: Instant = Instant::now();
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn clock() -> Instant {
    START.with(|start| *start) + PASSED.get()
}

fn pass(seconds: u64) {
    PASSED.set(PASSED.get() + Duration::from_secs(seconds));
}

#[tokio::test]
async fn an_answer_is_kept_until_it_expires_known_or_unknown() {
    let (store, cached) = cached();
    let mut cached = Arc::into_inner(cached).unwrap().with_cache_expiration(Duration::from_secs(20));
    Arc::get_mut(&mut cached.answers).unwrap().clock = clock;
    assert_eq!(EXPIRATION, Config::default().cache_expiration());
    for (id, known) in [("a", true), ("b", false)] {
        let before = store.asked();
        for (after, asked) in [(0, 1), (19, 1), (1, 2), (19, 2), (100, 3)] {
            pass(after);
            assert_eq!(cached.find_client(id).await.unwrap().is_some(), known);
            assert_eq!(store.asked() - before, asked, "{id}, {after} seconds later");
        }
    }
    // A client that has come or gone elsewhere.
    store.0.store.insert_client(client("b"));
    store.0.store.delete(&"a".parse().unwrap()).await.unwrap();
    pass(20);
    for _ in 0..2 {
        assert!(cached.find_client("a").await.unwrap().is_none() && cached.find_client("b").await.unwrap().is_some());
    }
    assert_eq!((store.asked(), cached.answers.count()), (8, (1, 1)));
}

#[tokio::test]
async fn the_age_of_an_answer_counts_from_the_beginning_of_its_look_up() {
    let (store, cached) = cached();
    let mut cached = Arc::into_inner(cached).unwrap();
    Arc::get_mut(&mut cached.answers).unwrap().clock = clock;
    let cached = Arc::new(cached);
    let gate = store.0.reads.shut();
    let first = ask(&cached, "a");
    until(|| store.asked() == 1).await;
    pass(20);
    gate.close();
    store.0.reads.open();
    assert!(first.await.unwrap().unwrap().is_some());
    for (after, asked) in [(9, 1), (1, 2)] {
        pass(after);
        assert!(cached.find_client("a").await.unwrap().is_some());
        assert_eq!(store.asked(), asked);
    }
}

#[tokio::test]
async fn with_no_expiration_every_look_up_goes_to_the_store() {
    let (store, cached) = cached();
    let cached = Arc::new(Arc::into_inner(cached).unwrap().with_cache_expiration(Duration::ZERO));
    let gate = store.0.reads.shut();
    let asking = ["a", "a", "b", "b"].map(|id| ask(&cached, id));
    until(|| store.asked() == 4).await;
    gate.close();
    for (asking, known) in asking.into_iter().zip([true, true, false, false]) {
        assert_eq!(asking.await.unwrap().unwrap().is_some(), known);
    }
    assert_eq!((cached.answers.count(), cached.answers.waiting().len()), ((0, 0), 0));
}

#[tokio::test]
async fn invented_identifiers_neither_grow_nor_drive_clients_out() {
    let store = Slow::default();
    let cached = Cached::new(store.clone()).with_capacity(100);
    let ids: Vec<_> = (0..1000).map(|n| format!("client-{n}")).collect();
    for id in &ids {
        store.0.store.insert_client(client(id));
    }
    for id in &ids[..50] {
        assert!(cached.find_client(id).await.unwrap().is_some());
    }
    for n in 0..10_000 {
        assert!(cached.find_client(&format!("invented-{n}")).await.unwrap().is_none());
    }
    let (clients, unknown) = cached.answers.count();
    assert!(clients == 50 && (50..=100).contains(&unknown), "{clients} clients and {unknown} unknown");
    let asked = store.asked();
    for id in &ids[..50] {
        assert!(cached.find_client(id).await.unwrap().is_some());
    }
    assert_eq!(store.asked(), asked, "all clients are still there");
    for id in &ids {
        assert!(cached.find_client(id).await.unwrap().is_some());
    }
    let (clients, _) = cached.answers.count();
    assert!((50..=100).contains(&clients), "{clients} clients");

    // What cannot be an identifier may be of any length.
    let cached = Cached::new(store);
    for id in ["x".repeat(256), "\0".into()] {
        assert!(cached.find_client(&id).await.unwrap().is_none());
    }
    assert_eq!(cached.answers.count(), (0, 0));
}

#[tokio::test]
async fn many_at_once_are_one_look_up() {
    let (store, cached) = cached();
    for (id, known, asked) in [("a", true, 1), ("b", false, 2)] {
        let gate = store.0.reads.shut();
        let asking: Vec<_> = (0..100).map(|_| ask(&cached, id)).collect();
        until(|| cached.answers.waiting() == [100]).await;
        gate.close();
        for asking in asking {
            assert_eq!(asking.await.unwrap().unwrap().is_some(), known);
        }
        assert_eq!((store.asked(), cached.answers.waiting().len()), (asked, 0));
        assert_eq!(cached.find_client(id).await.unwrap().is_some(), known);
        assert_eq!(store.asked(), asked);
    }
}

#[tokio::test]
async fn an_error_is_told_to_all_at_once_and_not_kept() {
    let (store, cached) = cached();
    store.0.fails.store(true, SeqCst);
    let gate = store.0.reads.shut();
    let asking: Vec<_> = (0..100).map(|_| ask(&cached, "a")).collect();
    until(|| cached.answers.waiting() == [100]).await;
    gate.close();
    for asking in asking {
        assert!(asking.await.unwrap().is_err());
    }
    assert_eq!(store.asked(), 1, "a dead database is waited for once, and not by one after another");
    assert_eq!((cached.answers.count(), cached.answers.waiting().len()), ((0, 0), 0));
    assert!(cached.find_client("a").await.is_err());
    store.0.fails.store(false, SeqCst);
    assert!(cached.find_client("a").await.unwrap().is_some());
    assert_eq!(store.asked(), 3);
}

#[tokio::test]
async fn where_the_one_that_asks_is_dropped_the_next_one_asks() {
    let (store, cached) = cached();
    let gate = store.0.reads.shut();
    let asking: Vec<_> = (0..5).map(|_| ask(&cached, "a")).collect();
    until(|| cached.answers.waiting() == [5]).await;
    // One that only waits, then one that asks after the other.
    for (dropped, asked) in [(3, 1), (0, 2), (1, 3)] {
        asking[dropped].abort();
        until(|| asking[dropped].is_finished() && store.asked() == asked).await;
    }
    assert_eq!(cached.answers.waiting(), [2]);
    gate.close();
    let mut found = 0;
    for asking in asking {
        found += usize::from(asking.await.is_ok_and(|found| found.unwrap().is_some()));
    }
    assert_eq!((found, store.asked(), cached.answers.waiting().len()), (2, 3, 0));

    // Where all are dropped, nothing stays.
    store.0.reads.shut();
    let asking: Vec<_> = (0..5).map(|_| ask(&cached, "b")).collect();
    until(|| cached.answers.waiting() == [5]).await;
    for asking in asking {
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
    }
    assert_eq!((cached.answers.waiting().len(), cached.answers.count()), (0, (1, 0)));
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Write {
    Register,
    Update,
    Delete,
    DefineRole,
    DeleteRole,
}

impl Write {
    const ALL: [(Self, &str, &str); 5] = [
        (Self::Register, "-", "old old"),
        (Self::Update, "old old", "new old"),
        (Self::Delete, "old old", "-"),
        (Self::DefineRole, "old old", "old new"),
        (Self::DeleteRole, "old old", "old "),
    ];

    async fn run(self, store: impl ClientRegistry) -> Result<(), BackendError> {
        let (id, role) = ("a".parse().unwrap(), "t/x".parse().unwrap());
        match self {
            Self::Register => store.register(client("a")).await.map(drop),
            Self::Update => store.change(&id, |client| client.client_name("new")).await.map(drop),
            Self::Delete => store.delete(&id).await.map(drop),
            Self::DefineRole => store.define_role(Role::new("t/x", ["new"]).unwrap()).await,
            Self::DeleteRole => store.delete_role(&role).await.map(drop),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Returns,
    Fails,
    IsDropped,
}

/// When somebody asks after the write: before the early look-up comes back, beside it, or after it.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Before,
    Beside,
    After,
}

/// A look-up reads, a write is done, and only then does the look-up come back with what it has read.
#[tokio::test]
async fn who_asks_after_a_write_sees_it_whatever_is_under_way() {
    for (write, before, after) in Write::ALL {
        for end in [End::Returns, End::Fails, End::IsDropped] {
            for asks in [Asks::Before, Asks::Beside, Asks::After] {
                let (store, cached) = cached();
                if write == Write::Register {
                    store.0.store.delete(&"a".parse().unwrap()).await.unwrap();
                }
                let name = format!("{write:?} that {end:?}, {asks:?}");
                let gate = store.0.reads.shut();
                let early = ask(&cached, "a");
                until(|| store.asked() == 1).await;
                store.0.reads.open();
                match end {
                    End::Returns => write.run(&cached).await.unwrap(),
                    End::Fails => {
                        store.0.fails.store(true, SeqCst);
                        write.run(&cached).await.unwrap_err();
                        store.0.fails.store(false, SeqCst);
                    }
                    End::IsDropped => {
                        store.0.writes.shut();
                        let writing = tokio::spawn(write.run(cached.clone()));
                        until(|| store.0.written.load(SeqCst) == 1).await;
                        writing.abort();
                        assert!(writing.await.unwrap_err().is_cancelled());
                    }
                }
                match asks {
                    Asks::Before => {
                        assert_eq!(find(&cached).await, after, "{name}");
                        gate.close();
                        assert_eq!(seen(early.await.unwrap().unwrap()), before, "{name}");
                    }
                    Asks::Beside => {
                        let beside = store.0.reads.shut();
                        let asking = ask(&cached, "a");
                        until(|| store.asked() == 2).await;
                        gate.close();
                        assert_eq!(seen(early.await.unwrap().unwrap()), before, "{name}");
                        assert_eq!(cached.answers.waiting(), [1], "{name}");
                        store.0.reads.open();
                        beside.close();
                        assert_eq!(seen(asking.await.unwrap().unwrap()), after, "{name}");
                    }
                    Asks::After => {
                        gate.close();
                        assert_eq!(seen(early.await.unwrap().unwrap()), before, "{name}");
                    }
                }
                for _ in 0..2 {
                    assert_eq!(find(&cached).await, after, "{name}");
                    assert_eq!(store.asked(), 2, "{name}");
                }
                assert!(cached.answers.waiting().is_empty(), "{name}");
            }
        }
    }
}

/// A look-up begins and reads while the write is under way but not done.
#[tokio::test]
async fn what_was_read_during_a_write_is_forgotten_when_that_is_over() {
    for (write, before, after) in Write::ALL {
        for comes_back in [true, false] {
            let (store, cached) = cached();
            if write == Write::Register {
                store.0.store.delete(&"a".parse().unwrap()).await.unwrap();
            }
            let begins = store.0.begins.shut();
            let writing = tokio::spawn(write.run(cached.clone()));
            until(|| store.0.begun.load(SeqCst) == 1).await;
            let gate = store.0.reads.shut();
            let early = ask(&cached, "a");
            until(|| store.asked() == 1).await;
            store.0.reads.open();
            if comes_back {
                gate.close();
                until(|| cached.answers.waiting().is_empty()).await;
                assert_eq!(find(&cached).await, before, "{write:?}");
            }
            begins.close();
            writing.await.unwrap().unwrap();
            assert_eq!(find(&cached).await, after, "{write:?}, {comes_back}");
            gate.close();
            assert_eq!(seen(early.await.unwrap().unwrap()), before, "{write:?}");
            assert_eq!((find(&cached).await.as_str(), store.asked()), (after, 2), "{write:?}, {comes_back}");
        }
    }
}

#[tokio::test]
async fn a_write_forgets_what_is_kept_and_of_other_clients_only_where_it_changes_a_role() {
    for (write, before, after) in Write::ALL {
        for fails in [false, true] {
            let (store, cached) = cached();
            store.0.store.insert_client(client("other"));
            if write == Write::Register {
                store.0.store.delete(&"a".parse().unwrap()).await.unwrap();
            }
            assert_eq!(find(&cached).await, before);
            assert_eq!(seen(cached.find_client("other").await.unwrap()), "old old");
            store.0.fails.store(fails, SeqCst);
            assert_eq!(write.run(&cached).await.is_err(), fails);
            store.0.fails.store(false, SeqCst);
            assert_eq!(find(&cached).await, after, "{write:?}, {fails}");
            let asked = store.asked();
            let other = seen(cached.find_client("other").await.unwrap());
            if matches!(write, Write::DefineRole | Write::DeleteRole) {
                assert_eq!((other.as_str(), store.asked()), (after, asked + 1), "{write:?}");
            } else {
                assert_eq!((other.as_str(), store.asked()), ("old old", asked), "{write:?}");
            }
        }
    }
}

/// The same with threads and without gates: a client's name counts its changes, and nobody may see fewer than had
/// returned before.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_sees_less_than_what_was_written_before() {
    let (_, cached) = cached();
    let (a, written) = ("a".parse().unwrap(), Arc::new(AtomicUsize::new(0)));
    let mut readers = JoinSet::new();
    assert!(cached.change(&a, |client| client.client_name("0")).await.unwrap());
    for _ in 0..4 {
        let (cached, written) = (cached.clone(), written.clone());
        readers.spawn(async move {
            loop {
                let before = written.load(SeqCst);
                let found = cached.find_client("a").await.unwrap().unwrap();
                let seen: usize = found.client_name().unwrap().parse().unwrap();
                assert!(seen >= before, "{seen} after {before}");
                if before == 2000 {
                    return;
                }
                yield_now().await;
            }
        });
    }
    for n in 1..=2000 {
        assert!(cached.change(&a, |client| client.client_name(&*n.to_string())).await.unwrap());
        written.store(n, SeqCst);
        yield_now().await;
    }
    readers.join_all().await;
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let (mut future, waker) = (pin!(future), Waker::from(Arc::new(Unpark(thread::current()))));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn it_needs_no_runtime() {
    let (store, cached) = cached();
    let gate = store.0.reads.shut();
    thread::scope(|scope| {
        let asking = [(); 4].map(|()| scope.spawn(|| block_on(cached.find_client("a"))));
        while cached.answers.waiting() != [4] {
            thread::yield_now();
        }
        gate.close();
        for asking in asking {
            assert!(asking.join().unwrap().unwrap().is_some());
        }
    });
    assert_eq!(store.asked(), 1);
}

#[test]
fn threads_that_ask_together_ask_once() {
    let (store, cached) = cached();
    let together = Barrier::new(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..1000 {
                    together.wait();
                    assert!(block_on(cached.find_client(&n.to_string())).unwrap().is_none());
                }
            });
        }
    });
    assert_eq!(store.asked(), 1000);
}
