//! What a caller can ask for, one module an endpoint.

mod form_post;
mod token;

pub use token::{AuthenticatedRequest, AuthorizedRequest, TokenRequest, TokenResponse, handle_token_request};
