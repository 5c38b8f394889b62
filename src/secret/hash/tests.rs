use proptest::prelude::*;

use super::*;

fn hash(text: &str) -> ClientSecretHash {
    text.parse().unwrap()
}

#[test]
fn known_digests() {
    // printf 'saltsaltsaltsecret' | openssl dgst -sha256 -binary | base64
    let fast = hash("$sha256$c2FsdHNhbHRzYWx0$Q0RHT53CtciwOCYf7rIhYJijQ77H28Pc67lxGYf4epM");
    assert!(fast.verify("secret") && !fast.verify("secret "));
    // Python: hashlib.pbkdf2_hmac('sha256', b'passwd', b'saltsalt', 1000, 32)
    let slow = hash("$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$KBJH0RIw+FCnOKJi2s/ppNgRHFTFzBjXqxs+xS3zHTY");
    assert!(slow.verify("passwd") && !slow.verify("Passwd"));
}

#[test]
fn both_classes_survive_their_text() {
    let (secret, random) = (ClientSecret::new("a:b+c%20&é".into()), RandomSource::default());
    for class in [SecretClass::Generated, SecretClass::Chosen] {
        let made = ClientSecretHash::of(&secret, class, &random).unwrap();
        let read = hash(&made.to_text());
        assert!(read == made && read.cost() == made.cost() && read.class() == class);
        assert!(made != ClientSecretHash::of(&secret, class, &random).unwrap(), "no salt");
        assert_eq!(made.cost(), ClientSecretHash::decoy(class).cost());
        assert!(read.verify(secret.expose()) && !read.verify("a:b+c%20&e"));
        assert!(!format!("{read:?}").contains(made.to_text().split('$').next_back().unwrap()));
    }
}

#[test]
fn salts_differ_and_long_secrets_count_whole() {
    let (secret, random) = (ClientSecret::new("x".repeat(1000)), RandomSource::default());
    let one = ClientSecretHash::generated(&secret, &random).unwrap();
    assert!(one != ClientSecretHash::generated(&secret, &random).unwrap());
    assert!(one.verify(secret.expose()) && !one.verify(&"x".repeat(999)));
}

#[test]
fn chosen_secrets_cost_what_owasp_asks() {
    let hash = ClientSecretHash::chosen(&ClientSecret::new("a".into()), &RandomSource::default()).unwrap();
    assert!(hash.to_text().starts_with("$pbkdf2-sha256$i=600000$"));
}

#[test]
fn every_byte_of_a_digest_counts() {
    let digest = *Salted::new([7; SALT_LEN], "secret").digest();
    assert!(same(&digest, &digest.clone()));
    for at in 0..32 {
        let mut other = digest;
        other[at] ^= 1;
        assert!(!same(&digest, &other), "{at}");
    }
}

