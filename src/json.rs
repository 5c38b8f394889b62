//! JSON on its way out.

use serde::Serialize;

/// Appends `value`.
#[expect(clippy::expect_used, reason = "what this crate writes is texts, numbers and maps with texts for keys")]
pub(crate) fn value(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("texts, numbers and maps always serialize");
}

/// Appends a text, quoted. Tokens and scopes have nothing to escape, and it takes far less time to see that than to look
/// for it at each byte: this is the mint path.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().fold(true, |all, b| all & matches!(b, 0x20..=0x7E) & (b != b'"') & (b != b'\\'));
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        value(out, &text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_is_read_again(text in any::<String>(), plain in "[ -~]{0,40}") {
            for text in [text, plain] {
                let mut json = Vec::new();
                super::text(&mut json, &text);
                prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
            }
        }
    }
}
