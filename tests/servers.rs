//! The servers that the tests of the stores run against: these must lose nothing themselves, or a store's loss proves nothing.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "common/servers.rs"]
mod servers;

use std::process::Command;

use servers::{Postgres, Redis, installed::installed};

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[test]
fn postgres_keeps_what_it_committed() {
    let (Some(psql), Some(mut postgres)) = (installed("psql"), Postgres::start()) else {
        return;
    };
    let url = postgres.url();
    let sql = |sql: &str| output(Command::new(&psql).args([&url, "-XAtqc", sql]));
    assert_eq!(sql("SHOW fsync").as_deref(), Some("on"));
    assert_eq!(sql("CREATE TABLE kept AS SELECT 'é' AS it").as_deref(), Some(""));
    for _ in 0..2 {
        postgres.kill();
        assert_eq!(sql("SELECT it FROM kept"), None);
        postgres.restart();
        assert_eq!(sql("SELECT it FROM kept").as_deref(), Some("é"));
    }
}

#[test]
fn redis_keeps_what_it_acknowledged() {
    for start in [Redis::start, Redis::start_cluster] {
        let (Some(cli), Some(mut redis)) = (installed("redis-cli"), start()) else {
            return;
        };
        let url = redis.url();
        let ask = |question: &str| output(Command::new(&cli).args(["-e", "-u", &url]).args(question.split(' ')));
        assert_eq!(ask("SET kept it").as_deref(), Some("OK"));
        for _ in 0..2 {
            redis.kill();
            assert_eq!(ask("GET kept"), None);
            redis.restart();
            assert_eq!(ask("GET kept").as_deref(), Some("it"));
        }
    }
}
