use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Request, Uri, header};
use time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};

use super::document;
use crate::{BackendError, HttpClient, Jwks};

/// For how long keys count where the server does not say.
const USUAL_AGE: Duration = Duration::from_secs(5 * 60);

/// A server that allows nothing to be kept is not asked for every token.
const LEAST_AGE: Duration = Duration::from_secs(30);

/// How long a server that has failed is left alone.
const PAUSE: Duration = Duration::from_secs(5);

/// How often unknown keys have the server asked.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(10);

/// How often in that time: one that goes away in the middle has somebody else ask again, but not without end.
const UNKNOWN_ATTEMPTS: u8 = 3;

/// For how long keys count.
#[derive(Clone, Copy)]
pub(super) struct Age {
    pub(super) most: Duration,
    pub(super) stale_if_error: Duration,
}

impl Default for Age {
    fn default() -> Self {
        let hour = Duration::from_secs(60 * 60);
        Self { most: hour, stale_if_error: hour }
    }
}

/// The keys of a server, as old as they may be.
pub(super) struct Keys<C> {
    jwks_uri: Uri,
    client: C,
    kept: RwLock<Option<Arc<Kept>>>,
    /// Whoever fetches keys holds this lock. If he is dropped, the next one goes on.
    turn: Mutex<Turn>,
    /// How many fetches have come to an end, so that whoever has waited for one does not do another.
    ended: AtomicU64,
}

/// The keys that were fetched last.
pub(super) struct Kept {
    keys: Jwks,
    asked_at: OffsetDateTime,
    max_age: Option<Duration>,
}

#[derive(Default)]
struct Turn {
    /// Why the last fetch failed, and when it was begun.
    failed: Option<(OffsetDateTime, BackendError)>,
    /// When keys were last fetched for an unknown one.
    unknown: Option<OffsetDateTime>,
    /// How many fetches were begun since, and have not come to an end.
    begun: u8,
}

impl<C: HttpClient> Keys<C> {
    pub(super) fn new(jwks_uri: Uri, client: C) -> Self {
        Self { jwks_uri, client, kept: RwLock::default(), turn: Mutex::default(), ended: AtomicU64::new(0) }
    }

    /// Keys that are not too old.
    pub(super) async fn current(&self, age: Age, now: OffsetDateTime) -> Result<Arc<Kept>, BackendError> {
        let ended = self.ended();
        let kept = self.kept();
        if let Some(kept) = &kept
            && kept.counts(age, Duration::ZERO, now)
        {
            return Ok(kept.clone());
        }
        let stale = kept.filter(|kept| kept.counts(age, age.stale_if_error, now));
        let turn = match (&stale, self.turn.try_lock()) {
            (_, Ok(turn)) => turn,
            (Some(stale), Err(_)) => return Ok(stale.clone()),
            (None, Err(_)) => self.turn.lock().await,
        };
        self.fetch_in(turn, ended, now).await.or_else(|error| stale.ok_or(error))
    }

    /// Keys that were fetched after these, in which somebody has found none for a token; `None` when it is too early to ask again.
    pub(super) async fn newer(&self, than: &Arc<Kept>, now: OffsetDateTime) -> Result<Option<Arc<Kept>>, BackendError> {
        // They were fetched for this token.
        if than.asked_at == now {
            return Ok(None);
        }
        let ended = self.ended();
        let mut turn = self.turn.lock().await;
        if let Some(kept) = self.kept().filter(|kept| !Arc::ptr_eq(kept, than)) {
            return Ok(Some(kept));
        }
        let is_early = turn.unknown.is_some_and(|at| is_within(UNKNOWN_PAUSE, at, now));
        if !is_early {
            (turn.unknown, turn.begun) = (Some(now), 0);
        } else if !(1..UNKNOWN_ATTEMPTS).contains(&turn.begun) {
            // Where the server could not be asked, it cannot be told.
            return turn.failed.clone().map_or(Ok(None), |(_, error)| Err(error));
        }
        self.fetch_in(turn, ended, now).await.map(Some)
    }

    /// Fetches keys, unless somebody has just done so: while this waited for its turn, or without success.
    async fn fetch_in(
        &self,
        mut turn: MutexGuard<'_, Turn>,
        ended: u64,
        now: OffsetDateTime,
    ) -> Result<Arc<Kept>, BackendError> {
        let failed = turn.failed.as_ref().filter(|(at, _)| self.ended() != ended || is_within(PAUSE, *at, now));
        if let Some((_, error)) = failed {
            return Err(error.clone());
        }
        if let Some(kept) = self.kept().filter(|_| self.ended() != ended) {
            return Ok(kept);
        }
        turn.begun = turn.begun.saturating_add(1);
        let fetched = self.fetch(now).await;
        turn.begun = 0;
        turn.failed = fetched.as_ref().err().map(|error| (now, error.clone()));
        if let Ok(fetched) = &fetched {
            *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched.clone());
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        fetched
    }

    async fn fetch(&self, now: OffsetDateTime) -> Result<Arc<Kept>, BackendError> {
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = self.jwks_uri.clone();
        let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
        request.headers_mut().insert(header::ACCEPT, accept);
        let (keys, max_age) = document::keys(self.client.send(request).await?)?;
        Ok(Arc::new(Kept { keys, asked_at: now, max_age }))
    }
}

impl<C> Keys<C> {
    pub(super) const fn jwks_uri(&self) -> &Uri {
        &self.jwks_uri
    }

    fn kept(&self) -> Option<Arc<Kept>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }
}

impl Kept {
    pub(super) const fn keys(&self) -> &Jwks {
        &self.keys
    }

    /// Whether one has this key id. A token without one may be signed with any key, known or not.
    pub(super) fn has(&self, key_id: Option<&str>) -> bool {
        key_id.is_some_and(|key_id| self.keys.keys().iter().any(|key| key.key_id() == key_id))
    }

    /// Whether they count at `now`, or have not been too old for longer than `stale`.
    fn counts(&self, age: Age, stale: Duration, now: OffsetDateTime) -> bool {
        let max_age = self.max_age.unwrap_or(USUAL_AGE).min(age.most).max(LEAST_AGE);
        is_within(max_age.saturating_add(stale), self.asked_at, now)
    }
}

/// Whether two times are less than this apart. A time that is still to come is as far away as one that is past: either two came
/// at once, or the clock was put back, and how wrong it was is not known.
fn is_within(duration: Duration, at: OffsetDateTime, now: OffsetDateTime) -> bool {
    (now - at).unsigned_abs() < duration
}
