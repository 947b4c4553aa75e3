//! The front end's files, brought into the static bucket as the deploy to AWS brings them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use cloud::{BlobKey, Blobs, Expect, PutOptions, RecordKey, Records, Sha256Digest};
use serde_json::json;
use static_files::StaticFile;

/// Makes the bucket hold exactly the files of `folder`; unchanged ones are not written again.
/// The answer is how many objects there are.
pub async fn synchronise(folder: &Path, bucket: &dyn Blobs, records: &dyn Records) -> Result<usize> {
    let root = folder.to_owned();
    let objects = tokio::task::spawn_blocking(move || static_files::collect(&root)).await?;
    let objects = objects.with_context(|| format!("reading the front end's files in {}", folder.display()))?;
    let key = RecordKey::new("static-files", "digests");
    let kept = records.get(&key).await?;
    let mut known: BTreeMap<String, String> =
        kept.and_then(|record| serde_json::from_value(record.value).ok()).unwrap_or_default();
    let mut now = BTreeMap::new();
    for object in objects {
        let body =
            Bytes::from(std::fs::read(&object.file).with_context(|| format!("reading {}", object.file.display()))?);
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

fn options(object: &StaticFile) -> PutOptions {
    PutOptions {
        content_type: Some(object.content_type.clone()),
        content_encoding: object.encoding.map(str::to_owned),
        cache_control: Some(object.cache_control.to_owned()),
        ..PutOptions::default()
    }
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
