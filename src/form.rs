//! `application/x-www-form-urlencoded` as RFC 6749 Appendix B wants it: UTF-8, and nothing that is merely almost right.

use std::{borrow::Cow, fmt, ops::Deref};

use memchr::{memchr, memchr2};
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
pub(crate) fn pairs(form: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = Some(form);
    let pairs = std::iter::from_fn(move || {
        let (pair, more) = cut(rest?, b'&');
        rest = more;
        Some(pair)
    });
    pairs.filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = cut(pair, b'=');
        (name, value.unwrap_or_default())
    })
}

/// Gives each parameter that has a value to `take`, by its name. RFC 6749 §3.2: one without a value counts as absent.
#[inline]
pub(crate) fn parameters<'a>(
    form: &'a str,
    mut take: impl FnMut(&str, Encoded<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    // Nothing is encoded in most forms, and one look at the whole spares one at each part.
    let is_plain = is_plain(form.as_bytes());
    for (name, value) in pairs(form) {
        let name = Encoded { text: name, is_plain }.decode()?;
        if !value.is_empty() {
            take(&name, Encoded { text: value, is_plain })?;
        }
    }
    Ok(())
}

/// The value of a parameter, as it stands in the form.
#[derive(Clone, Copy)]
pub(crate) struct Encoded<'a> {
    text: &'a str,
    /// That nothing in it has to be decoded.
    is_plain: bool,
}

impl<'a> Encoded<'a> {
    #[inline]
    pub(crate) fn decode(self) -> Result<Decoded<'a>, Error> {
        if self.is_plain { Ok(Decoded(Cow::Borrowed(self.text))) } else { decode(self.text) }
    }

    /// Puts it into its place, unless the parameter stands there twice (RFC 6749 §3.2).
    #[inline]
    pub(crate) fn once(self, name: &'static str, place: &mut Option<Decoded<'a>>) -> Result<(), Error> {
        if place.is_some() {
            return Err(Error::RepeatedParameter(name));
        }
        *place = Some(self.decode()?);
        Ok(())
    }
}

/// A text up to a character, and what comes after it.
fn cut(text: &str, at: u8) -> (&str, Option<&str>) {
    match memchr(at, text.as_bytes()) {
        Some(at) => (&text[..at], text.get(at + 1..)),
        None => (text, None),
    }
}

/// How many pairs there can be at most, without looking into them.
pub(crate) fn count(form: &[u8]) -> usize {
    // Few enough at a time to be counted in a byte each, which the compiler does for many bytes at once.
    let ands = |bytes: &[u8]| usize::from(bytes.iter().fold(0_u8, |count, byte| count + u8::from(*byte == b'&')));
    form.chunks(128).map(ands).sum::<usize>() + 1
}

/// Decodes one name or value.
pub(crate) fn decode(encoded: &str) -> Result<Decoded<'_>, Error> {
    if is_plain(encoded.as_bytes()) {
        return Ok(Decoded(Cow::Borrowed(encoded)));
    }
    let mut bytes = Zeroizing::new(encoded.as_bytes().to_vec());
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

/// Whether nothing is encoded in it.
pub(crate) fn is_plain(encoded: &[u8]) -> bool {
    memchr2(b'+', b'%', encoded).is_none()
}

/// The bytes as text, without a copy; zeroed when they are none.
pub(crate) fn into_text(mut bytes: Zeroizing<Vec<u8>>) -> Option<String> {
    String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| error.into_bytes().zeroize()).ok()
}

/// Appends a text, encoded. Give `form` room for three times the text where the text is a secret, so that growing leaves no copy
/// behind.
#[cfg(feature = "remote")]
pub(crate) fn encode(text: &str, form: &mut String) {
    form.extend(form_urlencoded::byte_serialize(text.as_bytes()));
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc6749_b_form_encoding() {
        // The example of Appendix B: U+0020, U+0025, U+0026, U+002B, U+00A3, U+20AC.
        assert_eq!(&*decode("+%25%26%2B%C2%A3%E2%82%AC").unwrap(), " %&+£€");
        #[cfg(feature = "remote")]
        {
            let mut encoded = String::new();
            encode(" %&+£€", &mut encoded);
            assert_eq!(encoded, "+%25%26%2B%C2%A3%E2%82%AC");
        }
        assert!(matches!(decode("plain").unwrap().0, Cow::Borrowed("plain")));
        for malformed in ["%", "%2", "%zz", "%+1", "a%2", "%C3", "%ff", "%c3+", "%é"] {
            assert!(matches!(decode(malformed), Err(Error::MalformedForm)), "{malformed:?}");
        }
    }

    #[test]
    fn pairs_of_a_form() {
        assert!(pairs("a=b&c=d=e&&f&=g").eq([("a", "b"), ("c", "d=e"), ("f", ""), ("", "g")]));
        assert!(pairs("").eq([]));
        assert_eq!((count(b""), count(b"a=b"), count(b"a&b&")), (1, 1, 3));
    }

    proptest! {
        #[test]
        fn decodes_what_a_peer_encodes(name in ".{0,20}", value in ".{0,40}") {
            let form = form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            let (n, v) = pairs(&form).next().unwrap();
            prop_assert_eq!(&*decode(n).unwrap(), name.as_str());
            prop_assert_eq!(&*decode(v).unwrap(), value.as_str());
        }

        #[cfg(feature = "remote")]
        #[test]
        fn decodes_what_it_encodes_in_the_room_that_it_asks_for(text in ".{0,40}") {
            let mut encoded = String::with_capacity(3 * text.len());
            let at = encoded.as_ptr();
            encode(&text, &mut encoded);
            prop_assert_eq!(encoded.as_ptr(), at);
            prop_assert_eq!(&*decode(&encoded).unwrap(), text.as_str());
        }

        #[test]
        fn agrees_with_a_peer_on_what_it_accepts(form in "([a-z%&=+é]|%[0-9a-fA-F]{2}){0,40}") {
            for (ours, theirs) in pairs(&form).zip(form_urlencoded::parse(form.as_bytes())) {
                if let (Ok(name), Ok(value)) = (decode(ours.0), decode(ours.1)) {
                    prop_assert_eq!((&*name, &*value), (&*theirs.0, &*theirs.1));
                }
            }
        }
    }
}
