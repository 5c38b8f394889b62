use std::{fmt, future::Future, sync::Arc};

use time::OffsetDateTime;

use crate::{BackendError, Claims, ClientId, TokenHash, error::Answer};

/// Keeps what opaque tokens say, each under the hash of its token, and which of the tokens that no store keeps, such as
/// JWTs, have been revoked before they expire. The tokens themselves never get here.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use client_credentials::{BackendError, Claims, ClientId, TokenHash, TokenStore, time::OffsetDateTime};
///
/// #[derive(Default)]
/// struct MyTokens(Mutex<Kept>);
///
/// #[derive(Default)]
/// struct Kept {
///     tokens: HashMap<TokenHash, Claims>,
///     denied: HashMap<TokenHash, OffsetDateTime>,
///     revoked: HashMap<ClientId, OffsetDateTime>,
/// }
///
/// impl Kept {
///     fn stands(&self, claims: &Claims) -> bool {
///         self.revoked.get(claims.client_id()).is_none_or(|at| claims.issued_at() > *at)
///     }
/// }
///
/// impl TokenStore for MyTokens {
///     async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
///         self.0.lock().unwrap().tokens.insert(hash, claims);
///         Ok(())
///     }
///     async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
///         let kept = self.0.lock().unwrap();
///         Ok(kept.tokens.get(hash).filter(|claims| kept.stands(claims)).cloned())
///     }
///     async fn revoke(&self, hash: &TokenHash) -> Result<bool, BackendError> {
///         let mut kept = self.0.lock().unwrap();
///         Ok(kept.tokens.remove(hash).is_some_and(|claims| kept.stands(&claims)))
///     }
///     async fn revoke_all(&self, client_id: &ClientId, at: OffsetDateTime) -> Result<(), BackendError> {
///         let mut kept = self.0.lock().unwrap();
///         let before = kept.revoked.entry(client_id.clone()).or_insert(at);
///         *before = at.max(*before);
///         Ok(())
///     }
///     async fn deny(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
///         // A minute longer, for clocks that differ.
///         let until = claims.expires_at() + std::time::Duration::from_secs(60);
///         Ok(self.0.lock().unwrap().denied.insert(*jti, until).is_none())
///     }
///     async fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
///         let kept = self.0.lock().unwrap();
///         Ok(kept.denied.contains_key(jti) || !kept.stands(claims))
///     }
///     async fn list_tokens(&self, client_id: &ClientId, now: OffsetDateTime) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
///         let kept = self.0.lock().unwrap();
///         let live = |claims: &Claims| claims.client_id() == client_id && claims.expires_at() > now && kept.stands(claims);
///         Ok(kept.tokens.iter().filter(|(_, claims)| live(claims)).map(|(hash, claims)| (*hash, claims.clone())).collect())
///     }
///     async fn purge_expired(&self, now: OffsetDateTime, most: usize) -> Result<usize, BackendError> {
///         let mut kept = self.0.lock().unwrap();
///         let expired = kept.tokens.iter().filter(|(_, claims)| claims.expires_at() <= now).map(|(hash, _)| *hash);
///         let expired: Vec<_> = expired.take(most).collect();
///         expired.iter().for_each(|hash| drop(kept.tokens.remove(hash)));
///         let denied: Vec<_> = kept.denied.iter().filter(|(_, until)| **until <= now).map(|(jti, _)| *jti).collect();
///         let denied: Vec<_> = denied.into_iter().take(most - expired.len()).collect();
///         denied.iter().for_each(|jti| drop(kept.denied.remove(jti)));
///         Ok(expired.len() + denied.len())
///     }
/// }
///
/// // With the feature `test-util` one call holds it against all of this contract:
/// # #[cfg(feature = "test-util")]
/// client_credentials::conformance::token_store(async || MyTokens::default());
/// ```
pub trait TokenStore: Send + Sync {
    /// Keeps `claims` under `hash`, at least until they expire.
    ///
    /// Called once for each opaque token, before the client gets it. The client is told of success only when this has
    /// returned, so what it returns for must not be lost: a lost row is a token that nobody accepts. Two tokens never have
    /// the same hash, so a second insert under one may do as it likes.
    ///
    /// A store may forget claims from [`Claims::expires_at`] on. It may take the time from [`Claims::issued_at`] of what is
    /// inserted, as [`MemoryStore`](crate::MemoryStore) does, or from a clock of its own that does not run ahead.
    ///
    /// # Errors
    /// When it could not be kept. The client then gets 503 and no token; a row that was written all the same does no harm.
    fn insert(&self, hash: TokenHash, claims: Claims) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// What was kept under `hash` and has not been revoked since.
    ///
    /// Called by whoever checks a token that somebody presents, so `hash` may be the hash of anything. An answer that is too
    /// old lets a revoked token pass, and `None` for one that stands locks its client out. What has expired may be returned
    /// or not: whoever asks looks at [`Claims::expires_at`].
    ///
    /// # Errors
    /// When the store cannot tell. It must not take that for "no such token".
    fn find(&self, hash: &TokenHash) -> impl Future<Output = Result<Option<Claims>, BackendError>> + Send;

