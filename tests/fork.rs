//! What a process and its child have in common after `fork`: no token.
#![cfg(unix)]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{collections::HashSet, fs, process};

use client_credentials::{AccessToken, RandomSource};
use fork::{Fork, fork, waitpid};

fn tokens(random: &RandomSource) -> String {
    (0..10).map(|_| AccessToken::generate(random).unwrap().expose().to_owned() + "\n").collect()
}

#[test]
fn a_child_does_not_repeat_the_tokens_of_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let random = RandomSource::seeded();
    let mut all = tokens(&random);
    for n in 0..4 {
        let path = folder.path().join(n.to_string());
        match fork().unwrap() {
            Fork::Child => {
                fs::write(path, tokens(&random)).unwrap();
                // At once: the child of a test must not go on as a test.
                process::abort();
            }
            Fork::Parent(child) => {
                all += &tokens(&random);
                // It ended by a signal, as it should.
                let _ = waitpid(child);
                all += &fs::read_to_string(path).unwrap();
            }
        }
    }
    assert_eq!(all.lines().count(), 90);
    assert_eq!(all.lines().collect::<HashSet<_>>().len(), 90, "a token was given twice");
}
