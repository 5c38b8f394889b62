use std::{
    task::Wake,
    time::{Duration, Instant},
};

use super::*;
use crate::secret::counted;

/// PBKDF2 with these rounds.
fn hash(rounds: u32) -> ClientSecretHash {
    format!("$pbkdf2-sha256$i={rounds}$c2FsdHNhbHQ$AnGU186ifJGhVOzWISODRDr+KWh19aAI8GHYT95EtV4").parse().unwrap()
}

fn pool(threads: usize) -> Pool {
    Pool::new(NonZeroUsize::new(threads).unwrap())
}

/// Notes its name when it is woken.
struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        lock(&self.1).push(self.0);
    }
}

fn eventually(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never comes");
        thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn the_work_is_done_elsewhere() {
    let (pool, hash) = (pool(2), hash(2));
    for (presented, is_right) in [("right", true), ("wrong", false), ("", false)] {
        let expected = hash.digest_of(presented);
        counted::take();
        let digest = pool.compute(&hash, presented, "a").unwrap().await.unwrap();
        assert_eq!(counted::take(), [], "not on this thread");
        assert_eq!((digest, hash.has(&digest)), (expected, is_right), "{presented}");
    }
}

#[test]
fn lanes_take_turns() {
    let (pool, order) = (pool(1), Arc::default());
    let wait = |rounds: u32, lane: &'static str| {
        let mut awaited = Box::pin(pool.compute(&hash(rounds), "right", lane).unwrap());
        let waker = Arc::new(Named(lane, Arc::clone(&order))).into();
        let _ = awaited.as_mut().poll(&mut Context::from_waker(&waker));
        awaited
    };
    let first = wait(2_000_000, "first");
    let flood: Vec<_> = (0..12).map(|_| wait(2, "flood")).collect();
    let good = [wait(2, "good"), wait(2, "good")];
    eventually(|| lock(&order).len() == 15);
    assert_eq!(lock(&order)[..6], ["first", "flood", "good", "flood", "good", "flood"]);
    drop((first, flood, good));
}

#[test]
fn what_is_full_takes_no_more_and_what_is_given_up_makes_room() {
    let pool = pool(1);
    let add = |lane: &str| pool.compute(&hash(2), "right", lane);
    // Long enough for all that follows.
    let first = pool.compute(&hash(10_000_000), "right", "first").unwrap();
    eventually(|| pool.0.queue().jobs == 0);
    let lane = |name: &str| (0..16).map(|_| add(name).unwrap()).collect::<Vec<_>>();
    let (a, b) = (lane("a"), lane("b"));
    assert!(matches!(add("a").err(), Some(Error::Overloaded)), "a lane has a quarter");
    let (c, d) = (lane("c"), lane("d"));
    assert!(matches!(add("e").err(), Some(Error::Overloaded)), "all have no more than that");
    assert_eq!(pool.0.queue().jobs, JOBS_PER_THREAD);

    drop((first, a, b, c));
    assert_eq!(pool.0.queue().jobs, JOBS_PER_THREAD);
    let e = add("e").unwrap();
    assert_eq!(pool.0.queue().jobs, 17, "those of `d`, and this");
    drop((d, e));
}

#[tokio::test]
async fn threads_come_when_they_are_needed_and_go_with_the_pool() {
    let pool = pool(2);
    assert_eq!(pool.0.queue().threads, 0);
    for _ in 0..10 {
        pool.compute(&hash(2), "right", "a").unwrap().await.unwrap();
    }
    assert!((1..=2).contains(&pool.0.queue().threads));

    // In a child that was forked nobody is there.
    pool.0.queue().process = 0;
    pool.0.queue().is_over = true;
    pool.0.changed.notify_all();
    eventually(|| Arc::strong_count(&pool.0) == 1);
    pool.0.queue().is_over = false;
    pool.compute(&hash(2), "right", "a").unwrap().await.unwrap();

    let shared = Arc::downgrade(&pool.0);
    let waiting = pool.compute(&hash(2), "right", "a").unwrap();
    drop(pool);
    let _: Result<_, Error> = waiting.await; // done or lost, but never waited for in vain
    eventually(|| shared.strong_count() == 0);
}
