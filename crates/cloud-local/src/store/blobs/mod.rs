//! `Blobs`: bodies in files (small ones in their row), one index that a transaction switches.

mod body;
mod events;
mod files;
mod index;
mod list;
mod multipart;
mod presign;
mod user_metadata;

use std::sync::Arc;

use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, ETag, Error, PresignGet, PresignPart, PresignPut,
    Presigned, PutCondition, PutOptions, Result, Sha256Digest, UploadId, stream_of,
};
use rusqlite::Connection;

use body::{Body, Content, Expected, INLINE_MAX, receive};
pub use events::{ObjectEvent, ObjectEventKind};
pub(super) use files::Files;
pub use list::DelimitedPage;
pub(super) use multipart::abandon;
pub use multipart::{CompletedPart, Upload, UploadPart};
pub use presign::Presigner;
pub use user_metadata::UserMetadata;

use super::Inner;

/// A body may be replaced between the look into the index and the opening of its file this often.
const OPEN_ATTEMPTS: usize = 5;

/// The objects of one bucket. The bucket comes into being with its first object.
#[derive(Clone)]
pub struct LocalBlobs {
    inner: Arc<Inner>,
    bucket: Arc<str>,
    presigner: Option<Arc<Presigner>>,
}

impl LocalBlobs {
    pub(super) fn new(inner: Arc<Inner>, bucket: &str) -> Self {
        Self { inner, bucket: bucket.into(), presigner: None }
    }

