//! Bodies on their way in and out.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::{Bytes, BytesMut};
use cloud::limits::BLOB_PUT_MAX;
use cloud::{BlobKey, BlobStream, ETag, Error, Result, Sha256Digest, stream_of};
use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::files::{Files, Placed, Staged};
use crate::store::database::During;

/// Bodies up to this many bytes live in their row: one flush instead of three.
pub(super) const INLINE_MAX: usize = 32 * 1024;
/// What is written to a file at once.
const WRITE_CHUNK: usize = 512 * 1024;
/// What is read from a file at once, and so what a slow reader holds.
const READ_CHUNK: u64 = 256 * 1024;

/// Where a body is kept.
pub(super) enum Content {
    Row(Bytes),
    File(Placed),
}

/// A whole body, checked, on disk when it is large, not yet named by a row.
pub(super) struct Body {
    pub(super) content: Content,
    pub(super) length: u64,
    pub(super) sha256: Sha256Digest,
}

impl Body {
    /// An opaque validator made of the content. Not 32 digits, so that nobody takes it for an MD5.
    pub(super) fn etag(&self) -> ETag {
        ETag(hex::encode(&self.sha256.0[..20]))
    }

    pub(super) fn in_memory(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, sha256: Sha256Digest::of(&bytes), content: Content::Row(bytes) }
    }
}

/// What a body has to be.
#[derive(Clone, Copy, Default)]
pub(super) struct Expected {
    pub(super) length: Option<u64>,
    pub(super) sha256: Option<Sha256Digest>,
}

impl Expected {
    fn check_length(self, key: &BlobKey, length: u64) -> Result<()> {
        match self.length {
            Some(expected) if expected != length => {
                Err(Error::Invalid(format!("the body of `{key}` has {length} bytes, {expected} were announced")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a body that is already too long, before the rest is read.
    fn check_so_far(self, key: &BlobKey, length: u64) -> Result<()> {
        if length > BLOB_PUT_MAX {
            return Err(Error::TooLarge { what: format!("`{key}`"), actual: length, limit: BLOB_PUT_MAX });
        }
        match self.length {
            Some(expected) if length > expected => {
                Err(Error::Invalid(format!("the body of `{key}` is longer than the {expected} bytes announced")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check(self, key: &BlobKey, length: u64, sha256: &Sha256Digest) -> Result<()> {
        self.check_length(key, length)?;
        match self.sha256 {
            Some(expected) if expected != *sha256 => {
                Err(Error::Invalid(format!("the body of `{key}` does not have the digest announced")))
            }
            _ => Ok(()),
        }
    }
}

/// Takes a body in; only as much as `WRITE_CHUNK` is in memory. An error or a dropped future leaves nothing.
pub(super) async fn receive(
    files: &Files,
    name: String,
    key: &BlobKey,
    mut body: BlobStream,
    expected: Expected,
    inline_max: usize,
) -> Result<Body> {
    if let Some(length) = expected.length {
        expected.check_so_far(key, length)?;
    }
    let mut staged: Option<Staged> = None;
    let (mut waiting, mut waiting_bytes, mut length) = (Vec::new(), 0, 0);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.during(format!("receiving the body of `{key}`"))?;
        length += chunk.len() as u64;
        waiting_bytes += chunk.len();
        expected.check_so_far(key, length)?;
        waiting.push(chunk);
        if waiting_bytes >= WRITE_CHUNK {
            staged = Some(write(files, staged, &name, std::mem::take(&mut waiting)).await?);
            waiting_bytes = 0;
        }
    }
    if staged.is_none() && waiting_bytes <= inline_max {
        let mut bytes = BytesMut::with_capacity(waiting_bytes);
        waiting.iter().for_each(|chunk| bytes.extend_from_slice(chunk));
        let body = Body::in_memory(bytes.freeze());
        expected.check(key, body.length, &body.sha256)?;
        return Ok(body);
    }
    let staged = write(files, staged, &name, waiting).await?;
    let key = key.clone();
    blocking(move || {
        let (length, sha256) = (staged.length(), staged.digest());
        expected.check(&key, length, &sha256)?;
        Ok(Body { content: Content::File(staged.place()?), length, sha256 })
    })
    .await
}

async fn write(files: &Files, staged: Option<Staged>, name: &str, chunks: Vec<Bytes>) -> Result<Staged> {
    let (files, name) = (files.clone(), name.to_owned());
    blocking(move || {
        let mut staged = match staged {
            Some(staged) => staged,
            None => files.stage(name)?,
        };
        staged.write(&chunks)?;
        Ok(staged)
    })
    .await
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.during("working on a blob file")?
}

/// A file being read. Each step reads one chunk, so that a slow reader holds no thread.
struct Reading {
    file: File,
    next: u64,
    end: u64,
    /// The digest so far and the one it must become, when the whole body is read.
    verify: Option<(Sha256, Sha256Digest)>,
    key: BlobKey,
}

impl Reading {
    fn step(&mut self) -> io::Result<Bytes> {
        let length = READ_CHUNK.min(self.end - self.next);
        let mut chunk = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut chunk, self.next)?;
        self.next += length;
        if let Some((hasher, expected)) = &mut self.verify {
            hasher.update(&chunk);
            // Checked before the last chunk is handed out: a damaged body never arrives complete.
            if self.next == self.end && <[u8; 32]>::from(hasher.clone().finalize()) != expected.0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Error::Corrupt(self.key.to_string())));
            }
        }
        Ok(chunk.into())
    }
}

/// The part `range` of a body in a row.
pub(super) fn from_row(
    key: &BlobKey,
    bytes: Bytes,
    range: &Range<u64>,
    length: u64,
    sha256: Sha256Digest,
) -> Result<BlobStream> {
    let whole = range.start == 0 && range.end == length;
    if bytes.len() as u64 != length || (whole && Sha256Digest::of(&bytes) != sha256) {
        return Err(Error::Corrupt(key.to_string()));
    }
    let within = |at: u64| usize::try_from(at).during("reading a blob");
    Ok(stream_of(bytes.slice(within(range.start)?..within(range.end)?)))
}

/// The part `range` of a body in a file. A short one is read at once.
pub(super) fn from_file(
    key: &BlobKey,
    file: File,
    range: &Range<u64>,
    length: u64,
    sha256: Sha256Digest,
) -> Result<BlobStream> {
    let whole = range.start == 0 && range.end == length;
    let verify = whole.then(|| (Sha256::new(), sha256));
    let mut reading = Reading { file, next: range.start, end: range.end, verify, key: key.clone() };
    if range.end - range.start <= READ_CHUNK {
        let read = reading.step();
        return read.map(stream_of).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Error::Corrupt(key.to_string()),
            _ => Error::other(format!("reading `{key}`"), error),
        });
    }
    let steps = stream::try_unfold(reading, |mut reading| async move {
        if reading.next >= reading.end {
            return Ok(None);
        }
        let step = move || reading.step().map(|chunk| Some((chunk, reading)));
        tokio::task::spawn_blocking(step).await.map_err(io::Error::other)?
    });
    Ok(steps.boxed())
}
