//! The front end's files, brought into the static bucket as the deploy to AWS brings them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use cloud::limits::GATEWAY_PAYLOAD_MAX;
use cloud::{BlobKey, Blobs, Expect, PutOptions, RecordKey, Records, Sha256Digest};
use serde_json::json;

/// Files in all.
const FILES_MAX: usize = 20_000;
const DEPTH_MAX: usize = 16;

/// One object to be: its key, its file and how it is served.
struct Object {
    key: String,
    file: PathBuf,
    encoding: Option<&'static str>,
}

/// Makes the bucket hold exactly the files of `folder`; unchanged ones are not written again.
/// The answer is how many objects there are.
pub async fn synchronise(folder: &Path, bucket: &dyn Blobs, records: &dyn Records) -> Result<usize> {
    let root = folder.to_owned();
    let objects = tokio::task::spawn_blocking(move || collect(&root)).await??;
    let key = RecordKey::new("static-files", "digests");
    let kept = records.get(&key).await?;
    let mut known: BTreeMap<String, String> =
        kept.and_then(|record| serde_json::from_value(record.value).ok()).unwrap_or_default();
    let mut now = BTreeMap::new();
    for object in objects {
        let body =
            Bytes::from(std::fs::read(&object.file).with_context(|| format!("reading {}", object.file.display()))?);
        if body.len() > GATEWAY_PAYLOAD_MAX {
            bail!("{} is over 10 MB: the gateway cannot serve it", object.file.display());
        }
        let digest = format!("{} {}", Sha256Digest::of(&body), object.encoding.unwrap_or("identity"));
        if known.remove(&object.key).as_ref() != Some(&digest) {
            bucket.put(&BlobKey::parse(object.key.as_str())?, body, options(&object)).await?;
        }
        now.insert(object.key, digest);
    }
    for gone in known.keys() {
        bucket.delete(&BlobKey::parse(gone.as_str())?).await?;
    }
    let count = now.len();
    records.put(key, json!(now), Expect::Anything).await?;
    Ok(count)
}

fn options(object: &Object) -> PutOptions {
    let kind = mime_guess::from_path(&object.key).first_or_octet_stream();
    let text = kind.type_() == mime_guess::mime::TEXT || kind.subtype() == mime_guess::mime::JAVASCRIPT;
    // What a build puts below `assets/` has its digest in its name.
    let hashed = object.key.starts_with("assets/");
    PutOptions {
        content_type: Some(if text { format!("{kind}; charset=utf-8") } else { kind.to_string() }),
        content_encoding: object.encoding.map(str::to_owned),
        cache_control: Some(if hashed { "public, max-age=31536000, immutable" } else { "no-cache" }.to_owned()),
        ..PutOptions::default()
    }
}

/// Every file below `root`. `name.br` (else `name.gz`) stands in for `name`; source maps stay out.
fn collect(root: &Path) -> Result<Vec<Object>> {
    let mut files = BTreeMap::new();
    walk(root, "", 0, &mut files).with_context(|| format!("reading the front end's files in {}", root.display()))?;
    let encoded = |name: &str| {
        let stem = name.strip_suffix(".br").or_else(|| name.strip_suffix(".gz"));
        stem.is_some_and(|stem| files.contains_key(stem))
    };
    let plain = files.iter().filter(|(name, _)| !encoded(name) && !name.ends_with(".map"));
    Ok(plain
        .map(|(name, file)| {
            let with = |suffix: &str| files.get(&format!("{name}{suffix}"));
            let (file, encoding) = match (with(".br"), with(".gz")) {
                (Some(brotli), _) => (brotli, Some("br")),
                (None, Some(gzip)) => (gzip, Some("gzip")),
                (None, None) => (file, None),
            };
            Object { key: name.clone(), file: file.clone(), encoding }
        })
        .collect())
}

fn walk(folder: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a file's name is not UTF-8"))?;
        let (kind, key) = (entry.file_type()?, format!("{prefix}{name}"));
        if kind.is_dir() && depth < DEPTH_MAX {
            walk(&entry.path(), &format!("{key}/"), depth + 1, files)?;
        } else if kind.is_file() {
            if files.len() >= FILES_MAX {
                return Err(io::Error::other(format!("there are more than {FILES_MAX} files")));
            }
            files.insert(key, entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloud::{SystemClock, SystemEntropy};
    use cloud_local::{Store, StoreSettings};

    use super::*;

    async fn keys(bucket: &dyn Blobs) -> Vec<String> {
        bucket.list("", None, 100).await.unwrap().blobs.into_iter().map(|blob| blob.key.to_string()).collect()
    }

    #[tokio::test]
    async fn the_bucket_follows_the_folder() {
        let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::open(StoreSettings {
            data: data.path().to_owned(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        })
        .unwrap();
        let (bucket, records) = (store.blobs("static"), store.records());
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("index.html", "home");
        write("assets/app-1.js", "plain");
        write("assets/app-1.js.br", "squeezed");
        write("assets/app-1.js.map", "map");
        assert_eq!(synchronise(folder.path(), &bucket, &records).await.unwrap(), 2);
        assert_eq!(keys(&bucket).await, ["assets/app-1.js", "index.html"]);
        let script = bucket.head(&BlobKey::parse("assets/app-1.js").unwrap()).await.unwrap();
        assert_eq!(script.content_type.as_deref(), Some("text/javascript; charset=utf-8"));
        assert_eq!((script.content_encoding.as_deref(), script.length), (Some("br"), 8));
        assert!(script.cache_control.unwrap().contains("immutable"));

        let before = bucket.head(&BlobKey::parse("index.html").unwrap()).await.unwrap();
        std::fs::remove_dir_all(folder.path().join("assets")).unwrap();
        write("sign-in.html", "in");
        synchronise(folder.path(), &bucket, &records).await.unwrap();
        assert_eq!(keys(&bucket).await, ["index.html", "sign-in.html"]);
        let after = bucket.head(&BlobKey::parse("index.html").unwrap()).await.unwrap();
        assert_eq!(before.modified, after.modified);
        assert!(synchronise(&folder.path().join("nothing"), &bucket, &records).await.is_err());
    }
}
