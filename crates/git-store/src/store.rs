//! The store: every operation on a repository starts here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cloud::{BlobStream, Blobs, Clock, Entropy, Expect, Records};

use crate::asker::Asker;
use crate::cache::PackCache;
use crate::http::{Offers, Protocol, Service};
use crate::objects::Objects;
use crate::push::{Push, Update, Verdict};
use crate::read;
use crate::record::{Snapshot, StoredPack, blob_prefix, record_key};
use crate::remembered::Remembered;
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

/// Attempts at moving the default branch.
const HEAD_ATTEMPTS_MAX: usize = 8;

/// Repositories. Cheap to clone.
#[derive(Clone)]
pub struct GitStore {
    inner: Arc<Inner>,
}

struct Inner {
    settings: GitStoreSettings,
    cache: Arc<PackCache>,
    offers: Offers,
    remembered: Arc<Remembered>,
}

/// Runs what reads files and inflates on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => Err(cloud::Error::other("reading a repository", error).into()),
    }
}

impl GitStore {
    /// Opens the store; the cache folder is emptied when it is first used, or by [`Self::sweep_leftovers`].
    pub fn new(settings: GitStoreSettings) -> Result<Self> {
        let cache = Arc::new(PackCache::new(settings.cache.clone(), settings.cache_bytes_max));
        Ok(Self { inner: Arc::new(Inner { settings, cache, offers: Offers::default(), remembered: Arc::default() }) })
    }

    /// The same store, which offers this to the clients of every repository.
    pub fn offering(&self, offers: Offers) -> Self {
        let GitStoreSettings { blobs, records, .. } = self.settings();
        let store = self.over(blobs.clone(), records.clone());
        let Inner { settings, cache, remembered, .. } = Arc::into_inner(store.inner).expect("no one else holds it yet");
        Self { inner: Arc::new(Inner { settings, cache, offers, remembered }) }
    }

    /// The same store, with the same cache, over the same blobs and records as another may use them.
    pub fn over(&self, blobs: Arc<dyn Blobs>, records: Arc<dyn Records>) -> Self {
        let GitStoreSettings { clock, entropy, cache, cache_bytes_max, .. } = self.settings();
        let settings = GitStoreSettings {
            blobs,
            records,
            clock: clock.clone(),
            entropy: entropy.clone(),
            cache: cache.clone(),
            cache_bytes_max: *cache_bytes_max,
        };
        let (cache, offers) = (self.inner.cache.clone(), self.inner.offers.clone());
        Self { inner: Arc::new(Inner { settings, cache, offers, remembered: self.inner.remembered.clone() }) }
    }

    /// Removes what an earlier process left in the cache folder, which may be much when that was killed.
    pub fn sweep_leftovers(&self) -> Result<()> {
        self.inner.cache.ready()
    }

    pub(crate) fn settings(&self) -> &GitStoreSettings {
        &self.inner.settings
    }

    pub(crate) fn offers(&self) -> &Offers {
        &self.inner.offers
    }

    pub(crate) fn cache(&self) -> &PackCache {
        &self.inner.cache
    }

    pub(crate) fn remembered(&self) -> &Remembered {
        &self.inner.remembered
    }

    pub(crate) fn new_push_id(&self) -> String {
        self.settings().entropy.ulid(self.settings().clock.now())
    }

