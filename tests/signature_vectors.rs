//! The signature vectors of Project Wycheproof, through [`PublicJwk::verify`].
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use client_credentials::PublicJwk;
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// As many bytes as a coordinate has, from an integer that may have a byte more or fewer.
fn coordinate(integer: &[u8]) -> String {
    let significant = &integer[integer.iter().take_while(|b| **b == 0).count()..];
    base64(&[&vec![0; 32 - significant.len()], significant].concat())
}

fn integer(integer: &[u8]) -> String {
    base64(&integer[integer.iter().take_while(|b| **b == 0).count()..])
}

fn key(jwk: &Value) -> PublicJwk {
    serde_json::from_value(jwk.clone()).unwrap()
}

/// How many vectors there were of each result.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    valid: usize,
    invalid: usize,
    acceptable: usize,
}

impl Seen {
    /// A valid signature is taken and an invalid one is refused. "Acceptable" are those that only a lenient reader takes, a
    /// `DigestInfo` without its NULL: the comparison of RFC 8017 §8.2.2 refuses them.
    #[track_caller]
    fn check(&mut self, key: &PublicJwk, test: (usize, &str), message: &[u8], signature: &[u8], expected: TestResult) {
        *match expected {
            TestResult::Valid => &mut self.valid,
            TestResult::Invalid => &mut self.invalid,
            TestResult::Acceptable => &mut self.acceptable,
        } += 1;
        assert_eq!(key.verify(message, signature), expected == TestResult::Valid, "{key:?} {test:?}");
    }
}

#[test]
fn rfc8037_3_1_ed25519() {
    let mut seen = Seen::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = key(&json!({"kty": "OKP", "crv": "Ed25519", "x": base64(&group.jwk.x)}));
        for test in group.tests {
            seen.check(&key, (test.tc_id, &test.comment), &test.msg, &test.sig, test.result);
        }
    }
    assert_eq!(seen, Seen { valid: 88, invalid: 63, acceptable: 0 });
}

#[test]
fn rfc7518_3_4_ecdsa_p256() {
    let mut seen = Seen::default();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
        let (x, y) = (coordinate(&group.key.affine_x), coordinate(&group.key.affine_y));
        let key = key(&json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}));
        for test in group.tests {
            seen.check(&key, (test.tc_id, &test.comment), &test.msg, &test.sig, test.result);
        }
    }
    assert_eq!(seen, Seen { valid: 173, invalid: 89, acceptable: 0 });
}

#[test]
fn rfc7518_3_3_rsa_pkcs1() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let mut seen = Seen::default();
    for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256, TestName::Rsa8192Sha256] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = key(&json!({"kty": "RSA", "n": integer(&group.key.n), "e": integer(&group.key.e)}));
            for test in group.tests {
                seen.check(&key, (test.tc_id, &test.comment), &test.msg, &test.sig, test.result);
            }
        }
    }
    assert_eq!(seen, Seen { valid: 31, invalid: 999, acceptable: 4 });
}

#[test]
fn rfc7518_3_5_rsa_pss() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut seen = Seen::default();
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let (n, e) = (integer(&group.key.n), integer(&group.key.e));
            let key = key(&json!({"kty": "RSA", "alg": "PS256", "n": n, "e": e}));
            for test in group.tests {
                seen.check(&key, (test.tc_id, &test.comment), &test.msg, &test.sig, test.result);
            }
        }
    }
    assert_eq!(seen, Seen { valid: 189, invalid: 135, acceptable: 0 });
}

/// With another hash, another salt or another padding a signature is another algorithm's.
#[test]
fn rfc8725_3_1_what_was_signed_otherwise() {
    use rsa_pss_verify::{TestName, TestSet};
    for name in [
        TestName::RsaPss2048Sha1Mgf1SaltLen20,
        TestName::RsaPss2048Sha256Mgf1SaltLen0,
        TestName::RsaPss2048Sha256Mgf1Sha1_20,
        TestName::RsaPss2048Sha384Mgf1SaltLen48,
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let algorithms: &[&str] =
                if name == TestName::RsaPss2048Sha256Mgf1SaltLen32 { &["RS256"] } else { &["RS256", "PS256"] };
            for alg in algorithms {
                let (n, e) = (integer(&group.key.n), integer(&group.key.e));
                let key = key(&json!({"kty": "RSA", "alg": alg, "n": n, "e": e}));
                let valid = group.tests.iter().filter(|test| test.result == TestResult::Valid);
                assert!(
                    valid.clone().count() > 0 && valid.clone().all(|test| !key.verify(&test.msg, &test.sig)),
                    "{alg} {name:?}"
                );
            }
        }
    }
}
