//! Uploads: reserved, sent by a presigned PUT, completed; or dropped when their time is over.

use std::time::Duration;

use cloud::{Expect, Millis, PresignPut, Presigned, RangeQuery, Sha256Digest, Write};
use git_store::RepoPath;
use identity::{Permission, ProjectId};
use serde_json::json;

use super::media::{is_bidi_control, is_media_type};
use super::parts::{PartPlan, WHOLE_BYTES_MAX};
use super::{ATTEMPTS_MAX, FileRecord, Files, StoredFile, blob_key};
use crate::core::Stored;
use crate::events::NewEvent;
use crate::repository::parse_path;
use crate::{Caller, Error, FileId, Result, keys};

/// How long an upload of one PUT may take from its creation to its completion.
pub(super) const UPLOAD_LIFE: Duration = Duration::from_secs(60 * 60);
/// One file (bytes; one presigned PUT).
const FILE_BYTES_MAX: u64 = cloud::limits::BLOB_PUT_MAX;
/// A file's path (bytes): it is part of a record's key.
const PATH_BYTES_MAX: usize = 900;

/// What is to be uploaded, to the byte.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Where it is shown in the files area.
    pub path: String,
    pub length: u64,
    pub content_type: String,
    /// 64 hex digits.
    pub sha256: String,
}

/// An upload that waits for its bytes.
#[derive(Clone, Debug)]
pub struct Upload {
    pub id: FileId,
    pub path: RepoPath,
    pub expires: Millis,
    /// Where to send the bytes, with the headers that must go along; `None` when they go in parts.
    pub put: Option<Presigned>,
    /// The parts of what is too long for one PUT.
    pub parts: Vec<PartPlan>,
}

impl Files {
    /// Starts an upload: a presigned PUT that takes exactly these bytes, or the plan of its parts.
    pub async fn create_upload(&self, caller: &Caller, project: &str, new: NewUpload) -> Result<Upload> {
        let project = self.core.project(caller, project, Permission::ManageFiles).await?.id;
        let record = self.checked(caller, &new)?;
        self.drop_expired(&project).await?;
        crate::usage::refuse_full(&self.core, &project, record.length).await?;
        if record.length > WHOLE_BYTES_MAX {
            return self.create_in_parts(caller, &project, record).await;
        }
        let what = PresignPut {
            expires_in: UPLOAD_LIFE,
            length: record.length,
            content_type: record.content_type.clone(),
            sha256: record.sha256,
        };
        let put = self.core.ports.blobs.presign_put(&blob_key(&project, &record.id)?, what).await?;
        // Last, so that a failure leaves nothing reserved; until then nobody has the URL.
        self.reserve(caller, &project, &record).await?;
        let expires = record.expires.unwrap_or(record.created);
        Ok(Upload { id: record.id, path: record.path, expires, put: Some(put), parts: Vec::new() })
    }

    fn checked(&self, caller: &Caller, new: &NewUpload) -> Result<FileRecord> {
        let path = parse_path("path", &new.path)?;
        if path.as_str().len() > PATH_BYTES_MAX || path.as_str().chars().any(is_bidi_control) {
            return Err(Error::invalid_path("path", "The path is too long, or has characters that hide what it is."));
        }
        if new.length > FILE_BYTES_MAX {
            return Err(Error::TooLarge(format!("A file has at most {FILE_BYTES_MAX} bytes.").into()));
        }
        if !is_media_type(&new.content_type) {
            return Err(Error::invalid("content_type", "A content type is like `text/plain; charset=utf-8`."));
        }
        let sha256 = Sha256Digest::parse_hex(&new.sha256);
        let now = self.core.ports.clock.now();
        Ok(FileRecord {
            v: 1,
            id: FileId::parse(self.core.ulid())?,
            path,
            length: new.length,
            content_type: new.content_type.clone(),
            sha256: sha256.map_err(|_| Error::invalid("sha256", "A SHA-256 digest has 64 hex digits."))?,
            created: now,
            created_by: caller.principal.account.to_string(),
            expires: Some(now.plus(UPLOAD_LIFE)),
            multipart: None,
        })
    }

