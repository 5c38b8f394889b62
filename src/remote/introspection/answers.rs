use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quick_cache::{Weighter, sync::Cache};
use time::OffsetDateTime;
use tokio::sync::OnceCell;

use crate::{BackendError, Claims, Resources, TokenHash};

/// What the server answers about a token.
type Found = Result<Option<Claims>, BackendError>;

/// What the server has answered, and the questions that it has not answered yet.
///
/// Each answer is kept with the time of its question, since the server may have looked that early.
pub(super) struct Answers {
    capacity: usize,
    active: Cache<TokenHash, (Claims, OffsetDateTime), Kibibytes>,
    /// Apart from the active ones, so that no flood of invented tokens drives one of them out.
    inactive: Cache<TokenHash, OffsetDateTime>,
    under_way: Mutex<HashMap<TokenHash, UnderWay>>,
}

/// Takes what a token says for as many entries as it takes kibibytes of memory, roughly, so that no client with hundreds of tenants
/// fills it.
#[derive(Clone)]
struct Kibibytes;

impl Weighter<TokenHash, (Claims, OffsetDateTime)> for Kibibytes {
    fn weight(&self, _: &TokenHash, (claims, _): &(Claims, OffsetDateTime)) -> u64 {
        let authorization = claims.authorization();
        let resources = authorization.tenants().map(|(_, resources)| resources).chain([authorization.global()]);
        // What stands beside each text is measured, maps and allocations included.
        let in_resources = |resources: &Resources| 450 + resources.iter().map(|id| 80 + id.len()).sum::<usize>();
        let in_audience = claims.audience().iter().map(|api| 30 + api.len()).sum::<usize>();
        let in_texts = claims.scope().map_or(0, |scope| scope.as_str().len()) + claims.jti().map_or(0, str::len);
        let bytes = resources.map(in_resources).sum::<usize>() + in_audience + in_texts;
        u64::try_from(bytes / 1024).unwrap_or(u64::MAX).max(1)
    }
}

struct UnderWay {
    question: Arc<Question>,
    waiters: usize,
}

/// Asked by the first that waits for it; if that one is dropped, by the next. All get what came of it, an error too.
type Question = OnceCell<(Found, OffsetDateTime)>;

impl Answers {
    pub(super) fn new(capacity: usize) -> Self {
        let room = u64::try_from(capacity).unwrap_or(u64::MAX);
        // A cache is in parts by the number of its entries, and none is larger than its part: few parts, then.
        let active = Cache::with_weighter(capacity / 64, room, Kibibytes);
        let inactive = Cache::new(capacity);
        Self { capacity, active, inactive, under_way: Mutex::default() }
    }

    /// With room for as many.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.capacity)
    }

    /// What is kept, or what `ask` answers, unless somebody is asking already.
    pub(super) async fn find<F: Future<Output = Found>>(
        &self,
        token: TokenHash,
        expiration: Duration,
        now: OffsetDateTime,
        ask: impl FnOnce() -> F,
    ) -> Found {
        if let Some(kept) = self.kept(&token, expiration, now) {
            return Ok(kept);
        }
        let waiter = {
            let mut under_way = self.under_way();
            // It may have come in while this waited for the lock.
            if let Some(kept) = self.kept(&token, expiration, now) {
                return Ok(kept);
            }
            let new = || UnderWay { question: Arc::default(), waiters: 0 };
            let joined = under_way.entry(token).or_insert_with(new);
            joined.waiters += 1;
            Waiter { answers: self, token, question: joined.question.clone() }
        };
        waiter.question.get_or_init(|| async { (ask().await, now) }).await.0.clone()
    }

    fn kept(&self, token: &TokenHash, expiration: Duration, now: OffsetDateTime) -> Option<Option<Claims>> {
        // One from the future counts no longer than one from the past: the clock was put back, or the two came at once.
        let is_fresh = |asked: OffsetDateTime| (now - asked).unsigned_abs() < expiration;
        if let Some((claims, asked)) = self.active.get(token)
            && is_fresh(asked)
        {
            return Some(Some(claims));
        }
        self.inactive.get(token).is_some_and(is_fresh).then_some(None)
    }

    fn keep(&self, token: TokenHash, found: Option<Claims>, asked: OffsetDateTime) {
        match found {
            Some(claims) => {
                self.inactive.remove(&token);
                self.active.insert(token, (claims, asked));
            }
            None => {
                self.active.remove(&token);
                self.inactive.insert(token, asked);
            }
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<TokenHash, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many active tokens are kept, how many that are not, and how many questions are under way.
    #[cfg(test)]
    pub(super) fn count(&self) -> (usize, usize, usize) {
        (self.active.len(), self.inactive.len(), self.under_way().len())
    }
}

/// One of those who wait for an answer.
struct Waiter<'a> {
    answers: &'a Answers,
    token: TokenHash,
    question: Arc<Question>,
}

impl Drop for Waiter<'_> {
    /// Keeps what was answered, unless somebody else has.
    fn drop(&mut self) {
        let mut under_way = self.answers.under_way();
        let joined = under_way.get_mut(&self.token);
        let Some(joined) = joined.filter(|joined| Arc::ptr_eq(&joined.question, &self.question)) else {
            return;
        };
        joined.waiters -= 1;
        let done = self.question.get();
        if done.is_some() || joined.waiters == 0 {
            under_way.remove(&self.token);
            if let Some((Ok(found), asked)) = done {
                self.answers.keep(self.token, found.clone(), *asked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authorization, ClientId, TenantName};

    fn claims(tenants: usize) -> Claims {
        let resources: Resources = (0..8).map(|n| format!("resource:{n}")).collect();
        let tenants = (0..tenants).map(|n| (TenantName::parse(format!("t{n}")).unwrap(), resources.clone()));
        let now = OffsetDateTime::UNIX_EPOCH;
        Claims::new(ClientId::parse("a").unwrap(), now, now)
            .with_authorization(Authorization::new(Resources::default(), tenants))
    }

    #[test]
    fn large_answers_take_the_room_of_many() {
        let (small, large, now) = (claims(0), claims(256), OffsetDateTime::UNIX_EPOCH);
        let keep = |claims: &Claims, count: usize| {
            let answers = Answers::new(10_000);
            (0..count).for_each(|n| answers.keep(TokenHash::of(&n.to_string()), Some(claims.clone()), now));
            answers.count().0
        };
        assert!(keep(&small, 9_000) > 8_000, "{}", keep(&small, 9_000));
        let large = keep(&large, 9_000);
        assert!((1..60).contains(&large), "{large}");
        let wordy = small.with_jti("x".repeat(200 * 1024));
        let wordy = keep(&wordy, 9_000);
        assert!((1..60).contains(&wordy), "{wordy}");
    }
}
