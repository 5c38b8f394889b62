//! What a sealed token says, in few bytes.
//!
//! Numbers are LEB128, and signed ones go 0, -1, 1, -2, … first; a text is the number of its bytes and these, in UTF-8. A list is the
//! number of its members and these:
//!
//! ```text
//! client id, scope (an empty text for none), audience (list)
//! seconds since 1970 and nanoseconds of `issued_at`, seconds and nanoseconds from there to `expires_at`
//! global resources (list), tenants: a list of a name and its resources, which are
//!     0    the global ones,
//!     1    those of the tenant before, or
//!     2+n  n texts, which follow
//! ```
//!
//! Most tenants have the same resources as another one, and so each set is there once.

use std::iter;

use time::{Duration, OffsetDateTime};

use crate::{Authorization, Claims, ClientId, Resources, Scope, TenantName};

/// Appends what `claims` say.
pub(super) fn write(claims: &Claims, bytes: &mut Vec<u8>) {
    text(claims.client_id().as_str(), bytes);
    text(claims.scope().map_or("", Scope::as_str), bytes);
    number(claims.audience().len(), bytes);
    claims.audience().iter().for_each(|api| text(api, bytes));

    let (issued_at, lifetime) = (claims.issued_at(), claims.expires_at() - claims.issued_at());
    signed(issued_at.unix_timestamp(), bytes);
    unsigned(issued_at.nanosecond().into(), bytes);
    signed(lifetime.whole_seconds(), bytes);
    signed(lifetime.subsec_nanoseconds().into(), bytes);

    let global = claims.authorization().global();
    resources(global, 0, bytes);
    let tenants = claims.authorization().tenants();
    number(tenants.len(), bytes);
    let mut before = global;
    for (name, held) in tenants {
        text(name.as_str(), bytes);
        if held == global {
            unsigned(0, bytes);
        } else if held == before {
            unsigned(1, bytes);
        } else {
            resources(held, 2, bytes);
        }
        before = held;
    }
}

/// Takes apart what [`write`] has put together, all of it and nothing else.
pub(super) fn parse(bytes: &[u8]) -> Option<Claims> {
    let mut rest = Rest(bytes);
    let client_id = ClientId::parse(rest.text()?).ok()?;
    let scope = Some(rest.text()?).filter(|scope| !scope.is_empty());
    let scope = scope.map(Scope::parse).transpose().ok()?;
    let audience: Vec<_> = rest.list(|rest| rest.text().map(String::from))?;

    let issued_at = OffsetDateTime::from_unix_timestamp(rest.signed()?).ok()?;
    let issued_at = issued_at.replace_nanosecond(rest.number()?.try_into().ok()?).ok()?;
    let lifetime = Duration::seconds(rest.signed()?).checked_add(Duration::nanoseconds(rest.signed()?))?;
    let expires_at = issued_at.checked_add(lifetime)?;

    let global: Resources = rest.list(Rest::text)?;
    let mut before = global.clone();
    let tenants: Vec<_> = rest.list(|rest| {
        let name = TenantName::parse(rest.text()?).ok()?;
        match rest.number()? {
            0 => before = global.clone(),
            1 => {}
            more => before = rest.members(more - 2, Rest::text)?,
        }
        Some((name, before.clone()))
    })?;
    let claims = Claims::new(client_id, issued_at, expires_at).with_scope(scope).with_audience(audience);
    rest.0.is_empty().then(|| claims.with_authorization(Authorization::new(global, tenants)))
}

fn resources(resources: &Resources, more: usize, bytes: &mut Vec<u8>) {
    number(resources.iter().count() + more, bytes);
    resources.iter().for_each(|resource| text(resource, bytes));
}

