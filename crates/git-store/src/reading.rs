//! What people read beyond folders and files: every path, and what is found in them.

use crate::read;
use crate::store::GitStore;
use crate::{Error, Oid, PathsPage, RepositoryId, Result, SearchPage, SearchQuery};

/// Paths on one page.
const PATHS_MAX: usize = 10_000;

impl GitStore {
    /// The paths of all files of a commit that start with `prefix`, from number `from` on; at most 10,000.
    pub async fn paths(
        &self,
        repository: &RepositoryId,
        commit: Oid,
        prefix: &str,
        from: u64,
        limit: usize,
    ) -> Result<PathsPage> {
        if !read::is_prefix(prefix) {
            return Err(Error::Invalid("not a path that a repository can hold".into()));
        }
        let prefix = crate::bytes_of(prefix).into_owned();
        let work = move |objects: &_, _: &_| read::paths(objects, commit, &prefix, from, limit.clamp(1, PATHS_MAX));
        self.with_objects(repository, work).await
    }

    /// Looks for text in the files of a commit. Binary files are passed over.
    pub async fn search(&self, repository: &RepositoryId, commit: Oid, query: SearchQuery) -> Result<SearchPage> {
        self.with_objects(repository, move |objects, _| read::search(objects, commit, &query)).await
    }
}
