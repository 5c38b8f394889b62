//! Whoever sets clients up, as plain calls: what the management endpoint does, for hosts that want no HTTP.

mod api_keys;
mod clients;
mod roles;
mod secrets;
mod subject;

use std::{net::IpAddr, time::Instant};

use time::OffsetDateTime;

use crate::{
    AuditEvent, Authorization, AuthorizationServer, Client, ClientBuilder, ClientId, ClientRegistry, ClientSecret,
    Error, Resources, Role, RoleId, StoredSecret, TenantName, TokenStore, Updated, Version, observe,
};
pub(crate) use subject::{Subject, Target};

/// Whoever sets clients up: the calls of the management endpoint as plain methods, for hosts that want no HTTP.
///
/// What [`AuthorizationServer::administrator`] gives may do everything; the endpoint makes one of each bearer token, which may
/// do what the token's resources say. Each change, and each refusal, is an [`AuditEvent`].
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use client_credentials::{AuthorizationServer, Client, ClientId, Config, MemoryStore, OpaqueIssuer, now};
///
/// let store = MemoryStore::default();
/// let server = AuthorizationServer::new(store.clone(), OpaqueIssuer::new(store), Config::default());
/// let administrator = server.administrator("setup", now());
///
/// let billing = Client::builder("billing").seacatauth_credentials(true);
/// let (client, secret) = administrator.create_client(billing).await?;
/// administrator.assign_tenant(client.client_id(), &"my-corporation".parse()?).await?;
/// println!("shown once: {}", secret.expose());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Administrator<'s, S, T> {
    pub(crate) server: &'s AuthorizationServer<S, T>,
    name: &'s str,
    /// `None` for one that may do everything.
    authority: Option<&'s Authorization>,
    now: OffsetDateTime,
    /// Where the call comes from, for the audit.
    source: Option<IpAddr>,
    /// To tell how much later than `now` it is.
    begun: Instant,
}

impl<S, T> AuthorizationServer<S, T> {
    /// An administrator that may do everything, under a name for the audit, at the time that it is: what is revoked, created or
    /// expires is dated by it. So make one for each call, and do not keep it.
    pub fn administrator<'s>(&'s self, name: &'s str, now: OffsetDateTime) -> Administrator<'s, S, T> {
        Administrator { server: self, name, authority: None, now, source: None, begun: Instant::now() }
    }
}

impl<'s, S, T> Administrator<'s, S, T> {
    /// An administrator that may do what a token says.
    pub(crate) fn of_token(
        server: &'s AuthorizationServer<S, T>,
        name: &'s str,
        authority: &'s Authorization,
        now: OffsetDateTime,
        begun: Instant,
    ) -> Self {
        Self { server, name, authority: Some(authority), now, source: None, begun }
    }

    /// Names the address that the call comes from, for the [audit](AuditEvent::source): for a host with a user interface of its own.
    #[must_use]
    pub fn with_source(self, source: impl Into<Option<IpAddr>>) -> Self {
        Self { source: source.into(), ..self }
    }

    /// Whether a resource is held, everywhere or in a tenant.
    fn holds(&self, resource: &str, tenant: Option<&str>) -> bool {
        self.authority.is_none_or(|authority| {
            authority.holds(None, &[resource])
                || tenant.is_some_and(|tenant| authority.holds(Some(tenant), &[resource]))
        })
    }

    pub(crate) fn needs(&self, resource: &'static str, tenant: Option<&str>) -> Result<(), Error> {
        if self.holds(resource, tenant) { Ok(()) } else { Err(Error::MissingResource(resource)) }
    }

    /// Nobody gives away what governs this server without holding it: who may edit clients could otherwise become a superuser
    /// by way of a superuser's client. What an API makes of its own resources is no concern of this server.
    pub(crate) fn may_give(&self, resources: &Resources, tenant: Option<&str>) -> Result<(), Error> {
        let governs = |resource: &&str| resource.starts_with("authz:") || resource.starts_with("seacat:");
        let held = resources.iter().filter(governs).all(|resource| self.holds(resource, tenant));
        if held { Ok(()) } else { Err(Error::NotHeld) }
    }

    /// Whether this administrator may touch what a client is: nobody hands out what lets its holder act as a client, nor takes
    /// it away, nor wakes it up, without holding what governs this server and the client holds.
    fn may_touch(&self, client: &Client) -> Result<(), Error> {
        client.roles().iter().try_for_each(|role| self.may_give(role.resources(), role.id().tenant()))
    }

    fn record(&self, subject: &Subject<'_>, cause: Option<&Error>) {
        if self.server.is_audited() {
            let (client_id, target) = (subject.known_client().map(ClientId::as_str), subject.known_target());
            let event = AuditEvent { source: self.source, ..AuditEvent::new(self.now, subject.action) };
            self.server.record(AuditEvent {
                actor: Some(self.name),
                client_id,
                target: target.as_deref(),
                cause,
                ..event
            });
        }
    }
}

/// Records, if it is dropped, that something was begun whose end nobody knows.
struct Unfinished<'a, S, T>(&'a Administrator<'a, S, T>, &'a Subject<'a>);

impl<S, T> Drop for Unfinished<'_, S, T> {
    fn drop(&mut self) {
        let Self(administrator, subject) = self;
        if !subject.action.is_read() {
            administrator.record(subject, Some(&Error::Interrupted));
        }
    }
}

