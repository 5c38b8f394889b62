//! Whether an audit log is as it was written.

use std::io::{self, BufRead, Read as _};

use super::chain::{AuditHead, AuditKey, LINE_LEN};

/// Reads an audit log that an [`AuditLog`](crate::AuditLog) has written with this key, or without one, and says how far it has come.
///
/// With a key, nobody without it can change a byte, or take away, move or add a line, so that this does not see it. Without one, it
/// sees what happened to a part of the log, but whoever can write into it can make a whole new one. Either way a log that ends too
/// early looks like one that has not come further: so keep a head elsewhere from time to time, and give it to be compared
/// as `kept`.
///
/// ```
/// use std::io::Cursor;
/// use client_credentials::{AuditAction, AuditKey, AuditLog, AuditLogError, AuthorizationServer, Config, MemoryStore, OpaqueIssuer,
///     Request, handle_token_request, now, verify_audit_log};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let key = AuditKey::new(&[7; 32])?; // 32 random bytes
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("audit.jsonl");
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// let server = server.with_audit_sink(AuditLog::open(&file, key.clone())?);
/// handle_token_request(&server, &Request::new("GET", now())).await;
///
/// let log = std::fs::read_to_string(&file)?;
/// assert_eq!(verify_audit_log(Cursor::new(&log), Some(&key), None)?.count(), 1);
/// let changed = log.replace("refused", "success");
/// assert!(matches!(verify_audit_log(Cursor::new(changed), Some(&key), None), Err(AuditLogError::Changed(1))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// At the first line that is not as it was written, or not in its place; when the log ends before `kept`, or is another one; or when
/// it cannot be read.
pub fn verify_audit_log(
    mut log: impl BufRead,
    key: Option<&AuditKey>,
    kept: Option<AuditHead>,
) -> Result<AuditHead, AuditLogError> {
    let (mut head, mut line) = (AuditHead::default(), Vec::new());
    loop {
        line.clear();
        // Not `read_until` alone, which would take a file without line ends into memory.
        log.by_ref().take(LINE_LEN as u64 + 1).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        let at = head.count + 1;
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(if line.len() > LINE_LEN { AuditLogError::Changed(at) } else { AuditLogError::Torn(at) });
        };
        let (next, before) = AuditHead::of_line(text, key).ok_or(AuditLogError::Changed(at))?;
        if (next.count, before) != (at, head.hash) {
            return Err(AuditLogError::OutOfPlace { line: at, seq: next.count });
        }
        head = next;
        if kept.is_some_and(|kept| kept.count == head.count && kept != head) {
            return Err(AuditLogError::Another(at));
        }
    }
    match kept {
        Some(kept) if kept.count > head.count => Err(AuditLogError::CutOff { lines: head.count, kept: kept.count }),
        _ => Ok(head),
    }
}

/// What is wrong with an audit log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// This line is not as it was written, or was written with another key or without one.
    #[error("line {0} is not as it was written, or was written with another key or without one")]
    Changed(u64),
    /// A line is not in its place: others before it are missing, or were added, or replaced.
    #[error("line {line} is the one that was number {seq}, and does not follow what stands before it")]
    OutOfPlace {
        /// Where it stands.
        line: u64,
        /// Which it was when it was written.
        seq: u64,
    },
    /// The last line has no end: it was cut off, or a crash came in the middle of it. [`AuditLog::repair`](crate::AuditLog::repair) takes it
    /// off.
    #[error(
        "line {0} has no end: it was cut off, or a crash came in the middle of it; `AuditLog::repair` takes it off"
    )]
    Torn(u64),
    /// There are fewer lines than there have been.
    #[error("there are {lines} lines, and there have been {kept}")]
    CutOff {
        /// How many there are.
        lines: u64,
        /// How many there have been.
        kept: u64,
    },
    /// At this line the log is not the one of which the head was kept.
    #[error("at line {0} it is not the log of which the head was kept")]
    Another(u64),
    /// The end of the file is no line of a log, or was written with another key or without one.
    #[error("the end of the file is no line of an audit log, or was written with another key or without one")]
    NoLog,
    /// It cannot be read or written.
    #[error("it cannot be read or written")]
    Io(#[from] io::Error),
}