fn text(text: &str, bytes: &mut Vec<u8>) {
    number(text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn number(number: usize, bytes: &mut Vec<u8>) {
    // No `usize` has more than 64 bits.
    unsigned(u64::try_from(number).unwrap_or(u64::MAX), bytes);
}

fn signed(number: i64, bytes: &mut Vec<u8>) {
    unsigned((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned(), bytes);
}

/// LEB128: seven bits a byte, the lowest first, and the highest bit of all bytes but the last.
fn unsigned(mut number: u64, bytes: &mut Vec<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return bytes.push(low & 0x7F);
        }
        bytes.push(low | 0x80);
    }
}

/// What has not been parsed yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7F);
            number |= bits << shift;
            if byte & 0x80 == 0 {
                // In one way only: no zeros on top, and nothing above 64 bits.
                let is_shortest = *byte != 0 || shift == 0;
                return (is_shortest && (number >> shift) == bits).then_some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.number()?.try_into().ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    fn list<T, C: FromIterator<T>>(&mut self, member: impl FnMut(&mut Self) -> Option<T>) -> Option<C> {
        let count = self.number()?;
        self.members(count, member)
    }

    /// It takes memory for what is there, not for what is announced.
    fn members<T, C: FromIterator<T>>(
        &mut self,
        count: u64,
        mut member: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<C> {
        let mut left = count;
        iter::from_fn(|| {
            left = left.checked_sub(1)?;
            Some(member(self))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(claims: &Claims) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(claims, &mut bytes);
        bytes
    }

    fn at(nanoseconds: i128) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap()
    }

    fn claims() -> Claims {
        Claims::new(ClientId::parse("a").unwrap(), at(1_700_000_000_123_456_789), at(1_700_000_180_123_456_789))
    }

    fn with_tenants(tenants: &[(&str, &[&str])]) -> Claims {
        let tenants = tenants.iter().map(|(name, held)| {
            (TenantName::parse(*name).unwrap(), held.iter().map(|resource| (*resource).to_owned()).collect())
        });
        claims().with_authorization(Authorization::new(["g"].into_iter().collect(), tenants))
    }

    #[test]
    fn the_bytes() {
        let claims = with_tenants(&[("b", &["g", "x"]), ("c", &["g", "x"]), ("d", &["g"]), ("e", &["g", "x"])]);
        let claims = claims.with_scope(Scope::parse("s t").unwrap()).with_audience(["https://api"]);
        let expected = [
            &b"\x01a"[..],
            b"\x03s t",
            b"\x01\x0bhttps://api",
            b"\x80\xc4\x9f\xd5\x0c", // 1,700,000,000 and 0 for its sign
            b"\x95\x9a\xef\x3a",     // 123,456,789
            b"\xe8\x02\x00",         // 180 seconds
            b"\x01\x01g",
            b"\x04",
            b"\x01b\x04\x01g\x01x",
            b"\x01c\x01",
            b"\x01d\x00",
            b"\x01e\x04\x01g\x01x",
        ];
        assert_eq!(written(&claims), expected.concat());
        assert_eq!(parse(&expected.concat()), Some(claims));
    }

    #[test]
    fn a_set_that_many_tenants_have_is_there_once() {
        let names: Vec<_> = (0..256).map(|n| format!("t{n}")).collect();
        let held = ["some:long:resource:id", "another:long:resource:id"];
        let claims = with_tenants(&names.iter().map(|name| (name.as_str(), &held[..])).collect::<Vec<_>>());
        assert!(written(&claims).len() < 256 * 7);
        assert_eq!(parse(&written(&claims)), Some(claims));
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        let parse = |bytes: &[u8]| Rest(bytes).number();
        for (number, bytes) in [
            (0, &[0][..]),
            (0x7F, &[0x7F]),
            (0x80, &[0x80, 1]),
            (u64::MAX, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
        ] {
            let mut written = Vec::new();
            unsigned(number, &mut written);
            assert_eq!((written.as_slice(), parse(bytes)), (bytes, Some(number)));
        }
        for wrong in [&[][..], &[0x80], &[0x80, 0], &[0xFF, 0x80, 0], &[0x80; 10], &[0xFF; 11]] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        for top in 2..=0x7F {
            assert_eq!(parse(&[&[0xFF; 9][..], &[top]].concat()), None, "{top}");
        }
    }

    #[test]
    fn what_is_short_or_long_or_wrong_is_refused() {
        let whole = written(&with_tenants(&[("b", &["g", "x"])]).with_scope(Scope::parse("s").unwrap()));
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None, "{len}");
        }
        assert_eq!(parse(&[&whole[..], &[0]].concat()), None);
        let rest = &b"\x00\x00\x00\x00\x00\x00\x00\x00"[..];
        assert!(parse(&[b"\x01a", rest].concat()).is_some());
        for wrong in [&b"\x00"[..], b"\x01\n", b"\x01\xFF", b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01a"] {
            assert_eq!(parse(&[wrong, rest].concat()), None, "{wrong:?}");
        }
        let many = b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01";
        for wrong in [
            [b"\x01a\x02  ", &rest[1..]].concat(),                           // no scope
            [&b"\x01a\x00"[..], many].concat(),                              // no such audience
            [&b"\x01a\x00\x00"[..], many, b"\x00\x00\x00\x00\x00"].concat(), // no such time
            [&b"\x01a\x00\x00\x00\x80\x94\xeb\xdc\x03"[..], b"\x00\x00\x00\x00"].concat(), // a second of nanoseconds
            [&b"\x01a\x00\x00\x00\x00"[..], many, b"\x00\x00\x00"].concat(), // beyond all years
            [&b"\x01a\x00\x00\x00\x00\x00\x00\x00\x01\x01/\x00"[..]].concat(), // no tenant's name
        ] {
            assert_eq!(parse(&wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_claims_say_is_what_is_parsed(
            client_id in "[ -~]{1,255}",
            scope in proptest::option::of("[!#-\\[\\]-~]{1,9}( [!#-\\[\\]-~]{1,9}){0,4}"),
            audience in prop::collection::vec(".{0,40}", 0..3),
            times in prop::array::uniform2(-377_705_116_800_000_000_000_i128..253_402_300_800_000_000_000),
            global in prop::collection::vec(".{0,20}", 0..4),
            tenants in prop::collection::vec(("[!#-)+-.0-\\[\\]-~]{1,64}", prop::collection::vec("[ab]", 0..3)), 0..6),
        ) {
            let tenants = tenants.into_iter().map(|(name, held)| (TenantName::parse(name).unwrap(), held.into_iter().collect()));
            let [issued_at, expires_at] = times.map(at);
            let claims = Claims::new(ClientId::parse(client_id).unwrap(), issued_at, expires_at)
                .with_scope(scope.map(|scope| Scope::parse(scope).unwrap()))
                .with_audience(audience)
                .with_authorization(Authorization::new(global.into_iter().collect(), tenants));
            prop_assert_eq!(parse(&written(&claims)), Some(claims));
        }

        #[test]
        fn any_bytes_are_claims_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(claims) = parse(&bytes) {
                prop_assert!(claims.jti().is_none());
            }
        }

        #[test]
        fn bytes_that_are_nearly_right_are_claims_or_refused(at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = written(&with_tenants(&[("b", &["g", "x"]), ("c", &["g"])]));
            *at.get_mut(&mut bytes) = byte;
            let _ = parse(&bytes);
        }
    }
}
