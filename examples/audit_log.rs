//! Looks whether a log of events has been changed since it was written, as `examples/server.rs` writes one with `--audit FILE` and
//! `--audit-key FILE`.
//!
//!     cargo run --example audit_log -- verify audit.jsonl
//!     cargo run --example audit_log -- verify audit.jsonl --key audit.key --head 7:mQhV…
//!     cargo run --example audit_log -- repair audit.jsonl
//!
//! What `verify` prints is the head of the log. Keep it elsewhere, and give it as `--head` the next time: a log that was cut
//! off looks whole without it. A log with a key, of 32 bytes or more, cannot be made anew by whoever does not have that.
#![allow(clippy::print_stdout, reason = "it is the output")]

use std::{
    error::Error,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand};
use client_credentials::{AuditHead, AuditKey, AuditLog, verify_audit_log};
use zeroize::Zeroizing;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Looks at every line, and prints the head of the log.
    Verify {
        /// The log.
        file: PathBuf,
        /// A file with the key with which it was written.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// A head that it has had, as it was printed then.
        #[arg(long, value_name = "COUNT:HASH")]
        head: Option<AuditHead>,
    },
    /// Takes off a last line that has no end, as a crash leaves it.
    Repair {
        /// The log.
        file: PathBuf,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        Command::Verify { file, key, head } => {
            let key = key.as_deref().map(read_key).transpose()?;
            let log = BufReader::new(File::open(&file)?);
            let found = verify_audit_log(log, key.as_ref(), head);
            println!("{}", found.map_err(|error| format!("{}: {error}", file.display()))?);
        }
        Command::Repair { file } => {
            let bytes = AuditLog::repair(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            println!("{bytes} bytes taken off");
        }
    }
    Ok(())
}

fn read_key(path: &Path) -> Result<AuditKey, Box<dyn Error>> {
    Ok(AuditKey::new(&Zeroizing::new(fs::read(path)?))?)
}
