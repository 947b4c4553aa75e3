//! Uploads in parts: what is too long for one PUT goes piece by piece, and goes on after an interruption.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{BlobKey, Expect, Millis, PresignPart, Presigned, PutOptions, Sha256Digest, UploadId, UploadPart, Write};
use git_store::RepoPath;
use identity::{Permission, ProjectId};
use serde_json::json;

use super::upload::{UPLOAD_LIFE, Upload};
use super::{ATTEMPTS_MAX, FileRecord, Files, blob_key};
use crate::core::Stored;
use crate::events::NewEvent;
use crate::{Caller, Error, FileId, Result, keys};

/// Up to this an upload is one PUT (bytes).
pub(super) const WHOLE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Every part but the last (bytes): what is lost at most when a connection breaks.
const PART_BYTES: u64 = 16 * 1024 * 1024;
/// How long an upload in parts may take; parts that wait longer are removed by the bucket itself.
const PARTS_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// URLs given out at once.
const SIGNED_AT_ONCE_MAX: usize = 100;
/// Parts listed at once.
const LISTED_AT_ONCE: usize = 1_000;
/// Missing parts that a refusal names.
const NAMED_MAX: usize = 10;

/// A part of an upload: bytes `offset..offset + size` of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartPlan {
    /// From 1 on.
    pub number: u32,
    pub offset: u64,
    pub size: u64,
}

/// A part that is about to be sent.
#[derive(Clone, Debug)]
pub struct PartDigest {
    pub number: u32,
    /// 64 hex digits.
    pub sha256: String,
}

/// A part, and whether it has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartStatus {
    pub plan: PartPlan,
    pub received: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// For bytes, or for its completion.
    Waiting,
    Completed,
}

/// How far an upload is.
#[derive(Clone, Debug)]
pub struct UploadStatus {
    pub id: FileId,
    pub path: RepoPath,
    pub length: u64,
    pub state: UploadState,
    /// When it is given up; `None` when it is complete.
    pub expires: Option<Millis>,
    /// Empty when it is one PUT, or complete.
    pub parts: Vec<PartStatus>,
}

fn plan(length: u64) -> Vec<PartPlan> {
    let count = u32::try_from(length.div_ceil(PART_BYTES)).unwrap_or(u32::MAX);
    let part = |number: u32| {
        let offset = u64::from(number - 1) * PART_BYTES;
        PartPlan { number, offset, size: PART_BYTES.min(length - offset) }
    };
    (1..=count).map(part).collect()
}

impl Files {
    pub(super) async fn create_in_parts(
        &self,
        caller: &Caller,
        project: &ProjectId,
        mut record: FileRecord,
    ) -> Result<Upload> {
        let key = blob_key(project, &record.id)?;
        let options = PutOptions { content_type: Some(record.content_type.clone()), ..PutOptions::default() };
        let upload = self.core.ports.blobs.create_upload(&key, options).await?;
        let expires = self.core.ports.clock.now().plus(PARTS_LIFE);
        (record.multipart, record.expires) = (Some(upload.clone()), Some(expires));
        if let Err(error) = self.reserve(caller, project, &record).await {
            self.abort(&key, &upload).await;
            return Err(error);
        }
        let parts = plan(record.length);
        Ok(Upload { id: record.id, path: record.path, expires, put: None, parts })
    }

    async fn abort(&self, key: &BlobKey, upload: &UploadId) {
        if let Err(error) = self.core.ports.blobs.abort_upload(key, upload).await {
            tracing::warn!(%key, %error, "the parts of an upload that is given up stay for a day");
        }
    }

    /// Removes what has arrived of an upload that is given up.
    pub(super) async fn delete_bytes(&self, project: &ProjectId, record: &FileRecord) {
        if let (Some(upload), Ok(key)) = (&record.multipart, blob_key(project, &record.id)) {
            self.abort(&key, upload).await;
        }
        self.delete_blob(project, Some(record.id.clone())).await;
    }

