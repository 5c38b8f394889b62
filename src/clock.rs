//! The one place that asks the system what time it is, and what others reckon with.

use time::OffsetDateTime;

/// The system's time, for [`Request::new`](crate::Request::new).
///
/// No endpoint asks for it: a request carries its own time of arrival, so that a test can fix it and a host can take it from
/// where it likes. The service and the layer for `tower`, which make the request, call this themselves.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where the system is asked")]
pub fn now() -> OffsetDateTime {
    std::time::SystemTime::now().into()
}

/// Since 1970, rounded down: what is reckoned with where a nanosecond does not matter.
pub(crate) fn milliseconds(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() * 1000 + i64::from(at.millisecond())
}

/// The same the other way round.
pub(crate) fn from_milliseconds(at: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::milliseconds(at))
}
