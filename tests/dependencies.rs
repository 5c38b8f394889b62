//! What a host gets that turns no feature on.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{collections::BTreeSet, env, fs, process::Command};

#[test]
#[expect(clippy::disallowed_methods, reason = "cargo says in the environment where it is")]
fn the_readme_counts_the_crates() {
    let tree = ["tree", "--locked", "--edges=normal,build", "--prefix=none", "--format={p}"];
    let target = "--target=x86_64-unknown-linux-gnu";
    let tree = Command::new(env::var("CARGO").unwrap()).args(tree).arg(target).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let name_and_version = |line: &str| line.split(' ').take(2).map(String::from).collect::<Vec<_>>();
    let crates: BTreeSet<_> = tree.lines().filter(|line| !line.is_empty()).map(name_and_version).collect();

    // This crate is one of them.
    let said = format!("compiles {} other crates", crates.len() - 1);
    assert!(fs::read_to_string("README.md").unwrap().contains(&said), "the README does not say: {said}");
}
