//! Who belongs to which project, as what.
//!
//! A change is offered as writes (`*_writes`), so that the domain commits it together with its event and audit entry.
//! The count of owners is a record of its own that every change of an owner moves: of two owners who leave at once,
//! one is refused.

use cloud::{Expect, Millis, Version, Write};
use serde::{Deserialize, Serialize};

use crate::store::{ATTEMPTS_MAX, Store, Stored, key, put};
use crate::{AccountId, Error, PAGE_MAX, Page, ProjectId, Result, Role};

/// One person in one project.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub account: AccountId,
    pub role: Role,
    pub since: Millis,
    pub version: Version,
}

/// One project of one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    pub project: ProjectId,
    pub role: Role,
}

#[derive(Clone, Serialize, Deserialize)]
struct MemberRecord {
    role: Role,
    since: Millis,
}

#[derive(Serialize, Deserialize)]
struct OwnersRecord {
    count: u64,
}

/// The members of the projects.
pub struct Members<'a> {
    pub(crate) store: &'a Store,
}

impl Members<'_> {
    /// `None` when the account is not a member.
    pub async fn role_of(&self, project: &ProjectId, account: &AccountId) -> Result<Option<Role>> {
        Ok(self.member(project, account).await?.map(|stored| stored.value.role))
    }

    pub async fn get(&self, project: &ProjectId, account: &AccountId) -> Result<Option<Member>> {
        Ok(self.member(project, account).await?.map(|stored| member_view(account.clone(), stored)))
    }

    /// The members of a project by account id, after `after`.
    pub async fn list(&self, project: &ProjectId, after: Option<&AccountId>, limit: usize) -> Result<Page<Member>> {
        let partition = key::project_partition(project);
        let page = self.store.page(partition, key::MEMBER_PREFIX, after.map(AccountId::as_str), limit).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for (account, stored) in page.items {
            items.push(member_view(AccountId::parse(account)?, stored));
        }
        Ok(Page { items, next: page.next })
    }

    /// The projects of an account by project id, after `after`.
    pub async fn projects_of(
        &self,
        account: &AccountId,
        after: Option<&ProjectId>,
        limit: usize,
    ) -> Result<Page<Membership>> {
        let partition = key::account_partition(account);
        let after = after.map(ProjectId::as_str);
        let page: Page<(String, Stored<MemberRecord>)> =
            self.store.page(partition, key::PROJECT_PREFIX, after, limit).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for (project, stored) in page.items {
            items.push(Membership { project: ProjectId::parse(project)?, role: stored.value.role });
        }
        Ok(Page { items, next: page.next })
    }

    /// The writes that give a new project its first owner.
    pub fn first_owner_writes(&self, project: &ProjectId, owner: &AccountId) -> Result<Vec<Write>> {
        let mut writes = self.put_writes(project, owner, Role::Owner, Expect::Absent)?;
        writes.push(put(key::owners(project), &OwnersRecord { count: 1 }, Expect::Absent)?);
        Ok(writes)
    }

    /// The writes that make `account` a `role` of the project. `Error::Conflict` when it is the last owner and `role`
    /// is less. They fail as a whole when a membership that matters changed meanwhile: ask anew and try again.
    pub async fn set_writes(&self, project: &ProjectId, account: &AccountId, role: Role) -> Result<Vec<Write>> {
        let current = self.member(project, account).await?;
        let was_owner = current.as_ref().is_some_and(|stored| stored.value.role == Role::Owner);
        let expect = current.map_or(Expect::Absent, |stored| Expect::At(stored.version));
        let mut writes = self.put_writes(project, account, role, expect)?;
        writes.extend(self.owner_write(project, was_owner, role == Role::Owner).await?);
        Ok(writes)
    }

    /// The writes that remove `account`; `Error::NotFound` when it is no member, `Error::Conflict` when it is the last
    /// owner.
    pub async fn remove_writes(&self, project: &ProjectId, account: &AccountId) -> Result<Vec<Write>> {
        let current = self.member(project, account).await?.ok_or(Error::NotFound("member"))?;
        let mut writes = vec![
            Write::Delete { key: key::member(project, account), expect: Expect::At(current.version) },
            Write::Delete { key: key::project_of(account, project), expect: Expect::Anything },
        ];
        writes.extend(self.owner_write(project, current.value.role == Role::Owner, false).await?);
        Ok(writes)
    }

    /// Makes `account` a `role` of the project.
    pub async fn set(&self, project: &ProjectId, account: &AccountId, role: Role) -> Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            if self.commit(self.set_writes(project, account, role).await?).await? {
                return Ok(());
            }
        }
        Err(Error::Moved("membership"))
    }

    /// Removes `account`: it is out with its next request.
    pub async fn remove(&self, project: &ProjectId, account: &AccountId) -> Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            if self.commit(self.remove_writes(project, account).await?).await? {
                return Ok(());
            }
        }
        Err(Error::Moved("membership"))
    }

    /// Forgets every membership of a deleted project, owners too. May be called again after a crash.
    pub async fn clear(&self, project: &ProjectId) -> Result<()> {
        loop {
            // Two writes a member: a page fits into one transaction.
            let page = self.list(project, None, PAGE_MAX / 2 - 1).await?;
            let keys = page
                .items
                .iter()
                .flat_map(|member| [key::member(project, &member.account), key::project_of(&member.account, project)]);
            let keys = keys.chain([key::owners(project)]);
            let writes = keys.map(|key| Write::Delete { key, expect: Expect::Anything }).collect();
            self.store.records.transact(writes).await?;
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    async fn member(&self, project: &ProjectId, account: &AccountId) -> Result<Option<Stored<MemberRecord>>> {
        self.store.get(&key::member(project, account)).await
    }

    fn put_writes(&self, project: &ProjectId, account: &AccountId, role: Role, expect: Expect) -> Result<Vec<Write>> {
        let record = MemberRecord { role, since: self.store.now() };
        Ok(vec![
            put(key::member(project, account), &record, expect)?,
            put(key::project_of(account, project), &record, Expect::Anything)?,
        ])
    }

    /// The write that counts owners, when their number changes; guards against the last one going.
    async fn owner_write(&self, project: &ProjectId, was: bool, will: bool) -> Result<Option<Write>> {
        if was == will {
            return Ok(None);
        }
        let stored: Option<Stored<OwnersRecord>> = self.store.get(&key::owners(project)).await?;
        let (count, expect) = match stored {
            Some(stored) => (stored.value.count, Expect::At(stored.version)),
            None => (0, Expect::Absent),
        };
        let count = if will { count + 1 } else { count.saturating_sub(1) };
        if count == 0 {
            return Err(Error::Conflict("a project keeps at least one owner; make someone else an owner first".into()));
        }
        put(key::owners(project), &OwnersRecord { count }, expect).map(Some)
    }

    /// Whether the writes happened.
    async fn commit(&self, writes: Vec<Write>) -> Result<bool> {
        match self.store.records.transact(writes).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_condition_failed() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn member_view(account: AccountId, stored: Stored<MemberRecord>) -> Member {
    Member { account, role: stored.value.role, since: stored.value.since, version: stored.version }
}
