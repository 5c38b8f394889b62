//! What the numbers are kept under, each made when this is compiled: the labels of a key that is made later are in a `Vec`, which
//! every request would pay for, with a recorder or without.

use metrics::{Key, Label};

use super::{ISSUER_DURATION, REQUEST_DURATION, REQUESTS, STORE_DURATION, STORE_ERRORS, TOKENS};
use crate::{Endpoint, observe::Call};

/// A key whose labels are constants.
macro_rules! key {
    ($name:expr $(, $label:literal => $value:expr)*) => {{
        const LABELS: &[Label] = &[$(Label::from_static_parts($label, $value)),*];
        static KEY: Key = Key::from_static_parts($name, LABELS);
        &KEY
    }};
}

/// The key of an endpoint, of which `$key` knows the name as `$constant`.
macro_rules! of_endpoint {
    ($endpoint:expr, |$constant:ident| $key:expr) => {
        of_endpoint!(
            $endpoint, $constant, $key,
            Token Introspection Revocation Jwks Gateway Metadata Management OpenApi
        )
    };
    ($endpoint:expr, $constant:ident, $key:expr, $($variant:ident)*) => {
        match $endpoint {
            $(Some(Endpoint::$variant) => {
                const $constant: &str = Endpoint::$variant.name();
                $key
            })*
            None => {
                const $constant: &str = super::NO_ENDPOINT;
                $key
            }
        }
    };
}

/// The key of a status, of which `$key` knows the digits as `$constant`; `None` of one that no reply of this crate has.
macro_rules! of_status {
    ($status:expr, |$constant:ident| $key:expr) => {
        of_status!($status, $constant, $key, 200 201 304 400 401 403 404 405 409 412 413 415 429 503)
    };
    ($status:expr, $constant:ident, $key:expr, $($known:literal)*) => {
        match $status {
            $($known => {
                const $constant: &str = stringify!($known);
                Some($key)
            })*
            _ => None,
        }
    };
}

/// The keys of a call, by its name.
macro_rules! of_call {
    ($call:expr, $(store $stored:ident $name:literal,)* $(issuer $issued:ident $issuer_name:literal,)*) => {
        match $call {
            $(Call::$stored => (
                key!(STORE_DURATION, "operation" => $name),
                Some(key!(STORE_ERRORS, "operation" => $name)),
            ),)*
            $(Call::$issued => (key!(ISSUER_DURATION, "operation" => $issuer_name), None),)*
        }
    };
}

/// `None` where the status is none of those above.
pub(super) fn requests(endpoint: Option<Endpoint>, status: u16) -> Option<&'static Key> {
    of_endpoint!(endpoint, |ENDPOINT| of_status!(status, |STATUS| {
        key!(REQUESTS, "endpoint" => ENDPOINT, "status" => STATUS)
    }))
}

pub(super) fn request_duration(endpoint: Option<Endpoint>) -> &'static Key {
    of_endpoint!(endpoint, |ENDPOINT| key!(REQUEST_DURATION, "endpoint" => ENDPOINT))
}

pub(super) fn tokens() -> &'static Key {
    key!(TOKENS)
}

/// How long it takes, and how often it fails: of an issuer only the former.
#[inline]
pub(super) fn call(call: Call) -> (&'static Key, Option<&'static Key>) {
    of_call!(
        call,
        store FindClient "find_client",
        store ExistingTenants "existing_tenants",
        store Register "register",
        store Read "read",
        store Update "update",
        store ListClients "list_clients",
        store DefineRole "define_role",
        store DeleteRole "delete_role",
        store ListRoles "list_roles",
        store RecordUses "record_uses",
        store LastUses "last_uses",
        store Insert "insert",
        store Find "find",
        store Revoke "revoke",
        store RevokeAll "revoke_all",
        store Deny "deny",
        store IsDenied "is_denied",
        store ListTokens "list_tokens",
        store Attempt "attempt",
        store Forgive "forgive",
        store Take "take",
        store GiveBack "give_back",
        issuer Issue "issue",
        issuer Verify "verify",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::tests::causes;

    #[test]
    fn a_constant_is_the_key_of_its_labels() {
        for endpoint in Endpoint::ALL.into_iter().map(Some).chain([None]) {
            let name = endpoint.map_or("none", Endpoint::name);
            assert_eq!(*request_duration(endpoint), Key::from_parts(REQUEST_DURATION, &[("endpoint", name)]));
            let refused = causes().into_iter().map(|cause| cause.response().status());
            // And what is no refusal.
            for status in refused.chain([200, 201, 304]) {
                let labels = [Label::new("endpoint", name), Label::new("status", status.to_string())];
                assert_eq!(requests(endpoint, status), Some(&Key::from_parts(REQUESTS, labels.to_vec())), "{status}");
            }
            assert_eq!(requests(endpoint, 299), None);
        }
        let (took, failed) = call(Call::FindClient);
        assert_eq!(*took, Key::from_parts(STORE_DURATION, &[("operation", "find_client")]));
        assert_eq!(failed, Some(&Key::from_parts(STORE_ERRORS, &[("operation", "find_client")])));
        let took = Key::from_parts(ISSUER_DURATION, &[("operation", "issue")]);
        assert_eq!(call(Call::Issue), (&took, None));
    }
}
