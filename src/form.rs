//! `application/x-www-form-urlencoded` as RFC 6749 Appendix B wants it: UTF-8, and nothing that is merely almost right.

use std::{borrow::Cow, fmt, ops::Deref};

use zeroize::{Zeroize as _, Zeroizing};

use crate::Error;

/// A decoded name or value: borrowed where nothing was encoded. What had to be copied is zeroed on drop, and `Debug` is
/// redacted, since any of them may be a secret.
pub(crate) struct Decoded<'a>(Cow<'a, str>);

impl Deref for Decoded<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Decoded<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0 {
            text.zeroize();
        }
    }
}

impl fmt::Debug for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The still encoded names and values of a form.
pub(crate) fn pairs(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    form.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut halves = pair.splitn(2, |b| *b == b'=');
        (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
    })
}

/// How many pairs there can be at most, without looking into them.
pub(crate) fn count(form: &[u8]) -> usize {
    form.iter().filter(|b| **b == b'&').count() + 1
}

/// Decodes one name or value.
pub(crate) fn decode(encoded: &[u8]) -> Result<Decoded<'_>, Error> {
    if is_plain(encoded) {
        return Ok(Decoded(Cow::Borrowed(std::str::from_utf8(encoded).map_err(|_| Error::MalformedForm)?)));
    }
    let mut bytes = Zeroizing::new(encoded.to_vec());
    let len = decode_in_place(&mut bytes).ok_or(Error::MalformedForm)?;
    bytes.truncate(len);
    into_text(bytes).map(|text| Decoded(Cow::Owned(text))).ok_or(Error::MalformedForm)
}

/// Decodes `bytes` over itself (the result is never longer) and returns the new length; `None` when a `%` is not
/// followed by two hexadecimal digits.
pub(crate) fn decode_in_place(bytes: &mut [u8]) -> Option<usize> {
    if is_plain(bytes) {
        return Some(bytes.len());
    }
    let (mut from, mut to) = (0, 0);
    while let Some(byte) = bytes.get(from).copied() {
        let (decoded, width) = match byte {
            b'+' => (b' ', 1),
            b'%' => (hex(*bytes.get(from + 1)?)? << 4 | hex(*bytes.get(from + 2)?)?, 3),
            other => (other, 1),
        };
        *bytes.get_mut(to)? = decoded;
        from += width;
        to += 1;
    }
    Some(to)
}

/// Whether nothing is encoded in it. Without an early exit the compiler looks at many bytes at once.
fn is_plain(encoded: &[u8]) -> bool {
    !encoded.iter().fold(false, |found, b| found | matches!(b, b'+' | b'%'))
}

/// The bytes as text, without a copy; zeroed when they are none.
pub(crate) fn into_text(mut bytes: Zeroizing<Vec<u8>>) -> Option<String> {
    String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| error.into_bytes().zeroize()).ok()
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc6749_b_form_encoding() {
        // The example of Appendix B: U+0020, U+0025, U+0026, U+002B, U+00A3, U+20AC.
        assert_eq!(&*decode(b"+%25%26%2B%C2%A3%E2%82%AC").unwrap(), " %&+£€");
        assert!(matches!(decode(b"plain").unwrap().0, Cow::Borrowed("plain")));
        for malformed in [&b"%"[..], b"%2", b"%zz", b"%+1", b"a%2", b"%C3", b"\xff", b"%ff", b"%c3+"] {
            assert!(matches!(decode(malformed), Err(Error::MalformedForm)), "{malformed:?}");
        }
    }

    #[test]
    fn pairs_of_a_form() {
        let all = |form: &'static str| -> Vec<_> { pairs(form.as_bytes()).collect() };
        assert_eq!(all("a=b&c=d=e&&f&=g"), [(&b"a"[..], &b"b"[..]), (b"c", b"d=e"), (b"f", b""), (b"", b"g")]);
        assert_eq!(all(""), []);
        assert_eq!((count(b""), count(b"a=b"), count(b"a&b&")), (1, 1, 3));
    }

    proptest! {
        #[test]
        fn decodes_what_a_peer_encodes(name in ".{0,20}", value in ".{0,40}") {
            let form = form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            let (n, v) = pairs(form.as_bytes()).next().unwrap();
            prop_assert_eq!(&*decode(n).unwrap(), name.as_str());
            prop_assert_eq!(&*decode(v).unwrap(), value.as_str());
        }

        #[test]
        fn agrees_with_a_peer_on_what_it_accepts(form in prop::collection::vec(any::<u8>(), 0..60)) {
            for (ours, theirs) in pairs(&form).zip(form_urlencoded::parse(&form)) {
                if let (Ok(name), Ok(value)) = (decode(ours.0), decode(ours.1)) {
                    prop_assert_eq!((&*name, &*value), (&*theirs.0, &*theirs.1));
                }
            }
        }
    }
}
