//! Drafts: unsaved-to-Git versions of files, kept per person, branch and path.

mod reading;

use std::sync::Arc;

use bytes::Bytes;
use cloud::{BlobKey, Expect, Millis, PutCondition, PutOptions, RangeQuery, Sha256Digest, Write};
use git_store::{BranchName, FileMode, Oid, RepoPath};
use identity::{AccountId, Permission, PersonName, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::{Core, Stored};
use crate::events::NewEvent;
use crate::repository::{parse_branch, parse_path, resolve};
use crate::{Caller, Error, Expected, Result, keys, projects};

pub use reading::DraftsQuery;

/// A draft's path (bytes): it is part of a sort key, which has 1,024.
const PATH_BYTES_MAX: usize = 900;
/// Former contents that a draft remembers.
const HISTORY_MAX: usize = 20;
/// Drafts forgotten in one transaction, which has 100 writes.
const CLEARED_AT_ONCE: usize = 100;

/// A draft without its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Whose it is.
    pub account: AccountId,
    pub name: PersonName,
    pub path: RepoPath,
    pub branch: BranchName,
    /// The file is to go with the commit; the draft has no bytes.
    pub deleted: bool,
    /// The commit that the draft began from; `None` when the branch did not exist.
    pub base: Option<Oid>,
    pub length: u64,
    pub sha256: Sha256Digest,
    pub executable: bool,
    pub etag: String,
    pub created: Millis,
    pub updated: Millis,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DraftRecord {
    v: u32,
    pub account: AccountId,
    pub path: RepoPath,
    pub branch: BranchName,
    pub deleted: bool,
    base: Option<Oid>,
    pub length: u64,
    pub sha256: Sha256Digest,
    pub executable: Option<bool>,
    /// New with every save.
    pub etag: String,
    created: Millis,
    updated: Millis,
    /// Digests of former contents, newest first; their blobs stay, so that nothing is lost by saving over it.
    history: Vec<Sha256Digest>,
}

impl DraftRecord {
    fn view(self, name: PersonName) -> Draft {
        Draft {
            account: self.account,
            name,
            path: self.path,
            branch: self.branch,
            deleted: self.deleted,
            base: self.base,
            length: self.length,
            sha256: self.sha256,
            executable: self.executable.unwrap_or(false),
            etag: self.etag,
            created: self.created,
            updated: self.updated,
        }
    }

    pub fn mode(&self) -> Option<FileMode> {
        self.executable.map(|on| if on { FileMode::Executable } else { FileMode::Plain })
    }
}

/// What is saved.
#[derive(Clone, Debug, Default)]
pub struct SaveDraft {
    pub branch: String,
    pub path: String,
    pub bytes: Bytes,
    /// `None` keeps the mode that the file has in the branch.
    pub executable: Option<bool>,
    /// The file is to be deleted; then there are no bytes.
    pub deleted: bool,
    /// The commit whose file the caller edits. `None` keeps what the draft has; a new one begins where the branch is.
    pub base: Option<String>,
}

/// Saves, reads and removes drafts.
#[derive(Clone)]
pub struct Drafts {
    core: Arc<Core>,
}

impl Drafts {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Saves a draft: a new one with [`Expected::Absent`], an existing one at the etag that the caller read.
    /// The answer says whether it is new.
    pub async fn save(
        &self,
        caller: &Caller,
        project: &str,
        expected: &Expected,
        save: SaveDraft,
    ) -> Result<(Draft, bool)> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let (branch, path) = (parse_branch("branch", &save.branch)?, parse_path("path", &save.path)?);
        self.check(&path, &save)?;
        let account = &caller.principal.account;
        let found = find(&self.core, &project.id, account, &branch, &path).await?;
        match &found {
            Some(stored) => expected.check(&stored.value.etag, "draft")?,
            None => {
                expected.check_absent("draft")?;
                self.refuse_too_many(&project.id, account, &branch).await?;
            }
        }
        let base = self.base(&project.id, found.as_ref(), &branch, save.base.as_deref()).await?;
        let sha256 = Sha256Digest::of(&save.bytes);
        let place = (account.clone(), branch, path);
        let record = self.record(found.as_ref(), place, base, &save, sha256);
        let key = keys::draft(&project.id, account, &record.branch, &record.path);
        self.store_content(&project.id, sha256, save.bytes).await?;
        let expect = found.as_ref().map_or(Expect::Absent, |stored| Expect::At(stored.version.clone()));
        let write = Write::put(key, json!(record), expect);
        let made = self.core.commit(&project.id, caller, &[saved(&record)], vec![write]).await;
        made.map_err(|e| if e.is_condition_failed() { Error::PreconditionFailed("The draft") } else { e.into() })?;
        Ok((record.view(caller.principal.name.clone()), found.is_none()))
    }

    /// The commit that a draft is said to begin from, or the one that it has, or where its branch is now.
    async fn base(
        &self,
        project: &ProjectId,
        found: Option<&Stored<DraftRecord>>,
        branch: &BranchName,
        said: Option<&str>,
    ) -> Result<Option<Oid>> {
        match (said, found) {
            (Some(said), found) => {
                let said = Oid::parse(said)
                    .map_err(|_| Error::invalid_ref("base", "The base is named by a commit's 40 hex digits."))?;
                if found.is_some_and(|stored| stored.value.base == Some(said)) {
                    return Ok(Some(said));
                }
                resolve(&self.core, project, &said.to_string()).await.map(Some)
            }
            (None, Some(stored)) => Ok(stored.value.base),
            (None, None) => {
                let refs = self.core.git.refs(&projects::repository(project)?).await;
                let refs = refs.map_err(|e| Error::git(e, "project", "branch"))?;
                let name = branch.to_ref();
                Ok(refs.into_iter().find(|one| one.name == name).map(|one| one.oid))
            }
        }
    }

    fn record(
        &self,
        found: Option<&Stored<DraftRecord>>,
        (account, branch, path): (AccountId, BranchName, RepoPath),
        base: Option<Oid>,
        save: &SaveDraft,
        sha256: Sha256Digest,
    ) -> DraftRecord {
        let now = self.core.ports.clock.now();
        let mut history: Vec<_> =
            found.iter().flat_map(|s| [&[s.value.sha256], &s.value.history[..]].concat()).collect();
        history.truncate(HISTORY_MAX);
        DraftRecord {
            v: 2,
            account,
            path,
            branch,
            deleted: save.deleted,
            base,
            length: save.bytes.len() as u64,
            sha256,
            executable: save.executable.or(found.and_then(|stored| stored.value.executable)),
            etag: self.core.ulid(),
            created: found.map_or(now, |stored| stored.value.created),
            updated: now,
            history,
        }
    }

    fn check(&self, path: &RepoPath, save: &SaveDraft) -> Result<()> {
        if path.as_str().len() > PATH_BYTES_MAX {
            return Err(Error::invalid_path("path", format!("A draft's path has at most {PATH_BYTES_MAX} bytes.")));
        }
        if save.deleted && (!save.bytes.is_empty() || save.executable.is_some()) {
            return Err(Error::invalid("deleted", "A draft that deletes a file has no bytes and no mode."));
        }
        let most = self.core.quotas.draft_bytes;
        if save.bytes.len() as u64 > most {
            return Err(Error::TooLarge(format!("A draft has at most {most} bytes.").into()));
        }
        Ok(())
    }

    async fn refuse_too_many(&self, project: &ProjectId, account: &AccountId, branch: &BranchName) -> Result<()> {
        let most = self.core.quotas.drafts_per_branch.min(1_000);
        let mut range = RangeQuery {
            partition: keys::drafts(project),
            prefix: keys::draft_prefix(branch, account),
            limit: most,
            ..RangeQuery::default()
        };
        let mut count = 0;
        loop {
            let page = self.core.ports.records.query(range.clone()).await?;
            count += page.records.len();
            if count >= most {
                return Err(Error::Quota(format!("A branch has at most {most} drafts of one person.").into()));
            }
            match page.next {
                Some(next) => range.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn store_content(&self, project: &ProjectId, sha256: Sha256Digest, bytes: Bytes) -> Result<()> {
        let options = PutOptions {
            condition: PutCondition::IfAbsent,
            length: Some(bytes.len() as u64),
            sha256: Some(sha256),
            ..PutOptions::default()
        };
        match self.core.ports.blobs.put(&blob_key(project, sha256)?, bytes, options).await {
            Err(error) if !error.is_condition_failed() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Throws a draft away.
    pub async fn delete(
        &self,
        caller: &Caller,
        project: &str,
        branch: &str,
        path: &str,
        expected: &Expected,
    ) -> Result<()> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let (branch, path) = (parse_branch("branch", branch)?, parse_path("path", path)?);
        let account = &caller.principal.account;
        let found = find(&self.core, &project.id, account, &branch, &path).await?.ok_or(Error::NotFound("draft"))?;
        expected.check(&found.value.etag, "draft")?;
        let key = keys::draft(&project.id, account, &branch, &path);
        let write = Write::Delete { key, expect: Expect::At(found.version) };
        let detail = json!({ "branch": branch, "path": path });
        let event = NewEvent::new("draft.deleted", format!("draft/{branch}/{path}"), detail).unaudited();
        let gone = self.core.commit(&project.id, caller, &[event], vec![write]).await;
        gone.map(drop)
            .map_err(|e| if e.is_condition_failed() { Error::PreconditionFailed("The draft") } else { e.into() })
    }
}

fn saved(record: &DraftRecord) -> NewEvent {
    let DraftRecord { branch, path, length, deleted, .. } = record;
    let detail = json!({ "branch": branch, "path": path, "length": length, "deleted": deleted });
    NewEvent::new("draft.saved", format!("draft/{}/{}", record.branch, record.path), detail).unaudited()
}

pub(crate) async fn find(
    core: &Core,
    project: &ProjectId,
    account: &AccountId,
    branch: &BranchName,
    path: &RepoPath,
) -> Result<Option<Stored<DraftRecord>>> {
    core.read(&keys::draft(project, account, branch, path)).await
}

pub(crate) async fn content(core: &Core, project: &ProjectId, draft: &DraftRecord) -> Result<Bytes> {
    let blob = core.ports.blobs.get(&blob_key(project, draft.sha256)?, None).await?;
    let most = usize::try_from(draft.length).unwrap_or(usize::MAX);
    Ok(cloud::collect(blob, most).await?)
}

/// By digest, within the project: another project with the same bytes is never seen.
fn blob_key(project: &ProjectId, sha256: Sha256Digest) -> Result<BlobKey> {
    Ok(BlobKey::parse(format!("projects/{project}/drafts/{sha256}"))?)
}

/// For the purge: forgets every draft of a project. May be called again.
pub(crate) async fn clear(core: &Core, project: &ProjectId) -> Result<()> {
    loop {
        let range = RangeQuery { partition: keys::drafts(project), limit: CLEARED_AT_ONCE, ..RangeQuery::default() };
        let page = core.ports.records.query(range).await?;
        let gone = page.records.into_iter().map(|record| Write::Delete { key: record.key, expect: Expect::Anything });
        let gone: Vec<_> = gone.collect();
        if !gone.is_empty() {
            core.ports.records.transact(gone).await?;
        }
        if page.next.is_none() {
            return Ok(());
        }
    }
}
