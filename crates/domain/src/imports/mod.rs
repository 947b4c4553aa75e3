//! Imports: a project whose repository comes from an address elsewhere, brought by a job.

mod address;
mod secret;

use std::sync::Arc;

use cloud::{Expect, Secret, Write};
use git_store::{RefChange, RefPolicy, Remote, RemoteRefs, Tell};
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::core::{Core, Stored};
use crate::events::{Author, NewEvent};
use crate::jobs::{JobKind, Jobs, NewJob};
use crate::policy::told_of;
use crate::projects::{ProjectRecord, Projects, repository};
use crate::{Caller, Error, Job, JobId, Lease, NewProject, Project, Result, keys};

pub use address::{check_import_url, is_public, parse_import_url};
pub use secret::ImportCredential;

/// A user name or a password (bytes).
const CREDENTIAL_BYTES_MAX: usize = 1_000;
/// Refs that the result names as left out.
const SKIPPED_TOLD_MAX: usize = 20;

/// Where a repository is to come from.
#[derive(Clone)]
pub struct NewImport {
    pub url: String,
    /// Anything but empty where there is a password; `git` when absent.
    pub username: Option<String>,
    pub password: Option<Secret>,
}

/// What a project remembers of its import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectImport {
    /// Without any credential.
    pub url: String,
    /// The job that brings it; its state says how that went.
    pub job: JobId,
}

/// What the worker needs to know of an import.
pub struct ImportTask {
    pub url: Url,
    pub credential: Option<ImportCredential>,
}

/// Starts imports, and carries them out for the worker.
#[derive(Clone)]
pub struct Imports {
    core: Arc<Core>,
}

impl Imports {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Makes an empty project, and the job that fills it.
    pub async fn create_project(&self, caller: &Caller, new: NewProject, import: NewImport) -> Result<(Project, Job)> {
        // Before anything is made. The project's own rules are checked next, with the right to make one.
        let (url, credential) = checked(&import)?;
        if new.starter.is_some() {
            return Err(Error::invalid("starter", "A project begins from a starter or from an import, not from both."));
        }
        let project = Projects::new(self.core.clone()).create(caller, new).await?;
        let job = self.enqueue(caller, &project.id, &url, credential).await?;
        let project = self.core.project(caller, project.id.as_str(), Permission::ReadProject).await?;
        Ok((project, job))
    }

    /// Imports into a project that is still empty: again after a failure, or for the first time.
    pub async fn start(&self, caller: &Caller, project: &str, import: NewImport) -> Result<Job> {
        let project = self.core.project(caller, project, Permission::ManageProject).await?;
        let (url, credential) = checked(&import)?;
        let refs = self.core.git.refs(&project.repository()?).await.map_err(|e| Error::git(e, "project", "project"))?;
        if !refs.is_empty() {
            return Err(Error::conflict("The repository is not empty; an import fills an empty one."));
        }
        if let Some(before) = &project.import
            && !Jobs::new(self.core.clone()).find(&project.id, &before.job).await?.state.is_final()
        {
            return Err(Error::conflict("An import of this project is under way."));
        }
        self.enqueue(caller, &project.id, &url, credential).await
    }

    async fn enqueue(
        &self,
        caller: &Caller,
        project: &ProjectId,
        url: &Url,
        credential: Option<ImportCredential>,
    ) -> Result<Job> {
        let jobs = Jobs::new(self.core.clone());
        let id = jobs.new_id()?;
        let stored = self.record(project).await?;
        let import = ProjectImport { url: url.to_string(), job: id.clone() };
        let record = ProjectRecord { import: Some(import), ..stored.value };
        let mut also = vec![Write::put(keys::project(project), json!(record), Expect::At(stored.version))];
        let mut opener = None;
        if let Some(credential) = &credential {
            let (at, now) = (keys::import_secret(project, &id), self.core.ports.clock.now());
            let (write, key) = secret::seal(&*self.core.ports.entropy, now, at, credential)?;
            also.push(write);
            opener = Some(key);
        }
        let job = NewJob { id, kind: JobKind::Import, reference: None, commit: None };
        jobs.create_with_key(caller, project, job, also, opener).await
    }

    async fn record(&self, project: &ProjectId) -> Result<Stored<ProjectRecord>> {
        let stored: Option<Stored<ProjectRecord>> = self.core.read(&keys::project(project)).await?;
        stored.filter(|stored| !stored.value.deleted).ok_or(Error::NotFound("project"))
    }

