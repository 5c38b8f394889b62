//! What an operator has to be able to find out afterwards: who did what, to which client, and what came of it.

mod chain;
mod log;
#[cfg(feature = "tracing")]
mod tracing_sink;
mod verify;

use std::{net::IpAddr, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Error, Request};
pub use chain::{AuditHead, AuditKey};
pub use log::AuditLog;
#[cfg(feature = "tracing")]
pub use tracing_sink::TracingSink;
pub use verify::{AuditLogError, verify_audit_log};

/// Takes the events of a server; the host gives it to [`AuthorizationServer::with_audit_sink`].
///
/// ```
/// use client_credentials::{AuditEvent, AuditSink};
///
/// /// One line of JSON for each event.
/// struct Lines;
///
/// impl AuditSink for Lines {
///     fn record(&self, event: &AuditEvent<'_>) {
///         println!("{}", serde_json::to_string(event).unwrap_or_default());
///     }
/// }
/// ```
///
/// [`AuthorizationServer::with_audit_sink`]: crate::AuthorizationServer::with_audit_sink
pub trait AuditSink: Send + Sync {
    /// Takes one event.
    ///
    /// Called in the middle of a request, which goes on when this returns, and which does not learn of a failure: be quick,
    /// and put what takes time into a queue. Nothing in an event is a secret or a token. A caller may have put one
    /// into the wrong place, where a name belongs: so a name is left out where nobody has found what it names.
    fn record(&self, event: &AuditEvent<'_>);
}

/// For a sink that the host looks at too.
impl<S: AuditSink + ?Sized> AuditSink for Arc<S> {
    fn record(&self, event: &AuditEvent<'_>) {
        (**self).record(event);
    }
}

/// Something that was done, or was refused or failed.
///
/// It serializes to an object with the members `time` (RFC 3339), `source`, `actor`, `action`, `client_id`, `target`, `scope`,
/// `expires_at` (RFC 3339; those that there are), `outcome` (`success`, `refused` or `failed`), and where it is not a success
/// `cause` and `diagnosis`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// When the request arrived.
    pub time: OffsetDateTime,
    /// Where the request came from, if the host has [named](Request::source) that.
    pub source: Option<IpAddr>,
    /// Who: the client whose token was presented, or the name that the host gave. `None` where nobody is known.
    pub actor: Option<&'a str>,
    /// What.
    pub action: AuditAction,
    /// To which client; where somebody was refused who has not proven who he is, as which client he came.
    pub client_id: Option<&'a str>,
    /// To what else: a tenant, a role, the id of a secret or an API key, which is the hash of its token, a network
    /// such as `2001:db8::/64`, or a quota such as `client:billing 1000/h`.
    pub target: Option<&'a str>,
    /// The scope of a token that was issued, in which its tenants are too, as `tenant:NAME`.
    pub scope: Option<&'a str>,
    /// From when on a token that was issued counts no more.
    pub expires_at: Option<OffsetDateTime>,
    /// Why it was not done, if it was not.
    pub cause: Option<&'a Error>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditAction {
    /// A request for a token, which was refused.
    RequestToken,
    /// A token was issued to a client, and its target is its [id](crate::TokenIssuer::token_id). It is an event only where the host
    /// [wants](crate::AuthorizationServer::with_issued_tokens_audited) it to be.
    IssueToken,
    /// A question about a token, which was refused.
    Introspect,
    /// A client ends a token that it got.
    RevokeToken,
    /// A call of an API behind a gateway, which was refused. One without a token is no event: anybody may make any number of
    /// them.
    CallApi,
    /// A secret that is about to end was used.
    UseRetiringSecret,
    /// A client or a source has failed to authenticate so often that it has to wait. There is one event for each wait, and
    /// none for those who are refused in it.
    Throttle,
    /// So much of a quota is used up as the configuration says to tell.
    CrossThreshold,
    /// A token is more than a quota allows: it was refused, or issued all the same where quotas only monitor.
    ExceedQuota,
    /// A call of the management endpoint that got no further than to its bearer token or its path.
    Manage,
    /// Clients are listed.
    ListClients,
    /// A client is read.
    ReadClient,
    /// A client is registered.
    CreateClient,
    /// A client's metadata is changed.
    UpdateClient,
    /// A client is deleted, and its tokens are revoked.
    DeleteClient,
    /// All tokens of a client are ended.
    RevokeTokens,
    /// A client gets a new secret.
    ResetSecret,
    /// A client's secrets are listed.
    ListSecrets,
    /// A secret is ended.
    RetireSecret,
    /// A slow hash of a secret is replaced by a fast one, since nobody could guess it.
    UpgradeSecretHash,
    /// An API key is made.
    CreateApiKey,
    /// A client's API keys are listed.
    ListApiKeys,
    /// An API key is ended, or all of them.
    RevokeApiKey,
    /// A tenant is assigned to a client's credentials.
    AssignTenant,
    /// A tenant is taken from a client's credentials.
    UnassignTenant,
    /// A role is assigned to a client's credentials.
    AssignRole,
    /// A role is taken from a client's credentials.
    UnassignRole,
    /// A role's definition is read.
    ReadRole,
    /// A role is defined for the first time.
    CreateRole,
    /// A role's definition is replaced.
    UpdateRole,
    /// A role's definition is removed.
    DeleteRole,
}

