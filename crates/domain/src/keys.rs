//! Where the domain's records live. One place, so that no two kinds can meet.
//!
//! | partition | sort | what |
//! | --- | --- | --- |
//! | `project#{id}` | `project` | the project |
//! | `project#{id}` | `event#{sequence}`, `event-head`, `audit#{ulid}` | the journal |
//! | `project#{id}` | `job#{ulid}`, `release#{ulid}`, `build#{commit}`, `environment#{name}` | work and its results |
//! | `project#{id}` | `upload#{ulid}`, `file#{ulid}`, `file-path#{digest}`, `file-usage` | the files area |
//! | `drafts#{project}` | `{branch digest}#{account}#{path}` | drafts, by branch and person |
//! | `project#{id}` | `lfs#{oid}`, `lfs-waiting#{oid}`, `lfs-lock#{ulid}`, `lfs-lock-path#{digest}`, `lfs-usage` | Git LFS |
//! | `project#{id}` | `quota`, `job-usage#{month}`, `artifact#{digest}`, `artifact-usage` | what it may use, and uses |
//! | `projects` | `{project}` | every project |
//! | `jobs` | `{job}` | every job of the last months |
//! | `audit#{month}` | `{ulid}` | the audit entries of all projects |
//! | `project#{id}` | `import-secret#{job}` | the sealed credential of an import under way |
//! | `slug#{slug}` | `slug` | slug -> project |
//! | `targets` | `target#{name}` | deploy targets |
//! | `target-uses` | `{name}` | the environments that are bound to a target |
//! | `open-jobs` | `{job}` | jobs without a final state, for the sweep |
//! | `connection#{id}` | `connection`, `project#{id}`, `tail#{ulid}` | an open socket |
//! | `held#{session, token or account}` | `{connection}` | the sockets that a session or token opened, and an account's |
//! | `subscribers#{project}` | `{connection}` | who gets a project's events |
//! | `presence#{project}` | `{connection}` | where the people at a project are |
//! | `settings#{account}` | `settings` | what the pages keep for a person |

use cloud::{RecordKey, Sha256Digest};
use git_store::{BranchName, RepoPath};
use identity::{AccountId, ProjectId};

use crate::usage::Month;
use crate::{EnvironmentName, FileId, JobId, LockId, ReleaseId, Slug, TargetName};

pub const OPEN_JOBS: &str = "open-jobs";
pub const PROJECTS: &str = "projects";
pub const JOBS: &str = "jobs";
pub const AUDIT: &str = "audit#";
pub const EVENT: &str = "event#";
pub const EVENT_HEAD: &str = "event-head";
pub const JOB: &str = "job#";
pub const RELEASE: &str = "release#";
pub const ENVIRONMENT: &str = "environment#";
pub const FILE: &str = "file#";
pub const UPLOAD: &str = "upload#";
pub const LFS_OBJECT: &str = "lfs#";
pub const LFS_WAITING: &str = "lfs-waiting#";
pub const LFS_LOCK: &str = "lfs-lock#";
pub const TARGETS: &str = "targets";
pub const TARGET: &str = "target#";
pub const TAIL: &str = "tail#";

pub fn partition(project: &ProjectId) -> String {
    format!("project#{project}")
}

fn within(project: &ProjectId, sort: impl Into<String>) -> RecordKey {
    RecordKey::new(partition(project), sort)
}

pub fn project(project: &ProjectId) -> RecordKey {
    within(project, "project")
}

pub fn slug(slug: &Slug) -> RecordKey {
    RecordKey::new(format!("slug#{slug}"), "slug")
}

/// The journal of what belongs to no project: an id that no project has.
pub fn platform() -> ProjectId {
    ProjectId::parse("00000000000000000000000000").expect("26 zeros are a ULID")
}

pub fn target(name: &TargetName) -> RecordKey {
    RecordKey::new(TARGETS, format!("{TARGET}{name}"))
}

pub fn target_uses(name: &TargetName) -> RecordKey {
    RecordKey::new("target-uses", name.as_str())
}

pub fn event(project: &ProjectId, sequence: u64) -> RecordKey {
    within(project, event_sort(sequence))
}

pub fn event_sort(sequence: u64) -> String {
    format!("{EVENT}{sequence:016}")
}

pub fn event_head(project: &ProjectId) -> RecordKey {
    within(project, EVENT_HEAD)
}

pub fn audit(project: &ProjectId, id: &str) -> RecordKey {
    within(project, format!("{AUDIT}{id}"))
}

pub fn audit_month(month: &Month) -> String {
    format!("{AUDIT}{}", month.as_str())
}

pub fn audit_listed(month: &Month, id: &str) -> RecordKey {
    RecordKey::new(audit_month(month), id)
}

pub fn listed_project(project: &ProjectId) -> RecordKey {
    RecordKey::new(PROJECTS, project.as_str())
}

pub fn listed_job(job: &JobId) -> RecordKey {
    RecordKey::new(JOBS, job.as_str())
}

pub fn quota(project: &ProjectId) -> RecordKey {
    within(project, "quota")
}

