//! `Blobs` on Amazon S3.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, Clock, ETag, Error, Millis, PresignGet,
    PresignPut, Presigned, PutCondition, PutOptions, Result, Sha256Digest, SystemClock, limits,
};
use futures::StreamExt;
use sha2::Digest;
use tokio::io::AsyncWriteExt;

use crate::{Aws, failure};

#[derive(Clone)]
pub struct S3Blobs {
    client: Client,
    bucket: String,
}

impl Aws {
    pub fn blobs(&self, bucket: impl Into<String>) -> S3Blobs {
        S3Blobs { client: Client::new(self.config()), bucket: bucket.into() }
    }
}

fn etag(raw: Option<&str>) -> ETag {
    ETag(raw.unwrap_or_default().trim_matches('"').to_owned())
}

fn millis(at: Option<&DateTime>) -> Millis {
    Millis(at.and_then(|at| at.to_millis().ok()).unwrap_or(0))
}

fn range_header(range: ByteRange) -> String {
    match range {
        ByteRange::From(start) => format!("bytes={start}-"),
        ByteRange::Within { start, end } => format!("bytes={start}-{}", end.saturating_sub(1)),
        ByteRange::Last(n) => format!("bytes=-{n}"),
    }
}

/// The part that `Content-Range: bytes 0-9/100` names, with the whole length.
fn content_range(header: Option<&str>, length: u64) -> (std::ops::Range<u64>, u64) {
    let parsed = header.and_then(|header| {
        let (range, whole) = header.strip_prefix("bytes ")?.split_once('/')?;
        let (start, last) = range.split_once('-')?;
        Some((start.parse().ok()?..last.parse::<u64>().ok()? + 1, whole.parse().ok()?))
    });
    parsed.unwrap_or((0..length, length))
}

fn presigned(request: &PresignedRequest, expires_in: Duration) -> Presigned {
    Presigned {
        method: request.method().to_owned(),
        url: request.uri().to_owned(),
        headers: request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        expires: SystemClock.now().plus(expires_in),
    }
}

fn presigning(expires_in: Duration) -> Result<PresigningConfig> {
    PresigningConfig::expires_in(expires_in.min(limits::PRESIGN_MAX)).map_err(|error| Error::other("presigning", error))
}

impl S3Blobs {
    /// One PUT with its condition. `digest` makes S3 check the body and marks what is ours.
    async fn send(
        &self,
        key: &BlobKey,
        body: ByteStream,
        length: u64,
        digest: Sha256Digest,
        options: &PutOptions,
    ) -> Result<ETag> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .body(body)
            .content_length(i64::try_from(length).unwrap_or(i64::MAX))
            .checksum_sha256(STANDARD.encode(digest.0))
            .set_content_type(options.content_type.clone())
            .set_content_encoding(options.content_encoding.clone())
            .set_cache_control(options.cache_control.clone());
        let request = match &options.condition {
            PutCondition::Always => request,
            PutCondition::IfAbsent => request.if_none_match("*"),
            PutCondition::IfMatch(etag) => request.if_match(format!("\"{}\"", etag.0)),
        };
        match request.send().await {
            Ok(answer) => Ok(etag(answer.e_tag())),
            Err(error) => match error.raw_response().map(|raw| raw.status().as_u16()) {
                Some(412 | 404) => self.settle(key, digest, options).await,
                Some(409) => Err(Error::Unavailable(format!("`{key}`"))),
                _ => Err(failure(format!("writing `{key}`"), error)),
            },
        }
    }

    /// A retry inside the client can be refused for its own success: the stored digest tells.
    async fn settle(&self, key: &BlobKey, digest: Sha256Digest, options: &PutOptions) -> Result<ETag> {
        let lost = || Error::ConditionFailed { key: key.to_string(), index: None };
        if options.condition == PutCondition::IfAbsent {
            // Someone else may have stored the same bytes first; then the caller did lose.
            return Err(lost());
        }
        let head = self.client.head_object().bucket(&self.bucket).key(key.as_str());
        match head.checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled).send().await {
            Ok(found) if found.checksum_sha256() == Some(STANDARD.encode(digest.0).as_str()) => Ok(etag(found.e_tag())),
            _ => Err(lost()),
        }
    }
}

