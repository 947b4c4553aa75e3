//! Room for objects: reserved by a batch, given back when what was announced does not arrive.

use std::collections::HashMap;
use std::time::Duration;

use cloud::{Expect, RangeQuery, Sha256Digest, Write};
use identity::ProjectId;
use serde_json::json;

use super::objects::ObjectRefusal;
use super::{ATTEMPTS_MAX, Lfs, ObjectRecord, Usage, busy};
use crate::core::Stored;
use crate::usage::storage_left;
use crate::{Caller, Result, keys};

/// How long an object is waited for from its last batch.
const WAITING_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Objects reserved in one transaction.
const RESERVED_AT_ONCE: usize = 50;

/// What became of each object of a batch that is not stored: the record that waits for it, or why there is none.
type Reserved = Vec<(Sha256Digest, Result<ObjectRecord, ObjectRefusal>)>;

/// What a project may hold of Git LFS, as it is now.
struct Room {
    bytes: u64,
    objects: u64,
    /// The project's quota is what limits `bytes`, and not the limit of Git LFS alone.
    by_quota: bool,
}

impl Room {
    /// Why an object does not fit, when `usage` is what it comes to with it.
    fn refusal(&self, usage: &Usage) -> Option<ObjectRefusal> {
        if usage.objects > self.objects {
            return Some(ObjectRefusal::NoRoom(format!("The project may hold {} Git LFS objects.", self.objects)));
        }
        let left = self.bytes;
        (usage.bytes > left).then(|| {
            ObjectRefusal::NoRoom(match self.by_quota {
                true => {
                    format!("The project's storage leaves {left} bytes to Git LFS; with this object they are passed.")
                }
                false => {
                    format!("The project may hold {left} bytes of Git LFS objects; with this one they are passed.")
                }
            })
        })
    }
}

impl Lfs {
    /// Makes room for what is not stored, in the order of the batch, as far as there is any.
    pub(super) async fn reserve(
        &self,
        caller: &Caller,
        project: &ProjectId,
        missing: Vec<(Sha256Digest, u64)>,
    ) -> Result<HashMap<Sha256Digest, Result<ObjectRecord, ObjectRefusal>>> {
        let mut reserved = HashMap::with_capacity(missing.len());
        for chunk in missing.chunks(RESERVED_AT_ONCE) {
            reserved.extend(self.reserve_some(caller, project, chunk).await?);
        }
        Ok(reserved)
    }

    async fn reserve_some(
        &self,
        caller: &Caller,
        project: &ProjectId,
        chunk: &[(Sha256Digest, u64)],
    ) -> Result<Reserved> {
        for _ in 0..ATTEMPTS_MAX {
            let (mut usage, expect) = self.usage(project).await?;
            let room = self.room(project, &usage).await?;
            let keys: Vec<_> = chunk.iter().map(|(oid, _)| keys::lfs_waiting(project, oid)).collect();
            let found = self.read_all(&keys).await?;
            let (mut reserved, mut writes, mut replaced) = (Reserved::new(), Vec::new(), Vec::new());
            for ((oid, size), found) in chunk.iter().zip(found) {
                let (record, write) = self.waiting(caller, project, (*oid, *size), found.as_ref())?;
                if found.as_ref().is_none_or(|old| old.value.upload != record.upload) {
                    let mut with = usage.clone();
                    with.bytes = with.bytes.saturating_add(*size);
                    with.objects += 1;
                    let old = found.map(|old| old.value);
                    old.iter().for_each(|old| with.release(old));
                    if let Some(refusal) = room.refusal(&with) {
                        reserved.push((*oid, Err(refusal)));
                        continue;
                    }
                    usage = with;
                    replaced.extend(old);
                }
                writes.extend(write);
                reserved.push((*oid, Ok(record)));
            }
            if writes.is_empty() {
                return Ok(reserved);
            }
            writes.push(Write::put(keys::lfs_usage(project), json!(usage), expect));
            match self.core.ports.records.transact(writes).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    self.delete_bytes(project, &replaced).await;
                    return Ok(reserved);
                }
            }
        }
        Err(busy())
    }

    /// The limits of Git LFS, and what the project's quota leaves beside everything else it stores.
    async fn room(&self, project: &ProjectId, usage: &Usage) -> Result<Room> {
        let quotas = &self.core.quotas;
        let left = storage_left(&self.core, project).await?.saturating_add(usage.bytes);
        let by_quota = left < quotas.lfs_bytes_per_project;
        let bytes = left.min(quotas.lfs_bytes_per_project);
        Ok(Room { bytes, objects: quotas.lfs_objects_per_project, by_quota })
    }

    /// The waiting record that an object has or gets, and the write that makes it so.
    fn waiting(
        &self,
        caller: &Caller,
        project: &ProjectId,
        (oid, size): (Sha256Digest, u64),
        found: Option<&Stored<ObjectRecord>>,
    ) -> Result<(ObjectRecord, Option<Write>)> {
        let now = self.core.ports.clock.now();
        let expires = Some(now.plus(WAITING_LIFE));
        let key = keys::lfs_waiting(project, &oid);
        let same = found.filter(|found| found.value.size == size);
        if let Some(found) = same {
            let left = found.value.expires.unwrap_or(now).since(now);
            if left > WAITING_LIFE / 2 {
                return Ok((found.value.clone(), None));
            }
            let record = ObjectRecord { expires, ..found.value.clone() };
            let write = Write::put(key, json!(record), Expect::At(found.version.clone()));
            return Ok((record, Some(write)));
        }
        let expect = found.map_or(Expect::Absent, |found| Expect::At(found.version.clone()));
        let record = ObjectRecord {
            v: 1,
            oid,
            size,
            upload: self.core.ulid(),
            created: now,
            created_by: caller.principal.account.to_string(),
            expires,
            unnamed: None,
        };
        let write = Write::put(key, json!(record), expect);
        Ok((record, Some(write)))
    }

    /// Gives back what was reserved for objects whose time is over.
    pub(super) async fn drop_expired(&self, project: &ProjectId) -> Result<()> {
        let range = RangeQuery {
            partition: keys::partition(project),
            prefix: keys::LFS_WAITING.into(),
            limit: 200,
            ..RangeQuery::default()
        };
        let now = self.core.ports.clock.now();
        for record in self.core.ports.records.query(range).await?.records {
            let waiting: ObjectRecord = crate::core::decode(&record)?;
            if waiting.expires.is_none_or(|expires| expires > now) {
                continue;
            }
            let (mut usage, expect) = self.usage(project).await?;
            usage.release(&waiting);
            let writes = vec![
                Write::Delete { key: record.key, expect: Expect::At(record.version) },
                Write::put(keys::lfs_usage(project), json!(usage), expect),
            ];
            match self.core.ports.records.transact(writes).await {
                // Verified meanwhile, or dropped by another: the bytes are not ours to delete.
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => self.delete_bytes(project, &[waiting]).await,
            }
        }
        Ok(())
    }
}
