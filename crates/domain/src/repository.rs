//! A project's repository: branches, trees, files, history, and Git over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use cloud::BlobStream;
use git_store::http::{Protocol, Service};
use git_store::{BranchName, Commit, Diff, File, LogPage, LogQuery, Oid, RepoPath, Revision, TreePage};
use identity::{Permission, ProjectId};

use crate::core::Core;
use crate::policy::ProjectPolicy;
use crate::{Caller, Error, Page, PageQuery, Result, projects};

/// A file, or the part of one, read through REST (bytes).
pub const FILE_READ_MAX: usize = 32 * 1024 * 1024;

/// A branch and where it points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    pub name: BranchName,
    pub commit: Oid,
    pub default: bool,
    pub protected: bool,
}

/// A page of a folder, with the commit that was read.
#[derive(Clone, Debug)]
pub struct Tree {
    pub commit: Oid,
    pub page: TreePage,
    /// The commit that last changed each entry of the page; empty unless it was asked for.
    pub touched: Arc<Vec<Option<Commit>>>,
}

/// Which commits to list.
#[derive(Clone, Debug, Default)]
pub struct LogFor {
    pub reference: String,
    /// Only commits that changed what is there.
    pub path: Option<String>,
    /// Goes on under the old name where the file was renamed.
    pub follow: bool,
    /// Only commits that this ref does not have.
    pub base: Option<String>,
}

/// Reads and moves refs, reads trees and history, serves Git clients.
#[derive(Clone)]
pub struct Repository {
    pub(crate) core: Arc<Core>,
}

/// The commit that `raw` names in the project; what is not reachable there does not exist.
pub(crate) async fn resolve(core: &Core, project: &ProjectId, raw: &str) -> Result<Oid> {
    let revision = Revision::parse(raw).map_err(|_| {
        Error::invalid_ref("ref", "A ref is a branch, a tag, a full ref name or a commit's 40 hex digits.")
    })?;
    let found = core.git.resolve(&projects::repository(project)?, &revision).await;
    found.map_err(|e| Error::git(e, "commit", "ref"))
}

pub(crate) fn parse_branch(field: &'static str, raw: &str) -> Result<BranchName> {
    BranchName::parse(raw).map_err(|_| Error::invalid_ref(field, "The branch name is not one that git allows."))
}

/// A path that may be written.
pub(crate) fn parse_path(field: &'static str, raw: &str) -> Result<RepoPath> {
    RepoPath::parse(raw).map_err(|_| Error::invalid_path(field, "The path is not one that a repository can hold."))
}

/// A path that a push may have brought, to be read.
pub(crate) fn existing_path(field: &'static str, raw: &str) -> Result<RepoPath> {
    RepoPath::existing(raw).map_err(|_| Error::invalid_path(field, "The path is not one that a repository can hold."))
}

impl Repository {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Branches in order of their names.
    pub async fn branches(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<Branch>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let after = query.after("", |raw| BranchName::parse(raw).is_ok())?;
        let refs = self.core.git.refs(&project.repository()?).await.map_err(|e| Error::git(e, "project", "project"))?;
        let all = refs.into_iter().filter_map(|r| Some((r.name.branch()?, r.oid)));
        let mut rest = all.filter(|(name, _)| after.as_deref().is_none_or(|after| name.as_str() > after));
        let items: Vec<Branch> = rest
            .by_ref()
            .take(query.limit())
            .map(|(name, commit)| Branch {
                default: name == project.default_branch,
                protected: project.protected_branches.contains(&name),
                name,
                commit,
            })
            .collect();
        let next = rest.next().and_then(|_| items.last().map(|branch| branch.name.to_string()));
        Ok(Page { items, next })
    }

