//! Blobs in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, ETag, Error, Millis, PresignGet, PresignPut,
    Presigned, PutCondition, PutOptions, Result, Sha256Digest,
};
use futures::TryStreamExt;

/// When all of them were stored: long after any clock of the tests, so that none counts as left behind.
const STORED: Millis = Millis(i64::MAX);

#[derive(Default)]
pub struct MemoryBlobs(Mutex<BTreeMap<String, Bytes>>, Mutex<Vec<String>>, Mutex<Option<String>>);

/// The query of a presigned address.
pub const SIGNED: &str = "X-Amz-Expires=3600&X-Amz-Signature=0a1b";

impl MemoryBlobs {
    pub fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    /// Presigned addresses lead to this server from now on.
    pub fn serve_at(&self, url: &str) {
        *self.2.lock().unwrap() = Some(url.into());
    }

    pub fn find(&self, key: &str) -> Option<Bytes> {
        self.0.lock().unwrap().get(key).cloned()
    }

    /// Removes every blob whose key has this in it.
    pub fn lose(&self, part: &str) {
        self.0.lock().unwrap().retain(|key, _| !key.contains(part));
    }

    pub fn bytes(&self, key: &str) -> Bytes {
        self.0.lock().unwrap()[key].clone()
    }

    /// Stores what no record names, long ago.
    pub fn leave_behind(&self, key: &str) {
        self.0.lock().unwrap().insert(key.into(), Bytes::from_static(b"left"));
        self.1.lock().unwrap().push(key.into());
    }

    /// Flips a byte of every blob whose key ends so.
    pub fn damage(&self, ending: &str) {
        for (key, bytes) in self.0.lock().unwrap().iter_mut().filter(|(key, _)| key.ends_with(ending)) {
            let mut copy = bytes.to_vec();
            let at = copy.len() / 2;
            copy[at] ^= 1;
            *bytes = copy.into();
            assert!(!key.is_empty());
        }
    }

    fn meta(key: &BlobKey, bytes: &Bytes) -> BlobMeta {
        BlobMeta {
            key: key.clone(),
            length: bytes.len() as u64,
            etag: ETag(Sha256Digest::of(bytes).to_string()),
            modified: STORED,
            content_type: None,
            content_encoding: None,
            cache_control: None,
        }
    }
}

#[async_trait::async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, key: &BlobKey, body: Bytes, options: PutOptions) -> Result<ETag> {
        let mut all = self.0.lock().unwrap();
        if options.length.is_some_and(|n| n != body.len() as u64)
            || options.sha256.is_some_and(|d| d != Sha256Digest::of(&body))
        {
            return Err(Error::Invalid("the body is not what was announced".into()));
        }
        if options.condition == PutCondition::IfAbsent && all.contains_key(key.as_str()) {
            return Err(Error::ConditionFailed { key: key.to_string(), index: None });
        }
        let etag = Self::meta(key, &body).etag;
        all.insert(key.to_string(), body);
        Ok(etag)
    }

    async fn put_stream(&self, key: &BlobKey, body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        let chunks: Vec<Bytes> = body.try_collect().await.map_err(|e| Error::other("reading", e))?;
        let body = Bytes::from(chunks.concat());
        let meta = Self::meta(key, &body);
        self.put(key, body, options).await.map(|_| meta)
    }

    async fn get(&self, key: &BlobKey, range: Option<ByteRange>) -> Result<Blob> {
        assert!(range.is_none());
        let bytes = self.0.lock().unwrap().get(key.as_str()).cloned();
        let bytes = bytes.ok_or_else(|| Error::NotFound(key.to_string()))?;
        let meta = Self::meta(key, &bytes);
        Ok(Blob { range: 0..meta.length, meta, body: cloud::stream_of(bytes) })
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        Ok(self.get(key, None).await?.meta)
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<BlobPage> {
        let all = self.0.lock().unwrap();
        let found = all.iter().filter(|(key, _)| key.starts_with(prefix) && after.is_none_or(|a| key.as_str() > a));
        let left = self.1.lock().unwrap();
        let meta = |(key, bytes): (&String, &Bytes)| {
            let modified = if left.contains(key) { Millis(0) } else { STORED };
            BlobMeta { modified, ..Self::meta(&BlobKey::parse(key.clone()).unwrap(), bytes) }
        };
        Ok(BlobPage { blobs: found.take(limit).map(meta).collect(), next: None })
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        self.0.lock().unwrap().remove(key.as_str());
        Ok(())
    }

    async fn presign_get(&self, key: &BlobKey, what: PresignGet) -> Result<Presigned> {
        let base = self.2.lock().unwrap().clone().ok_or_else(|| Error::Invalid("not here".into()))?;
        assert!(what.expires_in.as_secs() >= 600, "a clone may take its time");
        let url = format!("{base}/blobs/{key}?{SIGNED}");
        Ok(Presigned { method: "GET".into(), url, headers: Vec::new(), expires: STORED })
    }

    async fn presign_put(&self, _: &BlobKey, _: PresignPut) -> Result<Presigned> {
        Err(Error::Invalid("not here".into()))
    }
}
