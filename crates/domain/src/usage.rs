//! What projects use, and what they may use.
//!
//! Stored bytes are kept where they change, in the transaction of the change: the repository's record, the records of
//! the files areas, and one record for artifacts. The time of jobs is counted by month when a job gets its final state.
//! So reading is a handful of records a project, and no figure is ever summed up anew.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Expect, Millis, RangeQuery, Version, Write};
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::{Core, Stored};
use crate::events::NewEvent;
use crate::jobs::JobRecord;
use crate::projects::{Project, ProjectRecord, etag, repository};
use crate::releases::Artifact;
use crate::{Caller, Error, Expected, Page, PageQuery, Result, keys};

/// A quota that an admin may set: stored bytes, minutes of jobs in a month, jobs without a final state.
const STORAGE_BYTES_MAX: u64 = 1 << 50;
const JOB_MINUTES_MAX: u64 = 10_000_000;
const OPEN_JOBS_MAX: u64 = 1_000;
/// Members that are counted.
const MEMBERS_COUNTED_MAX: usize = 1_000;
const MINUTE: Duration = Duration::from_secs(60);

/// A month of the calendar (UTC), written `2026-11`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(String);

impl Month {
    /// Reads `YYYY-MM`.
    pub fn parse(raw: &str) -> Result<Self> {
        let wrong = || Error::invalid("month", "A month is written like 2026-11.");
        let (year, month) = raw.split_once('-').ok_or_else(wrong)?;
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = digits(year, 4) && digits(month, 2) && (1..=12).contains(&month.parse::<u32>().unwrap_or_default());
        if fits { Ok(Self(raw.to_owned())) } else { Err(wrong()) }
    }

    /// The month of a time ("days to civil", Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    pub fn of(time: Millis) -> Self {
        let days = time.0.div_euclid(86_400_000) + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self(format!("{year:04}-{month:02}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The month before.
    pub(crate) fn before(&self) -> Self {
        let (year, month) = self.0.split_once('-').unwrap_or_default();
        let (year, month) = (year.parse::<i64>().unwrap_or_default(), month.parse::<i64>().unwrap_or(1));
        let (year, month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
        Self(format!("{year:04}-{month:02}"))
    }
}

/// What one project uses.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectUsage {
    pub project: Project,
    /// Packs of the repository.
    pub repository_bytes: u64,
    /// The files area and Git LFS, with what is reserved by uploads that wait.
    pub files_bytes: u64,
    pub artifacts_bytes: u64,
    /// Of jobs that ended in the month, from their start to their end.
    pub job_ms: u64,
    pub jobs: u64,
    pub members: usize,
    pub quota: Quota,
}

/// What a project may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of the repository, files and artifacts together.
    pub storage_bytes: u64,
    /// Minutes of jobs in a month; a job is not started when they are used up.
    pub job_minutes: u64,
    pub open_jobs: u64,
    /// What an admin has set; the platform's own numbers otherwise.
    pub set: QuotaUpdate,
    pub etag: String,
}

/// What an admin sets; `None` is the platform's own number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaUpdate {
    pub storage_bytes: Option<u64>,
    pub job_minutes: Option<u64>,
    pub open_jobs: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct QuotaRecord {
    v: u32,
    #[serde(flatten)]
    set: QuotaUpdate,
}

#[derive(Default, Serialize, Deserialize)]
struct JobUsageRecord {
    ms: u64,
    jobs: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct ArtifactUsageRecord {
    bytes: u64,
}

/// Shows what projects use, and sets what they may.
#[derive(Clone)]
pub struct Usage {
    core: Arc<Core>,
}

impl Usage {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// What a project uses, with the jobs of a month (this one when `None`).
    pub async fn get(&self, caller: &Caller, project: &str, month: Option<&str>) -> Result<ProjectUsage> {
        let project = visible(&self.core, caller, project).await?;
        let month = self.month(month)?;
        usage_of(&self.core, project, &month).await
    }

    /// What all projects use, in order of their creation. For platform admins.
    pub async fn list(&self, caller: &Caller, month: Option<&str>, query: &PageQuery) -> Result<Page<ProjectUsage>> {
        require_admin(caller)?;
        let month = self.month(month)?;
        let page = all_projects(&self.core, query).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for project in page.items {
            items.push(usage_of(&self.core, project, &month).await?);
        }
        Ok(Page { items, next: page.next })
    }

    fn month(&self, raw: Option<&str>) -> Result<Month> {
        raw.map_or_else(|| Ok(Month::of(self.core.ports.clock.now())), Month::parse)
    }

    pub async fn quota(&self, caller: &Caller, project: &str) -> Result<Quota> {
        let project = visible(&self.core, caller, project).await?;
        quota(&self.core, &project.id).await
    }

