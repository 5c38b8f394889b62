//! Paths of URLs.

/// Whether it is a path of RFC 3986 §3.3 that begins with `/`.
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') && is_encoded(text) && text.bytes().all(|b| b == b'/' || b == b'%' || is_pchar(b))
}

/// A `pchar`, except for what is percent-encoded.
fn is_pchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b)
}

/// Whether each `%` has its two digits.
fn is_encoded(text: &str) -> bool {
    let is_hex = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    text.split('%').skip(1).all(is_hex)
}
