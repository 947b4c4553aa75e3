//! Ports in memory, as simple as the tests of the domain and its doors need them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, ConnectionId, Credentials, DeadLetter,
    DeployStack, ETag, Error, EventSink, FunctionView, Invocation, Invoke, Leased, LogCursor, LogEvent, LogPage,
    LogQuery, LogRecord, LogStream, Logs, Millis, Posted, PresignGet, PresignPart, PresignPut, Presigned, PutCondition,
    PutOptions, Queue, Receipt, Report, Result, Secret, SendMessage, Sha256Digest, Sockets, Stack, StackName,
    StackStatus, StackTarget, Stacks,
};
use cloud::{BusEvent, EventBus, Published, RangeQuery, Record, RecordKey, RecordPage, Records, Version, Write};
use cloud::{UploadId, UploadPart};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::Notify;

/// The parts of an upload by number, with the key that they are for.
type Parts = (String, BTreeMap<u32, Bytes>);

#[derive(Default)]
pub struct MemoryBlobs(Mutex<BTreeMap<String, (Bytes, BlobMeta)>>, Mutex<BTreeMap<String, Parts>>);

impl MemoryBlobs {
    pub fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    /// Uploads in parts that are neither complete nor aborted.
    pub fn uploads(&self) -> usize {
        self.1.lock().unwrap().len()
    }

    /// Sends a part, as a client does by its URL.
    pub fn send_part(&self, key: &str, number: u32, bytes: Bytes) {
        let mut uploads = self.1.lock().unwrap();
        let upload = uploads.values_mut().find(|(of, _)| of == key).expect("an upload to this key");
        upload.1.insert(number, bytes);
    }
}

