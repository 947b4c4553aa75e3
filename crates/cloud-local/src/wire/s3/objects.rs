//! Objects: put, get, head, copy, delete.

use cloud::limits::BLOB_PUT_MAX;
use cloud::{Blob, BlobMeta, Blobs, ByteRange, Error, PutCondition, PutOptions};
use futures::TryStreamExt;
use http_body_util::StreamBody;
use hyper::body::Frame;
use s3s::dto::*;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Result};

use super::checksum::{Announced, checked};
use super::{ScopedS3, blob_key, etag, port, size, timestamp};
use crate::UserMetadata;

/// Keys in one DeleteObjects.
const DELETE_MAX: usize = 1000;

/// The conditions of a read (RFC 9110, section 13).
#[derive(Default)]
struct Conditions {
    if_match: Option<IfMatch>,
    if_none_match: Option<IfNoneMatch>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
}

impl ScopedS3 {
    pub(super) async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        let S3Request { input, headers, trailing_headers, .. } = request;
        let (blobs, key) = (self.bucket(&input.bucket).await?, blob_key(&input.key)?);
        let options = PutOptions {
            condition: condition(input.if_match, input.if_none_match)?,
            content_type: input.content_type,
            content_encoding: stored_encoding(input.content_encoding),
            cache_control: input.cache_control,
            length: Some(body_length(input.content_length, &headers)?),
            sha256: None,
        };
        let user = user_metadata(input.metadata)?;
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
        let (body, verdict) = checked(input.body, announced, &headers, trailing_headers)?;
        let meta = blobs.put_object(&key, body, options, user).await.map_err(|error| verdict.or(error))?;
        Ok(PutObjectOutput { e_tag: Some(etag(&meta.etag)), ..PutObjectOutput::default() })
    }

    pub(super) async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
        let input = request.input;
        let (blobs, key) = (self.bucket(&input.bucket).await?, blob_key(&input.key)?);
        let ranged = input.range.is_some();
        let (blob, user) = blobs.object(&key, input.range.map(byte_range)).await.map_err(|error| match error {
            Error::Invalid(message) if ranged => S3Error::with_message(S3ErrorCode::InvalidRange, message),
            other => port(other),
        })?;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&blob.meta)?;
        let Blob { meta, range, body } = blob;
        let content_range = ranged.then(|| format!("bytes {}-{}/{}", range.start, range.end - 1, meta.length));
        let body = Body::http_body_unsync(StreamBody::new(body.map_ok(Frame::data)));
        Ok(GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(StreamingBlob::from(body)),
            cache_control: meta.cache_control,
            content_encoding: meta.content_encoding,
            content_length: Some(size(range.end - range.start)),
            content_range,
            content_type: meta.content_type,
            e_tag: Some(etag(&meta.etag)),
            last_modified: Some(timestamp(meta.modified)),
            metadata: metadata_view(user),
            ..GetObjectOutput::default()
        })
    }

    pub(super) async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<HeadObjectOutput> {
        let input = request.input;
        let (blobs, key) = (self.bucket(&input.bucket).await?, blob_key(&input.key)?);
        let (meta, user) = blobs.object_head(&key).await.map_err(port)?;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&meta)?;
        Ok(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            cache_control: meta.cache_control,
            content_encoding: meta.content_encoding,
            content_length: Some(size(meta.length)),
            content_type: meta.content_type,
            e_tag: Some(etag(&meta.etag)),
            last_modified: Some(timestamp(meta.modified)),
            metadata: metadata_view(user),
            ..HeadObjectOutput::default()
        })
    }

    pub(super) async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
        let input = request.input;
        let (bucket, from) = copy_source(&input.copy_source)?;
        let source = self.bucket(bucket).await?;
        let from = blob_key(from)?;
        let (target, to) = (self.bucket(&input.bucket).await?, blob_key(&input.key)?);
        let meta = source.head(&from).await.map_err(port)?;
        let conditions = Conditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        conditions.check(&meta).map_err(|_| precondition())?;
        let replace = input.metadata_directive.is_some_and(|given| given.as_str() == MetadataDirective::REPLACE);
        if source.bucket() == target.bucket() && from == to && !replace {
            let message = "a copy onto itself needs new metadata (metadata directive REPLACE)";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
        }
        let user = replace.then(|| user_metadata(input.metadata)).transpose()?;
        let options = match replace {
            true => PutOptions {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                cache_control: input.cache_control,
                ..PutOptions::default()
            },
            false => PutOptions {
                content_type: meta.content_type,
                content_encoding: meta.content_encoding,
                cache_control: meta.cache_control,
                ..PutOptions::default()
            },
        };
        let copied = target.copy_from(&source, &from, &to, options, user).await.map_err(port)?;
        let result = CopyObjectResult {
            e_tag: Some(etag(&copied.etag)),
            last_modified: Some(timestamp(copied.modified)),
            ..CopyObjectResult::default()
        };
        Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
    }

    pub(super) async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<DeleteObjectOutput> {
        let blobs = self.bucket(&request.input.bucket).await?;
        blobs.delete(&blob_key(&request.input.key)?).await.map_err(port)?;
        Ok(DeleteObjectOutput::default())
    }

    pub(super) async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> S3Result<DeleteObjectsOutput> {
        let blobs = self.bucket(&request.input.bucket).await?;
        let Delete { objects, quiet } = request.input.delete;
        if objects.len() > DELETE_MAX {
            return Err(S3Error::with_message(S3ErrorCode::MalformedXML, "at most 1,000 keys a call"));
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in objects {
            let done = match blob_key(&object.key) {
                Ok(key) => blobs.delete(&key).await.map_err(port),
                Err(refused) => Err(refused),
            };
            match done {
                Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() }),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        let deleted = (quiet != Some(true)).then_some(deleted);
        Ok(DeleteObjectsOutput { deleted, errors: Some(errors), ..DeleteObjectsOutput::default() })
    }
}