    /// Revokes one token. Whether this call did it: of several at once for one token, exactly one says `true`, and none does
    /// for a token that is unknown or revoked already.
    ///
    /// Once this has returned, [`find`](Self::find) finds it no more, on any instance over the same data.
    ///
    /// # Errors
    /// When the token may still stand. Whoever asked is told so, and has to ask again.
    fn revoke(&self, hash: &TokenHash) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// Revokes all tokens of a client that were issued at `at` or before, whether their rows are there yet or not.
    ///
    /// It is [`Claims::issued_at`] that decides, not which write lands first: a mint that was under way may insert its token
    /// after this has returned, and that token must be dead, or whoever took the client's access away has not taken it all.
    /// A token issued after `at` lives, even if its row is there already. A later call with an earlier `at` brings nothing
    /// back to life.
    ///
    /// # Errors
    /// When a token may still stand.
    fn revoke_all(
        &self,
        client_id: &ClientId,
        at: OffsetDateTime,
    ) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// Revokes a token that is not kept here, such as a JWT, by the hash of its [`jti`](Claims::jti). Whether this call did it:
    /// of several at once for one token, exactly one says `true`, and none does for a token that is revoked by itself already.
    /// For one that has expired, or has been revoked with all of its client, it may say either.
    ///
    /// Called once the token has been checked, so nobody fills the store with what there never was. Nothing else is known of
    /// the token or of its client here: there is no row of either to refer to.
    ///
    /// It has to be remembered at least until [`Claims::expires_at`], when the token expires by the clock of whoever
    /// checks it. A store that forgets it by another clock, such as its own or that of a purge elsewhere, keeps it for
    /// longer than these may differ, or the token comes back to life; the stores here keep it a minute longer.
    ///
    /// # Errors
    /// When the token may still stand. Whoever asked is told so, and has to ask again.
    fn deny(&self, jti: &TokenHash, claims: &Claims) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// Whether a token that is not kept here has been revoked: it by itself, by the hash of its [`jti`](Claims::jti), or with all
    /// of its client that were issued up to some later time ([`revoke_all`](Self::revoke_all)).
    ///
    /// Called whenever such a token is checked. It has to be right as soon as [`deny`](Self::deny) or
    /// [`revoke_all`](Self::revoke_all) has returned, on any instance over the same data: `false` from one that is behind lets a
    /// revoked token pass. From the token's [expiry](Claims::expires_at) on it may be either.
    ///
    /// A JWT says when it was issued in whole seconds, rounded down (RFC 7519 §4.1.6), so one that is issued after
    /// [`revoke_all`](Self::revoke_all) but within the same second is taken for revoked, and none that was issued before escapes.
    ///
    /// # Errors
    /// When the store cannot tell. It must not take that for `false`.
    fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// The tokens of a client that stand and have not expired at `now`, in any order. Called for an administrator; it may
    /// take its time.
    ///
    /// # Errors
    /// When the store cannot tell.
    fn list_tokens(
        &self,
        client_id: &ClientId,
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<Vec<(TokenHash, Claims)>, BackendError>> + Send;

    /// Forgets tokens that have expired at `now`, and what was [denied](Self::deny) of such, at most `most` of them, and says
    /// how many. Fewer than `most` means that none is left but what has expired within the last minutes.
    ///
    /// Called from time to time beside the mints, again and again until none is left. A call that holds the mints up for as
    /// long as it runs is wrong, which is why it is bounded. Forgetting one that has not expired locks its client out, and
    /// forgetting that one was denied lets it in again. A store whose rows go by themselves returns 0; one that keeps more
    /// than tokens may forget of that too, and counts it with them.
    ///
    /// # Errors
    /// When it could not forget; some may be forgotten all the same.
    fn purge_expired(
        &self,
        now: OffsetDateTime,
        most: usize,
    ) -> impl Future<Output = Result<usize, BackendError>> + Send;
}

/// Until when to remember that a token is denied: a minute longer than it counts, for clocks that differ.
pub(super) fn denied_until(claims: &Claims) -> OffsetDateTime {
    claims.expires_at().saturating_add(time::Duration::MINUTE)
}

/// Implements the trait for what has a store in it, by passing every call on.
macro_rules! token_store_through {
    ([$($generics:tt)*] $outer:ty, |$this:ident| $store:expr) => {
        impl<$($generics)*> TokenStore for $outer {
            async fn insert(&self, hash: TokenHash, claims: Claims) -> Result<(), BackendError> {
                let $this = self;
                $store.insert(hash, claims).await
            }

            async fn find(&self, hash: &TokenHash) -> Result<Option<Claims>, BackendError> {
                let $this = self;
                $store.find(hash).await
            }

            async fn revoke(&self, hash: &TokenHash) -> Result<bool, BackendError> {
                let $this = self;
                $store.revoke(hash).await
            }

            async fn revoke_all(&self, client_id: &ClientId, at: OffsetDateTime) -> Result<(), BackendError> {
                let $this = self;
                $store.revoke_all(client_id, at).await
            }

            async fn deny(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
                let $this = self;
                $store.deny(jti, claims).await
            }

            async fn is_denied(&self, jti: &TokenHash, claims: &Claims) -> Result<bool, BackendError> {
                let $this = self;
                $store.is_denied(jti, claims).await
            }

            async fn list_tokens(
                &self,
                client_id: &ClientId,
                now: OffsetDateTime,
            ) -> Result<Vec<(TokenHash, Claims)>, BackendError> {
                let $this = self;
                $store.list_tokens(client_id, now).await
            }

            async fn purge_expired(&self, now: OffsetDateTime, most: usize) -> Result<usize, BackendError> {
                let $this = self;
                $store.purge_expired(now, most).await
            }
        }
    };
}

token_store_through!([S: TokenStore + ?Sized] &S, |pointer| **pointer);
token_store_through!([S: TokenStore + ?Sized] Arc<S>, |pointer| **pointer);

pub(super) use token_store_through;

/// A [`TokenStore`] that is chosen at run time. A clone shares it.
#[derive(Clone)]
pub struct AnyTokenStore(Arc<dyn ErasedTokenStore>);

impl AnyTokenStore {
    /// Hides the type of a store.
    pub fn new(store: impl TokenStore + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for AnyTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyTokenStore")
    }
}

token_store_through!([] AnyTokenStore, |any| any.0);

trait ErasedTokenStore: Send + Sync {
    fn insert(&self, hash: TokenHash, claims: Claims) -> Answer<'_, ()>;
    fn find<'a>(&'a self, hash: &'a TokenHash) -> Answer<'a, Option<Claims>>;
    fn revoke<'a>(&'a self, hash: &'a TokenHash) -> Answer<'a, bool>;
    fn revoke_all<'a>(&'a self, client_id: &'a ClientId, at: OffsetDateTime) -> Answer<'a, ()>;
    fn deny<'a>(&'a self, jti: &'a TokenHash, claims: &'a Claims) -> Answer<'a, bool>;
    fn is_denied<'a>(&'a self, jti: &'a TokenHash, claims: &'a Claims) -> Answer<'a, bool>;
    fn list_tokens<'a>(&'a self, client_id: &'a ClientId, now: OffsetDateTime) -> Answer<'a, Vec<(TokenHash, Claims)>>;
    fn purge_expired(&self, now: OffsetDateTime, most: usize) -> Answer<'_, usize>;
}

