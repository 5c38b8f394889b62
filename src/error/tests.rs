use std::{collections::HashSet, time::Duration};

use super::{BackendError, Error, ErrorCode, Misspelling, ParameterName};
use crate::{
    AuditAction, AuditEvent, AuthorizationServer, Claims, ClientId, Config, MemoryCounters, MemoryStore, OpaqueIssuer,
    Quota, Quotas, RateLimit, Request, now, variants,
};

/// One of each.
pub(crate) fn causes() -> Vec<Error> {
    variants::all!(
        Error: MethodNotAllowed("POST"),
        BodyTooLarge,
        IncompleteBody,
        AuthorizationTooLong,
        QueryTooLong,
        TooManyParameters,
        UnsupportedContentType,
        CredentialsInQuery,
        MalformedForm,
        RepeatedParameter("scope"),
        MissingParameter("grant_type"),
        SeveralAuthentications,
        ClientIdMismatch,
        MalformedCredentials,
        BarePercent,
        CredentialsNotUtf8,
        LineEndInCredentials,
        UnsupportedGrantType,
        MalformedScope,
        TooManyScopeTokens,
        TooManyTenants,
        MalformedTarget,
        TargetNotAllowed,
        TokenTooLong,
        NoAuthentication,
        UnsupportedScheme,
        UnknownClient,
        NoSecretRegistered,
        WrongSecret,
        MisspelledSecret(Misspelling::Quoted),
        ExpiredSecret,
        WrongMethod,
        ClientThrottled(Duration::from_secs(1)),
        SourceThrottled(Duration::from_secs(1)),
        QuotaUsedUp(rate_limit()),
        GrantNotEnabled,
        ScopeNotRegistered,
        TenantNotAssigned,
        NoTenantAssigned,
        NotItsToken,
        UnsupportedTokenType,
        NoToken,
        MalformedToken,
        InvalidToken,
        MissingResource("seacat:client:access"),
        NotHeld,
        WrongAudience,
        MissingScope,
        MissingTenant,
        MissingResources,
        NotForHeaders,
        MalformedQuery,
        NotFound("client"),
        AlreadyExists("role"),
        StaleVersion,
        TooManySecrets,
        NotJson,
        MalformedJson,
        UnknownParameter(ParameterName::of("scop")),
        WrongParameter("i", "a number"),
        UnknownMember(ParameterName::of("client_nam")),
        ReadOnlyMember(ParameterName::of("client_id")),
        WrongMember("client_name", "a text"),
        Interrupted,
        Overloaded,
        TooManyAtOnce,
        Backend(BackendError::new("down")),
    )
    .into()
}

fn rate_limit() -> Box<RateLimit> {
    let store = MemoryStore::default();
    let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
    let quotas = Quotas::default().with_default(Quota::per_day(1).unwrap());
    let server = server.with_quotas(quotas, MemoryCounters::default());
    let claims = Claims::new(ClientId::parse("billing").unwrap(), now(), now());
    let taken = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(server.take_token(&claims, &Request::new("POST", claims.issued_at())));
    taken.unwrap().unwrap()
}

#[test]
fn a_name_is_the_variants_and_no_others() {
    let causes = causes();
    let names: HashSet<_> = causes.iter().map(Error::name).collect();
    assert_eq!(names.len(), causes.len());
    for cause in causes {
        let debug = format!("{cause:?}");
        let variant = debug.split('(').next().unwrap();
        let in_snake_case = |c: char| if c.is_ascii_uppercase() { format!("_{c}").to_lowercase() } else { c.into() };
        let name: String = variant.chars().map(in_snake_case).collect();
        assert_eq!(cause.name(), name.trim_start_matches('_'), "{variant}");
    }
}

#[test]
fn what_is_acted_upon_is_what_is_told() {
    for cause in causes() {
        let (response, name) = (cause.response(), cause.name());
        assert_eq!(cause.is_failure(), response.status() == 503, "{name}");
        assert_eq!(cause.is_told_already(), response.status() == 429, "{name}");
        let is_tried = !matches!(cause, Error::NoAuthentication | Error::UnsupportedScheme);
        let is_wrong = response.error() == ErrorCode::InvalidClient && is_tried;
        assert_eq!(cause.is_failed_authentication(), is_wrong, "{name}");
        let is_unknown = cause.is_failure() || matches!(cause, Error::UnknownClient);
        assert_eq!(cause.leaves_client_unknown(), is_unknown, "{name}");
        let event = AuditEvent { cause: Some(&cause), ..AuditEvent::new(now(), AuditAction::RequestToken) };
        assert_eq!(event.outcome(), if cause.is_failure() { "failed" } else { "refused" }, "{name}");
    }
}

#[test]
fn rfc6749_5_2_the_characters_of_a_description() {
    for cause in causes() {
        let (response, name) = (cause.response(), cause.name());
        let is_allowed = |b| matches!(b, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        assert!(response.error_description().bytes().all(is_allowed), "{name}");
        assert!(!response.error_description().is_empty() && !cause.diagnosis().is_empty(), "{name}");
    }
}

#[test]
fn a_name_of_the_request_is_kept_where_it_can_be_one() {
    for (text, kept) in [("scop", "scop"), ("a_b", "a_b"), ("S3cret", "..."), ("a b", "..."), ("", "...")] {
        assert_eq!(ParameterName::of(text).to_string(), kept);
    }
    assert_eq!(
        Error::UnknownParameter(ParameterName::of("S3cret")).response().error_description(),
        "there is no parameter `...`"
    );
    assert_eq!(ParameterName::of(&"a".repeat(65)).to_string(), "...");
}
