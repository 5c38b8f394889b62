//! Durations as people write them: `10m`, `3 m`, `4 h`, or `600` for seconds.

use std::time::Duration;

/// What to write instead, where a duration of whole seconds is expected.
pub(crate) const EXPECTED: &str = "a duration of whole seconds, at least one, such as `10m`, `3 m`, `4 h` or `600`";

/// A text as a duration. One that has no whole number of seconds, or none at all, is none: an `expires_in` could not say
/// it (RFC 6749 §5.1).
pub(crate) fn parse(text: &str) -> Option<Duration> {
    parse_any(text).filter(|duration| is_whole(*duration))
}

/// A text as a duration of any length, none included.
pub(crate) fn parse_any(text: &str) -> Option<Duration> {
    let text = text.trim();
    text.parse().map(Duration::from_secs).or_else(|_| humantime::parse_duration(text)).ok()
}

pub(crate) fn is_whole(duration: Duration) -> bool {
    duration >= Duration::from_secs(1) && duration.subsec_nanos() == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, seconds) in
            [("10m", 600), ("3 m", 180), ("4 h", 14_400), ("600", 600), (" 1h 30m ", 5400), ("1500ms 500ms", 2)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(parse_any(text), parse(text), "{text}");
        }
        for text in ["", "0", "0s", "-1", "m", "10 parsecs", "1.5", "1500ms", "99999999999999999999", "1e3"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for (text, milliseconds) in [("0", 0), ("0s", 0), (" 0 s ", 0), ("1500ms", 1500)] {
            assert_eq!(parse_any(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "-1", "m", "10 parsecs", "1.5", "99999999999999999999", "1e3"] {
            assert_eq!(parse_any(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_duration_or_none(text in ".{0,20}") {
            prop_assert!(parse(&text).is_none_or(is_whole));
        }

        #[test]
        fn a_written_duration_is_read_again(seconds in 1..10_000_000_u64) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&seconds.to_string()), Some(duration));
            prop_assert_eq!(parse(&humantime::format_duration(duration).to_string()), Some(duration));
        }
    }
}
