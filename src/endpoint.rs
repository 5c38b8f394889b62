//! What a caller can ask for, one module an endpoint.

mod form_post;
mod introspection;
mod jwks;
mod management;
mod openapi;
mod token;

pub use introspection::handle_introspection_request;
pub use jwks::handle_jwks_request;
pub use management::handle_management_request;
pub use openapi::OPENAPI;
pub use token::{AuthenticatedRequest, AuthorizedRequest, TokenRequest, TokenResponse, handle_token_request};
