//! Threads for what would hold up an executor: few of them, and a queue that nobody fills alone.

mod answer;
mod turns;

use std::{
    fmt, io,
    mem::replace,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    process,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread,
};

use self::{answer::Answer, turns::Turns};
use crate::{BackendError, Error};

/// Runs jobs that find out which secret was presented. Its threads are started when they are needed first, and end with it.
pub(super) struct Pool(Arc<Shared>);

/// The place of the secret among the client's, if it is one of them.
type Found = Option<usize>;
type Run = Box<dyn FnOnce() -> Found + Send>;

struct Shared {
    /// Empty until it is needed where the host has not said it.
    max_threads: OnceLock<usize>,
    max_queued: usize,
    state: Mutex<State>,
    /// There is a job, or the end.
    news: Condvar,
}

struct State {
    waiting: Turns<Job>,
    threads: usize,
    idle: usize,
    ended: bool,
    /// The operator knows that the queue is full.
    is_told: bool,
    /// A child after `fork` has none of these threads.
    process: u32,
}

struct Job {
    run: Run,
    answer: Arc<Answer>,
}

impl Pool {
    pub(super) fn new(max_threads: Option<usize>, max_queued: usize) -> Self {
        let max_queued = max_queued.max(1);
        let waiting = Turns::new(max_queued);
        let state = State { waiting, threads: 0, idle: 0, ended: false, is_told: false, process: process::id() };
        let max_threads = max_threads.map(OnceLock::from).unwrap_or_default();
        Self(Arc::new(Shared { max_threads, max_queued, state: Mutex::new(state), news: Condvar::new() }))
    }

    /// Runs a job when the turn of this lane comes, which goes round among all that wait. A lane is whatever is not to hold up
    /// the others: a source, or a client identifier. Dropping the future takes the job out of the queue, or notes that it had begun.
    pub(super) async fn run(
        &self,
        lane: &str,
        has_begun: Option<&AtomicBool>,
        run: impl FnOnce() -> Found + Send + 'static,
    ) -> Result<Found, Error> {
        if self.0.max_threads() == 0 {
            return Ok(run());
        }
        let (lane, answer) = (lane.into(), self.0.submit(lane, Box::new(run))?);
        Pending { shared: self.0.clone(), lane, answer, has_begun }.await
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.0.state().waiting.len()
    }

    /// Whether nobody has been told yet that the queue is full, who is now.
    pub(super) fn is_news_that_full(&self) -> bool {
        !replace(&mut self.0.state().is_told, true)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.news.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, lane: &str, run: Run) -> Result<Arc<Answer>, Error> {
        let max_threads = self.max_threads();
        let mut state = self.state();
        if state.process != process::id() {
            (state.process, state.threads, state.idle) = (process::id(), 0, 0);
        }
        // The lane first: who fills it is not excused by what others do.
        if state.waiting.is_lane_full(lane) {
            return Err(Error::TooManyAtOnce);
        }
        if state.waiting.is_full() {
            return Err(Error::Overloaded);
        }
        if state.waiting.is_half_empty() {
            state.is_told = false;
        }
        // One that is idle may have a job already that it has not woken up for.
        if state.idle <= state.waiting.len() && state.threads < max_threads {
            match self.start_thread() {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(BackendError::new(error).into()),
                Err(_) => {} // those that there are will come to it
            }
        }
        let answer = Arc::<Answer>::default();
        state.waiting.push(lane, Job { run, answer: answer.clone() });
        drop(state);
        self.news.notify_one();
        Ok(answer)
    }

    /// As many as the host has said. Else half of what the machine has, since the other half is for all else that the host does:
    /// found out once, and without the lock, since the system reads files for it.
    fn max_threads(&self) -> usize {
        let half = || thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2));
        *self.max_threads.get_or_init(half)
    }

    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let shared = self.clone();
        let work = move || {
            while let Some(Job { run, answer }) = shared.next() {
                // What waits for the answer must get one, and this thread must go on.
                answer.give(catch_unwind(AssertUnwindSafe(run)).ok());
            }
        };
        thread::Builder::new().name("client-secrets".into()).spawn(work).map(drop)
    }

    /// The next job, once there is one; `None` at the end.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(job) = state.waiting.pop() {
                return Some(job);
            }
            state.idle += 1;
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

/// The answer to a job, once there is one.
struct Pending<'a> {
    shared: Arc<Shared>,
    lane: Box<str>,
    answer: Arc<Answer>,
    has_begun: Option<&'a AtomicBool>,
}

