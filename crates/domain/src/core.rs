//! What every part of the domain stands on.

use std::path::PathBuf;
use std::sync::Arc;

use cloud::{Ports, Record, RecordKey, Version};
use git_store::GitStore;
use identity::{Denied, Identity, Permission, ProjectId, decide};
use serde::de::DeserializeOwned;

use crate::events::{Author, Journal, NewEvent};
use crate::projects::{Project, ProjectRecord};
use crate::{Caller, Error, Result, Slug, keys};

/// Where the starters come from.
#[derive(Clone, Debug)]
pub enum StarterSource {
    /// A folder with a folder for each starter.
    Folder(PathBuf),
    /// Blobs under `starters/{name}/`.
    Blobs,
}

/// What a domain is made of.
pub struct DomainSettings {
    pub ports: Ports,
    pub git: GitStore,
    pub identity: Arc<Identity>,
    pub starters: StarterSource,
    pub quotas: Quotas,
}

/// Limits of use; sizes in bytes.
#[derive(Clone, Debug)]
pub struct Quotas {
    pub projects_per_account: usize,
    pub drafts_per_branch: usize,
    pub draft_bytes: u64,
    /// Repository, files and artifacts together; an admin may set another for a project.
    pub storage_bytes_per_project: u64,
    pub job_minutes_per_month: u64,
    pub open_jobs_per_project: usize,
    pub files_bytes_per_project: u64,
    pub pending_uploads_per_project: usize,
    pub lfs_bytes_per_project: u64,
    pub lfs_objects_per_project: u64,
    pub lfs_locks_per_project: u64,
    pub subscriptions_per_connection: usize,
    pub tails_per_connection: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            projects_per_account: 500,
            drafts_per_branch: 1_000,
            draft_bytes: 4 * 1024 * 1024,
            storage_bytes_per_project: 50 * 1024 * 1024 * 1024,
            job_minutes_per_month: 10_000,
            open_jobs_per_project: 20,
            files_bytes_per_project: 20 * 1024 * 1024 * 1024,
            pending_uploads_per_project: 100,
            lfs_bytes_per_project: 50 * 1024 * 1024 * 1024,
            lfs_objects_per_project: 100_000,
            lfs_locks_per_project: 10_000,
            subscriptions_per_connection: 20,
            tails_per_connection: 10,
        }
    }
}

/// The ports and the journal, shared by every part.
pub(crate) struct Core {
    pub ports: Ports,
    pub git: GitStore,
    pub identity: Arc<Identity>,
    pub starters: StarterSource,
    pub quotas: Quotas,
    pub journal: Journal,
}

impl Core {
    pub(crate) fn new(settings: DomainSettings) -> Self {
        let DomainSettings { ports, git, identity, starters, quotas } = settings;
        let journal = Journal::new(ports.records.clone(), ports.clock.clone(), ports.entropy.clone());
        Self { ports, git, identity, starters, quotas, journal }
    }

    /// The project that `raw` (slug or id) names, if the caller may do this in it. A project that the caller may
    /// not see gives the same answer after the same reads as one that does not exist.
    pub(crate) async fn project(&self, caller: &Caller, raw: &str, permission: Permission) -> Result<Project> {
        self.stored_project(caller, raw, permission).await.map(|stored| stored.value.view(&stored.version))
    }

    pub(crate) async fn stored_project(
        &self,
        caller: &Caller,
        raw: &str,
        permission: Permission,
    ) -> Result<Stored<ProjectRecord>> {
        let id = self.project_id(raw).await?;
        let stored: Option<Stored<ProjectRecord>> = self.read(&keys::project(&id)).await?;
        let role = self.identity.members().role_of(&id, &caller.principal.account).await;
        let role = role.map_err(|error| Error::identity(error, "project"))?;
        let decision = decide(&caller.principal, &id, role, permission);
        match (stored.filter(|s| !s.value.deleted), decision) {
            (Some(stored), Ok(())) => Ok(stored),
            (None, _) | (_, Err(Denied::NotFound)) => Err(Error::NotFound("project")),
            (Some(_), Err(Denied::Forbidden)) => {
                Err(Error::Forbidden("Your role in this project does not allow this.".into()))
            }
        }
    }

    /// The id that `raw` stands for; an id that is nobody's when it stands for none.
    async fn project_id(&self, raw: &str) -> Result<ProjectId> {
        Ok(self.named_project(raw).await?.unwrap_or_else(keys::platform))
    }

    /// The id that `raw`, a slug or an id, stands for. Says nothing about who may see the project.
    pub(crate) async fn named_project(&self, raw: &str) -> Result<Option<ProjectId>> {
        if let Ok(id) = ProjectId::parse(raw) {
            return Ok(Some(id));
        }
        let Ok(slug) = Slug::parse(raw) else { return Ok(None) };
        let named = self.ports.records.get(&keys::slug(&slug)).await?;
        Ok(named.and_then(|record| ProjectId::parse(record.value.get("project")?.as_str()?).ok()))
    }

    /// Makes `writes` with their events, as the caller.
    pub(crate) async fn commit(
        &self,
        project: &ProjectId,
        caller: &Caller,
        events: &[NewEvent],
        writes: Vec<cloud::Write>,
    ) -> cloud::Result<Vec<Option<Version>>> {
        self.journal.commit(project, &Author::of(caller), events, writes).await
    }

    pub(crate) async fn read<T: DeserializeOwned>(&self, key: &RecordKey) -> Result<Option<Stored<T>>> {
        match self.ports.records.get(key).await? {
            None => Ok(None),
            Some(record) => Ok(Some(Stored { value: decode(&record)?, version: record.version })),
        }
    }

    pub(crate) fn ulid(&self) -> String {
        self.ports.entropy.ulid(self.ports.clock.now())
    }
}

/// A value with the token of its record.
#[derive(Clone, Debug)]
pub(crate) struct Stored<T> {
    pub value: T,
    pub version: Version,
}

pub(crate) fn decode<T: DeserializeOwned>(record: &Record) -> Result<T> {
    T::deserialize(&record.value).map_err(|error| Error::internal(format!("reading record `{}`", record.key), error))
}
