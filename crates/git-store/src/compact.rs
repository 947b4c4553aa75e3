//! Many small packs become one, by copying: an object is not deflated anew.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::time::Duration;

use cloud::{Expect, Sha256Digest};

use crate::objects::Objects;
use crate::pack::{Ingest, PACK_LIMITS, PackSet, Plan, write_pack};
use crate::quarantine::{INCOMING, Received, place};
use crate::record::{Retired, Snapshot, StoredPack, pack_key, record_key};
use crate::store::{GitStore, blocking};
use crate::{Error, RepositoryId, Result};

/// Packs a repository may have before the small ones are joined.
const PACKS_MAX: usize = 40;
/// The largest packs are left alone.
const PACKS_KEPT: usize = 8;
/// Packs joined at a time (bytes in all), so that a push does not wait long.
const JOINED_BYTES_MAX: u64 = 128 << 20;
/// A read that began before a pack was replaced may want it for this long.
const RETIRED_FOR: Duration = Duration::from_secs(3600);
const ATTEMPTS_MAX: u32 = 4;

impl GitStore {
    /// Joins small packs when there are many. What fails here is tried again after a later push.
    pub(crate) async fn tidy(&self, id: &RepositoryId) {
        if let Err(error) = self.try_tidy(id).await {
            tracing::warn!(%error, repository = %id, "joining packs");
        }
    }

    async fn try_tidy(&self, id: &RepositoryId) -> Result<()> {
        let snapshot = self.snapshot(id).await?;
        let chosen = choose(&snapshot.contents.packs);
        if chosen.len() < 2 {
            return Ok(());
        }
        let joined = self.join(id, &snapshot, chosen.clone()).await?;
        self.store_received(id, &joined).await?;
        let replaced: HashSet<Sha256Digest> = chosen.iter().map(|pack| pack.id).collect();
        let mut snapshot = snapshot;
        for attempt in 0..ATTEMPTS_MAX {
            let live: HashSet<Sha256Digest> = snapshot.contents.packs.iter().map(|pack| pack.id).collect();
            if !replaced.is_subset(&live) || live.contains(&joined.pack.id) {
                return Ok(());
            }
            let (next, expired) = self.replaced(&snapshot, &replaced, &joined.pack);
            let value = self.record_value(id, &next).await?;
            let expect = snapshot.version.clone().map_or(Expect::Absent, Expect::At);
            match self.settings().records.put(record_key(id), value, expect).await {
                Ok(_) => {
                    self.cache().adopt(id, &joined.pack, joined.dir.path()).await?;
                    return self.remove(id, &expired).await;
                }
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
            }
            self.pause(attempt).await;
            snapshot = self.snapshot(id).await?;
        }
        Ok(())
    }

    /// One pack of everything in `chosen`, indexed anew: every object is hashed again on the way.
    async fn join(&self, id: &RepositoryId, snapshot: &Snapshot, chosen: Vec<StoredPack>) -> Result<Received> {
        let packs = self.packs(id, snapshot).await?;
        let (dir, upload) = (self.cache().quarantine()?, self.new_push_id());
        blocking(move || {
            let path = dir.path().join(INCOMING);
            let set = PackSet::open(&packs, &chosen)?;
            let objects = Objects::open(Arc::clone(&packs), None)?;
            let mut file = BufWriter::new(File::create(&path).map_err(Error::io("joining packs"))?);
            let plan = Plan { offsets: true, thin: false };
            let mut sink = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("joining packs"));
            write_pack(&set, &objects, &set.everything(), plan, &mut sink)?;
            file.flush().map_err(Error::io("joining packs"))?;
            let ingest = Ingest { limits: PACK_LIMITS, base: &|_| Ok(None), check: &mut |_, _, _| Ok(()) };
            let pack = place(dir.path(), &path, &ingest.run(&path)?, upload)?;
            Ok(Received { dir, pack })
        })
        .await
    }

    /// The repository with the joined pack, and the packs whose time is up.
    fn replaced(
        &self,
        snapshot: &Snapshot,
        replaced: &HashSet<Sha256Digest>,
        joined: &StoredPack,
    ) -> (Snapshot, Vec<StoredPack>) {
        let now = self.settings().clock.now();
        let mut next = snapshot.clone();
        next.generation += 1;
        next.epoch += 1;
        let (gone, mut packs): (Vec<_>, Vec<_>) =
            next.contents.packs.into_iter().partition(|pack| replaced.contains(&pack.id));
        packs.push(joined.clone());
        next.contents.packs = packs;
        let is_expired = |retired: &Retired| now.since(retired.at) > RETIRED_FOR;
        let (expired, mut waiting): (Vec<_>, Vec<_>) = next.contents.retired.into_iter().partition(is_expired);
        waiting.extend(gone.into_iter().map(|pack| Retired { pack, at: now }));
        next.contents.retired = waiting;
        (next, expired.into_iter().map(|retired| retired.pack).collect())
    }

    async fn remove(&self, id: &RepositoryId, packs: &[StoredPack]) -> Result<()> {
        for pack in packs {
            for extension in ["idx", "pack"] {
                self.settings().blobs.delete(&pack_key(id, pack, extension)?).await?;
            }
        }
        Ok(())
    }
}

/// The smallest packs, when there are too many.
fn choose(packs: &[StoredPack]) -> Vec<StoredPack> {
    if packs.len() <= PACKS_MAX {
        return Vec::new();
    }
    let mut smallest = packs.to_vec();
    smallest.sort_by_key(|pack| pack.bytes);
    smallest.truncate(packs.len() - PACKS_KEPT);
    let mut total = 0;
    smallest.retain(|pack| {
        total += pack.bytes;
        total <= JOINED_BYTES_MAX
    });
    smallest
}
