//! Projects: a repository, its members, environments, jobs and files under one slug.

use std::sync::Arc;

use cloud::{Expect, Millis, Sha256Digest, Version, Write};
use git_store::{BranchName, RepositoryId};
use identity::{Permission, ProjectId, Role};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::core::Core;
use crate::events::NewEvent;
use crate::jobs::{JobKind, Jobs, NewJob};
use crate::{
    Caller, EnvironmentName, Error, Expected, Job, Page, PageQuery, ProjectImport, Result, Slug, keys, starters, usage,
};

const NAME_CHARS_MAX: usize = 100;
const DESCRIPTION_CHARS_MAX: usize = 1_000;
const PROTECTED_MAX: usize = 50;
const DEFAULT_BRANCH: &str = "main";
/// Pages of projects that one search looks at.
const SEARCH_PAGES_MAX: usize = 10;

/// A project as its members see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    pub id: ProjectId,
    pub slug: Slug,
    pub name: String,
    pub description: String,
    pub default_branch: BranchName,
    /// Only maintainers move, rewind or delete these.
    pub protected_branches: Vec<BranchName>,
    /// Only maintainers deploy to these.
    pub protected_environments: Vec<EnvironmentName>,
    pub created: Millis,
    pub created_by: String,
    pub etag: String,
    /// Where its repository was to come from, and the job that brings it.
    pub import: Option<ProjectImport>,
}

impl Project {
    /// The repository has the project's id.
    pub(crate) fn repository(&self) -> Result<RepositoryId> {
        repository(&self.id)
    }
}

pub(crate) fn repository(project: &ProjectId) -> Result<RepositoryId> {
    RepositoryId::parse(project.as_str()).map_err(|e| Error::internal("naming a repository", e))
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProjectRecord {
    pub v: u32,
    pub id: ProjectId,
    pub slug: Slug,
    pub name: String,
    pub description: String,
    pub default_branch: BranchName,
    pub protected_branches: Vec<BranchName>,
    pub protected_environments: Vec<EnvironmentName>,
    pub created: Millis,
    pub created_by: String,
    /// Nobody sees it any more; its slug is free once the purge is through.
    pub deleted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ProjectImport>,
}

impl ProjectRecord {
    pub fn view(self, version: &Version) -> Project {
        Project {
            id: self.id,
            slug: self.slug,
            name: self.name,
            description: self.description,
            default_branch: self.default_branch,
            protected_branches: self.protected_branches,
            protected_environments: self.protected_environments,
            created: self.created,
            created_by: self.created_by,
            etag: etag(version),
            import: self.import,
        }
    }
}

/// A validator from a record's version: short, and without characters that a header would not carry.
pub(crate) fn etag(version: &Version) -> String {
    hex::encode(&Sha256Digest::of(version.0.as_bytes()).0[..12])
}

/// What a new project is to be.
#[derive(Clone, Debug, Default)]
pub struct NewProject {
    pub name: String,
    pub slug: String,
    pub description: Option<String>,
    /// The starter whose files are the first commit; an empty repository when `None`.
    pub starter: Option<String>,
    pub default_branch: Option<String>,
}

/// Changes to a project; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct ProjectUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub protected_branches: Option<Vec<String>>,
    pub protected_environments: Option<Vec<String>>,
}

/// Creates, lists, changes and deletes projects.
#[derive(Clone)]
pub struct Projects {
    core: Arc<Core>,
}

impl Projects {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Creates a project with the caller as its owner. The repository and its first commit are written before the
    /// project's record, so that a project is whole from the moment it exists.
    pub async fn create(&self, caller: &Caller, new: NewProject) -> Result<Project> {
        caller
            .principal
            .require_platform()
            .map_err(|_| Error::Forbidden("Your token may not create projects.".into()))?;
        let record = self.checked(caller, &new)?;
        let files = match &new.starter {
            Some(name) => starters::files(&self.core, name).await?,
            None => Vec::new(),
        };
        self.refuse_too_many(caller).await?;
        if self.core.ports.records.get(&keys::slug(&record.slug)).await?.is_some() {
            return Err(slug_taken());
        }
        let repository = repository(&record.id)?;
        match self.core.git.create(&repository, &record.default_branch).await {
            // The id is new: a repository that is there was made by this very call, sent twice below the port.
            Ok(()) | Err(git_store::Error::Exists(_)) => {}
            Err(error) => return Err(Error::git(error, "project", "default_branch")),
        }
        if !files.is_empty() {
            starters::first_commit(&self.core, caller, &record, files).await?;
        }
        let stored = self.store_new(caller, &record).await;
        if stored.is_err() {
            self.undo(&record, &repository).await;
        }
        stored
    }

