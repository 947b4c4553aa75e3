//! Buckets and the keys in them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use super::{ScopedS3, etag, port, size, timestamp};
use crate::DelimitedPage;
use crate::access_keys::Scope;

const KEYS_MAX: i32 = 1000;
/// What stays as it is in a listing with `encoding-type=url`.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

impl ScopedS3 {
    pub(super) async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<ListBucketsOutput> {
        let prefix = self.scope.bucket("");
        let stored = self.store.buckets(&prefix).await.map_err(port)?;
        let own = stored.iter().filter_map(|bucket| Some((bucket.name.strip_prefix(&prefix)?, bucket.created)));
        let buckets = own.filter(|(name, _)| !name.contains('/')).map(|(name, created)| Bucket {
            name: Some(name.to_owned()),
            creation_date: Some(timestamp(created)),
            ..Bucket::default()
        });
        Ok(ListBucketsOutput { buckets: Some(buckets.collect()), ..ListBucketsOutput::default() })
    }

    pub(super) async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<CreateBucketOutput> {
        let name = request.input.bucket;
        let stored = self.scope.bucket(&name);
        if self.store.bucket_exists(&stored).await.map_err(port)? {
            return Err(S3Error::new(S3ErrorCode::BucketAlreadyOwnedByYou));
        }
        self.store.ensure_bucket(&stored).await.map_err(port)?;
        Ok(CreateBucketOutput { location: Some(format!("/{name}")) })
    }

    pub(super) async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<HeadBucketOutput> {
        self.bucket(&request.input.bucket).await?;
        Ok(HeadBucketOutput::default())
    }

    pub(super) async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<DeleteBucketOutput> {
        if self.scope == Scope::Platform {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "the platform keeps its buckets"));
        }
        let name = self.bucket(&request.input.bucket).await?.bucket().to_owned();
        self.store.delete_bucket(&name).await.map_err(|error| match error {
            cloud::Error::ConditionFailed { .. } => S3Error::new(S3ErrorCode::BucketNotEmpty),
            other => port(other),
        })?;
        Ok(DeleteBucketOutput::default())
    }

    pub(super) async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<GetBucketLocationOutput> {
        self.bucket(&request.input.bucket).await?;
        let region = request.region.map(|region| BucketLocationConstraint::from(region.as_str().to_owned()));
        Ok(GetBucketLocationOutput { location_constraint: region })
    }

    pub(super) async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<ListObjectsV2Output> {
        let input = request.input;
        let max = max_keys(input.max_keys)?;
        let after = match &input.continuation_token {
            Some(token) => Some(read_token(token)?),
            None => input.start_after.clone(),
        };
        let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
        let page = self.page(&input.bucket, prefix, delimiter, after.as_deref(), max).await?;
        let text = Text::new(input.encoding_type.as_ref());
        let (contents, common_prefixes) = text.entries(&page);
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(text.of(prefix.unwrap_or_default())),
            max_keys: Some(max),
            key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            delimiter: delimiter.map(|delimiter| text.of(delimiter)),
            encoding_type: input.encoding_type.clone(),
            start_after: input.start_after.as_deref().map(|after| text.of(after)),
            ..ListObjectsV2Output::default()
        })
    }

    pub(super) async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<ListObjectsOutput> {
        let input = request.input;
        let max = max_keys(input.max_keys)?;
        let (prefix, delimiter) = (input.prefix.as_deref(), input.delimiter.as_deref());
        let page = self.page(&input.bucket, prefix, delimiter, input.marker.as_deref(), max).await?;
        let text = Text::new(input.encoding_type.as_ref());
        let (contents, common_prefixes) = text.entries(&page);
        Ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(text.of(prefix.unwrap_or_default())),
            marker: Some(text.of(input.marker.as_deref().unwrap_or_default())),
            max_keys: Some(max),
            is_truncated: Some(page.next.is_some()),
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            delimiter: delimiter.map(|delimiter| text.of(delimiter)),
            next_marker: page.next.map(|next| text.of(&next)),
            encoding_type: input.encoding_type.clone(),
            ..ListObjectsOutput::default()
        })
    }

    async fn page(
        &self,
        bucket: &str,
        prefix: Option<&str>,
        delimiter: Option<&str>,
        after: Option<&str>,
        max: i32,
    ) -> S3Result<DelimitedPage> {
        let blobs = self.bucket(bucket).await?;
        let (prefix, limit) = (prefix.unwrap_or_default(), usize::try_from(max).unwrap_or(0));
        if limit == 0 {
            return Ok(DelimitedPage::default());
        }
        match delimiter.filter(|delimiter| !delimiter.is_empty()) {
            Some(delimiter) => blobs.list_delimited(prefix, delimiter, after, limit).await.map_err(port),
            None => {
                let page = cloud::Blobs::list(&blobs, prefix, after, limit).await.map_err(port)?;
                Ok(DelimitedPage { blobs: page.blobs, prefixes: Vec::new(), next: page.next })
            }
        }
    }
}

fn max_keys(given: Option<i32>) -> S3Result<i32> {
    match given.unwrap_or(KEYS_MAX) {
        negative if negative < 0 => Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "max-keys is negative")),
        given => Ok(given.min(KEYS_MAX)),
    }
}

fn read_token(token: &str) -> S3Result<String> {
    let read = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    read.ok_or_else(|| S3Error::with_message(S3ErrorCode::InvalidArgument, "the continuation token is not valid"))
}

/// Keys as the listing writes them: some characters cannot stand in XML, so clients ask for them encoded.
struct Text {
    encoded: bool,
}

impl Text {
    fn new(encoding: Option<&EncodingType>) -> Self {
        Self { encoded: encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL) }
    }

    fn of(&self, text: &str) -> String {
        if self.encoded { utf8_percent_encode(text, URL).to_string() } else { text.to_owned() }
    }

    fn entries(&self, page: &DelimitedPage) -> (Vec<Object>, Vec<CommonPrefix>) {
        let objects = page.blobs.iter().map(|meta| Object {
            key: Some(self.of(meta.key.as_str())),
            size: Some(size(meta.length)),
            e_tag: Some(etag(&meta.etag)),
            last_modified: Some(timestamp(meta.modified)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Object::default()
        });
        let prefixes = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.of(prefix)) });
        (objects.collect(), prefixes.collect())
    }
}
