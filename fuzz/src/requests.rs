//! Requests as people write them, one after the other on one server:
//!
//! ```text
//! POST /token?query jwt
//! Authorization: {basic}
//! Content-Type: application/x-www-form-urlencoded
//!
//! grant_type=client_credentials&scope=read
//! ====
//! GET /nginx/introspect/openidconnect
//! Authorization: Bearer {last}
//! ```
//!
//! After the path the first line says which kind of tokens the server has (`opaque` unless said, `jwt`, `sealed`), and then whether it
//! is `limited`, so that few failures make wait, and few tokens are too many. Two fields say what does not stand in a request:
//! `Source`, from which address it comes, and `After`, how many seconds later than the others. What stands in braces is
//! replaced, so that the right secret and good tokens come in too:
//!
//! | marker | stands for |
//! | --- | --- |
//! | `{secret}` | the secret of every client |
//! | `{basic}`, `{api}`, `{superuser}`, … | `Basic …` with the credentials of this client |
//! | `{token:basic}`, … | a token of this client |
//! | `{last}` | the secret or token that the last reply has shown |
//! | `{etag}`, `{id}` | what stood in an earlier reply as `ETag`, and at the end of `Location` or as the first id of a list |
//! | `{long}` | four kilobytes |

use std::{str, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use client_credentials::{AuditKey, Endpoint, Reply, Request, handle_request, handle_token_request};
use serde_json::Value;

use crate::{Issuer, Log, SECRET, Server, bounded, clients, done, endpoints, now, serve, server::serve_limited};

/// The most requests of one input.
const MAX_REQUESTS: usize = 8;

/// What the requests so far have brought about.
#[derive(Default)]
struct Seen {
    last: String,
    etag: String,
    id: String,
    /// What no refusal may say.
    secrets: Vec<String>,
}

/// Asks a server all that stands in `input`, at one of these paths (any, where there are none), and looks at each reply.
/// `statuses` are those that there can be.
pub fn run(input: &[u8], paths: &[&str], statuses: &[u16]) {
    let Ok(input) = str::from_utf8(input) else { return binary(input, paths, statuses) };
    let mut words = input.lines().next().unwrap_or_default().split(' ').skip(2).peekable();
    let kind = match words.next_if(|word| ["opaque", "jwt", "sealed"].contains(word)) {
        Some("jwt") => Issuer::Jwt,
        Some("sealed") => Issuer::Sealed,
        _ => Issuer::Opaque,
    };
    let is_limited = words.next() == Some("limited");
    let server = if is_limited { serve_limited(kind) } else { serve(kind, clients().clients()) };
    let statuses = &[statuses, if is_limited { &[429] } else { &[] }].concat();
    let log = Log::new(AuditKey::new(&[7; 32]).ok());
    let server = server.with_audit_sink(log.sink());
    let mut seen = Seen { secrets: vec![SECRET.into()], ..Seen::default() };
    for request in input.split("\n====\n").take(MAX_REQUESTS) {
        let request = fill(request, &server, &mut seen);
        let (head, body) = request.split_once("\n\n").unwrap_or((&request, ""));
        ask(&server, head, body.as_bytes(), paths, statuses, &mut seen);
    }
    log.check(&seen.secrets);
}

/// A body of any bytes, with a head that gets it looked at.
fn binary(body: &[u8], paths: &[&str], statuses: &[u16]) {
    let path = paths.first().copied().unwrap_or("/token");
    let log = Log::new(AuditKey::new(&[7; 32]).ok());
    let server = serve(Issuer::Opaque, clients().clients()).with_audit_sink(log.sink());
    let mut seen = Seen { secrets: vec![SECRET.into()], ..Seen::default() };
    let head = fill(
        &format!("POST {path}\nAuthorization: {{basic}}\nContent-Type: application/x-www-form-urlencoded"),
        &server,
        &mut seen,
    );
    ask(&server, &head, body, paths, statuses, &mut seen);
    // And as a header, as far as one can hold it.
    let request = Request::new("POST", now()).path(path).header("Authorization", body).header("If-Match", body);
    let endpoints = endpoints();
    let reply = bounded(body.len(), || done(handle_request(&server, endpoints, &request)));
    check("POST", &reply, statuses, &seen, "");
    log.check(&seen.secrets);
}

fn ask(server: &Server, head: &str, body: &[u8], paths: &[&str], statuses: &[u16], seen: &mut Seen) {
    let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
    let mut line = line.split(' ');
    let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let is_one = paths.is_empty() || paths.contains(&path);
    let path = if is_one { path } else { paths.first().copied().unwrap_or_default() };
    let fields = fields.lines().filter_map(|field| field.split_once(": "));
    let said = |known: &str| fields.clone().find(|(name, _)| *name == known).map(|(_, value)| value);
    let source = said("Source").and_then(|address| address.parse().ok());
    let after = said("After").and_then(|seconds| seconds.parse::<u32>().ok()).unwrap_or_default();
    let received_at = now() + Duration::from_secs(after.into());
    let request = Request::new(method, received_at).path(path).query(query).source(source).body(body);
    let request = request.headers(fields.map(|(name, value)| (name, value.as_bytes())));
    let endpoints = endpoints();
    let reply = bounded(head.len() + body.len(), || done(handle_request(server, endpoints, &request)));
    // The scope that a gateway requires is in its query, and in the challenge too (RFC 6750 §3).
    let said_back = query.filter(|_| endpoints.find(path) == Some(Endpoint::Gateway)).unwrap_or_default();
    check(method, &reply, statuses, seen, said_back);
    remember(&reply, seen);
}

/// What must hold of every reply, whatever was asked.
fn check(method: &str, reply: &Reply, statuses: &[u16], seen: &Seen, said_back: &str) {
    let status = reply.status();
    assert!(statuses.contains(&status), "{reply:?}");
    for (name, value) in reply.headers() {
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{name:?}");
        // `field-value` of RFC 9110 §5.5, and nothing outside of ASCII.
        assert!(value.bytes().all(|b| matches!(b, 0x20..=0x7E)), "{name}: {value:?}");
        assert_eq!(value.trim(), value, "{name}");
        let number = |text: &str| text.parse::<u64>().unwrap();
        match name {
            "Retry-After" => assert!(matches!(status, 429 | 503) && (1..=86_400).contains(&number(value)), "{value}"),
            // draft-ietf-httpapi-ratelimit-headers-10, of a server that is limited.
            "RateLimit" => {
                let (of, left) = value.split_once(";r=").unwrap();
                let (remaining, resets_in) = left.split_once(";t=").unwrap();
                let is_quota = of == "\"client\"" || of.starts_with("\"tenant:");
                assert!(is_quota && statuses.contains(&429), "{value}");
                assert!(number(remaining) <= 3 && (1..=86_400).contains(&number(resets_in)), "{value}");
                assert!(matches!(status, 200 | 429) && (status == 429 || number(remaining) < 3), "{reply:?}");
            }
            _ => {}
        }
    }
    assert_eq!(status == 429, reply.headers().any(|(name, _)| name == "Retry-After"), "{reply:?}");
    let body = str::from_utf8(reply.body()).unwrap();
    if body.is_empty() {
        assert!(status == 304 || method == "HEAD", "{reply:?}");
    } else {
        let json: Value = serde_json::from_str(body).unwrap();
        assert!(json.is_object(), "{body}");
        let is_refusal = status >= 400 && json.as_object().is_some_and(|json| !json.is_empty());
        assert_eq!(is_refusal, json["error"].is_string(), "{body}");
    }
    assert_eq!(status >= 400, reply.cause().is_some(), "{reply:?}");
    if status >= 400 {
        let headers = reply.headers().map(|(_, value)| value);
        let said: Vec<_> = headers.chain([body]).collect();
        let cause = reply.cause().map(|cause| format!("{cause} {cause:?}")).unwrap_or_default();
        for secret in seen.secrets.iter().filter(|secret| !said_back.contains(secret.as_str())) {
            assert!(!said.iter().any(|said| said.contains(secret.as_str())), "it says a secret: {body}");
            assert!(!cause.contains(secret.as_str()), "the cause says a secret: {cause}");
        }
    }
}

fn remember(reply: &Reply, seen: &mut Seen) {
    let json: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
    for member in ["access_token", "client_secret", "token"] {
        if let Some(secret) = json[member].as_str().filter(|secret| secret.len() > 20) {
            secret.clone_into(&mut seen.last);
            seen.secrets.push(secret.into());
        }
    }
    if let Some(id) = json["data"][0]["_id"].as_str() {
        id.clone_into(&mut seen.id);
    }
    for (name, value) in reply.headers() {
        match name {
            "ETag" => value.clone_into(&mut seen.etag),
            "Location" => value.rsplit('/').next().unwrap_or_default().clone_into(&mut seen.id),
            _ => {}
        }
    }
}

/// The text with what its markers stand for.
fn fill(text: &str, server: &Server, seen: &mut Seen) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    let mut left = 8;
    while let Some((before, marked)) = rest.split_once('{') {
        filled.push_str(before);
        // JSON has braces too, and most of them are no markers.
        match marked.split_once('}').and_then(|(name, after)| Some((value(name, server, seen)?, after))) {
            Some((value, after)) if left > 0 => {
                left -= 1;
                filled.push_str(&value);
                rest = after;
            }
            _ => {
                filled.push('{');
                rest = marked;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn value(name: &str, server: &Server, seen: &mut Seen) -> Option<String> {
    let known = |id: &str| clients().clients().iter().any(|client| client.client_id().as_str() == id);
    match name {
        "secret" => Some(SECRET.into()),
        "last" => Some(seen.last.clone()),
        "etag" => Some(seen.etag.clone()),
        "id" => Some(seen.id.clone()),
        "long" => Some("x".repeat(4096)),
        id if known(id) => Some(credentials(id)),
        _ => {
            let id = name.strip_prefix("token:").filter(|id| known(id))?;
            let token = mint(server, id)?;
            seen.secrets.push(token.clone());
            Some(token)
        }
    }
}

/// RFC 6749 §2.3.1. Nothing in these has to be encoded.
fn credentials(id: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{SECRET}")))
}

/// A token of this client, if the requests so far have not taken it the right to one.
fn mint(server: &Server, id: &str) -> Option<String> {
    let (form, authorization);
    let request = Request::new("POST", now()).header("Content-Type", b"application/x-www-form-urlencoded");
    let request = if id == "post" {
        form = format!("grant_type=client_credentials&client_id={id}&client_secret={SECRET}");
        request
    } else {
        form = "grant_type=client_credentials".into();
        authorization = credentials(id);
        request.header("Authorization", authorization.as_bytes())
    };
    let reply = done(handle_token_request(server, &request.body(form.as_bytes())));
    let json: Value = serde_json::from_slice(reply.body()).unwrap();
    json["access_token"].as_str().map(String::from)
}
