//! What the owner of a repository adds to a change of refs.

use cloud::Write;

use crate::{Oid, RefName};

/// How a ref moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefChangeKind {
    Create,
    /// The new commit has the old one among its ancestors.
    FastForward,
    /// Commits that were on the ref are no longer.
    Rewind,
    Delete,
}

/// One ref that is about to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefChange {
    pub name: RefName,
    pub old: Option<Oid>,
    pub new: Option<Oid>,
    pub kind: RefChangeKind,
}

/// Rules and records of whoever owns the repository.
#[async_trait::async_trait]
pub trait RefPolicy: Send + Sync {
    /// `Err` refuses the change; the text is shown to the client as the reason.
    async fn check(&self, change: &RefChange) -> Result<(), String>;
    /// The options of a push (git-push, `--push-option`), before any of its changes is looked at. `Err` refuses them all.
    async fn options(&self, _options: &[String]) -> Result<(), String> {
        Ok(())
    }
    /// Writes that join the transaction that moves the refs. Called anew on each attempt, so that their
    /// expectations are fresh; when one of them does not hold the whole attempt is made again.
    async fn along(&self, changes: &[RefChange]) -> Result<Vec<Write>, cloud::Error>;
}