#[test]
fn malformed_texts() {
    for text in [
        "",
        "secret",
        "$",
        "$sha256",
        "$sha256$$",
        "$sha256$c2FsdHNhbHRzYWx0$AAAA",
        "$sha1$c2FsdHNhbHRzYWx0$AAAA",
        "$pbkdf2-sha256$i=0$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-sha256$i=10000001$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-sha256$i=1000$c2E$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-sha256$i=+1000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-sha256$i=1000,l=31$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU$",
        "$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4",
        "$pbkdf2$i=1000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2$i=1000,l=32$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-md5$i=1000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2_sha256$1000$saltsalt$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU=",
        "pbkdf2_sha256$i=1000$saltsalt$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU=",
        "pbkdf2-sha256$i=1000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-sha256$i=1000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU=",
        "$pbkdf2-sha256$1000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU=",
        "pbkdf2_sha256$1000$saltsalt$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "pbkdf2_sha256$1000$saltsalt$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU==",
        // PHC: a number has no zeros before it.
        "$pbkdf2-sha256$i=01000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-sha256$i=1000,l=032$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "$pbkdf2-sha256$01000$c2FsdHNhbHQ$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU",
        "pbkdf2_sha256$01000$saltsalt$LCYR8OWKMAH5alYi3r4ErhhCYVRwGPXyPGAKtNpFBYU=",
        "$argon2id$v=19$m=064,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
        "$argon2id$v=19$m=64,t=2,p=01$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
        "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs$",
        "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs$AAAA",
        "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs=",
        "$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
        "$argon2d$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
        "$argon2id$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
        "$argon2id$v=19$m=64,t=2,p=1,x=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
        "$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
        "$argon2id$v=19$m=64,t=2,p=9$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
        "$2x$04$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a",
        "$2b$4$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a",
        "$2b$03$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a",
        "$2b$04$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY",
        "$2b$04$abcdefghijklmnopqrstéAyvn9dH8jpLppdGF7eBSCFqHajolY.a",
        "$2b$004$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a",
        "$bcrypt-sha256$v=1,t=2b,r=4$abcdefghijklmnopqrstuu$J.bp7Kbyy0eI.Vb3KpeCt5LvbGoYByC",
        "$bcrypt-sha256$v=2,t=2a,r=4$abcdefghijklmnopqrstuu$J.bp7Kbyy0eI.Vb3KpeCt5LvbGoYByC",
        "$bcrypt-sha256$v=2,t=2b,r=04$abcdefghijklmnopqrstuu$J.bp7Kbyy0eI.Vb3KpeCt5LvbGoYByC",
        "$bcrypt-sha256$v=2,t=2b,r=3$abcdefghijklmnopqrstuu$J.bp7Kbyy0eI.Vb3KpeCt5LvbGoYByC",
        "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuv$J.bp7Kbyy0eI.Vb3KpeCt5LvbGoYByC",
        "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$J.bp7Kbyy0eI.Vb3KpeCt5LvbGoYBy",
        "$bcrypt-sha256$2y,4$abcdefghijklmnopqrstuu$L8wedSj1r9aXpRIA9qv6okqCszbQ0lO",
        "$bcrypt-sha256$2b,04$abcdefghijklmnopqrstuu$L8wedSj1r9aXpRIA9qv6okqCszbQ0lO",
        "$scrypt$ln=010,r=8,p=2$c2FsdHNhbHRzYWx0c2FsdA$QAGH65Vy8uQYakQ/nquqVyTnCubFlqNV2++mpy3ZlPc",
        "scrypt$01024$saltsaltsalt$8$5$dM8PqXBOLMqsdf8C7iMPkwpd26hbPvITRPvgDQDr8eqEd3ZuapXG4kDqQh7f+A6mNpuM/zb+XMWwo8zPqPGWQQ==",
        "scrypt$1024$saltsaltsalt$8$5$dM8PqXBOLMqsdf8C7iMPkwpd26hbPvITRPvgDQDr8eqEd3ZuapXG4kDqQh7f+A6mNpuM/zb+XMWwo8zPqPGWQQ",
        "$scrypt$ln=0,r=8,p=2$c2FsdHNhbHRzYWx0c2FsdA$QAGH65Vy8uQYakQ/nquqVyTnCubFlqNV2++mpy3ZlPc",
        "$scrypt$ln=10,r=0,p=2$c2FsdHNhbHRzYWx0c2FsdA$QAGH65Vy8uQYakQ/nquqVyTnCubFlqNV2++mpy3ZlPc",
        "$scrypt$ln=10,r=8,p=2$c2FsdA$QAGH65Vy8uQYakQ/nquqVyTnCubFlqNV2++mpy3ZlPc",
        "scrypt$1000$saltsaltsalt$8$5$dM8PqXBOLMqsdf8C7iMPkwpd26hbPvITRPvgDQDr8eqEd3ZuapXG4kDqQh7f+A6mNpuM/zb+XMWwo8zPqPGWQQ==",
    ] {
        assert!(text.parse::<ClientSecretHash>().is_err(), "{text}");
    }
}

