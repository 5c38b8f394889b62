#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    num::NonZeroUsize,
    pin::Pin,
    process,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
};

use zeroize::Zeroizing;

use crate::{BackendError, ClientSecretHash, Error};

/// As many threads as it was given, at most, each of which does one verification at a time. They end with it.
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// There is a job, or there will be none any more.
    changed: Condvar,
    threads: usize,
}

#[derive(Default)]
struct Queue {
    /// Those that have jobs, in the order of their turns.
    lanes: VecDeque<Lane>,
    jobs: usize,
    threads: usize,
    idle: usize,
    /// Whose the threads are: a child that was forked has none of them.
    process: u32,
    is_over: bool,
}

struct Lane {
    name: Box<str>,
    jobs: VecDeque<Job>,
}

struct Job {
    hash: ClientSecretHash,
    presented: Zeroizing<String>,
    answer: Arc<Mutex<Answer>>,
}

enum Answer {
    Awaited(Option<Waker>),
    Digest([u8; 32]),
    Lost,
}

/// Whoever waits longer than for so many slow verifications has given up before.
const JOBS_PER_THREAD: usize = 64;

impl Pool {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self(Arc::new(Shared { queue: Mutex::default(), changed: Condvar::new(), threads: threads.get() }))
    }

    /// Computes the digest of a presented secret when it is this lane's turn; if what is returned is dropped before, not at all.
    ///
    /// # Errors
    /// When too many are waiting, of this lane or of all, or the machine has no thread for them.
    pub(super) fn compute(
        &self,
        hash: &ClientSecretHash,
        presented: &str,
        lane: &str,
    ) -> Result<impl Future<Output = Result<[u8; 32], Error>> + Send + use<>, Error> {
        let answer = Arc::new(Mutex::new(Answer::Awaited(None)));
        let job = Job { hash: hash.clone(), presented: presented.to_owned().into(), answer: answer.clone() };
        let mut queue = self.0.queue();
        queue.add(job, lane, self.0.threads * JOBS_PER_THREAD)?;
        if queue.process != process::id() {
            (queue.threads, queue.idle, queue.process) = (0, 0, process::id());
        }
        if queue.idle == 0 && queue.threads < self.0.threads {
            let shared = self.0.clone();
            let spawned = thread::Builder::new().name("client-secrets".into()).spawn(move || shared.work());
            match spawned {
                Ok(_) => queue.threads += 1,
                Err(_) if queue.threads > 0 => {} // the others do it
                Err(error) => {
                    queue.lanes.clear();
                    queue.jobs = 0;
                    return Err(BackendError::new(error).into());
                }
            }
        }
        drop(queue);
        self.0.changed.notify_one();
        Ok(Awaited(answer))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.queue().is_over = true;
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.0.threads).finish_non_exhaustive()
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// What each thread does.
    fn work(&self) {
        let mut queue = self.queue();
        while !queue.is_over {
            if let Some(job) = queue.next() {
                drop(queue);
                job.run();
                queue = self.queue();
            } else {
                queue.idle += 1;
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle = queue.idle.saturating_sub(1);
            }
        }
    }
}

impl Queue {
    /// A lane may have a quarter of the room, so that one that floods it leaves some to the others.
    fn add(&mut self, job: Job, name: &str, room: usize) -> Result<(), Error> {
        if self.is_full(name, room) {
            self.forget_abandoned();
            if self.is_full(name, room) {
                return Err(Error::Overloaded);
            }
        }
        self.jobs += 1;
        match self.lanes.iter_mut().find(|lane| *lane.name == *name) {
            Some(lane) => lane.jobs.push_back(job),
            None => self.lanes.push_back(Lane { name: name.into(), jobs: [job].into() }),
        }
        Ok(())
    }

    fn is_full(&self, name: &str, room: usize) -> bool {
        let of_lane = || self.lanes.iter().find(|lane| *lane.name == *name).map_or(0, |lane| lane.jobs.len());
        self.jobs >= room || of_lane() >= room / 4
    }

    /// The next job of the lane whose turn it is.
    fn next(&mut self) -> Option<Job> {
        let mut lane = self.lanes.pop_front()?;
        let job = lane.jobs.pop_front();
        if job.is_some() {
            self.jobs -= 1;
        }
        if !lane.jobs.is_empty() {
            self.lanes.push_back(lane);
        }
        job
    }

    /// Nobody waits for these any more.
    fn forget_abandoned(&mut self) {
        for lane in &mut self.lanes {
            lane.jobs.retain(|job| !job.is_abandoned());
        }
        self.lanes.retain(|lane| !lane.jobs.is_empty());
        self.jobs = self.lanes.iter().map(|lane| lane.jobs.len()).sum();
    }
}

impl Job {
    fn run(self) {
        if !self.is_abandoned() {
            let digest = self.hash.digest_of(&self.presented);
            self.answer(Answer::Digest(digest));
        }
    }

    fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.answer) == 1
    }

    fn answer(&self, answer: Answer) {
        let waker = match &mut *lock(&self.answer) {
            slot @ Answer::Awaited(_) => match std::mem::replace(slot, answer) {
                Answer::Awaited(waker) => waker,
                Answer::Digest(_) | Answer::Lost => None,
            },
            Answer::Digest(_) | Answer::Lost => None,
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Job {
    /// If it was not done, whoever waits for it must not wait for ever.
    fn drop(&mut self) {
        self.answer(Answer::Lost);
    }
}

struct Awaited(Arc<Mutex<Answer>>);

impl Future for Awaited {
    type Output = Result<[u8; 32], Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *lock(&self.0) {
            Answer::Awaited(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Answer::Digest(digest) => Poll::Ready(Ok(*digest)),
            Answer::Lost => Poll::Ready(Err(Error::Overloaded)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
