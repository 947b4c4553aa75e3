//! Objects: Amazon S3, or files.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::limits::BLOB_KEY_MAX;
use crate::{Error, Millis, PresignPart, Result, UploadId, UploadPart};

/// A body in flight.
pub type BlobStream = BoxStream<'static, io::Result<Bytes>>;

/// The name of a blob: 1 to 1,024 bytes of UTF-8 without control characters, not starting with `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobKey(String);

impl BlobKey {
    pub fn parse(raw: impl Into<String>) -> Result<Self> {
        let raw = raw.into();
        if raw.is_empty() || raw.len() > BLOB_KEY_MAX || raw.starts_with('/') || raw.chars().any(char::is_control) {
            return Err(Error::Invalid(
                "a blob key has 1 to 1,024 bytes, no control character and no leading /".into(),
            ));
        }
        Ok(Self(raw))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BlobKey {
    type Error = Error;
    fn try_from(raw: String) -> Result<Self> {
        Self::parse(raw)
    }
}

impl From<BlobKey> for String {
    fn from(key: BlobKey) -> Self {
        key.0
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An opaque validator of one stored content, without quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ETag(pub String);

/// A SHA-256 digest; `Display` and serde write lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads 64 hex digits.
    pub fn parse_hex(raw: &str) -> Result<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(raw, &mut digest)
            .map_err(|_| Error::Invalid("a SHA-256 digest is 64 hex digits".into()))?;
        Ok(Self(digest))
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl serde::Serialize for Sha256Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Sha256Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse_hex(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What must be true of the key for a put to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PutCondition {
    #[default]
    Always,
    /// Only when nothing is stored under the key (`If-None-Match: *`).
    IfAbsent,
    /// Only when the stored content has this etag (`If-Match`).
    IfMatch(ETag),
}

/// What is stored beside the content, and what the content must be.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    pub condition: PutCondition,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub cache_control: Option<String>,
    /// The body must have exactly this length (bytes), or nothing is stored.
    pub length: Option<u64>,
    /// The body must have this digest, or nothing is stored.
    pub sha256: Option<Sha256Digest>,
}

/// What is known of a blob without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobMeta {
    pub key: BlobKey,
    pub length: u64,
    pub etag: ETag,
    pub modified: Millis,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub cache_control: Option<String>,
}

/// A stored blob; `meta.length` is the whole length, `range` what `body` carries.
pub struct Blob {
    pub meta: BlobMeta,
    pub range: std::ops::Range<u64>,
    pub body: BlobStream,
}

/// A part of a blob (RFC 9110, section 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From `start` to the end.
    From(u64),
    /// `start` up to and without `end`; cut at the blob's end.
    Within { start: u64, end: u64 },
    /// The last `n` bytes.
    Last(u64),
}

impl ByteRange {
    /// The bytes meant in a blob of `length`; `None` when no byte is.
    pub fn resolve(self, length: u64) -> Option<std::ops::Range<u64>> {
        let range = match self {
            Self::From(start) => start..length,
            Self::Within { start, end } => start..end.min(length),
            Self::Last(n) => length.saturating_sub(n)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

/// One page of a list, in order of the keys.
#[derive(Clone, Debug)]
pub struct BlobPage {
    pub blobs: Vec<BlobMeta>,
    /// Pass as `after` for the next page; `None` when this was the last.
    pub next: Option<String>,
}

/// A URL that carries its own permission, and the headers that must be sent with it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Presigned {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub expires: Millis,
}

/// How a presigned download answers.
#[derive(Clone, Debug)]
pub struct PresignGet {
    pub expires_in: Duration,
    /// The `Content-Disposition` of the answer.
    pub disposition: Option<String>,
    /// The `Content-Type` of the answer.
    pub content_type: Option<String>,
}

/// What a presigned upload must be, to the byte: all three are signed.
#[derive(Clone, Debug)]
pub struct PresignPut {
    pub expires_in: Duration,
    pub length: u64,
    pub content_type: String,
    pub sha256: Sha256Digest,
}

/// Objects in one bucket. A read after an acknowledged write sees it; a write is whole or absent.
#[async_trait::async_trait]
pub trait Blobs: Send + Sync {
    /// Stores `body`; the answer is its etag. `Error::ConditionFailed` when the condition lost.
    async fn put(&self, key: &BlobKey, body: Bytes, options: PutOptions) -> Result<ETag>;
    /// Stores a body of any length without holding it in memory.
    async fn put_stream(&self, key: &BlobKey, body: BlobStream, options: PutOptions) -> Result<BlobMeta>;
    /// Reads a blob; `Error::NotFound` when absent, `Error::Invalid` when no byte is in range.
    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Blob>;
    async fn head(&self, key: &BlobKey) -> Result<BlobMeta>;
    /// Blobs whose key starts with `prefix`, in byte order of their keys, after the key `after`; at most 1,000.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<BlobPage>;
    /// Removes a blob; succeeds when there is none.
    async fn delete(&self, key: &BlobKey) -> Result<()>;
    async fn presign_get(&self, key: &BlobKey, what: PresignGet) -> Result<Presigned>;
    async fn presign_put(&self, key: &BlobKey, what: PresignPut) -> Result<Presigned>;
    /// An upload of whatever its holder sends: the key alone is signed. For a holder whose upload is looked at before it
    /// is used. `Error::Invalid` where nobody sends such uploads.
    async fn presign_put_any(&self, _key: &BlobKey, _expires_in: Duration) -> Result<Presigned> {
        Err(Error::Invalid("uploads of any content are not presigned here".into()))
    }

    /// Starts an upload in parts; of `options` only what is stored beside the content counts. Where uploads in parts
    /// are not to be had, these five answer `Error::Unavailable`.
    async fn create_upload(&self, _key: &BlobKey, _options: PutOptions) -> Result<UploadId> {
        Err(no_parts())
    }
    /// A URL that takes one part, in place of one with the same number.
    async fn presign_part(&self, _key: &BlobKey, _upload: &UploadId, _part: PresignPart) -> Result<Presigned> {
        Err(no_parts())
    }
    /// The parts that have arrived, by number, after the number `after`; at most 1,000. `Error::NotFound` when there
    /// is no such upload under way.
    async fn upload_parts(
        &self,
        _key: &BlobKey,
        _upload: &UploadId,
        _after: u32,
        _limit: usize,
    ) -> Result<Vec<UploadPart>> {
        Err(no_parts())
    }
    /// Makes one blob of parts as they were listed. `Error::Invalid` when one is not there, is not the one that was
    /// listed, or is too small; `Error::NotFound` when there is no such upload under way.
    async fn complete_upload(&self, _key: &BlobKey, _upload: &UploadId, _parts: Vec<UploadPart>) -> Result<ETag> {
        Err(no_parts())
    }
    /// Throws the parts away; succeeds when there is no such upload.
    async fn abort_upload(&self, _key: &BlobKey, _upload: &UploadId) -> Result<()> {
        Err(no_parts())
    }
}

fn no_parts() -> Error {
    Error::Unavailable("uploads in parts".into())
}

/// A whole blob in memory; `Error::TooLarge` past `limit` bytes.
pub async fn collect(blob: Blob, limit: usize) -> Result<Bytes> {
    let mut all = BytesMut::new();
    let mut body = blob.body;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Error::other(format!("reading `{}`", blob.meta.key), error))?;
        if all.len() + chunk.len() > limit {
            return Err(Error::TooLarge {
                what: format!("`{}`", blob.meta.key),
                actual: blob.meta.length,
                limit: limit as u64,
            });
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// A body that is in memory already.
pub fn stream_of(bytes: impl Into<Bytes>) -> BlobStream {
    let bytes = bytes.into();
    futures::stream::once(async move { Ok(bytes) }).boxed()
}
