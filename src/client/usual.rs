//! What a client is granted, which is worked out once, since nearly all its requests are the same.

use std::{fmt, sync::OnceLock};

use crate::{Authorization, ClientId, Scope};

/// What a client got, apart from when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) client_id: ClientId,
    pub(crate) scope: Option<Scope>,
    pub(crate) authorization: Authorization,
    pub(crate) api_key_label: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) jti: Option<String>,
}

/// The first question and its answer. They are no part of what they belong to: a clone has none, and any two are equal.
pub(super) struct Usual<Q, A>(OnceLock<(Q, A)>);

impl<Q, A> Usual<Q, A> {
    /// The answer, if `is_it` says that the question is this one.
    pub(super) fn get(&self, is_it: impl FnOnce(&Q) -> bool) -> Option<&A> {
        self.0.get().filter(|(question, _)| is_it(question)).map(|(_, answer)| answer)
    }

    /// Keeps the first answer, and none after it, so that nobody has to wait for anybody.
    pub(super) fn set(&self, answer: impl FnOnce() -> (Q, A)) {
        if self.0.get().is_none() {
            // Another thread may have been faster.
            let _ = self.0.set(answer());
        }
    }
}

impl<Q, A> Default for Usual<Q, A> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<Q, A> Clone for Usual<Q, A> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<Q, A> fmt::Debug for Usual<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<Q, A> PartialEq for Usual<Q, A> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<Q, A> Eq for Usual<Q, A> {}
