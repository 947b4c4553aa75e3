//! The files area of a project: large files that go up and come down by presigned URLs, never through a function.

use std::sync::Arc;
use std::time::Duration;

use cloud::{BlobKey, Expect, Millis, PresignGet, PresignPut, Presigned, RangeQuery, Sha256Digest, Write};
use git_store::RepoPath;
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::{Core, Stored};
use crate::events::NewEvent;
use crate::projects::etag;
use crate::repository::parse_path;
use crate::{Caller, Error, Expected, FileId, Page, PageQuery, Result, keys};

/// How long an upload may take from its creation to its completion.
const UPLOAD_LIFE: Duration = Duration::from_secs(60 * 60);
const DOWNLOAD_LIFE: Duration = Duration::from_secs(300);
/// One file (bytes; one presigned PUT).
const FILE_BYTES_MAX: u64 = cloud::limits::BLOB_PUT_MAX;
const PATH_BYTES_MAX: usize = 900;
const ATTEMPTS_MAX: usize = 20;

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
    /// Where to send the bytes, with the headers that must go along.
    pub put: Presigned,
}

/// A file in the files area.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFile {
    pub id: FileId,
    pub path: RepoPath,
    pub length: u64,
    pub content_type: String,
    pub sha256: Sha256Digest,
    pub created: Millis,
    pub created_by: String,
    pub etag: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct FileRecord {
    v: u32,
    id: FileId,
    path: RepoPath,
    length: u64,
    content_type: String,
    sha256: Sha256Digest,
    created: Millis,
    created_by: String,
    /// Only of an upload.
    expires: Option<Millis>,
}

impl FileRecord {
    fn view(self, version: &cloud::Version) -> StoredFile {
        StoredFile {
            id: self.id,
            path: self.path,
            length: self.length,
            content_type: self.content_type,
            sha256: self.sha256,
            created: self.created,
            created_by: self.created_by,
            etag: etag(version),
        }
    }
}

/// What the files area holds and expects; moved with every change, so that quotas hold under concurrency.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Usage {
    /// Bytes of files, and of uploads that wait.
    bytes: u64,
    /// Uploads that wait.
    pending: usize,
}

/// Uploads, lists, downloads and deletes files.
#[derive(Clone)]
pub struct Files {
    core: Arc<Core>,
}

