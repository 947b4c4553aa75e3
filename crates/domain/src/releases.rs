//! Builds that are kept, and releases: what runs, fixed for ever.

use std::sync::Arc;
use std::time::Duration;

use cloud::{BlobKey, Expect, Millis, PresignGet, Presigned, RangeQuery, Sha256Digest, UnsupportedItem, Write};
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::Core;
use crate::jobs::Lease;
use crate::{Caller, Error, JobId, Page, PageQuery, ReleaseId, Result, keys, usage};

/// Life of a presigned artifact URL.
const DOWNLOAD_LIFE: Duration = Duration::from_secs(300);
/// How often a transaction is tried again when another change came first.
const ATTEMPTS_MAX: usize = 16;

/// What an artifact is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    Function,
    Layer,
    /// The static front end.
    Site,
}

/// A zip that a build made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The logical id in the template; `site` for the front end.
    pub name: String,
    pub kind: ArtifactKind,
    pub sha256: Sha256Digest,
    pub length: u64,
}

/// What a build of one commit came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Build {
    pub artifacts: Vec<Artifact>,
    pub unsupported: Vec<UnsupportedItem>,
    /// For people: what was done otherwise than asked.
    pub notes: Vec<String>,
}

/// A commit with its artifacts and parameters, never changed again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Release {
    pub id: ReleaseId,
    pub commit: String,
    /// The job that built it.
    pub build: JobId,
    pub artifacts: Vec<Artifact>,
    /// The version of the project's own parameters; 0 while it has none beside `samconfig.toml`.
    pub parameters_version: u64,
    pub created: Millis,
    pub created_by: String,
}

#[derive(Serialize, Deserialize)]
struct ReleaseRecord {
    v: u32,
    #[serde(flatten)]
    release: Release,
}

#[derive(Serialize, Deserialize)]
struct BuildRecord {
    v: u32,
    job: JobId,
    #[serde(flatten)]
    build: Build,
}

/// Where an artifact lies: by digest, within its project.
pub fn artifact_key(project: &ProjectId, sha256: Sha256Digest) -> Result<BlobKey> {
    Ok(BlobKey::parse(format!("projects/{project}/artifacts/{sha256}.zip"))?)
}

/// Keeps builds and releases.
#[derive(Clone)]
pub struct Releases {
    core: Arc<Core>,
}

impl Releases {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The project's releases, newest first.
    pub async fn list(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<Release>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let range = RangeQuery {
            partition: keys::partition(&project.id),
            prefix: keys::RELEASE.into(),
            after: query.after(keys::RELEASE, crate::ids::is_ulid)?,
            descending: true,
            limit: query.limit(),
        };
        let page = self.core.ports.records.query(range).await?;
        let items = page.records.iter().map(|r| crate::core::decode::<ReleaseRecord>(r).map(|r| r.release));
        let items = items.collect::<Result<_>>()?;
        Ok(Page { items, next: page.next.map(|sort| sort.trim_start_matches(keys::RELEASE).to_owned()) })
    }

    /// Whether a release was made of the commit.
    pub(crate) async fn has(&self, project: &ProjectId, commit: &str) -> Result<bool> {
        let mut range = RangeQuery {
            partition: keys::partition(project),
            prefix: keys::RELEASE.into(),
            descending: true,
            limit: crate::PAGE_MAX,
            ..RangeQuery::default()
        };
        loop {
            let page = self.core.ports.records.query(range.clone()).await?;
            for record in &page.records {
                if crate::core::decode::<ReleaseRecord>(record)?.release.commit == commit {
                    return Ok(true);
                }
            }
            match page.next {
                Some(next) => range.after = Some(next),
                None => return Ok(false),
            }
        }
    }

    /// A URL that downloads an artifact of the project, good for five minutes.
    pub async fn artifact_url(&self, caller: &Caller, project: &str, digest: &str) -> Result<Presigned> {
        let project = self.core.project(caller, project, Permission::ReadFiles).await?;
        let sha256 = Sha256Digest::parse_hex(digest).map_err(|_| Error::NotFound("artifact"))?;
        let key = artifact_key(&project.id, sha256)?;
        match self.core.ports.blobs.head(&key).await {
            Err(error) if error.is_not_found() => return Err(Error::NotFound("artifact")),
            other => other?,
        };
        let what = PresignGet {
            expires_in: DOWNLOAD_LIFE,
            disposition: Some(format!("attachment; filename=\"{sha256}.zip\"")),
            content_type: Some("application/zip".into()),
        };
        Ok(self.core.ports.blobs.presign_get(&key, what).await?)
    }

    /// For the worker: keeps what it built, so that a deploy of the same commit need not build again.
    pub async fn remember_build(&self, lease: &Lease, commit: &str, build: &Build) -> Result<()> {
        let record = BuildRecord { v: 1, job: lease.job.clone(), build: build.clone() };
        let key = keys::build_of(&lease.project, commit);
        for _ in 0..ATTEMPTS_MAX {
            let mut writes = vec![Write::put(key.clone(), json!(record), Expect::Anything)];
            writes.extend(usage::artifact_writes(&self.core, &lease.project, &build.artifacts).await?);
            match self.core.ports.records.transact(writes).await {
                // Another build counted its artifacts at the same moment.
                Err(error) if error.is_condition_failed() => {}
                other => return Ok(other.map(drop)?),
            }
        }
        Err(Error::Unavailable("The list of builds"))
    }

    /// For the worker: the newest build of a commit, with the job that made it.
    pub async fn build_of(&self, project: &ProjectId, commit: &str) -> Result<Option<(JobId, Build)>> {
        let stored = self.core.read::<BuildRecord>(&keys::build_of(project, commit)).await?;
        Ok(stored.map(|stored| (stored.value.job, stored.value.build)))
    }

    /// For the worker: the release of a deploy job. Made once, however often the job is tried: it has the job's id.
    pub async fn create(
        &self,
        lease: &Lease,
        commit: &str,
        build: &JobId,
        artifacts: Vec<Artifact>,
        parameters_version: u64,
    ) -> Result<Release> {
        let id = ReleaseId::parse(lease.job.as_str())?;
        if let Some(made) = self.get(&lease.project, &id).await? {
            return Ok(made);
        }
        let job = crate::Jobs::new(self.core.clone()).find(&lease.project, &lease.job).await?;
        let release = Release {
            id: id.clone(),
            commit: commit.to_owned(),
            build: build.clone(),
            artifacts,
            parameters_version,
            created: self.core.ports.clock.now(),
            created_by: job.requested_by,
        };
        let record = ReleaseRecord { v: 1, release: release.clone() };
        let key = keys::release(&lease.project, &id);
        match self.core.ports.records.transact(vec![Write::put(key, json!(record), Expect::Absent)]).await {
            Err(error) if error.is_condition_failed() => {
                self.get(&lease.project, &id).await?.ok_or(Error::NotFound("release"))
            }
            Err(error) => Err(error.into()),
            Ok(_) => Ok(release),
        }
    }

    /// For the platform itself.
    pub async fn get(&self, project: &ProjectId, id: &ReleaseId) -> Result<Option<Release>> {
        let stored = self.core.read::<ReleaseRecord>(&keys::release(project, id)).await?;
        Ok(stored.map(|stored| stored.value.release))
    }
}
