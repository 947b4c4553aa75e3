//! Packs on this machine's disk: a copy of what is in blobs, and the quarantine of what is not yet.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cloud::{BlobKey, Blobs, Sha256Digest};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::bitmap::Bitmaps;
use crate::pack::PackIndex;
use crate::record::{Contents, StoredPack, blob_key, pack_key};

use crate::{Error, RepositoryId, Result};

/// The packs of one repository in one epoch, in the layout of an `objects` folder. Goes away with its value, so
/// that a reader keeps what it began with, and a pack that was replaced is never found by who began later.
pub(crate) struct RepositoryPacks {
    objects: PathBuf,
    epoch: u64,
    filling: tokio::sync::Mutex<()>,
    indexes: Mutex<HashMap<Sha256Digest, Arc<PackIndex>>>,
    bitmaps: Mutex<Option<(Sha256Digest, Arc<Bitmaps>)>>,
    bytes: AtomicU64,
    used: AtomicU64,
}

/// Bitmaps as they are stored (bytes).
const BITMAPS_MAX: usize = 64 << 20;

pub(crate) struct PackCache {
    root: PathBuf,
    bytes_max: u64,
    clock: AtomicU64,
    open: Mutex<HashMap<RepositoryId, Arc<RepositoryPacks>>>,
    is_ready: Mutex<bool>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RepositoryPacks {
    pub(crate) fn objects(&self) -> &Path {
        &self.objects
    }

    /// The epoch of the repository whose packs these are.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    fn path(&self, pack: &Sha256Digest, extension: &str) -> PathBuf {
        self.objects.join("pack").join(format!("pack-{pack}.{extension}"))
    }

    pub(crate) fn pack_path(&self, pack: &Sha256Digest) -> PathBuf {
        self.path(pack, "pack")
    }

    /// The index of a pack that is here.
    pub(crate) fn index(&self, pack: &Sha256Digest) -> Result<Arc<PackIndex>> {
        if let Some(index) = locked(&self.indexes).get(pack) {
            return Ok(Arc::clone(index));
        }
        let raw = std::fs::read(self.path(pack, "idx")).map_err(Error::io("reading a pack index"))?;
        let index = Arc::new(PackIndex::parse(raw)?);
        locked(&self.indexes).insert(*pack, Arc::clone(&index));
        Ok(index)
    }

    /// The bitmaps, if they are here.
    pub(crate) fn bitmaps(&self) -> Option<Arc<Bitmaps>> {
        locked(&self.bitmaps).as_ref().map(|(_, bitmaps)| Arc::clone(bitmaps))
    }

    fn has(&self, pack: &Sha256Digest) -> bool {
        self.path(pack, "idx").exists()
    }