/// Of `pa:ss wörd%`; some texts are of a format that is not compiled in.
const IMPORTED: [(&str, &str, &str); 24] = [
    // Python's hashlib.pbkdf2_hmac, spelled as Ory Hydra does.
    ("", "$pbkdf2-sha1$", "$pbkdf2-sha1$i=1000,l=20$c2FsdHNhbHRzYWx0c2FsdA$z6Rccaq1bu/CtQBRdQqUjgf/4uU"),
    (
        "",
        "$pbkdf2-sha256$",
        "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHRzYWx0c2FsdA$fh68rcTvYKSztRz+82VWzuEwPIk28OSIgnTrKnT+d1M",
    ),
    (
        "",
        "$pbkdf2-sha512$",
        "$pbkdf2-sha512$i=1000,l=64$c2FsdHNhbHRzYWx0c2FsdA$ZVbpCpuQ2WtmtM0j0BHjFF4BY+auFY2EogagQ9Oz34+kvvvbg8tNdI6avuOQleLJd1d+1qFzJd5/LZB7dRj5Tw",
    ),
    ("", "$pbkdf2-sha512$", "$pbkdf2-sha512$i=1000,l=16$c2FsdHNhbHRzYWx0c2FsdA$ZVbpCpuQ2WtmtM0j0BHjFA"),
    (
        "",
        "$pbkdf2-sha256$",
        "$pbkdf2-sha256$i=1000,l=64$c2FsdHNhbHRzYWx0c2FsdA$fh68rcTvYKSztRz+82VWzuEwPIk28OSIgnTrKnT+d1Nxy8LR92147EhGI1IH9fljJo1qB+wXSIVwUN+4jU+E5g",
    ),
    // passlib 1.7.4: pbkdf2_sha256.using(rounds=1000, salt=bytes(range(240, 256))).hash(secret), and so on.
    ("", "$pbkdf2-sha1$", "$pbkdf2$1000$8PHy8/T19vf4.fr7/P3./w$WfLILK/f7BdTetOdvOtF5klocVw"),
    ("", "$pbkdf2-sha256$", "$pbkdf2-sha256$1000$8PHy8/T19vf4.fr7/P3./w$5KDMGI4bH4VIRrjpkcQ7iQaDUH0efslka8qyVxta9wM"),
    (
        "",
        "$pbkdf2-sha512$",
        "$pbkdf2-sha512$1000$8PHy8/T19vf4.fr7/P3./w$kwwSZ1YIocd.hAEq8MGM3Li2dnu3sz6/n4jJDbMJu0Rg1k48ADwGTSAjwxy3QxibxLC0APDjjoMZjElsREEbOw",
    ),
    ("scrypt", "$scrypt$", "$scrypt$ln=10,r=8,p=2$c2FsdHNhbHRzYWx0c2FsdA$QAGH65Vy8uQYakQ/nquqVyTnCubFlqNV2++mpy3ZlPc"),
    // The same with bcrypt 4.0.1: bcrypt_sha256.using(rounds=4, salt="abcdefghijklmnopqrstuu"), and so with version=1 and 2a.
    ("bcrypt", "$bcrypt$", "$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$J.bp7Kbyy0eI.Vb3KpeCt5LvbGoYByC"),
    ("bcrypt", "$bcrypt$", "$bcrypt-sha256$2b,4$abcdefghijklmnopqrstuu$L8wedSj1r9aXpRIA9qv6okqCszbQ0lO"),
    ("bcrypt", "$bcrypt$", "$bcrypt-sha256$2a,4$abcdefghijklmnopqrstuu$L8wedSj1r9aXpRIA9qv6okqCszbQ0lO"),
    // Django 5.2: PBKDF2PasswordHasher().encode(secret, "saltsaltsalt", 1000), and so on.
    ("", "$pbkdf2-sha256$", "pbkdf2_sha256$1000$saltsaltsalt$l7x9ZtbiTw/xa5ON2Ey5FeyKY9geyAv9JXRyc4Houz4="),
    ("", "$pbkdf2-sha1$", "pbkdf2_sha1$1000$saltsaltsalt$V4NVioYuJnUueMFvsi04+7TnA9Q="),
    (
        "scrypt",
        "$scrypt$",
        "scrypt$1024$saltsaltsalt$8$5$dM8PqXBOLMqsdf8C7iMPkwpd26hbPvITRPvgDQDr8eqEd3ZuapXG4kDqQh7f+A6mNpuM/zb+XMWwo8zPqPGWQQ==",
    ),
    (
        "argon2",
        "$argon2id$",
        "argon2$argon2id$v=19$m=128,t=1,p=2$c2FsdHNhbHRzYWx0$+KhxRXUeAZtwzdjwT/8Bth8hyHDp5Y08FfD7ZG1er+4",
    ),
    ("bcrypt", "$bcrypt$", "bcrypt$$2b$04$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a"),
    ("bcrypt", "$bcrypt$", "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuaHnIf2gfoMjstCV1wShPoFE5WvnhTiS"),
    // argon2-cffi 25.1: low_level.hash_secret(secret, b"saltsaltsaltsalt", 2, 64, 1, 32, Type.ID), and so on.
    (
        "argon2",
        "$argon2id$",
        "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$HACN2tAPCZzLSucW+PdqAbcmOuw41FLtbavj2Fue6Bs",
    ),
    ("argon2", "$argon2id$", "$argon2id$v=19$m=256,t=1,p=4$c2FsdHNhbHRzYWx0c2FsdA$ibRYYIETu7FoAFe/YcGGAg"),
    (
        "argon2",
        "$argon2id$",
        "$argon2id$v=16$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$xblaXGgWxnQJuENiEmXGtndNhhqUG4eZo2x8meVjXeY",
    ),
    // Python's bcrypt 4.0: hashpw(secret, b"$2b$04$abcdefghijklmnopqrstuu"), and so on.
    ("bcrypt", "$bcrypt$", "$2a$04$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a"),
    ("bcrypt", "$bcrypt$", "$2b$04$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a"),
    ("bcrypt", "$bcrypt$", "$2y$04$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a"),
];

