use super::Error;

/// What kind of an end a cause makes, where this crate acts by it. What the client is told does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The request is refused for what it is, or asks for.
    Refused,
    /// There is no client that has these credentials, since there is no such client.
    UnknownClient,
    /// The credentials are not those of the client, or do not count any more.
    WrongCredentials,
    /// Whoever asks has to wait, which the audit was told when the wait began, or with the name of the quota.
    ToldAlready,
    /// The server could not do it.
    Failed,
}

impl Error {
    /// Whether it is the server that could not do it, and not the request that was refused.
    pub(crate) const fn is_failure(&self) -> bool {
        matches!(self.kind(), Kind::Failed)
    }

    /// Whether somebody has tried credentials that are none, which is counted.
    pub(crate) const fn is_failed_authentication(&self) -> bool {
        matches!(self.kind(), Kind::UnknownClient | Kind::WrongCredentials)
    }

    /// Whether an attempt to authenticate that ends so has failed. Who sends more secrets than are verified could else do so for ever,
    /// with an event each time.
    pub(crate) const fn is_counted(&self) -> bool {
        self.is_failed_authentication() || matches!(self, Self::TooManyAtOnce)
    }

    /// Whether the audit has an event for it already: of the beginning of the wait, or of the quota that is used up.
    pub(crate) const fn is_told_already(&self) -> bool {
        matches!(self.kind(), Kind::ToldAlready)
    }

    /// Whether the client identifier of such a request may be none that anybody has found, and so a secret in the wrong place.
    pub(crate) const fn leaves_client_unknown(&self) -> bool {
        matches!(self.kind(), Kind::UnknownClient | Kind::Failed)
    }

    /// Each cause is named, so that a new one is not taken for a kind that it is not.
    const fn kind(&self) -> Kind {
        match self {
            Self::UnknownClient => Kind::UnknownClient,
            Self::NoSecretRegistered
            | Self::WrongSecret
            | Self::MisspelledSecret(_)
            | Self::ExpiredSecret
            | Self::WrongMethod => Kind::WrongCredentials,
            Self::ClientThrottled(_) | Self::SourceThrottled(_) | Self::QuotaUsedUp(_) => Kind::ToldAlready,
            Self::Interrupted | Self::Overloaded | Self::TooManyAtOnce | Self::Backend(_) => Kind::Failed,
            Self::MethodNotAllowed(_)
            | Self::BodyTooLarge
            | Self::IncompleteBody
            | Self::AuthorizationTooLong
            | Self::QueryTooLong
            | Self::TooManyParameters
            | Self::UnsupportedContentType
            | Self::CredentialsInQuery
            | Self::MalformedForm
            | Self::RepeatedParameter(_)
            | Self::MissingParameter(_)
            | Self::SeveralAuthentications
            | Self::ClientIdMismatch
            | Self::MalformedCredentials
            | Self::BarePercent
            | Self::CredentialsNotUtf8
            | Self::LineEndInCredentials
            | Self::UnsupportedGrantType
            | Self::MalformedScope
            | Self::TooManyScopeTokens
            | Self::TooManyTenants
            | Self::MalformedTarget
            | Self::TargetNotAllowed
            | Self::TokenTooLong
            // Nobody has tried any credentials.
            | Self::NoAuthentication
            | Self::UnsupportedScheme
            | Self::GrantNotEnabled
            | Self::ScopeNotRegistered
            | Self::TenantNotAssigned
            | Self::NoTenantAssigned
            | Self::NotItsToken
            | Self::UnsupportedTokenType
            | Self::NoToken
            | Self::MalformedToken
            | Self::InvalidToken
            | Self::MissingResource(_)
            | Self::NotHeld
            | Self::WrongAudience
            | Self::MissingScope
            | Self::MissingTenant
            | Self::MissingResources
            | Self::NotForHeaders
            | Self::MalformedQuery
            | Self::NotFound(_)
            | Self::AlreadyExists(_)
            | Self::StaleVersion
            | Self::TooManySecrets
            | Self::NotJson
            | Self::MalformedJson
            | Self::UnknownParameter(_)
            | Self::WrongParameter(..)
            | Self::UnknownMember(_)
            | Self::ReadOnlyMember(_)
            | Self::WrongMember(..) => Kind::Refused,
        }
    }
}
