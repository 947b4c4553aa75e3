//! Commits made over REST: a chosen set of drafts and changes, at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cloud::{Expect, Write};
use git_store::{Commit, CommitFiles, FileChange, FileMode, Oid};
use identity::{AccountId, Permission, ProjectId};

use crate::core::Core;
use crate::policy::ProjectPolicy;
use crate::projects::Project;
use crate::repository::{existing_path as existing, parse_branch, parse_oid, parse_path};
use crate::starters::signature;
use crate::{Caller, Error, Result, drafts, keys};

/// A commit message (bytes).
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Drafts and changes in one commit.
pub const CHANGES_MAX: usize = 1_000;
/// Drafts removed in the commit's own transaction: it has 100 writes, and needs some for refs and the journal.
const DRAFTS_ALONG_MAX: usize = 80;

/// One step of a commit that is not a draft.
#[derive(Clone, Debug)]
pub enum Change {
    Put {
        path: String,
        bytes: Bytes,
        executable: Option<bool>,
    },
    /// The file must not be there yet.
    Create {
        path: String,
        bytes: Bytes,
        executable: Option<bool>,
    },
    /// The file must be there.
    Update {
        path: String,
        bytes: Bytes,
        executable: Option<bool>,
    },
    Delete {
        path: String,
    },
    Move {
        from: String,
        to: String,
    },
    /// Makes a file executable, or plain.
    Mode {
        path: String,
        executable: bool,
    },
}

/// A commit to be made of drafts and changes.
#[derive(Clone, Debug, Default)]
pub struct NewCommit {
    pub branch: String,
    /// Where the branch must point; may be left out only when the branch does not exist yet.
    pub expected_head: Option<String>,
    pub message: String,
    /// Paths of the caller's drafts on the branch.
    pub drafts: Vec<String>,
    /// Applied after the drafts, in order.
    pub changes: Vec<Change>,
    /// The caller's own commit at the branch, which this one replaces: nobody else may have it.
    pub amend: Option<String>,
}

/// Makes commits.
#[derive(Clone)]
pub struct Commits {
    core: Arc<Core>,
}

struct Taken {
    changes: Vec<FileChange>,
    /// The drafts that go when the commit is made.
    removals: Vec<Write>,
}

impl Commits {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Commits drafts and changes to a branch. The drafts taken are gone with the commit, those saved anew in
    /// between are not lost: the commit is then refused.
    pub async fn create(&self, caller: &Caller, project: &str, new: NewCommit) -> Result<Commit> {
        let project = self.core.project(caller, project, Permission::WriteCode).await?;
        let repository = project.repository()?;
        let branch = parse_branch("branch", &new.branch)?;
        let message = checked_message(&new.message)?;
        if new.drafts.len() + new.changes.len() > CHANGES_MAX {
            return Err(Error::invalid("changes", format!("A commit has at most {CHANGES_MAX} drafts and changes.")));
        }
        let mut expected_head = new.expected_head.as_deref().map(parse_oid).transpose()?;
        let amended = new.amend.as_deref().map(parse_oid).transpose()?;
        if let Some(amended) = amended {
            if expected_head.is_some_and(|head| head != amended) {
                return Err(Error::invalid("amend", "It is not the commit of expected_head."));
            }
            expected_head = Some(amended);
        }
        if let Some(made) = self.made_before(caller, &project).await? {
            return Ok(made);
        }
        match amended {
            Some(amended) => self.refuse_shared(caller, &project, &branch, amended).await?,
            None if expected_head.is_none() => self.refuse_existing(&project.id, &branch).await?,
            None => {}
        }
        let mut taken = self.take(&project.id, &caller.principal.account, &branch, &new.drafts).await?;
        taken.changes = self.without_vanished(&project, expected_head, taken.changes).await?;
        for change in new.changes {
            taken.changes.push(file_change(change)?);
        }
        self.refuse_odd_names(&project, expected_head, &taken.changes).await?;
        if taken.changes.is_empty() && amended.is_none() {
            return Err(Error::invalid("changes", "The commit would change nothing."));
        }
        let later = taken.removals.split_off(taken.removals.len().min(DRAFTS_ALONG_MAX));
        let author = signature(&self.core, caller);
        let request = CommitFiles {
            branch,
            expected_head,
            author: author.clone(),
            committer: author,
            message,
            changes: taken.changes,
            amend: amended.is_some(),
            push_id: push_id(&self.core, caller, &project.id),
        };
        let policy = ProjectPolicy::new(&self.core, caller, &project, taken.removals).await?;
        let commit = self.core.git.commit_files(&repository, request, &policy).await;
        let commit = commit.map_err(|e| Error::git(e, "path", "changes"))?;
        self.remove(later).await;
        Ok(commit)
    }