const COMPILED_IN: [(&str, bool); 4] = [
    ("", true),
    ("argon2", cfg!(feature = "argon2")),
    ("bcrypt", cfg!(feature = "bcrypt")),
    ("scrypt", cfg!(feature = "scrypt")),
];

#[test]
fn what_other_systems_have_hashed() {
    for (feature, name, text) in IMPORTED {
        let read = text.parse::<ClientSecretHash>();
        if !COMPILED_IN.contains(&(feature, true)) {
            let error = read.unwrap_err().to_string();
            assert!(error.ends_with(&format!("needs the Cargo feature `{feature}`")), "{text}: {error}");
            continue;
        }
        let read = read.unwrap();
        assert_eq!(read.class(), SecretClass::Chosen);
        assert_eq!((read.to_text().as_str(), &hash(&read.to_text())), (text, &read));
        assert_eq!(format!("{read:?}"), format!("ClientSecretHash({name}…)"));
        assert!(read.verify("pa:ss wörd%"), "{text}");
        for wrong in ["", "pa:ss wörd", "pa:ss wörd%%", "Pa:ss wörd%"] {
            assert!(!read.verify(wrong), "{text}: {wrong}");
        }
        let cost = (read.class(), read.cost().1);
        counted::take();
        let _ = read.verify("");
        assert_eq!(counted::take(), [cost]);
    }
}

#[test]
fn every_byte_of_an_imported_digest_counts() {
    let text = "$pbkdf2-sha512$i=1000,l=64$c2FsdHNhbHRzYWx0c2FsdA$ZVbpCpuQ2WtmtM0j0BHjFF4BY+auFY2EogagQ9Oz34+kvvvbg8tNdI6avuOQleLJd1d+1qFzJd5/LZB7dRj5Tw";
    for at in text.len() - 86..text.len() - 1 {
        let other: String =
            text.char_indices().map(|(n, c)| if n == at { if c == 'A' { 'B' } else { 'A' } } else { c }).collect();
        assert!(!hash(&other).verify("pa:ss wörd%"), "{at}");
    }
}

#[test]
fn what_would_cost_too_much_is_refused() {
    let digest = "fh68rcTvYKSztRz+82VWzuEwPIk28OSIgnTrKnT+d1M";
    for (feature, right, text) in [
        ("", true, format!("$pbkdf2-sha256$i=10000000,l=32$c2FsdHNhbHQ${digest}")),
        ("", false, format!("$pbkdf2-sha256$10000001$c2FsdHNhbHQ${digest}")),
        ("", false, format!("pbkdf2_sha256$10000001$saltsalt${digest}=")),
        ("", false, format!("$pbkdf2-sha1$i=5000001$c2FsdHNhbHQ${digest}")),
        ("", false, format!("$pbkdf2-sha256$i=4294967296$c2FsdHNhbHQ${digest}")),
        ("argon2", true, format!("$argon2id$v=19$m=262144,t=8,p=1$c2FsdHNhbHQ${digest}")),
        ("argon2", false, format!("$argon2id$v=19$m=262145,t=1,p=1$c2FsdHNhbHQ${digest}")),
        ("argon2", false, format!("$argon2id$v=19$m=262144,t=9,p=1$c2FsdHNhbHQ${digest}")),
        ("argon2", false, format!("$argon2id$v=19$m=1024,t=4294967295,p=1$c2FsdHNhbHQ${digest}")),
        ("bcrypt", true, "$2b$16$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a".to_owned()),
        ("bcrypt", false, "$2b$17$abcdefghijklmnopqrstuuAyvn9dH8jpLppdGF7eBSCFqHajolY.a".to_owned()),
        ("scrypt", true, format!("$scrypt$ln=16,r=16,p=8$c2FsdHNhbHQ${digest}")),
        ("scrypt", false, format!("$scrypt$ln=16,r=16,p=9$c2FsdHNhbHQ${digest}")),
        ("scrypt", true, format!("$scrypt$ln=1,r=8,p=64$c2FsdHNhbHQ${digest}")),
        ("scrypt", false, format!("$scrypt$ln=1,r=8,p=65$c2FsdHNhbHQ${digest}")),
        // What waits to be mixed takes memory too.
        ("scrypt", false, format!("$scrypt$ln=1,r=65536,p=64$c2FsdHNhbHQ${digest}")),
        ("scrypt", false, format!("$scrypt$ln=1,r=65536,p=65536$c2FsdHNhbHQ${digest}")),
        ("scrypt", false, format!("scrypt$2$saltsalt$1$4194304${digest}=")),
        // A short digest could be guessed.
        ("scrypt", false, "$scrypt$ln=10,r=8,p=2$c2FsdHNhbHQ$AA".to_owned()),
        ("argon2", false, "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$AAAAAA".to_owned()),
        ("scrypt", false, format!("$scrypt$ln=18,r=16,p=1$c2FsdHNhbHQ${digest}")),
        ("scrypt", false, format!("$scrypt$ln=17,r=16,p=1$c2FsdHNhbHQ${digest}")),
        ("scrypt", false, format!("$scrypt$ln=63,r=4294967295,p=1$c2FsdHNhbHQ${digest}")),
        ("scrypt", false, format!("scrypt$262144$saltsalt$16$1${digest}=")),
    ] {
        let compiled_in = COMPILED_IN.contains(&(feature, true));
        assert_eq!(text.parse::<ClientSecretHash>().is_ok(), right && compiled_in, "{text}");
    }
}

