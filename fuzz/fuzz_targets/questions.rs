//! Who asks about a token: introspection (RFC 7662), revocation (RFC 7009), and gateways.
#![no_main]

use client_credentials_fuzz::run;
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 4] =
    ["/openidconnect/introspect", "/openidconnect/token/revoke", "/nginx/introspect/openidconnect", "/token"];

fuzz_target!(|input: &[u8]| run(input, &PATHS, &[200, 400, 401, 403, 405, 413]));