    /// For the worker: what a job is to import. `key` is from the job's message.
    pub async fn task(&self, job: &Job, key: Option<&str>) -> Result<ImportTask> {
        let record = self.record(&job.project).await?.value;
        let import = record.import.filter(|import| import.job == job.id).ok_or(Error::NotFound("import"))?;
        let url = Url::parse(&import.url).map_err(|error| Error::internal("reading an import's address", error))?;
        let sealed = self.core.ports.records.get(&keys::import_secret(&job.project, &job.id)).await?;
        let credential = match (sealed, key) {
            (None, _) => None,
            (Some(record), Some(key)) => Some(secret::open(&record, key)?),
            (Some(_), None) => {
                return Err(Error::Forbidden("The credential did not reach the job; start the import again.".into()));
            }
        };
        Ok(ImportTask { url, credential })
    }

    /// For the worker: brings a repository, and makes its default branch the project's. The answer is the job's result.
    pub async fn run(&self, job: &Job, lease: &Lease, remote: &dyn Remote, tell: Tell) -> Result<Value> {
        let refs = self.core.git.remote_refs(remote).await.map_err(remote_error)?;
        tell(format!("{} branches and tags", refs.refs.len()));
        for name in refs.skipped.iter().take(SKIPPED_TOLD_MAX) {
            tell(format!("left out: `{name}` is not a name that this platform keeps"));
        }
        let author = Jobs::new(self.core.clone()).author(&job.project, &job.id).await?;
        let policy = ImportPolicy { imports: self, project: &job.project, author, refs: &refs };
        let repository = repository(&job.project)?;
        self.core.git.import(&repository, remote, &refs, tell, &policy).await.map_err(remote_error)?;
        let usage = self.core.git.usage(&repository).await.map_err(remote_error)?;
        tracing::info!(job = %lease.job, refs = refs.refs.len(), bytes = usage.bytes, "a repository was imported");
        Ok(json!({
            "refs": refs.refs.len(),
            "skipped": refs.skipped.iter().take(SKIPPED_TOLD_MAX).collect::<Vec<_>>(),
            "default_branch": refs.head,
            "objects": usage.objects,
            "bytes": usage.bytes,
        }))
    }

    /// For the worker: an import has ended; what it was trusted with goes.
    pub async fn forget(&self, project: &ProjectId, job: &JobId) -> Result<()> {
        let delete = Write::Delete { key: keys::import_secret(project, job), expect: Expect::Anything };
        Ok(self.core.ports.records.transact(vec![delete]).await.map(drop)?)
    }
}

/// What a server elsewhere said is for who asked for the import.
fn remote_error(error: git_store::Error) -> Error {
    if error.is_callers() { Error::Conflict(error.to_string().into()) } else { Error::git(error, "project", "url") }
}

fn checked(import: &NewImport) -> Result<(Url, Option<ImportCredential>)> {
    let url = parse_import_url(&import.url)?;
    let fits = |text: &str| text.len() <= CREDENTIAL_BYTES_MAX && !text.chars().any(char::is_control);
    let username = import.username.as_deref().unwrap_or("git");
    if username.is_empty() || !fits(username) || username.contains(':') {
        return Err(Error::invalid(
            "username",
            "A user name has no colon, no control characters and at most 1,000 bytes.",
        ));
    }
    match &import.password {
        None if import.username.is_some() => Err(Error::invalid("password", "A user name needs a password.")),
        None => Ok((url, None)),
        Some(password) if !fits(password.expose()) || password.expose().is_empty() => {
            Err(Error::invalid("password", "A password has 1 to 1,000 bytes and no control characters."))
        }
        Some(password) => {
            Ok((url, Some(ImportCredential { username: username.to_owned(), password: password.clone() })))
        }
    }
}

/// The refs of an import move in one transaction with the project's default branch and the events.
struct ImportPolicy<'a> {
    imports: &'a Imports,
    project: &'a ProjectId,
    author: Author,
    refs: &'a RemoteRefs,
}

#[async_trait::async_trait]
impl RefPolicy for ImportPolicy<'_> {
    async fn check(&self, _: &RefChange) -> Result<(), String> {
        Ok(())
    }

    async fn along(&self, changes: &[RefChange]) -> Result<Vec<Write>, cloud::Error> {
        let stored = self.imports.record(self.project).await;
        let stored = stored.map_err(|error| cloud::Error::other("reading a project", error))?;
        let detail = json!({ "url": stored.value.import.as_ref().map(|import| &import.url), "count": changes.len() });
        let events = [
            NewEvent::new("project.imported", format!("project/{}", self.project), detail),
            NewEvent::new("git.pushed", format!("repository/{}", self.project), told_of(changes)),
        ];
        let journal = &self.imports.core.journal;
        let mut writes = journal.along(self.project, &self.author, &events).await?;
        let mut record = stored.value;
        if let Some(head) = &self.refs.head {
            record.default_branch = head.clone();
        }
        writes.push(Write::put(keys::project(self.project), json!(record), Expect::At(stored.version)));
        Ok(writes)
    }
}
