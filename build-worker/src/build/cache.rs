//! Installed dependencies, kept by project and by everything that they were made from.
//!
//! What is kept was installed in a folder that held only the files in its key: a branch cannot leave something
//! behind for another one under the same key. Projects never share.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::copy::{self, blocking};
use super::{BuildError, Builder};

/// Most entries that are kept for a project; the oldest go first.
const ENTRIES_MAX: usize = 20;

/// What an installation depends on.
pub struct Key {
    hasher: Sha256,
}

impl Key {
    /// `tool` names the installer with its version.
    pub fn new(tool: &str) -> Self {
        let mut key = Self { hasher: Sha256::new() };
        key.add(tool, b"");
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

/// A place in the cache.
pub struct Entry(PathBuf);

impl Builder {
    pub(super) fn cached(&self, project: &str, key: Key) -> Entry {
        Entry::at(&self.settings.cache, project, key)
    }
}

impl Entry {
    fn at(cache: &Path, project: &str, key: Key) -> Self {
        // The project's id is a plain name; hashed, it is one whatever it is.
        let folder = hex::encode(&Sha256::digest(project.as_bytes())[..16]);
        Self(cache.join(folder).join(key.text()))
    }

    /// Copies what is kept into `to`; `false` when nothing is.
    pub async fn restore(&self, to: &Path) -> Result<bool, BuildError> {
        if !self.0.is_dir() {
            return Ok(false);
        }
        copy::folder(self.0.clone(), to.to_owned(), true).await.map(|()| true)
    }

    /// Keeps a copy of `from`. Appears whole or not at all.
    pub async fn keep(&self, from: &Path) -> Result<(), BuildError> {
        let parent = self.0.parent().unwrap_or(Path::new(".")).to_owned();
        let (entry, folder) = (self.0.clone(), parent.clone());
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

    #[tokio::test]
    async fn what_is_kept_comes_back_for_the_same_project_and_lock_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, made) = (folder.path().join("cache"), folder.path().join("made"));
        std::fs::create_dir_all(made.join("a")).unwrap();
        std::fs::write(made.join("a/b.js"), "x").unwrap();
        Entry::at(&cache, "one", key("1")).keep(&made).await.unwrap();
        let to = |name: &str| folder.path().join(name);
        assert!(Entry::at(&cache, "one", key("1")).restore(&to("hit")).await.unwrap());
        assert_eq!(std::fs::read_to_string(to("hit").join("a/b.js")).unwrap(), "x");
        assert!(!Entry::at(&cache, "two", key("1")).restore(&to("other")).await.unwrap());
        assert!(!Entry::at(&cache, "one", key("2")).restore(&to("changed")).await.unwrap());
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
            Entry::at(&cache, "p", key("1")).keep(&made).await.unwrap();
        }
        let to = folder.path().join("to");
        assert!(Entry::at(&cache, "p", key("1")).restore(&to).await.unwrap());
        assert_eq!(std::fs::read_to_string(to.join("x")).unwrap(), "1");
    }
}