    /// Lets `presign_get` and `presign_put` answer.
    #[must_use]
    pub fn with_presigner(mut self, presigner: Presigner) -> Self {
        self.presigner = Some(Arc::new(presigner));
        self
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The digest of the stored content.
    pub async fn sha256(&self, key: &BlobKey) -> Result<Sha256Digest> {
        let (bucket, key) = (self.bucket.clone(), key.clone());
        self.inner.main.read(move |connection| Ok(index::find(connection, &bucket, &key)?.sha256)).await
    }

    /// Stores an object with what its owner says of it.
    pub async fn put_object(
        &self,
        key: &BlobKey,
        body: BlobStream,
        options: PutOptions,
        user: UserMetadata,
    ) -> Result<BlobMeta> {
        self.check_condition(key, &options.condition).await?;
        let body = self.receive(key, body, &options).await?;
        let etag = body.etag();
        self.switch(key, body, options, user, etag).await
    }

    /// An object with what its owner says of it, as of one moment.
    pub async fn object(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<(Blob, UserMetadata)> {
        let (bucket, key, files) = (self.bucket.clone(), key.clone(), self.inner.files.clone());
        self.inner.main.read(move |connection| open(connection, &files, &bucket, &key, range)).await
    }

    /// The same without its content.
    pub async fn object_head(&self, key: &BlobKey) -> Result<(BlobMeta, UserMetadata)> {
        let (bucket, key) = (self.bucket.clone(), key.clone());
        let work = move |connection: &Connection| {
            let found = index::find(connection, &bucket, &key)?;
            Ok((found.meta, found.user))
        };
        self.inner.main.read(work).await
    }

    /// Copies a blob to `to` in this bucket with new or the same metadata; the body never leaves the machine. What its
    /// owner says of it is kept unless `user` says something else.
    pub async fn copy_from(
        &self,
        source: &LocalBlobs,
        from: &BlobKey,
        to: &BlobKey,
        options: PutOptions,
        user: Option<UserMetadata>,
    ) -> Result<BlobMeta> {
        let (blob, kept) = source.object(from, None).await?;
        self.put_object(to, blob.body, options, user.unwrap_or(kept)).await
    }

    fn presigner(&self) -> Result<&Presigner> {
        self.presigner.as_deref().ok_or_else(|| Error::Unavailable("presigning (no service endpoint)".into()))
    }

    /// Names `body` in the index, if the condition holds. Whatever it replaced is then deleted.
    async fn switch(
        &self,
        key: &BlobKey,
        body: Body,
        options: PutOptions,
        user: UserMetadata,
        etag: ETag,
    ) -> Result<BlobMeta> {
        let now = self.inner.now();
        let meta = BlobMeta {
            key: key.clone(),
            length: body.length,
            etag,
            modified: now,
            content_type: options.content_type,
            content_encoding: options.content_encoding,
            cache_control: options.cache_control,
        };
        let (bucket, condition) = (self.bucket.clone(), options.condition);
        let answer = meta.clone();
        let work = move |connection: &Connection| {
            let switched = index::switch(connection, &bucket, &meta, &user, &body, &condition)?;
            if let Content::File(placed) = body.content {
                placed.keep();
            }
            Ok(switched)
        };
        self.write_index(ObjectEventKind::Created, answer.clone(), work).await?;
        self.inner.sweep_when_due();
        Ok(answer)
    }

    /// Runs a change of the index; once it is on disk, deletes the files it let go and tells who listens.
    async fn write_index<F>(&self, kind: ObjectEventKind, meta: BlobMeta, work: F) -> Result<()>
    where
        F: FnOnce(&Connection) -> Result<index::Switched> + Send + 'static,
    {
        let (files, objects) = (self.inner.files.clone(), self.inner.objects.clone());
        let (bucket, runtime) = (self.bucket.clone(), tokio::runtime::Handle::current());
        let after = move |switched: &index::Switched| {
            let released = switched.released.clone();
            if !released.is_empty() {
                runtime.spawn_blocking(move || released.iter().for_each(|name| files.remove(name)));
            }
            if let Some(sequence) = switched.sequence {
                // Nobody listening is no failure.
                let _ = objects.send(ObjectEvent {
                    kind,
                    bucket: bucket.to_string(),
                    key: meta.key,
                    length: meta.length,
                    etag: meta.etag,
                    at: meta.modified,
                    sequence,
                });
            }
        };
        self.inner.main.write_then(work, after).await.map(drop)
    }

    async fn receive(&self, key: &BlobKey, body: BlobStream, options: &PutOptions) -> Result<Body> {
        let expected = Expected { length: options.length, sha256: options.sha256 };
        receive(&self.inner.files, self.inner.random_hex(), key, body, expected, INLINE_MAX).await
    }

    /// Refuses a put that has already lost, before its body is read.
    async fn check_condition(&self, key: &BlobKey, condition: &PutCondition) -> Result<()> {
        if *condition == PutCondition::Always {
            return Ok(());
        }
        let (bucket, key, condition) = (self.bucket.clone(), key.clone(), condition.clone());
        self.inner.main.read(move |connection| index::check(connection, &bucket, &key, &condition).map(drop)).await
    }
}

#[async_trait::async_trait]
impl Blobs for LocalBlobs {
    async fn put(&self, key: &BlobKey, body: Bytes, options: PutOptions) -> Result<ETag> {
        if body.len() > INLINE_MAX {
            return self.put_stream(key, stream_of(body), options).await.map(|meta| meta.etag);
        }
        let body = Body::in_memory(body);
        Expected { length: options.length, sha256: options.sha256 }.check(key, body.length, &body.sha256)?;
        let etag = body.etag();
        self.switch(key, body, options, UserMetadata::default(), etag).await.map(|meta| meta.etag)
    }

    async fn put_stream(&self, key: &BlobKey, body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        self.put_object(key, body, options, UserMetadata::default()).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Blob> {
        self.object(key, range).await.map(|(blob, _)| blob)
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        self.object_head(key).await.map(|(meta, _)| meta)
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<BlobPage> {
        let (bucket, prefix, after) = (self.bucket.clone(), prefix.to_owned(), after.map(str::to_owned));
        let work = move |connection: &Connection| list::page(connection, &bucket, &prefix, after.as_deref(), limit);
        self.inner.main.read(work).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        let (bucket, gone) = (self.bucket.clone(), key.clone());
        let meta = BlobMeta {
            key: key.clone(),
            length: 0,
            etag: ETag(String::new()),
            modified: self.inner.now(),
            content_type: None,
            content_encoding: None,
            cache_control: None,
        };
        let work = move |connection: &Connection| index::remove(connection, &bucket, &gone);
        self.write_index(ObjectEventKind::Removed, meta, work).await
    }

    async fn presign_get(&self, key: &BlobKey, what: PresignGet) -> Result<Presigned> {
        self.presigner()?.get(&self.bucket, key, &what, self.inner.now())
    }

    async fn presign_put(&self, key: &BlobKey, what: PresignPut) -> Result<Presigned> {
        self.presigner()?.put(&self.bucket, key, &what, self.inner.now())
    }

    async fn create_upload(&self, key: &BlobKey, options: PutOptions) -> Result<UploadId> {
        self.start_upload(key, options, UserMetadata::default()).await
    }

    async fn presign_part(&self, key: &BlobKey, upload: &UploadId, part: PresignPart) -> Result<Presigned> {
        multipart::check_number(part.number)?;
        self.presigner()?.part(&self.bucket, key, upload, &part, self.inner.now())
    }

    async fn upload_parts(
        &self,
        key: &BlobKey,
        upload: &UploadId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<cloud::UploadPart>> {
        let parts = self.parts(key, upload, after, limit).await?.into_iter();
        let part = |UploadPart { number, length, etag, .. }| cloud::UploadPart { number, length, etag, sha256: None };
        Ok(parts.map(part).collect())
    }

    async fn complete_upload(&self, key: &BlobKey, upload: &UploadId, parts: Vec<cloud::UploadPart>) -> Result<ETag> {
        let parts = parts.into_iter().map(|part| CompletedPart { number: part.number, etag: part.etag }).collect();
        self.join_upload(key, upload, parts, PutCondition::Always).await.map(|meta| meta.etag)
    }

    async fn abort_upload(&self, key: &BlobKey, upload: &UploadId) -> Result<()> {
        self.drop_upload(key, upload).await.or_else(|error| if error.is_not_found() { Ok(()) } else { Err(error) })
    }
}

/// Finds a blob and opens its body, both as of one moment.
fn open(
    connection: &Connection,
    files: &Files,
    bucket: &str,
    key: &BlobKey,
    range: Option<ByteRange>,
) -> Result<(Blob, UserMetadata)> {
    for _ in 0..OPEN_ATTEMPTS {
        let found = index::find(connection, bucket, key)?;
        let (length, sha256) = (found.meta.length, found.sha256);
        let range = match range {
            None => 0..length,
            Some(range) => range
                .resolve(length)
                .ok_or_else(|| Error::Invalid(format!("no byte of `{key}` is in the range asked for")))?,
        };
        let body = match found.file {
            None => match index::body(connection, found.row)? {
                Some(bytes) => body::from_row(key, bytes, &range, length, sha256)?,
                None => continue,
            },
            Some(name) => match std::fs::File::open(files.path(&name)) {
                Ok(file) => body::from_file(key, file, &range, length, sha256)?,
                // Replaced since: the index names another file by now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::other(format!("opening `{key}`"), error)),
            },
        };
        return Ok((Blob { meta: found.meta, range, body }, found.user));
    }
    Err(Error::Corrupt(key.to_string()))
}
