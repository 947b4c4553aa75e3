//! Objects that nothing points at: marked, and removed when that is so for long enough.
//!
//! A pointer counts wherever it is stored in the repository, also in what no ref leads to any more: so no walk can
//! miss one, and an object stays for as long as a commit that might come back.

use std::collections::HashSet;
use std::time::Duration;

use cloud::{Expect, RangeQuery, RecordKey, Sha256Digest, Write};
use identity::ProjectId;
use serde_json::json;

use super::{ATTEMPTS_MAX, Lfs, LfsPointer, ObjectRecord, POINTER_BYTES_MAX, busy};
use crate::core::{Stored, decode};
use crate::projects::repository;
use crate::{Error, Result, keys};

/// As long as what is unreachable stays in the repository, counted from the first look that found no pointer.
const KEPT_FOR: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Records read at a time.
const PAGE: usize = 200;
/// Objects marked or removed by one look; the next one goes on.
const CHANGES_MAX: usize = 2_000;

/// What a look at the objects of a project came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Objects that nothing points at, which were not known to be such.
    pub marked: usize,
    pub removed: usize,
    /// Bytes of what was removed.
    pub bytes: u64,
}

/// A stored object and its record.
type Found = (RecordKey, Stored<ObjectRecord>);

impl Lfs {
    /// For the worker: removes objects that nothing in the repository has pointed at for two weeks, and gives back
    /// what was reserved for objects that never came.
    pub(crate) async fn collect(&self, project: &ProjectId) -> Result<Collected> {
        self.drop_expired(project).await?;
        let mut done = Collected::default();
        // Read before the pointers: who is told later that an object is here moves its record.
        let stored = self.stored(project).await?;
        if stored.is_empty() {
            return Ok(done);
        }
        let named = self.pointed_at(project).await?;
        for (key, found) in stored {
            if done.marked + done.removed >= CHANGES_MAX {
                break;
            }
            self.judge(project, key, found, &named, &mut done).await?;
        }
        Ok(done)
    }

    async fn stored(&self, project: &ProjectId) -> Result<Vec<Found>> {
        let mut stored = Vec::new();
        let mut after = None;
        loop {
            let range = RangeQuery {
                partition: keys::partition(project),
                prefix: keys::LFS_OBJECT.into(),
                after,
                limit: PAGE,
                ..RangeQuery::default()
            };
            let page = self.core.ports.records.query(range).await?;
            for record in page.records {
                let value = decode(&record)?;
                stored.push((record.key, Stored { value, version: record.version }));
            }
            after = page.next;
            if after.is_none() {
                return Ok(stored);
            }
        }
    }

    /// Every object that a stored file of the repository points at.
    async fn pointed_at(&self, project: &ProjectId) -> Result<HashSet<Sha256Digest>> {
        let note = |named: &mut HashSet<Sha256Digest>, file: &[u8]| {
            named.extend(LfsPointer::parse(file).map(|pointer| pointer.oid));
        };
        let (id, below) = (repository(project)?, POINTER_BYTES_MAX as u64);
        let named = self.core.git.each_blob_below(&id, below, HashSet::new(), note).await;
        named.map_err(|error| Error::git(error, "repository", "project"))
    }

    async fn judge(
        &self,
        project: &ProjectId,
        key: RecordKey,
        found: Stored<ObjectRecord>,
        named: &HashSet<Sha256Digest>,
        done: &mut Collected,
    ) -> Result<()> {
        let now = self.core.ports.clock.now();
        let is_named = named.contains(&found.value.oid);
        match found.value.unnamed {
            None if is_named => {}
            None => {
                let marked = ObjectRecord { unnamed: Some(now), ..found.value };
                done.marked += usize::from(self.replace(key, &marked, found.version).await?);
            }
            Some(_) if is_named => {
                let cleared = ObjectRecord { unnamed: None, ..found.value };
                self.replace(key, &cleared, found.version).await?;
            }
            Some(since) if now.since(since) < KEPT_FOR => {}
            Some(_) => {
                if self.remove(project, key, &found).await? {
                    done.removed += 1;
                    done.bytes += found.value.size;
                }
            }
        }
        Ok(())
    }

    /// Whether the record was still the one that was read.
    async fn replace(&self, key: RecordKey, record: &ObjectRecord, version: cloud::Version) -> Result<bool> {
        match self.core.ports.records.put(key, json!(record), Expect::At(version)).await {
            Err(error) if error.is_condition_failed() => Ok(false),
            done => Ok(done.map(|_| true)?),
        }
    }

    /// The record goes first: without it nobody is told that the object is here.
    async fn remove(&self, project: &ProjectId, key: RecordKey, found: &Stored<ObjectRecord>) -> Result<bool> {
        for _ in 0..ATTEMPTS_MAX {
            let (mut usage, expect) = self.usage(project).await?;
            usage.release(&found.value);
            let writes = vec![
                Write::Delete { key: key.clone(), expect: Expect::At(found.version.clone()) },
                Write::put(keys::lfs_usage(project), json!(usage), expect),
            ];
            match self.core.ports.records.transact(writes).await {
                Err(error) if error.is_condition_failed() => {
                    let now = self.core.ports.records.get(&key).await?;
                    if now.is_none_or(|record| record.version != found.version) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    self.delete_bytes(project, std::slice::from_ref(&found.value)).await;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// An object that a client is told it need not send begins its time anew; `false` when it has just gone.
    pub(super) async fn keep(&self, project: &ProjectId, stored: &Stored<ObjectRecord>) -> Result<bool> {
        let key = keys::lfs_object(project, &stored.value.oid);
        let mut now = Some(stored.clone());
        for _ in 0..ATTEMPTS_MAX {
            let Some(stored) = now else { return Ok(false) };
            if stored.value.unnamed.is_none() {
                return Ok(true);
            }
            let kept = ObjectRecord { unnamed: None, ..stored.value };
            if self.replace(key.clone(), &kept, stored.version).await? {
                return Ok(true);
            }
            now = self.core.read(&key).await?;
        }
        Err(busy())
    }
}
