//! `Blobs` on Amazon S3.
//!
//! Memory: a `put_stream` holds two parts of the body (`PART_BYTES` each) and one chunk of it; a `get` holds what the
//! connection holds. Nothing goes to a disk.

#[cfg(feature = "stacks")]
mod empty;
mod parts;
mod presign;
mod upload;
mod write;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::primitives::DateTime;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, ETag, Error, Millis, PresignGet, PresignPart,
    PresignPut, Presigned, PutOptions, Result, Sha256Digest, UploadId, UploadPart,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{Aws, read_failure};

/// Entries of one page (ListObjectsV2).
const PAGE_MAX: usize = 1000;

#[derive(Clone)]
pub struct S3Blobs {
    config: SdkConfig,
    client: Arc<OnceLock<Client>>,
    bucket: String,
}

impl Aws {
    pub fn blobs(&self, bucket: impl Into<String>) -> S3Blobs {
        S3Blobs { config: self.config().clone(), client: Arc::default(), bucket: bucket.into() }
    }
}

/// Whether an endpoint of its own is set for S3, the way AWS's SDKs look for one.
fn has_endpoint(config: &SdkConfig) -> bool {
    let key = ServiceConfigKey::builder().service_id("s3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let of_service = || key.ok().and_then(|key| config.service_config()?.load_config(key));
    config.endpoint_url().is_some() || of_service().is_some()
}

fn etag(raw: Option<&str>) -> ETag {
    ETag(raw.unwrap_or_default().trim_matches('"').to_owned())
}

fn millis(at: Option<&DateTime>) -> Millis {
    Millis(at.and_then(|at| at.to_millis().ok()).unwrap_or(0))
}

fn unsigned(length: Option<i64>) -> u64 {
    length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0)
}

fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The header's value; `None` for a range of no byte, which HTTP cannot say.
fn range_header(range: ByteRange) -> Option<String> {
    match range {
        // Past the end means up to the end; servers read positions as signed 64-bit numbers.
        ByteRange::From(start) => Some(format!("bytes={}-", signed(start))),
        ByteRange::Within { start, end } if start < end => Some(format!("bytes={}-{}", signed(start), signed(end - 1))),
        ByteRange::Last(n) if n > 0 => Some(format!("bytes=-{}", signed(n))),
        _ => None,
    }
}

/// The part that `Content-Range: bytes 0-9/100` names, with the whole length.
fn content_range(header: Option<&str>, length: u64) -> Option<(std::ops::Range<u64>, u64)> {
    let Some(header) = header else { return Some((0..length, length)) };
    let (range, whole) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let (start, end) = (start.parse().ok()?, last.parse::<u64>().ok()?.checked_add(1)?);
    (start < end).then_some((start..end, whole.parse().ok()?))
}

/// The body, which fails when it is shorter or longer than the head said.
fn whole(body: BlobStream, length: u64) -> BlobStream {
    let check = move |seen: u64| match seen == length {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{seen} of {length} bytes came"))),
    };
    let counted = stream::try_unfold((body, 0u64), move |(mut body, seen)| async move {
        match body.try_next().await? {
            Some(chunk) => {
                let seen = seen + chunk.len() as u64;
                if seen > length {
                    check(seen)?;
                }
                Ok(Some((chunk, (body, seen))))
            }
            None => check(seen).map(|()| None),
        }
    });
    counted.boxed()
}

