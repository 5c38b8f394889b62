//! The authorization server: a store, an issuer, and what the operator set.

use std::{fmt, sync::Arc};

use crate::{
    AnyClientStore, AnyCounterStore, AnyTokenIssuer, AuditAction, AuditEvent, AuditSink, BackendError, ClientRegistry,
    Config, CounterStore, Error, Quotas, RandomSource, Request, Throttle, observe,
    uses::Uses,
    verification::{Settings, Verification},
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
    are_issued_tokens_audited: bool,
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
            are_issued_tokens_audited: false,
            random: RandomSource::default(),
            uses: None,
            are_misspellings_noted: false,
            verification: Arc::new(Verification::new(Settings::default())),
            throttle: None,
            quotas: None,
        }
    }

    /// Gives the events of this server to a sink. Without one they are not recorded.
    #[must_use]
    pub fn with_audit_sink(self, sink: impl AuditSink + 'static) -> Self {
        Self { audit: Some(Arc::new(sink)), ..self }
    }

    /// Makes each token that is issued an [event](AuditAction::IssueToken) too: to whom, with which scope and tenants, until when, and
    /// the [id](crate::TokenIssuer::token_id) that its revocation would name. The token is not in it.
    ///
    /// Then there is an event for each request and not only for what is refused. The sink is in the middle of each, so it
    /// has to be as fast as the mint is to be: an [`AuditLog`](crate::AuditLog) writes a line each time, and says how a file
    /// that has grown too long is followed by another.
    ///
    /// It is [`handle_token_request`](crate::handle_token_request) that tells it: a host that calls the steps itself goes past it.
    #[must_use]
    pub fn with_issued_tokens_audited(self) -> Self {
        Self { are_issued_tokens_audited: true, ..self }
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
    /// many for an unknown client as for a known one. Secrets of the class [`Chosen`](crate::SecretClass::Chosen), which are slow to
    /// verify, are not verified again: they are recognized once they have been right at this instance and as long as that is
    /// [kept](Self::with_verified_secrets).
    #[must_use]
    pub fn with_misspellings_noted(self) -> Self {
        Self { are_misspellings_noted: true, ..self }
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

    /// Sets how many threads at most verify secrets that have slow hashes; half as many as the machine has processors unless
    /// set. They are started at the first such secret and end with the last clone of this server. With 0 there are none,
    /// and a slow verification holds up the executor.
    ///
    /// Secrets with fast hashes are verified at once, without any of them.
    #[must_use]
    pub fn with_verification_threads(self, threads: usize) -> Self {
        self.with_verification(|settings| settings.threads = Some(threads))
    }

    /// Sets how many slow verifications wait for a thread at most; 256 unless set. Each [source](crate::Request::source) has an eighth
    /// of the queue, or each client identifier where the host names no source, and they take turns, so that a flood of secrets
    /// from one of them holds up the others little. What finds no room is answered with 503, before anybody knows whether there is such a client.
    #[must_use]
    pub fn with_verification_queue(self, most: usize) -> Self {
        self.with_verification(|settings| settings.queue = most)
    }

    /// Sets for how many clients with a slow hash it is kept in memory which secret was right, so that each further
    /// request of theirs is as fast as with a fast hash; 10,000 unless set, and none with 0.
    ///
    /// The secret is not kept, only an HMAC of it under a key of this process. It counts as long as the store gives
    /// the client as it was. With [misspellings noted](Self::with_misspellings_noted) it tells what a wrong secret was meant to be, too.
    #[must_use]
    pub fn with_verified_secrets(self, most_clients: usize) -> Self {
        self.with_verification(|settings| settings.verified = most_clients)
    }

    fn with_verification(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.verification.settings();
        set(&mut settings);
        Self { verification: Arc::new(Verification::new(settings)), ..self }
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

    /// Whether a token that is issued is an event.
    pub(crate) fn are_issued_tokens_audited(&self) -> bool {
        self.are_issued_tokens_audited && self.is_audited()
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
        request: &Request<'_>,
        action: AuditAction,
        client_id: Option<&str>,
        cause: &Error,
    ) {
        // Of these there was an event already: when the wait began, or one that names the quota.
        if cause.is_told_already() || (matches!(cause, Error::Overloaded) && !self.is_news_that_overloaded()) {
            return;
        }
        // What nobody has found may be a secret in the wrong place.
        let client_id = client_id.filter(|_| !cause.leaves_client_unknown());
        self.record(AuditEvent { client_id, cause: Some(cause), ..AuditEvent::of_request(request, action) });
    }
}

impl<S: ClientRegistry, T> AuthorizationServer<S, T> {
    /// Notes fast hashes for secrets that have slow ones and do not need them, in memory;
    /// [`upgrade_hashes`](Self::upgrade_hashes) writes them down. A clone shares what is noted.
    ///
    /// Another system has hashed all secrets slowly, also those that a machine has made. One that its client presents and that
    /// looks like 128 random bits or more, in hexadecimal or base64, is as safe with a SHA-256 ([`SecretClass::Generated`]).
    /// Leave it off where secrets may be hashes of something shorter. Once some clients have fast hashes and some slow ones, time
    /// tells these from those, and one of them from an unknown client.
    ///
    /// [`SecretClass::Generated`]: crate::SecretClass::Generated
    #[must_use]
    pub fn with_hashes_upgraded(self) -> Self {
        self.with_verification(|settings| settings.upgrades = true)
    }

    /// Writes down what was used since this was last called, if that is [noted](Self::with_uses_noted). Call it from time to
    /// time, such as once a minute, and before the process ends: until then, only this instance knows.
    ///
    /// # Errors
    /// When the store fails. What was noted is noted still.
    pub async fn record_uses(&self) -> Result<(), BackendError> {
        let Some(uses) = &self.uses else { return Ok(()) };
        let noted = uses.all();
        if !noted.is_empty() {
            observe::Call::RecordUses.begin().end(self.store.record_uses(&noted).await)?;
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
