//! JSON on its way out.

use serde::Serialize;

/// Appends `value`.
#[expect(clippy::expect_used, reason = "what this crate writes is texts, numbers and maps with texts for keys")]
pub(crate) fn value(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("texts, numbers and maps always serialize");
}

/// The text of `value`.
#[expect(clippy::expect_used, reason = "what this crate writes is texts, numbers and maps with texts for keys")]
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and maps always serialize")
}
