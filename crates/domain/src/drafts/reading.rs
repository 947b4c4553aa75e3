//! What drafts there are, one's own and colleagues'.

use std::collections::BTreeMap;

use bytes::Bytes;
use cloud::{RangeQuery, Record};
use git_store::{BranchName, RepoPath};
use identity::{AccountId, Permission, PersonName, ProjectId};

use super::{Draft, DraftRecord, Drafts, content, find};
use crate::repository::{parse_branch, parse_path};
use crate::{Caller, Error, Page, PageQuery, Result, keys};

/// Which drafts of a branch are listed.
#[derive(Clone, Debug, Default)]
pub struct DraftsQuery {
    pub branch: String,
    /// Only drafts of this file.
    pub path: Option<String>,
    /// Those of all members, not of the caller alone.
    pub everyone: bool,
    pub page: PageQuery,
}

/// The names of the people whose drafts are shown; `None` for one who is no member any more.
type Names = BTreeMap<AccountId, Option<PersonName>>;

impl Drafts {
    /// The caller's drafts on a branch by path, or those of all members by person. Who may write sees that colleagues
    /// have drafts; a viewer sees their own alone.
    pub async fn list(&self, caller: &Caller, project: &str, query: &DraftsQuery) -> Result<Page<Draft>> {
        let permission = if query.everyone { Permission::WriteCode } else { Permission::ReadProject };
        let project = self.core.project(caller, project, permission).await?.id;
        let branch = parse_branch("branch", &query.branch)?;
        let path = query.path.as_deref().map(|raw| parse_path("path", raw)).transpose()?;
        let mut names = Names::from([(caller.principal.account.clone(), Some(caller.principal.name.clone()))]);
        match (path, query.everyone) {
            (Some(path), false) => {
                let own = find(&self.core, &project, &caller.principal.account, &branch, &path).await?;
                let items = own.map(|stored| stored.value.view(caller.principal.name.clone())).into_iter().collect();
                Ok(Page { items, next: None })
            }
            (Some(path), true) => self.of_file(&project, &branch, &path, &mut names, &query.page).await,
            (None, false) => {
                let prefix = keys::draft_prefix(&branch, &caller.principal.account);
                let after = query.page.after(&prefix, |raw| RepoPath::parse(raw).is_ok())?;
                self.below(&project, &prefix, after, &mut names, &query.page).await
            }
            (None, true) => {
                let prefix = keys::draft_branch(&branch);
                let after = query.page.after(&prefix, is_place)?;
                self.below(&project, &prefix, after, &mut names, &query.page).await
            }
        }
    }

    /// A page of the drafts whose sort keys start with `prefix`.
    async fn below(
        &self,
        project: &ProjectId,
        prefix: &str,
        after: Option<String>,
        names: &mut Names,
        page: &PageQuery,
    ) -> Result<Page<Draft>> {
        let range = RangeQuery {
            partition: keys::drafts(project),
            prefix: prefix.into(),
            after,
            descending: false,
            limit: page.limit(),
        };
        let found = self.core.ports.records.query(range).await?;
        let mut items = Vec::with_capacity(found.records.len());
        for record in &found.records {
            items.extend(self.shown(project, record, names).await?);
        }
        Ok(Page { items, next: found.next.map(|sort| sort[prefix.len()..].to_owned()) })
    }

    /// Everyone's drafts of one file: one read for each person who has drafts on the branch, and one for the draft.
    async fn of_file(
        &self,
        project: &ProjectId,
        branch: &BranchName,
        path: &RepoPath,
        names: &mut Names,
        page: &PageQuery,
    ) -> Result<Page<Draft>> {
        let prefix = keys::draft_branch(branch);
        let from = page.after("", |raw| AccountId::parse(raw).is_ok())?;
        let from = from.map(AccountId::parse).transpose().map_err(|_| Error::invalid_cursor())?;
        let mut after = from.map(|account| keys::draft_end(branch, &account));
        let mut items = Vec::new();
        for _ in 0..page.limit() {
            let range = RangeQuery {
                partition: keys::drafts(project),
                prefix: prefix.clone(),
                after: after.take(),
                limit: 1,
                ..RangeQuery::default()
            };
            let Some(first) = self.core.ports.records.query(range).await?.records.pop() else {
                return Ok(Page { items, next: None });
            };
            let account = crate::core::decode::<DraftRecord>(&first)?.account;
            let record = self.core.ports.records.get(&keys::draft(project, &account, branch, path)).await?;
            if let Some(record) = record {
                items.extend(self.shown(project, &record, names).await?);
            }
            after = Some(keys::draft_end(branch, &account));
        }
        let next = after.and_then(|end| Some(end.strip_prefix(&prefix)?.trim_end_matches('$').to_owned()));
        Ok(Page { items, next })
    }

    /// The draft in `record`, if whose it is still is a member.
    async fn shown(&self, project: &ProjectId, record: &Record, names: &mut Names) -> Result<Option<Draft>> {
        let draft: DraftRecord = crate::core::decode(record)?;
        if !names.contains_key(&draft.account) {
            let name = self.member_name(project, &draft.account).await?;
            names.insert(draft.account.clone(), name);
        }
        Ok(names[&draft.account].clone().map(|name| draft.view(name)))
    }

    async fn member_name(&self, project: &ProjectId, account: &AccountId) -> Result<Option<PersonName>> {
        let identity = &self.core.identity;
        let role = identity.members().role_of(project, account).await.map_err(|e| Error::identity(e, "member"))?;
        if role.is_none() {
            return Ok(None);
        }
        let found = identity.accounts().get(account).await.map_err(|e| Error::identity(e, "account"))?;
        Ok(Some(found.name))
    }

    /// A draft with its bytes: the caller's own, or that of a member for who may write.
    pub async fn get(
        &self,
        caller: &Caller,
        project: &str,
        branch: &str,
        path: &str,
        account: Option<&str>,
    ) -> Result<(Draft, Bytes)> {
        let own = account.is_none_or(|raw| raw == caller.principal.account.as_str());
        let permission = if own { Permission::ReadProject } else { Permission::WriteCode };
        let project = self.core.project(caller, project, permission).await?.id;
        let (branch, path) = (parse_branch("branch", branch)?, parse_path("path", path)?);
        let account = match account {
            None => caller.principal.account.clone(),
            Some(raw) => AccountId::parse(raw).map_err(|_| Error::NotFound("draft"))?,
        };
        let stored = find(&self.core, &project, &account, &branch, &path).await?;
        let record = stored.ok_or(Error::NotFound("draft"))?.value;
        let name = match own {
            true => caller.principal.name.clone(),
            false => self.member_name(&project, &account).await?.ok_or(Error::NotFound("draft"))?,
        };
        let bytes = content(&self.core, &project, &record).await?;
        Ok((record.view(name), bytes))
    }
}

/// `{account}#{path}`.
fn is_place(raw: &str) -> bool {
    raw.split_once('#')
        .is_some_and(|(account, path)| AccountId::parse(account).is_ok() && RepoPath::parse(path).is_ok())
}
