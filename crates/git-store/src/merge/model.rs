//! What merging takes and answers.

use bytes::Bytes;

use crate::{BranchName, Commit, FileMode, Oid, RepoPath, Signature};

/// Why a path could not be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConflictReason {
    /// Both sides changed the same lines.
    Content,
    /// Both sides added a file here.
    BothAdded,
    /// Ours deleted what theirs changed or renamed.
    DeletedByUs,
    /// Theirs deleted what ours changed or renamed.
    DeletedByThem,
    /// The sides renamed one file to different names, or different files to one name.
    Renamed,
    /// A file is where the other side has a folder.
    DirectoryFile,
    /// The sides have different modes, or different kinds of file.
    Mode,
    /// Both sides changed a file that has no lines, or is too large.
    Binary,
    /// Both sides moved a submodule.
    Submodule,
}

/// One side's version of a file in conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictSide {
    pub path: String,
    pub blob: Oid,
    /// As git stores it.
    pub mode: u32,
}

/// Lines that both sides changed; without their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictHunk {
    pub base: Vec<String>,
    pub ours: Vec<String>,
    pub theirs: Vec<String>,
    /// The first line in ours, from 1 on; where it would be when there is none.
    pub ours_line: usize,
    pub theirs_line: usize,
}

/// A path that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub path: String,
    pub reason: ConflictReason,
    pub base: Option<ConflictSide>,
    pub ours: Option<ConflictSide>,
    pub theirs: Option<ConflictSide>,
    /// Empty when the file has no lines to compare, or the conflicts together are too long to tell.
    pub hunks: Vec<ConflictHunk>,
    /// The text with conflict markers.
    pub merged: Option<String>,
}

/// What a person made of a path in conflict.
#[derive(Clone, Debug)]
pub struct Resolution {
    pub path: RepoPath,
    pub take: ResolutionTake,
}

#[derive(Clone, Debug)]
pub enum ResolutionTake {
    /// `mode: None` keeps that of ours, or else of theirs.
    Bytes {
        bytes: Bytes,
        mode: Option<FileMode>,
    },
    Delete,
    Ours,
    Theirs,
}

/// What a merge comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeKind {
    /// Everything is there already.
    UpToDate,
    /// The branch only has to move.
    FastForward,
    Merge,
    Conflict,
}

/// What would become of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePreview {
    pub kind: MergeKind,
    /// `None` when the histories have nothing in common: they cannot be merged.
    pub merge_base: Option<Oid>,
    pub into_commit: Oid,
    pub from_commit: Oid,
    pub conflicts: Vec<Conflict>,
}

/// A merge into a branch.
#[derive(Clone, Debug)]
pub struct MergeRequest {
    pub into: BranchName,
    /// Where the branch must point.
    pub expected_into: Oid,
    pub from: Oid,
    /// How the other side is called in conflict markers.
    pub from_name: String,
    pub message: String,
    pub author: Signature,
    /// Makes a commit even where the branch only has to move.
    pub no_ff: bool,
    pub resolutions: Vec<Resolution>,
    /// As in `CommitFiles`.
    pub push_id: String,
}

/// A commit's change made once more, or taken back, on a branch.
#[derive(Clone, Debug)]
pub struct PickRequest {
    pub onto: BranchName,
    /// Where the branch must point.
    pub expected_onto: Oid,
    pub commit: Oid,
    /// Takes the change back.
    pub revert: bool,
    /// Which parent a merge is compared with, from 1 on.
    pub mainline: Option<usize>,
    /// The commit's own when `None`; of a revert, what it takes back.
    pub message: Option<String>,
    /// The author of a revert, the committer of either.
    pub committer: Signature,
    pub resolutions: Vec<Resolution>,
    /// As in `CommitFiles`.
    pub push_id: String,
}

/// What became of a merge.
#[derive(Clone, Debug)]
pub enum MergeOutcome {
    Done { kind: MergeKind, commit: Commit },
    Conflicts(Vec<Conflict>),
}