impl AuditAction {
    /// Whether it changes nothing, so that it is an event only when it is refused.
    pub(crate) const fn is_read(self) -> bool {
        match self {
            Self::ListClients | Self::ReadClient | Self::ListSecrets | Self::ListApiKeys | Self::ReadRole => true,
            Self::RequestToken
            | Self::IssueToken
            | Self::Introspect
            | Self::RevokeToken
            | Self::CallApi
            | Self::UseRetiringSecret
            | Self::Throttle
            | Self::CrossThreshold
            | Self::ExceedQuota
            | Self::Manage
            | Self::CreateClient
            | Self::UpdateClient
            | Self::DeleteClient
            | Self::RevokeTokens
            | Self::ResetSecret
            | Self::RetireSecret
            | Self::UpgradeSecretHash
            | Self::CreateApiKey
            | Self::RevokeApiKey
            | Self::AssignTenant
            | Self::UnassignTenant
            | Self::AssignRole
            | Self::UnassignRole
            | Self::CreateRole
            | Self::UpdateRole
            | Self::DeleteRole => false,
        }
    }
}

impl AuditEvent<'_> {
    /// That something was done, by nobody who is known and to nothing that is said.
    pub(crate) const fn new(time: OffsetDateTime, action: AuditAction) -> Self {
        Self {
            time,
            source: None,
            actor: None,
            action,
            client_id: None,
            target: None,
            scope: None,
            expires_at: None,
            cause: None,
        }
    }

    /// The same by whoever has sent this request.
    pub(crate) const fn of_request(request: &Request<'_>, action: AuditAction) -> Self {
        Self { source: request.source, ..Self::new(request.received_at, action) }
    }

    /// `success`, `refused`, or `failed` where it was a backend that did not work.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self.cause {
            None => "success",
            Some(cause) if cause.is_failure() => "failed",
            Some(_) => "refused",
        }
    }

    /// What to look at, if it was not done: the [diagnosis](Error::diagnosis) of the cause.
    #[must_use]
    pub fn diagnosis(&self) -> Option<&'static str> {
        self.cause.map(Error::diagnosis)
    }
}

impl Serialize for AuditEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("AuditEvent", 11)?;
        event.serialize_field("time", &rfc3339(self.time))?;
        if let Some(source) = self.source {
            event.serialize_field("source", &source)?;
        }
        let texts =
            [("actor", self.actor), ("client_id", self.client_id), ("target", self.target), ("scope", self.scope)];
        for (name, value) in texts {
            if let Some(value) = value {
                event.serialize_field(name, value)?;
            }
        }
        if let Some(expires_at) = self.expires_at {
            event.serialize_field("expires_at", &rfc3339(expires_at))?;
        }
        event.serialize_field("action", &self.action)?;
        event.serialize_field("outcome", self.outcome())?;
        if let Some(cause) = self.cause {
            event.serialize_field("cause", &cause.to_string())?;
            event.serialize_field("diagnosis", cause.diagnosis())?;
        }
        event.end()
    }
}

fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}
