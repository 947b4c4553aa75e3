//! Kept dependencies as the build function sees them: blobs that it was given addresses of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, Clock, ETag, Error, PresignGet, PresignPut,
    Presigned, PutOptions, Result, SystemClock,
};
use futures::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::order::Kept;
use super::{PACKAGE_BYTES_MAX, Transfers};

/// How much of a file is read at a time (bytes).
const CHUNK: usize = 256 * 1024;

/// What may be read by its key, and places for what is new.
pub struct Shelf {
    pub transfers: Arc<dyn Transfers>,
    pub cache: BTreeMap<String, Presigned>,
    pub keeps: Vec<Presigned>,
    /// An empty folder.
    pub folder: PathBuf,
    pub kept: Mutex<Vec<Kept>>,
}

impl Shelf {
    /// What was kept, once.
    pub fn take(&self) -> Vec<Kept> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn file(&self) -> Result<PathBuf> {
        let file = tempfile::Builder::new().prefix("entry-").tempfile_in(&self.folder);
        let file = file.and_then(|file| file.keep().map_err(|error| error.error)).map_err(disk)?;
        Ok(file.1)
    }

    /// A place of its own, as long as there is one.
    fn reserve(&self, key: &BlobKey) -> Option<usize> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.len();
        (place < self.keeps.len()).then(|| kept.push(Kept { key: key.to_string(), length: 0, place }))?;
        Some(place)
    }
}

fn disk(error: std::io::Error) -> Error {
    Error::other("working on kept dependencies", error)
}

fn not_here<T>() -> Result<T> {
    Err(Error::Invalid("builds only read and keep dependencies".into()))
}

fn meta(key: &BlobKey, length: u64) -> BlobMeta {
    BlobMeta {
        key: key.clone(),
        length,
        etag: ETag(String::new()),
        modified: SystemClock.now(),
        content_type: None,
        content_encoding: None,
        cache_control: None,
    }
}

#[async_trait]
impl Blobs for Shelf {
    async fn put(&self, _: &BlobKey, _: Bytes, _: PutOptions) -> Result<ETag> {
        not_here()
    }

    async fn put_stream(&self, key: &BlobKey, mut body: BlobStream, _: PutOptions) -> Result<BlobMeta> {
        let path = self.file()?;
        let mut file = tokio::fs::File::create(&path).await.map_err(disk)?;
        let mut length = 0;
        while let Some(part) = body.next().await {
            let part = part.map_err(disk)?;
            length += part.len() as u64;
            file.write_all(&part).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)?;
        let Some(place) = self.reserve(key) else { return not_here() };
        let sent = self.transfers.put(&self.keeps[place], &path).await;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match sent {
            Ok(()) => kept[place].length = length,
            Err(error) => return Err(Error::Unavailable(error.to_string())),
        }
        Ok(meta(key, length))
    }

    async fn get(&self, key: &BlobKey, _: Option<ByteRange>) -> Result<Blob> {
        let at = self.cache.get(key.as_str()).ok_or_else(|| Error::NotFound(key.to_string()))?;
        let path = self.file()?;
        let fetched = self.transfers.get(at, &path, PACKAGE_BYTES_MAX).await;
        fetched.map_err(|error| Error::Unavailable(error.to_string()))?;
        let file = tokio::fs::File::open(&path).await.map_err(disk)?;
        let length = file.metadata().await.map_err(disk)?.len();
        let body = ReaderStream::with_capacity(file, CHUNK).boxed();
        Ok(Blob { meta: meta(key, length), range: 0..length, body })
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        Err(Error::NotFound(key.to_string()))
    }

    /// The worker forgets what is old.
    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<BlobPage> {
        Ok(BlobPage { blobs: Vec::new(), next: None })
    }

    async fn delete(&self, _: &BlobKey) -> Result<()> {
        Ok(())
    }

    async fn presign_get(&self, _: &BlobKey, _: PresignGet) -> Result<Presigned> {
        not_here()
    }

    async fn presign_put(&self, _: &BlobKey, _: PresignPut) -> Result<Presigned> {
        not_here()
    }
}