    /// Makes a branch at what `from` names.
    pub async fn create_branch(&self, caller: &Caller, project: &str, name: &str, from: &str) -> Result<Branch> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let name = parse_branch("name", name)?;
        let commit = resolve(&self.core, &project.id, from).await?;
        let policy = ProjectPolicy::new(&self.core, caller, &project, Vec::new()).await?;
        let made = self.core.git.create_branch(&project.repository()?, &name, commit, &policy).await;
        made.map_err(|e| Error::git(e, "commit", "name"))?;
        Ok(Branch {
            default: name == project.default_branch,
            protected: project.protected_branches.contains(&name),
            name,
            commit,
        })
    }

    /// Removes a branch, if it still points at `expected` when that is given.
    pub async fn delete_branch(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        expected: Option<&str>,
    ) -> Result<()> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let name = parse_branch("branch", name)?;
        let expected = expected.map(parse_oid).transpose()?;
        let policy = ProjectPolicy::new(&self.core, caller, &project, Vec::new()).await?;
        let gone = self.core.git.delete_branch(&project.repository()?, &name, expected, &policy).await;
        gone.map_err(|e| Error::git(e, "branch", "branch"))
    }

    /// A page of the folder `path` (the root when empty) at what `reference` names.
    pub async fn tree(
        &self,
        caller: &Caller,
        project: &str,
        reference: &str,
        path: &str,
        last_commit: bool,
        query: &PageQuery,
    ) -> Result<Tree> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let path = if path.is_empty() { None } else { Some(existing_path("path", path)?) };
        let after = query.after("", |raw| !raw.contains(['/', '\0']))?.map(|raw| name_of(&raw));
        let commit = resolve(&self.core, &project.id, reference).await?;
        let repository = project.repository()?;
        let page = self.core.git.tree(&repository, commit, path.as_ref(), after.as_deref(), query.limit()).await;
        let mut page = page.map_err(|e| Error::git(e, "folder", "path"))?;
        page.next = page.next.as_deref().map(cursor_of);
        let mut touched = Arc::default();
        if last_commit {
            let names = page.entries.iter().map(|entry| entry.name.clone()).collect();
            let found = self.core.git.touched(&repository, commit, path.as_ref(), names).await;
            touched = found.map_err(|e| Error::git(e, "folder", "path"))?;
        }
        Ok(Tree { commit, page, touched })
    }

    /// A file, or the text of a symlink (never what it points at).
    pub async fn file(&self, caller: &Caller, project: &str, reference: &str, path: &str) -> Result<File> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let path = existing_path("path", path)?;
        let commit = resolve(&self.core, &project.id, reference).await?;
        let file = self.core.git.file(&project.repository()?, commit, &path).await;
        file.map_err(|e| Error::git(e, "file", "path"))
    }

    /// Commits from newest to oldest.
    pub async fn log(&self, caller: &Caller, project: &str, ask: &LogFor, query: &PageQuery) -> Result<LogPage> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let path = ask.path.as_deref().map(|path| existing_path("path", path)).transpose()?;
        let after =
            query.after.as_deref().map(|raw| Oid::parse(raw).map_err(|_| Error::invalid_cursor())).transpose()?;
        let from = resolve(&self.core, &project.id, &ask.reference).await?;
        let without = match &ask.base {
            Some(base) => Some(resolve(&self.core, &project.id, base).await?),
            None => None,
        };
        let query = LogQuery { from, path, follow: ask.follow, without, after, limit: query.limit() };
        let page = self.core.git.log(&project.repository()?, query).await;
        page.map_err(|e| Error::git(e, "commit", "cursor"))
    }

    pub async fn commit(&self, caller: &Caller, project: &str, commit: &str) -> Result<Commit> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let oid = resolve(&self.core, &project.id, commit).await?;
        self.core.git.commit(&project.repository()?, oid).await.map_err(|e| Error::git(e, "commit", "commit"))
    }

    /// What `head` changed against `base`; against its first parent when `base` is `None`.
    pub async fn diff(
        &self,
        caller: &Caller,
        project: &str,
        base: Option<&str>,
        head: &str,
        hunks: bool,
    ) -> Result<Diff> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let repository = project.repository()?;
        let head = resolve(&self.core, &project.id, head).await?;
        let base = match base {
            Some(base) => Some(resolve(&self.core, &project.id, base).await?),
            None => {
                let commit =
                    self.core.git.commit(&repository, head).await.map_err(|e| Error::git(e, "commit", "head"))?;
                commit.parents.first().copied()
            }
        };
        self.core.git.diff(&repository, base, head, hunks).await.map_err(|e| Error::git(e, "commit", "head"))
    }

    /// The answer to `info/refs` for a Git client.
    pub async fn advertise(
        &self,
        caller: &Caller,
        project: &str,
        service: Service,
        protocol: Protocol,
    ) -> Result<Bytes> {
        let project = self.core.project(caller, project, permission_of(service)).await?;
        let answer = self.core.git.advertise(&project.repository()?, service, protocol).await;
        answer.map_err(|e| Error::git(e, "project", "service"))
    }

    /// The answer to a fetch; it streams.
    pub async fn upload_pack(
        &self,
        caller: &Caller,
        project: &str,
        protocol: Protocol,
        body: BlobStream,
    ) -> Result<BlobStream> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let answer = self.core.git.upload_pack(&project.repository()?, protocol, body).await;
        answer.map_err(|e| Error::git(e, "project", "body"))
    }

    /// The answer to a push: progress, then the report once the refs have moved; it streams.
    pub async fn receive_pack(&self, caller: &Caller, project: &str, body: BlobStream) -> Result<BlobStream> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let policy = ProjectPolicy::new(&self.core, caller, &project, Vec::new()).await?;
        let answer = self.core.git.receive_pack(&project.repository()?, body, Arc::new(policy)).await;
        answer.map_err(|e| Error::git(e, "project", "body"))
    }

    /// For the worker: where the branch that a ref names points, and the store to check out from.
    pub async fn resolve(&self, project: &ProjectId, reference: &str) -> Result<Oid> {
        resolve(&self.core, project, reference).await
    }

    /// For the worker: writes the files of a commit into an empty folder.
    pub async fn checkout(&self, project: &ProjectId, commit: Oid, into: &std::path::Path) -> Result<()> {
        let done = self.core.git.checkout(&projects::repository(project)?, commit, into).await;
        done.map_err(|e| Error::git(e, "commit", "commit"))
    }

    /// For the worker: one file of a commit.
    pub async fn read(&self, project: &ProjectId, commit: Oid, path: &str) -> Result<File> {
        let file = self.core.git.file(&projects::repository(project)?, commit, &existing_path("path", path)?).await;
        file.map_err(|e| Error::git(e, "file", "path"))
    }
}

/// A name as a cursor holds it, which has no control characters.
fn cursor_of(name: &str) -> String {
    let escaped = |c: char| if c.is_control() || c == '%' { format!("%{:02x}", u32::from(c)) } else { c.to_string() };
    name.chars().map(escaped).collect()
}

fn name_of(cursor: &str) -> String {
    let mut parts = cursor.split('%');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        name.push(code.map_or('%', char::from));
        name.push_str(part.get(2..).unwrap_or_default());
    }
    name
}

fn permission_of(service: Service) -> Permission {
    match service {
        Service::UploadPack => Permission::ReadProject,
        Service::ReceivePack => Permission::WriteCode,
    }
}

pub(crate) fn parse_oid(raw: &str) -> Result<Oid> {
    Oid::parse(raw).map_err(|_| Error::invalid_ref("commit", "A commit is named by 40 hex digits."))
}