pub fn job_usage(project: &ProjectId, month: &Month) -> RecordKey {
    within(project, format!("job-usage#{}", month.as_str()))
}

pub fn artifact(project: &ProjectId, sha256: Sha256Digest) -> RecordKey {
    within(project, format!("artifact#{sha256}"))
}

pub fn artifact_usage(project: &ProjectId) -> RecordKey {
    within(project, "artifact-usage")
}

pub fn job(project: &ProjectId, job: &JobId) -> RecordKey {
    within(project, format!("{JOB}{job}"))
}

pub fn open_job(job: &JobId) -> RecordKey {
    RecordKey::new(OPEN_JOBS, job.as_str())
}

pub fn release(project: &ProjectId, release: &ReleaseId) -> RecordKey {
    within(project, format!("{RELEASE}{release}"))
}

/// The newest successful build of a commit.
pub fn build_of(project: &ProjectId, commit: &str) -> RecordKey {
    within(project, format!("build#{commit}"))
}

pub fn environment(project: &ProjectId, name: &EnvironmentName) -> RecordKey {
    within(project, format!("{ENVIRONMENT}{name}"))
}

pub fn file(project: &ProjectId, file: &FileId) -> RecordKey {
    within(project, format!("{FILE}{file}"))
}

pub fn upload(project: &ProjectId, upload: &FileId) -> RecordKey {
    within(project, format!("{UPLOAD}{upload}"))
}

/// Which stored file has a path; the path itself may be longer than a sort key.
pub fn file_path(project: &ProjectId, path: &str) -> RecordKey {
    within(project, format!("file-path#{}", Sha256Digest::of(path.as_bytes())))
}

pub fn file_usage(project: &ProjectId) -> RecordKey {
    within(project, "file-usage")
}

pub fn import_secret(project: &ProjectId, job: &JobId) -> RecordKey {
    within(project, format!("import-secret#{job}"))
}

pub fn lfs_object(project: &ProjectId, oid: &Sha256Digest) -> RecordKey {
    within(project, format!("{LFS_OBJECT}{oid}"))
}

/// An object whose bytes have not been verified.
pub fn lfs_waiting(project: &ProjectId, oid: &Sha256Digest) -> RecordKey {
    within(project, format!("{LFS_WAITING}{oid}"))
}

pub fn lfs_usage(project: &ProjectId) -> RecordKey {
    within(project, "lfs-usage")
}

pub fn lfs_lock(project: &ProjectId, lock: &LockId) -> RecordKey {
    within(project, format!("{LFS_LOCK}{lock}"))
}

/// Which lock a path has; the path itself may be longer than a sort key.
pub fn lfs_lock_path(project: &ProjectId, path: &str) -> RecordKey {
    within(project, format!("lfs-lock-path#{}", Sha256Digest::of(path.as_bytes())))
}

pub fn drafts(project: &ProjectId) -> String {
    format!("drafts#{project}")
}

/// The part of a draft's sort key that all drafts of a branch share.
pub fn draft_branch(branch: &BranchName) -> String {
    let digest = Sha256Digest::of(branch.as_str().as_bytes());
    format!("{}#", hex::encode(&digest.0[..12]))
}

/// The part of a draft's sort key that the drafts of one person on a branch share.
pub fn draft_prefix(branch: &BranchName, account: &AccountId) -> String {
    format!("{}{account}#", draft_branch(branch))
}

/// A place after all drafts of a person on a branch, and before those of the next.
pub fn draft_end(branch: &BranchName, account: &AccountId) -> String {
    // `$` is the character after `#`.
    format!("{}{account}$", draft_branch(branch))
}

pub fn draft(project: &ProjectId, account: &AccountId, branch: &BranchName, path: &RepoPath) -> RecordKey {
    RecordKey::new(drafts(project), format!("{}{}", draft_prefix(branch, account), path.as_str()))
}

pub fn connection(connection: &str) -> RecordKey {
    RecordKey::new(connection_partition(connection), "connection")
}

pub fn held(holder: &str) -> String {
    format!("held#{holder}")
}

pub fn held_connection(holder: &str, connection: &str) -> RecordKey {
    RecordKey::new(held(holder), connection)
}

pub fn connection_partition(connection: &str) -> String {
    format!("connection#{connection}")
}

pub fn connection_project(connection: &str, project: &ProjectId) -> RecordKey {
    RecordKey::new(connection_partition(connection), format!("project#{project}"))
}

pub fn tail(connection: &str, tail: &str) -> RecordKey {
    RecordKey::new(connection_partition(connection), format!("{TAIL}{tail}"))
}

pub fn presences(project: &ProjectId) -> String {
    format!("presence#{project}")
}

pub fn presence(project: &ProjectId, connection: &str) -> RecordKey {
    RecordKey::new(presences(project), connection)
}

pub fn settings(account: &AccountId) -> RecordKey {
    RecordKey::new(format!("settings#{account}"), "settings")
}

pub fn subscribers(project: &ProjectId) -> String {
    format!("subscribers#{project}")
}

pub fn subscriber(project: &ProjectId, connection: &str) -> RecordKey {
    RecordKey::new(subscribers(project), connection)
}