    /// The objects of the repository as it is now, on a thread that may block.
    pub(crate) async fn with_objects<T: Send + 'static>(
        &self,
        id: &RepositoryId,
        work: impl FnOnce(&Objects, &Snapshot) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let snapshot = self.snapshot(id).await?;
        let packs = self.packs(id, &snapshot).await?;
        blocking(move || work(&Objects::open(packs, None)?, &snapshot)).await
    }

    /// Makes an empty repository; `Error::Exists` when there is one.
    pub async fn create(&self, repository: &RepositoryId, default: &BranchName) -> Result<()> {
        let value = self.record_value(repository, &Snapshot::empty(default.clone())).await?;
        match self.settings().records.put(record_key(repository), value, Expect::Absent).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_condition_failed() => Err(Error::Exists(format!("repository `{repository}`"))),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the repository and its packs; succeeds when there is none.
    pub async fn delete(&self, repository: &RepositoryId) -> Result<()> {
        self.settings().records.delete(record_key(repository), Expect::Anything).await?;
        self.cache().forget(repository);
        loop {
            let page = self.settings().blobs.list(&blob_prefix(repository), None, 1000).await?;
            if page.blobs.is_empty() {
                return Ok(());
            }
            for blob in page.blobs {
                self.settings().blobs.delete(&blob.key).await?;
            }
        }
    }

    pub async fn head(&self, repository: &RepositoryId) -> Result<Head> {
        let snapshot = self.snapshot(repository).await?;
        Ok(Head { oid: snapshot.oid_of(&snapshot.head.to_ref()), branch: snapshot.head })
    }

    /// Moves the default branch to another; `Error::NotFound` when the repository has branches but not this one.
    pub async fn set_head(&self, repository: &RepositoryId, default: &BranchName) -> Result<()> {
        for _ in 0..HEAD_ATTEMPTS_MAX {
            let mut snapshot = self.snapshot(repository).await?;
            let refs = &snapshot.contents.refs;
            if refs.keys().any(RefName::is_branch) && !refs.contains_key(&default.to_ref()) {
                return Err(Error::NotFound(format!("branch `{default}`")));
            }
            snapshot.head = default.clone();
            snapshot.generation += 1;
            let value = self.record_value(repository, &snapshot).await?;
            let expect = snapshot.version.map_or(Expect::Absent, Expect::At);
            match self.settings().records.put(record_key(repository), value, expect).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(cloud::Error::Unavailable(format!("repository `{repository}`")).into())
    }

    /// All refs that may be seen, in order of their names.
    pub async fn refs(&self, repository: &RepositoryId) -> Result<Vec<Ref>> {
        Ok(self.snapshot(repository).await?.visible())
    }

    pub async fn usage(&self, repository: &RepositoryId) -> Result<Usage> {
        let packs = self.snapshot(repository).await?.contents.packs;
        let sum = |usage: Usage, pack: &StoredPack| Usage {
            packs: usage.packs + 1,
            objects: usage.objects + pack.objects,
            bytes: usage.bytes + pack.bytes + pack.index_bytes,
        };
        Ok(packs.iter().fold(Usage::default(), sum))
    }

    /// The commit that `revision` names; `Error::NotFound` when no visible ref leads to it.
    pub async fn resolve(&self, repository: &RepositoryId, revision: &Revision) -> Result<Oid> {
        let revision = revision.clone();
        self.with_objects(repository, move |objects, snapshot| read::resolve(objects, snapshot, &revision)).await
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
        let (path, after) = (path.cloned(), after.map(str::to_owned));
        let work = move |objects: &Objects, _: &Snapshot| {
            read::tree(objects, commit, path.as_ref(), after.as_deref(), limit.clamp(1, 1000))
        };
        self.with_objects(repository, work).await
    }

    /// A file of at most 100 MiB; a symlink answers with its text.
    pub async fn file(&self, repository: &RepositoryId, commit: Oid, path: &RepoPath) -> Result<File> {
        let path = path.clone();
        self.with_objects(repository, move |objects, _| read::file(objects, commit, &path)).await
    }

    /// Those of `paths` at which there is something in a commit, in their order.
    pub async fn existing(
        &self,
        repository: &RepositoryId,
        commit: Oid,
        paths: Vec<RepoPath>,
    ) -> Result<Vec<RepoPath>> {
        let work = move |objects: &Objects, _: &Snapshot| read::existing(objects, commit, paths);
        self.with_objects(repository, work).await
    }

    /// Commits from newest to oldest; at most 1,000 a page. A page may be short and have a next one.
    pub async fn log(&self, repository: &RepositoryId, query: LogQuery) -> Result<LogPage> {
        self.with_objects(repository, move |objects, _| read::log(objects, &query)).await
    }

    pub async fn commit(&self, repository: &RepositoryId, oid: Oid) -> Result<Commit> {
        self.with_objects(repository, move |objects, _| read::commit(objects, &oid)).await
    }

    /// What `head` changed against `base` (against nothing when `None`).
    /// `hunks`: line by line as well.
    pub async fn diff(&self, repository: &RepositoryId, base: Option<Oid>, head: Oid, hunks: bool) -> Result<Diff> {
        self.with_objects(repository, move |objects, _| read::diff(objects, base, head, hunks)).await
    }

    /// Writes a commit and moves its branch; `Error::Moved` when the branch is elsewhere.
    pub async fn commit_files(
        &self,
        repository: &RepositoryId,
        request: CommitFiles,
        policy: &dyn RefPolicy,
    ) -> Result<Commit> {
        self.write_commit(repository, request, policy).await
    }

    /// Moves one ref through the same door as a push.
    pub async fn update_ref(&self, repository: &RepositoryId, update: RefUpdate, policy: &dyn RefPolicy) -> Result<()> {
        let RefUpdate { name, old, new, push_id } = update;
        let updates = vec![Update { name: name.clone(), old, new }];
        let push = Push { updates, received: None, atomic: true, id: push_id, asker: Asker::default() };
        settle(&name, self.push(repository, push, policy).await?)
    }

    /// Makes a branch at `at`; `Error::Exists` when there is one.
    pub async fn create_branch(
        &self,
        repository: &RepositoryId,
        branch: &BranchName,
        at: Oid,
        policy: &dyn RefPolicy,
    ) -> Result<()> {
        self.resolve(repository, &Revision::Oid(at)).await?;
        let (name, push_id) = (branch.to_ref(), self.new_push_id());
        let update = RefUpdate { name, old: None, new: Some(at), push_id };
        match self.update_ref(repository, update, policy).await {
            Err(Error::Moved { .. }) => Err(Error::Exists(format!("branch `{branch}`"))),
            outcome => outcome,
        }
    }

    /// Removes a branch; `expected` is where it must point, when given.
    pub async fn delete_branch(
        &self,
        repository: &RepositoryId,
        branch: &BranchName,
        expected: Option<Oid>,
        policy: &dyn RefPolicy,
    ) -> Result<()> {
        let name = branch.to_ref();
        let current = self.snapshot(repository).await?.oid_of(&name);
        let current = current.ok_or_else(|| Error::NotFound(format!("branch `{branch}`")))?;
        let old = Some(expected.unwrap_or(current));
        self.update_ref(repository, RefUpdate { name, old, new: None, push_id: self.new_push_id() }, policy).await
    }

    /// Writes the files of a commit into the empty or absent folder `into`: plain files with their executable bit
    /// and symlinks, which are never followed. Submodules become empty folders. No hook, filter or attribute runs.
    pub async fn checkout(&self, repository: &RepositoryId, commit: Oid, into: &Path) -> Result<()> {
        let into = into.to_owned();
        self.with_objects(repository, move |objects, _| read::checkout(objects, commit, &into)).await
    }

    /// The answer to `GET info/refs?service=…`. Receive-pack has no protocol v2.
    pub async fn advertise(&self, repository: &RepositoryId, service: Service, protocol: Protocol) -> Result<Bytes> {
        Ok(crate::protocol::advertise(&self.snapshot(repository).await?, service, protocol, self.offers()))
    }

    /// The answer to `POST git-upload-pack`; errors that the client should read come as packets within it.
    pub async fn upload_pack(
        &self,
        repository: &RepositoryId,
        protocol: Protocol,
        body: BlobStream,
    ) -> Result<BlobStream> {
        self.upload(repository, protocol, body).await
    }

    /// The answer to `POST git-receive-pack`: progress, then a report of each ref after the refs have moved. When
    /// the answer is no longer read, work on the push ends and nothing changes; once the refs move it is finished.
    pub async fn receive_pack(
        &self,
        repository: &RepositoryId,
        body: BlobStream,
        policy: Arc<dyn RefPolicy>,
    ) -> Result<BlobStream> {
        self.receive(repository, body, policy).await
    }
}

/// The verdict on a push of one ref.
pub(crate) fn settle(name: &RefName, verdicts: Vec<Verdict>) -> Result<()> {
    match verdicts.into_iter().next() {
        Some(Verdict::Done) => Ok(()),
        Some(Verdict::Moved(current)) => Err(Error::Moved { name: name.clone(), current }),
        Some(Verdict::InTheWay(other)) => {
            Err(Error::Refused { name: name.clone(), reason: format!("`{other}` is in the way") })
        }
        Some(Verdict::Refused(reason)) => Err(Error::Refused { name: name.clone(), reason }),
        None => Err(Error::Invalid("a push of nothing".into())),
    }
}
