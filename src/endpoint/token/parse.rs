use std::sync::Arc;

use time::OffsetDateTime;

use super::{super::form_post, AuthenticatedRequest};
use crate::{
    Client, Config, Error, Request,
    authentication::{AuthenticatedClient, ClientAuthentication},
    form,
    form::Decoded,
    scope::is_scope,
};

/// An access token request (RFC 6749 §4.4.2) that is well-formed, from a client that nobody has checked yet.
#[derive(Debug)]
pub struct TokenRequest<'a> {
    authentication: ClientAuthentication<'a>,
    asked: Asked<'a>,
    received_at: OffsetDateTime,
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    scope: Option<Decoded<'a>>,
    audience: Vec<Decoded<'a>>,
}

impl<'a> TokenRequest<'a> {
    /// Parses a request.
    ///
    /// # Errors
    /// When it is over a limit of the configuration, or is not what §2.3, §3.2 and §4.4.2 ask for.
    pub fn parse(request: &Request<'a>, config: &Config) -> Result<Self, Error> {
        let (authentication, asked) = Self::read(request, config)?;
        Ok(Self { authentication, asked: asked?, received_at: request.received_at })
    }

    /// The same in two: the credentials, and what is asked for, since whoever has the right ones has not failed at them, whatever
    /// is wrong with that.
    pub(super) fn read(
        request: &Request<'a>,
        config: &Config,
    ) -> Result<(ClientAuthentication<'a>, Result<Asked<'a>, Error>), Error> {
        let (mut grant_type, mut scope, mut client_id, mut client_secret) = (None, None, None, None);
        let (mut resource, mut audience) = (Vec::new(), Vec::new());
        form::parameters(form_post::form(request, config)?, |name, value| {
            match name {
                // §4.4.2
                "grant_type" => value.once("grant_type", &mut grant_type)?,
                "scope" => value.once("scope", &mut scope)?,
                // §2.3.1
                "client_id" => value.once("client_id", &mut client_id)?,
                "client_secret" => value.once("client_secret", &mut client_secret)?,
                // RFC 8707 §2: these may be there more than once.
                "resource" => resource.push(value.decode()?),
                "audience" => audience.push(value.decode()?),
                // §3.2: what is unknown is ignored.
                _ => {}
            }
            Ok(())
        })?;
        let authentication = ClientAuthentication::parse(request.authorization, client_id, client_secret)?;
        let grant_type = grant_type.as_deref();
        Ok((authentication, Asked::check(grant_type, scope, resource, audience, config)))
    }

    /// The client identifier that the request claims, to look the client up by.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.authentication.client_id()
    }

    /// Checks the client's credentials (§2.3) against what the look-up found, which is `None` for an unknown client.
    ///
    /// It costs one verification of a secret in any case, so call it for an unknown client too. That is done here, where this
    /// is called: for a slow hash it takes a tenth of a second or more, which an executor should not be held up for.
    ///
    /// # What a host does by itself
    /// This is the check and no more. A host that takes the steps one by one goes past all else that
    /// [`handle_token_request`](crate::handle_token_request) does with an [`AuthorizationServer`](crate::AuthorizationServer):
    ///
    /// | part of the server | without it |
    /// | --- | --- |
    /// | [`with_throttle`](crate::AuthorizationServer::with_throttle) | nobody waits, however often he fails |
    /// | [`with_verification_threads`](crate::AuthorizationServer::with_verification_threads) and its queue | slow hashes take this thread, as many at once as there are requests |
    /// | [`with_verified_secrets`](crate::AuthorizationServer::with_verified_secrets) | a slow hash is verified at each request |
    /// | [`with_hashes_upgraded`](crate::AuthorizationServer::with_hashes_upgraded), [`with_uses_noted`](crate::AuthorizationServer::with_uses_noted) | nothing is noted; [`AuthenticatedRequest::client_secret`] says what was used |
    /// | [`with_misspellings_noted`](crate::AuthorizationServer::with_misspellings_noted) | a wrong secret is [`Error::WrongSecret`] and no more is found out |
    /// | [`with_quotas`](crate::AuthorizationServer::with_quotas) | tokens are not counted |
    /// | [`with_audit_sink`](crate::AuthorizationServer::with_audit_sink) | no refusal is an event, nor is the use of an [old secret](AuthenticatedRequest::retiring_secret) or a token that is issued |
    /// | features `tracing` and `metrics` | no span, and nothing counted or timed |
    /// | [`max_authorization_bytes`](Config::max_authorization_bytes) | a longer token is issued, which no endpoint here will look at |
    ///
    /// # Errors
    /// When these are not the credentials of this client; a client that is not the one asked for counts as unknown.
    pub fn authenticate(self, client: Option<Arc<Client>>, config: &Config) -> Result<AuthenticatedRequest<'a>, Error> {
        let client = self.authentication.authenticate(client, self.received_at, config)?;
        Ok(self.asked.authenticated(client, self.received_at))
    }
}

impl<'a> Asked<'a> {
    /// §4.4.2; RFC 8707 §2.
    fn check(
        grant_type: Option<&str>,
        scope: Option<Decoded<'a>>,
        resource: Vec<Decoded<'a>>,
        audience: Vec<Decoded<'a>>,
        config: &Config,
    ) -> Result<Self, Error> {
        match grant_type {
            Some("client_credentials") => {}
            Some(_) => return Err(Error::UnsupportedGrantType),
            None => return Err(Error::MissingParameter("grant_type")),
        }
        if let Some(scope) = scope.as_deref() {
            if scope.bytes().filter(|b| *b == b' ').count() >= config.max_scope_tokens() {
                return Err(Error::TooManyScopeTokens);
            }
            if !is_scope(scope) {
                return Err(Error::MalformedScope);
            }
        }
        if !resource.iter().all(|resource| is_resource(resource)) {
            return Err(Error::MalformedTarget);
        }
        Ok(Self { scope, audience: distinct(resource, audience) })
    }

    /// The request once its client has proven who it is.
    pub(super) fn authenticated(
        self,
        client: AuthenticatedClient,
        received_at: OffsetDateTime,
    ) -> AuthenticatedRequest<'a> {
        AuthenticatedRequest::new(client, self.scope, self.audience, received_at)
    }
}

/// RFC 8707 §2: an absolute URI without a fragment. All else about it is for the client's registration to say.
fn is_resource(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    text.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) && !text.contains('#')
}

/// Each of them once. Quadratic, in a number that `max_parameters` bounds.
fn distinct<'a>(resource: Vec<Decoded<'a>>, audience: Vec<Decoded<'a>>) -> Vec<Decoded<'a>> {
    let mut distinct: Vec<Decoded<'a>> = Vec::new();
    // Nearly every request names none.
    if resource.is_empty() && audience.is_empty() {
        return distinct;
    }
    for value in resource.into_iter().chain(audience) {
        if !distinct.iter().any(|earlier| **earlier == *value) {
            distinct.push(value);
        }
    }
    distinct
}
