//! A log that shows whether somebody has changed it.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    AuditEvent, AuditSink,
    chain::{AuditHead, AuditKey, LINE_LEN},
    verify::AuditLogError,
};
use crate::json;

/// How much of what comes from a caller stands in a line.
const TEXT_LEN: usize = 256;

/// How much of a scope does, none of whose characters has to be escaped (RFC 6749 §3.3).
const SCOPE_LEN: usize = 2048;

/// How many bytes wait for a writer that does not work. What comes on top is lost, and the next line says how many events.
const WAITING_LEN: usize = 1 << 20;

/// A sink that writes each event as a line of JSON with the hash of the line before it, so that [`verify_audit_log`] sees whether
/// somebody has changed, moved, added or taken away a line.
///
/// A line has the members of the [event](AuditEvent), and before them `seq`, which counts from 1, and `prev`, the hash of the line
/// before (of the first: 32 zero bytes), and after them `hash`: HMAC-SHA256 with the key, or without one SHA-256, of the line up to
/// the comma before it, in base64url. No line is longer than 8 KiB: texts are cut after 256 bytes, and
/// scopes after 2,048, with `…` at the end.
///
/// **Safe when?** A line is with the operating system when its request is answered, so it outlives a crash of the process, but
/// not of the machine. [`sync`](AuditLog::sync) puts it onto the disk, and [`with_each_synced`](AuditLog::with_each_synced) does
/// so for each line: some milliseconds of each request that is recorded.
///
/// **A disk that is full** loses no event at once: lines wait in memory, up to 1 MiB, and are tried again with the next event, or by
/// [`flush`](Self::flush). [`failure`](Self::failure) says so. Of what is lost on top of that, the next line says how many events
/// there were, as `lost`.
///
/// One process writes one log: two would each continue the chain from the same line.
///
/// **A file that grows too long** is followed by another: end the log, keep its [`head`](Self::head), and go on in a new file by
/// [`continued`](Self::continued). The files are one log, which `verify_audit_log` takes one after the other
/// ([`Read::chain`](std::io::Read::chain), or `cat`); a later one by itself does not begin where a log begins. Do not let another
/// program rename the file: the log would go on in it.
///
/// [`verify_audit_log`]: crate::verify_audit_log
pub struct AuditLog<W = File> {
    key: Option<AuditKey>,
    synced: Option<fn(&mut W) -> io::Result<()>>,
    state: Mutex<State<W>>,
}

struct State<W> {
    writer: W,
    head: AuditHead,
    /// The bytes that are not written yet, which may begin in the middle of a line.
    waiting: VecDeque<u8>,
    lost: u64,
    failure: Option<io::ErrorKind>,
}

impl AuditLog<File> {
    /// Opens the log in a file, or begins one, which is its owner's alone, and continues it after its last line.
    ///
    /// Only that line is looked at: [`verify_audit_log`](crate::verify_audit_log) looks at all of them.
    ///
    /// # Errors
    /// When the last line has no end, which [`repair`](Self::repair) helps; when it is no line of a log with this key; or when the file
    /// cannot be read and written.
    pub fn open(path: impl AsRef<Path>, key: impl Into<Option<AuditKey>>) -> Result<Self, AuditLogError> {
        let key = key.into();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let end = end_of(&mut file)?;
        let head = match last_line(&end) {
            LastLine::None => AuditHead::default(),
            LastLine::Whole(line) => AuditHead::of_line(line, key.as_ref()).ok_or(AuditLogError::NoLog)?.0,
            LastLine::Torn(torn) => {
                let before = end.get(..end.len().saturating_sub(torn.len())).unwrap_or_default();
                let whole = match last_line(before) {
                    LastLine::Whole(line) => AuditHead::of_line(line, key.as_ref()).map_or(0, |(head, _)| head.count),
                    LastLine::None | LastLine::Torn(_) => 0,
                };
                return Err(AuditLogError::Torn(whole + 1));
            }
        };
        Ok(Self::continued(file, key, head))
    }

    /// Takes a last line without an end off a file, as a crash in the middle of a write leaves it, and says how many bytes it had: 0 if
    /// there was nothing to repair. The event is lost, and the log is whole again.
    ///
    /// # Errors
    /// When it cannot be read or written, or when what has no end is longer than a line.
    pub fn repair(path: impl AsRef<Path>) -> Result<u64, AuditLogError> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let end = end_of(&mut file)?;
        let LastLine::Torn(torn) = last_line(&end) else { return Ok(0) };
        if torn.len() > LINE_LEN {
            return Err(AuditLogError::NoLog);
        }
        let torn = torn.len() as u64;
        file.set_len(file.metadata()?.len().saturating_sub(torn))?;
        file.sync_all()?;
        Ok(torn)
    }

    /// Puts each line onto the disk before its request is answered.
    #[must_use]
    pub fn with_each_synced(self) -> Self {
        Self { synced: Some(|file| file.sync_data()), ..self }
    }

    /// Writes what waits, and puts all of it onto the disk.
    ///
    /// # Errors
    /// When that fails.
    pub fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        state.write()?;
        state.writer.sync_data()
    }
}

