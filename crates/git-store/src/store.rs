//! The store: every operation on a repository starts here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cloud::{BlobStream, Blobs, Clock, Entropy, Records};

use crate::http::{Protocol, Service};
use crate::{
    BranchName, Commit, CommitFiles, Diff, Error, File, Head, LogPage, LogQuery, Oid, Ref, RefName, RefPolicy,
    RefUpdate, RepoPath, RepositoryId, Result, Revision, TreePage, Usage,
};

/// What a store is made of.
pub struct GitStoreSettings {
    pub blobs: Arc<dyn Blobs>,
    pub records: Arc<dyn Records>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// A folder of this process alone: packs in use, and uploads not accepted yet.
    pub cache: PathBuf,
    /// Packs kept in `cache` (bytes); those in use may pass it.
    pub cache_bytes_max: u64,
}

/// Repositories. Cheap to clone.
#[derive(Clone)]
pub struct GitStore {
    #[allow(dead_code)]
    settings: Arc<GitStoreSettings>,
}

#[allow(unused_variables, clippy::unused_async)]
impl GitStore {
    pub fn new(settings: GitStoreSettings) -> Result<Self> {
        Ok(Self { settings: Arc::new(settings) })
    }

    /// Makes an empty repository; `Error::Exists` when there is one.
    pub async fn create(&self, repository: &RepositoryId, default: &BranchName) -> Result<()> {
        soon()
    }

    /// Removes the repository and its packs; succeeds when there is none.
    pub async fn delete(&self, repository: &RepositoryId) -> Result<()> {
        soon()
    }

    pub async fn head(&self, repository: &RepositoryId) -> Result<Head> {
        soon()
    }

    /// Moves the default branch to another; `Error::NotFound` when the repository has branches but not this one.
    pub async fn set_head(&self, repository: &RepositoryId, default: &BranchName) -> Result<()> {
        soon()
    }

    /// All refs that may be seen, in order of their names.
    pub async fn refs(&self, repository: &RepositoryId) -> Result<Vec<Ref>> {
        soon()
    }

    pub async fn usage(&self, repository: &RepositoryId) -> Result<Usage> {
        soon()
    }

    /// The commit that `revision` names; `Error::NotFound` when no visible ref leads to it.
    pub async fn resolve(&self, repository: &RepositoryId, revision: &Revision) -> Result<Oid> {
        soon()
    }

    /// A page of a folder (the root when `path` is `None`), in git's order, after the name `after`; at most 1,000.
    pub async fn tree(
        &self,
        repository: &RepositoryId,
        commit: Oid,
        path: Option<&RepoPath>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<TreePage> {
        soon()
    }

    pub async fn file(&self, repository: &RepositoryId, commit: Oid, path: &RepoPath) -> Result<File> {
        soon()
    }

    /// Commits from newest to oldest; at most 1,000 a page.
    pub async fn log(&self, repository: &RepositoryId, query: LogQuery) -> Result<LogPage> {
        soon()
    }

    pub async fn commit(&self, repository: &RepositoryId, oid: Oid) -> Result<Commit> {
        soon()
    }

    /// What `head` changed against `base` (against nothing when `None`).
    pub async fn diff(&self, repository: &RepositoryId, base: Option<Oid>, head: Oid) -> Result<Diff> {
        soon()
    }

    /// Writes a commit and moves its branch; `Error::Moved` when the branch is elsewhere.
    pub async fn commit_files(
        &self,
        repository: &RepositoryId,
        request: CommitFiles,
        policy: &dyn RefPolicy,
    ) -> Result<Commit> {
        soon()
    }

    /// Moves one ref through the same door as a push.
    pub async fn update_ref(&self, repository: &RepositoryId, update: RefUpdate, policy: &dyn RefPolicy) -> Result<()> {
        soon()
    }

    /// Makes a branch at `at`; `Error::Exists` when there is one.
    pub async fn create_branch(
        &self,
        repository: &RepositoryId,
        branch: &BranchName,
        at: Oid,
        policy: &dyn RefPolicy,
    ) -> Result<()> {
        soon()
    }

    /// Removes a branch; `expected` is where it must point, when given.
    pub async fn delete_branch(
        &self,
        repository: &RepositoryId,
        branch: &BranchName,
        expected: Option<Oid>,
        policy: &dyn RefPolicy,
    ) -> Result<()> {
        soon()
    }

    /// Writes the files of a commit into the empty or absent folder `into`: plain files with their executable bit
    /// and symlinks, which are never followed. Submodules become empty folders. No hook, filter or attribute runs.
    pub async fn checkout(&self, repository: &RepositoryId, commit: Oid, into: &Path) -> Result<()> {
        soon()
    }

    /// The answer to `GET info/refs?service=…`. Receive-pack has protocol v0 alone.
    pub async fn advertise(&self, repository: &RepositoryId, service: Service, protocol: Protocol) -> Result<Bytes> {
        soon()
    }

    /// The answer to `POST git-upload-pack`; errors that the client should read come as packets within it.
    pub async fn upload_pack(
        &self,
        repository: &RepositoryId,
        protocol: Protocol,
        body: BlobStream,
    ) -> Result<BlobStream> {
        soon()
    }

    /// The answer to `POST git-receive-pack`: a report of each ref, after the refs have moved.
    pub async fn receive_pack(
        &self,
        repository: &RepositoryId,
        body: BlobStream,
        policy: &dyn RefPolicy,
    ) -> Result<Bytes> {
        soon()
    }
}

fn soon<T>() -> Result<T> {
    Err(Error::Invalid("not built yet".into()))
}

#[allow(dead_code)]
fn names(_: &RefName) {}
