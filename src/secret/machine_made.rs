//! Whether a secret is one that a machine has drawn, so that there is nothing to guess.

use std::collections::HashSet;

/// Whether a secret looks as if it were 128 random bits or more: in hexadecimal, or in base64 or less than its letters.
///
/// A slow hash is all that keeps a secret that can be guessed, so where there is doubt it says no: to about one in ten
/// that are random, to all that is made of words, whatever stands in for their letters, to dates, and to what lies side by
/// side on a keyboard. It cannot see how a secret was made: the MD5 of a word looks random to it.
pub(crate) fn looks_machine_made(secret: &str) -> bool {
    // Longer than any that is generated, and long enough to be a text.
    if secret.len() > 128 || !secret.is_ascii() {
        return false;
    }
    let text = secret.trim_end_matches('=').as_bytes();
    let looks = if text.iter().all(u8::is_ascii_hexdigit) { looks_hexadecimal(text) } else { looks_base64(text) };
    looks && few_runs(text) && few_repeats(text)
}

/// At least 32 digits of four bits, in one case, and as mixed as they would be by chance.
fn looks_hexadecimal(text: &[u8]) -> bool {
    let [upper, lower, digits] = classes(text);
    let letters = upper + lower;
    text.len() >= 32
        && (upper == 0 || lower == 0)
        && letters >= text.len() / 8
        && digits >= text.len() / 3
        && changes(text) >= text.len() / 4
        && distinct(text, 32) >= 10
}

/// At least 22 characters of nearly six bits, of all kinds, and as mixed as they would be by chance.
fn looks_base64(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-_+/".contains(b);
    let [upper, lower, digits] = classes(text);
    let others = text.len().saturating_sub(upper + lower + digits);
    text.len() >= 22
        && text.iter().all(allowed)
        && upper >= text.len() / 6
        && lower >= text.len() / 6
        && digits >= 1
        // One in 32 is by chance; more of them stand between words.
        && others <= 2 + text.len() / 10
        && changes(text) >= text.len() * 2 / 5
        && distinct(text, 22) >= 15
        && !reads_like_words(text)
}

/// How many upper-case letters, lower-case letters, and digits there are.
fn classes(text: &[u8]) -> [usize; 3] {
    let count = |is: fn(&u8) -> bool| text.iter().filter(|b| is(b)).count();
    [count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase), count(u8::is_ascii_digit)]
}

/// How often an upper-case letter, a lower-case letter and a digit follow one another.
fn changes(text: &[u8]) -> usize {
    let class = |b: u8| (b.is_ascii_uppercase(), b.is_ascii_lowercase(), b.is_ascii_digit());
    pairs(text).filter(|(a, b)| class(*a) != class(*b)).count()
}

/// How many characters are among the first ones.
fn distinct(text: &[u8], first: usize) -> usize {
    text.iter().take(first).collect::<HashSet<_>>().len()
}

/// The pairs of letters that English text and its neighbours are mostly made of.
const PAIRS: &str = "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro \
                     ic ne ea ra ce li ch ll be ma si om ur ss ow wo rd ee la el pa ns ol il ut no ho us so pe ta et ec ke ey lo";

/// Whether too many letters, and digits in the place of letters, follow one another as they do in words: one pair in eight
/// does so by chance, and half of those in a text.
fn reads_like_words(text: &[u8]) -> bool {
    let letter = |b: u8| match b {
        b'0' => b'o',
        b'1' => b'i',
        b'3' => b'e',
        b'4' => b'a',
        b'5' => b's',
        b'7' => b't',
        b'8' => b'b',
        b'9' => b'g',
        _ => b.to_ascii_lowercase(),
    };
    let is_pair = |(a, b): &(u8, u8)| PAIRS.split(' ').any(|pair| pair.as_bytes() == [letter(*a), letter(*b)]);
    pairs(text).filter(is_pair).count() * 10 > text.len() * 3
}

/// What people type one after the other: the alphabet, the digits, and the rows and columns of keyboards.
const RUNS: &str = "abcdefghijklmnopqrstuvwxyz 01234567890 qwertyuiop asdfghjkl zxcvbnm qwertz azerty \
                    1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm 8ik 9ol 0p";

/// Whether few characters are followed by themselves or by a neighbour: one in seven is by chance.
fn few_runs(text: &[u8]) -> bool {
    let is_run = |(a, b): &(u8, u8)| {
        let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
        a == b || pairs(RUNS.as_bytes()).any(|pair| pair == (a, b) || pair == (b, a))
    };
    pairs(text).filter(is_run).count() * 10 <= text.len() * 3
}

