//! What changed between two commits.

use git2::{Delta, DiffFindOptions, DiffOptions, Patch};

use crate::objects::Objects;
use crate::{Diff, FileDiff, FileStatus, Oid, Result};

/// Files listed in one diff.
const FILES_MAX: usize = 1000;
/// The patch of one file, and all patches of one diff (bytes).
const PATCH_BYTES_MAX: usize = 256 << 10;
const PATCHES_BYTES_MAX: usize = 4 << 20;
/// A file that is larger is shown as binary (bytes).
const TEXT_BYTES_MAX: i64 = 8 << 20;
/// Files among which renames are looked for.
const RENAMES_MAX: usize = 400;

pub(crate) fn diff(objects: &Objects, base: Option<Oid>, head: Oid) -> Result<Diff> {
    let repository = objects.repository();
    let tree = |commit: Oid| Ok::<_, crate::Error>(repository.find_tree(objects.commit_links(&commit)?.tree.into())?);
    let old = base.map(tree).transpose()?;
    let new = tree(head)?;
    let mut options = DiffOptions::new();
    options.max_size(TEXT_BYTES_MAX).include_typechange(true);
    let mut diff = repository.diff_tree_to_tree(old.as_ref(), Some(&new), Some(&mut options))?;
    if diff.deltas().len() <= FILES_MAX {
        diff.find_similar(Some(DiffFindOptions::new().renames(true).rename_limit(RENAMES_MAX)))?;
    }
    let count = diff.deltas().len();
    let mut files = Vec::new();
    let mut left = PATCHES_BYTES_MAX;
    for at in 0..count.min(FILES_MAX) {
        files.push(file(&diff, at, &mut left)?);
    }
    Ok(Diff { files, truncated: count > FILES_MAX })
}

fn file(diff: &git2::Diff<'_>, at: usize, left: &mut usize) -> Result<FileDiff> {
    let mut patch = Patch::from_diff(diff, at)?;
    let delta = diff.get_delta(at).ok_or_else(|| git2::Error::from_str("a delta is gone"))?;
    let status = match delta.status() {
        Delta::Added => FileStatus::Added,
        Delta::Deleted => FileStatus::Deleted,
        Delta::Renamed => FileStatus::Renamed,
        Delta::Copied => FileStatus::Copied,
        Delta::Typechange => FileStatus::TypeChanged,
        _ => FileStatus::Modified,
    };
    let path = |file: git2::DiffFile<'_>| file.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned());
    let (additions, deletions) = match &patch {
        Some(patch) => patch.line_stats().map(|(_, additions, deletions)| (additions, deletions))?,
        None => (0, 0),
    };
    let binary = patch.is_none() || patch.as_ref().is_some_and(|patch| patch.delta().flags().is_binary());
    let text = match &mut patch {
        Some(patch) if !binary && patch.size(true, true, true) <= PATCH_BYTES_MAX.min(*left) => {
            let text = patch.to_buf()?;
            *left -= text.len().min(*left);
            Some(String::from_utf8_lossy(&text).into_owned())
        }
        _ => None,
    };
    Ok(FileDiff {
        old_path: path(delta.old_file()).filter(|_| status != FileStatus::Added),
        new_path: path(delta.new_file()).filter(|_| status != FileStatus::Deleted),
        status,
        additions,
        deletions,
        binary,
        patch: text,
    })
}
