//! What changed between two commits, with renames followed.

use bytes::Bytes;
use git2::{DiffLineType, DiffOptions, Patch};

use super::is_binary;
use super::quote::quoted;
use crate::changes::tree_changes;
use crate::objects::Objects;
use crate::path::text_of;
use crate::renames::{Follow, find_renames};
use crate::scratch::{Leaf, Scratch};
use crate::{Diff, DiffHunk, DiffLine, DiffLineKind, FileDiff, FileStatus, Oid, Result};

/// Files listed in one diff.
const FILES_MAX: usize = 1000;
/// Files among which renames are looked for; with more changed, none are.
const CHANGES_MAX: usize = 20_000;
/// The patch of one file, and all patches of one diff (bytes).
const PATCH_BYTES_MAX: usize = 256 << 10;
const PATCHES_BYTES_MAX: usize = 2 << 20;
/// A file that is larger is shown as binary (bytes), and all that is read for one diff.
const TEXT_BYTES_MAX: u64 = 8 << 20;
const READ_BYTES_MAX: u64 = 256 << 20;
const SUBMODULE_MODE: u32 = 0o160_000;

/// A change with its two paths.
struct Pair<'a> {
    old: Option<(&'a [u8], Leaf)>,
    new: Option<(&'a [u8], Leaf)>,
    /// Likeness in percent, of a rename.
    score: Option<u8>,
}

/// The changes from the tree of `base` (from nothing when `None`) to that of `head`. `hunks`: line by line as well.
pub(crate) fn diff(objects: &Objects, base: Option<Oid>, head: Oid, hunks: bool) -> Result<Diff> {
    let scratch = Scratch::new(objects);
    let old = base.map(|base| objects.commit_links(&base)).transpose()?.map(|links| links.tree);
    let changes = tree_changes(&scratch, old, Some(objects.commit_links(&head)?.tree), CHANGES_MAX)?;
    let renames = match changes.more {
        true => Vec::new(),
        false => find_renames(&scratch, &changes.list, Follow { empty: true, matters: &|_| true })?,
    };
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for (at, change) in changes.list.iter().enumerate() {
        if renames.iter().any(|rename| rename.from == at) {
            continue;
        }
        let new = change.new.map(|leaf| (change.path.as_slice(), leaf));
        match renames.iter().find(|rename| rename.to == at) {
            Some(rename) => {
                let from = &changes.list[rename.from];
                let old = from.old.map(|leaf| (from.path.as_slice(), leaf));
                pairs.push(Pair { old, new, score: Some(rename.score) });
            }
            None => {
                let old = change.old.map(|leaf| (change.path.as_slice(), leaf));
                pairs.push(Pair { old, new, score: None });
            }
        }
    }
    let truncated = changes.more || pairs.len() > FILES_MAX;
    let mut budget = Budget { patches: PATCHES_BYTES_MAX, read: READ_BYTES_MAX };
    let files = pairs.iter().take(FILES_MAX).map(|pair| file(&scratch, pair, hunks, &mut budget));
    Ok(Diff { files: files.collect::<Result<_>>()?, truncated })
}

struct Budget {
    patches: usize,
    read: u64,
}

impl Pair<'_> {
    fn status(&self) -> FileStatus {
        match (self.old, self.new) {
            (None, _) => FileStatus::Added,
            (_, None) => FileStatus::Deleted,
            _ if self.score.is_some() => FileStatus::Renamed,
            (Some((_, old)), Some((_, new))) if !old.is_like(new) => FileStatus::TypeChanged,
            _ => FileStatus::Modified,
        }
    }

    /// The lines before the hunks (git-diff, "Generating patch text with -p").
    fn head(&self) -> String {
        let path = |side: Option<(&[u8], Leaf)>, sign: &str| match side {
            Some((path, _)) => quoted(sign, path),
            None => "/dev/null".into(),
        };
        let either = self.old.or(self.new);
        let (old, new) = (self.old.or(either), self.new.or(either));
        let mut head = format!("diff --git {} {}\n", path(old, "a/"), path(new, "b/"));
        let oid = |side: Option<(&[u8], Leaf)>| side.map_or(Oid::ZERO, |(_, leaf)| leaf.oid).to_string();
        let mut kept = String::new();
        match (self.old, self.new) {
            (None, Some((_, new))) => head.push_str(&format!("new file mode {:06o}\n", new.mode)),
            (Some((_, old)), None) => head.push_str(&format!("deleted file mode {:06o}\n", old.mode)),
            (Some((_, old)), Some((_, new))) if old.mode != new.mode => {
                head.push_str(&format!("old mode {:06o}\nnew mode {:06o}\n", old.mode, new.mode));
            }
            (Some((_, old)), _) => kept = format!(" {:06o}", old.mode),
            _ => {}
        }
        if let (Some(score), Some((from, _)), Some((to, _))) = (self.score, self.old, self.new) {
            let (from, to) = (quoted("", from), quoted("", to));
            head.push_str(&format!("similarity index {score}%\nrename from {from}\nrename to {to}\n"));
        }
        if oid(self.old) != oid(self.new) {
            head.push_str(&format!("index {}..{}{kept}\n", &oid(self.old)[..7], &oid(self.new)[..7]));
            // A tab ends a path with spaces, for tools that look for a date behind it.
            let ended = |path: String| if path.contains(' ') && !path.starts_with('"') { path + "\t" } else { path };
            head.push_str(&format!("--- {}\n", ended(path(self.old, "a/"))));
            head.push_str(&format!("+++ {}\n", ended(path(self.new, "b/"))));
        }
        head
    }
}