impl S3Blobs {
    /// Made when it is first needed. A bucket behind an endpoint of its own is named in the path, as emulators want it.
    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let path_style = has_endpoint(&self.config);
            Client::from_conf(Builder::from(&self.config).force_path_style(path_style).build())
        })
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn put(&self, key: &BlobKey, body: Bytes, options: PutOptions) -> Result<ETag> {
        let digest = Sha256Digest::of(&body);
        write::check(key, body.len() as u64, digest, &options)?;
        self.put_whole(key, body, digest, &options).await
    }

    async fn put_stream(&self, key: &BlobKey, body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        self.put_parts(key, body, &options).await?;
        self.head(key).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Blob> {
        let none = || Error::Invalid(format!("no byte of `{key}` is in the range asked for"));
        let header = range.map(|range| range_header(range).ok_or_else(none)).transpose()?;
        let request = self.client().get_object().bucket(&self.bucket).key(key.as_str()).set_range(header);
        let answer =
            request.send().await.map_err(|error| match error.raw_response().map(|raw| raw.status().as_u16()) {
                Some(404) => Error::NotFound(key.to_string()),
                Some(416) => none(),
                _ => read_failure(format!("reading `{key}`"), error),
            })?;
        let length = unsigned(answer.content_length());
        let (range, of) = content_range(answer.content_range(), length)
            .ok_or_else(|| Error::Unavailable(format!("the range of `{key}`")))?;
        let meta = BlobMeta {
            key: key.clone(),
            length: of,
            etag: etag(answer.e_tag()),
            modified: millis(answer.last_modified()),
            content_type: answer.content_type().map(str::to_owned),
            content_encoding: answer.content_encoding().map(str::to_owned),
            cache_control: answer.cache_control().map(str::to_owned),
        };
        let body = tokio_util::io::ReaderStream::new(answer.body.into_async_read()).boxed();
        Ok(Blob { meta, body: whole(body, range.end - range.start), range })
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        let answer = self.client().head_object().bucket(&self.bucket).key(key.as_str()).send().await.map_err(
            |error| match error.raw_response().map(|raw| raw.status().as_u16()) {
                Some(404) => Error::NotFound(key.to_string()),
                _ => read_failure(format!("reading `{key}`"), error),
            },
        )?;
        Ok(BlobMeta {
            key: key.clone(),
            length: unsigned(answer.content_length()),
            etag: etag(answer.e_tag()),
            modified: millis(answer.last_modified()),
            content_type: answer.content_type().map(str::to_owned),
            content_encoding: answer.content_encoding().map(str::to_owned),
            cache_control: answer.cache_control().map(str::to_owned),
        })
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<BlobPage> {
        if limit == 0 || limit > PAGE_MAX {
            return Err(Error::Invalid(format!("a page of blobs has 1 to {PAGE_MAX} entries")));
        }
        let answer = self
            .client()
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .max_keys(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| read_failure(format!("listing `{prefix}`"), error))?;
        let blob = |object: &aws_sdk_s3::types::Object| {
            Some(BlobMeta {
                // What is no key of ours was put there by someone else.
                key: BlobKey::parse(object.key()?).ok()?,
                length: unsigned(object.size()),
                etag: etag(object.e_tag()),
                modified: millis(object.last_modified()),
                content_type: None,
                content_encoding: None,
                cache_control: None,
            })
        };
        let more = answer.is_truncated() == Some(true);
        let last = answer.contents().last().and_then(|object| object.key());
        let next = last.filter(|_| more).map(str::to_owned);
        Ok(BlobPage { blobs: answer.contents().iter().filter_map(blob).collect(), next })
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        let request = self.client().delete_object().bucket(&self.bucket).key(key.as_str());
        request.send().await.map(drop).map_err(|error| crate::failure(format!("deleting `{key}`"), error))
    }

    async fn presign_get(&self, key: &BlobKey, what: PresignGet) -> Result<Presigned> {
        presign::get(self.client(), &self.bucket, key, what).await
    }

    async fn presign_put(&self, key: &BlobKey, what: PresignPut) -> Result<Presigned> {
        presign::put(self.client(), &self.bucket, key, what).await
    }

    async fn presign_put_any(&self, key: &BlobKey, expires_in: Duration) -> Result<Presigned> {
        presign::put_any(self.client(), &self.bucket, key, expires_in).await
    }

    async fn create_upload(&self, key: &BlobKey, options: PutOptions) -> Result<UploadId> {
        self.begin_parts(key, &options).await
    }

    async fn presign_part(&self, key: &BlobKey, upload: &UploadId, part: PresignPart) -> Result<Presigned> {
        presign::part(self.client(), &self.bucket, key, upload, part).await
    }

    async fn upload_parts(
        &self,
        key: &BlobKey,
        upload: &UploadId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<UploadPart>> {
        self.list_parts_after(key, upload, after, limit).await
    }

    async fn complete_upload(&self, key: &BlobKey, upload: &UploadId, parts: Vec<UploadPart>) -> Result<ETag> {
        self.join_parts(key, upload, parts).await
    }

    async fn abort_upload(&self, key: &BlobKey, upload: &UploadId) -> Result<()> {
        self.abort_parts(key, upload).await
    }
}