    /// Sets what a project may use. For platform admins; a condition is checked when one was sent.
    pub async fn set_quota(
        &self,
        caller: &Caller,
        project: &str,
        expected: &Expected,
        update: QuotaUpdate,
    ) -> Result<Quota> {
        let project = visible(&self.core, caller, project).await?;
        require_admin(caller)?;
        for (field, value, most) in [
            ("storage_bytes", update.storage_bytes, STORAGE_BYTES_MAX),
            ("job_minutes", update.job_minutes, JOB_MINUTES_MAX),
            ("open_jobs", update.open_jobs, OPEN_JOBS_MAX),
        ] {
            if value.is_some_and(|value| value > most) {
                return Err(Error::invalid(field, format!("The quota is at most {most}.")));
            }
        }
        let key = keys::quota(&project.id);
        let stored = self.core.ports.records.get(&key).await?;
        if *expected != Expected::Unsaid {
            match &stored {
                Some(stored) => expected.check(&etag(&stored.version), "quota")?,
                None if *expected == Expected::Tag(etag(&Version(String::new()))) => {}
                None => expected.check_absent("quota")?,
            }
        }
        let expect = stored.map_or(Expect::Absent, |stored| Expect::At(stored.version));
        let record = QuotaRecord { v: 1, set: update.clone() };
        let told = NewEvent::new("quota.set", format!("project/{}", project.id), json!(update));
        let made = self.core.commit(&project.id, caller, &[told], vec![Write::put(key, json!(record), expect)]).await;
        made.map_err(|e| if e.is_condition_failed() { Error::PreconditionFailed("The quota") } else { e.into() })?;
        quota(&self.core, &project.id).await
    }