fn file(scratch: &Scratch<'_>, pair: &Pair<'_>, wanted: bool, budget: &mut Budget) -> Result<FileDiff> {
    let path = |side: Option<(&[u8], Leaf)>| side.map(|(path, _)| text_of(path));
    let mut told = FileDiff {
        old_path: path(pair.old),
        new_path: path(pair.new),
        old_blob: pair.old.map(|(_, leaf)| leaf.oid),
        new_blob: pair.new.map(|(_, leaf)| leaf.oid),
        old_mode: pair.old.map(|(_, leaf)| leaf.mode),
        new_mode: pair.new.map(|(_, leaf)| leaf.mode),
        status: pair.status(),
        additions: 0,
        deletions: 0,
        binary: false,
        patch: None,
        hunks: None,
    };
    let mut side = |side: Option<(&[u8], Leaf)>| match side {
        Some((_, leaf)) => text(scratch, leaf, budget),
        None => Ok(Some(Bytes::new())),
    };
    let (Some(old), Some(new)) = (side(pair.old)?, side(pair.new)?) else {
        told.binary = true;
        return Ok(told);
    };
    let mut options = DiffOptions::new();
    options.context_lines(3).force_text(true).indent_heuristic(true);
    let patch = Patch::from_buffers(&old, None, &new, None, Some(&mut options))?;
    let (_, additions, deletions) = patch.line_stats()?;
    (told.additions, told.deletions) = (additions, deletions);
    let most = PATCH_BYTES_MAX.min(budget.patches);
    // The size is without heads: what is far too long is not even written.
    if patch.size(true, true, false) > most {
        return Ok(told);
    }
    let hunks = hunks_of(&patch)?;
    let mut text = pair.head();
    for hunk in &hunks {
        text.push_str(&hunk.header);
        text.push('\n');
        for line in &hunk.lines {
            text.push(match line.kind {
                DiffLineKind::Context => ' ',
                DiffLineKind::Added => '+',
                DiffLineKind::Removed => '-',
            });
            text.push_str(&line.text);
            text.push('\n');
            if line.no_newline {
                text.push_str("\\ No newline at end of file\n");
            }
        }
    }
    if text.len() <= most {
        budget.patches -= text.len();
        told.patch = Some(text);
        told.hunks = wanted.then_some(hunks);
    }
    Ok(told)
}

fn hunks_of(patch: &Patch<'_>) -> Result<Vec<DiffHunk>> {
    let mut hunks = Vec::with_capacity(patch.num_hunks());
    for at in 0..patch.num_hunks() {
        let (hunk, count) = patch.hunk(at)?;
        let mut lines: Vec<DiffLine> = Vec::with_capacity(count);
        for number in 0..count {
            let line = patch.line_in_hunk(at, number)?;
            let kind = match line.origin_value() {
                DiffLineType::Addition => DiffLineKind::Added,
                DiffLineType::Deletion => DiffLineKind::Removed,
                DiffLineType::Context => DiffLineKind::Context,
                // The line before has no end.
                _ => {
                    if let Some(last) = lines.last_mut() {
                        last.no_newline = true;
                    }
                    continue;
                }
            };
            let text = line.content().strip_suffix(b"\n").unwrap_or(line.content());
            lines.push(DiffLine { kind, text: String::from_utf8_lossy(text).into_owned(), no_newline: false });
        }
        hunks.push(DiffHunk {
            old_start: hunk.old_start() as usize,
            old_lines: hunk.old_lines() as usize,
            new_start: hunk.new_start() as usize,
            new_lines: hunk.new_lines() as usize,
            header: String::from_utf8_lossy(hunk.header()).trim_end_matches('\n').to_owned(),
            lines,
        });
    }
    Ok(hunks)
}

/// A side's text; `None` when it has no lines, or too many.
fn text(scratch: &Scratch<'_>, leaf: Leaf, budget: &mut Budget) -> Result<Option<Bytes>> {
    if leaf.mode == SUBMODULE_MODE {
        return Ok(Some(format!("Subproject commit {}\n", leaf.oid).into()));
    }
    let size = scratch.size(&leaf.oid)?;
    if size > TEXT_BYTES_MAX || size > budget.read {
        return Ok(None);
    }
    budget.read -= size;
    Ok(Some(scratch.blob(&leaf.oid)?).filter(|bytes| !is_binary(bytes)))
}