    /// The commit that an earlier request with the same idempotency token made: its answer was lost, its drafts are
    /// gone, its branch has moved.
    async fn made_before(&self, caller: &Caller, project: &Project) -> Result<Option<Commit>> {
        if caller.idempotency_token.is_none() {
            return Ok(None);
        }
        let author = signature(&self.core, caller);
        // No branch points at the null id: either the push id is known, or this is refused before anything is done.
        let asked = CommitFiles {
            branch: project.default_branch.clone(),
            expected_head: Some(Oid::ZERO),
            author: author.clone(),
            committer: author,
            message: String::new(),
            changes: Vec::new(),
            amend: false,
            push_id: push_id(&self.core, caller, &project.id),
        };
        let policy = ProjectPolicy::new(&self.core, caller, project, Vec::new()).await?;
        match self.core.git.commit_files(&project.repository()?, asked, &policy).await {
            Ok(commit) => Ok(Some(commit)),
            Err(git_store::Error::Moved { .. }) => Ok(None),
            Err(error) => Err(Error::git(error, "commit", "changes")),
        }
    }

    /// Whether the caller may put another commit in the place of `amended`: it is theirs, and it is at this branch and
    /// nowhere else.
    async fn refuse_shared(
        &self,
        caller: &Caller,
        project: &Project,
        branch: &git_store::BranchName,
        amended: Oid,
    ) -> Result<()> {
        let head = crate::repository::resolve(&self.core, &project.id, branch.to_ref().as_str()).await?;
        if head != amended {
            return Err(Error::conflict("The branch has moved: others may have built on this commit."));
        }
        let repository = project.repository()?;
        let commit = self.core.git.commit(&repository, amended).await.map_err(|e| Error::git(e, "commit", "amend"))?;
        let own = caller.principal.email.to_string();
        if commit.author.email != own || commit.committer.email != own {
            return Err(Error::conflict("The commit is not yours to amend: somebody else made it."));
        }
        let elsewhere = self.core.git.refs_with(&repository, amended, &branch.to_ref()).await;
        if let Some(name) = elsewhere.map_err(|e| Error::git(e, "commit", "amend"))? {
            return Err(Error::conflict(format!("Others have this commit: it is part of `{name}`.")));
        }
        if crate::Releases::new(self.core.clone()).has(&project.id, &amended.to_string()).await? {
            return Err(Error::conflict("Others have this commit: a release was made of it."));
        }
        Ok(())
    }

    /// A new file gets a name that every system can hold; one that a push brought keeps what it has.
    async fn refuse_odd_names(&self, project: &Project, head: Option<Oid>, changes: &[FileChange]) -> Result<()> {
        let written = |change: &FileChange| match change {
            FileChange::Put { path, .. } | FileChange::Update { path, .. } => Some(path.clone()),
            _ => None,
        };
        let odd = |path: &git_store::RepoPath| git_store::RepoPath::parse(path.as_str()).is_err();
        let odd: Vec<_> = changes.iter().filter_map(written).filter(odd).collect();
        if odd.is_empty() {
            return Ok(());
        }
        let there = match head {
            None => Vec::new(),
            Some(head) => {
                let there = self.core.git.existing(&project.repository()?, head, odd.clone()).await;
                there.map_err(|e| Error::git(e, "commit", "expected_head"))?
            }
        };
        match odd.iter().find(|path| !there.contains(path)) {
            Some(new) => parse_path("changes", new.as_str()).map(drop),
            None => Ok(()),
        }
    }

    async fn refuse_existing(&self, project: &ProjectId, branch: &git_store::BranchName) -> Result<()> {
        match crate::repository::resolve(&self.core, project, branch.to_ref().as_str()).await {
            Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(Error::PreconditionRequired("Send expected_head: the commit that you saw at the branch.")),
        }
    }

