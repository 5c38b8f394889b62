//! Whether each promise of the security policy has the test that it names.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

/// The sources of the crate and of its tests, as one text.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *all += &fs::read_to_string(&path).unwrap();
        }
    }
}

#[test]
fn every_promise_has_the_test_that_it_names() {
    let mut all = String::new();
    ["src", "tests"].iter().for_each(|folder| sources(Path::new(folder), &mut all));
    let policy = fs::read_to_string("SECURITY.md").unwrap();
    let mut named = 0;
    for row in policy
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| threat") && !line.starts_with("| ---"))
    {
        let held_by = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let tests: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "nothing holds this: {row}");
        for test in tests {
            let is_there =
                Path::new(test).exists() || ["(", "<"].iter().any(|next| all.contains(&format!("fn {test}{next}")));
            assert!(is_there || test == "conformance", "there is no `{test}`");
            named += 1;
        }
    }
    assert!(named > 60, "{named}");
}
