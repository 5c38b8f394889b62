//! The management endpoint. Who asks is the superuser, unless a request says somebody else.
#![no_main]

use client_credentials_fuzz::run;
use libfuzzer_sys::fuzz_target;

const SUPERUSER: &str = "Authorization: Bearer {token:superuser}";

fuzz_target!(|input: &[u8]| {
    let Ok(input) = str::from_utf8(input) else { return };
    let requests: Vec<_> = input.split("\n====\n").map(said_by).collect();
    let statuses = [200, 201, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415];
    run(requests.join("\n====\n").as_bytes(), &[], &statuses);
});

fn said_by(request: &str) -> String {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let who = if head.contains("\nAuthorization: ") { String::new() } else { format!("\n{SUPERUSER}") };
    format!("{head}{who}\n\n{body}")
}
