//! What a caller can ask for, one module an endpoint.

mod form_post;
mod gateway;
mod introspection;
mod management;
mod openapi;
mod revocation;
mod token;

pub use gateway::handle_gateway_request;
pub use introspection::{INTROSPECTION, handle_introspection_request};
pub use management::handle_management_request;
pub use openapi::OPENAPI;
pub use revocation::handle_revocation_request;
pub use token::{AuthenticatedRequest, AuthorizedRequest, TokenRequest, TokenResponse, handle_token_request};
