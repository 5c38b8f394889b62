//! The numbers: how many, how they ended, and how long they took.

use std::time::{Duration, Instant};

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use super::{Endpoint, Reply};
use crate::BackendError;

const REQUESTS: &str = "client_credentials_requests_total";
const REFUSALS: &str = "client_credentials_refusals_total";
const TOKENS: &str = "client_credentials_tokens_issued_total";
const REQUEST_DURATION: &str = "client_credentials_request_duration_seconds";
const STORE_DURATION: &str = "client_credentials_store_duration_seconds";
const STORE_ERRORS: &str = "client_credentials_store_errors_total";
const ISSUER_DURATION: &str = "client_credentials_issuer_duration_seconds";

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

pub(super) fn answered(endpoint: Option<Endpoint>, reply: &Reply, took: Duration) {
    let endpoint = endpoint.map_or("none", Endpoint::name);
    counter!(REQUESTS, "endpoint" => endpoint, "status" => reply.status().to_string()).increment(1);
    if let Some(cause) = reply.cause() {
        counter!(REFUSALS, "endpoint" => endpoint, "cause" => cause.name()).increment(1);
    }
    histogram!(REQUEST_DURATION, "endpoint" => endpoint).record(took);
}

pub(super) fn issued() {
    counter!(TOKENS).increment(1);
}

/// A call of a store on its way.
pub(crate) async fn store<R>(
    operation: &'static str,
    call: impl Future<Output = Result<R, BackendError>>,
) -> Result<R, BackendError> {
    let begun = Instant::now();
    let answer = call.await;
    histogram!(STORE_DURATION, "operation" => operation).record(begun.elapsed());
    if answer.is_err() {
        counter!(STORE_ERRORS, "operation" => operation).increment(1);
    }
    answer
}

/// A call of an issuer on its way.
pub(crate) async fn issuer<F: Future>(operation: &'static str, call: F) -> F::Output {
    let begun = Instant::now();
    let answer = call.await;
    histogram!(ISSUER_DURATION, "operation" => operation).record(begun.elapsed());
    answer
}
