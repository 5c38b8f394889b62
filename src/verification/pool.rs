//! Threads for what would hold up an executor: few of them, and a queue that nobody fills alone.

use std::{
    collections::{HashMap, VecDeque},
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    process,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
};

use crate::{BackendError, Error};

/// Runs jobs that find out which secret was presented. Its threads are started when they are needed first, and end with it.
pub(super) struct Pool(Arc<Shared>);

/// Each client has at most this part of the queue, so that others find room in it.
const SHARES: usize = 8;

type Found = Option<usize>;
type Run = Box<dyn FnOnce() -> Found + Send>;

struct Shared {
    max_threads: Option<usize>,
    max_queued: usize,
    state: Mutex<State>,
    /// There is a job, or the end.
    news: Condvar,
}

struct State {
    /// The jobs by client. Whoever has one has a turn, and nobody has two.
    queues: HashMap<Box<str>, VecDeque<Job>>,
    turns: VecDeque<Box<str>>,
    queued: usize,
    threads: usize,
    idle: usize,
    ended: bool,
    /// A child after `fork` has none of these threads.
    process: u32,
}

struct Job {
    run: Run,
    answer: Arc<Answer>,
}

impl Pool {
    pub(super) fn new(max_threads: Option<usize>, max_queued: usize) -> Self {
        let state = State {
            queues: HashMap::new(),
            turns: VecDeque::new(),
            queued: 0,
            threads: 0,
            idle: 0,
            ended: false,
            process: process::id(),
        };
        let max_queued = max_queued.max(1);
        Self(Arc::new(Shared { max_threads, max_queued, state: Mutex::new(state), news: Condvar::new() }))
    }

    /// Runs a job when the turn of this client comes, which goes round among all that have one. Dropping the future takes
    /// the job out of the queue.
    pub(super) async fn run(
        &self,
        client_id: &str,
        run: impl FnOnce() -> Found + Send + 'static,
    ) -> Result<Found, Error> {
        if self.0.max_threads == Some(0) {
            return Ok(run());
        }
        self.0.submit(client_id, Box::new(run))?.await
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

    fn submit(self: &Arc<Self>, client_id: &str, run: Run) -> Result<Pending, Error> {
        let mut state = self.state();
        if state.process != process::id() {
            (state.process, state.threads, state.idle) = (process::id(), 0, 0);
        }
        let of_client = state.queues.get(client_id).map_or(0, VecDeque::len);
        if state.queued >= self.max_queued || of_client >= self.max_queued.div_ceil(SHARES) {
            return Err(Error::Overloaded);
        }
        // One that is idle may have a job already that it has not woken up for.
        if state.idle <= state.queued && state.threads < self.max_threads() {
            match self.start_thread() {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(BackendError::new(error).into()),
                Err(_) => {} // those that there are will come to it
            }
        }
        let answer = Arc::new(Answer(Mutex::new(Progress::Waiting(None))));
        state.push(client_id, Job { run, answer: answer.clone() });
        drop(state);
        self.news.notify_one();
        Ok(Pending { shared: self.clone(), client_id: client_id.into(), answer })
    }

    fn max_threads(&self) -> usize {
        // The other half is for all else that the host does.
        self.max_threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)))
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
            if let Some(job) = state.pop() {
                return Some(job);
            }
            state.idle += 1;
            state = self.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

impl State {
    fn push(&mut self, client_id: &str, job: Job) {
        self.queued += 1;
        if let Some(queue) = self.queues.get_mut(client_id) {
            queue.push_back(job);
        } else {
            self.queues.insert(client_id.into(), VecDeque::from([job]));
            self.turns.push_back(client_id.into());
        }
    }

    fn pop(&mut self) -> Option<Job> {
        let client_id = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&client_id)?;
        let job = queue.pop_front()?;
        self.queued -= 1;
        if queue.is_empty() {
            self.queues.remove(&client_id);
        } else {
            self.turns.push_back(client_id);
        }
        Some(job)
    }

    /// Takes out the job with this answer, if it still waits.
    fn remove(&mut self, client_id: &str, answer: &Arc<Answer>) -> Option<Job> {
        let queue = self.queues.get_mut(client_id)?;
        let at = queue.iter().position(|job| Arc::ptr_eq(&job.answer, answer))?;
        let job = queue.remove(at)?;
        self.queued -= 1;
        if queue.is_empty() {
            self.queues.remove(client_id);
            self.turns.retain(|id| **id != *client_id);
        }
        Some(job)
    }
}

/// Where a thread puts what it has found, and a future looks for it.
struct Answer(Mutex<Progress>);

enum Progress {
    Waiting(Option<Waker>),
    /// `None` where the job has panicked.
    Done(Option<Found>),
}

