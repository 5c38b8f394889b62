//! `Authorization: Basic` as RFC 6749 §2.3.1 uses it: RFC 7617, with both halves form-encoded first.

use base64_simd::STANDARD_NO_PAD;
use memchr::memchr;
use zeroize::Zeroizing;

use super::is_client_secret;
use crate::{Error, client::is_client_id, form};

/// Client identifier and secret in one buffer, with the colon between them at `colon`.
pub(crate) struct BasicCredentials {
    decoded: Zeroizing<String>,
    colon: usize,
}

impl Drop for BasicCredentials {
    fn drop(&mut self) {
        // Its memory is zeroed next, which takes long where it holds text: that goes byte by byte, what is spare at once.
        self.decoded.clear();
    }
}

impl BasicCredentials {
    /// Parses the value of an `Authorization` header.
    pub(super) fn parse(header: &[u8]) -> Result<Self, Error> {
        let mut parts = header.trim_ascii().splitn(2, |b| *b == b' ');
        if !parts.next().unwrap_or_default().eq_ignore_ascii_case(b"basic") {
            return Err(Error::UnsupportedScheme);
        }
        let token68 = parts.next().unwrap_or_default().trim_ascii();
        Self::decode(token68).ok_or_else(|| flaw(token68))
    }

    fn decode(token68: &[u8]) -> Option<Self> {
        let mut bytes = undo_base64(token68)?;
        let mut colon = memchr(b':', &bytes)?;
        if !form::is_plain(&bytes) {
            colon = decode_halves(&mut bytes, colon)?;
        }
        let decoded = Zeroizing::new(form::into_text(bytes)?);
        let (client_id, client_secret) = halves(&decoded, colon);
        (is_client_id(client_id) && is_client_secret(client_secret)).then_some(Self { decoded, colon })
    }

    pub(super) fn client_id(&self) -> &str {
        halves(&self.decoded, self.colon).0
    }

    pub(super) fn client_secret(&self) -> &str {
        halves(&self.decoded, self.colon).1
    }
}

/// What is before the colon and what comes after it.
fn halves(decoded: &str, colon: usize) -> (&str, &str) {
    (decoded.get(..colon).unwrap_or_default(), decoded.get(colon + 1..).unwrap_or_default())
}

/// Form-decodes both halves where they are, since decoding never lengthens, and says where the colon between them is then.
fn decode_halves(bytes: &mut Vec<u8>, colon: usize) -> Option<usize> {
    let (id, secret) = bytes.split_at_mut(colon);
    let id_len = form::decode_in_place(id)?;
    let secret_len = form::decode_in_place(secret.get_mut(1..)?)?;
    bytes.copy_within(colon..=colon + secret_len, id_len);
    bytes.truncate(id_len + 1 + secret_len);
    Some(id_len)
}

/// RFC 4648 §4, with its padding, some of it or none.
fn undo_base64(token68: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (text, padding) = match token68 {
        [text @ .., b'=', b'='] => (text, 2),
        [text @ .., b'='] => (text, 1),
        text => (text, 0),
    };
    if padding > text.len().next_multiple_of(4) - text.len() {
        return None;
    }
    // With its final capacity from the start, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 4 * 3 + 3));
    STANDARD_NO_PAD.decode_append(text, &mut *bytes).ok()?;
    Some(bytes)
}

/// The secret in the value of an `Authorization` header as it is before it is form-decoded.
pub(super) fn encoded_secret(header: &[u8]) -> Option<Zeroizing<String>> {
    let token68 = header.trim_ascii().splitn(2, |b| *b == b' ').nth(1)?;
    let mut bytes = undo_base64(token68.trim_ascii())?;
    let colon = memchr(b':', &bytes)?;
    bytes.drain(..=colon);
    form::into_text(bytes).map(Zeroizing::new)
}