    async fn waiting(&self, project: &ProjectId, upload: &str) -> Result<Stored<FileRecord>> {
        let id = FileId::parse(upload).map_err(|_| Error::NotFound("upload"))?;
        self.core.read(&keys::upload(project, &id)).await?.ok_or(Error::NotFound("upload"))
    }

    /// URLs that take parts with these digests, in place of parts that came before under the same numbers.
    pub async fn sign_parts(
        &self,
        caller: &Caller,
        project: &str,
        upload: &str,
        numbers: Vec<PartDigest>,
    ) -> Result<Vec<(u32, Presigned)>> {
        let project = self.core.project(caller, project, Permission::ManageFiles).await?.id;
        let record = self.waiting(&project, upload).await?.value;
        let Some(parts) = &record.multipart else {
            return Err(Error::conflict("This upload is one PUT and has no parts."));
        };
        if numbers.is_empty() || numbers.len() > SIGNED_AT_ONCE_MAX {
            return Err(Error::invalid("numbers", format!("Ask for 1 to {SIGNED_AT_ONCE_MAX} parts at once.")));
        }
        let (key, plan) = (blob_key(&project, &record.id)?, plan(record.length));
        let mut signed = Vec::with_capacity(numbers.len());
        for PartDigest { number, sha256 } in numbers {
            let part = number.checked_sub(1).and_then(|at| plan.get(at as usize));
            let outside = || Error::invalid("number", format!("The upload has parts 1 to {}.", plan.len()));
            let sha256 = Sha256Digest::parse_hex(&sha256);
            let what = PresignPart {
                expires_in: UPLOAD_LIFE,
                number,
                length: part.ok_or_else(outside)?.size,
                sha256: sha256.map_err(|_| Error::invalid("sha256", "A SHA-256 digest has 64 hex digits."))?,
            };
            signed.push((number, self.core.ports.blobs.presign_part(&key, parts, what).await?));
        }
        Ok(signed)
    }

    /// How far an upload is: what a client needs to go on with it.
    pub async fn upload_status(&self, caller: &Caller, project: &str, upload: &str) -> Result<UploadStatus> {
        let project = self.core.project(caller, project, Permission::ManageFiles).await?.id;
        let id = FileId::parse(upload).map_err(|_| Error::NotFound("upload"))?;
        if let Some(done) = self.core.read::<FileRecord>(&keys::file(&project, &id)).await? {
            let FileRecord { path, length, .. } = done.value;
            let state = UploadState::Completed;
            return Ok(UploadStatus { id, path, length, state, expires: None, parts: Vec::new() });
        }
        let record = self.waiting(&project, upload).await?.value;
        let mut parts = Vec::new();
        if let Some(multipart) = &record.multipart {
            let arrived = self.arrived(&blob_key(&project, &id)?, multipart).await?;
            // Joined, and about to be a file: every part has arrived.
            let is_here = |part: &PartPlan| arrived.as_ref().is_none_or(|arrived| fits(arrived, part));
            parts.extend(plan(record.length).into_iter().map(|plan| PartStatus { received: is_here(&plan), plan }));
        }
        let FileRecord { path, length, expires, .. } = record;
        Ok(UploadStatus { id, path, length, state: UploadState::Waiting, expires, parts })
    }

