//! The one place that asks the system what time it is.

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
