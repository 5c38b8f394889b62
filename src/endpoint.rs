//! What a caller can ask for, one module an endpoint.

mod form_post;
mod management;
mod openapi;
mod token;

pub use management::handle_management_request;
pub use openapi::OPENAPI;
pub use token::{AuthenticatedRequest, AuthorizedRequest, TokenRequest, TokenResponse, handle_token_request};
