//! Writes that carry a condition: at most `ATTEMPTS_MAX` attempts, each told apart from another's write by an id.
//!
//! A conditional write whose answer is lost has happened; sent again it loses against itself. So the SDK may not
//! repeat it, each write carries an id as metadata, and what is stored decides.

use aws_config::retry::RetryConfig;
use aws_sdk_s3::config::Config;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloud::{
    BlobKey, Clock, ETag, Entropy, Error, PutCondition, PutOptions, Result, Sha256Digest, SystemClock, SystemEntropy,
};

use super::{S3Blobs, etag, signed};
use crate::attempts::{Attempts, Verdict, verdict};
use crate::failure;

/// The metadata that names a write (`x-amz-meta-workroom-write`).
pub(super) const WRITE_ID: &str = "workroom-write";

pub(super) fn check(key: &BlobKey, length: u64, digest: Sha256Digest, options: &PutOptions) -> Result<()> {
    if let Some(announced) = options.length.filter(|announced| *announced != length) {
        return Err(Error::Invalid(format!("the body of `{key}` has {length} bytes, {announced} were announced")));
    }
    if options.sha256.is_some_and(|announced| announced != digest) {
        return Err(Error::Invalid(format!("the body of `{key}` does not have the digest announced")));
    }
    Ok(())
}

/// The values of `If-None-Match` and `If-Match`.
pub(super) fn condition(condition: &PutCondition) -> (Option<String>, Option<String>) {
    match condition {
        PutCondition::Always => (None, None),
        PutCondition::IfAbsent => (Some("*".into()), None),
        PutCondition::IfMatch(etag) => (None, Some(format!("\"{}\"", etag.0))),
    }
}

pub(super) fn new_id() -> String {
    let entropy: &dyn Entropy = &SystemEntropy;
    entropy.ulid(SystemClock.now()).to_string()
}

/// The SDK sends the call once.
pub(super) fn once() -> aws_sdk_s3::config::Builder {
    Config::builder().retry_config(RetryConfig::disabled())
}

/// A write that several attempts may have made.
pub(super) struct Write<'a> {
    pub key: &'a BlobKey,
    pub id: &'a str,
    pub condition: &'a PutCondition,
    /// 409 says to send the same again (PutObject), or to begin anew (CompleteMultipartUpload).
    pub repeats_conflicts: bool,
}

impl S3Blobs {
    /// A body in memory, as one PUT. The digest makes S3 check what arrives.
    pub(super) async fn put_whole(
        &self,
        key: &BlobKey,
        body: Bytes,
        digest: Sha256Digest,
        options: &PutOptions,
    ) -> Result<ETag> {
        let (if_none_match, if_match) = condition(&options.condition);
        let request = |body: Bytes| {
            let length = signed(body.len() as u64);
            self.client()
                .put_object()
                .bucket(&self.bucket)
                .key(key.as_str())
                .content_length(length)
                .body(ByteStream::from(body))
                .checksum_sha256(STANDARD.encode(digest.0))
                .set_content_type(options.content_type.clone())
                .set_content_encoding(options.content_encoding.clone())
                .set_cache_control(options.cache_control.clone())
                .set_if_none_match(if_none_match.clone())
                .set_if_match(if_match.clone())
        };
        if options.condition == PutCondition::Always {
            let answer = request(body).send().await;
            let answer = answer.map_err(|error| failure(format!("writing `{key}`"), error))?;
            return Ok(etag(answer.e_tag()));
        }
        let id = new_id();
        let write = Write { key, id: &id, condition: &options.condition, repeats_conflicts: true };
        self.settle(&write, || async {
            let request = request(body.clone()).metadata(WRITE_ID, &id);
            let answer = request.customize().config_override(once()).send().await?;
            Ok(etag(answer.e_tag()))
        })
        .await
    }

    /// Makes attempts until the write is known to have happened or not.
    pub(super) async fn settle<E, F>(&self, write: &Write<'_>, send: impl Fn() -> F) -> Result<ETag>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        F: Future<Output = Result<ETag, SdkError<E, HttpResponse>>>,
    {
        let what = || format!("writing `{}`", write.key);
        let (mut attempts, mut unclear) = (Attempts::default(), false);
        loop {
            let error = match send().await {
                Ok(etag) => return Ok(etag),
                Err(error) => error,
            };
            match verdict(&error) {
                Verdict::Refused(409) if write.repeats_conflicts => {}
                Verdict::Refused(409) => return Err(Error::Unavailable(what())),
                Verdict::Refused(412 | 404) if unclear => return self.look(write).await,
                Verdict::Refused(412) => return Err(lost(write)),
                // If-Match of a blob that is gone.
                Verdict::Refused(404)
                    if matches!(write.condition, PutCondition::IfMatch(_)) && !names_the_bucket(&error) =>
                {
                    return Err(lost(write));
                }
                Verdict::Refused(_) => return Err(failure(what(), error)),
                Verdict::Busy => {}
                Verdict::Unclear => unclear = true,
            }
            if !attempts.again().await {
                return if unclear { self.look(write).await } else { Err(Error::Unavailable(what())) };
            }
        }
    }

    /// Reads who wrote what is stored. Another's id proves nothing about ours, which may have been there before.
    async fn look(&self, write: &Write<'_>) -> Result<ETag> {
        let head = self.client().head_object().bucket(&self.bucket).key(write.key.as_str()).send().await;
        match head {
            Ok(found) if found.metadata().and_then(|all| all.get(WRITE_ID)).is_some_and(|id| id == write.id) => {
                Ok(etag(found.e_tag()))
            }
            _ => Err(Error::Unclear(format!("writing `{}`", write.key))),
        }
    }
}

fn lost(write: &Write<'_>) -> Error {
    Error::ConditionFailed { key: write.key.to_string(), index: None }
}

fn names_the_bucket<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NoSuchBucket")
}
