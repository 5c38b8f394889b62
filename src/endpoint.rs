//! What a caller can ask for, one module an endpoint, and where each of them is.

mod document;
mod endpoints;
mod form_post;
mod gateway;
mod introspection;
mod jwks;
mod management;
mod metadata;
mod openapi;
mod revocation;
mod route;
mod token;

pub use endpoints::{Endpoint, EndpointError, Endpoints};
pub use gateway::handle_gateway_request;
pub use introspection::{INTROSPECTION, handle_introspection_request};
pub use jwks::handle_jwks_request;
pub use management::handle_management_request;
pub use metadata::handle_metadata_request;
pub use openapi::OPENAPI;
pub use revocation::handle_revocation_request;
pub use route::handle_request;
#[cfg(feature = "tower")]
pub(crate) use route::{handle_routed_request, routed};
pub use token::{AuthenticatedRequest, AuthorizedRequest, TokenRequest, TokenResponse, handle_token_request};