#[test]
fn a_salt_has_eight_bytes() {
    let digest = "fh68rcTvYKSztRz+82VWzuEwPIk28OSIgnTrKnT+d1M";
    for (feature, before, after) in [
        ("", "$pbkdf2-sha256$i=1000$", ""),
        ("", "$pbkdf2-sha256$1000$", ""),
        ("argon2", "$argon2id$v=19$m=64,t=2,p=1$", ""),
        ("argon2", "argon2$argon2id$v=16$m=64,t=2,p=1$", ""),
        ("scrypt", "$scrypt$ln=10,r=8,p=2$", ""),
        ("", "pbkdf2_sha256$1000$", "="),
        ("scrypt", "scrypt$1024$", "="),
    ] {
        // Django's is a text, and scrypt's parameters come after it.
        let (seven, eight) = if after.is_empty() { ("c2FsdHNhbA", "c2FsdHNhbHQ") } else { ("saltsal", "saltsalt") };
        let between = if before.starts_with("scrypt") { "$8$1$" } else { "$" };
        let text = |salt| format!("{before}{salt}{between}{digest}{after}");
        let read = |salt| text(salt).parse::<ClientSecretHash>().is_ok();
        assert_eq!((read(seven), read(eight)), (false, COMPILED_IN.contains(&(feature, true))), "{before}");
    }
}

#[cfg(feature = "bcrypt")]
#[test]
fn a_digest_before_bcrypt_sees_all_bytes() {
    // passlib 1.7.4: bcrypt_sha256.using(rounds=4, salt="abcdefghijklmnopqrstuu").hash("x" * 100)
    let hash = hash("$bcrypt-sha256$v=2,t=2b,r=4$abcdefghijklmnopqrstuu$VN/UtE6EwSZ/CIGnzfQAPtA5sMkMG4u");
    for len in [72, 99, 100, 101] {
        assert_eq!(hash.verify(&"x".repeat(len)), len == 100, "{len}");
    }
}

#[cfg(feature = "bcrypt")]
#[test]
fn bcrypt_sees_72_bytes() {
    // Python's bcrypt 4.0: hashpw(b"x" * 72, b"$2b$04$abcdefghijklmnopqrstuu")
    let hash = hash("$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i");
    for (len, right) in [(71, false), (72, true), (73, true), (1000, true)] {
        assert_eq!(hash.verify(&"x".repeat(len)), right, "{len}");
    }
}

proptest! {
    #[test]
    fn what_parses_prints_the_same(text in "\\$(sha256|pbkdf2-sha256\\$i=[0-9]{1,9})\\$[A-Za-z0-9+/]{10,24}\\$[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]") {
        if let Ok(hash) = text.parse::<ClientSecretHash>() {
            let printed = hash.to_text();
            prop_assert_eq!(printed.parse::<ClientSecretHash>().unwrap().to_text(), printed);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(start in "|\\$(pbkdf2(-sha512)?|argon2id\\$v=19|2b|bcrypt-sha256|scrypt)\\$|(pbkdf2_sha1|bcrypt|scrypt|argon2)\\$", rest in ".{0,80}") {
        let text = start + &rest;
        let _: Result<ClientSecretHash, ParseError> = text.parse();
    }
}
