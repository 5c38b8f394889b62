//! The issuer identifier.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::path;

/// An issuer identifier (RFC 8414 §2), and where its parts end.
#[derive(Clone)]
pub(super) struct Issuer {
    text: String,
    /// How long scheme and authority are.
    origin: usize,
}

impl Issuer {
    /// `None` when it is none.
    pub(super) fn parse(text: String) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.find('/').map_or(rest, |at| &rest[..at]);
        let path = &rest[authority.len()..];
        let is_allowed = match scheme {
            "https" => is_host(host(authority)?),
            "http" => is_loopback(host(authority)?),
            _ => false,
        };
        let origin = text.len() - path.len();
        (is_allowed && (path.is_empty() || path::is_path(path))).then_some(())?;
        Some(Self { origin, text })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.text.starts_with("https:") { "https" } else { "http" }
    }

    /// Its scheme and authority.
    pub(super) fn origin(&self) -> &str {
        &self.text[..self.origin]
    }

    /// Its path, without a `/` at the end (RFC 8414 §3.1).
    pub(super) fn path(&self) -> &str {
        self.text[self.origin..].trim_end_matches('/')
    }
}

/// The host of an authority (RFC 3986 §3.2), once its port is one; userinfo has no place here.
fn host(authority: &str) -> Option<&str> {
    let at = authority.find(']').map_or(0, |at| at + 1);
    match authority[at..].find(':') {
        None => Some(authority),
        Some(colon) => {
            let (host, port) = authority.split_at(at + colon);
            let port = &port[1..];
            let is_port = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
            is_port.then_some(host)
        }
    }
}

/// A name, or an address.
fn is_host(host: &str) -> bool {
    let is_name = || host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    !host.is_empty() && (ipv6(host).is_some() || is_name())
}

fn is_loopback(host: &str) -> bool {
    let is_ipv4 = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    host == "localhost" || is_ipv4() || ipv6(host).is_some_and(|address| address.is_loopback())
}

/// An IPv6 address, which stands in brackets.
fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}