    /// Gives an upload up, with what has arrived of it.
    pub async fn cancel_upload(&self, caller: &Caller, project: &str, upload: &str) -> Result<()> {
        let project = self.core.project(caller, project, Permission::ManageFiles).await?.id;
        for _ in 0..ATTEMPTS_MAX {
            let stored = self.waiting(&project, upload).await?;
            let (mut usage, expect) = self.usage(&project).await?;
            usage.bytes = usage.bytes.saturating_sub(stored.value.length);
            usage.pending = usage.pending.saturating_sub(1);
            let writes = vec![
                Write::Delete { key: keys::upload(&project, &stored.value.id), expect: Expect::At(stored.version) },
                Write::put(keys::file_usage(&project), json!(usage), expect),
            ];
            let (resource, detail) = (format!("upload/{}", stored.value.id), json!({ "path": stored.value.path }));
            let event = NewEvent::new("upload.cancelled", resource, detail).unaudited();
            match self.core.commit(&project, caller, &[event], writes).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    self.delete_bytes(&project, &stored.value).await;
                    return Ok(());
                }
            }
        }
        Err(Error::Unavailable("The files area"))
    }

    /// The parts that have arrived; `None` when they are one blob already.
    async fn arrived(&self, key: &BlobKey, upload: &UploadId) -> Result<Option<BTreeMap<u32, UploadPart>>> {
        let (mut all, mut after) = (BTreeMap::new(), 0);
        loop {
            match self.core.ports.blobs.upload_parts(key, upload, after, LISTED_AT_ONCE).await {
                Err(error) if error.is_not_found() => break,
                Err(error) => return Err(error.into()),
                Ok(page) => {
                    let last = page.len() < LISTED_AT_ONCE;
                    after = page.last().map_or(after, |part| part.number);
                    all.extend(page.into_iter().map(|part| (part.number, part)));
                    if last {
                        return Ok(Some(all));
                    }
                }
            }
        }
        match self.core.ports.blobs.head(key).await {
            Ok(_) => Ok(None),
            // Aborted by the bucket, or by who cancelled it just now.
            Err(error) if error.is_not_found() => Err(Error::NotFound("upload")),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes one blob of the parts, if there are parts. Done again it changes nothing.
    pub(super) async fn join_parts(&self, project: &ProjectId, record: &FileRecord) -> Result<()> {
        let Some(multipart) = &record.multipart else { return Ok(()) };
        let key = blob_key(project, &record.id)?;
        let Some(mut arrived) = self.arrived(&key, multipart).await? else { return Ok(()) };
        let plan = plan(record.length);
        let missing: Vec<String> =
            plan.iter().filter(|part| !fits(&arrived, part)).map(|part| part.number.to_string()).collect();
        if !missing.is_empty() {
            let named = missing[..missing.len().min(NAMED_MAX)].join(", ");
            let more = if missing.len() > NAMED_MAX { " and more" } else { "" };
            let text = format!(
                "{} of {} parts have not arrived yet, or have another length: {named}{more}.",
                missing.len(),
                plan.len()
            );
            return Err(Error::Conflict(text.into()));
        }
        let parts = plan.iter().filter_map(|part| arrived.remove(&part.number)).collect();
        match self.core.ports.blobs.complete_upload(&key, multipart, parts).await {
            // Another request has just joined them, which the look at the blob that follows tells.
            Err(error) if error.is_not_found() => Ok(()),
            // A part came anew in between.
            Err(cloud::Error::Invalid(_)) => Err(Error::conflict("A part has changed; complete the upload again.")),
            other => Ok(other.map(drop)?),
        }
    }
}

fn fits(arrived: &BTreeMap<u32, UploadPart>, part: &PartPlan) -> bool {
    arrived.get(&part.number).is_some_and(|there| there.length == part.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_file_without_gap() {
        for length in [WHOLE_BYTES_MAX + 1, PART_BYTES * 5, PART_BYTES * 5 + 1, cloud::limits::BLOB_PUT_MAX] {
            let parts = plan(length);
            assert_eq!(parts.iter().map(|part| part.size).sum::<u64>(), length);
            assert!(parts.len() <= 10_000 && parts.iter().all(|part| part.size > 0));
            let mut at = 0;
            for (index, part) in parts.iter().enumerate() {
                assert_eq!((part.number as usize, part.offset), (index + 1, at));
                assert!(part.size == PART_BYTES || index + 1 == parts.len());
                at += part.size;
            }
        }
    }
}