impl<W: Write + Send> AuditLog<W> {
    /// A log that begins here.
    pub fn new(writer: W, key: impl Into<Option<AuditKey>>) -> Self {
        Self::continued(writer, key, AuditHead::default())
    }

    /// A log that goes on after this head, wherever that was written.
    pub fn continued(writer: W, key: impl Into<Option<AuditKey>>, head: AuditHead) -> Self {
        let state = State { writer, head, waiting: VecDeque::new(), lost: 0, failure: None };
        Self { key: key.into(), synced: None, state: Mutex::new(state) }
    }

    /// How far it has come, with what still waits to be written.
    pub fn head(&self) -> AuditHead {
        self.state().head
    }

    /// What kept the last line from being written, if something did. Look at it from time to time: a request does not fail
    /// for it.
    pub fn failure(&self) -> Option<io::ErrorKind> {
        self.state().failure
    }

    /// How many events were lost since the last line, because too much was waiting already.
    pub fn lost(&self) -> u64 {
        self.state().lost
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// When that fails. It waits still.
    pub fn flush(&self) -> io::Result<()> {
        self.state().write()
    }
}

impl<W> AuditLog<W> {
    fn state(&self) -> MutexGuard<'_, State<W>> {
        // What a panic of a writer leaves behind is written already, or waits.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write> State<W> {
    fn write(&mut self) -> io::Result<()> {
        let written = self.write_waiting();
        self.failure = written.as_ref().err().map(io::Error::kind);
        written
    }

    /// Not `write_all`, after which nobody knows how much is written.
    fn write_waiting(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let (bytes, _) = self.waiting.as_slices();
            match self.writer.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.waiting.drain(..written.min(bytes.len()))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.writer.flush()
    }
}

impl<W: Write + Send> AuditSink for AuditLog<W> {
    fn record(&self, event: &AuditEvent<'_>) {
        let [actor, client_id, target] =
            [event.actor, event.client_id, event.target].map(|text| text.map(|text| cut(text, TEXT_LEN)));
        let scope = event.scope.map(|scope| cut(scope, if needs_no_escape(scope) { SCOPE_LEN } else { TEXT_LEN }));
        let event = AuditEvent {
            actor: actor.as_deref(),
            client_id: client_id.as_deref(),
            target: target.as_deref(),
            scope: scope.as_deref(),
            ..*event
        };
        let event = json::text(&event);
        let mut state = self.state();
        let (line, head) = state.head.followed_by(&event, state.lost, self.key.as_ref());
        if state.waiting.len() + line.len() > WAITING_LEN {
            state.lost = state.lost.saturating_add(1);
            // Perhaps there is room now, for the next one.
            let _ = state.write();
            return;
        }
        (state.head, state.lost) = (head, 0);
        state.waiting.extend(line.as_bytes());
        let written = state.write();
        if let (Ok(()), Some(sync)) = (written, self.synced) {
            state.failure = sync(&mut state.writer).err().map(|error| error.kind());
        }
    }
}

impl<W> fmt::Debug for AuditLog<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("AuditLog").field("head", &state.head).field("failure", &state.failure).finish_non_exhaustive()
    }
}

/// A text of no more bytes than this.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    [text.split_at(end).0, "…"].concat().into()
}

/// Whether JSON takes no more bytes for it than it has.
fn needs_no_escape(text: &str) -> bool {
    !text.bytes().any(|b| b.is_ascii_control() || b"\"\\".contains(&b))
}

/// As much of the end of a file as two lines can take.
fn end_of(file: &mut File) -> io::Result<Vec<u8>> {
    let most = 2 * (LINE_LEN as u64 + 1);
    file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(most)))?;
    let mut end = Vec::new();
    file.take(most).read_to_end(&mut end)?;
    Ok(end)
}

enum LastLine<'a> {
    None,
    Whole(&'a [u8]),
    Torn(&'a [u8]),
}

fn last_line(end: &[u8]) -> LastLine<'_> {
    let after_line_end = |text: &'_ [u8]| text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    match end.strip_suffix(b"\n") {
        Some(text) => LastLine::Whole(text.get(after_line_end(text)..).unwrap_or_default()),
        None if end.is_empty() => LastLine::None,
        None => LastLine::Torn(end.get(after_line_end(end)..).unwrap_or_default()),
    }
}
