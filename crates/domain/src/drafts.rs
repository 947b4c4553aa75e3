//! Drafts: unsaved-to-Git versions of files, kept per person, branch and path.

use std::sync::Arc;

use bytes::Bytes;
use cloud::{BlobKey, Expect, Millis, PutCondition, PutOptions, RangeQuery, Sha256Digest, Write};
use git_store::{BranchName, FileMode, RepoPath};
use identity::{AccountId, Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::{Core, Stored};
use crate::events::NewEvent;
use crate::repository::{parse_branch, parse_path};
use crate::{Caller, Error, Expected, Page, PageQuery, Result, keys};

/// A draft's path (bytes): it is part of a sort key, which has 1,024.
const PATH_BYTES_MAX: usize = 900;
/// Former contents that a draft remembers.
const HISTORY_MAX: usize = 20;

/// A draft without its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub path: RepoPath,
    pub branch: BranchName,
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
    pub path: RepoPath,
    pub branch: BranchName,
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
    fn view(self) -> Draft {
        Draft {
            path: self.path,
            branch: self.branch,
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
#[derive(Clone, Debug)]
pub struct SaveDraft {
    pub branch: String,
    pub path: String,
    pub bytes: Bytes,
    /// `None` keeps the mode that the file has in the branch.
    pub executable: Option<bool>,
}

/// Saves, reads and removes the caller's own drafts.
#[derive(Clone)]
pub struct Drafts {
    core: Arc<Core>,
}

impl Drafts {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The caller's drafts on a branch, by path.
    pub async fn list(&self, caller: &Caller, project: &str, branch: &str, query: &PageQuery) -> Result<Page<Draft>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let prefix = keys::draft_prefix(&parse_branch("branch", branch)?);
        let after = query.after(&prefix, |raw| RepoPath::parse(raw).is_ok())?;
        let range = RangeQuery {
            partition: keys::drafts(&project.id, &caller.principal.account),
            prefix: prefix.clone(),
            after,
            descending: false,
            limit: query.limit(),
        };
        let page = self.core.ports.records.query(range).await?;
        let drafts = page.records.iter().map(|r| crate::core::decode::<DraftRecord>(r).map(DraftRecord::view));
        let items = drafts.collect::<Result<_>>()?;
        Ok(Page { items, next: page.next.map(|sort| sort[prefix.len()..].to_owned()) })
    }

    pub async fn get(&self, caller: &Caller, project: &str, branch: &str, path: &str) -> Result<(Draft, Bytes)> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let (branch, path) = (parse_branch("branch", branch)?, parse_path("path", path)?);
        let stored = find(&self.core, &project.id, &caller.principal.account, &branch, &path).await?;
        let record = stored.ok_or(Error::NotFound("draft"))?.value;
        let bytes = content(&self.core, &project.id, &record).await?;
        Ok((record.view(), bytes))
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
        self.check_size(&path, &save.bytes)?;
        let account = &caller.principal.account;
        let found = find(&self.core, &project.id, account, &branch, &path).await?;
        match &found {
            Some(stored) => expected.check(&stored.value.etag, "draft")?,
            None => {
                expected.check_absent("draft")?;
                self.refuse_too_many(&project.id, account, &branch).await?;
            }
        }
        let sha256 = Sha256Digest::of(&save.bytes);
        let record = self.record(found.as_ref(), branch, path, &save, sha256);
        let key = keys::draft(&project.id, account, &record.branch, &record.path);
        self.store_content(&project.id, sha256, save.bytes).await?;
        let expect = found.as_ref().map_or(Expect::Absent, |stored| Expect::At(stored.version.clone()));
        let write = Write::put(key, json!(record), expect);
        let made = self.core.commit(&project.id, caller, &[saved(&record)], vec![write]).await;
        made.map_err(|e| if e.is_condition_failed() { Error::PreconditionFailed("The draft") } else { e.into() })?;
        Ok((record.view(), found.is_none()))
    }

    fn record(
        &self,
        found: Option<&Stored<DraftRecord>>,
        branch: BranchName,
        path: RepoPath,
        save: &SaveDraft,
        sha256: Sha256Digest,
    ) -> DraftRecord {
        let now = self.core.ports.clock.now();
        let mut history: Vec<_> =
            found.iter().flat_map(|s| [&[s.value.sha256], &s.value.history[..]].concat()).collect();
        history.truncate(HISTORY_MAX);
        DraftRecord {
            v: 1,
            path,
            branch,
            length: save.bytes.len() as u64,
            sha256,
            executable: save.executable.or(found.and_then(|stored| stored.value.executable)),
            etag: self.core.ulid(),
            created: found.map_or(now, |stored| stored.value.created),
            updated: now,
            history,
        }
    }

    fn check_size(&self, path: &RepoPath, bytes: &Bytes) -> Result<()> {
        if path.as_str().len() > PATH_BYTES_MAX {
            return Err(Error::invalid_path("path", format!("A draft's path has at most {PATH_BYTES_MAX} bytes.")));
        }
        let most = self.core.quotas.draft_bytes;
        if bytes.len() as u64 > most {
            return Err(Error::TooLarge(format!("A draft has at most {most} bytes.").into()));
        }
        Ok(())
    }

    async fn refuse_too_many(&self, project: &ProjectId, account: &AccountId, branch: &BranchName) -> Result<()> {
        let most = self.core.quotas.drafts_per_branch.min(1_000);
        let mut range = RangeQuery {
            partition: keys::drafts(project, account),
            prefix: keys::draft_prefix(branch),
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
    let detail = json!({ "branch": record.branch, "path": record.path, "length": record.length });
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
