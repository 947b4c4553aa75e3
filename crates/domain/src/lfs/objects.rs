//! Objects: named by a batch, sent by a presigned PUT, verified, downloaded.

use std::collections::HashSet;
use std::time::Duration;

use cloud::{BlobStream, Expect, PresignGet, PresignPut, Presigned, RecordKey, Sha256Digest, Write};
use futures::future::try_join_all;
use identity::{Permission, ProjectId};
use serde_json::json;

use super::{ATTEMPTS_MAX, Lfs, ObjectRecord, busy, parse_oid};
use crate::core::Stored;
use crate::events::NewEvent;
use crate::{Caller, Error, Result, keys};

/// Objects in one batch.
pub const BATCH_OBJECTS_MAX: usize = 1_000;
/// How long the URL of a transfer works: a client sends the objects of a batch one after another.
pub const TRANSFER_LIFE: Duration = Duration::from_secs(60 * 60);
/// One object (bytes; one presigned PUT).
const OBJECT_BYTES_MAX: u64 = cloud::limits::BLOB_PUT_MAX;
/// Records read at the same time.
const READS_AT_ONCE: usize = 16;
/// What an object's bytes are to whoever downloads them.
const CONTENT_TYPE: &str = "application/octet-stream";

/// An object as a client names it in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedObject {
    pub oid: String,
    pub size: i64,
}

/// Why one object of a batch is not transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectRefusal {
    Absent,
    /// Its oid or size is not acceptable, or is not that of the stored object.
    Invalid(String),
    /// The project has no room for it.
    NoRoom(String),
}

/// One object of a batch, with where to send it or get it: `None` when it is here already and need not be sent.
#[derive(Clone, Debug)]
pub struct BatchObject {
    pub wanted: WantedObject,
    pub transfer: Result<Option<Presigned>, ObjectRefusal>,
}

/// A stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LfsObject {
    pub oid: Sha256Digest,
    /// Bytes.
    pub size: u64,
}

