// The code in it is tested where it compiles.
#![cfg_attr(any(not(doctest), all(feature = "tower", feature = "metrics")), doc = include_str!("../README.md"))]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod administrator;
mod audit;
mod authentication;
mod client;
mod clock;
mod config;
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub mod conformance;
mod duration;
mod endpoint;
mod error;
mod form;
#[cfg(feature = "http")]
mod http_types;
mod issuer;
mod json;
mod observe;
mod provisioning;
mod quota;
mod random;
#[cfg(feature = "remote")]
mod remote;
mod reply;
mod request;
mod resource_server;
mod scope;
mod secret;
mod server;
#[cfg(feature = "tower")]
mod service;
mod store;
mod table;
mod text;
mod throttle;
mod token;
mod uses;
mod variants;
mod verification;

pub use access::{Authorization, Resources, Role, RoleId, SUPERUSER, TENANT_ACCESS};
pub use administrator::Administrator;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use audit::TracingSink;
pub use audit::{AuditAction, AuditEvent, AuditHead, AuditKey, AuditLog, AuditLogError, AuditSink, verify_audit_log};
pub use client::{Client, ClientBuilder, ClientError, ClientId, StoredSecret, TokenEndpointAuthMethod};
pub use clock::now;
pub use config::{Config, ConfigError};
pub use endpoint::{
    AuthenticatedRequest, AuthorizedRequest, Endpoint, EndpointError, Endpoints, INTROSPECTION, OPENAPI, TokenRequest,
    TokenResponse, handle_gateway_request, handle_introspection_request, handle_jwks_request,
    handle_management_request, handle_metadata_request, handle_request, handle_revocation_request,
    handle_token_request,
};
pub use error::{BackendError, Error, ErrorCode, ErrorResponse, Misspelling, ParameterName};
/// The crate whose requests and responses an [`HttpClient`] takes and gives.
#[cfg(feature = "remote")]
#[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
pub use http;
#[cfg(feature = "aws-lc-rs")]
#[cfg_attr(docsrs, doc(cfg(feature = "aws-lc-rs")))]
pub use issuer::AwsLcSigningKey;
pub use issuer::{
    AnySigner, AnyTokenIssuer, AnyTokenVerifier, Jwks, JwtIssuer, JwtVerifier, KeyError, KeySet, OpaqueIssuer,
    PublicJwk, SealedIssuer, SealingKey, Signer, SigningAlgorithm, SigningKey, TokenIssuer, TokenVerifier,
};
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub use observe::describe_metrics;
pub use provisioning::{Provisioning, ProvisioningError};
pub use quota::{Quota, Quotas, RateLimit};
pub use random::RandomSource;
/// The crate whose connections [`RedisStore`] takes.
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use redis;
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use remote::http_client_builder;
#[cfg(feature = "remote")]
#[cfg_attr(docsrs, doc(cfg(feature = "remote")))]
pub use remote::{HttpClient, IntrospectionVerifier, JwksVerifier};
pub use reply::Reply;
pub use request::Request;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use request::Source;
/// The crate whose `Client` is an [`HttpClient`].
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use reqwest;
pub use resource_server::{Requirements, ResourceServer};
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use resource_server::{ResourceServerLayer, ResourceServerService};
pub use scope::{Scope, TenantName};
pub use secret::{AccessToken, ClientSecret, ClientSecretHash, SecretClass, TokenHash};
pub use server::AuthorizationServer;
#[cfg(feature = "tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub use service::AuthorizationService;
/// The crate whose `PgPool` [`PostgresStore::with_pool`] takes.
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use sqlx;
#[cfg(feature = "cached")]
#[cfg_attr(docsrs, doc(cfg(feature = "cached")))]
pub use store::Cached;
#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use store::PostgresStore;
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use store::RedisStore;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use store::SqliteStore;
pub use store::{
    Admitted, AnyClientRegistry, AnyClientStore, AnyCounterStore, AnyTokenStore, Attempt, Claim, ClientRegistry,
    ClientStore, CounterKey, CounterStore, FailureLimit, Failures, MemoryCounters, MemoryStore, Registered,
    ReplayStore, Stores, Taken, TokenStore, Updated, Version,
};
pub use text::ParseError;
pub use throttle::Throttle;
/// The crate whose [`OffsetDateTime`](time::OffsetDateTime) stands in this crate's interface.
pub use time;
pub use token::Claims;
