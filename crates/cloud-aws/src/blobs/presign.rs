//! Presigned URLs of S3.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::{
    BlobKey, Clock, Error, PresignGet, PresignPart, PresignPut, Presigned, Result, SystemClock, UploadId, limits,
};

use super::parts::part_number;
use super::signed;
use crate::failure;

fn config(expires_in: Duration) -> Result<PresigningConfig> {
    if expires_in < Duration::from_secs(1) || expires_in > limits::PRESIGN_MAX {
        return Err(Error::Invalid("a presigned URL lives from 1 second to 7 days".into()));
    }
    PresigningConfig::expires_in(expires_in).map_err(|error| Error::other("presigning", error))
}

fn checked(value: &str) -> Result<()> {
    match value.chars().any(char::is_control) || value.trim() != value {
        true => Err(Error::Invalid("a header value has no control characters and no space around it".into())),
        false => Ok(()),
    }
}

fn presigned(request: &PresignedRequest, expires_in: Duration) -> Presigned {
    Presigned {
        method: request.method().to_owned(),
        url: request.uri().to_owned(),
        headers: request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        expires: SystemClock.now().plus(expires_in),
    }
}

pub(super) async fn get(client: &Client, bucket: &str, key: &BlobKey, what: PresignGet) -> Result<Presigned> {
    for value in [&what.disposition, &what.content_type].into_iter().flatten() {
        checked(value)?;
    }
    let request = client
        .get_object()
        .bucket(bucket)
        .key(key.as_str())
        .set_response_content_disposition(what.disposition)
        .set_response_content_type(what.content_type)
        .presigned(config(what.expires_in)?)
        .await
        .map_err(|error| failure(format!("presigning `{key}`"), error))?;
    Ok(presigned(&request, what.expires_in))
}

/// Length, type and checksum are signed: S3 stores nothing else under this URL.
pub(super) async fn put(client: &Client, bucket: &str, key: &BlobKey, what: PresignPut) -> Result<Presigned> {
    checked(&what.content_type)?;
    let request = client
        .put_object()
        .bucket(bucket)
        .key(key.as_str())
        .content_length(signed(what.length))
        .content_type(what.content_type)
        .checksum_sha256(STANDARD.encode(what.sha256.0))
        .presigned(config(what.expires_in)?)
        .await
        .map_err(|error| failure(format!("presigning `{key}`"), error))?;
    Ok(presigned(&request, what.expires_in))
}

/// The key alone is signed.
pub(super) async fn put_any(client: &Client, bucket: &str, key: &BlobKey, expires_in: Duration) -> Result<Presigned> {
    let request = client
        .put_object()
        .bucket(bucket)
        .key(key.as_str())
        .presigned(config(expires_in)?)
        .await
        .map_err(|error| failure(format!("presigning `{key}`"), error))?;
    Ok(presigned(&request, expires_in))
}

/// Number, length and checksum are signed: S3 stores nothing else under this URL.
pub(super) async fn part(
    client: &Client,
    bucket: &str,
    key: &BlobKey,
    upload: &UploadId,
    what: PresignPart,
) -> Result<Presigned> {
    let request = client
        .upload_part()
        .bucket(bucket)
        .key(key.as_str())
        .upload_id(&upload.0)
        .part_number(part_number(what.number)?)
        .content_length(signed(what.length))
        .checksum_sha256(STANDARD.encode(what.sha256.0))
        .presigned(config(what.expires_in)?)
        .await
        .map_err(|error| failure(format!("presigning a part of `{key}`"), error))?;
    Ok(presigned(&request, what.expires_in))
}
