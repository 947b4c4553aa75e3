//! Ports that look at a function's rights before each call, and ports that are made when they are first called.
//!
//! **Invariant**: every method of a port is written out, so that a new one is a decision here too.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::access::{Grants, is_like};
use crate::{
    Access, Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, BusEvent, ByteRange, ConnectionId, Credentials,
    DeadLetter, DeployStack, ETag, Error, EventBus, EventSink, Invocation, Invoke, Leased, LogEvent, LogPage, LogQuery,
    LogStream, LogTail, Logs, Parameter, ParameterName, Parameters, Posted, PresignGet, PresignPart, PresignPut,
    Presigned, Published, PutOptions, Queue, RangeQuery, Receipt, Record, RecordKey, RecordPage, Records, Result,
    Secret, SendMessage, Sockets, Stack, StackName, StackRules, StackTarget, Stacks, UploadId, UploadPart, Version,
    Write,
};

/// Makes a port when it is first called.
pub type MakePort<P> = Box<dyn Fn() -> Arc<P> + Send + Sync>;

/// A port behind a function's rights.
pub(crate) struct Guarded<P: ?Sized> {
    port: OnceLock<Arc<P>>,
    /// `None` where there is no adapter, or it is there already.
    make: Option<MakePort<P>>,
    grants: Grants,
    /// Which of two queues, or of two kinds of logs, this is.
    role: Option<Access>,
}

impl<P: ?Sized> Guarded<P> {
    pub(crate) fn new(port: Arc<P>, grants: Grants) -> Self {
        Self { port: OnceLock::from(port), make: None, grants, role: None }
    }

    fn later(make: Option<MakePort<P>>) -> Self {
        Self { port: OnceLock::new(), make, grants: Grants::ALL, role: None }
    }

    fn port(&self) -> Result<&P> {
        let made = match (self.port.get(), &self.make) {
            (None, Some(make)) => Some(self.port.get_or_init(make)),
            (made, _) => made,
        };
        made.map(Arc::as_ref).ok_or_else(|| Error::Unavailable("a port that this function does not have".into()))
    }

    fn with(&self, access: Access) -> Result<&P> {
        self.grants.require(access)?;
        self.port()
    }

    fn with_role(&self) -> Result<&P> {
        match self.role {
            Some(role) => self.with(role),
            None => self.port(),
        }
    }
}

impl Guarded<dyn Queue> {
    pub(crate) fn queue(port: Arc<dyn Queue>, grants: Grants, send: Access) -> Self {
        Self { role: Some(send), ..Self::new(port, grants) }
    }
}

impl Guarded<dyn Logs> {
    pub(crate) fn logs(port: Arc<dyn Logs>, grants: Grants, read: Access) -> Self {
        Self { role: Some(read), ..Self::new(port, grants) }
    }

    /// Only the platform's own logs are written.
    fn own(&self, access: Access) -> Result<&dyn Logs> {
        if self.role == Some(Access::ReadStackLogs) {
            self.grants.require_any(|_| false, &"writing the logs of users' functions")?;
        }
        self.with(access)
    }
}

impl Guarded<dyn Blobs> {
    fn at(&self, kind: fn(&'static str) -> Access, key: &str) -> Result<&dyn Blobs> {
        let covers = |granted: Access| match pattern(granted) {
            Some(pattern) => granted == kind(pattern) && is_like(key, pattern),
            None => false,
        };
        self.grants.require_any(covers, &format_args!("{} for `{key}`", kind("…")))?;
        self.port()
    }
}

fn pattern(access: Access) -> Option<&'static str> {
    match access {
        Access::ReadBlobs(pattern)
        | Access::WriteBlobs(pattern)
        | Access::UploadBlobs(pattern)
        | Access::DeleteBlobs(pattern)
        | Access::ListBlobs(pattern) => Some(pattern),
        _ => None,
    }
}

#[async_trait]
impl Records for Guarded<dyn Records> {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.with(Access::GetRecords)?.get(key).await
    }

    async fn query(&self, query: RangeQuery) -> Result<RecordPage> {
        self.with(Access::QueryRecords)?.query(query).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        for write in &writes {
            self.grants.require(match write {
                Write::Put { .. } => Access::PutRecords,
                Write::Delete { .. } => Access::DeleteRecords,
                Write::Check { .. } => Access::CheckRecords,
            })?;
        }
        self.port()?.transact(writes).await
    }
}

