//! Uploads in parts: a blob that comes piece by piece, from whoever holds the URLs of the pieces.

use std::time::Duration;

use crate::{ETag, Sha256Digest};

/// An upload that is neither complete nor aborted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UploadId(pub String);

/// A part that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPart {
    pub number: u32,
    /// Bytes.
    pub length: u64,
    pub etag: ETag,
    /// Where the store remembers it.
    pub sha256: Option<Sha256Digest>,
}

/// What a presigned part must be, to the byte: length and digest are signed.
#[derive(Clone, Debug)]
pub struct PresignPart {
    pub expires_in: Duration,
    /// From 1 on.
    pub number: u32,
    pub length: u64,
    pub sha256: Sha256Digest,
}
