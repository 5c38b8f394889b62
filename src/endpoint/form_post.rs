//! What an endpoint that takes a form asks of a request before it looks into the form.

use crate::{
    AuditAction, AuthorizationServer, Config, Error, Request, authentication::ClientAuthentication, form,
    form::Decoded, request::Field,
};

/// The form in the body of a POST, once everything about the request but the form itself is right. Limits come first, so
/// that nothing oversized is looked into.
pub(super) fn form<'a>(request: &Request<'a>, config: &Config) -> Result<&'a str, Error> {
    if request.method != "POST" {
        return Err(Error::MethodNotAllowed("POST"));
    }
    let body = request.body_up_to(config.max_body_bytes())?;
    if matches!(request.authorization, Field::Once(value) if value.len() > config.max_authorization_bytes()) {
        return Err(Error::AuthorizationTooLong);
    }
    if form::count(body) > config.max_parameters() {
        return Err(Error::TooManyParameters);
    }
    if let Some(query) = request.query {
        if query.len() > config.max_body_bytes() {
            return Err(Error::QueryTooLong);
        }
        if form::count(query.as_bytes()) > config.max_parameters() {
            return Err(Error::TooManyParameters);
        }
        if has_credentials(query) {
            return Err(Error::CredentialsInQuery);
        }
    }
    if !request.content_type.is_media_type(b"application/x-www-form-urlencoded") {
        return Err(Error::UnsupportedContentType);
    }
    std::str::from_utf8(body).map_err(|_| Error::MalformedForm)
}

/// `token`, `client_id` and `client_secret` of a request about a token (RFC 7662 §2.1, RFC 7009 §2.1). `token_type_hint` is not
/// needed, since there is one place to look.
pub(super) fn about_token<'a>(request: &Request<'a>, config: &Config) -> Result<[Option<Decoded<'a>>; 3], Error> {
    let (mut token, mut client_id, mut client_secret) = (None, None, None);
    form::parameters(form(request, config)?, |name, value| match name {
        "token" => value.once("token", &mut token),
        "client_id" => value.once("client_id", &mut client_id),
        "client_secret" => value.once("client_secret", &mut client_secret),
        _ => Ok(()),
    })?;
    Ok([token, client_id, client_secret])
}

/// Tells the audit who was refused that asked about a token, so far as the request says it.
pub(super) fn record_refusal<S, T>(
    server: &AuthorizationServer<S, T>,
    request: &Request<'_>,
    action: AuditAction,
    cause: &Error,
) {
    if server.is_audited() {
        let authentication = about_token(request, server.config())
            .and_then(|[_, id, secret]| ClientAuthentication::parse(request.authorization, id, secret));
        let client_id = authentication.as_ref().ok().map(ClientAuthentication::client_id);
        server.record_refusal(request, action, client_id, cause);
    }
}

/// RFC 6749 §2.3.1: credentials must not be in the URL, where logs keep them.
fn has_credentials(query: &str) -> bool {
    form::pairs(query)
        .any(|(name, _)| form::decode(name).is_ok_and(|name| matches!(&*name, "client_id" | "client_secret")))
}