impl Future for Pending<'_> {
    type Output = Result<Found, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.poll(context)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.answer.is_given() {
            let is_its = |job: &Job| Arc::ptr_eq(&job.answer, &self.answer);
            // What the job holds is dropped without the lock.
            let job = self.shared.state().waiting.remove(&self.lane, is_its);
            if job.is_some() {
                return;
            }
        }
        if let Some(has_begun) = self.has_begun {
            has_begun.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("max_threads", &self.0.max_threads.get())
            .field("max_queued", &self.0.max_queued)
            .finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        future::Future,
        sync::mpsc::{Receiver, Sender, channel},
        task::Waker,
        time::{Duration, Instant},
    };

    use super::*;

    /// A job that starts with a message and waits for one.
    pub(in crate::verification) fn held() -> (impl FnOnce() -> Found + Send + 'static, Receiver<()>, Sender<()>) {
        let ((started, starts), (end, ends)) = (channel(), channel());
        let run = move || {
            started.send(()).unwrap();
            ends.recv().unwrap();
            Some(7)
        };
        (run, starts, end)
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Until it holds, for as long as ten seconds.
    fn soon(holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn jobs_are_run_beside_the_executor() {
        let pool = Pool::new(Some(2), 8);
        let here = thread::current().id();
        assert_eq!(pool.0.state().threads, 0, "none before it is needed");
        for found in [None, Some(3)] {
            let run = move || {
                assert_ne!(thread::current().id(), here);
                found
            };
            assert_eq!(pool.run("a", None, run).await.unwrap(), found);
        }
        let inline = Pool::new(Some(0), 8);
        assert_eq!(
            inline.run("a", None, move || Some(usize::from(thread::current().id() == here))).await.unwrap(),
            Some(1)
        );
        assert_eq!(inline.0.state().threads, 0);
    }

    #[tokio::test]
    async fn turns_go_round_and_nobody_fills_the_queue() {
        let (pool, order) = (Pool::new(Some(1), 32), Arc::new(Mutex::new(String::new())));
        let (run, starts, end) = held();
        let mut first = Box::pin(pool.run("first", None, run));
        assert!(poll(first.as_mut()).is_pending());
        starts.recv().unwrap();

        let job = |lane: &'static str| {
            let order = order.clone();
            let mut run = Box::pin(pool.run(lane, None, move || {
                order.lock().unwrap().push_str(lane);
                None
            }));
            let polled = poll(run.as_mut());
            (run, polled)
        };
        // An eighth of 32 are four.
        let mut waiting: Vec<_> = ["a", "a", "a", "a", "b", "c", "b"].map(job).into();
        assert!(waiting.iter().all(|(_, polled)| polled.is_pending()));
        assert!(matches!(job("a").1, Poll::Ready(Err(Error::TooManyAtOnce))));
        // Who goes away gives his place to the next, and his turn if it was his only one.
        drop(waiting.remove(5));
        drop(waiting.remove(3));
        waiting.push(job("a"));
        waiting.push(job("d"));
        assert_eq!(pool.0.state().waiting.len(), 7);
        end.send(()).unwrap();
        for (run, _) in waiting {
            assert_eq!(run.await.unwrap(), None);
        }
        assert_eq!(first.await.unwrap(), Some(7));
        assert_eq!(*order.lock().unwrap(), "abdabaa");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_is_empty_again() {
        let pool = Pool::new(Some(1), 4);
        let (run, starts, end) = held();
        let mut first = Box::pin(pool.run("first", None, run));
        assert!(poll(first.as_mut()).is_pending());
        starts.recv().unwrap();
        let lanes: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        let mut waiting: Vec<_> = lanes.iter().map(|lane| Box::pin(pool.run(lane, None, || None))).collect();
        let polled: Vec<_> = waiting.iter_mut().map(|run| poll(run.as_mut()).is_pending()).collect();
        assert_eq!(polled, [true, true, true, true, false]);
        drop(waiting);
        assert!(pool.0.state().waiting.is_empty());
        end.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn half_of_the_machine_is_used_and_looked_for_once() {
        let pool = Pool::new(None, 8);
        assert_eq!(pool.0.max_threads.get(), None, "nothing is read before it is needed");
        assert_eq!(pool.run("a", None, || Some(1)).await.unwrap(), Some(1));
        let half = thread::available_parallelism().unwrap().get().div_ceil(2);
        assert_eq!(pool.0.max_threads.get(), Some(&half));
        assert_eq!(Pool::new(Some(3), 8).0.max_threads.get(), Some(&3));
    }

    #[tokio::test]
    async fn threads_are_as_many_as_are_needed_and_end_with_the_pool() {
        let pool = Pool::new(Some(2), 64);
        let held: Vec<_> = (0..3).map(|_| held()).collect();
        let (mut runs, mut ends) = (Vec::new(), Vec::new());
        for (n, (run, starts, end)) in held.into_iter().enumerate() {
            let mut run = Box::pin(pool.run("a", None, run));
            assert!(poll(run.as_mut()).is_pending());
            if n < 2 {
                starts.recv().unwrap();
            }
            assert_eq!(pool.0.state().threads, (n + 1).min(2));
            runs.push((run, starts));
            ends.push(end);
        }
        ends.into_iter().for_each(|end| end.send(()).unwrap());
        for (run, _starts) in runs {
            assert_eq!(run.await.unwrap(), Some(7));
        }
        soon(|| pool.0.state().idle == 2);
        assert_eq!(pool.run("a", None, || None).await.unwrap(), None);
        assert_eq!(pool.0.state().threads, 2);
        let shared = Arc::downgrade(&pool.0);
        drop(pool);
        soon(|| shared.strong_count() == 0);
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_no_end() {
        let pool = Pool::new(Some(1), 4);
        let panicked = pool.run("a", None, || panic!("on purpose")).await;
        assert!(matches!(panicked, Err(Error::Backend(_))));
        assert_eq!(pool.run("a", None, || Some(1)).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn a_child_after_fork_starts_its_own_threads() {
        let pool = Pool::new(Some(1), 4);
        {
            // As if they were the parent's.
            let mut state = pool.0.state();
            (state.process, state.threads) = (process::id().wrapping_add(1), 1);
        }
        assert_eq!(pool.run("a", None, || Some(1)).await.unwrap(), Some(1));
    }
}
