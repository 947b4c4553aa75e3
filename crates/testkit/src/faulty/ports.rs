//! The ports that keep something, each call through the plan.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, DeadLetter, ETag, Leased, LogEvent, LogPage,
    LogQuery, LogStream, LogTail, Logs, Parameter, ParameterName, Parameters, PresignGet, PresignPart, PresignPut,
    Presigned, PutOptions, Queue, RangeQuery, Receipt, Record, RecordKey, RecordPage, Records, Result, Secret,
    SendMessage, UploadId, UploadPart, Version, Write, stream_of,
};
use futures::StreamExt;

use super::FaultyCloud;

/// `Records` with faults.
#[derive(Clone)]
pub struct FaultyRecords {
    cloud: FaultyCloud,
    inner: Arc<dyn Records>,
}

/// `Blobs` with faults.
#[derive(Clone)]
pub struct FaultyBlobs {
    cloud: FaultyCloud,
    inner: Arc<dyn Blobs>,
}

/// `Queue` with faults.
#[derive(Clone)]
pub struct FaultyQueue {
    cloud: FaultyCloud,
    inner: Arc<dyn Queue>,
}

/// `Logs` with faults.
#[derive(Clone)]
pub struct FaultyLogs {
    cloud: FaultyCloud,
    inner: Arc<dyn Logs>,
}

/// `Parameters` with faults.
#[derive(Clone)]
pub struct FaultyParameters {
    cloud: FaultyCloud,
    inner: Arc<dyn Parameters>,
}

impl FaultyCloud {
    pub fn records(&self, inner: Arc<dyn Records>) -> FaultyRecords {
        FaultyRecords { cloud: self.clone(), inner }
    }

    pub fn blobs(&self, inner: Arc<dyn Blobs>) -> FaultyBlobs {
        FaultyBlobs { cloud: self.clone(), inner }
    }

    pub fn queue(&self, inner: Arc<dyn Queue>) -> FaultyQueue {
        FaultyQueue { cloud: self.clone(), inner }
    }

    pub fn logs(&self, inner: Arc<dyn Logs>) -> FaultyLogs {
        FaultyLogs { cloud: self.clone(), inner }
    }

    pub fn parameters(&self, inner: Arc<dyn Parameters>) -> FaultyParameters {
        FaultyParameters { cloud: self.clone(), inner }
    }
}

#[async_trait::async_trait]
impl Records for FaultyRecords {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.cloud.run("records.get", || self.inner.get(key)).await
    }

    async fn query(&self, query: RangeQuery) -> Result<RecordPage> {
        self.cloud.run("records.query", || self.inner.query(query.clone())).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        self.cloud.run("records.transact", || self.inner.transact(writes.clone())).await
    }
}

#[async_trait::async_trait]
impl Blobs for FaultyBlobs {
    async fn put(&self, key: &BlobKey, body: Bytes, options: PutOptions) -> Result<ETag> {
        self.cloud.run("blobs.put", || self.inner.put(key, body.clone(), options.clone())).await
    }

