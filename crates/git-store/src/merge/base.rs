//! Where two histories parted.

use crate::scratch::Scratch;
use crate::{Oid, Result, read};

use super::content::Labels;
use super::{Merge, merge_with_markers};

/// Histories that crossed have several bases; more are not looked at.
const BASES_MAX: usize = 8;

/// The best common ancestors of two commits (git-merge-base --all).
pub(crate) fn merge_bases(scratch: &Scratch<'_>, one: Oid, two: Oid) -> Result<Vec<Oid>> {
    match scratch.objects.repository().merge_bases(one.into(), two.into()) {
        Ok(bases) => Ok(bases.iter().map(|oid| Oid::from(*oid)).collect()),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// The tree to compare both sides with: of histories that crossed, the merge of all their bases.
pub(crate) fn merge_base_tree(scratch: &mut Scratch<'_>, bases: &[Oid]) -> Result<Option<Oid>> {
    let mut bases: Vec<_> = bases.iter().take(BASES_MAX).copied().collect();
    let mut dated = Vec::new();
    for base in bases.drain(..) {
        dated.push((scratch.objects.commit_links(&base)?.time, base));
    }
    // The oldest first, as git folds them.
    dated.sort_unstable();
    let mut dated = dated.into_iter().map(|(_, base)| base);
    let Some(first) = dated.next() else { return Ok(None) };
    let mut tree = read::commit(scratch.objects, &first)?.tree;
    let mut before = first;
    for next in dated {
        let parted = merge_bases(scratch, before, next)?;
        let base = parted.first().map(|oid| scratch.objects.commit_links(oid)).transpose()?.map(|links| links.tree);
        let theirs = scratch.objects.commit_links(&next)?.tree;
        let labels = Labels { ours: "Temporary merge branch 1".into(), theirs: "Temporary merge branch 2".into() };
        tree = merge_with_markers(scratch, &Merge { base, ours: tree, theirs, labels })?;
        before = next;
    }
    Ok(Some(tree))
}
