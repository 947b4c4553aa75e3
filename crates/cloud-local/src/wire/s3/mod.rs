//! Amazon S3: the protocol is `s3s`'s, the objects are the store's.

mod buckets;
mod checksum;
mod drained;
mod multipart;
mod objects;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use cloud::limits::PRESIGN_MAX;
use cloud::{BlobKey, ETag, Error, Millis};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, S3ConfigProvider, StaticConfigProvider};
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::reply::Failure;
use super::sigv4::{Claimed, Refused};
use crate::access_keys::{AccessKeys, Scope};
use crate::{LocalBlobs, Store};

/// An XML body (bytes): the parts of an upload, the keys to delete.
const XML_MAX: usize = 4 * 1024 * 1024;

/// What stands before every S3 call.
pub(super) struct Front {
    config: Arc<dyn S3ConfigProvider>,
}

impl Front {
    pub fn new() -> Self {
        let mut config = S3Config::default();
        config.xml_max_body_size = XML_MAX;
        Self { config: Arc::new(StaticConfigProvider::new(Arc::new(config))) }
    }

    pub async fn answer(
        &self,
        store: &Store,
        keys: &AccessKeys,
        claimed: Claimed,
        parts: Parts,
        body: Incoming,
    ) -> Response<Body> {
        let body = drained::Drained::new(body);
        let mut response = match self.admit(store, keys, &claimed, &parts) {
            Ok(service) => {
                let request = Request::from_parts(parts, Body::http_body(body.clone()));
                // What `s3s` would log of a request names its signature; the calls themselves log as elsewhere.
                service.call(request).with_subscriber(Dispatch::none()).await.unwrap_or_else(|error| {
                    let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                    tracing::error!(error = &*error, "an S3 call failed");
                    Failure::new("InternalError", "the call failed on this machine; its log says why")
                        .with_status(StatusCode::INTERNAL_SERVER_ERROR)
                        .xml(false)
                })
            }
            Err(failure) => failure.xml(false),
        };
        if response.status().is_client_error() {
            body.drain().await;
        }
        guard(&mut response);
        response
    }

    /// A service for one call, which knows the caller's scope and no other.
    fn admit(
        &self,
        store: &Store,
        keys: &AccessKeys,
        claimed: &Claimed,
        parts: &Parts,
    ) -> Result<s3s::service::S3Service, Failure> {
        if parts.headers.contains_key(header::TRANSFER_ENCODING) && parts.headers.contains_key(header::CONTENT_LENGTH) {
            return Err(Failure::new("InvalidRequest", "a body is either chunked or has a length"));
        }
        claimed.covers(&parts.headers).map_err(refusal)?;
        if claimed.presigned {
            check_expiry(parts)?;
        }
        let key = claimed.key(keys).map_err(refusal)?;
        let access = SimpleAuth::from_single(key.access_key_id.as_str(), key.secret_access_key.expose());
        let log = tracing::dispatcher::get_default(Dispatch::clone);
        let mut service = S3ServiceBuilder::new(ScopedS3 { store: store.clone(), scope: key.scope, log });
        service.set_auth(access);
        service.set_config(self.config.clone());
        Ok(service.build())
    }
}

/// A presigned URL lives 1 second to 7 days.
fn check_expiry(parts: &Parts) -> Result<(), Failure> {
    let query = parts.uri.query().unwrap_or_default();
    let mut given = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "X-Amz-Expires");
    let seconds = given.next().and_then(|(_, value)| value.parse::<u64>().ok());
    if seconds.is_some_and(|seconds| (1..=PRESIGN_MAX.as_secs()).contains(&seconds)) && given.next().is_none() {
        return Ok(());
    }
    let message = "X-Amz-Expires is 1 to 604800 seconds";
    Err(Failure::new("AuthorizationQueryParametersError", message))
}

/// What users store is never taken for a page of this origin.
fn guard(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// The refusal as S3 names it.
pub(super) fn refusal(refused: Refused) -> Failure {
    let (code, status) = match refused {
        Refused::Missing | Refused::Unsigned(_) => ("AccessDenied", StatusCode::FORBIDDEN),
        Refused::Malformed(_) => ("AuthorizationHeaderMalformed", StatusCode::BAD_REQUEST),
        Refused::Skewed => ("RequestTimeTooSkewed", StatusCode::FORBIDDEN),
        Refused::Mismatch => ("SignatureDoesNotMatch", StatusCode::FORBIDDEN),
        Refused::UnknownKey => ("InvalidAccessKeyId", StatusCode::FORBIDDEN),
        Refused::ExpiredKey => ("ExpiredToken", StatusCode::BAD_REQUEST),
    };
    Failure::new(code, refused.to_string()).with_status(status)
}

/// The buckets of one scope.
struct ScopedS3 {
    store: Store,
    scope: Scope,
    log: Dispatch,
}

impl ScopedS3 {
    /// The bucket, which must exist. The platform's own come into being with their first object.
    async fn bucket(&self, name: &str) -> S3Result<LocalBlobs> {
        let stored = self.scope.bucket(name);
        if self.scope != Scope::Platform && !self.store.bucket_exists(&stored).await.map_err(port)? {
            return Err(S3Error::with_message(S3ErrorCode::NoSuchBucket, "the specified bucket does not exist"));
        }
        Ok(self.store.blobs(&stored))
    }
}

fn blob_key(raw: &str) -> S3Result<BlobKey> {
    BlobKey::parse(raw).map_err(|error| S3Error::with_message(S3ErrorCode::InvalidArgument, error.to_string()))
}

/// A port's error as S3 tells it.
fn port(error: Error) -> S3Error {
    let code = match &error {
        Error::NotFound(_) => S3ErrorCode::NoSuchKey,
        Error::ConditionFailed { .. } => S3ErrorCode::PreconditionFailed,
        Error::Invalid(_) => S3ErrorCode::InvalidArgument,
        Error::TooLarge { .. } => S3ErrorCode::EntityTooLarge,
        Error::Unavailable(_) => S3ErrorCode::ServiceUnavailable,
        Error::Stale(_) | Error::Corrupt(_) | Error::Unclear(_) | Error::Other { .. } => {
            tracing::error!(error = &error as &dyn std::error::Error, "an S3 call failed");
            let message = "the call failed on this machine; its log says why";
            return S3Error::with_message(S3ErrorCode::InternalError, message);
        }
    };
    S3Error::with_message(code, error.to_string())
}

fn timestamp(at: Millis) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0)))
}

fn etag(etag: &ETag) -> s3s::dto::ETag {
    s3s::dto::ETag::Strong(etag.0.clone())
}

fn size(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// One entry of the trait `S3`: the operation, its input, its output and the method that does it.
macro_rules! operations {
    ($($name:ident($input:ty) -> $output:ty;)*) => {
        #[async_trait::async_trait]
        impl S3 for ScopedS3 {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.$name(request).with_subscriber(self.log.clone()).await.map(S3Response::new)
            })*
        }
    };
}

operations! {
    list_buckets(ListBucketsInput) -> ListBucketsOutput;
    create_bucket(CreateBucketInput) -> CreateBucketOutput;
    head_bucket(HeadBucketInput) -> HeadBucketOutput;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    list_objects(ListObjectsInput) -> ListObjectsOutput;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    put_object(PutObjectInput) -> PutObjectOutput;
    get_object(GetObjectInput) -> GetObjectOutput;
    head_object(HeadObjectInput) -> HeadObjectOutput;
    copy_object(CopyObjectInput) -> CopyObjectOutput;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    upload_part(UploadPartInput) -> UploadPartOutput;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    list_parts(ListPartsInput) -> ListPartsOutput;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
}
