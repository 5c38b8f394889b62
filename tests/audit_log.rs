//! The log of events that shows whether somebody has changed it.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use client_credentials::{
    AuditHead, AuditKey, AuditLog, AuditLogError, AuditSink, AuthorizationServer, ClientId, Config, MemoryStore,
    OpaqueIssuer,
    time::{Duration, OffsetDateTime},
    verify_audit_log,
};

fn key() -> AuditKey {
    AuditKey::new(&[7; 32]).unwrap()
}

/// As many events as there are names, each about one of them.
async fn record(log: impl AuditSink + 'static, names: impl IntoIterator<Item = String>) {
    let store = MemoryStore::default();
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let server = server.with_audit_sink(log);
    for (seconds, name) in names.into_iter().enumerate() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds.try_into().unwrap());
        drop(server.administrator(&name, at).delete_client(&ClientId::parse("billing").unwrap()).await);
    }
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|number| format!("admin-{number}"))
}

async fn recorded(path: &Path, key: Option<AuditKey>, count: usize) -> String {
    record(AuditLog::open(path, key).unwrap(), names(count)).await;
    fs::read_to_string(path).unwrap()
}

fn verify(log: &[u8], key: Option<&AuditKey>) -> Result<AuditHead, AuditLogError> {
    verify_audit_log(log, key, None)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("audit.jsonl")
    }
}

#[tokio::test]
async fn a_line_is_the_event_and_its_place_in_the_chain() {
    for key in [None, Some(key())] {
        let folder = Folder::new();
        let text = recorded(&folder.log(), key.clone(), 3).await;
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["prev"], "A".repeat(43));
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(
                (line["seq"].as_u64(), line["actor"].as_str()),
                (Some(number as u64 + 1), Some(&*format!("admin-{}", number + 1)))
            );
            assert_eq!((&line["action"], &line["outcome"]), (&"delete_client".into(), &"refused".into()));
            assert!(line["diagnosis"].as_str().unwrap().contains("look at the address"));
            assert!(number == 0 || line["prev"] == lines[number - 1]["hash"]);
        }
        let head = verify(text.as_bytes(), key.as_ref()).unwrap();
        assert_eq!((head.count(), head.to_string()), (3, format!("3:{}", lines[2]["hash"].as_str().unwrap())));
        assert_eq!(head.to_string().parse::<AuditHead>().unwrap(), head);
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder.log()).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}

#[tokio::test]
async fn every_byte_counts() {
    for key in [None, Some(key())] {
        let folder = Folder::new();
        let text = recorded(&folder.log(), key.clone(), 3).await.into_bytes();
        let line_of = |at: usize| text[..at].iter().filter(|b| **b == b'\n').count() as u64 + 1;
        for at in 0..text.len() {
            for other in [text[at] ^ 1, text[at] ^ 0x20, b'\n', b' ', b'}', 0xff] {
                if other == text[at] {
                    continue;
                }
                let mut changed = text.clone();
                changed[at] = other;
                match verify(&changed, key.as_ref()) {
                    Err(AuditLogError::Changed(line)) => assert_eq!(line, line_of(at), "byte {at}"),
                    Err(AuditLogError::Torn(3)) => assert_eq!(at, text.len() - 1),
                    result => panic!("byte {at}: {result:?}"),
                }
            }
            let mut shorter = text.clone();
            shorter.remove(at);
            let mut longer = text.clone();
            longer.insert(at, b' ');
            assert!(verify(&shorter, key.as_ref()).is_err() && verify(&longer, key.as_ref()).is_err(), "byte {at}");
        }
    }
}

#[tokio::test]
async fn every_line_counts() {
    let folder = Folder::new();
    let text = recorded(&folder.log(), Some(key()), 5).await;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let other = Folder::new();
    record(AuditLog::open(other.log(), key()).unwrap(), names(5).map(|name| name + "b")).await;
    let other = fs::read_to_string(other.log()).unwrap();
    let other: Vec<_> = other.split_inclusive('\n').collect();
    let out_of_place = |lines: &[&str], line, seq| match verify(lines.concat().as_bytes(), Some(&key())) {
        Err(AuditLogError::OutOfPlace { line: at, seq: was }) => assert_eq!((at, was), (line, seq)),
        result => panic!("{result:?}"),
    };
    for removed in 0..4 {
        let mut lines = lines.clone();
        lines.remove(removed);
        out_of_place(&lines, removed as u64 + 1, removed as u64 + 2);
    }
    for (a, b) in [(0, 1), (1, 2), (3, 4), (0, 4)] {
        let mut lines = lines.clone();
        lines.swap(a, b);
        out_of_place(&lines, a as u64 + 1, b as u64 + 1);
    }
    for twice in 0..5 {
        let mut lines = lines.clone();
        lines.insert(twice, lines[twice]);
        out_of_place(&lines, twice as u64 + 2, twice as u64 + 1);
    }
    // A line of another log with the same key, in the place of the same number.
    for replaced in 1..5 {
        let mut lines = lines.clone();
        lines[replaced] = other[replaced];
        out_of_place(&lines, replaced as u64 + 1, replaced as u64 + 1);
    }
    for (wrong, line) in [("\n", 6), ("{}\n", 6), ("not JSON\n", 6), (&*"x".repeat(20_000), 6)] {
        let log = [&text, wrong].concat();
        assert!(matches!(verify(log.as_bytes(), Some(&key())), Err(AuditLogError::Changed(at)) if at == line));
    }
    for key in [None, Some(AuditKey::new(&[8; 32]).unwrap())] {
        assert!(matches!(verify(text.as_bytes(), key.as_ref()), Err(AuditLogError::Changed(1))), "another key");
    }
}

