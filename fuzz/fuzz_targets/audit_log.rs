//! Audit logs. Nothing is one that nobody with the key has written, and a good one with a change in it is none. The first line
//! changes a good one: `AT=BYTES` stand there in place of as many others, `AT+BYTES` are put there, `AT-COUNT` are taken out, and
//! `AT<` cuts it off. The other lines become a log without a key: each gets the hash that it needs, and `PREV` is that of the
//! line before.
#![no_main]

use std::{env, fs, path::PathBuf, process, sync::LazyLock};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use client_credentials::{
    AuditHead, AuditKey, AuditLog, AuditLogError, Request, handle_request, handle_token_request, verify_audit_log,
};
use client_credentials_fuzz::{Issuer, Log, bounded, clients, done, endpoints, now, serve};
use libfuzzer_sys::fuzz_target;
use ring::digest::{SHA256, digest};

fn key() -> AuditKey {
    AuditKey::new(&[7; 32]).unwrap()
}

/// Good ones, with a key and without.
static GOOD: LazyLock<[(Option<AuditKey>, Vec<u8>); 2]> = LazyLock::new(|| {
    [Some(key()), None].map(|key| {
        let log = Log::new(key.clone());
        let server = serve(Issuer::Opaque, clients().clients()).with_audit_sink(log.sink());
        let post = Request::new("POST", now()).header("Content-Type", b"application/x-www-form-urlencoded");
        done(handle_token_request(&server, &Request::new("GET", now())));
        done(handle_token_request(
            &server,
            &post.body(b"grant_type=client_credentials&client_id=post&client_secret=x"),
        ));
        done(handle_request(&server, endpoints(), &Request::new("PUT", now()).path("/client/\u{1}\"é/x")));
        log.check(&[]);
        (key, log.bytes())
    })
});

fuzz_target!(|input: &[u8]| {
    LazyLock::force(&GOOD);
    any(input);
    if let Ok(text) = str::from_utf8(input) {
        let (edit, lines) = text.split_once('\n').unwrap_or((text, ""));
        GOOD.iter().for_each(|(key, good)| changed(edit, key.as_ref(), good));
        hashed(lines);
    }
});

fn any(log: &[u8]) {
    let forged = bounded(log.len(), || verify_audit_log(log, Some(&key()), None));
    assert!(!forged.is_ok_and(|head| head.count() > 0), "forged");
    if let Ok(head) = bounded(log.len(), || verify_audit_log(log, None, None)) {
        kept(log, None, head);
    }
}

/// What a head that was kept says of a good log.
fn kept(log: &[u8], key: Option<&AuditKey>, head: AuditHead) {
    assert_eq!(log.iter().filter(|b| **b == b'\n').count() as u64, head.count());
    assert_eq!(verify_audit_log(log, key, Some(head)).unwrap(), head);
    let (count, hash) = (head.count(), head.to_string());
    let (_, hash) = hash.split_once(':').unwrap();
    let later: AuditHead = format!("{}:{hash}", count + 1).parse().unwrap();
    assert!(matches!(verify_audit_log(log, key, Some(later)), Err(AuditLogError::CutOff { .. })));
    let another: AuditHead = format!("{count}:{}", BASE64_URL_SAFE_NO_PAD.encode([7; 32])).parse().unwrap();
    assert!(count == 0 || matches!(verify_audit_log(log, key, Some(another)), Err(AuditLogError::Another(_))));
}

fn changed(edit: &str, key: Option<&AuditKey>, good: &[u8]) {
    let Some(log) = edited(good, edit) else { return };
    let read = bounded(log.len(), || verify_audit_log(&*log, key, None));
    if let Ok(head) = &read {
        // Whole lines from its end can be missing, which only somebody sees who has kept a head.
        assert!(good.starts_with(&log), "changed");
        kept(&log, key, *head);
    }
    opened(&log, key, read.ok());
}

fn edited(good: &[u8], edit: &str) -> Option<Vec<u8>> {
    let mark = edit.find(|c: char| !c.is_ascii_digit())?;
    let (at, change) = edit.split_at(mark);
    let at = at.parse::<usize>().ok()? % (good.len() + 1);
    let (before, after) = good.split_at(at);
    let without = |count: usize| after.get(count..).unwrap_or_default();
    Some(match change.split_at_checked(1)? {
        ("=", bytes) => [before, bytes.as_bytes(), without(bytes.len())].concat(),
        ("+", bytes) => [before, bytes.as_bytes(), after].concat(),
        ("-", count) => [before, without(count.parse().ok()?)].concat(),
        ("<", _) => before.to_vec(),
        _ => return None,
    })
}

/// A log in a file goes on after its last line, if that is one, or can be mended until it is.
fn opened(log: &[u8], key: Option<&AuditKey>, head: Option<AuditHead>) {
    static PATH: LazyLock<PathBuf> =
        LazyLock::new(|| env::temp_dir().join(format!("client-credentials-fuzz-{}", process::id())));
    fs::write(&*PATH, log).unwrap();
    let opened = match AuditLog::open(&*PATH, key.cloned()) {
        Err(AuditLogError::Torn(_)) => AuditLog::repair(&*PATH).and_then(|torn| {
            assert!(torn > 0 && fs::metadata(&*PATH)?.len() + torn == log.len() as u64);
            let mended = AuditLog::open(&*PATH, key.cloned());
            assert!(!matches!(mended, Err(AuditLogError::Torn(_))));
            mended
        }),
        opened => opened,
    };
    assert!(head.is_none_or(|head| opened.as_ref().unwrap().head() == head));
    if let Ok(opened) = opened {
        let count = opened.head().count();
        let server = serve(Issuer::Opaque, []).with_audit_sink(opened);
        done(handle_token_request(&server, &Request::new("GET", now())));
        let log = fs::read(&*PATH).unwrap();
        let read = verify_audit_log(&*log, key, None);
        assert!(head.is_none() || read.unwrap().count() == count + 1);
    }
    fs::remove_file(&*PATH).unwrap();
}

/// Without a key anybody can write a log; it has lines of one form all the same.
fn hashed(lines: &str) {
    let (mut log, mut is_right) = (String::new(), true);
    let mut before = BASE64_URL_SAFE_NO_PAD.encode([0; 32]);
    for (line, seq) in lines.split('\n').zip(1..=8) {
        let hashed = line.replace("PREV", &before);
        let hash = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, hashed.as_bytes()));
        let line = format!("{hashed},\"hash\":\"{hash}\"}}\n");
        is_right &= hashed.starts_with(&format!("{{\"seq\":{seq},\"prev\":\"{before}\",")) && line.len() <= 8193;
        log += &line;
        before = hash;
    }
    let read = bounded(log.len(), || verify_audit_log(log.as_bytes(), None, None));
    assert_eq!(read.is_ok(), is_right, "{read:?}");
    if let Ok(head) = read {
        assert_eq!(head.to_string(), format!("{}:{before}", head.count()));
        assert_eq!(head.to_string().parse::<AuditHead>(), Ok(head));
        kept(log.as_bytes(), None, head);
    }
}
