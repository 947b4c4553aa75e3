//! Uploads whose parts others send, by presigned URLs.
//!
//! Parts that nobody completes or aborts are removed by the bucket's lifecycle rule.

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Part};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::{BlobKey, ETag, Error, PutOptions, Result, Sha256Digest, UploadId, UploadPart};

use super::{S3Blobs, etag, unsigned};
use crate::read_failure;

/// Parts are numbered from 1 to this (Amazon S3).
const PART_NUMBER_MAX: u32 = 10_000;
/// Parts of one page (ListParts).
const PAGE_MAX: usize = 1000;

pub(super) fn part_number(number: u32) -> Result<i32> {
    match (1..=PART_NUMBER_MAX).contains(&number) {
        true => Ok(i32::try_from(number).unwrap_or(i32::MAX)),
        false => Err(Error::Invalid(format!("a part has a number from 1 to {PART_NUMBER_MAX}"))),
    }
}

impl S3Blobs {
    pub(super) async fn begin_parts(&self, key: &BlobKey, options: &PutOptions) -> Result<UploadId> {
        let answer = self
            .client()
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_content_type(options.content_type.clone())
            .set_content_encoding(options.content_encoding.clone())
            .set_cache_control(options.cache_control.clone())
            .send()
            .await
            // An upload that nobody knows of holds no part.
            .map_err(|error| read_failure(format!("starting the upload of `{key}`"), error))?;
        Ok(UploadId(answer.upload_id().unwrap_or_default().to_owned()))
    }

    pub(super) async fn list_parts_after(
        &self,
        key: &BlobKey,
        upload: &UploadId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<UploadPart>> {
        if limit == 0 || limit > PAGE_MAX {
            return Err(Error::Invalid(format!("a page of parts has 1 to {PAGE_MAX} entries")));
        }
        let request = self.client().list_parts().bucket(&self.bucket).key(key.as_str()).upload_id(&upload.0);
        let answer = request
            .part_number_marker(after.to_string())
            .max_parts(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| {
                gone(&error, key).unwrap_or_else(|| read_failure(format!("listing parts of `{key}`"), error))
            })?;
        Ok(answer.parts().iter().filter_map(listed).collect())
    }

    pub(super) async fn join_parts(&self, key: &BlobKey, upload: &UploadId, parts: Vec<UploadPart>) -> Result<ETag> {
        if parts.is_empty() {
            return Err(Error::Invalid(format!("the upload of `{key}` cannot be completed: it names no part")));
        }
        let mut named = Vec::with_capacity(parts.len());
        for part in parts {
            let sha256 = part.sha256.map(|digest| STANDARD.encode(digest.0));
            let number = part_number(part.number)?;
            named.push(
                CompletedPart::builder().part_number(number).e_tag(part.etag.0).set_checksum_sha256(sha256).build(),
            );
        }
        let request = self.client().complete_multipart_upload().bucket(&self.bucket).key(key.as_str());
        let answer = request
            .upload_id(&upload.0)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(named)).build())
            .send()
            .await
            .map_err(|error| {
                let refused = error.raw_response().is_some_and(|raw| raw.status().as_u16() == 400);
                match gone(&error, key) {
                    Some(gone) => gone,
                    None if refused => Error::Invalid(format!("the upload of `{key}` cannot be completed")),
                    // Sent again it finds no upload, and what is stored says what happened.
                    None => read_failure(format!("completing the upload of `{key}`"), error),
                }
            })?;
        Ok(etag(answer.e_tag()))
    }

    pub(super) async fn abort_parts(&self, key: &BlobKey, upload: &UploadId) -> Result<()> {
        let request = self.client().abort_multipart_upload().bucket(&self.bucket).key(key.as_str());
        match request.upload_id(&upload.0).send().await {
            Ok(_) => Ok(()),
            Err(error) if gone(&error, key).is_some() => Ok(()),
            Err(error) => Err(crate::failure(format!("aborting the upload of `{key}`"), error)),
        }
    }
}

fn listed(part: &Part) -> Option<UploadPart> {
    let digest = part.checksum_sha256().and_then(|raw| STANDARD.decode(raw).ok()?.try_into().ok());
    Some(UploadPart {
        number: u32::try_from(part.part_number()?).ok()?,
        length: unsigned(part.size()),
        etag: etag(part.e_tag()),
        sha256: digest.map(Sha256Digest),
    })
}

/// 404: there is no such upload under way.
fn gone<E>(
    error: &aws_smithy_runtime_api::client::result::SdkError<
        E,
        aws_smithy_runtime_api::client::orchestrator::HttpResponse,
    >,
    key: &BlobKey,
) -> Option<Error> {
    let absent = error.raw_response().is_some_and(|raw| raw.status().as_u16() == 404);
    absent.then(|| Error::NotFound(format!("an upload of `{key}`")))
}