/// Which of the usual mistakes makes credentials malformed; they are all one to the client.
fn flaw(token68: &[u8]) -> Error {
    let Some(mut bytes) = undo_base64(token68).filter(|bytes| bytes.contains(&b':')) else {
        return Error::MalformedCredentials;
    };
    match form::decode_in_place(&mut bytes) {
        None => Error::BarePercent,
        Some(len) => {
            bytes.truncate(len);
            match std::str::from_utf8(&bytes) {
                Err(_) => Error::CredentialsNotUtf8,
                Ok(text) if text.ends_with(['\n', '\r']) => Error::LineEndInCredentials,
                Ok(_) => Error::MalformedCredentials,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine as _,
        engine::general_purpose::STANDARD_PAD_INDIFFERENT,
        prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
    };
    use proptest::prelude::*;

    use super::*;

    fn parse(header: impl AsRef<[u8]>) -> Result<(String, String), Error> {
        BasicCredentials::parse(header.as_ref()).map(|basic| (basic.client_id().into(), basic.client_secret().into()))
    }

    fn of(text: impl AsRef<[u8]>) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    #[test]
    fn rfc6749_2_3_1_basic() {
        // The example of RFC 6749 §2.3.1.
        assert_eq!(
            parse("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3").unwrap(),
            ("s6BhdRkqt3".into(), "7Fjfp0ZBr1KtDRbnfVdmIw".into())
        );
        for (text, id, secret) in [
            ("a:b", "a", "b"),
            ("a:b:c", "a", "b:c"),
            ("a%3Ab:c%2Bd+e%25", "a:b", "c+d e%"),
            ("a:%C3%A9%E2%82%AC", "a", "é€"),
            ("a:", "a", ""),
        ] {
            assert_eq!(parse(of(text)).unwrap(), (id.into(), secret.into()), "{text}");
        }
        for scheme in ["basic", "BASIC", "bAsIc"] {
            assert!(parse(format!("{scheme}   YTpi ")).is_ok(), "{scheme}");
        }
        assert!(parse("Basic YTpiYg").is_ok(), "without padding");
    }

    #[test]
    fn rfc4648_3_3_each_byte_at_each_place_is_what_it_is_for_a_peer() {
        let good = BASE64_STANDARD.encode([0xA5; 60]).into_bytes();
        for place in 0..good.len() {
            for byte in 0..=u8::MAX {
                let mut text = good.clone();
                text[place] = byte;
                let peer = STANDARD_PAD_INDIFFERENT.decode(&text).ok();
                assert_eq!(undo_base64(&text).map(|bytes| bytes.to_vec()), peer, "{place} {byte}");
                let peer = BASE64_URL_SAFE_NO_PAD.decode(&text).ok();
                assert_eq!(base64_simd::URL_SAFE_NO_PAD.decode_to_vec(&text).ok(), peer, "{place} {byte}");
            }
        }
    }

    #[test]
    fn rfc7617_2_malformed_basic() {
        for text in [
            &b""[..],
            b"ab",
            b":",
            b":b",
            b"a:\xff",
            b"\xff:b",
            b"a\n:b",
            b"a:%00",
            b"a:%7F",
            b"a%zz:b",
            b"a:b%",
            b"%C3:%A9",
            b"%C3%A9:b",
            b"\xc3:\xa9",
        ] {
            let told = parse(of(text)).unwrap_err().response();
            assert_eq!(told, Error::MalformedCredentials.response(), "{text:?}");
        }
        for header in ["Basic", "Basic ", "Basic !", "Basic YTpi YTpi", "Basic YTp", "Basic\u{a0}YTpi"] {
            assert!(parse(header).is_err(), "{header:?}");
        }
        for header in ["", " ", "Bearer YTpi", "Basicx YTpi", "Basic\tYTpi", "Digest a=b"] {
            assert!(matches!(parse(header), Err(Error::UnsupportedScheme)), "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn rfc4648_base64_is_what_it_is_for_a_peer(
            text in "([A-Za-z0-9+/]{4}){0,30}[A-Za-z0-9+/]{0,3}={0,3}|[A-Za-z0-9+/=_-]{0,40}",
            bytes in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let padded = BASE64_STANDARD.encode(&bytes);
            for text in [text.as_bytes(), &bytes, padded.as_bytes()] {
                let peer = STANDARD_PAD_INDIFFERENT.decode(text).ok();
                prop_assert_eq!(undo_base64(text).map(|bytes| bytes.to_vec()), peer);
            }
        }

        #[test]
        fn decodes_what_a_client_encodes(id in "[ -~]{1,20}", secret in "[^\\p{Cc}]{0,40}") {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let header = of(format!("{}:{}", encode(&id), encode(&secret)));
            prop_assert_eq!(parse(header).unwrap(), (id, secret));
        }

        #[test]
        fn any_bytes_are_credentials_or_refused(header in prop::collection::vec(any::<u8>(), 0..60), text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _: Result<_, Error> = parse(header);
            if let Ok((id, secret)) = parse(of(text)) {
                prop_assert!(is_client_id(&id) && is_client_secret(&secret));
            }
        }
    }
}
