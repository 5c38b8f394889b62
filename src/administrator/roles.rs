use super::{Administrator, Subject, Target};
use crate::{
    AuditAction, Client, ClientId, ClientRegistry, Error, Role, RoleId, TenantName, TokenStore, access::is_resource_id,
    observe,
};

impl<S: ClientRegistry + TokenStore, T> Administrator<'_, S, T> {
    /// Assigns a tenant to a client's credentials. A tenant that did not exist does from now on, and so is open to every client
    /// with [`TENANT_ACCESS`](crate::TENANT_ACCESS).
    ///
    /// # Errors
    /// When there is no such client, or its roles in the tenant give what governs this server and this administrator does not
    /// hold.
    pub async fn assign_tenant(&self, client_id: &ClientId, tenant: &TenantName) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::AssignTenant, client_id).with_target(Target::Tenant(tenant));
        let assign = async {
            let change = |client: Client| {
                // It is one from now on.
                subject.found_target();
                self.may_open(&client, tenant)?;
                Ok(client.into_builder().tenant(tenant.as_str()))
            };
            self.change(client_id, &subject, None, change).await.map(drop)
        };
        self.recorded(&subject, assign).await
    }

    /// Whether this administrator may give what the client's roles in a tenant give, which is nothing without the tenant.
    fn may_open(&self, client: &Client, tenant: &TenantName) -> Result<(), Error> {
        let roles = client.roles().iter().filter(|role| role.id().tenant() == Some(tenant.as_str()));
        roles.into_iter().try_for_each(|role| self.may_give(role.resources(), role.id().tenant()))
    }

    /// Takes a tenant from a client's credentials. Tokens that are out go on until they expire; API keys do not.
    ///
    /// # Errors
    /// When there is no such client, or the tenant was not assigned to it.
    pub async fn unassign_tenant(&self, client_id: &ClientId, tenant: &TenantName) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::UnassignTenant, client_id).with_target(Target::Tenant(tenant));
        let unassign = async {
            let change = |client: Client| {
                client.assigned(tenant.as_str()).ok_or(Error::NotFound("tenant"))?;
                subject.found_target();
                self.may_open(&client, tenant)?;
                Ok(client.into_builder().without_tenant(tenant.as_str()))
            };
            self.change(client_id, &subject, None, change).await.map(drop)
        };
        self.recorded(&subject, unassign).await
    }

    /// Assigns a role to a client's credentials.
    ///
    /// # Errors
    /// When there is no such client or role, or the role gives what governs this server and this administrator does not hold.
    pub async fn assign_role(&self, client_id: &ClientId, id: &RoleId) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::AssignRole, client_id).with_target(Target::Role(id));
        let assign = async {
            let role = self.defined_role(id).await?;
            subject.found_target();
            self.may_give(role.resources(), id.tenant())?;
            let change = |client: Client| Ok(client.into_builder().role(role.clone()));
            self.change(client_id, &subject, None, change).await.map(drop)
        };
        self.recorded(&subject, assign).await
    }

    /// Takes a role from a client's credentials. Tokens that are out go on until they expire; API keys give no more than is left.
    ///
    /// # Errors
    /// When there is no such client, or the role was not assigned to it.
    pub async fn unassign_role(&self, client_id: &ClientId, id: &RoleId) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::UnassignRole, client_id).with_target(Target::Role(id));
        let unassign = async {
            let change = |client: Client| {
                let held = client.roles().iter().find(|role| role.id() == id).ok_or(Error::NotFound("role"))?;
                subject.found_target();
                self.may_give(held.resources(), id.tenant())?;
                Ok(client.into_builder().without_role(id.as_str()))
            };
            self.change(client_id, &subject, None, change).await.map(drop)
        };
        self.recorded(&subject, unassign).await
    }

    /// The definition of a role.
    ///
    /// # Errors
    /// When there is none.
    pub async fn role(&self, id: &RoleId) -> Result<Role, Error> {
        let subject = Subject::new(AuditAction::ReadRole, None).with_target(Target::Role(id));
        self.recorded(&subject, self.defined_role(id)).await
    }

    /// Defines a role that is not defined yet. Where two do so at the same time, the later definition stands.
    ///
    /// # Errors
    /// When it is, or it would give what governs this server and this administrator does not hold.
    pub async fn create_role(&self, role: Role) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::CreateRole, None).with_target(Target::Role(role.id()));
        let create = async {
            match self.defined_role(role.id()).await {
                Ok(_) => Err(Error::AlreadyExists("role")),
                Err(Error::NotFound(_)) => self.define(&role, &subject).await,
                Err(error) => Err(error),
            }
        };
        self.recorded(&subject, create).await
    }

    /// Replaces the definition of a role. Whoever has the role has the new resources from the next token on.
    ///
    /// # Errors
    /// When there is none, as for [`create_role`](Self::create_role), and for the built-in [`Role::superuser`].
    pub async fn update_role(&self, role: Role) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::UpdateRole, None).with_target(Target::Role(role.id()));
        let update = async {
            let before = self.defined_role(role.id()).await?;
            self.may_give(before.resources(), role.id().tenant())?;
            self.define(&role, &subject).await
        };
        self.recorded(&subject, update).await
    }

    async fn define(&self, role: &Role, subject: &Subject<'_>) -> Result<(), Error> {
        not_built_in(role.id())?;
        if !role.resources().iter().all(is_resource_id) {
            return Err(Error::WrongParameter(
                "resources",
                "resource ids are expected, each of visible ASCII and at most 256 characters",
            ));
        }
        self.may_give(role.resources(), role.id().tenant())?;
        // It is one from now on.
        subject.found_target();
        Ok(observe::Call::DefineRole.begin().end(self.server.store().define_role(role.clone()).await)?)
    }

    /// Removes the definition of a role. Who still has the role has nothing by it from the next token on.
    ///
    /// # Errors
    /// When there is none, and for the built-in [`Role::superuser`].
    pub async fn delete_role(&self, id: &RoleId) -> Result<(), Error> {
        let subject = Subject::new(AuditAction::DeleteRole, None).with_target(Target::Role(id));
        let delete = async {
            not_built_in(id)?;
            let before = self.defined_role(id).await?;
            subject.found_target();
            self.may_give(before.resources(), id.tenant())?;
            let deleted = observe::Call::DeleteRole.begin().end(self.server.store().delete_role(id).await)?;
            if deleted { Ok(()) } else { Err(Error::NotFound("role")) }
        };
        self.recorded(&subject, delete).await
    }
}

fn not_built_in(id: &RoleId) -> Result<(), Error> {
    if id.as_str() == Role::SUPERUSER_ID {
        return Err(Error::WrongParameter("role", "this one is built in and cannot be changed"));
    }
    Ok(())
}