#[async_trait::async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, key: &BlobKey, body: Bytes, options: PutOptions) -> Result<ETag> {
        let mut stored = self.0.lock().unwrap();
        let lost = Error::ConditionFailed { key: key.to_string(), index: None };
        match (&options.condition, stored.get(key.as_str())) {
            (PutCondition::IfAbsent, Some(_)) | (PutCondition::IfMatch(_), None) => return Err(lost),
            (PutCondition::IfMatch(etag), Some((_, meta))) if meta.etag != *etag => return Err(lost),
            _ => {}
        }
        let etag = ETag(Sha256Digest::of(&body).to_string());
        let meta = BlobMeta {
            key: key.clone(),
            length: body.len() as u64,
            etag: etag.clone(),
            modified: Millis(0),
            content_type: options.content_type,
            content_encoding: options.content_encoding,
            cache_control: options.cache_control,
        };
        stored.insert(key.to_string(), (body, meta));
        Ok(etag)
    }

    async fn put_stream(&self, key: &BlobKey, mut body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        let mut all = Vec::new();
        while let Some(chunk) = body.next().await {
            all.extend_from_slice(&chunk.map_err(|error| Error::other("reading a body", error))?);
        }
        self.put(key, all.into(), options).await?;
        self.head(key).await
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Blob> {
        let (body, meta) = self.0.lock().unwrap().get(key.as_str()).cloned().ok_or(Error::NotFound(key.to_string()))?;
        let range = match range {
            None => 0..meta.length,
            Some(range) => range.resolve(meta.length).ok_or(Error::Invalid("no byte is in the range".into()))?,
        };
        let part = body.slice(range.start as usize..range.end as usize);
        Ok(Blob { meta, range, body: cloud::stream_of(part) })
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        let stored = self.0.lock().unwrap();
        stored.get(key.as_str()).map(|(_, meta)| meta.clone()).ok_or(Error::NotFound(key.to_string()))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<BlobPage> {
        let stored = self.0.lock().unwrap();
        let mut found = stored
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after))
            .map(|(_, (_, meta))| meta.clone());
        let blobs: Vec<BlobMeta> = found.by_ref().take(limit).collect();
        let next = found.next().and_then(|_| blobs.last().map(|blob| blob.key.to_string()));
        Ok(BlobPage { blobs, next })
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        self.0.lock().unwrap().remove(key.as_str());
        Ok(())
    }

    async fn presign_get(&self, key: &BlobKey, what: PresignGet) -> Result<Presigned> {
        let headers = what.disposition.map(|value| ("x-test-disposition".to_owned(), value)).into_iter().collect();
        let url = format!("https://blobs.test/{key}?X-Amz-Signature=canary");
        Ok(Presigned { method: "GET".into(), url, headers, expires: Millis(0) })
    }

    async fn presign_put(&self, key: &BlobKey, what: PresignPut) -> Result<Presigned> {
        let headers = vec![("content-length".to_owned(), what.length.to_string())];
        let url = format!("https://blobs.test/{key}?X-Amz-Signature=canary");
        Ok(Presigned { method: "PUT".into(), url, headers, expires: Millis(0) })
    }

    async fn create_upload(&self, key: &BlobKey, _: PutOptions) -> Result<UploadId> {
        let mut uploads = self.1.lock().unwrap();
        let id = format!("upload-{}", uploads.len());
        uploads.insert(id.clone(), (key.to_string(), BTreeMap::new()));
        Ok(UploadId(id))
    }

    async fn presign_part(&self, key: &BlobKey, upload: &UploadId, part: PresignPart) -> Result<Presigned> {
        let headers = vec![("content-length".to_owned(), part.length.to_string())];
        let url = format!("https://blobs.test/{key}?uploadId={}&partNumber={}", upload.0, part.number);
        Ok(Presigned { method: "PUT".into(), url, headers, expires: Millis(0) })
    }

    async fn upload_parts(&self, _: &BlobKey, upload: &UploadId, after: u32, _: usize) -> Result<Vec<UploadPart>> {
        let uploads = self.1.lock().unwrap();
        let (_, parts) = uploads.get(&upload.0).ok_or(Error::NotFound(upload.0.clone()))?;
        let part = |(number, bytes): (&u32, &Bytes)| UploadPart {
            number: *number,
            length: bytes.len() as u64,
            etag: ETag(Sha256Digest::of(bytes).to_string()),
            sha256: None,
        };
        Ok(parts.range(after + 1..).map(part).collect())
    }

    async fn complete_upload(&self, key: &BlobKey, upload: &UploadId, parts: Vec<UploadPart>) -> Result<ETag> {
        let (_, sent) = self.1.lock().unwrap().remove(&upload.0).ok_or(Error::NotFound(upload.0.clone()))?;
        let whole: Vec<u8> = parts.iter().flat_map(|part| sent[&part.number].to_vec()).collect();
        self.put(key, whole.into(), PutOptions::default()).await
    }

    async fn abort_upload(&self, _: &BlobKey, upload: &UploadId) -> Result<()> {
        self.1.lock().unwrap().remove(&upload.0);
        Ok(())
    }
}

/// A queue that can be told to be away.
#[derive(Default)]
pub struct MemoryQueue {
    waiting: Mutex<VecDeque<String>>,
    pub away: Mutex<bool>,
}

impl MemoryQueue {
    /// Everything that was sent, taken out.
    pub fn drain(&self) -> Vec<Value> {
        self.waiting.lock().unwrap().drain(..).map(|body| serde_json::from_str(&body).unwrap()).collect()
    }
}

#[async_trait::async_trait]
impl Queue for MemoryQueue {
    async fn send(&self, message: SendMessage) -> Result<String> {
        if *self.away.lock().unwrap() {
            return Err(Error::Unavailable("the queue".into()));
        }
        self.waiting.lock().unwrap().push_back(message.body);
        Ok("message".into())
    }

    async fn receive(&self, max: usize, _: Duration, _: Duration) -> Result<Vec<Leased>> {
        let mut waiting = self.waiting.lock().unwrap();
        let count = max.min(waiting.len());
        let lease = |body| Leased {
            id: "message".into(),
            body,
            receipt: Receipt("receipt".into()),
            attempt: 1,
            sent: Millis(0),
        };
        Ok(waiting.drain(..count).map(lease).collect())
    }

    async fn extend(&self, _: &Receipt, _: Duration) -> Result<()> {
        Ok(())
    }

    async fn acknowledge(&self, _: &Receipt) -> Result<()> {
        Ok(())
    }

    async fn dead_letters(&self, _: usize) -> Result<Vec<DeadLetter>> {
        Ok(Vec::new())
    }
}

