//! Projects, drafts, commits, jobs, releases, environments, files and events: what Workroom is about.
//!
//! Every public method that takes a [`Caller`] checks the permission first, on the value that it then uses. What the
//! caller may not see is [`Error::NotFound`], in the same words as what does not exist. Methods without a `Caller`
//! are for the platform's own workers and consumers; no route reaches them.
//!
//! **Invariant**: no HTTP and no Lambda in here.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod accounts;
mod audit;
mod caller;
mod commits;
mod connections;
mod core;
mod diagnostics;
mod drafts;
mod environments;
mod error;
mod events;
mod expected;
mod files;
mod ids;
mod imports;
mod jobs;
mod keys;
mod lfs;
mod logs;
mod maintenance;
mod members;
mod merges;
mod page;
mod policy;
mod projects;
mod publishing;
mod reading;
mod releases;
mod repository;
mod search;
mod settings;
mod stack;
mod starters;
mod tags;
mod targets;
mod usage;

use std::sync::Arc;

pub use accounts::{AccountChange, Accounts};
pub use audit::{Audit, AuditEntry, AuditQuery};
pub use caller::Caller;
pub use cloud::StackLogs;
pub use commits::{CHANGES_MAX, Change, Commits, MESSAGE_BYTES_MAX, NewCommit};
pub use connections::{
    Connection, Connections, DELIVERIES_AT_ONCE, PEOPLE_MAX, People, Presence, Subscribed, TailMessage, TailTarget,
};
pub use core::{DomainSettings, Quotas, StarterSource};
pub use diagnostics::{Diagnostic, Diagnostics, NewDiagnosis, Severity};
pub use drafts::{Draft, Drafts, DraftsQuery, SaveDraft};
pub use environments::{CREDENTIALS_LIFE, DeployTarget, Environment, Environments, InvocationEvent, Publish};
pub use error::{Error, InvalidCode, Result};
pub use events::{Author, EventEnvelope, Events, NewEvent};
pub use expected::Expected;
pub use files::{Files, NewUpload, PartDigest, PartPlan, PartStatus, StoredFile, Upload, UploadState, UploadStatus};
pub use ids::{EnvironmentName, FileId, JobId, LeaseId, LockId, ReleaseId, Slug, TargetName};
pub use imports::{
    ImportCredential, ImportTask, Imports, NewImport, ProjectImport, check_import_url, is_public, parse_import_url,
};
pub use jobs::{
    ATTEMPTS_MAX, DeploySource, HEARTBEAT, Job, JobKind, JobMessage, JobState, Jobs, LEASE, Lease, LeaseState, Outcome,
    Progress, RESULT_BYTES_MAX, STACK_JOB_LIFE, Started, Swept, log_group,
};
pub use lfs::{
    BATCH_OBJECTS_MAX, BatchObject, Lfs, LfsObject, LfsPointer, Lock, LockAttempt, LockFilter, ObjectRefusal,
    POINTER_BYTES_MAX, TRANSFER_LIFE, WantedObject,
};
pub use logs::{LineKind, LogLine, LogLines, Logs, LogsQuery, RequestFigures};
pub use maintenance::{CompactMessage, Maintenance};
pub use members::{Member, Members};
pub use merges::{Merged, Merges, NewMerge, NewPick, Resolve, ResolveTake};
pub use page::{PAGE_DEFAULT, PAGE_MAX, Page, PageQuery};
pub use projects::{NewProject, Project, ProjectUpdate, Projects};
pub use reading::ArchiveOf;
pub use releases::{Artifact, ArtifactKind, Build, Release, Releases, artifact_key};
pub use repository::{Branch, FILE_READ_MAX, LogFor, Repository, Tree};
pub use search::{Found, PATHS_MAX, PathList, SearchFor};
pub use settings::{SETTINGS_BYTES_MAX, Settings};
pub use starters::{Starter, Starters};
pub use tags::TagFor;
pub use targets::{DEFAULT_TARGET, Target, TargetSettings, TargetUpdate, Targets};
pub use usage::{Month, ProjectUsage, Quota, QuotaUpdate, Usage};

/// The whole domain over one set of ports. Cheap to share behind an `Arc`.
pub struct Domain {
    pub projects: Projects,
    pub accounts: Accounts,
    pub members: Members,
    pub events: Events,
    pub repository: Repository,
    pub drafts: Drafts,
    pub diagnostics: Diagnostics,
    pub commits: Commits,
    pub merges: Merges,
    pub jobs: Jobs,
    pub releases: Releases,
    pub environments: Environments,
    pub targets: Targets,
    pub files: Files,
    pub lfs: Lfs,
    pub imports: Imports,
    pub logs: Logs,
    pub starters: Starters,
    pub connections: Connections,
    pub usage: Usage,
    pub audit: Audit,
    pub settings: Settings,
    pub maintenance: Maintenance,
    core: Arc<core::Core>,
}

impl Domain {
    pub fn new(settings: DomainSettings) -> Self {
        let core = Arc::new(core::Core::new(settings));
        Self {
            projects: Projects::new(core.clone()),
            accounts: Accounts::new(core.clone()),
            members: Members::new(core.clone()),
            events: Events::new(core.clone()),
            repository: Repository::new(core.clone()),
            drafts: Drafts::new(core.clone()),
            diagnostics: Diagnostics::new(core.clone()),
            commits: Commits::new(core.clone()),
            merges: Merges::new(core.clone()),
            jobs: Jobs::new(core.clone()),
            releases: Releases::new(core.clone()),
            environments: Environments::new(core.clone()),
            targets: Targets::new(core.clone()),
            files: Files::new(core.clone()),
            lfs: Lfs::new(core.clone()),
            imports: Imports::new(core.clone()),
            logs: Logs::new(core.clone()),
            starters: Starters::new(core.clone()),
            connections: Connections::new(core.clone()),
            usage: Usage::new(core.clone()),
            audit: Audit::new(core.clone()),
            settings: Settings::new(core.clone()),
            maintenance: Maintenance::new(core.clone()),
            core,
        }
    }

    /// Where artifacts and files lie; for the worker.
    pub fn blobs(&self) -> &Arc<dyn cloud::Blobs> {
        &self.core.ports.blobs
    }

    /// Where releases run; for the worker.
    pub fn stacks(&self) -> &Arc<dyn cloud::Stacks> {
        &self.core.ports.stacks
    }

    pub fn identity(&self) -> &Arc<identity::Identity> {
        &self.core.identity
    }

    pub fn clock(&self) -> &Arc<dyn cloud::Clock> {
        &self.core.ports.clock
    }

    /// For the worker: runs and ends the jobs that the domain does by itself (`Remove`, `Purge`). `None` for those
    /// that need a builder: the worker runs and finishes them.
    pub async fn perform(&self, job: &Job, lease: &Lease) -> Option<Result<Job>> {
        match &job.kind {
            JobKind::Build | JobKind::Import | JobKind::Deploy { .. } => None,
            JobKind::Remove { environment } => Some(self.environments.take_down(lease, environment).await),
            JobKind::Purge => Some(match self.projects.purge(&lease.project).await {
                Ok(()) => self.jobs.finish(lease, Outcome::Succeeded { result: serde_json::json!({}) }).await,
                Err(error) => Err(error),
            }),
        }
    }
}
