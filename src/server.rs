//! The authorization server: a store, an issuer, and what the operator set.

use crate::{AnyClientStore, AnyTokenIssuer, Config};

/// An authorization server (RFC 6749 §1.1): where clients are looked up, what issues tokens, and the configuration.
///
/// Keep one in an `Arc`; every endpoint borrows it. The type needs no parameters where store and issuer are chosen at run
/// time:
///
/// ```
/// use client_credentials::{AnyClientStore, AnyTokenIssuer, AuthorizationServer, Config, MemoryStore, OpaqueIssuer};
///
/// let store = MemoryStore::default();
/// let server: AuthorizationServer =
///     AuthorizationServer::new(AnyClientStore::new(store.clone()), AnyTokenIssuer::new(OpaqueIssuer::new(store)), Config::default());
/// ```
#[derive(Clone, Debug)]
pub struct AuthorizationServer<S = AnyClientStore, T = AnyTokenIssuer> {
    store: S,
    issuer: T,
    config: Config,
}

impl<S, T> AuthorizationServer<S, T> {
    /// Puts the parts together.
    pub const fn new(store: S, issuer: T, config: Config) -> Self {
        Self { store, issuer, config }
    }

    /// Where clients are looked up.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// What issues tokens.
    pub const fn issuer(&self) -> &T {
        &self.issuer
    }

    /// What the operator set.
    pub const fn config(&self) -> &Config {
        &self.config
    }
}