    async fn store_new(&self, caller: &Caller, record: &ProjectRecord) -> Result<Project> {
        let owner = self.core.identity.members().first_owner_writes(&record.id, &caller.principal.account);
        let mut writes = owner.map_err(|e| Error::identity(e, "account"))?;
        // The first, so that its version is the first of the answer.
        writes.insert(0, Write::put(keys::project(&record.id), json!(record), Expect::Absent));
        writes.push(Write::put(keys::slug(&record.slug), json!({ "project": record.id }), Expect::Absent));
        writes.push(Write::put(keys::listed_project(&record.id), json!({}), Expect::Absent));
        let detail = json!({ "slug": record.slug, "name": record.name });
        let event = NewEvent::new("project.created", format!("project/{}", record.id), detail);
        let made = self.core.commit(&record.id, caller, &[event], writes).await;
        let versions = made.map_err(|error| if error.is_condition_failed() { slug_taken() } else { error.into() })?;
        if let Some(Some(version)) = versions.first() {
            return Ok(record.clone().view(version));
        }
        let stored = self.core.read::<ProjectRecord>(&keys::project(&record.id)).await?;
        let stored = stored.ok_or(Error::NotFound("project"))?;
        Ok(stored.value.view(&stored.version))
    }

    /// Removes what a creation that lost its slug has left; what stays behind on a failure is garbage, not damage.
    async fn undo(&self, record: &ProjectRecord, repository: &RepositoryId) {
        let unclear = self.core.ports.records.get(&keys::project(&record.id)).await;
        if matches!(unclear, Ok(None))
            && let Err(error) = self.core.git.delete(repository).await
        {
            tracing::warn!(project = %record.id, %error, "a repository without a project stays behind");
        }
    }

    fn checked(&self, caller: &Caller, new: &NewProject) -> Result<ProjectRecord> {
        let branch = new.default_branch.as_deref().unwrap_or(DEFAULT_BRANCH);
        let default_branch = BranchName::parse(branch)
            .map_err(|_| Error::invalid_ref("default_branch", "The branch name is not one that git allows."))?;
        let prod = EnvironmentName::parse("prod")?;
        Ok(ProjectRecord {
            v: 1,
            id: ProjectId::generate(&*self.core.ports.clock, &*self.core.ports.entropy),
            slug: Slug::parse(new.slug.as_str())?,
            name: checked_text("name", &new.name, 1, NAME_CHARS_MAX)?,
            description: checked_text(
                "description",
                new.description.as_deref().unwrap_or(""),
                0,
                DESCRIPTION_CHARS_MAX,
            )?,
            default_branch,
            protected_branches: Vec::new(),
            protected_environments: vec![prod],
            created: self.core.ports.clock.now(),
            created_by: caller.principal.account.to_string(),
            deleted: false,
            import: None,
        })
    }

    async fn refuse_too_many(&self, caller: &Caller) -> Result<()> {
        let most = self.core.quotas.projects_per_account;
        let mut count = 0;
        let mut after: Option<ProjectId> = None;
        loop {
            let members = self.core.identity.members();
            let page = members.projects_of(&caller.principal.account, after.as_ref(), identity::PAGE_MAX).await;
            let page = page.map_err(|e| Error::identity(e, "account"))?;
            count += page.items.len();
            if count >= most {
                return Err(Error::Quota(format!("An account has at most {most} projects.").into()));
            }
            match page.next.map(ProjectId::parse) {
                Some(next) => after = Some(next.map_err(|e| Error::identity(e, "account"))?),
                None => return Ok(()),
            }
        }
    }

