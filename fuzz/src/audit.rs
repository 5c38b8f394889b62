//! The audit log of a server, which is whole whatever a caller has sent.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use client_credentials::{AuditKey, AuditLog, verify_audit_log};
use serde_json::Value;

/// An audit log in memory.
pub struct Log {
    log: Arc<AuditLog<Written>>,
    key: Option<AuditKey>,
    written: Written,
}

impl Log {
    /// A log that begins, with this key or without one.
    pub fn new(key: Option<AuditKey>) -> Self {
        // As much as the requests of an input come to, so that it is no part of what one of them takes.
        let written = Written(Arc::new(Mutex::new(Vec::with_capacity(64 * 1024))));
        Self { log: Arc::new(AuditLog::new(written.clone(), key.clone())), key, written }
    }

    /// What the events go to.
    pub fn sink(&self) -> Arc<AuditLog<Written>> {
        self.log.clone()
    }

    /// What is written.
    pub fn bytes(&self) -> Vec<u8> {
        self.written.0.lock().unwrap().clone()
    }

    /// It is a chain of whole lines, and what a client has not got in at says no secret. What somebody without the right to manage
    /// has named stands in it as it came.
    pub fn check(&self, secrets: &[String]) {
        let written = self.written.0.lock().unwrap();
        let head = self.log.head();
        assert_eq!(verify_audit_log(&**written, self.key.as_ref(), Some(head)).unwrap(), head);
        for line in str::from_utf8(&written).unwrap().lines() {
            assert!(!line.contains(char::is_control), "{line}");
            let event: Value = serde_json::from_str(line).unwrap();
            let at_clients =
                ["request_token", "introspect", "revoke_token", "throttle", "cross_threshold", "exceed_quota"];
            let said = if at_clients.iter().any(|action| event["action"] == *action) {
                line
            } else {
                event["cause"].as_str().unwrap_or_default()
            };
            assert!(!secrets.iter().any(|secret| said.contains(secret.as_str())), "it says a secret: {line}");
        }
    }
}

/// Bytes that two can see.
#[derive(Clone)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