impl<S: TokenStore> ErasedTokenStore for S {
    fn insert(&self, hash: TokenHash, claims: Claims) -> Answer<'_, ()> {
        Box::pin(TokenStore::insert(self, hash, claims))
    }

    fn find<'a>(&'a self, hash: &'a TokenHash) -> Answer<'a, Option<Claims>> {
        Box::pin(TokenStore::find(self, hash))
    }

    fn revoke<'a>(&'a self, hash: &'a TokenHash) -> Answer<'a, bool> {
        Box::pin(TokenStore::revoke(self, hash))
    }

    fn revoke_all<'a>(&'a self, client_id: &'a ClientId, at: OffsetDateTime) -> Answer<'a, ()> {
        Box::pin(TokenStore::revoke_all(self, client_id, at))
    }

    fn deny<'a>(&'a self, jti: &'a TokenHash, claims: &'a Claims) -> Answer<'a, bool> {
        Box::pin(TokenStore::deny(self, jti, claims))
    }

    fn is_denied<'a>(&'a self, jti: &'a TokenHash, claims: &'a Claims) -> Answer<'a, bool> {
        Box::pin(TokenStore::is_denied(self, jti, claims))
    }

    fn list_tokens<'a>(&'a self, client_id: &'a ClientId, now: OffsetDateTime) -> Answer<'a, Vec<(TokenHash, Claims)>> {
        Box::pin(TokenStore::list_tokens(self, client_id, now))
    }

    fn purge_expired(&self, now: OffsetDateTime, most: usize) -> Answer<'_, usize> {
        Box::pin(TokenStore::purge_expired(self, now, most))
    }
}