impl<S: ClientRegistry + TokenStore, T> Administrator<'_, S, T> {
    /// Registers the first administrator: the client `administrator`, which holds [`Role::superuser`], where there is no client
    /// at all, so call it before anything else makes one. Its secret is shown here and never again; where there are clients
    /// already, nothing is done. If there is no superuser among them (any more), [`create_client`](Self::create_client) with
    /// [`Role::superuser`] makes one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_first_administrator(&self) -> Result<Option<(Client, ClientSecret)>, Error> {
        if observe::Call::ListClients.begin().end(self.server.store().list_clients("", 0, 1).await)?.1 > 0 {
            return Ok(None);
        }
        let client = Client::builder("administrator").client_name("The first administrator");
        match self.create_client(client.seacatauth_credentials(true).role(Role::superuser())).await {
            Ok(created) => Ok(Some(created)),
            // Another instance was faster.
            Err(Error::AlreadyExists(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<S: ClientRegistry, T> Administrator<'_, S, T> {
    /// Does something and records it: what changes nothing only when it is refused.
    pub(crate) async fn recorded<R>(
        &self,
        subject: &Subject<'_>,
        done: impl Future<Output = Result<R, Error>>,
    ) -> Result<R, Error> {
        // A caller that hangs up drops this in the middle, when a store may have done it already.
        let unfinished = Unfinished(self, subject);
        let done = done.await;
        std::mem::forget(unfinished);
        match &done {
            Ok(_) if subject.action.is_read() => {}
            Ok(_) => {
                subject.found_client();
                subject.found_target();
                self.record(subject, None);
            }
            Err(cause) => self.record_refusal(subject, cause).await,
        }
        done
    }

    /// Records that something was refused before it was begun.
    pub(crate) async fn refused(&self, subject: &Subject<'_>, cause: Error) -> Error {
        self.record_refusal(subject, &cause).await;
        cause
    }

    async fn record_refusal(&self, subject: &Subject<'_>, cause: &Error) {
        // A store that has failed need not be asked again.
        if self.server.is_audited() && !cause.is_failure() {
            self.look_up(subject).await;
        }
        self.record(subject, Some(cause));
    }

    /// Finds out what there is of that which a refused call names, so that the audit may name it.
    async fn look_up(&self, subject: &Subject<'_>) {
        let client = match subject.client_id {
            Some(client_id) => self.find(client_id, subject).await.ok(),
            None => None,
        };
        let is_there = match subject.target {
            Some(Target::Secret(id)) => client.is_some_and(|(client, _)| secret(&client, id).is_some()),
            Some(Target::Tenant(name)) => {
                let tenants = self.server.store().existing_tenants(std::slice::from_ref(name));
                observe::Call::ExistingTenants.begin().end(tenants.await).is_ok_and(|tenants| tenants.contains(name))
            }
            Some(Target::Role(id)) => self.defined_role(id).await.is_ok(),
            // Whether there is one is found out by the call itself.
            Some(Target::ApiKey(_)) | None => false,
        };
        if is_there {
            subject.found_target();
        }
    }

    pub(crate) async fn find(&self, client_id: &ClientId, subject: &Subject<'_>) -> Result<(Client, Version), Error> {
        let found = observe::Call::Read.begin().end(self.server.store().read(client_id).await)?;
        found.inspect(|_| subject.found_client()).ok_or(Error::NotFound("client"))
    }

    /// Changes a client: the one of this version, or else the one that there is, after whatever others have changed meanwhile.
    pub(crate) async fn change(
        &self,
        client_id: &ClientId,
        subject: &Subject<'_>,
        only: Option<Version>,
        mut change: impl FnMut(Client) -> Result<ClientBuilder, Error>,
    ) -> Result<(Client, Version), Error> {
        loop {
            let (client, version) = self.find(client_id, subject).await?;
            if only.is_some_and(|only| only != version) {
                return Err(Error::StaleVersion);
            }
            let client = change(client)?.build()?;
            match observe::Call::Update.begin().end(self.server.store().update(client.clone(), version).await)? {
                Updated::Done(version) => return Ok((client, version)),
                Updated::Unknown => return Err(Error::NotFound("client")),
                Updated::Stale if only.is_some() => return Err(Error::StaleVersion),
                Updated::Stale => {} // each time, some other change got through
            }
        }
    }

    /// When these were last used, so far as that is [noted](AuthorizationServer::with_uses_noted): secrets by their
    /// [id](crate::StoredSecret::id), API keys by the [text](crate::TokenHash::to_text) of their hash. In their order; `None` for
    /// never, or not within a year.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn last_uses(&self, ids: &[String]) -> Result<Vec<Option<OffsetDateTime>>, Error> {
        // First what is not written down yet: what is written down meanwhile is then in one of the two at least.
        let noted = self.server.uses().map(|uses| uses.noted(ids)).unwrap_or_default();
        let mut uses = observe::Call::LastUses.begin().end(self.server.store().last_uses(ids).await)?;
        uses.iter_mut().zip(noted).for_each(|(kept, noted)| *kept = noted.max(*kept));
        Ok(uses)
    }

    /// The definition of a role, the built-in one too.
    pub(crate) async fn defined_role(&self, id: &RoleId) -> Result<Role, Error> {
        if id.as_str() == Role::SUPERUSER_ID {
            return Ok(Role::superuser());
        }
        let tenant = id.tenant().map(TenantName::parse).transpose().map_err(|_| Error::NotFound("role"))?;
        let roles = observe::Call::ListRoles.begin().end(self.server.store().list_roles(tenant.as_ref()).await)?;
        roles.into_iter().find(|role| role.id() == id).ok_or(Error::NotFound("role"))
    }
}

/// The secret of a client with this id.
fn secret<'c>(client: &'c Client, id: &str) -> Option<&'c StoredSecret> {
    client.client_secrets().iter().find(|secret| secret.id() == id)
}
