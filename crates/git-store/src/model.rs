//! What the operations on a repository take and answer.

use bytes::Bytes;
use cloud::Millis;

use crate::{BranchName, Oid, RefName, RepoPath};

/// Who did something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub email: String,
    /// Git keeps whole seconds.
    pub at: Millis,
    /// Minutes east of UTC.
    pub offset_minutes: i32,
}

/// A ref, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    pub name: RefName,
    pub oid: Oid,
    /// What an annotated tag points at in the end.
    pub peeled: Option<Oid>,
}

/// The default branch; `oid` is `None` until it has a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub branch: BranchName,
    pub oid: Option<Oid>,
}

/// What an entry of a tree names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    File,
    Folder,
    Symlink,
    Submodule,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// As in [`RepoPath`]: bytes that are not UTF-8 have code points of their own.
    pub name: String,
    /// As git stores it: 0o100644, 0o100755, 0o120000, 0o040000, 0o160000.
    pub mode: u32,
    pub kind: EntryKind,
    pub oid: Oid,
    /// Bytes; files and symlinks only.
    pub size: Option<u64>,
}

/// One page of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreePage {
    pub entries: Vec<TreeEntry>,
    /// Pass as `after` for the next page; `None` when this was the last.
    pub next: Option<String>,
}

/// A page of the paths of a commit's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathsPage {
    pub items: Vec<String>,
    /// Pass as `from` for the next page; `None` when this was the last.
    pub next: Option<u64>,
    /// There are more files than can be counted, or folders too deep to be looked into.
    pub limited: bool,
}

/// A line in which something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineMatch {
    /// From 1 on.
    pub line: usize,
    /// UTF-16 units of the line that are left out before `text`.
    pub offset: usize,
    /// The line, or a part of it when it is long.
    pub text: String,
    /// Start and end of each match: UTF-16 units of `text`.
    pub ranges: Vec<(usize, usize)>,
}

/// The lines of a file in which something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMatches {
    pub path: String,
    pub matches: Vec<LineMatch>,
    /// There are more than are told.
    pub limited: bool,
}

/// A file, or the text of a symlink (never its target).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub bytes: Bytes,
    pub mode: u32,
    pub oid: Oid,
}

/// A commit, without its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub oid: Oid,
    pub tree: Oid,
    pub parents: Vec<Oid>,
    pub author: Signature,
    pub committer: Signature,
    pub message: String,
}

/// Which commits to list: the newest first, from one on.
#[derive(Clone, Debug)]
pub struct LogQuery {
    pub from: Oid,
    /// Only commits that changed what is at this path.
    pub path: Option<RepoPath>,
    /// Goes on under the old name where the file at `path` was renamed.
    pub follow: bool,
    /// Only commits that this one has not in its history.
    pub without: Option<Oid>,
    /// The last commit of the page before.
    pub after: Option<Oid>,
    pub limit: usize,
}

impl LogQuery {
    /// All commits from `from` on.
    pub fn of(from: Oid) -> Self {
        Self { from, path: None, follow: false, without: None, after: None, limit: 50 }
    }
}

/// One page of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    pub commits: Vec<Commit>,
    /// Pass as `after` for the next page; `None` when this was the last.
    pub next: Option<Oid>,
}

/// What a diff says happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStatus {
    Added,
    Deleted,
    Modified,
    Renamed,
    Copied,
    TypeChanged,
}

/// The change of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiff {
    pub old_path: Option<String>,
    pub new_path: Option<String>,
    pub old_blob: Option<Oid>,
    pub new_blob: Option<Oid>,
    /// As git stores it.
    pub old_mode: Option<u32>,
    pub new_mode: Option<u32>,
    pub status: FileStatus,
    pub additions: usize,
    pub deletions: usize,
    pub binary: bool,
    /// Unified text; `None` when the file is binary or the patch is past the limit.
    pub patch: Option<String>,
    /// The same line by line, when it was asked for.
    pub hunks: Option<Vec<DiffHunk>>,
}

