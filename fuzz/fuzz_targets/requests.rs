//! Every endpoint, at any path.
#![no_main]

use client_credentials_fuzz::run;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| run(input, &[], &[200, 201, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415]));
