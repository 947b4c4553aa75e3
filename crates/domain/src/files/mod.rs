//! The files area of a project: large files that go up and come down by presigned URLs, never through a function.

mod media;
mod parts;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use cloud::{BlobKey, Expect, Millis, PresignGet, Presigned, RangeQuery, Sha256Digest, UploadId, Write};
use git_store::RepoPath;
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::{Core, Stored};
use crate::events::NewEvent;
use crate::projects::etag;
use crate::{Caller, Error, Expected, FileId, Page, PageQuery, Result, keys};
pub(crate) use media::attachment;

pub use parts::{PartDigest, PartPlan, PartStatus, UploadState, UploadStatus};
pub use upload::{NewUpload, Upload};

/// How long a URL for a download works.
const DOWNLOAD_LIFE: Duration = Duration::from_secs(300);
/// How often a transaction is tried again when another change of the files area came first.
const ATTEMPTS_MAX: usize = 20;

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
    /// The parts of an upload that is not one PUT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    multipart: Option<UploadId>,
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

    async fn usage(&self, project: &ProjectId) -> Result<(Usage, Expect)> {
        let stored: Option<Stored<Usage>> = self.core.read(&keys::file_usage(project)).await?;
        Ok(stored.map_or((Usage::default(), Expect::Absent), |s| (s.value, Expect::At(s.version))))
    }

    async fn delete_blob(&self, project: &ProjectId, file: Option<FileId>) {
        let Some(file) = file else { return };
        let Ok(key) = blob_key(project, &file) else { return };
        if let Err(error) = self.core.ports.blobs.delete(&key).await {
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
        let page = self.core.ports.records.query(range).await?;
        let items = page.records.iter().map(|r| crate::core::decode::<FileRecord>(r).map(|f| f.view(&r.version)));
        let items = items.collect::<Result<_>>()?;
        Ok(Page { items, next: page.next.map(|sort| sort.trim_start_matches(keys::FILE).to_owned()) })
    }

    /// One file, without its bytes.
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
        Ok(self.core.ports.blobs.presign_get(&blob_key(&project, &record.id)?, what).await?)
    }

    /// Removes a file that is still the `expected` one, then its bytes.
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
