//! Members of a project.

use std::sync::Arc;

use cloud::Millis;
use identity::{AccountId, EmailAddress, Permission, PersonName, Role, decide_membership};
use serde_json::json;

use crate::core::Core;
use crate::events::NewEvent;
use crate::projects::{Project, etag};
use crate::{Caller, Error, Expected, Page, PageQuery, Result};

/// How often a change of members is tried again when another came between.
const ATTEMPTS_MAX: usize = 16;

/// One person in a project.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub account: AccountId,
    pub email: EmailAddress,
    pub name: PersonName,
    pub role: Role,
    pub since: Millis,
    pub etag: String,
}

/// Lists and changes members.
#[derive(Clone)]
pub struct Members {
    core: Arc<Core>,
}

fn refused(error: identity::Denied) -> Error {
    match error {
        identity::Denied::NotFound => Error::NotFound("project"),
        identity::Denied::Forbidden => Error::Forbidden("Your role does not allow this change of members.".into()),
    }
}

impl Members {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub async fn list(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<Member>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let after = query.after.as_deref().map(|raw| AccountId::parse(raw).map_err(|_| Error::invalid_cursor()));
        let limit = query.limit().min(identity::PAGE_MAX);
        let page = self.core.identity.members().list(&project.id, after.transpose()?.as_ref(), limit).await;
        let page = page.map_err(|e| Error::identity(e, "project"))?;
        let mut items = Vec::with_capacity(page.items.len());
        for member in page.items {
            items.push(self.view(member).await?);
        }
        Ok(Page { items, next: page.next })
    }

    async fn view(&self, member: identity::Member) -> Result<Member> {
        let account = self.core.identity.accounts().get(&member.account).await;
        let account = account.map_err(|e| Error::identity(e, "account"))?;
        Ok(Member {
            account: member.account,
            email: account.email,
            name: account.name,
            role: member.role,
            since: member.since,
            etag: etag(&member.version),
        })
    }

    /// The account with this id or e-mail address.
    async fn account(&self, raw: &str) -> Result<AccountId> {
        let accounts = self.core.identity.accounts();
        if let Ok(id) = AccountId::parse(raw) {
            return accounts.get(&id).await.map(|a| a.id).map_err(|e| Error::identity(e, "account"));
        }
        let email = EmailAddress::parse(raw).map_err(|_| Error::NotFound("account"))?;
        let found = accounts.by_email(&email).await.map_err(|e| Error::identity(e, "account"))?;
        found.map(|account| account.id).ok_or(Error::NotFound("account"))
    }

