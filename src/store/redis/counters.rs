//! Each counter is one hash, which goes when nothing of it counts any more, and each call one script over it.

use redis::{aio::ConnectionLike, cmd};
use time::OffsetDateTime;

use super::{Failure, RedisStore, within};
use crate::{
    Admitted, Attempt, BackendError, CounterKey, CounterStore, FailureLimit, Taken, TokenHash,
    clock::{from_milliseconds, milliseconds},
};

/// What [`Failures::attempt`](crate::Failures::attempt) does. Arguments: the time, the window, the most and the longest wait.
const ATTEMPT: &str = "
local now, span, most, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = redis.call('HMGET', KEYS[1], 'window', 'count', 'previous', 'strikes', 'until', 'length')
local window, count, previous = tonumber(kept[1] or 0), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
local strikes, blocked_until, length = tonumber(kept[4] or 0), tonumber(kept[5] or 0), tonumber(kept[6] or 0)
if blocked_until > now then return {0, window, strikes, blocked_until} end
if now >= math.max(window + 2 * length, blocked_until + strikes * length) then
  window, count, previous, strikes, blocked_until, length = 0, 0, 0, 0, 0, 0
end
local current = math.floor(now / span) * span
local later = current - window
if later >= span or later < -1000 * span then
  previous = now - window < 2 * length and count or 0
  count, window, length = 0, current, 0
end
length = math.max(length, span)
if strikes > 0 then strikes = math.max(0, strikes - math.floor((now - blocked_until) / span)) end
count = count + 1
local function wait(n) return n > 0 and math.min(1000 * 2 ^ (n - 1), longest) or 0 end
local left = span - math.min(math.max(now - window, 0), span)
local is_over = strikes > 0 or previous * left + count * span >= most * span
if is_over then
  if wait(strikes) < longest then strikes = strikes + 1 end
  blocked_until = now + wait(strikes)
end
redis.call('HSET', KEYS[1], 'window', window, 'count', count, 'previous', previous, 'strikes', strikes, 'until', blocked_until, 'length', length)
redis.call('PEXPIRE', KEYS[1], math.max(2 * length, blocked_until - now + strikes * length))
if is_over then return {1, window, strikes, blocked_until} end
return {1, window, 0, 0}
";

/// What [`Failures::forgive`](crate::Failures::forgive) does. Arguments: the time of the attempt, its window and its strikes.
const FORGIVE: &str = "
local at, of_window, of_strikes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[1], 'window', 'count', 'previous', 'strikes', 'length')
if not kept[1] then return 0 end
local window, count, previous, strikes = tonumber(kept[1]), tonumber(kept[2]), tonumber(kept[3]), tonumber(kept[4])
if of_window == window then count = math.max(0, count - 1)
elseif of_window < window and of_window >= window - tonumber(kept[5] or 0) then previous = math.max(0, previous - 1) end
redis.call('HSET', KEYS[1], 'count', count, 'previous', previous)
if of_strikes > 0 and of_strikes == strikes then
  redis.call('HSET', KEYS[1], 'strikes', strikes - 1, 'until', at)
  strikes = strikes - 1
end
if count + previous + strikes == 0 then redis.call('DEL', KEYS[1]) end
return 0
";

/// Arguments: the most, and for how long the key is kept.
const TAKE: &str = "
local kept = redis.call('HMGET', KEYS[1], 'count', 'highest')
local count, highest = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
if count >= tonumber(ARGV[1]) then return {0, count, 0} end
count = count + 1
redis.call('HSET', KEYS[1], 'count', count, 'highest', math.max(count, highest))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {1, count, count > highest and 1 or 0}
";

const GIVE_BACK: &str = "
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or 0)
if count > 0 then redis.call('HSET', KEYS[1], 'count', count - 1) end
return 0
";

/// How much longer than its window a count is kept, for clocks that differ.
const LONGER: i64 = 60_000;

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisStore<C> {
    async fn run<T: redis::FromRedisValue>(&self, script: &str, key: &str, arguments: &[i64]) -> Result<T, Failure> {
        let mut eval = cmd("EVAL");
        self.ask(eval.arg(script).arg(1).arg(key).arg(arguments)).await
    }

    /// Strangers choose what failures are counted by; their hashes are short.
    fn failures(&self, key: CounterKey<'_>) -> String {
        self.key("failures", &TokenHash::of(&key.to_string()).to_text())
    }

    /// Windows are apart, so that clocks that differ count in both of them.
    fn taken(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> String {
        self.key("taken", &format!("{}:{key}", ends_at.unix_timestamp()))
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> CounterStore for RedisStore<C> {
    async fn attempt(
        &self,
        key: CounterKey<'_>,
        limit: &FailureLimit,
        now: OffsetDateTime,
    ) -> Result<Attempt, BackendError> {
        let (key, at) = (self.failures(key), milliseconds(now));
        let arguments = [at, limit.window, limit.most().into(), limit.longest];
        let answer: (bool, i64, u32, i64) = within(self.deadline, self.run(ATTEMPT, &key, &arguments)).await?;
        let (is_admitted, window, strikes, blocked_until) = answer;
        Ok(match is_admitted {
            true => Attempt::Admitted(Admitted { at, window, strikes, blocked_until }),
            false => Attempt::Refused { until: from_milliseconds(blocked_until) },
        })
    }

    async fn forgive(&self, key: CounterKey<'_>, admitted: &Admitted) -> Result<(), BackendError> {
        let key = self.failures(key);
        let arguments = [admitted.at, admitted.window, admitted.strikes.into()];
        within(self.deadline, self.run::<()>(FORGIVE, &key, &arguments)).await
    }

    async fn take(
        &self,
        key: CounterKey<'_>,
        most: u64,
        now: OffsetDateTime,
        ends_at: OffsetDateTime,
    ) -> Result<Taken, BackendError> {
        let key = self.taken(key, ends_at);
        let left = (milliseconds(ends_at) - milliseconds(now)).max(0) + LONGER;
        let arguments = [i64::try_from(most).unwrap_or(i64::MAX), left];
        let (is_granted, count, is_highest): (bool, u64, bool) =
            within(self.deadline, self.run(TAKE, &key, &arguments)).await?;
        Ok(if is_granted { Taken::Granted { count, is_highest } } else { Taken::UsedUp })
    }

    async fn give_back(&self, key: CounterKey<'_>, ends_at: OffsetDateTime) -> Result<(), BackendError> {
        within(self.deadline, self.run::<()>(GIVE_BACK, &self.taken(key, ends_at), &[])).await
    }
}
