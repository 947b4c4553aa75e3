//! Installed dependencies, kept by project and by everything that they were made from.
//!
//! What is kept was installed in a folder that held only the files in its key: a branch cannot leave something
//! behind for another one under the same key. Projects never share.
//!
//! Two levels: folders on this machine's disk, which answer at once and may vanish with it, and zips among the
//! [`Blobs`], which every worker finds. A zip is taken only when its digest is the one it was stored with.

mod distant;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloud::Blobs;
use sha2::{Digest, Sha256};

use self::distant::Distant;
use super::copy::{self, blocking};
use super::{BuildError, Builder};

pub use self::distant::{ENTRY_BYTES_MAX, entries, entry_key, forget, trim};

/// Most entries that are kept for a project, on each level; the oldest go first.
const ENTRIES_MAX: usize = 20;
/// Changes when what an entry holds is laid out otherwise.
const LAYOUT: &str = "1";

/// What an installation depends on.
pub struct Key {
    hasher: Sha256,
}

impl Key {
    /// `tool` names the installer with its version. Packages may hold machine code: the architecture counts too.
    pub fn new(tool: &str) -> Self {
        let mut key = Self { hasher: Sha256::new() };
        for part in [LAYOUT, std::env::consts::ARCH, std::env::consts::OS, tool] {
            key.add(part, b"");
        }
        key
    }

    pub fn add(&mut self, name: &str, content: &[u8]) {
        for part in [name.as_bytes(), content] {
            self.hasher.update((part.len() as u64).to_le_bytes());
            self.hasher.update(part);
        }
    }

    fn text(self) -> String {
        hex::encode(self.hasher.finalize())
    }
}

/// Whose cache a build uses.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    pub project: &'a str,
    /// `None` where nothing is kept but on this disk.
    pub blobs: Option<&'a Arc<dyn Blobs>>,
}

/// A place in the cache.
pub struct Entry {
    folder: PathBuf,
    distant: Option<Distant>,
}

impl Builder {
    pub(super) fn cached(&self, owner: Owner<'_>, key: Key) -> Entry {
        Entry::at(&self.settings.cache, owner, key)
    }
}

/// The project's id is a plain name; hashed, it is one whatever it is.
fn folder_of(project: &str) -> String {
    hex::encode(&Sha256::digest(project.as_bytes())[..16])
}

impl Entry {
    fn at(cache: &Path, owner: Owner<'_>, key: Key) -> Self {
        let key = key.text();
        Self {
            folder: cache.join(folder_of(owner.project)).join(&key),
            distant: owner.blobs.map(|blobs| Distant::new(blobs.clone(), owner.project, &key)),
        }
    }

    /// Copies what is kept into `to`; `false` when nothing is. A cache that cannot be read is an empty one.
    pub async fn restore(&self, to: &Path) -> Result<bool, BuildError> {
        let hit = self.find(to).await?;
        function::metrics::cache(u64::from(hit), u64::from(!hit));
        Ok(hit)
    }

    async fn find(&self, to: &Path) -> Result<bool, BuildError> {
        if self.folder.is_dir() {
            return copy::folder(self.folder.clone(), to.to_owned(), true).await.map(|()| true);
        }
        let Some(distant) = &self.distant else { return Ok(false) };
        let fetched = match distant.fetch().await {
            Ok(Some(fetched)) => fetched,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::warn!(%error, "kept dependencies could not be fetched");
                return Ok(false);
            }
        };
        let content = fetched.path().join("content");
        if let Err(error) = self.keep_here(&content).await {
            tracing::warn!(%error, "fetched dependencies are not kept on this disk");
        }
        copy::folder(content, to.to_owned(), true).await.map(|()| true)
    }

    /// Keeps a copy of `from`. Appears whole or not at all. The build does not depend on it.
    pub async fn keep(&self, from: &Path) -> Result<(), BuildError> {
        self.keep_here(from).await?;
        if let Some(distant) = &self.distant
            && let Err(error) = distant.store(from).await
        {
            tracing::warn!(%error, "dependencies are not kept for other workers");
        }
        Ok(())
    }

    async fn keep_here(&self, from: &Path) -> Result<(), BuildError> {
        let parent = self.folder.parent().unwrap_or(Path::new(".")).to_owned();
        let (entry, folder) = (self.folder.clone(), parent.clone());
        let staged = blocking(move || {
            std::fs::create_dir_all(&folder)?;
            tempfile::Builder::new().prefix(".new-").tempdir_in(&folder)
        });
        let staged = staged.await?.map_err(BuildError::io("keeping dependencies"))?;
        let content = staged.path().join("content");
        copy::folder(from.to_owned(), content.clone(), true).await?;
        blocking(move || {
            // Another build of the same key may have been first: its content is as good.
            let _ = std::fs::rename(&content, &entry);
            drop(staged);
            forget_oldest(&parent);
        })
        .await
    }
}

fn forget_oldest(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut kept: Vec<_> = entries
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    kept.sort();
    let excess = kept.len().saturating_sub(ENTRIES_MAX);
    for (_, path) in kept.into_iter().take(excess) {
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!(%error, "an old cache entry stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(lock: &str) -> Key {
        let mut key = Key::new("npm ci for 20");
        key.add("package-lock.json", lock.as_bytes());
        key
    }

    fn disk(project: &str) -> Owner<'_> {
        Owner { project, blobs: None }
    }

    #[tokio::test]
    async fn what_is_kept_comes_back_for_the_same_project_and_lock_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, made) = (folder.path().join("cache"), folder.path().join("made"));
        std::fs::create_dir_all(made.join("a")).unwrap();
        std::fs::write(made.join("a/b.js"), "x").unwrap();
        Entry::at(&cache, disk("one"), key("1")).keep(&made).await.unwrap();
        let to = |name: &str| folder.path().join(name);
        assert!(Entry::at(&cache, disk("one"), key("1")).restore(&to("hit")).await.unwrap());
        assert_eq!(std::fs::read_to_string(to("hit").join("a/b.js")).unwrap(), "x");
        assert!(!Entry::at(&cache, disk("two"), key("1")).restore(&to("other")).await.unwrap());
        assert!(!Entry::at(&cache, disk("one"), key("2")).restore(&to("changed")).await.unwrap());
        assert!(!to("other").exists() && !to("changed").exists());
    }

    #[tokio::test]
    async fn a_second_keeper_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        for (name, content) in [("first", "1"), ("second", "2")] {
            let made = folder.path().join(name);
            std::fs::create_dir_all(&made).unwrap();
            std::fs::write(made.join("x"), content).unwrap();
            Entry::at(&cache, disk("p"), key("1")).keep(&made).await.unwrap();
        }
        let to = folder.path().join("to");
        assert!(Entry::at(&cache, disk("p"), key("1")).restore(&to).await.unwrap());
        assert_eq!(std::fs::read_to_string(to.join("x")).unwrap(), "1");
    }
}