    /// Makes an account a member, or changes its role. `account` is an id or an e-mail address. The answer says
    /// whether the member is new. A condition is checked when one was sent.
    pub async fn set(
        &self,
        caller: &Caller,
        project: &str,
        account: &str,
        role: Role,
        expected: &Expected,
    ) -> Result<(Member, bool)> {
        let project = self.visible(caller, project).await?;
        let account = self.may_change(caller, &project, account, Some(role)).await?;
        for _ in 0..ATTEMPTS_MAX {
            let current = self.current(&project, &account).await?;
            self.may(caller, &project, &account, current.as_ref().map(|m| m.role), Some(role)).await?;
            match (&current, expected) {
                (_, Expected::Unsaid) => {}
                (Some(member), expected) => expected.check(&etag(&member.version), "member")?,
                (None, expected) => expected.check_absent("member")?,
            }
            if let Some(member) = &current
                && member.role == role
            {
                // Said again, or nothing to change: no second event.
                return Ok((self.view(member.clone()).await?, false));
            }
            let writes = self.core.identity.members().set_writes(&project.id, &account, role).await;
            let writes = writes.map_err(|e| Error::identity(e, "account"))?;
            let detail = json!({ "account": account, "role": role, "was": current.as_ref().map(|m| m.role) });
            let event = NewEvent::new("member.set", format!("member/{account}"), detail);
            match self.core.commit(&project.id, caller, &[event], writes).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    let member = self.current(&project, &account).await?.ok_or(Error::NotFound("member"))?;
                    return Ok((self.view(member).await?, current.is_none()));
                }
            }
        }
        Err(Error::Unavailable("The list of members"))
    }

    /// Makes the person with an e-mail address a member. `Error::Invalid` on `email` when nobody has it, `Error::Conflict`
    /// when they are one.
    pub async fn add(&self, caller: &Caller, project: &str, email: &str, role: Role) -> Result<Member> {
        let project = self.visible(caller, project).await?;
        self.may_as(caller, &project, false, None, Some(role)).await?;
        let account = crate::Accounts::by_email(&self.core, email.trim()).await?;
        let account = account.ok_or_else(|| Error::invalid("email", "Nobody here has this e-mail address."))?;
        match self.set(caller, project.id.as_str(), account.as_str(), role, &Expected::Absent).await {
            Err(Error::PreconditionFailed(_)) => Err(Error::conflict("They are a member already.")),
            other => other.map(|(member, _)| member),
        }
    }

    /// Removes a member: out with the next request, and with the next message on an open socket.
    pub async fn remove(&self, caller: &Caller, project: &str, account: &str) -> Result<()> {
        let project = self.visible(caller, project).await?;
        let account = self.may_change(caller, &project, account, None).await?;
        for _ in 0..ATTEMPTS_MAX {
            let current = self.current(&project, &account).await?.ok_or(Error::NotFound("member"))?;
            self.may(caller, &project, &account, Some(current.role), None).await?;
            let writes = self.core.identity.members().remove_writes(&project.id, &account).await;
            let writes = writes.map_err(|e| Error::identity(e, "member"))?;
            let detail = json!({ "account": account, "was": current.role });
            let event = NewEvent::new("member.removed", format!("member/{account}"), detail);
            match self.core.commit(&project.id, caller, &[event], writes).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                // The event is the last that their subscriptions come to: its delivery ends them, and says so. Each
                // delivery checks the membership, so nothing is sent meanwhile.
                Ok(_) => return Ok(()),
            }
        }
        Err(Error::Unavailable("The list of members"))
    }

    /// A project that the caller may see, or manage the members of as a platform admin.
    async fn visible(&self, caller: &Caller, project: &str) -> Result<Project> {
        match self.core.project(caller, project, Permission::ReadProject).await {
            Err(Error::NotFound(_) | Error::Forbidden(_)) => {
                self.core.project(caller, project, Permission::ManageMembers).await
            }
            other => other,
        }
    }

    /// Checks the permission on what is known before the account is looked up, so that the answer tells nothing
    /// about accounts to those who may not manage members.
    async fn may_change(
        &self,
        caller: &Caller,
        project: &Project,
        raw: &str,
        wanted: Option<Role>,
    ) -> Result<AccountId> {
        let own = raw == caller.principal.account.as_str() || raw.eq_ignore_ascii_case(caller.principal.email.as_str());
        if own {
            return Ok(caller.principal.account.clone());
        }
        self.may_as(caller, project, false, None, wanted).await?;
        self.account(raw).await
    }

    async fn may(
        &self,
        caller: &Caller,
        project: &Project,
        account: &AccountId,
        current: Option<Role>,
        wanted: Option<Role>,
    ) -> Result<()> {
        let own = *account == caller.principal.account;
        self.may_as(caller, project, own, current, wanted).await
    }

    async fn may_as(
        &self,
        caller: &Caller,
        project: &Project,
        own: bool,
        current: Option<Role>,
        wanted: Option<Role>,
    ) -> Result<()> {
        let role = self.core.identity.members().role_of(&project.id, &caller.principal.account).await;
        let role = role.map_err(|e| Error::identity(e, "project"))?;
        decide_membership(&caller.principal, &project.id, role, own, current, wanted).map_err(refused)
    }

    async fn current(&self, project: &Project, account: &AccountId) -> Result<Option<identity::Member>> {
        let found = self.core.identity.members().get(&project.id, account).await;
        found.map_err(|e| Error::identity(e, "member"))
    }
}