#[tokio::test]
async fn a_head_that_was_kept_shows_an_end_that_was_cut_off() {
    let folder = Folder::new();
    let text = recorded(&folder.log(), None, 5).await;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let upto = |count: usize| lines[..count].concat();
    let head = |count| verify(upto(count).as_bytes(), None).unwrap();
    for kept in 0..=5 {
        for count in 0..=5 {
            let result = verify_audit_log(upto(count).as_bytes(), None, Some(head(kept)));
            match result {
                Ok(end) => assert!(count >= kept && end == head(count)),
                Err(AuditLogError::CutOff { lines, kept: of }) => {
                    assert!(count < kept && (lines, of) == (count as u64, kept as u64));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    // Without a key, whoever can write can make another one, and the head shows it.
    let other = Folder::new();
    record(AuditLog::open(other.log(), None).unwrap(), names(5).map(|name| name + "b")).await;
    let other = fs::read(other.log()).unwrap();
    assert!(verify(&other, None).is_ok());
    assert!(matches!(verify_audit_log(&other[..], None, Some(head(4))), Err(AuditLogError::Another(4))));
}

/// As it was written before events had a source.
const WITHOUT_SOURCES: &str = r#"{"seq":1,"prev":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","time":"2026-01-02T03:04:05Z","actor":"setup","client_id":"billing","action":"create_client","outcome":"success","hash":"jW_cxm6s-HuSzpb_gte4svjN7dCVWB7-KT_3rr0AJS0"}
{"seq":2,"prev":"jW_cxm6s-HuSzpb_gte4svjN7dCVWB7-KT_3rr0AJS0","time":"2026-01-02T03:04:06Z","client_id":"billing","action":"request_token","outcome":"refused","cause":"the client secret is wrong","diagnosis":"look","hash":"RZSQ2zUQoCZ__EIW-yxhxxuuG70Me6kDJefVqEkaWvY"}
"#;

#[tokio::test]
async fn a_log_of_before_goes_on() {
    assert_eq!(verify(WITHOUT_SOURCES.as_bytes(), Some(&key())).unwrap().count(), 2);
    let folder = Folder::new();
    fs::write(folder.log(), WITHOUT_SOURCES).unwrap();
    let text = recorded(&folder.log(), Some(key()), 2).await;
    assert!(text.starts_with(WITHOUT_SOURCES));
    assert_eq!(verify(text.as_bytes(), Some(&key())).unwrap().count(), 4);
}

#[tokio::test]
async fn it_goes_on_after_each_restart() {
    for key in [None, Some(key())] {
        let folder = Folder::new();
        for start in 1..=3 {
            let log = AuditLog::open(folder.log(), key.clone()).unwrap().with_each_synced();
            assert_eq!(log.head().count(), (start - 1) * 2);
            record(log, names(2)).await;
            let text = fs::read(folder.log()).unwrap();
            assert_eq!(verify(&text, key.as_ref()).unwrap().count(), start * 2);
        }
        assert!(matches!(AuditLog::open(folder.log(), AuditKey::new(&[8; 32]).unwrap()), Err(AuditLogError::NoLog)));
    }
    let folder = Folder::new();
    for text in ["\n", "something else\n", &format!("{}\n", "x".repeat(50_000))] {
        fs::write(folder.log(), text).unwrap();
        assert!(matches!(AuditLog::open(folder.log(), None), Err(AuditLogError::NoLog)));
    }
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_line_is_repaired_when_told() {
    let folder = Folder::new();
    let text = recorded(&folder.log(), Some(key()), 3).await;
    let whole: usize = text.split_inclusive('\n').take(2).map(str::len).sum();
    for end in whole + 1..text.len() {
        fs::write(folder.log(), &text[..end]).unwrap();
        let torn = AuditLog::open(folder.log(), key()).unwrap_err();
        assert!(matches!(torn, AuditLogError::Torn(3)) && torn.to_string().contains("`AuditLog::repair`"), "{torn}");
        assert!(matches!(verify(&text.as_bytes()[..end], Some(&key())), Err(AuditLogError::Torn(3))));
        assert_eq!(fs::read_to_string(folder.log()).unwrap(), text[..end], "nothing is changed unless told");
        assert_eq!(AuditLog::repair(folder.log()).unwrap(), (end - whole) as u64);
        assert_eq!(AuditLog::repair(folder.log()).unwrap(), 0);
        assert_eq!(AuditLog::open(folder.log(), key()).unwrap().head().count(), 2);
    }
    record(AuditLog::open(folder.log(), key()).unwrap(), names(1)).await;
    assert_eq!(verify(&fs::read(folder.log()).unwrap(), Some(&key())).unwrap().count(), 3);
    // In the first line, and where nothing of a log is.
    fs::write(folder.log(), &text[..20]).unwrap();
    assert!(matches!(AuditLog::open(folder.log(), key()), Err(AuditLogError::Torn(1))));
    assert_eq!(AuditLog::repair(folder.log()).unwrap(), 20);
    fs::write(folder.log(), "x".repeat(50_000)).unwrap();
    assert!(matches!(AuditLog::repair(folder.log()), Err(AuditLogError::NoLog)));
}

/// Takes so many bytes, and then none until there is more room.
#[derive(Clone, Default)]
struct Disk(Arc<(AtomicUsize, Mutex<Vec<u8>>)>);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.0.0.load(Ordering::Relaxed).min(bytes.len());
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.0.fetch_sub(room, Ordering::Relaxed);
        self.0.1.lock().unwrap().extend(&bytes[..room]);
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Disk {
    fn more(&self, room: usize) {
        self.0.0.store(room, Ordering::Relaxed);
    }

    fn written(&self) -> Vec<u8> {
        self.0.1.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn what_could_not_be_written_is_told_and_tried_again() {
    let disk = Disk::default();
    let log = Arc::new(AuditLog::new(disk.clone(), key()));
    disk.more(1000);
    record(log.clone(), names(5)).await;
    assert_eq!(log.failure(), Some(io::ErrorKind::StorageFull));
    assert_eq!((disk.written().len(), log.head().count()), (1000, 5));
    assert!(verify(&disk.written(), Some(&key())).is_err(), "it ends in the middle of a line");
    assert!(log.flush().is_err());

    disk.more(usize::MAX / 2);
    record(log.clone(), names(1)).await;
    assert_eq!(log.failure(), None);
    assert_eq!(verify(&disk.written(), Some(&key())).unwrap(), log.head());
    assert_eq!(log.head().count(), 6);

    // More than waits: what is lost is counted, and the chain has no gap.
    disk.more(0);
    record(log.clone(), names(5000)).await;
    let waiting = log.head().count() - 6;
    assert!(waiting < 5000 && log.lost() == 5000 - waiting);
    disk.more(usize::MAX / 2);
    log.flush().unwrap();
    record(log.clone(), names(1)).await;
    let written = disk.written();
    assert_eq!(verify(&written, Some(&key())).unwrap().count(), 7 + waiting);
    let last: serde_json::Value =
        serde_json::from_slice(written.trim_ascii_end().rsplit(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!(last["lost"].as_u64(), Some(5000 - waiting));
}

#[tokio::test]
async fn no_line_is_longer_than_it_may_be() {
    let disk = Disk::default();
    disk.more(usize::MAX / 2);
    let texts = ["\u{1}".repeat(20_000), "\u{20ac}".repeat(9000), "\"\\".repeat(9000), "x".repeat(256)];
    record(AuditLog::new(disk.clone(), None), texts).await;
    let written = disk.written();
    assert_eq!(verify(&written, None).unwrap().count(), 4);
    assert!(written.split(|b| *b == b'\n').all(|line| line.len() < 4096));
    let actors: Vec<String> = written
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .map(|line| line["actor"].as_str().unwrap().into())
        .collect();
    assert_eq!(actors[1], "\u{20ac}".repeat(85) + "…");
    assert_eq!(actors[3], "x".repeat(256));
}

#[test]
fn many_threads_make_one_chain() {
    let disk = Disk::default();
    disk.more(usize::MAX / 2);
    let log = Arc::new(AuditLog::new(disk.clone(), key()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(record(log.clone(), names(100)));
            });
        }
    });
    assert_eq!(verify(&disk.written(), Some(&key())).unwrap().count(), 400);
}

#[test]
fn a_key_is_long_enough_and_shown_to_nobody() {
    assert!(AuditKey::new(&[7; 31]).is_err());
    assert_eq!(format!("{:?}", key()), "AuditKey(…)");
    for text in ["", "1", "1:", "x:AAAA", ":", "1:AAAA", "-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        assert!(text.parse::<AuditHead>().is_err(), "{text}");
    }
    let folder = Folder::new();
    drop(OpenOptions::new().create(true).append(true).open(folder.log()).unwrap());
    assert_eq!(AuditLog::open(folder.log(), key()).unwrap().head(), AuditHead::default());
}
