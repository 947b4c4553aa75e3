//! Merges, cherry-picks and reverts over REST: the same rules, event and audit entry as a push has.

use std::sync::Arc;

use bytes::Bytes;
use git_store::{
    BranchName, Commit, Conflict, FileMode, MergeKind, MergeOutcome, MergePreview, MergeRequest, Oid, PickRequest,
    Resolution, ResolutionTake, Revision,
};
use identity::{Permission, ProjectId};

use crate::commits::{CHANGES_MAX, checked_message, push_id};
use crate::core::Core;
use crate::policy::ProjectPolicy;
use crate::repository::{existing_path, parse_branch, parse_oid, resolve};
use crate::starters::signature;
use crate::{Caller, Error, Result};

/// What a person made of a path in conflict.
#[derive(Clone, Debug)]
pub struct Resolve {
    pub path: String,
    pub take: ResolveTake,
}

/// The content of a resolved path.
#[derive(Clone, Debug)]
pub enum ResolveTake {
    Bytes { bytes: Bytes, executable: Option<bool> },
    Delete,
    Ours,
    Theirs,
}

/// A merge to be made.
#[derive(Clone, Debug, Default)]
pub struct NewMerge {
    pub into: String,
    /// A branch, tag or commit.
    pub from: String,
    /// As git words it when `None`.
    pub message: Option<String>,
    /// Where the branch must point; where it is when `None`.
    pub expected_into: Option<String>,
    /// Makes a commit even where the branch only has to move.
    pub no_ff: bool,
    pub resolutions: Vec<Resolve>,
}

/// A commit to be made once more, or taken back.
#[derive(Clone, Debug, Default)]
pub struct NewPick {
    pub commit: String,
    pub onto: String,
    pub message: Option<String>,
    pub expected_onto: Option<String>,
    pub mainline: Option<usize>,
    pub revert: bool,
    pub resolutions: Vec<Resolve>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Merged {
    Done {
        kind: MergeKind,
        commit: Commit,
    },
    /// Nothing was done: these need a person.
    Conflicts(Vec<Conflict>),
}

/// Merges branches.
#[derive(Clone)]
pub struct Merges {
    core: Arc<Core>,
}

impl Merges {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// What a merge would come to.
    pub async fn preview(&self, caller: &Caller, project: &str, into: &str, from: &str) -> Result<MergePreview> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let (branch, ours) = self.branch(&project.id, "into", into).await?;
        let theirs = resolve(&self.core, &project.id, from).await.map_err(|e| named(e, "from"))?;
        let names = (branch.to_string(), from.to_owned());
        let preview = self.core.git.preview_merge(&project.repository()?, ours, theirs, names).await;
        preview.map_err(|e| Error::git(e, "commit", "from"))
    }

    /// Merges a branch, tag or commit into a branch.
    pub async fn merge(&self, caller: &Caller, project: &str, new: NewMerge) -> Result<Merged> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let (into, head) = self.branch(&project.id, "into", &new.into).await?;
        let from = resolve(&self.core, &project.id, &new.from).await.map_err(|e| named(e, "from"))?;
        let message = match &new.message {
            Some(message) => checked_message(message)?,
            None => default_message(&new.from, &into),
        };
        let request = MergeRequest {
            into,
            expected_into: expected("expected_into", new.expected_into.as_deref())?.unwrap_or(head),
            from,
            from_name: new.from,
            message,
            author: signature(&self.core, caller),
            no_ff: new.no_ff,
            resolutions: resolutions(new.resolutions)?,
            push_id: push_id(&self.core, caller, &project.id),
        };
        let policy = ProjectPolicy::new(&self.core, caller, &project, Vec::new()).await?;
        outcome(self.core.git.merge(&project.repository()?, request, &policy).await)
    }

    /// Makes a commit's change once more on a branch, or takes it back.
    pub async fn pick(&self, caller: &Caller, project: &str, new: NewPick) -> Result<Merged> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let (onto, head) = self.branch(&project.id, "onto", &new.onto).await?;
        let request = PickRequest {
            onto,
            expected_onto: expected("expected_onto", new.expected_onto.as_deref())?.unwrap_or(head),
            commit: resolve(&self.core, &project.id, &new.commit).await.map_err(|e| named(e, "commit"))?,
            revert: new.revert,
            mainline: new.mainline,
            message: new.message.as_deref().map(checked_message).transpose()?,
            committer: signature(&self.core, caller),
            resolutions: resolutions(new.resolutions)?,
            push_id: push_id(&self.core, caller, &project.id),
        };
        let policy = ProjectPolicy::new(&self.core, caller, &project, Vec::new()).await?;
        let made = self.core.git.pick(&project.repository()?, request, &policy).await;
        match made {
            Err(git_store::Error::Invalid(text)) if text.contains("mainline") || text.contains("parent") => {
                Err(Error::invalid("mainline", format!("{text}.")))
            }
            made => outcome(made),
        }
    }

    /// A branch that is there, and where it points.
    async fn branch(&self, project: &ProjectId, field: &'static str, raw: &str) -> Result<(BranchName, Oid)> {
        let branch = parse_branch(field, raw)?;
        let head = resolve(&self.core, project, branch.to_ref().as_str()).await;
        match head {
            Err(Error::NotFound(_)) => Err(Error::NotFound("branch")),
            head => Ok((branch, head?)),
        }
    }
}

/// The error of a ref that came in another member than `ref`.
fn named(error: Error, field: &'static str) -> Error {
    match error {
        Error::Invalid { code, message, .. } => Error::Invalid { field: Some(field), code, message },
        other => other,
    }
}

fn expected(field: &'static str, raw: Option<&str>) -> Result<Option<Oid>> {
    raw.map(parse_oid).transpose().map_err(|error| named(error, field))
}

fn resolutions(all: Vec<Resolve>) -> Result<Vec<Resolution>> {
    if all.len() > CHANGES_MAX {
        return Err(Error::invalid("resolutions", format!("A merge has at most {CHANGES_MAX} resolutions.")));
    }
    let mode = |on: bool| if on { FileMode::Executable } else { FileMode::Plain };
    let read = |one: Resolve| {
        let take = match one.take {
            ResolveTake::Bytes { bytes, executable } => ResolutionTake::Bytes { bytes, mode: executable.map(mode) },
            ResolveTake::Delete => ResolutionTake::Delete,
            ResolveTake::Ours => ResolutionTake::Ours,
            ResolveTake::Theirs => ResolutionTake::Theirs,
        };
        Ok(Resolution { path: existing_path("resolutions", &one.path)?, take })
    };
    all.into_iter().map(read).collect()
}

fn outcome(made: git_store::Result<MergeOutcome>) -> Result<Merged> {
    match made.map_err(|e| Error::git(e, "commit", "resolutions"))? {
        MergeOutcome::Done { kind, commit } => Ok(Merged::Done { kind, commit }),
        MergeOutcome::Conflicts(conflicts) => Ok(Merged::Conflicts(conflicts)),
    }
}

/// As git words it (git-fmt-merge-msg).
fn default_message(from: &str, into: &BranchName) -> String {
    let what = match Revision::parse(from) {
        Ok(Revision::Oid(oid)) => format!("commit '{oid}'"),
        Ok(Revision::Ref(name)) if name.as_str().starts_with("refs/tags/") => {
            format!("tag '{}'", name.as_str().trim_start_matches("refs/tags/"))
        }
        _ => format!("branch '{}'", from.trim_start_matches("refs/heads/")),
    };
    format!("Merge {what} into {into}\n")
}
