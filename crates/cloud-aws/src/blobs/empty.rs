//! A bucket emptied: every version of every object, and every marker of a deleted one.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use cloud::{Error, Result};

use super::S3Blobs;
use crate::failure;

/// Pages of 1,000 versions: a hundred million, which takes longer than any job may.
const PAGES_MAX: usize = 100_000;
/// Refusals that an error names.
const NAMED_MAX: usize = 3;

impl S3Blobs {
    /// Removes everything that the bucket holds; the answer is how much that was. A bucket that is not there is empty.
    pub(crate) async fn empty(&self) -> Result<u64> {
        let mut removed = 0;
        for _ in 0..PAGES_MAX {
            let found = self.versions().await?;
            if found.is_empty() {
                return Ok(removed);
            }
            removed += found.len() as u64;
            self.remove(found).await?;
        }
        Err(Error::Unclear(format!("emptying the bucket {}", self.bucket)))
    }

    /// The first page: what is on it is gone when it is asked for again.
    async fn versions(&self) -> Result<Vec<ObjectIdentifier>> {
        let what = || format!("listing the versions in the bucket {}", self.bucket);
        let page = match self.client().list_object_versions().bucket(&self.bucket).send().await {
            Err(error) if error.as_service_error().is_some_and(|e| e.meta().code() == Some("NoSuchBucket")) => {
                return Ok(Vec::new());
            }
            other => other.map_err(|error| failure(what(), error))?,
        };
        let versions = page.versions().iter().map(|one| (one.key(), one.version_id()));
        let markers = page.delete_markers().iter().map(|one| (one.key(), one.version_id()));
        let named = versions.chain(markers).filter_map(|(key, version)| Some((key?, version)));
        let object = |(key, version): (&str, Option<&str>)| {
            ObjectIdentifier::builder().key(key).set_version_id(version.map(str::to_owned)).build()
        };
        named.map(object).collect::<Result<_, _>>().map_err(|error| Error::other(what(), error))
    }

    async fn remove(&self, objects: Vec<ObjectIdentifier>) -> Result<()> {
        let what = format!("emptying the bucket {}", self.bucket);
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|error| Error::other(what.clone(), error))?;
        let sent = self.client().delete_objects().bucket(&self.bucket).delete(delete).send().await;
        let answer = sent.map_err(|error| failure(what.clone(), error))?;
        let refused: Vec<String> = answer
            .errors()
            .iter()
            .take(NAMED_MAX)
            .map(|one| {
                format!("{}: {}", one.key().unwrap_or_default(), one.message().or(one.code()).unwrap_or_default())
            })
            .collect();
        if refused.is_empty() { Ok(()) } else { Err(Error::Invalid(format!("{what}: {}", refused.join("; ")))) }
    }
}