    /// Holds the body in memory, so that it can be sent twice; a body that breaks off is passed on as it is.
    async fn put_stream(&self, key: &BlobKey, mut body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        let mut chunks: Vec<Bytes> = Vec::new();
        let mut broken = None;
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => chunks.push(chunk),
                Err(error) => {
                    broken = Some(error.to_string());
                    break;
                }
            }
        }
        let whole: Bytes = chunks.concat().into();
        let again = || -> BlobStream {
            match &broken {
                None => stream_of(whole.clone()),
                Some(error) => {
                    let end = futures::stream::iter([Err(std::io::Error::other(error.clone()))]);
                    stream_of(whole.clone()).chain(end).boxed()
                }
            }
        };
        self.cloud.run("blobs.put_stream", || self.inner.put_stream(key, again(), options.clone())).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Blob> {
        self.cloud.run("blobs.get", || self.inner.get(key, range)).await
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        self.cloud.run("blobs.head", || self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<BlobPage> {
        self.cloud.run("blobs.list", || self.inner.list(prefix, after, limit)).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        self.cloud.run("blobs.delete", || self.inner.delete(key)).await
    }

    async fn presign_get(&self, key: &BlobKey, what: PresignGet) -> Result<Presigned> {
        self.cloud.run("blobs.presign_get", || self.inner.presign_get(key, what.clone())).await
    }

    async fn presign_put(&self, key: &BlobKey, what: PresignPut) -> Result<Presigned> {
        self.cloud.run("blobs.presign_put", || self.inner.presign_put(key, what.clone())).await
    }

    async fn presign_put_any(&self, key: &BlobKey, expires_in: Duration) -> Result<Presigned> {
        self.cloud.run("blobs.presign_put_any", || self.inner.presign_put_any(key, expires_in)).await
    }

    async fn create_upload(&self, key: &BlobKey, options: PutOptions) -> Result<UploadId> {
        self.cloud.run("blobs.create_upload", || self.inner.create_upload(key, options.clone())).await
    }

    async fn presign_part(&self, key: &BlobKey, upload: &UploadId, part: PresignPart) -> Result<Presigned> {
        self.cloud.run("blobs.presign_part", || self.inner.presign_part(key, upload, part.clone())).await
    }

    async fn upload_parts(
        &self,
        key: &BlobKey,
        upload: &UploadId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<UploadPart>> {
        self.cloud.run("blobs.upload_parts", || self.inner.upload_parts(key, upload, after, limit)).await
    }

    async fn complete_upload(&self, key: &BlobKey, upload: &UploadId, parts: Vec<UploadPart>) -> Result<ETag> {
        self.cloud.run("blobs.complete_upload", || self.inner.complete_upload(key, upload, parts.clone())).await
    }

    async fn abort_upload(&self, key: &BlobKey, upload: &UploadId) -> Result<()> {
        self.cloud.run("blobs.abort_upload", || self.inner.abort_upload(key, upload)).await
    }
}

#[async_trait::async_trait]
impl Queue for FaultyQueue {
    async fn send(&self, message: SendMessage) -> Result<String> {
        self.cloud.run("queue.send", || self.inner.send(message.clone())).await
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Leased>> {
        self.cloud.run("queue.receive", || self.inner.receive(max, visibility, wait)).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<()> {
        self.cloud.run("queue.extend", || self.inner.extend(receipt, visibility)).await
    }

    async fn acknowledge(&self, receipt: &Receipt) -> Result<()> {
        self.cloud.run("queue.acknowledge", || self.inner.acknowledge(receipt)).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.cloud.run("queue.dead_letters", || self.inner.dead_letters(limit)).await
    }
}

#[async_trait::async_trait]
impl Logs for FaultyLogs {
    async fn ensure_group(&self, group: &str, retention_days: Option<u32>) -> Result<()> {
        self.cloud.run("logs.ensure_group", || self.inner.ensure_group(group, retention_days)).await
    }

    async fn append(&self, group: &str, stream: &str, events: Vec<LogEvent>) -> Result<()> {
        self.cloud.run("logs.append", || self.inner.append(group, stream, events.clone())).await
    }

    async fn read(&self, query: LogQuery) -> Result<LogPage> {
        self.cloud.run("logs.read", || self.inner.read(query.clone())).await
    }

    async fn follow(&self, query: LogQuery) -> Result<Option<Box<dyn LogTail>>> {
        self.cloud.run("logs.follow", || self.inner.follow(query.clone())).await
    }

    async fn streams(&self, group: &str, after: Option<&str>, limit: usize) -> Result<Vec<LogStream>> {
        self.cloud.run("logs.streams", || self.inner.streams(group, after, limit)).await
    }

    async fn groups(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.cloud.run("logs.groups", || self.inner.groups(prefix, after, limit)).await
    }

    async fn delete_group(&self, group: &str) -> Result<()> {
        self.cloud.run("logs.delete_group", || self.inner.delete_group(group)).await
    }
}

#[async_trait::async_trait]
impl Parameters for FaultyParameters {
    async fn get(&self, name: &ParameterName) -> Result<Option<Parameter>> {
        self.cloud.run("parameters.get", || self.inner.get(name)).await
    }

    async fn put(&self, name: &ParameterName, value: Secret, sealed: bool) -> Result<u64> {
        self.cloud.run("parameters.put", || self.inner.put(name, value.clone(), sealed)).await
    }

    async fn delete(&self, name: &ParameterName) -> Result<()> {
        self.cloud.run("parameters.delete", || self.inner.delete(name)).await
    }

    async fn list(&self, prefix: &str, after: Option<&ParameterName>, limit: usize) -> Result<Vec<Parameter>> {
        self.cloud.run("parameters.list", || self.inner.list(prefix, after, limit)).await
    }
}