impl Files {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Starts an upload: a presigned PUT that takes exactly these bytes.
    pub async fn create_upload(&self, caller: &Caller, project: &str, new: NewUpload) -> Result<Upload> {
        let project = self.core.project(caller, project, Permission::ManageFiles).await?.id;
        let record = self.checked(caller, &new)?;
        self.drop_expired(&project).await?;
        self.reserve(caller, &project, &record).await?;
        let what = PresignPut {
            expires_in: UPLOAD_LIFE,
            length: record.length,
            content_type: record.content_type.clone(),
            sha256: record.sha256,
        };
        let put = self.core.blobs.presign_put(&blob_key(&project, &record.id)?, what).await?;
        let expires = record.expires.unwrap_or(record.created);
        Ok(Upload { id: record.id, path: record.path, expires, put })
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
        let now = self.core.clock.now();
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
        })
    }

    async fn reserve(&self, caller: &Caller, project: &ProjectId, record: &FileRecord) -> Result<()> {
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

    async fn usage(&self, project: &ProjectId) -> Result<(Usage, Expect)> {
        let stored: Option<Stored<Usage>> = self.core.read(&keys::file_usage(project)).await?;
        Ok(stored.map_or((Usage::default(), Expect::Absent), |s| (s.value, Expect::At(s.version))))
    }

    /// Gives back what uploads have reserved whose time is over.
    async fn drop_expired(&self, project: &ProjectId) -> Result<()> {
        let range = RangeQuery {
            partition: keys::partition(project),
            prefix: keys::UPLOAD.into(),
            limit: 200,
            ..RangeQuery::default()
        };
        let now = self.core.clock.now();
        for record in self.core.records.query(range).await?.records {
            let upload: FileRecord = crate::core::decode(&record)?;
            if upload.expires.is_none_or(|expires| expires.plus(UPLOAD_LIFE) > now) {
                continue;
            }
            self.core.blobs.delete(&blob_key(project, &upload.id)?).await?;
            let (mut usage, expect) = self.usage(project).await?;
            usage.bytes = usage.bytes.saturating_sub(upload.length);
            usage.pending = usage.pending.saturating_sub(1);
            let writes = vec![
                Write::Delete { key: record.key, expect: Expect::At(record.version) },
                Write::put(keys::file_usage(project), json!(usage), expect),
            ];
            match self.core.records.transact(writes).await {
                Err(error) if !error.is_condition_failed() => return Err(error.into()),
                _ => {}
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
        match self.core.blobs.head(&blob_key(project, &upload.id)?).await {
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
        let named = self.core.records.get(&path_key).await?;
        let old: Option<FileId> = named.as_ref().and_then(|r| serde_json::from_value(r.value["file"].clone()).ok());
        let (mut usage, usage_expect) =
            self.usage(project).await.map_err(|e| cloud::Error::other("reading usage", e))?;
        usage.pending = usage.pending.saturating_sub(1);
        let record = FileRecord { expires: None, created: self.core.clock.now(), ..upload.value };
        let path_expect = named.map_or(Expect::Absent, |r| Expect::At(r.version));
        let mut writes = vec![
            Write::Delete { key: keys::upload(project, &id), expect: Expect::At(upload.version) },
            Write::put(keys::file(project, &id), json!(record), Expect::Absent),
            Write::put(path_key, json!({ "file": id }), path_expect),
        ];
        if let Some(old) = &old
            && let Some(stored) = self.core.records.get(&keys::file(project, old)).await?
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

    async fn delete_blob(&self, project: &ProjectId, file: Option<FileId>) {
        let Some(file) = file else { return };
        let Ok(key) = blob_key(project, &file) else { return };
        if let Err(error) = self.core.blobs.delete(&key).await {
            tracing::warn!(%file, %error, "the bytes of a file that is gone stay");
        }
    }

    /// The files, oldest first.
    pub async fn list(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<StoredFile>> {
        let project = self.core.project(caller, project, Permission::ReadFiles).await?.id;
        let range = RangeQuery {
            partition: keys::partition(&project),
            prefix: keys::FILE.into(),
            after: query.after(keys::FILE, crate::ids::is_ulid)?,
            descending: false,
            limit: query.limit(),
        };
        let page = self.core.records.query(range).await?;
        let items = page.records.iter().map(|r| crate::core::decode::<FileRecord>(r).map(|f| f.view(&r.version)));
        let items = items.collect::<Result<_>>()?;
        Ok(Page { items, next: page.next.map(|sort| sort.trim_start_matches(keys::FILE).to_owned()) })
    }

    pub async fn get(&self, caller: &Caller, project: &str, file: &str) -> Result<StoredFile> {
        let project = self.core.project(caller, project, Permission::ReadFiles).await?.id;
        let stored = self.stored(&project, file).await?;
        Ok(stored.value.view(&stored.version))
    }

    async fn stored(&self, project: &ProjectId, file: &str) -> Result<Stored<FileRecord>> {
        let id = FileId::parse(file).map_err(|_| Error::NotFound("file"))?;
        self.core.read(&keys::file(project, &id)).await?.ok_or(Error::NotFound("file"))
    }

    /// A URL that downloads the file as an attachment, good for five minutes.
    pub async fn content_url(&self, caller: &Caller, project: &str, file: &str) -> Result<Presigned> {
        let project = self.core.project(caller, project, Permission::ReadFiles).await?.id;
        let record = self.stored(&project, file).await?.value;
        let name = record.path.parts().last().unwrap_or("file");
        let what = PresignGet {
            expires_in: DOWNLOAD_LIFE,
            disposition: Some(attachment(name)),
            content_type: Some(record.content_type.clone()),
        };
        Ok(self.core.blobs.presign_get(&blob_key(&project, &record.id)?, what).await?)
    }

    pub async fn delete(&self, caller: &Caller, project: &str, file: &str, expected: &Expected) -> Result<()> {
        let project = self.core.project(caller, project, Permission::ManageFiles).await?.id;
        let stored = self.stored(&project, file).await?;
        expected.check(&etag(&stored.version), "file")?;
        for _ in 0..ATTEMPTS_MAX {
            let (mut usage, expect) = self.usage(&project).await?;
            usage.bytes = usage.bytes.saturating_sub(stored.value.length);
            let file_key = keys::file(&project, &stored.value.id);
            let path_key = keys::file_path(&project, stored.value.path.as_str());
            let writes = vec![
                Write::Delete { key: file_key.clone(), expect: Expect::At(stored.version.clone()) },
                Write::Delete { key: path_key, expect: Expect::Anything },
                Write::put(keys::file_usage(&project), json!(usage), expect),
            ];
            let event = NewEvent::new(
                "file.deleted",
                format!("file/{}", stored.value.id),
                json!({ "path": stored.value.path }),
            );
            match self.core.commit(&project, caller, &[event], writes).await {
                Err(cloud::Error::ConditionFailed { key, .. }) if key == file_key.to_string() => {
                    return Err(Error::PreconditionFailed("The file"));
                }
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    self.delete_blob(&project, Some(stored.value.id)).await;
                    return Ok(());
                }
            }
        }
        Err(Error::Unavailable("The files area"))
    }
}

/// The platform's key, never the client's: the path is only a name.
fn blob_key(project: &ProjectId, file: &FileId) -> Result<BlobKey> {
    Ok(BlobKey::parse(format!("projects/{project}/files/{file}"))?)
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `type/subtype` of token characters with plain parameters (RFC 9110, section 8.3.1), at most 200 bytes.
fn is_media_type(raw: &str) -> bool {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let essence = raw.split(';').next().unwrap_or_default();
    let plain = raw.len() <= 200 && raw.bytes().all(|b| (0x20..0x7f).contains(&b));
    plain && essence.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub.trim_end()))
}

/// `Content-Disposition: attachment` with an ASCII name and the real one (RFC 6266, section 4.3; RFC 8187).
fn attachment(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .collect();
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        let header = attachment("a\"\r\nX: y\u{202e}gpj.exe");
        assert!(header.bytes().all(|b| (0x20..0x7f).contains(&b)), "{header}");
        assert_eq!(header.matches('"').count(), 2);
        assert!(header.ends_with("filename*=UTF-8''a%22%0D%0AX%3A%20y%E2%80%AEgpj.exe"));
    }

    #[test]
    fn media_types_are_plain() {
        for good in ["text/plain", "text/plain; charset=utf-8", "application/vnd.api+json", "image/svg+xml"] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in
            ["", "text", "/x", "text/", "te xt/plain", "text/plain\r\nX: y", "text/pl\u{e4}in", &"a/b".repeat(100)]
        {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
