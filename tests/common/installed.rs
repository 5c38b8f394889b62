//! Programs that some tests run and that are not part of the project.
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::{
    env, fs,
    io::{Write as _, stderr},
    path::PathBuf,
};

/// Where a program is. Without it a test has to be left out, but never where CI runs.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps PostgreSQL outside PATH, where there is room for several versions of it, and what serves in /usr/sbin.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = env::split_paths(&path).chain(versions.map(|version| version.path().join("bin")));
    let folders = folders.chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "`{program}` is not installed");
        // Not `eprintln`, which nobody sees of a test that passes.
        let _ = writeln!(stderr(), "LEFT OUT: `{program}` is not installed; tests/run installs it on Debian");
    }
    found
}
