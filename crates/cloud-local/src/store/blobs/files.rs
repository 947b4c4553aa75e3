//! Blob bodies on disk: written beside, flushed, then moved into place.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cloud::{Result, Sha256Digest};
use sha2::{Digest, Sha256};

use crate::store::database::During;

/// Folders that bodies are spread over: two hex digits of the file name.
const SHARDS: u32 = 256;

/// The folder of all bodies.
#[derive(Clone)]
pub(in crate::store) struct Files {
    root: Arc<Path>,
}

impl Files {
    /// Makes the folders and throws away what was being written when the last process ended.
    pub(in crate::store) fn open(root: &Path) -> Result<Self> {
        let staging = root.join("staging");
        let prepare = || -> std::io::Result<()> {
            if staging.exists() {
                std::fs::remove_dir_all(&staging)?;
            }
            std::fs::create_dir_all(&staging)?;
            for shard in 0..SHARDS {
                std::fs::create_dir_all(root.join(format!("{shard:02x}")))?;
            }
            File::open(root)?.sync_all()
        };
        prepare().during(format!("preparing {}", root.display()))?;
        Ok(Self { root: root.into() })
    }

    fn shard(&self, name: &str) -> PathBuf {
        self.root.join(name.get(..2).unwrap_or("00"))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.shard(name).join(name)
    }

    /// Starts a body under `name`, which is random hex.
    pub(super) fn stage(&self, name: String) -> Result<Staged> {
        let path = self.root.join("staging").join(&name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .during(format!("making {}", path.display()))?;
        Ok(Staged { name, file, length: 0, hasher: Sha256::new(), path: Unlink::new(path), files: self.clone() })
    }

    /// Deletes a body that nothing names any more; a failure leaves garbage for the next start.
    pub(in crate::store) fn remove(&self, name: &str) {
        let path = self.path(name);
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::warn!(%error, file = name, "a replaced blob file stays until the next start");
        }
    }

    /// The name of every body on disk.
    pub(in crate::store) fn names(&self) -> Result<Vec<String>> {
        let what = || format!("listing {}", self.root.display());
        let mut names = Vec::new();
        for shard in 0..SHARDS {
            for entry in std::fs::read_dir(self.root.join(format!("{shard:02x}"))).during(what())? {
                names.extend(entry.during(what())?.file_name().into_string());
            }
        }
        Ok(names)
    }
}

/// Removes a file unless it is kept.
struct Unlink {
    path: PathBuf,
    kept: bool,
}

impl Unlink {
    fn new(path: PathBuf) -> Self {
        Self { path, kept: false }
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        if !self.kept {
            // What is left is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A body being written. Dropped, it leaves nothing.
pub(super) struct Staged {
    name: String,
    path: Unlink,
    file: File,
    length: u64,
    hasher: Sha256,
    files: Files,
}

impl Staged {
    pub(super) fn write(&mut self, chunks: &[Bytes]) -> Result<()> {
        for chunk in chunks {
            self.file.write_all(chunk).during("writing a blob file")?;
            self.hasher.update(chunk);
            self.length += chunk.len() as u64;
        }
        Ok(())
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The digest of what was written.
    pub(super) fn digest(&self) -> Sha256Digest {
        Sha256Digest(self.hasher.clone().finalize().into())
    }

    /// Flushes the body and moves it to its place, flushing the folder too.
    pub(super) fn place(mut self) -> Result<Placed> {
        let place = self.files.path(&self.name);
        self.file.sync_all().during("flushing a blob file")?;
        std::fs::rename(&self.path.path, &place).during(format!("moving a blob file to {}", place.display()))?;
        self.path.kept = true;
        let placed = Placed { path: Unlink::new(place), name: self.name };
        File::open(self.files.shard(&placed.name)).and_then(|folder| folder.sync_all()).during("flushing a folder")?;
        Ok(placed)
    }
}

/// A body in its place that no row names yet. Dropped, it is removed; `keep` it once a row names it.
pub(super) struct Placed {
    path: Unlink,
    pub(super) name: String,
}

impl Placed {
    pub(super) fn keep(mut self) {
        self.path.kept = true;
    }
}
