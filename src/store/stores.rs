use std::sync::Arc;

use time::OffsetDateTime;

use super::{
    ClientRegistry, ClientStore, Registered, TokenStore, Updated, Version, client_store_through,
    registry::client_registry_through, tokens::token_store_through,
};
use crate::{BackendError, Claims, Client, ClientId, Role, RoleId, TenantName, TokenHash};

/// Two stores as one: for what takes clients and tokens from the same.
///
/// ```
/// use client_credentials::{AnyClientRegistry, AnyTokenStore, MemoryStore, Stores};
///
/// // What an `AuthorizationServer` needs that answers management calls, whatever was chosen at run time.
/// let (clients, tokens) = (MemoryStore::default(), MemoryStore::default());
/// let stores = Stores { clients: AnyClientRegistry::new(clients), tokens: AnyTokenStore::new(tokens) };
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is a pair, and will not be anything else")]
pub struct Stores<C, T> {
    /// Where clients are.
    pub clients: C,
    /// Where opaque tokens are, and which others have been revoked. API keys are for long, so they are in here only if it loses
    /// nothing.
    pub tokens: T,
}

client_store_through!([C: ClientStore, T: Send + Sync] Stores<C, T>, |both| both.clients);
client_registry_through!([C: ClientRegistry, T: Send + Sync] Stores<C, T>, |both| both.clients);
token_store_through!([C: Send + Sync, T: TokenStore] Stores<C, T>, |both| both.tokens);
