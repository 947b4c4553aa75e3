//! Streamed bodies: one PUT when the body fits in a part, a multipart upload otherwise.

use std::io;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use cloud::{BlobKey, BlobStream, ETag, Error, PutOptions, Result, Sha256Digest, limits};
use futures::StreamExt;
use sha2::Digest;

use super::write::{self, WRITE_ID, Write, condition, new_id, once};
use super::{S3Blobs, etag, signed};
use crate::failure;

/// The size of every part but the last (bytes). S3 wants 5 MiB at least and 10,000 parts at most.
const PART_BYTES: usize = 8 << 20;
const _: () = assert!(limits::BLOB_PUT_MAX / (PART_BYTES as u64) < 10_000);

/// A body on its way in, cut into parts, measured and digested.
struct Body<'a> {
    key: &'a BlobKey,
    stream: BlobStream,
    /// What came beyond the last part: the end of one chunk.
    rest: Bytes,
    length: u64,
    /// More than this is refused.
    limit: u64,
    announced: bool,
    hash: sha2::Sha256,
}

impl<'a> Body<'a> {
    fn new(key: &'a BlobKey, stream: BlobStream, options: &PutOptions) -> Self {
        let limit = options.length.unwrap_or(limits::BLOB_PUT_MAX).min(limits::BLOB_PUT_MAX);
        let announced = options.length.is_some_and(|length| length <= limits::BLOB_PUT_MAX);
        Self { key, stream, rest: Bytes::new(), length: 0, limit, announced, hash: sha2::Sha256::new() }
    }

    fn refused(&self) -> Error {
        let (key, limit) = (self.key, self.limit);
        match self.announced {
            true => Error::Invalid(format!("the body of `{key}` is longer than the {limit} bytes announced")),
            false => Error::TooLarge { what: format!("`{key}`"), actual: self.length, limit },
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let Some(chunk) = self.stream.next().await else { return Ok(None) };
        let chunk = chunk.map_err(|error: io::Error| Error::other(format!("writing `{}`", self.key), error))?;
        self.length += chunk.len() as u64;
        if self.length > self.limit {
            return Err(self.refused());
        }
        self.hash.update(&chunk);
        Ok(Some(chunk))
    }

    /// The next part: `PART_BYTES`, or what is left. `None` at the end.
    async fn part(&mut self) -> Result<Option<Bytes>> {
        let mut part = BytesMut::with_capacity(PART_BYTES);
        loop {
            let room = PART_BYTES - part.len();
            part.extend_from_slice(&self.rest.split_to(room.min(self.rest.len())));
            if part.len() == PART_BYTES {
                break;
            }
            let Some(chunk) = self.chunk().await? else { break };
            self.rest = chunk;
        }
        Ok((!part.is_empty()).then(|| part.freeze()))
    }

    fn check(&self, options: &PutOptions) -> Result<()> {
        write::check(self.key, self.length, self.digest(), options)
    }

    fn digest(&self) -> Sha256Digest {
        Sha256Digest(self.hash.clone().finalize().into())
    }
}

/// An upload that S3 keeps the parts of. Unless it was completed, its end removes them; what a stopped process leaves
/// is removed by the bucket's lifecycle rule.
struct Upload {
    blobs: S3Blobs,
    key: BlobKey,
    id: String,
    open: bool,
}

impl Upload {
    async fn abort(&mut self) {
        self.open = false;
        abort(self.blobs.clone(), self.key.clone(), self.id.clone()).await;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.open, tokio::runtime::Handle::try_current()) {
            runtime.spawn(abort(self.blobs.clone(), self.key.clone(), self.id.clone()));
        }
    }
}

async fn abort(blobs: S3Blobs, key: BlobKey, id: String) {
    let request = blobs.client().abort_multipart_upload().bucket(&blobs.bucket).key(key.as_str()).upload_id(id);
    if let Err(error) = request.send().await {
        tracing::warn!(%key, error = %failure("aborting an upload", error), "parts of an upload stay");
    }
}

impl S3Blobs {
    pub(super) async fn put_parts(&self, key: &BlobKey, stream: BlobStream, options: &PutOptions) -> Result<ETag> {
        let mut body = Body::new(key, stream, options);
        let first = body.part().await?.unwrap_or_default();
        let Some(second) = body.part().await? else {
            body.check(options)?;
            return self.put_whole(key, first, body.digest(), options).await;
        };
        let write_id = new_id();
        let mut upload = self.begin(key, &write_id, options).await?;
        let done = self.send_parts(&mut upload, &mut body, [first, second], &write_id, options).await;
        match &done {
            // The outcome of an unclear completion is still open: aborting could take back what is stored.
            Ok(_) | Err(Error::Unclear(_)) => upload.open = false,
            Err(_) => upload.abort().await,
        }
        done
    }

    async fn begin(&self, key: &BlobKey, write_id: &str, options: &PutOptions) -> Result<Upload> {
        let answer = self
            .client()
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .metadata(WRITE_ID, write_id)
            .set_content_type(options.content_type.clone())
            .set_content_encoding(options.content_encoding.clone())
            .set_cache_control(options.cache_control.clone())
            .send()
            .await
            // An upload that nobody knows of holds no part.
            .map_err(|error| crate::read_failure(format!("writing `{key}`"), error))?;
        let id = answer.upload_id().unwrap_or_default().to_owned();
        Ok(Upload { blobs: self.clone(), key: key.clone(), id, open: true })
    }

    /// Sends each part while the next one comes in.
    async fn send_parts(
        &self,
        upload: &mut Upload,
        body: &mut Body<'_>,
        ready: [Bytes; 2],
        write_id: &str,
        options: &PutOptions,
    ) -> Result<ETag> {
        let [first, second] = ready;
        let mut parts = vec![self.send_part(upload, 1, first).await?];
        let mut next = Some(second);
        while let Some(part) = next.take() {
            let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
            let (sent, coming) = futures::future::join(self.send_part(upload, number, part), body.part()).await;
            parts.push(sent?);
            next = coming?;
        }
        body.check(options)?;
        self.complete(upload, parts, write_id, options).await
    }

    async fn send_part(&self, upload: &Upload, number: i32, part: Bytes) -> Result<CompletedPart> {
        let digest = STANDARD.encode(Sha256Digest::of(&part).0);
        let answer = self
            .client()
            .upload_part()
            .bucket(&self.bucket)
            .key(upload.key.as_str())
            .upload_id(&upload.id)
            .part_number(number)
            .content_length(signed(part.len() as u64))
            .checksum_sha256(&digest)
            .body(ByteStream::from(part))
            .send()
            .await
            // A part that may or may not be there is replaced by the next attempt, or removed with the upload.
            .map_err(|error| crate::read_failure(format!("writing part {number} of `{}`", upload.key), error))?;
        let tag = answer.e_tag().unwrap_or_default();
        Ok(CompletedPart::builder().part_number(number).e_tag(tag).checksum_sha256(digest).build())
    }

    async fn complete(
        &self,
        upload: &Upload,
        parts: Vec<CompletedPart>,
        write_id: &str,
        options: &PutOptions,
    ) -> Result<ETag> {
        let (if_none_match, if_match) = condition(&options.condition);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self
            .client()
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(upload.key.as_str())
            .upload_id(&upload.id)
            .multipart_upload(parts)
            .set_if_none_match(if_none_match)
            .set_if_match(if_match);
        let write = Write { key: &upload.key, id: write_id, condition: &options.condition, repeats_conflicts: false };
        self.settle(&write, || async {
            let answer = request.clone().customize().config_override(once()).send().await?;
            Ok(etag(answer.e_tag()))
        })
        .await
    }
}
