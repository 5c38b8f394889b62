//! Private keys in PEM (RFC 7468) and in DER: what is read signs what its public half verifies.
#![no_main]

use client_credentials::{PublicJwk, Signer as _, SigningAlgorithm, SigningKey};
use client_credentials_fuzz::{bounded, done};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for algorithm in
        [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Rs256, SigningAlgorithm::Ps256]
    {
        let keys = bounded(input.len(), || {
            [SigningKey::from_pkcs8_pem(algorithm, input), SigningKey::from_pkcs8_der(algorithm, input)]
        });
        for key in keys.into_iter().flatten() {
            assert_eq!(key.algorithm(), algorithm);
            let signature = done(key.sign(b"message"));
            // A pair of Ed25519 that is none is not found out when it is read, and signs nothing that counts.
            let Ok(signature) = signature else { continue };
            let verifies = key.public_jwk().verify(b"message", &signature);
            assert!(verifies || algorithm == SigningAlgorithm::EdDsa);
            assert!(!key.public_jwk().verify(b"another", &signature));
            let printed = serde_json::to_string(key.public_jwk()).unwrap();
            assert_eq!(serde_json::from_str::<PublicJwk>(&printed).unwrap(), *key.public_jwk());
        }
    }
});