/// Groups of records; a cursor is a position in its group.
#[derive(Default)]
pub struct MemoryLogs(Mutex<BTreeMap<String, Vec<LogRecord>>>);

#[async_trait::async_trait]
impl Logs for MemoryLogs {
    async fn ensure_group(&self, group: &str, _: Option<u32>) -> Result<()> {
        self.0.lock().unwrap().entry(group.into()).or_default();
        Ok(())
    }

    async fn append(&self, group: &str, stream: &str, events: Vec<LogEvent>) -> Result<()> {
        let mut groups = self.0.lock().unwrap();
        let records = groups.entry(group.into()).or_default();
        for event in events {
            let id = records.len().to_string();
            let LogEvent { at, message } = event;
            records.push(LogRecord { id, stream: stream.into(), at, ingested: at, message });
        }
        Ok(())
    }

    async fn read(&self, query: LogQuery) -> Result<LogPage> {
        let groups = self.0.lock().unwrap();
        let records = groups.get(&query.group).ok_or(Error::NotFound(query.group))?;
        let invalid = |_| Error::Invalid("not a cursor".into());
        let from = query.cursor.map_or(Ok(0), |cursor| cursor.0.parse::<usize>().map_err(invalid))?;
        let mut next = from;
        let mut page = Vec::new();
        for record in records.iter().skip(from) {
            if page.len() == query.limit {
                break;
            }
            next += 1;
            if query.stream.as_ref().is_none_or(|stream| record.stream == *stream) {
                page.push(record.clone());
            }
        }
        Ok(LogPage { records: page, next: LogCursor(next.to_string()) })
    }

    async fn streams(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<LogStream>> {
        Ok(Vec::new())
    }

    async fn groups(&self, prefix: &str, _: Option<&str>, _: usize) -> Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().filter(|group| group.starts_with(prefix)).cloned().collect())
    }

    async fn delete_group(&self, group: &str) -> Result<()> {
        self.0.lock().unwrap().remove(group).map(drop).ok_or(Error::NotFound(group.into()))
    }
}

/// Remembers what was sent to whom.
#[derive(Default)]
pub struct MemorySockets {
    pub sent: Mutex<Vec<(String, Value)>>,
    pub gone: Mutex<BTreeSet<String>>,
    pub slow: Mutex<BTreeSet<String>>,
    /// Posts that the gateway still refuses, for being too many.
    pub throttled: Mutex<BTreeMap<String, u32>>,
}

impl MemorySockets {
    /// What a connection was sent, taken out.
    pub fn take(&self, connection: &ConnectionId) -> Vec<Value> {
        let mut sent = self.sent.lock().unwrap();
        let (own, others) = sent.drain(..).partition(|(to, _)| *to == connection.0);
        *sent = others;
        let own: Vec<(String, Value)> = own;
        own.into_iter().map(|(_, message)| message).collect()
    }
}

#[async_trait::async_trait]
impl Sockets for MemorySockets {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        tokio::task::yield_now().await;
        if self.gone.lock().unwrap().contains(&connection.0) {
            return Ok(Posted::Gone);
        }
        if self.slow.lock().unwrap().contains(&connection.0) {
            return Ok(Posted::Behind);
        }
        if let Some(left) = self.throttled.lock().unwrap().get_mut(&connection.0)
            && *left > 0
        {
            *left -= 1;
            return Err(Error::Unavailable("the gateway".into()));
        }
        let message = serde_json::from_slice(&message).unwrap();
        self.sent.lock().unwrap().push((connection.0.clone(), message));
        Ok(Posted::Sent)
    }

    async fn close(&self, connection: &ConnectionId) -> Result<()> {
        self.gone.lock().unwrap().insert(connection.0.clone());
        Ok(())
    }
}

/// Stacks with one function each, `Hello`, that gives its event back.
#[derive(Default)]
pub struct MemoryStacks(Mutex<BTreeMap<StackName, Stack>>, Mutex<Targets>);

/// The stacks of each target that was asked for, by its name.
type Targets = BTreeMap<String, (StackTarget, Arc<MemoryStacks>)>;

impl MemoryStacks {
    /// As whom a target was last reached, and what is there.
    pub fn target(&self, name: &str) -> (StackTarget, Arc<MemoryStacks>) {
        self.1.lock().unwrap()[name].clone()
    }

    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().map(ToString::to_string).collect()
    }
}

