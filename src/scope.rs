//! Scopes (RFC 6749 §3.3) and the tenants they may name.

use crate::text::text_type;

text_type! {
    /// A scope: scope tokens with one space between them (RFC 6749 §3.3 and Appendix A.4).
    ///
    /// ```
    /// use client_credentials::Scope;
    ///
    /// let scope = Scope::parse("invoices:read tenant:my-corporation")?;
    /// assert!(scope.contains("invoices:read"));
    /// assert!(Scope::parse("two  spaces").is_err());
    /// # Ok::<(), client_credentials::ParseError>(())
    /// ```
    Scope,
    is_scope,
    "a scope is one or more tokens of visible ASCII without quotation marks and backslashes, with one space between them"
}

text_type! {
    /// The name of a tenant: 1 to 64 of the characters of a scope token, but neither `*` nor `/`, so that it fits into
    /// `tenant:NAME` and `NAME/ROLE`.
    TenantName,
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| is_scope_character(b) && b != b'*' && b != b'/'),
    "a tenant name is 1 to 64 visible ASCII characters without quotation marks, backslashes, `*` and `/`"
}

impl Scope {
    /// A text that is put together from tokens of other scopes, and so needs no second look.
    pub(crate) fn of_tokens(text: &str) -> Self {
        debug_assert!(is_scope(text));
        Self(text.into())
    }

    /// The tokens, in their order.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.as_str().split(' ')
    }

    /// Whether `token` is one of the tokens.
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        self.tokens().any(|t| t == token)
    }
}

/// What one token of a requested scope asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeToken<'a> {
    /// `tenant`: at least one tenant.
    AnyTenant,
    /// `tenant:*`: every tenant that is assigned.
    AllTenants,
    /// `tenant:NAME`: this one.
    Tenant(&'a str),
    /// Anything else: a token of the client's registered scope.
    Registered(&'a str),
}

impl<'a> ScopeToken<'a> {
    pub(crate) fn parse(token: &'a str) -> Self {
        match token.strip_prefix("tenant") {
            Some("") => Self::AnyTenant,
            Some(":*") => Self::AllTenants,
            Some(rest) => rest.strip_prefix(':').map_or(Self::Registered(token), Self::Tenant),
            None => Self::Registered(token),
        }
    }
}

/// Whether a text is a scope, whoever holds it.
pub(crate) fn is_scope(text: &str) -> bool {
    // What comes before the first token is as good as a space, and no space may follow one, nor be the last.
    let mut before = b' ';
    text.bytes().all(|b| {
        let apart = is_scope_character(b) || (b == b' ' && before != b' ');
        before = b;
        apart
    }) && before != b' '
}

/// `NQCHAR` of RFC 6749 Appendix A.
const fn is_scope_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc6749_a_4_scope_grammar() {
        for good in ["a", "a b", "tenant:*", "!#$%&'()*+,-./", "https://api.example/read", "a a"] {
            assert!(Scope::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", " ", " a", "a ", "a  b", "a\tb", "a\"b", "a\\b", "ä", "a\u{7f}", "a\nb", "\0"] {
            assert!(Scope::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_scope_token_is_a_tenant_or_a_registered_one() {
        for (token, expected) in [
            ("tenant", ScopeToken::AnyTenant),
            ("tenant:*", ScopeToken::AllTenants),
            ("tenant:a", ScopeToken::Tenant("a")),
            ("tenant:", ScopeToken::Tenant("")),
            ("tenants", ScopeToken::Registered("tenants")),
            ("Tenant", ScopeToken::Registered("Tenant")),
        ] {
            assert_eq!(ScopeToken::parse(token), expected);
        }
    }

    proptest! {
        #[test]
        fn a_scope_is_its_tokens(text in ".{0,40}") {
            if let Ok(scope) = Scope::parse(text.as_str()) {
                prop_assert_eq!(scope.tokens().collect::<Vec<_>>().join(" "), text);
                prop_assert!(scope.tokens().all(|token| scope.contains(token)));
            }
        }

        #[test]
        fn tokens_of_the_allowed_characters_make_a_scope(tokens in prop::collection::vec("[!#-\\[\\]-~]{1,8}", 1..6)) {
            prop_assert!(Scope::parse(tokens.join(" ")).is_ok());
        }
    }
}
