//! Tags over REST.

use git_store::{NewTag, Tag, TagName};
use identity::Permission;

use crate::commits::{checked_message, push_id};
use crate::policy::ProjectPolicy;
use crate::repository::{Repository, resolve};
use crate::starters::signature;
use crate::{Caller, Error, Page, PageQuery, Result};

/// A tag to be made.
#[derive(Clone, Debug, Default)]
pub struct TagFor {
    pub name: String,
    /// A branch, tag or commit.
    pub target: String,
    /// Makes it an annotated tag.
    pub message: Option<String>,
}

fn parse_tag(field: &'static str, raw: &str) -> Result<TagName> {
    TagName::parse(raw).map_err(|_| Error::invalid_ref(field, "The tag name is not one that git allows."))
}

impl Repository {
    /// Tags in order of their names.
    pub async fn tags(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<Tag>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let after = query.after("", |raw| TagName::parse(raw).is_ok())?;
        let page = self.core.git.tags(&project.repository()?, after.as_deref(), query.limit()).await;
        let (items, more) = page.map_err(|e| Error::git(e, "project", "project"))?;
        let next = items.last().filter(|_| more).map(|tag| tag.name.clone());
        Ok(Page { items, next })
    }

    /// Makes a tag; with a message an annotated one.
    pub async fn create_tag(&self, caller: &Caller, project: &str, new: TagFor) -> Result<Tag> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let name = parse_tag("name", &new.name)?;
        let message = new.message.as_deref().map(checked_message).transpose()?;
        let target = resolve(&self.core, &project.id, &new.target).await?;
        let tagger = signature(&self.core, caller);
        let tag = NewTag { name, target, message, tagger, push_id: push_id(&self.core, caller, &project.id) };
        let policy = ProjectPolicy::new(&self.core, caller, &project, Vec::new()).await?;
        let made = self.core.git.create_tag(&project.repository()?, tag, &policy).await;
        made.map_err(|e| Error::git(e, "commit", "name"))
    }

    /// Removes a tag.
    pub async fn delete_tag(&self, caller: &Caller, project: &str, tag: &str) -> Result<()> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let name = parse_tag("tag", tag)?;
        let policy = ProjectPolicy::new(&self.core, caller, &project, Vec::new()).await?;
        let gone = self.core.git.delete_tag(&project.repository()?, &name, &policy).await;
        gone.map_err(|e| Error::git(e, "tag", "tag"))
    }
}