#[async_trait]
impl Blobs for Guarded<dyn Blobs> {
    async fn put(&self, key: &BlobKey, body: Bytes, options: PutOptions) -> Result<ETag> {
        self.at(Access::WriteBlobs, key.as_str())?.put(key, body, options).await
    }

    async fn put_stream(&self, key: &BlobKey, body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        self.at(Access::WriteBlobs, key.as_str())?.put_stream(key, body, options).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Blob> {
        self.at(Access::ReadBlobs, key.as_str())?.get(key, range).await
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        self.at(Access::ReadBlobs, key.as_str())?.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<BlobPage> {
        self.at(Access::ListBlobs, prefix)?.list(prefix, after, limit).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        self.at(Access::DeleteBlobs, key.as_str())?.delete(key).await
    }

    async fn presign_get(&self, key: &BlobKey, what: PresignGet) -> Result<Presigned> {
        self.at(Access::ReadBlobs, key.as_str())?.presign_get(key, what).await
    }

    async fn presign_put(&self, key: &BlobKey, what: PresignPut) -> Result<Presigned> {
        self.at(Access::WriteBlobs, key.as_str())?.presign_put(key, what).await
    }

    async fn presign_put_any(&self, key: &BlobKey, expires_in: Duration) -> Result<Presigned> {
        self.at(Access::WriteBlobs, key.as_str())?.presign_put_any(key, expires_in).await
    }

    async fn create_upload(&self, key: &BlobKey, options: PutOptions) -> Result<UploadId> {
        self.at(Access::UploadBlobs, key.as_str())?.create_upload(key, options).await
    }

    async fn presign_part(&self, key: &BlobKey, upload: &UploadId, part: PresignPart) -> Result<Presigned> {
        self.at(Access::UploadBlobs, key.as_str())?.presign_part(key, upload, part).await
    }

    async fn upload_parts(
        &self,
        key: &BlobKey,
        upload: &UploadId,
        after: u32,
        limit: usize,
    ) -> Result<Vec<UploadPart>> {
        self.at(Access::UploadBlobs, key.as_str())?.upload_parts(key, upload, after, limit).await
    }

    async fn complete_upload(&self, key: &BlobKey, upload: &UploadId, parts: Vec<UploadPart>) -> Result<ETag> {
        self.at(Access::UploadBlobs, key.as_str())?.complete_upload(key, upload, parts).await
    }

    async fn abort_upload(&self, key: &BlobKey, upload: &UploadId) -> Result<()> {
        self.at(Access::UploadBlobs, key.as_str())?.abort_upload(key, upload).await
    }
}

#[async_trait]
impl Queue for Guarded<dyn Queue> {
    async fn send(&self, message: SendMessage) -> Result<String> {
        self.with_role()?.send(message).await
    }

    /// Queues are read by the event sources: on AWS Lambda's own poller does it.
    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Leased>> {
        self.port()?.receive(max, visibility, wait).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<()> {
        self.port()?.extend(receipt, visibility).await
    }

    async fn acknowledge(&self, receipt: &Receipt) -> Result<()> {
        self.port()?.acknowledge(receipt).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.port()?.dead_letters(limit).await
    }
}

#[async_trait]
impl Sockets for Guarded<dyn Sockets> {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        self.with(Access::PostToSockets)?.post(connection, message).await
    }

    async fn close(&self, connection: &ConnectionId) -> Result<()> {
        self.with(Access::PostToSockets)?.close(connection).await
    }
}

#[async_trait]
impl EventBus for Guarded<dyn EventBus> {
    async fn publish(&self, events: &[BusEvent]) -> Result<Vec<Published>> {
        self.with(Access::PublishEvents)?.publish(events).await
    }
}

#[async_trait]
impl Logs for Guarded<dyn Logs> {
    async fn ensure_group(&self, group: &str, retention_days: Option<u32>) -> Result<()> {
        self.own(Access::WriteLogs)?.ensure_group(group, retention_days).await
    }

    async fn append(&self, group: &str, stream: &str, events: Vec<LogEvent>) -> Result<()> {
        self.own(Access::WriteLogs)?.append(group, stream, events).await
    }

    async fn read(&self, query: LogQuery) -> Result<LogPage> {
        self.with_role()?.read(query).await
    }

    async fn follow(&self, query: LogQuery) -> Result<Option<Box<dyn LogTail>>> {
        let follow = match self.role {
            Some(Access::ReadStackLogs) => Access::FollowStackLogs,
            _ => Access::FollowLogs,
        };
        self.with(follow)?.follow(query).await
    }

    async fn streams(&self, group: &str, after: Option<&str>, limit: usize) -> Result<Vec<LogStream>> {
        self.with(Access::ListLogs)?.streams(group, after, limit).await
    }

    async fn groups(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.with(Access::ListLogs)?.groups(prefix, after, limit).await
    }

    async fn delete_group(&self, group: &str) -> Result<()> {
        self.own(Access::DeleteLogs)?.delete_group(group).await
    }
}

#[async_trait]
impl Parameters for Guarded<dyn Parameters> {
    async fn get(&self, name: &ParameterName) -> Result<Option<Parameter>> {
        self.with(Access::ReadParameters)?.get(name).await
    }

    async fn put(&self, name: &ParameterName, value: Secret, sealed: bool) -> Result<u64> {
        self.with(Access::WriteParameters)?.put(name, value, sealed).await
    }

    async fn delete(&self, name: &ParameterName) -> Result<()> {
        self.with(Access::WriteParameters)?.delete(name).await
    }

    async fn list(&self, prefix: &str, after: Option<&ParameterName>, limit: usize) -> Result<Vec<Parameter>> {
        self.with(Access::ListParameters)?.list(prefix, after, limit).await
    }
}

#[async_trait]
impl Stacks for Guarded<dyn Stacks> {
    async fn deploy(&self, what: DeployStack, events: EventSink) -> Result<Stack> {
        self.with(Access::DeployStacks)?.deploy(what, events).await
    }

    async fn describe(&self, name: &StackName) -> Result<Option<Stack>> {
        self.with(Access::DescribeStacks)?.describe(name).await
    }

    async fn invoke(&self, what: Invoke) -> Result<Invocation> {
        self.with(Access::InvokeStacks)?.invoke(what).await
    }

    async fn delete(&self, name: &StackName) -> Result<()> {
        self.with(Access::DeleteStacks)?.delete(name).await
    }

    async fn credentials(&self, name: &StackName, ttl: Duration) -> Result<Credentials> {
        self.with(Access::StackCredentials)?.credentials(name, ttl).await
    }

    async fn cancel(&self, name: &StackName, token: &str) -> Result<()> {
        self.with(Access::CancelDeploys)?.cancel(name, token).await
    }

    fn at(&self, target: &StackTarget) -> Result<Arc<dyn Stacks>> {
        let there = self.with(Access::ReachTargets)?.at(target)?;
        Ok(Arc::new(Self::new(there, self.grants)))
    }

    fn rules(&self, name: &StackName) -> Option<StackRules> {
        self.port().ok()?.rules(name)
    }

    fn logs(&self) -> Option<Arc<dyn Logs>> {
        let logs = self.port().ok()?.logs()?;
        Some(Arc::new(Guarded::logs(logs, self.grants, Access::ReadStackLogs)))
    }
}

/// How the ports of one cloud are made; a port without a way is not there.
#[derive(Default)]
pub struct PortMakers {
    pub records: Option<MakePort<dyn Records>>,
    pub blobs: Option<MakePort<dyn Blobs>>,
    pub jobs_queue: Option<MakePort<dyn Queue>>,
    pub tail_queue: Option<MakePort<dyn Queue>>,
    pub sockets: Option<MakePort<dyn Sockets>>,
    pub logs: Option<MakePort<dyn Logs>>,
    pub parameters: Option<MakePort<dyn Parameters>>,
    pub stacks: Option<MakePort<dyn Stacks>>,
}

impl crate::Ports {
    /// Ports that are made when they are first called, so that a start pays for nothing that it does not use. A call
    /// of a port that is not there answers [`Error::Unavailable`]. The logs of stacks are beside the platform's own.
    pub fn made_when_called(
        makers: PortMakers,
        clock: Arc<dyn crate::Clock>,
        entropy: Arc<dyn crate::Entropy>,
    ) -> Self {
        let logs: Arc<dyn Logs> = Arc::new(Guarded::later(makers.logs));
        let of_stacks = logs.clone();
        Self {
            records: Arc::new(Guarded::later(makers.records)),
            blobs: Arc::new(Guarded::later(makers.blobs)),
            jobs_queue: Arc::new(Guarded::later(makers.jobs_queue)),
            tail_queue: Arc::new(Guarded::later(makers.tail_queue)),
            sockets: Arc::new(Guarded::later(makers.sockets)),
            logs,
            stack_logs: Arc::new(move |_| of_stacks.clone()),
            parameters: Arc::new(Guarded::later(makers.parameters)),
            stacks: Arc::new(Guarded::later(makers.stacks)),
            bus: None,
            clock,
            entropy,
        }
    }
}