fn check(key: &BlobKey, length: u64, digest: Sha256Digest, options: &PutOptions) -> Result<()> {
    if options.length.is_some_and(|wanted| wanted != length) {
        return Err(Error::Invalid(format!("`{key}` is {length} bytes long, not as long as it was said to be")));
    }
    if options.sha256.is_some_and(|wanted| wanted != digest) {
        return Err(Error::Invalid(format!("`{key}` does not have the digest that it was said to have")));
    }
    Ok(())
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn put(&self, key: &BlobKey, body: Bytes, options: PutOptions) -> Result<ETag> {
        let (length, digest) = (body.len() as u64, Sha256Digest::of(&body));
        check(key, length, digest, &options)?;
        self.send(key, ByteStream::from(body), length, digest, &options).await
    }

    /// The body goes to a file first: S3 wants its length and digest before the first byte.
    async fn put_stream(&self, key: &BlobKey, mut body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        let during = |error: io::Error| Error::other(format!("writing `{key}`"), error);
        let file = tempfile::NamedTempFile::new().map_err(during)?;
        let mut writer = tokio::fs::File::from_std(file.reopen().map_err(during)?);
        let (mut length, mut hash) = (0u64, sha2::Sha256::new());
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(during)?;
            length += chunk.len() as u64;
            if length > options.length.unwrap_or(limits::BLOB_PUT_MAX) {
                let limit = options.length.unwrap_or(limits::BLOB_PUT_MAX);
                return Err(Error::TooLarge { what: format!("`{key}`"), actual: length, limit });
            }
            hash.update(&chunk);
            writer.write_all(&chunk).await.map_err(during)?;
        }
        writer.flush().await.map_err(during)?;
        let digest = Sha256Digest(hash.finalize().into());
        check(key, length, digest, &options)?;
        let stream = ByteStream::from_path(file.path())
            .await
            .map_err(|error| Error::other(format!("writing `{key}`"), error))?;
        self.send(key, stream, length, digest, &options).await?;
        self.head(key).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Blob> {
        let request = self.client.get_object().bucket(&self.bucket).key(key.as_str());
        let answer = request.set_range(range.map(range_header)).send().await.map_err(|error| {
            match error.raw_response().map(|raw| raw.status().as_u16()) {
                Some(404) => Error::NotFound(key.to_string()),
                Some(416) => Error::Invalid(format!("no byte of `{key}` is in the range")),
                _ => failure(format!("reading `{key}`"), error),
            }
        })?;
        let length = u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0);
        let (range, whole) = content_range(answer.content_range(), length);
        let meta = BlobMeta {
            key: key.clone(),
            length: whole,
            etag: etag(answer.e_tag()),
            modified: millis(answer.last_modified()),
            content_type: answer.content_type().map(str::to_owned),
            content_encoding: answer.content_encoding().map(str::to_owned),
            cache_control: answer.cache_control().map(str::to_owned),
        };
        let body = tokio_util::io::ReaderStream::new(answer.body.into_async_read()).boxed();
        Ok(Blob { meta, range, body })
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        let answer = self.client.head_object().bucket(&self.bucket).key(key.as_str()).send().await.map_err(
            |error| match error.raw_response().map(|raw| raw.status().as_u16()) {
                Some(404) => Error::NotFound(key.to_string()),
                _ => failure(format!("reading `{key}`"), error),
            },
        )?;
        Ok(BlobMeta {
            key: key.clone(),
            length: u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0),
            etag: etag(answer.e_tag()),
            modified: millis(answer.last_modified()),
            content_type: answer.content_type().map(str::to_owned),
            content_encoding: answer.content_encoding().map(str::to_owned),
            cache_control: answer.cache_control().map(str::to_owned),
        })
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<BlobPage> {
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .max_keys(i32::try_from(limit.clamp(1, 1000)).unwrap_or(1000))
            .send()
            .await
            .map_err(|error| failure(format!("listing `{prefix}`"), error))?;
        let mut blobs = Vec::new();
        for object in answer.contents() {
            blobs.push(BlobMeta {
                key: BlobKey::parse(object.key().unwrap_or_default())?,
                length: u64::try_from(object.size().unwrap_or(0)).unwrap_or(0),
                etag: etag(object.e_tag()),
                modified: millis(object.last_modified()),
                content_type: None,
                content_encoding: None,
                cache_control: None,
            });
        }
        let more = answer.is_truncated() == Some(true);
        let next = more.then(|| blobs.last().map(|last| last.key.to_string())).flatten();
        Ok(BlobPage { blobs, next })
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        let request = self.client.delete_object().bucket(&self.bucket).key(key.as_str());
        request.send().await.map(drop).map_err(|error| failure(format!("deleting `{key}`"), error))
    }

    async fn presign_get(&self, key: &BlobKey, what: PresignGet) -> Result<Presigned> {
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .set_response_content_disposition(what.disposition)
            .set_response_content_type(what.content_type)
            .presigned(presigning(what.expires_in)?)
            .await
            .map_err(|error| failure(format!("presigning `{key}`"), error))?;
        Ok(presigned(&request, what.expires_in))
    }

    async fn presign_put(&self, key: &BlobKey, what: PresignPut) -> Result<Presigned> {
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .content_length(i64::try_from(what.length).unwrap_or(i64::MAX))
            .content_type(what.content_type)
            .checksum_sha256(STANDARD.encode(what.sha256.0))
            .presigned(presigning(what.expires_in)?)
            .await
            .map_err(|error| failure(format!("presigning `{key}`"), error))?;
        Ok(presigned(&request, what.expires_in))
    }
}