pub fn stack(name: &StackName, release: &str) -> Stack {
    let function = FunctionView {
        logical_id: "Hello".into(),
        name: format!("{name}-Hello"),
        runtime: "python3.11".into(),
        handler: "app.handler".into(),
        memory_mb: 128,
        timeout_s: 3,
        log_group: format!("/aws/lambda/{name}-Hello"),
        note: None,
    };
    Stack {
        name: name.clone(),
        status: StackStatus::Ready,
        release: release.into(),
        url: Some(format!("http://{name}.test/")),
        outputs: BTreeMap::new(),
        functions: vec![function],
        resources: Vec::new(),
        unsupported: Vec::new(),
        updated: Millis(0),
    }
}

#[async_trait::async_trait]
impl Stacks for MemoryStacks {
    async fn deploy(&self, what: DeployStack, _: EventSink) -> Result<Stack> {
        let made = stack(&what.name, &what.release);
        self.0.lock().unwrap().insert(what.name, made.clone());
        Ok(made)
    }

    async fn describe(&self, name: &StackName) -> Result<Option<Stack>> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    async fn invoke(&self, what: Invoke) -> Result<Invocation> {
        let report = Report { request_id: "r-1".into(), duration_ms: 1.5, ..Report::default() };
        Ok(Invocation {
            payload: what.payload,
            function_error: None,
            log_tail: "START\nEND\n".into(),
            report: Some(report),
        })
    }

    async fn delete(&self, name: &StackName) -> Result<()> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }

    fn at(&self, target: &StackTarget) -> Result<Arc<dyn Stacks>> {
        let mut targets = self.1.lock().unwrap();
        let there = targets.get(&target.name).map(|(_, there)| there.clone()).unwrap_or_default();
        targets.insert(target.name.clone(), (target.clone(), there.clone()));
        Ok(there)
    }

    async fn credentials(&self, name: &StackName, ttl: Duration) -> Result<Credentials> {
        Ok(Credentials {
            access_key_id: format!("KEY-{name}"),
            secret_access_key: Secret::new("secret"),
            session_token: None,
            expires: Millis(i64::try_from(ttl.as_millis()).unwrap()),
            region: "us-east-1".into(),
            endpoint: None,
        })
    }
}

/// Holds the first transaction that checks the head of a journal, once it is armed, until it is let go.
#[derive(Default)]
pub struct Gate {
    armed: AtomicBool,
    pub reached: Notify,
    pub resume: Notify,
}

impl Gate {
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

pub struct GatedRecords {
    pub inner: Arc<dyn Records>,
    pub gate: Arc<Gate>,
}

#[async_trait::async_trait]
impl Records for GatedRecords {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.inner.get(key).await
    }

    async fn query(&self, query: RangeQuery) -> Result<RecordPage> {
        self.inner.query(query).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        let checks_head = writes.iter().any(|w| matches!(w, Write::Check { key, .. } if key.sort == "event-head"));
        if checks_head && self.gate.armed.swap(false, Ordering::SeqCst) {
            self.gate.reached.notify_one();
            self.gate.resume.notified().await;
        }
        self.inner.transact(writes).await
    }
}

/// A bus that keeps what it is told.
#[derive(Default)]
pub struct MemoryBus {
    pub taken: Mutex<Vec<BusEvent>>,
    /// Events of these projects are refused.
    pub refused: Mutex<Vec<String>>,
    /// The whole bus does not answer.
    pub away: Mutex<bool>,
}

#[async_trait::async_trait]
impl EventBus for MemoryBus {
    async fn publish(&self, events: &[BusEvent]) -> Result<Vec<Published>> {
        if *self.away.lock().unwrap() {
            return Err(Error::Unavailable("the bus".into()));
        }
        let refused = self.refused.lock().unwrap();
        let outcome = |event: &BusEvent| match refused.iter().any(|project| event.detail["project"] == project.as_str())
        {
            true => Published::Refused("InternalFailure".into()),
            false => {
                self.taken.lock().unwrap().push(event.clone());
                Published::Taken
            }
        };
        Ok(events.iter().map(outcome).collect())
    }
}
