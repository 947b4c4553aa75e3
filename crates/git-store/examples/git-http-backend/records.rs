//! The record and the packs of one repository, made of what git finds in its folder, and written back to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, ETag, Error, Expect, Millis, PresignGet,
    PresignPut, Presigned, PutOptions, RangeQuery, Record, RecordKey, RecordPage, Records, Result, Sha256Digest,
    Version, Write,
};
use futures::TryStreamExt;
use git_store::http::Service;
use serde_json::{Map, Value, json};

use crate::folder::Folder;

pub struct FolderStore {
    folder: Folder,
    service: Service,
    packs: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Bytes>,
    /// The pack of all that was there at the start.
    stored: Option<Value>,
    is_read: bool,
}

fn other(text: &str) -> Error {
    Error::Invalid(text.into())
}

impl FolderStore {
    pub fn new(folder: Folder, service: Service, packs: PathBuf) -> Self {
        std::fs::create_dir_all(&packs).expect("a temporary folder");
        Self { folder, service, packs, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the folder's objects, once.
    fn stored(&self) -> Option<Value> {
        let mut state = self.state();
        if !state.is_read {
            state.is_read = true;
            if let Some(base) = self.folder.pack(&self.packs.join("pack")) {
                let pack = Bytes::from(std::fs::read(base.with_extension("pack")).expect("git wrote it"));
                let index = Bytes::from(std::fs::read(base.with_extension("idx")).expect("git wrote it"));
                let id = Sha256Digest::of(&pack);
                // The fan-out's last word is the number of objects.
                let objects = u32::from_be_bytes(index[1028..1032].try_into().expect("four bytes"));
                state.stored = Some(json!({
                    "id": id, "upload": "folder", "index": Sha256Digest::of(&index), "objects": objects,
                    "bytes": pack.len(), "index_bytes": index.len(),
                }));
                state.blobs.insert(format!("git/repository/packs/{id}-folder.pack"), pack);
                state.blobs.insert(format!("git/repository/packs/{id}-folder.idx"), index);
            }
        }
        state.stored.clone()
    }

    fn refs(&self) -> BTreeMap<String, Value> {
        let refs = self.folder.refs(self.service).into_iter();
        let value = |oid, peeled: Option<String>| match peeled {
            Some(peeled) => json!({"oid": oid, "peeled": peeled}),
            None => json!({"oid": oid}),
        };
        refs.map(|(name, oid, peeled)| (name, value(oid, peeled))).collect()
    }

    /// The contents of a record's value, which may be a blob of their own.
    fn contents(&self, value: &Value) -> Option<Value> {
        if let Some(inline) = value["contents"].get("inline") {
            return Some(inline.clone());
        }
        let key = value["contents"]["blob"]["key"].as_str()?;
        serde_json::from_slice(self.state().blobs.get(key)?).ok()
    }

    /// Writes new packs, then moves refs; `None` when they are not where they were.
    fn apply(&self, value: &Value) -> Option<()> {
        let contents = self.contents(value)?;
        for pack in contents["packs"].as_array()? {
            let (id, upload) = (pack["id"].as_str()?, pack["upload"].as_str()?);
            if upload != "folder" {
                let state = self.state();
                let blob = |extension: &str| {
                    state.blobs.get(&format!("git/repository/packs/{id}-{upload}.{extension}")).cloned()
                };
                self.folder.take(&blob("pack")?, &blob("idx")?).ok()?;
            }
        }
        let text = |value: Option<&Value>| value.and_then(|value| Some(value["oid"].as_str()?.to_owned()));
        let (before, after) = (self.refs(), contents["refs"].as_object()?.clone());
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        let moves = names.map(|name| (name.clone(), text(after.get(name)), text(before.get(name))));
        let moves: Vec<_> = moves.filter(|(_, new, old)| new != old).collect();
        (moves.is_empty() || self.folder.update(&moves)).then_some(())
    }
}

#[async_trait::async_trait]
impl Records for FolderStore {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let refs: Map<String, Value> = self.refs().into_iter().collect();
        let packs: Vec<Value> = self.stored().into_iter().collect();
        let version = Version(Sha256Digest::of(Value::Object(refs.clone()).to_string().as_bytes()).to_string());
        let value = json!({
            "version": 1, "generation": 0, "epoch": 0, "head": self.folder.head(), "pushes": [],
            "contents": {"inline": {"refs": refs, "packs": packs}},
        });
        Ok(Some(Record { key: key.clone(), value, version, expires: None }))
    }

    async fn query(&self, _: RangeQuery) -> Result<RecordPage> {
        Ok(RecordPage { records: Vec::new(), next: None })
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        let [Write::Put { key, value, expect, .. }] = writes.as_slice() else { return Err(other("one record alone")) };
        let lost = || Error::ConditionFailed { key: key.to_string(), index: Some(0) };
        let now = Records::get(self, key).await?.ok_or_else(lost)?.version;
        if *expect != Expect::At(now.clone()) {
            return Err(lost());
        }
        self.apply(value).ok_or_else(lost)?;
        Ok(vec![Some(now)])
    }
}

#[async_trait::async_trait]
impl Blobs for FolderStore {
    async fn put(&self, key: &BlobKey, body: Bytes, _: PutOptions) -> Result<ETag> {
        let etag = ETag(Sha256Digest::of(&body).to_string());
        self.state().blobs.insert(key.to_string(), body);
        Ok(etag)
    }

    async fn put_stream(&self, key: &BlobKey, body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        let chunks: Vec<Bytes> = body.try_collect().await.map_err(|error| Error::other("reading", error))?;
        self.put(key, chunks.concat().into(), options).await?;
        self.head(key).await
    }

    async fn get(&self, key: &BlobKey, _: Option<ByteRange>) -> Result<Blob> {
        let bytes = self.state().blobs.get(key.as_str()).cloned().ok_or_else(|| Error::NotFound(key.to_string()))?;
        Ok(Blob { meta: self.head(key).await?, range: 0..bytes.len() as u64, body: cloud::stream_of(bytes) })
    }

    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        let bytes = self.state().blobs.get(key.as_str()).cloned().ok_or_else(|| Error::NotFound(key.to_string()))?;
        Ok(BlobMeta {
            key: key.clone(),
            length: bytes.len() as u64,
            etag: ETag(Sha256Digest::of(&bytes).to_string()),
            modified: Millis(0),
            content_type: None,
            content_encoding: None,
            cache_control: None,
        })
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<BlobPage> {
        Ok(BlobPage { blobs: Vec::new(), next: None })
    }

    async fn delete(&self, _: &BlobKey) -> Result<()> {
        Ok(())
    }

    async fn presign_get(&self, _: &BlobKey, _: PresignGet) -> Result<Presigned> {
        Err(other("not here"))
    }

    async fn presign_put(&self, _: &BlobKey, _: PresignPut) -> Result<Presigned> {
        Err(other("not here"))
    }
}