    /// For the worker: `Error::Quota` when the project may store nothing more.
    pub async fn refuse_full(&self, project: &ProjectId) -> Result<()> {
        refuse_full(&self.core, project, 1).await
    }
}

pub(crate) fn require_admin(caller: &Caller) -> Result<()> {
    let denied = |_| Error::Forbidden("Only a platform admin sees and sets this.".into());
    caller.principal.require_admin().map_err(denied)
}

/// A project that the caller may see, or look after as a platform admin.
pub(crate) async fn visible(core: &Core, caller: &Caller, project: &str) -> Result<Project> {
    match core.project(caller, project, Permission::ReadProject).await {
        Err(Error::NotFound(_) | Error::Forbidden(_)) => core.project(caller, project, Permission::ManageProject).await,
        other => other,
    }
}

/// Every project that there is, in order of creation.
pub(crate) async fn all_projects(core: &Core, query: &PageQuery) -> Result<Page<Project>> {
    let after = query.after("", |raw| ProjectId::parse(raw).is_ok())?;
    let range = RangeQuery { partition: keys::PROJECTS.into(), after, limit: query.limit(), ..RangeQuery::default() };
    let page = core.ports.records.query(range).await?;
    let mut items = Vec::with_capacity(page.records.len());
    for record in page.records {
        let Ok(id) = ProjectId::parse(record.key.sort.as_str()) else { continue };
        let stored = core.read::<ProjectRecord>(&keys::project(&id)).await?;
        items.extend(stored.filter(|s| !s.value.deleted).map(|stored| stored.value.view(&stored.version)));
    }
    Ok(Page { items, next: page.next })
}

async fn usage_of(core: &Core, project: Project, month: &Month) -> Result<ProjectUsage> {
    let storage = storage(core, &project.id).await?;
    let worked = core.read::<JobUsageRecord>(&keys::job_usage(&project.id, month)).await?;
    let worked = worked.map(|stored| stored.value).unwrap_or_default();
    let mut members = 0;
    let mut after = None;
    while members < MEMBERS_COUNTED_MAX {
        let page = core.identity.members().list(&project.id, after.as_ref(), identity::PAGE_MAX).await;
        let page = page.map_err(|e| Error::identity(e, "project"))?;
        members += page.items.len();
        after = page.items.into_iter().last().map(|member| member.account);
        if page.next.is_none() {
            break;
        }
    }
    Ok(ProjectUsage {
        repository_bytes: storage.repository,
        files_bytes: storage.files,
        artifacts_bytes: storage.artifacts,
        job_ms: worked.ms,
        jobs: worked.jobs,
        members,
        quota: quota(core, &project.id).await?,
        project,
    })
}

struct Storage {
    repository: u64,
    files: u64,
    artifacts: u64,
}

async fn storage(core: &Core, project: &ProjectId) -> Result<Storage> {
    let of_git = core.git.usage(&repository(project)?).await;
    let of_git = match of_git {
        Err(git_store::Error::NotFound(_)) => 0,
        other => other.map_err(|e| Error::git(e, "project", "project"))?.bytes,
    };
    let mut files = 0_u64;
    for key in [keys::file_usage(project), keys::lfs_usage(project)] {
        let stored = core.ports.records.get(&key).await?;
        files = files.saturating_add(stored.and_then(|record| record.value["bytes"].as_u64()).unwrap_or(0));
    }
    let artifacts = core.read::<ArtifactUsageRecord>(&keys::artifact_usage(project)).await?;
    Ok(Storage { repository: of_git, files, artifacts: artifacts.map_or(0, |stored| stored.value.bytes) })
}

async fn quota(core: &Core, project: &ProjectId) -> Result<Quota> {
    let stored = core.read::<QuotaRecord>(&keys::quota(project)).await?;
    let (set, version) = match stored {
        Some(Stored { value, version }) => (value.set, version),
        None => (QuotaUpdate::default(), Version(String::new())),
    };
    let usual = &core.quotas;
    Ok(Quota {
        storage_bytes: set.storage_bytes.unwrap_or(usual.storage_bytes_per_project),
        job_minutes: set.job_minutes.unwrap_or(usual.job_minutes_per_month),
        open_jobs: set.open_jobs.unwrap_or(usual.open_jobs_per_project as u64),
        set,
        etag: etag(&version),
    })
}

/// Bytes that the project may store besides what it does.
pub(crate) async fn storage_left(core: &Core, project: &ProjectId) -> Result<u64> {
    let most = quota(core, project).await?.storage_bytes;
    let Storage { repository, files, artifacts } = storage(core, project).await?;
    Ok([repository, files, artifacts].into_iter().fold(most, u64::saturating_sub))
}

/// `Error::Quota` when `adding` bytes more are over what the project may store.
pub(crate) async fn refuse_full(core: &Core, project: &ProjectId, adding: u64) -> Result<()> {
    let most = quota(core, project).await?.storage_bytes;
    let Storage { repository, files, artifacts } = storage(core, project).await?;
    let sum = [repository, files, artifacts].into_iter().fold(adding, u64::saturating_add);
    if sum > most {
        return Err(Error::Quota(format!("The project may store {most} bytes, and they are used up.").into()));
    }
    Ok(())
}

/// How many jobs may be open; `Error::Quota` when the month's minutes are used up.
pub(crate) async fn open_jobs_allowed(core: &Core, project: &ProjectId) -> Result<usize> {
    let quota = quota(core, project).await?;
    let month = Month::of(core.ports.clock.now());
    let worked = core.read::<JobUsageRecord>(&keys::job_usage(project, &month)).await?;
    let minutes = worked.map_or(0, |stored| stored.value.ms / MINUTE.as_millis() as u64);
    if minutes >= quota.job_minutes {
        let most = quota.job_minutes;
        return Err(Error::Quota(
            format!("The project has {most} minutes of jobs a month, and they are used up.").into(),
        ));
    }
    Ok(usize::try_from(quota.open_jobs).unwrap_or(usize::MAX))
}

/// The write that counts a job which gets its final state; good for one attempt.
pub(crate) async fn job_write(core: &Core, job: &JobRecord) -> Result<Write> {
    let ended = job.finished.unwrap_or(job.created);
    let key = keys::job_usage(&job.project, &Month::of(ended));
    let stored = core.read::<JobUsageRecord>(&key).await?;
    let (before, expect) =
        stored.map_or((JobUsageRecord::default(), Expect::Absent), |s| (s.value, Expect::At(s.version)));
    let ms = job.started.map_or(0, |started| ended.since(started).as_millis());
    let now = JobUsageRecord {
        ms: before.ms.saturating_add(u64::try_from(ms).unwrap_or(u64::MAX)),
        jobs: before.jobs.saturating_add(1),
    };
    Ok(Write::put(key, json!(now), expect))
}

/// The writes that count artifacts which the project has not had; good for one attempt.
pub(crate) async fn artifact_writes(core: &Core, project: &ProjectId, artifacts: &[Artifact]) -> Result<Vec<Write>> {
    let mut writes: Vec<Write> = Vec::new();
    let mut more = 0_u64;
    for artifact in artifacts {
        let key = keys::artifact(project, artifact.sha256);
        let twice = writes.iter().any(|write| matches!(write, Write::Put { key: known, .. } if *known == key));
        if !twice && core.ports.records.get(&key).await?.is_none() {
            more = more.saturating_add(artifact.length);
            writes.push(Write::put(key, json!({ "length": artifact.length }), Expect::Absent));
        }
    }
    if !writes.is_empty() {
        let key = keys::artifact_usage(project);
        let stored = core.read::<ArtifactUsageRecord>(&key).await?;
        let (before, expect) = stored.map_or((0, Expect::Absent), |s| (s.value.bytes, Expect::At(s.version)));
        writes.push(Write::put(key, json!(ArtifactUsageRecord { bytes: before.saturating_add(more) }), expect));
    }
    Ok(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for (time, month) in [
            (0, "1970-01"),
            (1_709_251_199_999, "2024-02"),
            (1_709_251_200_000, "2024-03"),
            (1_798_761_599_999, "2026-12"),
            (1_798_761_600_000, "2027-01"),
        ] {
            assert_eq!(Month::of(Millis(time)).as_str(), month);
        }
        assert_eq!(Month::parse("2026-01").unwrap().before().as_str(), "2025-12");
        for bad in ["", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "+026-11", "2026-1a"] {
            assert!(Month::parse(bad).is_err(), "{bad}");
        }
    }
}
