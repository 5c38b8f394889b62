//! Where a thread puts what it has found, and a future looks for it.

use std::{
    mem::replace,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::Found;
use crate::{BackendError, Error};

/// What was found, once it was.
#[derive(Default)]
pub(super) struct Answer(Mutex<Progress>);

enum Progress {
    Waiting(Option<Waker>),
    /// `None` where the job has panicked.
    Given(Option<Found>),
}

impl Default for Progress {
    fn default() -> Self {
        Self::Waiting(None)
    }
}

impl Answer {
    /// Gives it to whoever waits; `None` where the job has panicked.
    pub(super) fn give(&self, found: Option<Found>) {
        let before = replace(&mut *self.progress(), Progress::Given(found));
        if let Progress::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Found, Error>> {
        match &mut *self.progress() {
            Progress::Given(Some(found)) => Poll::Ready(Ok(*found)),
            Progress::Given(None) => {
                Poll::Ready(Err(BackendError::new("the verification of a secret panicked").into()))
            }
            Progress::Waiting(Some(waker)) if waker.will_wake(context.waker()) => Poll::Pending,
            Progress::Waiting(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn is_given(&self) -> bool {
        matches!(*self.progress(), Progress::Given(_))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
