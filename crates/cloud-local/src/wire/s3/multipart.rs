//! Multipart uploads.

use cloud::{Blobs, ByteRange, Error, PutOptions, UploadId};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use super::checksum::{Announced, checked};
use super::objects::{body_length, condition, copy_source, stored_encoding, user_metadata};
use super::{ScopedS3, blob_key, etag, port, size, timestamp};

const PARTS_MAX: i32 = 1000;

impl ScopedS3 {
    pub(super) async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let input = request.input;
        let blobs = self.bucket(&input.bucket).await?;
        let options = PutOptions {
            content_type: input.content_type,
            content_encoding: stored_encoding(input.content_encoding),
            cache_control: input.cache_control,
            ..PutOptions::default()
        };
        let user = user_metadata(input.metadata)?;
        let id = blobs.start_upload(&blob_key(&input.key)?, options, user).await.map_err(port)?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id.0),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..CreateMultipartUploadOutput::default()
        })
    }

    pub(super) async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        let (blobs, key) = (self.bucket(&input.bucket).await?, blob_key(&input.key)?);
        let length = body_length(input.content_length, &headers)?;
        let announced = Announced {
            md5: input.content_md5,
            digests: Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                checksum_sha1: input.checksum_sha1,
                checksum_sha256: input.checksum_sha256,
                ..Checksum::default()
            },
        };
        let (number, upload) = (part_number(input.part_number)?, UploadId(input.upload_id));
        let (body, verdict) = checked(input.body, announced, &headers, trailing_headers)?;
        let stored = blobs.put_part(&key, &upload, number, body, Some(length), None).await;
        let tag = stored.map_err(|error| match error {
            Error::NotFound(_) => no_upload(error),
            other => verdict.or(other),
        })?;
        Ok(UploadPartOutput { e_tag: Some(etag(&tag)), ..UploadPartOutput::default() })
    }

    pub(super) async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<UploadPartCopyOutput> {
        let input = request.input;
        let (bucket, from) = copy_source(&input.copy_source)?;
        let source = self.bucket(bucket).await?;
        let (target, key) = (self.bucket(&input.bucket).await?, blob_key(&input.key)?);
        let range = input.copy_source_range.as_deref().map(part_range).transpose()?;
        let blob = source.get(&blob_key(from)?, range).await.map_err(port)?;
        let (number, upload) = (part_number(input.part_number)?, UploadId(input.upload_id));
        let tag = target.put_part(&key, &upload, number, blob.body, None, None).await.map_err(no_upload)?;
        let result = CopyPartResult {
            e_tag: Some(etag(&tag)),
            last_modified: Some(timestamp(blob.meta.modified)),
            ..CopyPartResult::default()
        };
        Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() })
    }

    pub(super) async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let input = request.input;
        let blobs = self.bucket(&input.bucket).await?;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let missing = || S3Error::with_message(S3ErrorCode::MalformedXML, "a part lacks its number or its etag");
        let parts: Vec<crate::CompletedPart> = named
            .into_iter()
            .map(|part| {
                let number = part_number(part.part_number.ok_or_else(missing)?)?;
                let tag = part.e_tag.ok_or_else(missing)?.into_value();
                Ok(crate::CompletedPart { number, etag: cloud::ETag(tag) })
            })
            .collect::<S3Result<_>>()?;
        let condition = condition(input.if_match, input.if_none_match)?;
        let (key, upload) = (blob_key(&input.key)?, UploadId(input.upload_id));
        let meta = blobs.join_upload(&key, &upload, parts, condition).await.map_err(|error| match error {
            Error::Invalid(message) => S3Error::with_message(S3ErrorCode::InvalidPart, message),
            other => no_upload(other),
        })?;
        Ok(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&meta.etag)),
            ..CompleteMultipartUploadOutput::default()
        })
    }

    pub(super) async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let input = request.input;
        let blobs = self.bucket(&input.bucket).await?;
        blobs.drop_upload(&blob_key(&input.key)?, &UploadId(input.upload_id)).await.map_err(no_upload)?;
        Ok(AbortMultipartUploadOutput::default())
    }

    pub(super) async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<ListPartsOutput> {
        let input = request.input;
        let blobs = self.bucket(&input.bucket).await?;
        let max = input.max_parts.unwrap_or(PARTS_MAX).clamp(1, PARTS_MAX);
        let after = input.part_number_marker.and_then(|marker| u32::try_from(marker).ok()).unwrap_or(0);
        let (key, upload) = (blob_key(&input.key)?, UploadId(input.upload_id.clone()));
        let limit = usize::try_from(max).unwrap_or(1);
        let found = blobs.parts(&key, &upload, after, limit).await.map_err(no_upload)?;
        let more = found.len() == limit;
        let parts: Vec<Part> = found
            .into_iter()
            .map(|part| Part {
                part_number: i32::try_from(part.number).ok(),
                size: Some(size(part.length)),
                e_tag: Some(etag(&part.etag)),
                last_modified: Some(timestamp(part.modified)),
                ..Part::default()
            })
            .collect();
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(more),
            max_parts: Some(max),
            part_number_marker: input.part_number_marker,
            next_part_number_marker: parts.last().filter(|_| more).and_then(|part| part.part_number),
            parts: Some(parts),
            ..ListPartsOutput::default()
        })
    }

    pub(super) async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let input = request.input;
        let blobs = self.bucket(&input.bucket).await?;
        let prefix = input.prefix.unwrap_or_default();
        let uploads = blobs.uploads(&prefix).await.map_err(port)?;
        let uploads = uploads.into_iter().map(|upload| MultipartUpload {
            key: Some(upload.key.to_string()),
            upload_id: Some(upload.id.0),
            initiated: Some(timestamp(upload.created)),
            ..MultipartUpload::default()
        });
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(prefix),
            is_truncated: Some(false),
            uploads: Some(uploads.collect()),
            ..ListMultipartUploadsOutput::default()
        })
    }
}

fn part_number(given: i32) -> S3Result<u32> {
    let number = u32::try_from(given).ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| S3Error::with_message(S3ErrorCode::InvalidArgument, "a part number is 1 to 10,000"))
}

/// `bytes=first-last`, both given.
fn part_range(raw: &str) -> S3Result<ByteRange> {
    match Range::parse(raw) {
        Ok(Range::Int { first, last: Some(last) }) => {
            Ok(ByteRange::Within { start: first, end: last.saturating_add(1) })
        }
        _ => Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "a part is copied from bytes=first-last")),
    }
}

fn no_upload(error: Error) -> S3Error {
    match error {
        Error::NotFound(message) => {
            S3Error::with_message(S3ErrorCode::NoSuchUpload, format!("`{message}` is no upload under way"))
        }
        other => port(other),
    }
}
