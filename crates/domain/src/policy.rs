//! The project's rules for its refs, and what joins every move of them.

use std::sync::Arc;

use cloud::Write;
use git_store::{RefChange, RefChangeKind, RefPolicy};
use identity::{Permission, Role, decide};
use serde_json::{Value, json};

use crate::core::Core;
use crate::events::{Author, NewEvent};
use crate::projects::Project;
use crate::{Caller, Error, Result};

/// Refs told of in one event; a push of more says how many there were.
const REFS_TOLD_MAX: usize = 100;

/// Why a full project takes no change: git clients read it as it is, callers of the API as [`Error::Quota`].
pub(crate) const STORAGE_FULL: &str = "the project's storage is used up";

/// One caller's push, commit or branch operation.
pub(crate) struct ProjectPolicy {
    core: Arc<Core>,
    caller: Caller,
    project: Project,
    role: Option<Role>,
    /// Records that go with the change, with the versions that they must have.
    also: Vec<Write>,
    /// The project may store nothing more.
    full: bool,
}

impl ProjectPolicy {
    pub async fn new(core: &Arc<Core>, caller: &Caller, project: &Project, also: Vec<Write>) -> Result<Self> {
        let role = core.identity.members().role_of(&project.id, &caller.principal.account).await;
        let role = role.map_err(|e| Error::identity(e, "project"))?;
        let full = match crate::usage::refuse_full(core, &project.id, 1).await {
            Err(Error::Quota(_)) => true,
            other => other.map(|()| false)?,
        };
        Ok(Self { core: Arc::clone(core), caller: caller.clone(), project: project.clone(), role, also, full })
    }

    fn may_write_protected(&self) -> bool {
        decide(&self.caller.principal, &self.project.id, self.role, Permission::WriteProtected).is_ok()
    }
}

#[async_trait::async_trait]
impl RefPolicy for ProjectPolicy {
    async fn check(&self, change: &RefChange) -> Result<(), String> {
        if self.full && change.kind != RefChangeKind::Delete {
            return Err(STORAGE_FULL.into());
        }
        let Some(branch) = change.name.branch() else { return Ok(()) };
        let default = branch == self.project.default_branch;
        if default && change.kind == RefChangeKind::Delete {
            return Err("the default branch cannot be deleted".into());
        }
        let protected = self.project.protected_branches.contains(&branch);
        if protected && !self.may_write_protected() {
            return Err("protected branch: only maintainers move it".into());
        }
        if (protected || default) && change.kind == RefChangeKind::Rewind && !self.may_write_protected() {
            return Err("protected branch: only maintainers rewrite its history".into());
        }
        Ok(())
    }

    async fn along(&self, changes: &[RefChange]) -> Result<Vec<Write>, cloud::Error> {
        for write in &self.also {
            self.check_fresh(write).await?;
        }
        let resource = match changes {
            [one] => one.name.to_string(),
            _ => format!("repository/{}", self.project.id),
        };
        let event = NewEvent::new("git.pushed", resource, told_of(changes));
        let mut writes = self.core.journal.along(&self.project.id, &Author::of(&self.caller), &[event]).await?;
        writes.extend(self.also.iter().cloned());
        Ok(writes)
    }
}

impl ProjectPolicy {
    /// A draft that has changed since it was read will not become what it was: no attempt can succeed.
    async fn check_fresh(&self, write: &Write) -> Result<(), cloud::Error> {
        if let Write::Delete { key, expect: cloud::Expect::At(version) } = write {
            let now = self.core.ports.records.get(key).await?;
            if now.is_none_or(|record| record.version != *version) {
                return Err(cloud::Error::Stale("The draft"));
            }
        }
        Ok(())
    }
}

/// What an event tells of a push.
pub(crate) fn told_of(changes: &[RefChange]) -> Value {
    let refs: Vec<Value> = changes.iter().take(REFS_TOLD_MAX).map(told).collect();
    json!({ "refs": refs, "count": changes.len() })
}

fn told(change: &RefChange) -> Value {
    let kind = match change.kind {
        RefChangeKind::Create => "create",
        RefChangeKind::FastForward => "fast_forward",
        RefChangeKind::Rewind => "rewind",
        RefChangeKind::Delete => "delete",
    };
    json!({ "name": change.name, "old": change.old, "new": change.new, "kind": kind })
}
