//! What to look at when a request was refused: beside the table of what the client is told, the one of what it is not.

use super::Error;

impl Error {
    /// What the operator, or whoever develops the client, should look at: a sentence or two, for the log and never for the client.
    ///
    /// It repeats nothing that came with the request.
    ///
    /// ```
    /// use client_credentials::{Error, Misspelling};
    ///
    /// assert!(Error::UnknownClient.diagnosis().contains("client_id"));
    /// assert!(Error::MisspelledSecret(Misspelling::NotEncoded).diagnosis().contains("`+`"));
    /// ```
    #[must_use]
    #[rustfmt::skip]
    pub const fn diagnosis(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed(_)    => "another method belongs at this address: see `Allow` in the answer. A 301 or 302 on the way makes a GET of a POST",
            Self::BodyTooLarge           => "look at what the client sends; if it is right, raise `max_body_bytes`",
            Self::IncompleteBody         => "the connection ended before the body did: look at the timeouts of the client and of the proxies between",
            Self::AuthorizationTooLong   => "look at what the client sends; if it is right, raise `max_authorization_bytes`",
            Self::QueryTooLong           => "what the client puts into the URL belongs into the body, or is too much",
            Self::TooManyParameters      => "look at what the client sends; if it is right, raise `max_parameters`",
            Self::UnsupportedContentType => "the client sends JSON or another format: RFC 6749 section 4.4.2 wants application/x-www-form-urlencoded",
            Self::CredentialsInQuery     => "logs keep what stands in a URL: the client has to move its credentials into the header or the body, and its secret should be reset",
            Self::MalformedForm          => "a `%` in the body is not followed by two hexadecimal digits, or the body is not UTF-8: the client does not encode its parameters",
            Self::RepeatedParameter(_)   => "the client, or a library beneath it, adds the parameter twice",
            Self::MissingParameter(_)    => "the client sends no such parameter, or an empty one; the body may also have been lost on the way",
            Self::SeveralAuthentications => "the client puts its credentials into the header and into the body, or sends the header twice: it has to use one of them (RFC 6749 section 2.3)",
            Self::ClientIdMismatch       => "the client is configured with two identifiers, or does not encode the one in the Authorization header",
            Self::MalformedCredentials   => "an Authorization header is `Basic`, then base64 of the form-encoded client_id, a colon, and the form-encoded secret; an identifier is visible ASCII, and a secret has no control characters",
            Self::BarePercent            => "the client does not form-encode its client_id or its secret before it makes base64 of them: a `%` in them is `%25` (RFC 6749 section 2.3.1)",
            Self::CredentialsNotUtf8     => "the client writes its secret in ISO-8859-1 or another encoding: it has to be UTF-8, then form-encoded (RFC 6749 section 2.3.1)",
            Self::LineEndInCredentials   => "the client reads its credentials with the line end behind them: from a file, or from `echo` without `-n`",
            Self::UnsupportedGrantType   => "the client is configured for another grant: only client_credentials is served here",
            Self::MalformedScope         => "scope tokens are visible ASCII without quotes and backslashes, with one space between them: not a comma, not a JSON array",
            Self::TooManyScopeTokens     => "look at what the client asks for; if it is right, raise `max_scope_tokens`",
            Self::TooManyTenants         => "the client has more tenants than a token may name: let it ask for those that it needs, or raise `max_tenants`",
            Self::MalformedTarget        => "a `resource` is an absolute URI without a fragment (RFC 8707 section 2); a name of an API is an `audience`",
            Self::TargetNotAllowed       => "register the `resource` or `audience` with the client, or correct what the client asks for",
            Self::TokenTooLong           => "let the client ask for fewer tenants, give it fewer roles, use opaque tokens, or raise `max_authorization_bytes` here and at the APIs",
            Self::NoAuthentication       => "the client sends no credentials, or a proxy takes the Authorization header away",
            Self::UnsupportedScheme      => "the Authorization header is not `Basic`: the client sends a bearer token or something else where its client_id and secret belong",
            Self::UnknownClient          => "look at the client_id: at case, spaces and encoding, whether it is another environment's, and whether client_id and secret are exchanged; or the client was deleted",
            Self::NoSecretRegistered     => "the client was registered without a secret: reset its secret",
            Self::WrongSecret            => "the secret is another one, or spelt in another way, which is found out for fast hashes alone: look for a secret that was reset, cut off, not encoded, or of another environment or client",
            Self::MisspelledSecret(how)  => how.diagnosis(),
            Self::ExpiredSecret          => "give the client its new secret, or reset it: this one has ended",
            Self::WrongMethod            => "the client sends its secret in the header where it is registered for the body, or the other way round: see its `token_endpoint_auth_method`",
            Self::ClientThrottled(_)     => "secrets of this client fail again and again: look for an instance of it with an old secret, or for somebody who guesses; `max_failures_per_client` is the limit",
            Self::SourceThrottled(_)     => "requests from this address fail to authenticate, have no credentials, or are malformed, again and again: see the refusals before this one, look for what runs there, and whether the host names the address of the client and not that of a proxy; `max_failures_per_source` is the limit",
            Self::QuotaUsedUp(_)         => "the client, or its tenant, has got all the tokens of this hour or day: let it keep a token until it expires, or raise its quota",
            Self::GrantNotEnabled        => "set `seacatauth_credentials` of the client, or leave it unset: it has been disabled or was never enabled",
            Self::ScopeNotRegistered     => "add the scope to the client's `scope`, or correct what the client asks for",
            Self::TenantNotAssigned      => "assign the tenant to the client, or correct the tenant that the client asks for",
            Self::NoTenantAssigned       => "assign a tenant to the client, or let it ask for none",
            Self::NotItsToken            => "a client can end its own tokens only: it sends another client's, or authenticates as the wrong one",
            Self::UnsupportedTokenType   => "the tokens of this issuer cannot be ended through the store of the server: give the issuer the same store",
            Self::NoToken                => "the caller sends no bearer token, or a proxy takes the Authorization header away",
            Self::MalformedToken         => "the caller sends the Authorization header twice, or a longer one than `max_authorization_bytes`",
            Self::InvalidToken           => "the token has expired or was revoked, is another server's, or its client was deleted or disabled: the caller has to get a new one",
            Self::WrongAudience          => "the token is for another API: the client has to name this one as `resource` or `audience` when it asks for a token",
            Self::MissingResource(_)     => "give the client a role with this resource, and let it get a new token",
            Self::NotHeld                => "only who holds a resource of this server can give it, or touch a client that holds it: let somebody do it who does",
            Self::MissingScope           => "the client has to ask for the scope, and have it registered, when it gets its token",
            Self::MissingTenant          => "the client has to ask for the tenant, and have it assigned, when it gets its token",
            Self::MissingResources       => "give the client a role with the resources, in the tenant or globally, and let it get a new token",
            Self::NotForHeaders          => "let the client ask for fewer tenants, or take the spaces off its identifier",
            Self::MalformedQuery         => "a `%` in the query is not followed by two hexadecimal digits, or the query is not UTF-8",
            Self::NotFound(_)            => "look at the address, at the path under which the endpoints are mounted, and at the names in it",
            Self::AlreadyExists(_)       => "choose another name, or change the one that is there",
            Self::StaleVersion           => "somebody else has changed the client meanwhile: read it again, and change what is there now",
            Self::TooManySecrets         => "retire a secret of the client that is not used any more, or wait until one has expired",
            Self::NotJson                => "the caller sends a form or nothing where JSON belongs: set the content type application/json",
            Self::MalformedJson          => "the body is not JSON, not an object, or has a member twice: see the OpenAPI document",
            Self::UnknownParameter(_)    => "the name is misspelt, or belongs to another call: see the OpenAPI document",
            Self::WrongParameter(..)     => "the text of the cause says what the value may be: see the OpenAPI document too",
            Self::UnknownMember(_)       => "the name is misspelt, or the member is not kept here: see the OpenAPI document",
            Self::ReadOnlyMember(_)      => "leave the member out: it is the server's, or another call changes it",
            Self::WrongMember(..)        => "the text of the cause says what the value may be: see the OpenAPI document too",
            Self::Interrupted            => "the caller hung up: look at its timeouts, and read what has become of it before it is tried again",
            Self::Overloaded             => "secrets that are slow to verify come faster than they are: look for a flood, give the clients generated secrets, or raise `with_verification_threads`",
            Self::TooManyAtOnce          => "this source guesses at secrets, or many clients are behind it: give them generated secrets, or raise `with_verification_queue`",
            Self::Backend(_)             => "look at the database, the cache or the signer: to see what failed, log `Reply::cause` and its sources, which are in no event, since a driver may repeat what it was given",
        }
    }
}