impl Answer {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, found: Option<Found>) {
        let before = std::mem::replace(&mut *self.progress(), Progress::Done(found));
        if let Progress::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

/// The answer to a job, once there is one.
struct Pending {
    shared: Arc<Shared>,
    client_id: Box<str>,
    answer: Arc<Answer>,
}

impl Future for Pending {
    type Output = Result<Found, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self.answer.progress() {
            Progress::Done(Some(found)) => Poll::Ready(Ok(*found)),
            Progress::Done(None) => Poll::Ready(Err(BackendError::new("the verification of a secret panicked").into())),
            Progress::Waiting(Some(waker)) if waker.will_wake(context.waker()) => Poll::Pending,
            Progress::Waiting(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let is_done = matches!(*self.answer.progress(), Progress::Done(_));
        if !is_done {
            // What the job holds is dropped without the lock.
            let _job = self.shared.state().remove(&self.client_id, &self.answer);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("max_threads", &self.0.max_threads)
            .field("max_queued", &self.0.max_queued)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        sync::mpsc::{Receiver, Sender, channel},
        time::{Duration, Instant},
    };

    use super::*;

    /// A job that starts with a message and waits for one.
    fn held() -> (impl FnOnce() -> Found + Send + 'static, Receiver<()>, Sender<()>) {
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
            assert_eq!(pool.run("a", run).await.unwrap(), found);
        }
        let inline = Pool::new(Some(0), 8);
        assert_eq!(inline.run("a", move || Some(usize::from(thread::current().id() == here))).await.unwrap(), Some(1));
        assert_eq!(inline.0.state().threads, 0);
    }

    #[tokio::test]
    async fn turns_go_round_and_nobody_fills_the_queue() {
        let (pool, order) = (Pool::new(Some(1), 32), Arc::new(Mutex::new(String::new())));
        let (run, starts, end) = held();
        let mut first = Box::pin(pool.run("first", run));
        assert!(poll(first.as_mut()).is_pending());
        starts.recv().unwrap();

        let job = |client_id: &'static str| {
            let order = order.clone();
            let mut run = Box::pin(pool.run(client_id, move || {
                order.lock().unwrap().push_str(client_id);
                None
            }));
            let polled = poll(run.as_mut());
            (run, polled)
        };
        // An eighth of 32 are four.
        let mut waiting: Vec<_> = ["a", "a", "a", "a", "b", "c", "b"].map(job).into();
        assert!(waiting.iter().all(|(_, polled)| polled.is_pending()));
        assert!(matches!(job("a").1, Poll::Ready(Err(Error::Overloaded))));
        // Who goes away gives his place to the next, and his turn if it was his only one.
        drop(waiting.remove(5));
        drop(waiting.remove(3));
        waiting.push(job("a"));
        waiting.push(job("d"));
        assert_eq!(pool.0.state().queued, 7);
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
        let mut first = Box::pin(pool.run("first", run));
        assert!(poll(first.as_mut()).is_pending());
        starts.recv().unwrap();
        let ids: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        let mut waiting: Vec<_> = ids.iter().map(|id| Box::pin(pool.run(id, || None))).collect();
        let polled: Vec<_> = waiting.iter_mut().map(|run| poll(run.as_mut()).is_pending()).collect();
        assert_eq!(polled, [true, true, true, true, false]);
        drop(waiting);
        {
            let state = pool.0.state();
            assert!(state.queued == 0 && state.queues.is_empty() && state.turns.is_empty());
        }
        end.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn threads_are_as_many_as_are_needed_and_end_with_the_pool() {
        let pool = Pool::new(Some(2), 64);
        let held: Vec<_> = (0..3).map(|_| held()).collect();
        let (mut runs, mut ends) = (Vec::new(), Vec::new());
        for (n, (run, starts, end)) in held.into_iter().enumerate() {
            let mut run = Box::pin(pool.run("a", run));
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
        assert_eq!(pool.run("a", || None).await.unwrap(), None);
        assert_eq!(pool.0.state().threads, 2);
        let shared = Arc::downgrade(&pool.0);
        drop(pool);
        soon(|| shared.strong_count() == 0);
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_no_end() {
        let pool = Pool::new(Some(1), 4);
        let panicked = pool.run("a", || panic!("on purpose")).await;
        assert!(matches!(panicked, Err(Error::Backend(_))));
        assert_eq!(pool.run("a", || Some(1)).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn a_child_after_fork_starts_its_own_threads() {
        let pool = Pool::new(Some(1), 4);
        {
            // As if they were the parent's.
            let mut state = pool.0.state();
            (state.process, state.threads) = (process::id().wrapping_add(1), 1);
        }
        assert_eq!(pool.run("a", || Some(1)).await.unwrap(), Some(1));
    }
}
