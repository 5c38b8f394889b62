use super::Error;

impl Error {
    /// A name that stays the same, in `snake_case`: for what counts and searches by it, such as the label of a metric.
    ///
    /// ```
    /// use client_credentials::Error;
    ///
    /// assert_eq!(Error::WrongSecret.name(), "wrong_secret");
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::IncompleteBody => "incomplete_body",
            Self::AuthorizationTooLong => "authorization_too_long",
            Self::QueryTooLong => "query_too_long",
            Self::TooManyParameters => "too_many_parameters",
            Self::UnsupportedContentType => "unsupported_content_type",
            Self::CredentialsInQuery => "credentials_in_query",
            Self::MalformedForm => "malformed_form",
            Self::RepeatedParameter(_) => "repeated_parameter",
            Self::MissingParameter(_) => "missing_parameter",
            Self::SeveralAuthentications => "several_authentications",
            Self::ClientIdMismatch => "client_id_mismatch",
            Self::MalformedCredentials => "malformed_credentials",
            Self::BarePercent => "bare_percent",
            Self::CredentialsNotUtf8 => "credentials_not_utf8",
            Self::LineEndInCredentials => "line_end_in_credentials",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::MalformedScope => "malformed_scope",
            Self::TooManyScopeTokens => "too_many_scope_tokens",
            Self::TooManyTenants => "too_many_tenants",
            Self::MalformedTarget => "malformed_target",
            Self::TargetNotAllowed => "target_not_allowed",
            Self::TokenTooLong => "token_too_long",
            Self::NoAuthentication => "no_authentication",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::UnknownClient => "unknown_client",
            Self::NoSecretRegistered => "no_secret_registered",
            Self::WrongSecret => "wrong_secret",
            Self::MisspelledSecret(_) => "misspelled_secret",
            Self::ExpiredSecret => "expired_secret",
            Self::WrongMethod => "wrong_method",
            Self::ClientThrottled(_) => "client_throttled",
            Self::SourceThrottled(_) => "source_throttled",
            Self::QuotaUsedUp(_) => "quota_used_up",
            Self::GrantNotEnabled => "grant_not_enabled",
            Self::ScopeNotRegistered => "scope_not_registered",
            Self::TenantNotAssigned => "tenant_not_assigned",
            Self::NoTenantAssigned => "no_tenant_assigned",
            Self::NotItsToken => "not_its_token",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::NoToken => "no_token",
            Self::MalformedToken => "malformed_token",
            Self::InvalidToken => "invalid_token",
            Self::MissingResource(_) => "missing_resource",
            Self::NotHeld => "not_held",
            Self::WrongAudience => "wrong_audience",
            Self::MissingScope => "missing_scope",
            Self::MissingTenant => "missing_tenant",
            Self::MissingResources => "missing_resources",
            Self::NotForHeaders => "not_for_headers",
            Self::MalformedQuery => "malformed_query",
            Self::NotFound(_) => "not_found",
            Self::AlreadyExists(_) => "already_exists",
            Self::StaleVersion => "stale_version",
            Self::TooManySecrets => "too_many_secrets",
            Self::NotJson => "not_json",
            Self::MalformedJson => "malformed_json",
            Self::UnknownParameter(_) => "unknown_parameter",
            Self::WrongParameter(..) => "wrong_parameter",
            Self::UnknownMember(_) => "unknown_member",
            Self::ReadOnlyMember(_) => "read_only_member",
            Self::WrongMember(..) => "wrong_member",
            Self::Interrupted => "interrupted",
            Self::Overloaded => "overloaded",
            Self::TooManyAtOnce => "too_many_at_once",
            Self::Backend(_) => "backend",
        }
    }
}