    async fn take(
        &self,
        project: &ProjectId,
        account: &AccountId,
        branch: &git_store::BranchName,
        paths: &[String],
    ) -> Result<Taken> {
        let mut taken = Taken { changes: Vec::new(), removals: Vec::new() };
        let mut writes = Vec::new();
        for raw in paths.iter().collect::<BTreeSet<_>>() {
            let path = parse_path("drafts", raw)?;
            let draft = drafts::find(&self.core, project, account, branch, &path).await?;
            let draft = draft.ok_or(Error::NotFound("draft"))?;
            let key = keys::draft(project, account, branch, &path);
            taken.removals.push(Write::Delete { key, expect: Expect::At(draft.version) });
            if draft.value.deleted {
                taken.changes.push(FileChange::Delete { path });
            } else {
                let bytes = drafts::content(&self.core, project, &draft.value).await?;
                writes.push(FileChange::Put { path, bytes, mode: draft.value.mode() });
            }
        }
        // Deletions first: a file may come where a folder was.
        taken.changes.append(&mut writes);
        Ok(taken)
    }

    /// The changes without deletions of what is not there: someone else was faster, and that is what was wanted.
    async fn without_vanished(
        &self,
        project: &Project,
        head: Option<Oid>,
        changes: Vec<FileChange>,
    ) -> Result<Vec<FileChange>> {
        let deleted = changes.iter().filter_map(|change| match change {
            FileChange::Delete { path } => Some(path.clone()),
            _ => None,
        });
        let deleted: Vec<_> = deleted.collect();
        if deleted.is_empty() {
            return Ok(changes);
        }
        let there: BTreeSet<_> = match head {
            None => BTreeSet::new(),
            Some(head) => match self.core.git.existing(&project.repository()?, head, deleted).await {
                Ok(there) => there.into_iter().collect(),
                // Not a commit of this repository: the branch is not there, which the commit itself tells.
                Err(git_store::Error::NotFound(_)) => return Ok(changes),
                Err(error) => return Err(Error::git(error, "commit", "expected_head")),
            },
        };
        let is_there = |change: &FileChange| match change {
            FileChange::Delete { path } => there.contains(path),
            _ => true,
        };
        Ok(changes.into_iter().filter(is_there).collect())
    }

    /// Drafts past what fits into the commit's transaction. One that stays behind equals the committed file.
    async fn remove(&self, removals: Vec<Write>) {
        for removal in removals {
            if let Err(error) = self.core.ports.records.transact(vec![removal]).await {
                tracing::warn!(%error, "a committed draft stays");
            }
        }
    }
}

/// The same for a repeated request, so that a lost answer does not become a second commit.
pub(crate) fn push_id(core: &Core, caller: &Caller, project: &ProjectId) -> String {
    match &caller.idempotency_token {
        Some(token) => {
            let whole = format!("{}\n{project}\n{token}", caller.principal.account);
            cloud::Sha256Digest::of(whole.as_bytes()).to_string()
        }
        None => core.ulid(),
    }
}

fn file_change(change: Change) -> Result<FileChange> {
    let mode = |executable: bool| if executable { FileMode::Executable } else { FileMode::Plain };
    Ok(match change {
        Change::Put { path, bytes, executable } => {
            FileChange::Put { path: existing("changes", &path)?, bytes, mode: executable.map(mode) }
        }
        Change::Create { path, bytes, executable } => {
            FileChange::Create { path: parse_path("changes", &path)?, bytes, mode: executable.map(mode) }
        }
        Change::Update { path, bytes, executable } => {
            FileChange::Update { path: existing("changes", &path)?, bytes, mode: executable.map(mode) }
        }
        Change::Delete { path } => FileChange::Delete { path: existing("changes", &path)? },
        Change::Move { from, to } => {
            FileChange::Move { from: existing("changes", &from)?, to: parse_path("changes", &to)? }
        }
        Change::Mode { path, executable } => {
            FileChange::SetMode { path: existing("changes", &path)?, mode: mode(executable) }
        }
    })
}

/// A message with `\n` line ends and one at its end.
pub(crate) fn checked_message(raw: &str) -> Result<String> {
    if raw.len() > MESSAGE_BYTES_MAX {
        return Err(Error::TooLarge(format!("A commit message has at most {MESSAGE_BYTES_MAX} bytes.").into()));
    }
    let text = raw.replace("\r\n", "\n").replace('\r', "\n");
    if text.trim().is_empty() || text.contains('\0') {
        return Err(Error::invalid("message", "The commit message has text, and no NUL."));
    }
    Ok(format!("{}\n", text.trim_end()))
}