impl Conditions {
    fn check(&self, meta: &BlobMeta) -> S3Result<()> {
        let same = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(tag) => tag.value() == meta.etag.0,
        };
        // HTTP dates have whole seconds.
        let modified = timestamp(cloud::Millis(meta.modified.as_secs() * 1000));
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !same(condition) => return Err(precondition()),
            (None, Some(since)) if modified > *since => return Err(precondition()),
            _ => {}
        }
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => same(condition),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if unchanged { Err(not_modified(meta)) } else { Ok(()) }
    }
}

/// What the client says of an object; over 2 KB is refused as S3 does.
pub(super) fn user_metadata(given: Option<Metadata>) -> S3Result<UserMetadata> {
    UserMetadata::new(given.unwrap_or_default())
        .map_err(|error| S3Error::with_message(S3ErrorCode::MetadataTooLarge, error.to_string()))
}

fn metadata_view(user: UserMetadata) -> Option<Metadata> {
    (!user.is_empty()).then(|| user.into_pairs().collect())
}

fn precondition() -> S3Error {
    S3Error::with_message(S3ErrorCode::PreconditionFailed, "a condition of the request does not hold")
}

fn not_modified(meta: &BlobMeta) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = http::HeaderMap::new();
    if let Ok(tag) = format!("\"{}\"", meta.etag.0).parse() {
        headers.insert(http::header::ETAG, tag);
    }
    error.set_headers(headers);
    error
}

/// The condition of a write.
pub(super) fn condition(if_match: Option<IfMatch>, if_none_match: Option<IfNoneMatch>) -> S3Result<PutCondition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(PutCondition::Always),
        (None, Some(ETagCondition::Any)) => Ok(PutCondition::IfAbsent),
        (Some(ETagCondition::ETag(tag)), None) => Ok(PutCondition::IfMatch(cloud::ETag(tag.into_value()))),
        _ => {
            let message = "a write takes If-None-Match: * or If-Match with an etag";
            Err(S3Error::with_message(S3ErrorCode::NotImplemented, message))
        }
    }
}

/// The length of the content itself; chunk signatures are not counted.
pub(super) fn body_length(given: Option<i64>, headers: &http::HeaderMap) -> S3Result<u64> {
    let decoded = headers.get("x-amz-decoded-content-length").and_then(|value| value.to_str().ok()?.parse().ok());
    let length = decoded.or(given.and_then(|given| u64::try_from(given).ok()));
    let length = length.ok_or_else(|| S3Error::new(S3ErrorCode::MissingContentLength))?;
    if length > BLOB_PUT_MAX {
        return Err(S3Error::new(S3ErrorCode::EntityTooLarge));
    }
    Ok(length)
}

/// `aws-chunked` belongs to the transfer, not to the object.
pub(super) fn stored_encoding(given: Option<String>) -> Option<String> {
    let given = given?;
    let kept: Vec<&str> =
        given.split(',').map(str::trim).filter(|name| !name.eq_ignore_ascii_case("aws-chunked")).collect();
    let kept = kept.join(", ");
    (!kept.is_empty()).then_some(kept)
}

pub(super) fn copy_source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id: None } => Ok((bucket, key)),
        _ => {
            let message = "a copy source is /bucket/key: no versions, access points or outposts here";
            Err(S3Error::with_message(S3ErrorCode::NotImplemented, message))
        }
    }
}

fn byte_range(range: Range) -> ByteRange {
    match range {
        Range::Int { first, last: None } => ByteRange::From(first),
        Range::Int { first, last: Some(last) } => ByteRange::Within { start: first, end: last.saturating_add(1) },
        Range::Suffix { length } => ByteRange::Last(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transfer_encoding_is_not_stored() {
        assert_eq!(stored_encoding(Some("aws-chunked".into())), None);
        assert_eq!(stored_encoding(Some("gzip,aws-chunked".into())).as_deref(), Some("gzip"));
        assert_eq!(stored_encoding(Some("br".into())).as_deref(), Some("br"));
    }
}
