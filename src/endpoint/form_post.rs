//! What an endpoint that takes a form asks of a request before it looks into the form.

use crate::{Config, Error, Request, form, request::Field};

/// The form in the body of a POST, once everything about the request but the form itself is right. Limits come first, so
/// that nothing oversized is looked into.
pub(super) fn form<'a>(request: &Request<'a>, config: &Config) -> Result<&'a str, Error> {
    if request.method != "POST" {
        return Err(Error::MethodNotAllowed("POST"));
    }
    let body = request.body.filter(|body| body.len() <= config.max_body_bytes()).ok_or(Error::BodyTooLarge)?;
    if matches!(request.authorization, Field::Once(value) if value.len() > config.max_authorization_bytes()) {
        return Err(Error::AuthorizationTooLong);
    }
    let query = request.query.unwrap_or_default();
    if query.len() > config.max_body_bytes() {
        return Err(Error::QueryTooLong);
    }
    if form::count(body).max(form::count(query.as_bytes())) > config.max_parameters() {
        return Err(Error::TooManyParameters);
    }
    if has_credentials(query) {
        return Err(Error::CredentialsInQuery);
    }
    if !request.content_type.is_media_type(b"application/x-www-form-urlencoded") {
        return Err(Error::UnsupportedContentType);
    }
    std::str::from_utf8(body).map_err(|_| Error::MalformedForm)
}

/// RFC 6749 §2.3.1: credentials must not be in the URL, where logs keep them.
fn has_credentials(query: &str) -> bool {
    form::pairs(query)
        .any(|(name, _)| form::decode(name).is_ok_and(|name| matches!(&*name, "client_id" | "client_secret")))
}
