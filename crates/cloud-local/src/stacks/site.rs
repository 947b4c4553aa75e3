//! What the gateway serves of a stack: its routes, its functions and its files.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cloud::{BlobKey, BlobStream, Blobs, ByteRange, Error, Invocation, Millis, Result, StackName};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::executor::{Pool, Streamed};
use crate::LocalBlobs;

const INDEX: &str = "index.html";
const ERROR: &str = "404.html";

/// One version of a stack, as long as somebody holds it: requests that have begun end on the version they began on.
pub struct Site {
    pub stack: StackName,
    pub host_label: String,
    pub release: String,
    pub app: sam::App,
    /// ARN of each function, for authorizers and integrations.
    pub function_arns: BTreeMap<String, String>,
    pub(super) pools: BTreeMap<String, Arc<Pool>>,
    pub(super) files: Option<PathBuf>,
    pub(super) website: Option<Website>,
}

/// A bucket with a website configuration.
pub struct Website {
    pub bucket: LocalBlobs,
    pub index: String,
    pub error: Option<String>,
}

/// A static file of a site.
pub struct SiteFile {
    /// 200, or 404 for the error document.
    pub status: u16,
    pub length: u64,
    /// Without quotes.
    pub etag: String,
    pub modified: Millis,
    pub content_type: String,
    pub content_encoding: Option<String>,
    pub cache_control: Option<String>,
    source: Source,
}

enum Source {
    Disk(PathBuf),
    Blob(LocalBlobs, BlobKey),
}

impl Site {
    fn pool(&self, function: &str) -> Result<&Arc<Pool>> {
        let named = || self.pools.values().find(|pool| pool.spec().name == function);
        self.pools.get(function).or_else(named).ok_or_else(|| Error::NotFound(format!("{}/{function}", self.stack)))
    }

    /// Runs a function, by its logical id or physical name, on one event.
    pub async fn invoke(&self, function: &str, event: Bytes) -> Result<Invocation> {
        self.pool(function)?.invoke(event).await
    }

    /// The same, with the answer as it comes (`ResponseTransferMode: STREAM`).
    pub fn invoke_streamed(&self, function: &str, event: Bytes) -> Result<Streamed> {
        Ok(self.pool(function)?.invoke_streamed(event))
    }

    pub fn has_files(&self) -> bool {
        self.files.is_some() || self.website.is_some()
    }

    /// The file at a decoded path (`/`, `/about/`, `/app.js`), its index, or the error document with status 404.
    pub async fn file(&self, path: &str) -> Result<Option<SiteFile>> {
        let path = path.trim_start_matches('/');
        if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(None);
        }
        if let Some(folder) = &self.files {
            return Ok(on_disk(folder, path, INDEX, 200).or_else(|| on_disk(folder, ERROR, INDEX, 404)));
        }
        let Some(website) = &self.website else { return Ok(None) };
        let folder = path.is_empty() || path.ends_with('/');
        let key = if folder { format!("{path}{}", website.index) } else { path.to_owned() };
        if let Some(found) = website.find(&key, 200).await? {
            return Ok(Some(found));
        }
        match &website.error {
            Some(error) => website.find(error, 404).await,
            None => Ok(None),
        }
    }
}

fn on_disk(folder: &Path, path: &str, index: &str, status: u16) -> Option<SiteFile> {
    let mut file = folder.join(path);
    if file.is_dir() {
        file = file.join(index);
    }
    // Links lead nowhere outside.
    let file =
        file.canonicalize().ok().filter(|file| folder.canonicalize().is_ok_and(|root| file.starts_with(root)))?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let seconds = metadata.mtime();
    Some(SiteFile {
        status,
        length: metadata.len(),
        // The folder is named by its content.
        etag: format!("{}-{:x}-{:x}", folder.file_name()?.to_string_lossy().get(..16)?, metadata.ino(), metadata.len()),
        modified: Millis(seconds.saturating_mul(1000)),
        content_type: content_type(&file),
        content_encoding: None,
        cache_control: None,
        source: Source::Disk(file),
    })
}

/// The media type by the name's ending; text is UTF-8.
fn content_type(file: &Path) -> String {
    let guessed = mime_guess::from_path(file).first_or_octet_stream();
    let text = guessed.type_() == "text" || matches!(guessed.subtype().as_str(), "javascript" | "json");
    if text { format!("{guessed}; charset=utf-8") } else { guessed.to_string() }
}

impl Website {
    async fn find(&self, key: &str, status: u16) -> Result<Option<SiteFile>> {
        let Ok(key) = BlobKey::parse(key) else { return Ok(None) };
        let meta = match self.bucket.head(&key).await {
            Ok(meta) => meta,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(SiteFile {
            status,
            length: meta.length,
            etag: meta.etag.0,
            modified: meta.modified,
            content_type: meta.content_type.unwrap_or_else(|| content_type(Path::new(key.as_str()))),
            content_encoding: meta.content_encoding,
            cache_control: meta.cache_control,
            source: Source::Blob(self.bucket.clone(), key),
        }))
    }
}

impl SiteFile {
    /// The bytes of `range`, or all.
    pub async fn body(&self, range: Option<Range<u64>>) -> Result<BlobStream> {
        match &self.source {
            Source::Blob(bucket, key) => {
                let range = range.map(|range| ByteRange::Within { start: range.start, end: range.end });
                Ok(bucket.get(key, range).await?.body)
            }
            Source::Disk(path) => {
                let failed = |error| Error::other(format!("reading `{}`", path.display()), error);
                let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
                let range = range.unwrap_or(0..self.length);
                file.seek(std::io::SeekFrom::Start(range.start)).await.map_err(failed)?;
                Ok(ReaderStream::new(file.take(range.end.saturating_sub(range.start))).boxed())
            }
        }
    }
}
