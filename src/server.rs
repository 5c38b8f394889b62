//! The authorization server: a store, an issuer, and what the operator set.

use std::{fmt, sync::Arc};

use crate::{AnyClientStore, AnyTokenIssuer, AuditSink, Config, RandomSource};

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
#[derive(Clone)]
pub struct AuthorizationServer<S = AnyClientStore, T = AnyTokenIssuer> {
    store: S,
    issuer: T,
    config: Config,
    audit: Option<Arc<dyn AuditSink>>,
    random: RandomSource,
}

impl<S, T> AuthorizationServer<S, T> {
    /// Puts the parts together.
    pub fn new(store: S, issuer: T, config: Config) -> Self {
        Self { store, issuer, config, audit: None, random: RandomSource::default() }
    }

    /// Gives the events of this server to a sink. Without one they are not recorded.
    #[must_use]
    pub fn with_audit_sink(self, sink: impl AuditSink + 'static) -> Self {
        Self { audit: Some(Arc::new(sink)), ..self }
    }

    /// Takes the randomness of new secrets, identifiers and API keys from elsewhere than the operating system.
    #[must_use]
    pub fn with_random(self, random: RandomSource) -> Self {
        Self { random, ..self }
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

    pub(crate) const fn random(&self) -> &RandomSource {
        &self.random
    }

    /// What takes the events of this server, if anything does.
    pub(crate) fn audit(&self) -> Option<&dyn AuditSink> {
        self.audit.as_deref()
    }
}

impl<S: fmt::Debug, T: fmt::Debug> fmt::Debug for AuthorizationServer<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, issuer, config, .. } = self;
        let mut server = f.debug_struct("AuthorizationServer");
        server.field("store", store).field("issuer", issuer).field("config", config).finish_non_exhaustive()
    }
}
