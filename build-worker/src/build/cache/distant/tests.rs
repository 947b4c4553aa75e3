use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Mutex;

use cloud::{Blob, BlobMeta, BlobPage, BlobStream, ByteRange, ETag, Millis, PresignGet, PresignPut, Presigned};

use super::super::{Entry, Key, Owner};
use super::*;

/// Blobs in memory, each a millisecond younger than the one before.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<String, (Bytes, i64)>>);

impl Kept {
    fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    fn meta(key: &str, content: &Bytes, modified: i64) -> BlobMeta {
        BlobMeta {
            key: BlobKey::parse(key).unwrap(),
            length: content.len() as u64,
            etag: ETag("-".into()),
            modified: Millis(modified),
            content_type: None,
            content_encoding: None,
            cache_control: None,
        }
    }
}

#[async_trait::async_trait]
impl Blobs for Kept {
    async fn put(&self, key: &BlobKey, body: Bytes, _: PutOptions) -> cloud::Result<ETag> {
        let mut kept = self.0.lock().unwrap();
        let next = kept.values().map(|(_, at)| at + 1).max().unwrap_or(0);
        kept.insert(key.to_string(), (body, next));
        Ok(ETag("-".into()))
    }
    async fn put_stream(&self, key: &BlobKey, mut body: BlobStream, o: PutOptions) -> cloud::Result<BlobMeta> {
        let mut all = Vec::new();
        while let Some(part) = body.next().await {
            all.extend_from_slice(&part.unwrap());
        }
        assert_eq!(o.length, Some(all.len() as u64), "the length is told before the body");
        self.put(key, all.into(), o).await?;
        self.head(key).await
    }
    async fn get(&self, key: &BlobKey, _: Option<ByteRange>) -> cloud::Result<Blob> {
        let meta = self.head(key).await?;
        let content = self.0.lock().unwrap()[key.as_str()].0.clone();
        // In parts, so that the digest is split over two of them.
        let parts: Vec<_> = content.chunks(7).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        Ok(Blob { range: 0..meta.length, meta, body: futures::stream::iter(parts).boxed() })
    }
    async fn head(&self, key: &BlobKey) -> cloud::Result<BlobMeta> {
        let kept = self.0.lock().unwrap();
        let (content, at) = kept.get(key.as_str()).ok_or_else(|| cloud::Error::NotFound(key.to_string()))?;
        Ok(Self::meta(key.as_str(), content, *at))
    }
    async fn list(&self, prefix: &str, _: Option<&str>, limit: usize) -> cloud::Result<BlobPage> {
        let kept = self.0.lock().unwrap();
        let found = kept.iter().filter(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(BlobPage { blobs: found.map(|(key, (content, at))| Self::meta(key, content, *at)).collect(), next: None })
    }
    async fn delete(&self, key: &BlobKey) -> cloud::Result<()> {
        self.0.lock().unwrap().remove(key.as_str());
        Ok(())
    }
    async fn presign_get(&self, _: &BlobKey, _: PresignGet) -> cloud::Result<Presigned> {
        Err(cloud::Error::Unavailable("presigning".into()))
    }
    async fn presign_put(&self, _: &BlobKey, _: PresignPut) -> cloud::Result<Presigned> {
        Err(cloud::Error::Unavailable("presigning".into()))
    }
}

struct Bench {
    kept: Arc<Kept>,
    blobs: Arc<dyn Blobs>,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let kept = Arc::new(Kept::default());
        let bench = Self { blobs: kept.clone(), kept, folder: tempfile::tempdir().unwrap() };
        let made = bench.folder.path().join("made");
        fs::create_dir_all(made.join("tool/bin")).unwrap();
        fs::create_dir(made.join(".bin")).unwrap();
        fs::write(made.join("tool/bin/run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(made.join("tool/bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("../tool/bin/run", made.join(".bin/run")).unwrap();
        bench
    }

    /// The entry as the worker `worker` sees it: workers have a disk each, and the blobs together.
    fn entry(&self, worker: &str, project: &str, lock: &str) -> Entry {
        let mut key = Key::new("npm ci for 20");
        key.add("package-lock.json", lock.as_bytes());
        Entry::at(&self.folder.path().join(worker), Owner { project, blobs: Some(&self.blobs) }, key)
    }

    async fn keep(&self, worker: &str, project: &str, lock: &str) {
        self.entry(worker, project, lock).keep(&self.folder.path().join("made")).await.unwrap();
    }

    fn to(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[tokio::test]
async fn a_fresh_worker_restores_what_another_one_has_kept() {
    let bench = Bench::new();
    bench.keep("first", "one", "1").await;
    let to = bench.to("restored");
    assert!(bench.entry("second", "one", "1").restore(&to).await.unwrap());
    let run = to.join("tool/bin/run");
    assert_eq!(fs::read_to_string(&run).unwrap(), "#!/bin/sh\n");
    assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o111, 0o111, "it can still be run");
    assert_eq!(fs::read_link(to.join(".bin/run")).unwrap(), Path::new("../tool/bin/run"));
    // From then on the second worker has it on its own disk.
    bench.kept.0.lock().unwrap().clear();
    assert!(bench.entry("second", "one", "1").restore(&bench.to("again")).await.unwrap());
    assert!(!bench.entry("third", "one", "1").restore(&bench.to("absent")).await.unwrap());
}

#[tokio::test]
async fn another_projects_and_another_lock_files_entries_are_never_used() {
    let bench = Bench::new();
    bench.keep("first", "one", "1").await;
    assert!(!bench.entry("second", "two", "1").restore(&bench.to("other")).await.unwrap());
    assert!(!bench.entry("second", "one", "2").restore(&bench.to("changed")).await.unwrap());
    assert!(!bench.to("other").exists() && !bench.to("changed").exists());
    let names = bench.kept.names();
    assert!(names.iter().all(|name| name.starts_with(&prefix("one"))), "{names:?}");
    assert_ne!(prefix("one"), prefix("two"));
}

#[tokio::test]
async fn a_damaged_entry_is_ignored_and_dropped() {
    for damage in ["cut", "changed", "empty", "another zip's digest"] {
        let bench = Bench::new();
        bench.keep("first", "one", "1").await;
        for (content, _) in bench.kept.0.lock().unwrap().values_mut() {
            let mut bytes = content.to_vec();
            match damage {
                "cut" => bytes.truncate(bytes.len() - 1),
                "changed" => bytes[DIGEST_BYTES + 40] ^= 1,
                "empty" => bytes.clear(),
                _ => bytes[0] ^= 1,
            }
            *content = bytes.into();
        }
        assert!(!bench.entry("second", "one", "1").restore(&bench.to("restored")).await.unwrap(), "{damage}");
        assert!(!bench.to("restored").exists(), "{damage}");
        assert!(bench.kept.names().is_empty(), "{damage} stays in the way");
    }
}

#[tokio::test]
async fn a_good_digest_does_not_let_a_link_lead_out() {
    let bench = Bench::new();
    bench.keep("first", "one", "1").await;
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.add_symlink("out", "../../etc/passwd", zip::write::SimpleFileOptions::default()).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    let forged: Vec<u8> = Sha256::digest(&zip).iter().copied().chain(zip).collect();
    for (content, _) in bench.kept.0.lock().unwrap().values_mut() {
        *content = forged.clone().into();
    }
    assert!(!bench.entry("second", "one", "1").restore(&bench.to("restored")).await.unwrap());
}

#[tokio::test]
async fn the_oldest_entries_of_a_project_go_first_and_all_go_with_the_project() {
    let bench = Bench::new();
    for number in 0..ENTRIES_MAX + 2 {
        bench.keep("first", "one", &number.to_string()).await;
    }
    bench.keep("first", "two", "1").await;
    assert_eq!(bench.kept.names().len(), ENTRIES_MAX + 1);
    assert!(!bench.entry("second", "one", "0").restore(&bench.to("oldest")).await.unwrap());
    let newest = (ENTRIES_MAX + 1).to_string();
    assert!(bench.entry("second", "one", &newest).restore(&bench.to("newest")).await.unwrap());
    forget(&bench.blobs, "one").await.unwrap();
    assert_eq!(bench.kept.names().len(), 1, "another project's stay");
}
