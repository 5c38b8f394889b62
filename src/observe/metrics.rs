//! The numbers: how many, how they ended, and how long they took.

mod keys;

use std::{cell::Cell, time::Instant};

use metrics::{
    Counter, Histogram, IntoF64, Key, Level, Metadata, Unit, counter, describe_counter, describe_histogram,
    with_recorder,
};

use super::{Call, Endpoint, Reply};
use crate::BackendError;

const REQUESTS: &str = "client_credentials_requests_total";
const REFUSALS: &str = "client_credentials_refusals_total";
const TOKENS: &str = "client_credentials_tokens_issued_total";
const REQUEST_DURATION: &str = "client_credentials_request_duration_seconds";
const STORE_DURATION: &str = "client_credentials_store_duration_seconds";
const STORE_ERRORS: &str = "client_credentials_store_errors_total";
const ISSUER_DURATION: &str = "client_credentials_issuer_duration_seconds";

/// What `endpoint` is where there is none.
const NO_ENDPOINT: &str = "none";

/// Where all of them come from.
static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// Tells the recorder of the host, once it is installed, what the metrics of this crate are.
///
/// | name | labels | |
/// | --- | --- | --- |
/// | `client_credentials_requests_total` | `endpoint`, `status` | requests that were answered |
/// | `client_credentials_refusals_total` | `endpoint`, `cause` | those that were refused or failed, by the [name](crate::Error::name) of the cause |
/// | `client_credentials_tokens_issued_total` | | access tokens that were issued |
/// | `client_credentials_request_duration_seconds` | `endpoint` | a histogram: from the request, when its body is there, to the answer |
/// | `client_credentials_store_duration_seconds` | `operation` | a histogram: one call of a store, such as `find_client`, or of a [`CounterStore`](crate::CounterStore): `attempt`, `forgive`, `take`, `give_back` |
/// | `client_credentials_store_errors_total` | `operation` | those of these calls that failed, also where nobody is told |
/// | `client_credentials_issuer_duration_seconds` | `operation` | a histogram: one call of an issuer, `issue` or `verify`; with that of its store, if it has one |
///
/// What a caller sends is never a label, so their number is bounded; `endpoint` is `none` where there is none. A request whose
/// caller hangs up before the answer is in the histograms of the stores and issuers that it has asked, and nowhere else.
///
/// ```
/// # let recorder = metrics::NoopRecorder;
/// metrics::set_global_recorder(recorder)?;
/// client_credentials::describe_metrics();
/// # Ok::<(), metrics::SetRecorderError<metrics::NoopRecorder>>(())
/// ```
pub fn describe_metrics() {
    describe_counter!(REQUESTS, Unit::Count, "Requests that were answered");
    describe_counter!(REFUSALS, Unit::Count, "Requests that were refused or failed");
    describe_counter!(TOKENS, Unit::Count, "Access tokens that were issued");
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "From the request to the answer");
    describe_histogram!(STORE_DURATION, Unit::Seconds, "One call of a store");
    describe_counter!(STORE_ERRORS, Unit::Count, "Calls of a store that failed");
    describe_histogram!(ISSUER_DURATION, Unit::Seconds, "One call of an issuer");
}

/// A request whose answer is on its way.
pub(super) struct Answering(Option<Endpoint>, Timer);

impl Answering {
    pub(super) fn begin(endpoint: Option<Endpoint>) -> Self {
        Self(endpoint, Timer::begin(keys::request_duration(endpoint)))
    }

    pub(super) fn end(self, reply: &Reply) {
        let Self(endpoint, timer) = self;
        timer.end();
        let name = endpoint.map_or(NO_ENDPOINT, Endpoint::name);
        let requests = match keys::requests(endpoint, reply.status()) {
            Some(key) => counter_of(key),
            None => counter!(REQUESTS, "endpoint" => name, "status" => reply.status().to_string()),
        };
        requests.increment(1);
        if let Some(cause) = reply.cause() {
            counter!(REFUSALS, "endpoint" => name, "cause" => cause.name()).increment(1);
        }
    }
}

pub(super) fn issued() {
    counter_of(keys::tokens()).increment(1);
}

/// A call on its way.
#[must_use]
pub(crate) struct Begun(Call, Timer);

impl Begun {
    #[inline]
    pub(super) fn new(call: Call) -> Self {
        Self(call, Timer::begin(keys::call(call).0))
    }

    /// With this answer, which is handed on.
    #[inline]
    pub(crate) fn end<R>(self, answer: Result<R, BackendError>) -> Result<R, BackendError> {
        let Self(call, timer) = self;
        timer.end();
        if answer.is_err()
            && let (_, Some(errors)) = keys::call(call)
        {
            counter_of(errors).increment(1);
        }
        answer
    }
}

fn counter_of(key: &'static Key) -> Counter {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA))
}

fn histogram_of(key: &'static Key) -> Histogram {
    with_recorder(|recorder| recorder.register_histogram(key, &METADATA))
}

/// How long something takes, if somebody wants to know: to read the clock costs more than all the rest here.
struct Timer {
    key: &'static Key,
    begun: Option<Instant>,
}

impl Timer {
    #[inline]
    fn begin(key: &'static Key) -> Self {
        let begun = Cell::new(None);
        // To record something no times is to record nothing; but only of a histogram that somebody keeps is it a number at all.
        histogram_of(key).record_many(Asked(&begun), 0);
        Self { key, begun: begun.into_inner() }
    }

    /// The histogram is asked for anew, since a recorder may have let go of an idle one.
    #[inline]
    fn end(self) {
        if let Some(begun) = self.begun {
            let took = begun.elapsed();
            histogram_of(self.key).record(took);
        }
    }
}

/// The number of none, which notes when it was asked for.
struct Asked<'a>(&'a Cell<Option<Instant>>);

impl IntoF64 for Asked<'_> {
    fn into_f64(self) -> f64 {
        self.0.set(Some(Instant::now()));
        0.0
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn the_clock_is_read_where_there_is_a_recorder() {
        let begin = || Timer::begin(keys::request_duration(None));
        assert_eq!(begin().begun, None);
        begin().end();
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let timer = begin();
            assert!(timer.begun.is_some());
            timer.end();
        });
        let text = recorder.handle().render();
        let count = "client_credentials_request_duration_seconds_count{endpoint=\"none\"} 1";
        assert!(text.lines().any(|line| line == count), "{text}");
    }
}