impl Lfs {
    /// Where to send each object, with its length and digest signed. What is stored already is not sent again, and
    /// stays for as long as a push may take that names it.
    pub async fn upload_batch(
        &self,
        caller: &Caller,
        project: &str,
        wanted: Vec<WantedObject>,
    ) -> Result<Vec<BatchObject>> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?.id;
        self.drop_expired(&project).await?;
        let mut checked = self.looked_up(&project, &wanted).await?;
        let mut missing: Vec<(Sha256Digest, u64)> = Vec::new();
        let mut seen = HashSet::new();
        for (oid, size, stored) in checked.iter_mut().flatten() {
            if let Some(known) = stored
                && !self.keep(&project, known).await?
            {
                *stored = None;
            }
            if stored.is_none() && seen.insert(*oid) {
                missing.push((*oid, *size));
            }
        }
        let reserved = self.reserve(caller, &project, missing).await?;
        let mut answer = Vec::with_capacity(wanted.len());
        for (wanted, checked) in wanted.into_iter().zip(checked) {
            let transfer = match checked {
                Err(refusal) => Err(refusal),
                Ok((_, size, Some(stored))) if stored.value.size != size => Err(other_size(stored.value.size)),
                Ok((_, _, Some(_))) => Ok(None),
                Ok((oid, size, None)) => match reserved.get(&oid) {
                    Some(Ok(record)) if record.size == size => Ok(Some(self.put(&project, record).await?)),
                    Some(Err(refusal)) => Err(refusal.clone()),
                    _ => Err(ObjectRefusal::Invalid("the batch names the object with two sizes".into())),
                },
            };
            answer.push(BatchObject { wanted, transfer });
        }
        Ok(answer)
    }

    /// Where to get each object.
    pub async fn download_batch(
        &self,
        caller: &Caller,
        project: &str,
        wanted: Vec<WantedObject>,
    ) -> Result<Vec<BatchObject>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?.id;
        let checked = self.looked_up(&project, &wanted).await?;
        let mut answer = Vec::with_capacity(wanted.len());
        for (wanted, checked) in wanted.into_iter().zip(checked) {
            let transfer = match checked {
                Err(refusal) => Err(refusal),
                Ok((_, _, None)) => Err(ObjectRefusal::Absent),
                Ok((_, size, Some(stored))) if stored.value.size != size => Err(other_size(stored.value.size)),
                Ok((_, _, Some(stored))) => Ok(Some(self.get(&project, &stored.value, None).await?)),
            };
            answer.push(BatchObject { wanted, transfer });
        }
        Ok(answer)
    }

    /// Takes an object whose bytes have arrived; done again it changes nothing.
    pub async fn verify(&self, caller: &Caller, project: &str, wanted: &WantedObject) -> Result<()> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?.id;
        let (oid, size) = parsed(wanted).map_err(|refusal| match refusal {
            ObjectRefusal::Absent => Error::NotFound("object"),
            ObjectRefusal::Invalid(text) => Error::invalid("oid", text),
            ObjectRefusal::NoRoom(text) => Error::Quota(text.into()),
        })?;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(stored) = self.core.read::<ObjectRecord>(&keys::lfs_object(&project, &oid)).await? {
                return same_size(stored.value.size, size);
            }
            let waiting = self.core.read::<ObjectRecord>(&keys::lfs_waiting(&project, &oid)).await?;
            let Some(waiting) = waiting else {
                // Between the two reads another request may have verified it.
                let stored = self.core.read::<ObjectRecord>(&keys::lfs_object(&project, &oid)).await?;
                return same_size(stored.ok_or(Error::NotFound("object"))?.value.size, size);
            };
            same_size(waiting.value.size, size)?;
            match self.core.ports.blobs.head(&waiting.value.blob_key(&project)?).await {
                Err(error) if error.is_not_found() => return Err(Error::NotFound("object")),
                Err(error) => return Err(error.into()),
                Ok(meta) => same_size(meta.length, size)?,
            }
            match self.take(caller, &project, waiting).await {
                Err(error) if error.is_condition_failed() => {}
                other => return Ok(other?),
            }
        }
        Err(busy())
    }

    /// The transaction that makes a waiting object a stored one.
    async fn take(&self, caller: &Caller, project: &ProjectId, waiting: Stored<ObjectRecord>) -> cloud::Result<()> {
        let created = self.core.ports.clock.now();
        let record = ObjectRecord { expires: None, unnamed: None, created, ..waiting.value };
        let detail = json!({ "oid": record.oid, "size": record.size });
        let event = NewEvent::new("lfs.stored", format!("lfs/{}", record.oid), detail);
        let writes = vec![
            Write::Delete { key: keys::lfs_waiting(project, &record.oid), expect: Expect::At(waiting.version) },
            Write::put(keys::lfs_object(project, &record.oid), json!(record), Expect::Absent),
        ];
        self.core.commit(project, caller, &[event], writes).await.map(drop)
    }

    /// A stored object, with a URL that downloads it as `name`.
    pub async fn object(
        &self,
        caller: &Caller,
        project: &str,
        oid: &str,
        name: Option<&str>,
    ) -> Result<(LfsObject, Presigned)> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?.id;
        let oid = parse_oid(oid).ok_or(Error::NotFound("object"))?;
        let stored = self.core.read::<ObjectRecord>(&keys::lfs_object(&project, &oid)).await?;
        let stored = stored.ok_or(Error::NotFound("object"))?.value;
        let content = self.get(&project, &stored, Some(name.unwrap_or("object"))).await?;
        Ok((LfsObject { oid, size: stored.size }, content))
    }

    /// For the worker: the bytes of a stored object; `None` when it is not stored here.
    pub async fn open(&self, project: &ProjectId, oid: &Sha256Digest) -> Result<Option<(u64, BlobStream)>> {
        let stored = self.core.read::<ObjectRecord>(&keys::lfs_object(project, oid)).await?;
        let Some(stored) = stored else { return Ok(None) };
        let blob = self.core.ports.blobs.get(&stored.value.blob_key(project)?, None).await?;
        Ok(Some((stored.value.size, blob.body)))
    }

    /// Each object, checked, with its record where it is stored.
    async fn looked_up(&self, project: &ProjectId, wanted: &[WantedObject]) -> Result<Vec<Looked>> {
        if wanted.len() > BATCH_OBJECTS_MAX {
            return Err(Error::TooLarge(format!("A batch has at most {BATCH_OBJECTS_MAX} objects.").into()));
        }
        let parsed: Vec<_> = wanted.iter().map(parsed).collect();
        let keys: Vec<_> = parsed.iter().flatten().map(|(oid, _)| keys::lfs_object(project, oid)).collect();
        let mut stored = self.read_all(&keys).await?.into_iter();
        let mut looked_up = |(oid, size)| (oid, size, stored.next().flatten());
        Ok(parsed.into_iter().map(|object| object.map(&mut looked_up)).collect())
    }

    /// The records under these keys, in their order, a few at the same time.
    pub(super) async fn read_all(&self, keys: &[RecordKey]) -> Result<Vec<Option<Stored<ObjectRecord>>>> {
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(READS_AT_ONCE) {
            let reads: Vec<_> = some.iter().map(|key| self.core.read::<ObjectRecord>(key)).collect();
            found.extend(try_join_all(reads).await?);
        }
        Ok(found)
    }

    pub(super) async fn delete_bytes(&self, project: &ProjectId, records: &[ObjectRecord]) {
        for record in records {
            let Ok(key) = record.blob_key(project) else { continue };
            if let Err(error) = self.core.ports.blobs.delete(&key).await {
                tracing::warn!(oid = %record.oid, %error, "the bytes of an object that was given up stay");
            }
        }
    }

    async fn put(&self, project: &ProjectId, record: &ObjectRecord) -> Result<Presigned> {
        let what = PresignPut {
            expires_in: TRANSFER_LIFE,
            length: record.size,
            content_type: CONTENT_TYPE.into(),
            sha256: record.oid,
        };
        Ok(self.core.ports.blobs.presign_put(&record.blob_key(project)?, what).await?)
    }

    async fn get(&self, project: &ProjectId, record: &ObjectRecord, name: Option<&str>) -> Result<Presigned> {
        let what = PresignGet {
            expires_in: TRANSFER_LIFE,
            disposition: Some(crate::files::attachment(name.unwrap_or("object"))),
            content_type: Some(CONTENT_TYPE.into()),
        };
        Ok(self.core.ports.blobs.presign_get(&record.blob_key(project)?, what).await?)
    }
}

/// An object that is well-formed, with its record where it is stored; or why it is not.
type Looked = Result<(Sha256Digest, u64, Option<Stored<ObjectRecord>>), ObjectRefusal>;

fn parsed(wanted: &WantedObject) -> Result<(Sha256Digest, u64), ObjectRefusal> {
    let oid = parse_oid(&wanted.oid).ok_or_else(|| {
        ObjectRefusal::Invalid("an oid is the SHA-256 of the object in 64 lower-case hex digits".into())
    })?;
    let size = u64::try_from(wanted.size).map_err(|_| ObjectRefusal::Invalid("a size is not negative".into()))?;
    if size > OBJECT_BYTES_MAX {
        return Err(ObjectRefusal::Invalid(format!("an object has at most {OBJECT_BYTES_MAX} bytes")));
    }
    Ok((oid, size))
}

fn other_size(stored: u64) -> ObjectRefusal {
    ObjectRefusal::Invalid(format!("the object has {stored} bytes"))
}

fn same_size(there: u64, named: u64) -> Result<()> {
    match there == named {
        true => Ok(()),
        false => Err(Error::invalid("size", format!("The object has {there} bytes."))),
    }
}