/// Whether hardly any three characters are there twice, whatever their case.
fn few_repeats(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    let threes: HashSet<&[u8]> = text.windows(3).collect();
    threes.len() * 10 >= text.len().saturating_sub(2) * 9
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (u8, u8)> {
    text.iter().copied().zip(text.iter().copied().skip(1))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::*};
    use proptest::prelude::*;
    use rand::{TryRng as _, rngs::SysRng};

    use super::*;

    #[test]
    fn what_machines_make() {
        for secret in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "9F86D081884C7D659A2FEAA0C55AD015",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "Zq7hT0mXv2LrK9bYw4JdNs",
            "a8Kd-2xQv_9LmZ0RtY7uBw3EfGh6JnPcVs1iXo5TqWe",
            "u4Zl8Qm+X2cV/7pBt1YkRw==",
        ] {
            assert!(looks_machine_made(secret), "{secret}");
        }
    }

    #[test]
    fn what_people_make() {
        for secret in [
            "",
            "secret",
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "CorrectHorseBatteryStaple1",
            "CorrectHorseBatteryStaple2024AndMore7",
            "Correct1Horse2Battery3Staple4",
            "correct-Horse-7battery-Staple-9lamp",
            "MyS3cr3tP4ssw0rdF0rTh3S3rv3r",
            "Th1sIsTh3S3cr3tOfTh3B1ll1ngS3rv1c3",
            "P4ssW0rdP4ssW0rdP4ssW0rd",
            "Winter2024Summer2025Spring2026",
            "Prod2024BillingService7xKey",
            "Abc123Def456Ghi789Jkl012",
            "Qwe123Asd456Zxc789Rty456Fgh",
            "1qaz2WSX3edc4RFV5tgb6YHN",
            "aB3aB3aB3aB3aB3aB3aB3aB3",
            "aB3dE5gH7kM9aB3dE5gH7kM9aB3dE5gH7kM9",
            "Aa1Aa1Aa1Bb2Bb2Bb2Cc3Cc3Cc3",
            "00000000000000000000000000000000",
            "0123456789abcdef0123456789abcdef",
            "deadbeefcafebabefeedfacedeadc0de",
            "31415926535897932384626433832795",
            "9f86d081884c7d65",
            "9f86d081884c7d659a2feaa0c55ad01",
            "9f86D081884c7D659A2feaa0C55ad015",
            "9f86d081-884c-4d65-9a2f-eaa0c55ad015",
            "Zq7hT0mXv2LrK9bYw4JdN",
            "Zq7hT0mXv2LrK9b w4JdNs",
            "Zq7hT0mXv2LrK9bŽw4JdNs",
            "ZQ7HT0MXV2LRK9BYW4JDNSPE",
            "zq7ht0mxv2lrk9byw4jdnspe",
            "zQkhTrmXvwLrKgbYwoJdNs",
        ] {
            assert!(!looks_machine_made(secret), "{secret}");
        }
    }

    #[test]
    fn most_that_is_random_is_seen() {
        let mut bytes = [0; 32];
        let mut random = |len: usize| {
            SysRng.try_fill_bytes(&mut bytes).unwrap();
            bytes[..len].to_vec()
        };
        let hexadecimal = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut seen = [0; 4];
        for _ in 0..1000 {
            let secrets = [
                hexadecimal(random(16)),
                hexadecimal(random(32)),
                BASE64_URL_SAFE_NO_PAD.encode(random(17)),
                BASE64_STANDARD.encode(random(32)),
            ];
            seen.iter_mut().zip(secrets).for_each(|(seen, secret)| *seen += u32::from(looks_machine_made(&secret)));
        }
        assert!(seen.iter().all(|seen| *seen > 800), "{seen:?}");
    }

    const WORDS: [&str; 24] = [
        "correct",
        "horse",
        "battery",
        "staple",
        "billing",
        "service",
        "secret",
        "password",
        "client",
        "production",
        "winter",
        "london",
        "dragon",
        "monkey",
        "letmein",
        "welcome",
        "internal",
        "backend",
        "gateway",
        "heslo",
        "kunde",
        "geheim",
        "contrasena",
        "motdepasse",
    ];

    proptest! {
        #[test]
        fn no_words_pass(words in proptest::collection::vec((0..WORDS.len(), any::<bool>(), any::<bool>()), 3..8), between in "[-_0-9]{0,1}", end in "[0-9]{0,4}") {
            let words: Vec<String> = words.into_iter().map(|(word, upper, leet)| {
                let word = WORDS[word];
                let word = if leet { word.replace('e', "3").replace('o', "0").replace('a', "4").replace('i', "1").replace('s', "5") } else { word.to_owned() };
                if upper { word[..1].to_uppercase() + &word[1..] } else { word }
            }).collect();
            let secret = words.join(&between) + &end;
            prop_assert!(!looks_machine_made(&secret), "{}", secret);
        }

        #[test]
        fn any_text_is_judged(text in ".{0,140}") {
            let _ = looks_machine_made(&text);
        }
    }
}