    pub async fn get(&self, caller: &Caller, project: &str) -> Result<Project> {
        self.core.project(caller, project, Permission::ReadProject).await
    }

    /// The projects that the caller is a member of, with their role.
    pub async fn list(&self, caller: &Caller, query: &PageQuery) -> Result<Page<(Project, Role)>> {
        let after = query.after.as_deref().map(|raw| ProjectId::parse(raw).map_err(|_| Error::invalid_cursor()));
        let after = after.transpose()?;
        let limit = query.limit().min(identity::PAGE_MAX);
        let members = self.core.identity.members();
        let page = members.projects_of(&caller.principal.account, after.as_ref(), limit).await;
        let page = page.map_err(|e| Error::identity(e, "account"))?;
        let mut items = Vec::with_capacity(page.items.len());
        for membership in page.items {
            match self.core.project(caller, membership.project.as_str(), Permission::ReadProject).await {
                Ok(project) => items.push((project, membership.role)),
                // A token for one project, or a project that is being deleted.
                Err(Error::NotFound(_) | Error::Forbidden(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Page { items, next: page.next })
    }

    /// Projects whose name or slug has the text `search` in it: the caller's own, or with `all` every one, for platform
    /// admins. A page may be short and have a next one.
    pub async fn search(
        &self,
        caller: &Caller,
        search: &str,
        all: bool,
        query: &PageQuery,
    ) -> Result<Page<(Project, Option<Role>)>> {
        if all {
            usage::require_admin(caller)?;
        }
        let wanted = search.trim().to_lowercase();
        if wanted.chars().count() > NAME_CHARS_MAX {
            return Err(Error::invalid("q", format!("A search has at most {NAME_CHARS_MAX} characters.")));
        }
        let limit = query.limit().min(identity::PAGE_MAX);
        let mut page = PageQuery { after: query.after.clone(), limit: Some(limit) };
        let mut items = Vec::new();
        // Each round adds less than a page, so that the answer is less than two.
        for _ in 0..SEARCH_PAGES_MAX {
            let found = match all {
                true => self.with_roles(caller, usage::all_projects(&self.core, &page).await?).await?,
                false => self.list(caller, &page).await?.map(|(project, role)| (project, Some(role))),
            };
            let fits = |project: &Project| {
                project.name.to_lowercase().contains(&wanted) || project.slug.as_str().contains(&wanted)
            };
            items.extend(found.items.into_iter().filter(|(project, _)| fits(project)));
            page.after = found.next;
            if page.after.is_none() || items.len() >= limit {
                break;
            }
        }
        Ok(Page { items, next: page.after })
    }

    async fn with_roles(&self, caller: &Caller, page: Page<Project>) -> Result<Page<(Project, Option<Role>)>> {
        let mut items = Vec::with_capacity(page.items.len());
        for project in page.items {
            let role = self.core.identity.members().role_of(&project.id, &caller.principal.account).await;
            items.push((project, role.map_err(|e| Error::identity(e, "project"))?));
        }
        Ok(Page { items, next: page.next })
    }

    pub async fn update(
        &self,
        caller: &Caller,
        project: &str,
        expected: &Expected,
        update: ProjectUpdate,
    ) -> Result<Project> {
        let stored = self.core.stored_project(caller, project, Permission::ManageProject).await?;
        expected.check(&etag(&stored.version), "project")?;
        let mut record = stored.value;
        if let Some(name) = &update.name {
            record.name = checked_text("name", name, 1, NAME_CHARS_MAX)?;
        }
        if let Some(description) = &update.description {
            record.description = checked_text("description", description, 0, DESCRIPTION_CHARS_MAX)?;
        }
        if let Some(branches) = update.protected_branches {
            record.protected_branches = checked_list("protected_branches", branches, |raw| {
                BranchName::parse(raw)
                    .map_err(|_| Error::invalid_ref("protected_branches", "A name is not one that git allows."))
            })?;
        }
        if let Some(environments) = update.protected_environments {
            record.protected_environments =
                checked_list("protected_environments", environments, EnvironmentName::parse)?;
        }
        let id = record.id.clone();
        let write = Write::put(keys::project(&id), json!(record), Expect::At(stored.version));
        let event = NewEvent::new("project.updated", format!("project/{id}"), json!({ "name": record.name }));
        let made = self.core.commit(&id, caller, &[event], vec![write]).await;
        made.map_err(|e| if e.is_condition_failed() { Error::PreconditionFailed("The project") } else { e.into() })?;
        self.core.project(caller, id.as_str(), Permission::ReadProject).await.or_else(|error| match error {
            // A platform admin may change a project without reading it.
            Error::NotFound(_) | Error::Forbidden(_) => Ok(record.clone().view(&Version(String::new()))),
            other => Err(other),
        })
    }

    /// Deletes the project: from now on nobody sees it. A job removes its environments, repository and slug.
    pub async fn delete(&self, caller: &Caller, project: &str, expected: &Expected) -> Result<Job> {
        let stored = self.core.stored_project(caller, project, Permission::DeleteProject).await?;
        expected.check(&etag(&stored.version), "project")?;
        let mut record = stored.value;
        record.deleted = true;
        let write = Write::put(keys::project(&record.id), json!(record), Expect::At(stored.version));
        let jobs = Jobs::new(self.core.clone());
        let job = NewJob { id: jobs.new_id()?, kind: JobKind::Purge, reference: None, commit: None };
        jobs.create(caller, &record.id, job, vec![write]).await
    }

    /// For the worker: removes what a deleted project holds, then frees its slug. May be run again after a crash.
    pub(crate) async fn purge(&self, project: &ProjectId) -> Result<()> {
        let Some(stored) = self.core.read::<ProjectRecord>(&keys::project(project)).await? else { return Ok(()) };
        let record = stored.value;
        if !record.deleted {
            return Err(Error::conflict("The project is not deleted."));
        }
        for environment in crate::environments::names(&self.core, project).await? {
            crate::environments::clear(&self.core, &record.slug, project, &environment).await?;
        }
        let members = self.core.identity.members();
        members.clear(project).await.map_err(|e| Error::identity(e, "project"))?;
        self.core.git.delete(&repository(project)?).await.map_err(|e| Error::git(e, "project", "project"))?;
        crate::drafts::clear(&self.core, project).await?;
        self.remove_blobs(&format!("projects/{project}/")).await?;
        self.core
            .ports
            .logs
            .delete_group(&crate::jobs::log_group(project))
            .await
            .or_else(|e| if e.is_not_found() { Ok(()) } else { Err(e) })?;
        self.core.ports.records.delete(keys::listed_project(project), Expect::Anything).await?;
        let slug = keys::slug(&record.slug);
        if let Some(named) = self.core.ports.records.get(&slug).await?
            && named.value["project"] == project.as_str()
        {
            self.core
                .ports
                .records
                .transact(vec![Write::Delete { key: slug, expect: Expect::At(named.version) }])
                .await?;
        }
        Ok(())
    }

    async fn remove_blobs(&self, prefix: &str) -> Result<()> {
        loop {
            let page = self.core.ports.blobs.list(prefix, None, 500).await?;
            for blob in &page.blobs {
                self.core.ports.blobs.delete(&blob.key).await?;
            }
            if page.next.is_none() {
                return Ok(());
            }
        }
    }
}

fn slug_taken() -> Error {
    Error::conflict("Another project has this slug.")
}

/// Text on one line, trimmed, without control characters.
fn checked_text(field: &'static str, raw: &str, least: usize, most: usize) -> Result<String> {
    let text = raw.trim();
    let length = text.chars().count();
    if length < least || length > most || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Error::invalid(
            field,
            format!("The {field} has {least} to {most} characters and no control characters."),
        ));
    }
    Ok(text.to_owned())
}

fn checked_list<T: Ord>(field: &'static str, raw: Vec<String>, parse: impl Fn(String) -> Result<T>) -> Result<Vec<T>> {
    if raw.len() > PROTECTED_MAX {
        return Err(Error::invalid(field, format!("At most {PROTECTED_MAX} entries.")));
    }
    let mut list = raw.into_iter().map(parse).collect::<Result<Vec<T>>>()?;
    list.sort();
    list.dedup();
    Ok(list)
}
