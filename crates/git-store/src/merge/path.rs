//! What becomes of one path.

use bytes::Bytes;

use crate::pack::Kind;
use crate::path::text_of;
use crate::read::is_binary;
use crate::scratch::{Leaf, Scratch};
use crate::{Error, Oid, Result};

use super::content::{Labels, merge_texts};
use super::table::{Resolved, Version};
use super::{Conflict, ConflictReason};

/// A larger file is not merged line by line (bytes).
const TEXT_BYTES_MAX: u64 = 8 << 20;
/// Texts of one merge, all together (bytes).
const MERGED_BYTES_MAX: u64 = 64 << 20;
const SUBMODULE_MODE: u32 = 0o160_000;

/// The versions of a file.
pub(crate) struct Sides<'a> {
    pub path: &'a [u8],
    pub base: Option<Version>,
    pub ours: Option<Version>,
    pub theirs: Option<Version>,
    pub forced: Option<ConflictReason>,
}

pub(crate) fn merge_path(scratch: &mut Scratch<'_>, sides: &Sides<'_>, labels: &Labels) -> Result<Resolved> {
    let leaf = |version: &Option<Version>| version.as_ref().map(|version| version.leaf);
    let (base, ours, theirs) = (leaf(&sides.base), leaf(&sides.ours), leaf(&sides.theirs));
    if sides.forced.is_none() {
        if ours == theirs || base == theirs {
            return Ok(Resolved::Clean(ours));
        }
        if base == ours {
            return Ok(Resolved::Clean(theirs));
        }
    }
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => both(scratch, sides, base, ours, theirs, labels),
        (None, Some(left)) => Ok(sides.conflict(ConflictReason::DeletedByUs, Some(left))),
        (Some(left), None) => Ok(sides.conflict(ConflictReason::DeletedByThem, Some(left))),
        (None, None) => Ok(Resolved::Clean(None)),
    }
}

impl Sides<'_> {
    fn conflict(&self, reason: ConflictReason, leaf: Option<Leaf>) -> Resolved {
        let told = |version: &Option<Version>| version.as_ref().map(Version::told);
        let conflict = Conflict {
            path: text_of(self.path),
            reason: self.forced.unwrap_or(reason),
            base: told(&self.base),
            ours: told(&self.ours),
            theirs: told(&self.theirs),
            hunks: Vec::new(),
            merged: None,
        };
        Resolved::Conflict { conflict: Box::new(conflict), places: vec![self.path.to_vec()], leaf }
    }
}

/// The mode that both sides come to; `None` when they do not.
fn merged_mode(base: Option<Leaf>, ours: Leaf, theirs: Leaf) -> Option<u32> {
    let base = base.map(|base| base.mode);
    match (ours.mode, theirs.mode) {
        (a, b) if a == b || base == Some(a) => Some(b),
        (a, b) if base == Some(b) => Some(a),
        _ => None,
    }
}

fn both(
    scratch: &mut Scratch<'_>,
    sides: &Sides<'_>,
    base: Option<Leaf>,
    ours: Leaf,
    theirs: Leaf,
    labels: &Labels,
) -> Result<Resolved> {
    if !ours.is_like(theirs) {
        return Ok(sides.conflict(ConflictReason::Mode, Some(ours)));
    }
    // A base of another kind has nothing to compare with.
    let base = base.filter(|base| base.is_like(ours));
    let reason = if base.is_none() { ConflictReason::BothAdded } else { ConflictReason::Content };
    if !ours.is_file() {
        let submodule = ours.mode == SUBMODULE_MODE;
        return Ok(match whole(base, ours, theirs).filter(|_| sides.forced.is_none()) {
            Some(oid) => Resolved::Clean(Some(Leaf { oid, ..ours })),
            None => sides.conflict(if submodule { ConflictReason::Submodule } else { reason }, Some(ours)),
        });
    }
    let mode = merged_mode(base, ours, theirs);
    let leaf = |oid| Leaf { mode: mode.unwrap_or(ours.mode), oid };
    let settled = |oid| match mode {
        Some(_) if sides.forced.is_none() => Resolved::Clean(Some(leaf(oid))),
        _ => sides.conflict(ConflictReason::Mode, Some(leaf(oid))),
    };
    if let Some(oid) = whole(base, ours, theirs) {
        return Ok(settled(oid));
    }
    if scratch.made_bytes() > MERGED_BYTES_MAX {
        return Err(Error::TooLarge("both sides changed too much text; merge with a git client".into()));
    }
    let mut texts = Vec::new();
    for side in [base, Some(ours), Some(theirs)] {
        texts.push(text(scratch, side.map(|leaf| leaf.oid))?);
    }
    let [Some(old), Some(one), Some(two)] = texts.as_slice() else {
        return Ok(sides.conflict(ConflictReason::Binary, Some(leaf(ours.oid))));
    };
    let merged = merge_texts(old, one, two, labels)?;
    let shown = String::from_utf8_lossy(&merged.text).into_owned();
    let oid = scratch.add(Kind::Blob, merged.text);
    if merged.hunks.is_empty() {
        return Ok(settled(oid));
    }
    let mut outcome = sides.conflict(reason, Some(leaf(oid)));
    if let Resolved::Conflict { conflict, .. } = &mut outcome {
        conflict.hunks = merged.hunks;
        conflict.merged = Some(shown);
    }
    Ok(outcome)
}

/// The version that only one side changed.
fn whole(base: Option<Leaf>, ours: Leaf, theirs: Leaf) -> Option<Oid> {
    let base = base.map(|base| base.oid);
    match (ours.oid, theirs.oid) {
        (a, b) if a == b || base == Some(b) => Some(a),
        (a, b) if base == Some(a) => Some(b),
        _ => None,
    }
}

/// A blob as text; `None` when it has no lines or too many of them.
fn text(scratch: &Scratch<'_>, oid: Option<Oid>) -> Result<Option<Bytes>> {
    let Some(oid) = oid else { return Ok(Some(Bytes::new())) };
    if scratch.size(&oid)? > TEXT_BYTES_MAX {
        return Ok(None);
    }
    Ok(Some(scratch.blob(&oid)?).filter(|bytes| !is_binary(bytes)))
}
