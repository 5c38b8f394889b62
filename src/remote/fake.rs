//! A server that answers what it is told to, for tests.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use http::{Request, Response, header};
use tokio::sync::Semaphore;

use super::HttpClient;
use crate::BackendError;

#[derive(Clone)]
pub(super) struct Fake(Arc<Inner>);

struct Inner {
    answer: Mutex<Option<Response<Vec<u8>>>>,
    last: Mutex<Option<Request<Vec<u8>>>>,
    asked: AtomicUsize,
    /// Each response takes a permit while there is a gate.
    gate: Mutex<Option<Arc<Semaphore>>>,
}

impl Fake {
    pub(super) fn answering(body: impl Into<Vec<u8>>) -> Self {
        let answer = Mutex::new(Some(Response::new(body.into())));
        Self(Arc::new(Inner { answer, last: Mutex::default(), asked: AtomicUsize::new(0), gate: Mutex::default() }))
    }

    pub(super) fn answer(&self, body: impl Into<Vec<u8>>) {
        self.respond(Response::new(body.into()));
    }

    pub(super) fn answer_with(&self, cache_control: &str, body: impl Into<Vec<u8>>) {
        self.respond(Response::builder().header(header::CACHE_CONTROL, cache_control).body(body.into()).unwrap());
    }

    pub(super) fn respond(&self, response: Response<Vec<u8>>) {
        *self.0.answer.lock().unwrap() = Some(response);
    }

    /// Cannot be reached from now on.
    pub(super) fn go_down(&self) {
        *self.0.answer.lock().unwrap() = None;
    }

    /// Holds up whoever asks from now on, until it is given permits or closed.
    pub(super) fn gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        *self.0.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    pub(super) fn ungate(&self) {
        if let Some(gate) = self.0.gate.lock().unwrap().take() {
            gate.close();
        }
    }

    pub(super) fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    pub(super) fn last(&self) -> Request<Vec<u8>> {
        self.0.last.lock().unwrap().take().unwrap()
    }
}

impl HttpClient for Fake {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, BackendError> {
        self.0.asked.fetch_add(1, SeqCst);
        *self.0.last.lock().unwrap() = Some(request);
        let gate = self.0.gate.lock().unwrap().clone();
        if let Some(gate) = gate
            && let Ok(permit) = gate.acquire().await
        {
            permit.forget();
        }
        self.0.answer.lock().unwrap().clone().ok_or_else(|| BackendError::new("down"))
    }
}
