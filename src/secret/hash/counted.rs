//! Counts the verifications of a thread, to hold that every refusal costs the same.

use std::cell::RefCell;

use super::SecretClass;

thread_local!(static VERIFICATIONS: RefCell<Vec<(SecretClass, u32)>> = const { RefCell::new(Vec::new()) });

pub(super) fn record(cost: (SecretClass, u32)) {
    VERIFICATIONS.with_borrow_mut(|all| all.push(cost));
}

/// The verifications since the last call.
pub(crate) fn take() -> Vec<(SecretClass, u32)> {
    VERIFICATIONS.take()
}