/// Lines that changed, with some around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffHunk {
    /// From 1 on; of no lines, the line before.
    pub old_start: usize,
    pub old_lines: usize,
    pub new_start: usize,
    pub new_lines: usize,
    /// `@@ … @@`, and where it is.
    pub header: String,
    pub lines: Vec<DiffLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffLineKind {
    Context,
    Added,
    Removed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    pub kind: DiffLineKind,
    /// Without its end.
    pub text: String,
    /// The file ends with this line, without a line end.
    pub no_newline: bool,
}

/// How far two commits are apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    pub base: Oid,
    pub head: Oid,
    /// `None` when the histories have nothing in common.
    pub merge_base: Option<Oid>,
    /// Commits that `head` has and `base` has not.
    pub ahead: usize,
    /// Commits that `base` has and `head` has not.
    pub behind: usize,
    /// The newest of those ahead.
    pub commits: Vec<Commit>,
    /// What changed from the merge base to `head`.
    pub diff: Diff,
}

/// Lines of a file that come from one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlameRange {
    /// From 1 on.
    pub line: usize,
    pub count: usize,
    pub commit: Oid,
    /// The path of the file in that commit, and the line there.
    pub source_path: String,
    pub source_line: usize,
}

/// Which commit each line of a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    pub commit: Oid,
    pub path: String,
    pub ranges: Vec<BlameRange>,
    pub commits: Vec<Commit>,
    /// The history was too long: some lines are from before the commit that is told.
    pub partial: bool,
}

/// A tag, and what an annotated one says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Without `refs/tags/`.
    pub name: String,
    pub oid: Oid,
    /// What it points at in the end.
    pub target: Oid,
    /// Of annotated tags.
    pub tagger: Option<Signature>,
    pub message: Option<String>,
}

/// How the files of a commit are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    Zip,
    TarGz,
}

/// The changes between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    pub files: Vec<FileDiff>,
    /// There are more files than are listed.
    pub truncated: bool,
}

/// How a file is stored and checked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FileMode {
    #[default]
    Plain,
    Executable,
    /// The bytes are the link's text.
    Symlink,
}

impl FileMode {
    pub(crate) const fn bits(self) -> u32 {
        match self {
            Self::Plain => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
        }
    }
}

/// One step of a commit; steps are applied in order.
#[derive(Clone, Debug)]
pub enum FileChange {
    /// `mode: None` keeps the mode of the file that is there.
    Put { path: RepoPath, bytes: Bytes, mode: Option<FileMode> },
    /// As `Put`, of a file that is not there yet; `Error::Conflict` when it is.
    Create { path: RepoPath, bytes: Bytes, mode: Option<FileMode> },
    /// As `Put`, of a file that is there; `Error::NotFound` when it is not.
    Update { path: RepoPath, bytes: Bytes, mode: Option<FileMode> },
    /// Makes a file executable or plain.
    SetMode { path: RepoPath, mode: FileMode },
    /// A file, or a folder with all it holds. `Error::NotFound` when there is none.
    Delete { path: RepoPath },
    /// A file or folder. `Error::Conflict` when something is at `to`.
    Move { from: RepoPath, to: RepoPath },
}

/// A commit on top of a branch.
#[derive(Clone, Debug)]
pub struct CommitFiles {
    pub branch: BranchName,
    /// Where the branch must point; `None` when it must not exist yet (the commit then has no parent).
    pub expected_head: Option<Oid>,
    pub author: Signature,
    pub committer: Signature,
    pub message: String,
    pub changes: Vec<FileChange>,
    /// The commit takes the place of the one at `expected_head`: its parents, its author, and its files with the
    /// changes.
    pub amend: bool,
    /// Names this attempt: asked again with the same id, the commit made the first time is the answer.
    pub push_id: String,
}

/// A move of one ref: from `old` (`None`: absent) to `new` (`None`: deleted).
#[derive(Clone, Debug)]
pub struct RefUpdate {
    pub name: RefName,
    pub old: Option<Oid>,
    pub new: Option<Oid>,
    /// As in [`CommitFiles`].
    pub push_id: String,
}

/// What a repository holds in storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub packs: usize,
    pub objects: u64,
    /// Bytes of packs and their indexes.
    pub bytes: u64,
}
