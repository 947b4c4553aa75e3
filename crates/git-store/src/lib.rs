//! Git repositories on blobs and records.
//!
//! One record a repository holds its refs and the list of its packs; packs are immutable blobs. A change
//! writes the pack, then moves the record by compare-and-swap in one transaction with what the owner of the
//! repository adds ([`RefPolicy`]): a crash leaves garbage, never damage.
//!
//! **Invariant**: every object in a live pack has all objects it names in live packs of the same repository.
//! **Invariant**: no git binary, no lock, no account and no HTTP in here.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ancestry;
mod asker;
mod bitmap;
mod cache;
mod changes;
mod client;
mod compact;
mod edit;
mod error;
mod filter;
mod folder;
mod fsck;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod lines;
mod merge;
mod merging;
mod model;
mod names;
mod objects;
mod oid;
mod pack;
mod path;
mod policy;
mod protocol;
mod push;
mod quarantine;
mod reach;
mod read;
mod reading;
mod record;
mod remembered;
mod renames;
mod scratch;
mod shallow;
mod spool;
mod store;
mod tags;
mod walk;

pub use client::{Remote, RemoteRef, RemoteRefs, Tell};
pub use compact::Compacted;
pub use error::{Error, Result};
pub use merge::{
    Conflict, ConflictHunk, ConflictReason, ConflictSide, MergeKind, MergeOutcome, MergePreview, MergeRequest,
    PickRequest, Resolution, ResolutionTake,
};
pub use model::{
    ArchiveFormat, Blame, BlameRange, Commit, CommitFiles, Comparison, Diff, DiffHunk, DiffLine, DiffLineKind,
    EntryKind, File, FileChange, FileDiff, FileMatches, FileMode, FileStatus, Head, LineMatch, LogPage, LogQuery,
    PathsPage, Ref, RefUpdate, Signature, Tag, TreeEntry, TreePage, Usage,
};
pub use names::{BranchName, RefName, RepositoryId, Revision};
pub use oid::Oid;
pub use path::RepoPath;
pub use path::{bytes_of, text_of};
pub use policy::{RefChange, RefChangeKind, RefPolicy};
pub use read::{Globs, Matcher, PatternOptions, SearchPage, SearchQuery};
pub use store::{GitStore, GitStoreSettings};
pub use tags::{NewTag, TagName};
