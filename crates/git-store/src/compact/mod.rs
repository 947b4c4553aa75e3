//! Compaction: few packs, bitmaps, a bundle to clone from, and no garbage. All by copying; nothing is deflated anew.
//!
//! It reads a repository as it is, makes the new blobs, and moves the record to them by compare-and-swap. What is
//! replaced stays until no read can want it any more ([`RETIRED_FOR`]).

mod choose;
mod garbage;
mod make;
mod sweep;

use std::collections::HashSet;
use std::time::Duration;

use cloud::{Expect, Sha256Digest};

use crate::record::{Dated, Retired, Snapshot, StoredPack, blob_key, pack_key, record_key};
use crate::store::GitStore;
use crate::{RepositoryId, Result};
pub(crate) use choose::is_due;
use make::Made;

/// A read that began before a blob was replaced may want it for this long; no read lasts longer than an hour.
const RETIRED_FOR: Duration = Duration::from_secs(3600);
/// Times the whole is done again because pushes came between.
const ROUNDS_MAX: u32 = 3;
const ATTEMPTS_MAX: u32 = 8;
/// Packs with which a push does not wait for the job that joins them.
const PACKS_AT_ONCE_MAX: usize = 200;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub packs_before: usize,
    pub packs_after: usize,
    /// Packs, bitmaps and bundle (bytes).
    pub bytes: u64,
    pub objects: u64,
    /// Objects that no ref led to for long enough.
    pub dropped: u64,
}

/// What became of one attempt to move the record.
enum Swap {
    Done(Box<Snapshot>),
    /// Somebody else changed what this was made from.
    Outdated,
}

impl GitStore {
    /// Joins packs until they are in geometric progression, makes bitmaps and a bundle, drops what was unreachable
    /// for two weeks, and deletes the blobs that nothing can want. Safe beside any push, read and other compaction.
    pub async fn compact(&self, repository: &RepositoryId) -> Result<Compacted> {
        let mut snapshot = self.snapshot(repository).await?;
        let packs_before = snapshot.contents.packs.len();
        let mut dropped = 0;
        for round in 1..=ROUNDS_MAX {
            let made = self.make(repository, &snapshot, round < ROUNDS_MAX).await?;
            match self.swap(repository, &snapshot, &made).await? {
                Swap::Done(now) => {
                    dropped = made.dropped;
                    snapshot = *now;
                    break;
                }
                Swap::Outdated => snapshot = self.snapshot(repository).await?,
            }
        }
        self.sweep(repository).await?;
        let contents = &snapshot.contents;
        let blobs = [contents.bitmaps.as_ref().map(|b| b.blob.bytes), contents.bundle.as_ref().map(|b| b.blob.bytes)];
        let packs: u64 = contents.packs.iter().map(|pack| pack.bytes + pack.index_bytes).sum();
        Ok(Compacted {
            packs_before,
            packs_after: contents.packs.len(),
            bytes: packs + blobs.into_iter().flatten().sum::<u64>(),
            objects: contents.packs.iter().map(|pack| pack.objects).sum(),
            dropped,
        })
    }

    /// After a push: when the job has not come for long, the pusher does it.
    pub(crate) async fn tidy(&self, repository: &RepositoryId, packs: usize) {
        if packs <= PACKS_AT_ONCE_MAX {
            return;
        }
        if let Err(error) = self.compact(repository).await {
            tracing::warn!(%error, repository = %repository, "joining packs");
        }
    }

    async fn swap(&self, id: &RepositoryId, begun: &Snapshot, made: &Made) -> Result<Swap> {
        self.store_made(id, made).await?;
        let mut snapshot = begun.clone();
        for attempt in 0..ATTEMPTS_MAX {
            let live: HashSet<Sha256Digest> = snapshot.contents.packs.iter().map(|pack| pack.id).collect();
            let same_packs = made.replaced.is_subset(&live) && made.joined_id().is_none_or(|id| !live.contains(&id));
            let overtaken = made.dropped > 0 && snapshot.generation != begun.generation;
            if !same_packs || overtaken || snapshot.contents.bitmaps != begun.contents.bitmaps {
                return Ok(Swap::Outdated);
            }
            let (next, expired) = self.moved(&snapshot, made);
            let value = self.record_value(id, &next).await?;
            let expect = snapshot.version.clone().map_or(Expect::Absent, Expect::At);
            match self.settings().records.put(record_key(id), value, expect).await {
                Ok(_) => {
                    self.remove(id, &expired).await?;
                    return Ok(Swap::Done(Box::new(next)));
                }
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
            }
            self.pause(attempt).await;
            snapshot = self.snapshot(id).await?;
        }
        Ok(Swap::Outdated)
    }

    /// The repository with what was made, and what is over.
    fn moved(&self, snapshot: &Snapshot, made: &Made) -> (Snapshot, Expired) {
        let now = self.settings().clock.now();
        let mut next = snapshot.clone();
        next.generation += 1;
        next.epoch += 1;
        let contents = &mut next.contents;
        let (gone, mut packs): (Vec<_>, Vec<_>) =
            std::mem::take(&mut contents.packs).into_iter().partition(|pack| made.replaced.contains(&pack.id));
        packs.extend(made.joined.iter().map(|joined| joined.pack.clone()));
        contents.packs = packs;
        let mut blobs = Vec::new();
        if let Some((bitmaps, _)) = &made.bitmaps {
            blobs.extend(contents.bitmaps.replace(bitmaps.clone()).map(|old| old.blob));
        }
        if let Some(bundle) = &made.bundle {
            let dated = Dated { blob: bundle.blob.clone(), at: now };
            blobs.extend(contents.bundle.replace(dated).map(|old| old.blob));
        }
        if let Some(list) = &made.unreachable {
            let dated = list.as_ref().map(|(blob, _)| Dated { blob: blob.clone(), at: now });
            blobs.extend(std::mem::replace(&mut contents.unreachable, dated).map(|old| old.blob));
        }
        let is_over = |at| now.since(at) > RETIRED_FOR;
        let (old_packs, waiting) = std::mem::take(&mut contents.retired).into_iter().partition(|r| is_over(r.at));
        contents.retired = waiting;
        contents.retired.extend(gone.into_iter().map(|pack| Retired { pack, at: now }));
        let (old_blobs, waiting) = std::mem::take(&mut contents.retired_blobs).into_iter().partition(|d| is_over(d.at));
        contents.retired_blobs = waiting;
        contents.retired_blobs.extend(blobs.into_iter().map(|blob| Dated { blob, at: now }));
        (next, Expired { packs: old_packs, blobs: old_blobs })
    }

    async fn remove(&self, id: &RepositoryId, expired: &Expired) -> Result<()> {
        for Retired { pack, .. } in &expired.packs {
            self.remove_pack(id, pack).await?;
        }
        for Dated { blob, .. } in &expired.blobs {
            self.settings().blobs.delete(&blob_key(id, &blob.name)?).await?;
        }
        Ok(())
    }

    async fn remove_pack(&self, id: &RepositoryId, pack: &StoredPack) -> Result<()> {
        for extension in ["idx", "pack"] {
            self.settings().blobs.delete(&pack_key(id, pack, extension)?).await?;
        }
        Ok(())
    }
}

struct Expired {
    packs: Vec<Retired>,
    blobs: Vec<Dated>,
}
