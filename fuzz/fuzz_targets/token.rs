//! The token endpoint (RFC 6749 §4.4).
#![no_main]

use client_credentials_fuzz::run;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| run(input, &["/token"], &[200, 400, 401, 405, 413]));
