//! Which lines two texts do not share.

use std::ops::Range;

use git2::{DiffOptions, Patch};

use crate::Result;

/// Lines `old` of one text that became the lines `new` of the other; numbers from 0 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LineChange {
    pub old: Range<usize>,
    pub new: Range<usize>,
}

/// The lines of a text with their ends; the last may have none.
pub(crate) fn lines_of(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|b| *b == b'\n').collect()
}

/// The changes that make `new` of `old`, in order; git's own algorithm (Myers) finds them.
pub(crate) fn line_changes(old: &[u8], new: &[u8], indent_heuristic: bool) -> Result<Vec<LineChange>> {
    if old == new {
        return Ok(Vec::new());
    }
    let mut options = DiffOptions::new();
    options.context_lines(0).interhunk_lines(0).force_text(true).indent_heuristic(indent_heuristic);
    let patch = Patch::from_buffers(old, None, new, None, Some(&mut options))?;
    // A hunk without lines on a side tells the line before it.
    let range = |start: u32, count: u32| {
        let start = if count == 0 { start } else { start.saturating_sub(1) } as usize;
        start..start + count as usize
    };
    let mut changes = Vec::with_capacity(patch.num_hunks());
    for at in 0..patch.num_hunks() {
        let (hunk, _) = patch.hunk(at)?;
        changes.push(LineChange {
            old: range(hunk.old_start(), hunk.old_lines()),
            new: range(hunk.new_start(), hunk.new_lines()),
        });
    }
    Ok(changes)
}
