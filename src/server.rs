//! The authorization server: a store, an issuer, and what the operator set.

use std::{fmt, sync::Arc};

use time::OffsetDateTime;

use crate::{
    AnyClientStore, AnyCounterStore, AnyTokenIssuer, AuditAction, AuditEvent, AuditSink, BackendError, ClientRegistry,
    Config, CounterStore, Error, Quotas, RandomSource, Throttle, observe, uses::Uses, verification::Verification,
};

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
    uses: Option<Arc<Uses>>,
    are_misspellings_noted: bool,
    verification: Arc<Verification>,
    throttle: Option<Arc<Throttle>>,
    quotas: Option<Arc<(Quotas, AnyCounterStore)>>,
}

impl<S, T> AuthorizationServer<S, T> {
    /// Puts the parts together.
    pub fn new(store: S, issuer: T, config: Config) -> Self {
        Self {
            store,
            issuer,
            config,
            audit: None,
            random: RandomSource::default(),
            uses: None,
            are_misspellings_noted: false,
            verification: Arc::default(),
            throttle: None,
            quotas: None,
        }
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

    /// Notes when secrets and API keys are used, in memory; [`record_uses`](Self::record_uses) writes it down. A clone shares
    /// what is noted.
    ///
    /// It takes some nanoseconds of each request, and memory for each secret that was used since it was last written down.
    #[must_use]
    pub fn with_uses_noted(self) -> Self {
        Self { uses: Some(Arc::default()), ..self }
    }

    /// Looks, whenever a client cannot be authenticated, at what else its secret may have been meant to be: not encoded, encoded
    /// twice, with spaces or quotes around it, and so on. Where that is the right one, the [cause](Error::MisspelledSecret) says so,
    /// and so do its [diagnosis](Error::diagnosis) and the audit; a secret that has ended while others are live is told as expired.
    ///
    /// It lets nobody in, and no answer changes by it. Every failed authentication takes some more SHA-256 of what was presented, as
    /// many for an unknown client as for a known one; secrets of the class [`Chosen`](crate::SecretClass::Chosen), which are slow to
    /// verify, are never tried again.
    #[must_use]
    pub fn with_misspellings_noted(self) -> Self {
        Self { are_misspellings_noted: true, ..self }
    }

    /// How many secrets whose class is [`Chosen`](crate::SecretClass::Chosen), which are slow to verify, are verified at a time: on
    /// as many threads, which are there from the first such secret on. Half of the machine's cores unless said; with zero each
    /// is verified on the thread that polls the request, which stands still for as long.
    ///
    /// Who has to wait is served in turns: one for each [source](crate::Request::source), or each client identifier where the host names
    /// no source. Where too many wait, of one or of all, the answer is 503.
    #[must_use]
    pub fn with_verification_threads(self, threads: usize) -> Self {
        Self { verification: Arc::new(self.verification.with_threads(threads)), ..self }
    }

    /// How many clients are remembered that have proven themselves by a secret that is slow to verify; 10,000 unless said. Such a
    /// client is answered without that work when it comes again with the same secret, for as long as nothing about it has
    /// changed. With zero nothing is remembered.
    ///
    /// What is in memory is the HMAC-SHA256 of the secret, with a key that is drawn in each process. A clone shares it.
    #[must_use]
    pub fn with_verified_secrets(self, clients: usize) -> Self {
        Self { verification: Arc::new(self.verification.with_verified(clients)), ..self }
    }

    /// Makes whoever fails to authenticate too often wait, at every endpoint where clients authenticate. A clone shares what is
    /// counted.
    ///
    /// A host that calls the steps itself ([`TokenRequest::authenticate`](crate::TokenRequest::authenticate)) goes past it, and
    /// has to slow guesses down by itself.
    #[must_use]
    pub fn with_throttle(self, throttle: Throttle) -> Self {
        Self { throttle: Some(Arc::new(throttle)), ..self }
    }

    /// Limits how many tokens clients and tenants get, as the counters say: those in
    /// [memory](crate::MemoryCounters) are for this instance alone.
    ///
    /// It is [`handle_token_request`](crate::handle_token_request) that counts: a host that calls the steps itself goes past it.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas, counters: impl CounterStore + 'static) -> Self {
        let quotas = (!quotas.is_empty()).then(|| Arc::new((quotas, AnyCounterStore::new(counters))));
        Self { quotas, ..self }
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

    pub(crate) fn verification(&self) -> &Verification {
        &self.verification
    }

    /// What is noted of uses, if anything is.
    pub(crate) fn uses(&self) -> Option<&Uses> {
        self.uses.as_deref()
    }

    pub(crate) const fn are_misspellings_noted(&self) -> bool {
        self.are_misspellings_noted
    }

    pub(crate) fn throttle(&self) -> Option<&Throttle> {
        self.throttle.as_deref()
    }

    pub(crate) fn quotas(&self) -> Option<&(Quotas, AnyCounterStore)> {
        self.quotas.as_deref()
    }

    /// Whether anything takes the events of this server: what only an event needs, need not be found out otherwise.
    pub(crate) fn is_audited(&self) -> bool {
        self.audit.is_some()
    }

    /// Gives an event to the sink, if there is one.
    pub(crate) fn record(&self, event: AuditEvent<'_>) {
        if let Some(sink) = &self.audit {
            sink.record(&event);
        }
    }

    /// Records that somebody was refused who has not proven who he is, but may have said it.
    pub(crate) fn record_refusal(
        &self,
        time: OffsetDateTime,
        action: AuditAction,
        client_id: Option<&str>,
        cause: &Error,
    ) {
        // Of these there was an event already: when the wait began, or one that names the quota.
        if matches!(cause, Error::ClientThrottled(_) | Error::SourceThrottled(_) | Error::QuotaUsedUp(_)) {
            return;
        }
        // What nobody has found may be a secret in the wrong place.
        let is_known = !matches!(cause, Error::UnknownClient | Error::Backend(_));
        let client_id = client_id.filter(|_| is_known);
        self.record(AuditEvent { client_id, cause: Some(cause), ..AuditEvent::new(time, action) });
    }
}

impl<S: ClientRegistry, T> AuthorizationServer<S, T> {
    /// Writes down what was used since this was last called, if that is [noted](Self::with_uses_noted). Call it from time to
    /// time, such as once a minute, and before the process ends: until then, only this instance knows.
    ///
    /// # Errors
    /// When the store fails. What was noted is noted still.
    pub async fn record_uses(&self) -> Result<(), BackendError> {
        let Some(uses) = &self.uses else { return Ok(()) };
        let noted = uses.all();
        if !noted.is_empty() {
            observe::store("record_uses", self.store.record_uses(&noted)).await?;
            uses.forget(noted);
        }
        Ok(())
    }
}

impl<S: fmt::Debug, T: fmt::Debug> fmt::Debug for AuthorizationServer<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, issuer, config, .. } = self;
        let mut server = f.debug_struct("AuthorizationServer");
        server.field("store", store).field("issuer", issuer).field("config", config).finish_non_exhaustive()
    }
}