    pub(super) async fn reserve(&self, caller: &Caller, project: &ProjectId, record: &FileRecord) -> Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            let (mut usage, expect) = self.usage(project).await?;
            usage.bytes = usage.bytes.saturating_add(record.length);
            usage.pending += 1;
            if usage.bytes > self.core.quotas.files_bytes_per_project {
                return Err(Error::Quota("The project's files area is full.".into()));
            }
            if usage.pending > self.core.quotas.pending_uploads_per_project {
                return Err(Error::Quota(
                    "Too many uploads wait for their bytes; complete them or let them expire.".into(),
                ));
            }
            let writes = vec![
                Write::put(keys::upload(project, &record.id), json!(record), Expect::Absent),
                Write::put(keys::file_usage(project), json!(usage), expect),
            ];
            let event =
                NewEvent::new("upload.created", format!("upload/{}", record.id), json!({ "path": record.path }))
                    .unaudited();
            match self.core.commit(project, caller, &[event], writes).await {
                Err(error) if error.is_condition_failed() => {}
                other => return Ok(other.map(drop)?),
            }
        }
        Err(Error::Unavailable("The files area"))
    }

    /// Gives back what uploads have reserved whose time is over.
    async fn drop_expired(&self, project: &ProjectId) -> Result<()> {
        let range = RangeQuery {
            partition: keys::partition(project),
            prefix: keys::UPLOAD.into(),
            limit: 200,
            ..RangeQuery::default()
        };
        let now = self.core.ports.clock.now();
        for record in self.core.ports.records.query(range).await?.records {
            let upload: FileRecord = crate::core::decode(&record)?;
            if upload.expires.is_none_or(|expires| expires.plus(UPLOAD_LIFE) > now) {
                continue;
            }
            let (mut usage, expect) = self.usage(project).await?;
            usage.bytes = usage.bytes.saturating_sub(upload.length);
            usage.pending = usage.pending.saturating_sub(1);
            let writes = vec![
                Write::Delete { key: record.key, expect: Expect::At(record.version) },
                Write::put(keys::file_usage(project), json!(usage), expect),
            ];
            match self.core.ports.records.transact(writes).await {
                // Completed meanwhile, or dropped by another: the bytes are not ours to delete.
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => self.delete_bytes(project, &upload).await,
            }
        }
        Ok(())
    }

    /// Makes a file of an upload whose bytes have arrived. A file that was at the path before is replaced. Done
    /// again it answers with the same file. The answer says whether the file is new.
    pub async fn complete_upload(&self, caller: &Caller, project: &str, upload: &str) -> Result<(StoredFile, bool)> {
        let project = self.core.project(caller, project, Permission::ManageFiles).await?.id;
        let id = FileId::parse(upload).map_err(|_| Error::NotFound("upload"))?;
        for _ in 0..ATTEMPTS_MAX {
            if let Some(done) = self.core.read::<FileRecord>(&keys::file(&project, &id)).await? {
                return Ok((done.value.view(&done.version), false));
            }
            let waiting = self.core.read::<FileRecord>(&keys::upload(&project, &id)).await?;
            let Some(waiting) = waiting else {
                // Between the two reads another request may have completed it.
                let done = self.core.read::<FileRecord>(&keys::file(&project, &id)).await?;
                return done.map(|s| (s.value.view(&s.version), false)).ok_or(Error::NotFound("upload"));
            };
            self.check_arrived(&project, &waiting.value).await?;
            match self.complete(caller, &project, waiting).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(replaced) => {
                    self.delete_blob(&project, replaced).await;
                    let done = self.core.read::<FileRecord>(&keys::file(&project, &id)).await?;
                    return done.map(|s| (s.value.view(&s.version), true)).ok_or(Error::NotFound("file"));
                }
            }
        }
        Err(Error::Unavailable("The files area"))
    }

    async fn check_arrived(&self, project: &ProjectId, upload: &FileRecord) -> Result<()> {
        self.join_parts(project, upload).await?;
        match self.core.ports.blobs.head(&blob_key(project, &upload.id)?).await {
            Err(error) if error.is_not_found() => Err(Error::conflict("The bytes have not arrived yet.")),
            Err(error) => Err(error.into()),
            Ok(meta) if meta.length != upload.length => {
                Err(Error::conflict("The bytes that arrived have another length."))
            }
            Ok(_) => Ok(()),
        }
    }

    /// The transaction of a completion; answers with the file that it replaced.
    async fn complete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        upload: Stored<FileRecord>,
    ) -> cloud::Result<Option<FileId>> {
        let id = upload.value.id.clone();
        let path_key = keys::file_path(project, upload.value.path.as_str());
        let named = self.core.ports.records.get(&path_key).await?;
        let old: Option<FileId> = named.as_ref().and_then(|r| serde_json::from_value(r.value["file"].clone()).ok());
        if old.as_ref() == Some(&id) {
            // Another request has completed it since it was read: the upload's record is gone.
            let key = keys::upload(project, &id).to_string();
            return Err(cloud::Error::ConditionFailed { key, index: None });
        }
        let (mut usage, usage_expect) = self.usage(project).await.map_err(|error| match error {
            Error::Unavailable(what) => cloud::Error::Unavailable(what.into()),
            other => cloud::Error::other("reading usage", other),
        })?;
        usage.pending = usage.pending.saturating_sub(1);
        let record =
            FileRecord { expires: None, multipart: None, created: self.core.ports.clock.now(), ..upload.value };
        let path_expect = named.map_or(Expect::Absent, |r| Expect::At(r.version));
        let mut writes = vec![
            Write::Delete { key: keys::upload(project, &id), expect: Expect::At(upload.version) },
            Write::put(keys::file(project, &id), json!(record), Expect::Absent),
            Write::put(path_key, json!({ "file": id }), path_expect),
        ];
        if let Some(old) = &old
            && let Some(stored) = self.core.ports.records.get(&keys::file(project, old)).await?
        {
            usage.bytes = usage.bytes.saturating_sub(stored.value["length"].as_u64().unwrap_or(0));
            writes.push(Write::Delete { key: stored.key, expect: Expect::At(stored.version) });
        }
        writes.push(Write::put(keys::file_usage(project), json!(usage), usage_expect));
        let detail = json!({ "file": id, "path": record.path, "length": record.length });
        let event = NewEvent::new("upload.completed", format!("file/{id}"), detail);
        self.core.commit(project, caller, &[event], writes).await?;
        Ok(old)
    }
}