    /// Takes over the packs that both have, without copying.
    fn inherit(&self, earlier: &Self, packs: &[StoredPack]) {
        for pack in packs.iter().filter(|pack| earlier.has(&pack.id)) {
            let linked = ["pack", "idx"].into_iter().all(|extension| {
                std::fs::hard_link(earlier.path(&pack.id, extension), self.path(&pack.id, extension)).is_ok()
            });
            if linked {
                self.bytes.fetch_add(pack.bytes + pack.index_bytes, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for RepositoryPacks {
    fn drop(&mut self) {
        // A copy of what is in blobs.
        let _ = std::fs::remove_dir_all(&self.objects);
    }
}

impl PackCache {
    /// Touches no disk before it is needed: a cold start does not wait for folders.
    pub(crate) fn new(root: PathBuf, bytes_max: u64) -> Self {
        Self { root, bytes_max, clock: AtomicU64::new(0), open: Mutex::default(), is_ready: Mutex::new(false) }
    }

    /// Empties the folder the first time: what an earlier process left may be torn.
    pub(crate) fn ready(&self) -> Result<()> {
        let mut is_ready = locked(&self.is_ready);
        if *is_ready {
            return Ok(());
        }
        for part in ["repositories", "quarantine"] {
            match std::fs::remove_dir_all(self.root.join(part)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("emptying the pack cache")(error));
                }
                _ => std::fs::create_dir_all(self.root.join(part)).map_err(Error::io("making the pack cache"))?,
            }
        }
        *is_ready = true;
        Ok(())
    }

    /// A folder that goes away with its value.
    pub(crate) fn quarantine(&self) -> Result<TempDir> {
        self.ready()?;
        let dir = tempfile::Builder::new().prefix("push-").tempdir_in(self.root.join("quarantine"));
        let dir = dir.map_err(Error::io("making a quarantine"))?;
        std::fs::create_dir(dir.path().join("pack")).map_err(Error::io("making a quarantine"))?;
        Ok(dir)
    }

    /// The packs of this epoch. Of an epoch that has passed they are not kept for others.
    fn entry(&self, repository: &RepositoryId, epoch: u64, packs: &[StoredPack]) -> Result<Arc<RepositoryPacks>> {
        self.ready()?;
        let mut open = locked(&self.open);
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let earlier = open.get(repository).cloned();
        if let Some(here) = earlier.as_ref().filter(|here| here.epoch == epoch) {
            here.used.store(now, Ordering::Relaxed);
            return Ok(Arc::clone(here));
        }
        let objects = self.root.join("repositories").join(format!("{repository}-{now}"));
        std::fs::create_dir_all(objects.join("pack")).map_err(Error::io("making the pack cache"))?;
        let made = Arc::new(RepositoryPacks {
            objects,
            epoch,
            filling: tokio::sync::Mutex::default(),
            indexes: Mutex::default(),
            bitmaps: Mutex::default(),
            bytes: AtomicU64::new(0),
            used: AtomicU64::new(now),
        });
        if let Some(earlier) = &earlier {
            made.inherit(earlier, packs);
        }
        if earlier.is_none_or(|earlier| earlier.epoch < epoch) {
            open.insert(repository.clone(), Arc::clone(&made));
        }
        Ok(made)
    }

    /// Brings the packs here that are not, and the bitmaps.
    pub(crate) async fn fill(
        &self,
        repository: &RepositoryId,
        blobs: &Arc<dyn Blobs>,
        epoch: u64,
        contents: &Contents,
    ) -> Result<Arc<RepositoryPacks>> {
        let here = self.entry(repository, epoch, &contents.packs)?;
        let (_, bitmaps) = contents.numbered();
        let unread = |here: &RepositoryPacks| {
            let at_hand = locked(&here.bitmaps).as_ref().map(|(digest, _)| *digest);
            bitmaps.filter(|stored| at_hand != Some(stored.blob.digest))
        };
        if contents.packs.iter().any(|pack| !here.has(&pack.id)) || unread(&here).is_some() {
            let _one_at_a_time = here.filling.lock().await;
            for pack in contents.packs.iter().filter(|pack| !here.has(&pack.id)) {
                let key = pack_key(repository, pack, "pack")?;
                self.fetch(blobs, &key, &pack.id, &here.path(&pack.id, "pack")).await?;
                let key = pack_key(repository, pack, "idx")?;
                self.fetch(blobs, &key, &pack.index, &here.path(&pack.id, "idx")).await?;
                here.bytes.fetch_add(pack.bytes + pack.index_bytes, Ordering::Relaxed);
            }
            if let Some(stored) = unread(&here) {
                let key = blob_key(repository, &stored.blob.name)?;
                let raw = cloud::collect(blobs.get(&key, None).await?, BITMAPS_MAX).await?;
                if Sha256Digest::of(&raw) != stored.blob.digest {
                    return Err(cloud::Error::Corrupt(key.to_string()).into());
                }
                let bitmaps = Arc::new(crate::bitmap::decode(&raw)?);
                *locked(&here.bitmaps) = Some((stored.blob.digest, bitmaps));
            }
        }
        self.evict();
        Ok(here)
    }

    /// Takes over a pack that was accepted from its quarantine, when the repository is at hand.
    pub(crate) async fn adopt(
        &self,
        repository: &RepositoryId,
        epoch: u64,
        pack: &StoredPack,
        from: &Path,
    ) -> Result<()> {
        let here = locked(&self.open).get(repository).filter(|here| here.epoch == epoch).cloned();
        let Some(here) = here else { return Ok(()) };
        let _one_at_a_time = here.filling.lock().await;
        if here.has(&pack.id) {
            return Ok(());
        }
        for extension in ["pack", "idx"] {
            let source = from.join("pack").join(format!("pack-{}.{extension}", pack.id));
            std::fs::rename(source, here.path(&pack.id, extension)).map_err(Error::io("keeping a pack"))?;
        }
        here.bytes.fetch_add(pack.bytes + pack.index_bytes, Ordering::Relaxed);
        Ok(())
    }

    async fn fetch(&self, blobs: &Arc<dyn Blobs>, key: &BlobKey, digest: &Sha256Digest, to: &Path) -> Result<()> {
        let mut body = blobs.get(key, None).await?.body;
        let temporary = tempfile::NamedTempFile::new_in(self.root.join("quarantine"));
        let (file, path) = temporary.map_err(Error::io("caching a pack"))?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let mut hash = Sha256::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(Error::io("reading a pack"))?;
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(Error::io("caching a pack"))?;
        }
        file.flush().await.map_err(Error::io("caching a pack"))?;
        if <[u8; 32]>::from(hash.finalize()) != digest.0 {
            return Err(cloud::Error::Corrupt(key.to_string()).into());
        }
        path.persist(to).map_err(|error| Error::io("caching a pack")(error.error))
    }

    pub(crate) fn forget(&self, repository: &RepositoryId) {
        locked(&self.open).remove(repository);
    }

    /// Removes what was used longest ago until the rest fits; never what is in use.
    fn evict(&self) {
        let mut open = locked(&self.open);
        let mut total: u64 = open.values().map(|packs| packs.bytes.load(Ordering::Relaxed)).sum();
        while total > self.bytes_max {
            let idle = open.iter().filter(|(_, packs)| Arc::strong_count(packs) == 1);
            let oldest = idle.min_by_key(|(_, packs)| packs.used.load(Ordering::Relaxed)).map(|(id, _)| id.clone());
            let Some(packs) = oldest.and_then(|id| open.remove(&id)) else { break };
            total -= packs.bytes.load(Ordering::Relaxed);
        }
    }
}
