//! What some objects lead to, with the help of bitmaps.

use roaring::RoaringBitmap;

use super::Bitmaps;
use crate::filter::Filter;
use crate::objects::Objects;
use crate::pack::{Chosen, Kind, PackSet};
use crate::walk::Wanted;
use crate::{Error, Oid, Result};

/// A walk that marks the numbers of what it finds.
pub(super) struct Reach<'a> {
    set: &'a PackSet,
    objects: &'a Objects,
    bitmaps: Option<&'a Bitmaps>,
    marked: RoaringBitmap,
    commits: Vec<Oid>,
    trees: Vec<Oid>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(set: &'a PackSet, objects: &'a Objects, bitmaps: Option<&'a Bitmaps>) -> Self {
        Self { set, objects, bitmaps, marked: RoaringBitmap::new(), commits: Vec::new(), trees: Vec::new() }
    }

    /// `true` when the object was not marked before.
    fn mark(&mut self, oid: &Oid) -> Result<bool> {
        let number = self.set.number(oid).ok_or_else(|| Error::NotFound(format!("object {oid}")))?;
        Ok(self.marked.insert(number))
    }

    /// Begins at an object of any kind.
    pub(super) fn add(&mut self, oid: &Oid) -> Result<()> {
        let mut at = *oid;
        loop {
            let (kind, _) = self.objects.header(&at)?.ok_or_else(|| Error::NotFound(format!("object {at}")))?;
            match kind {
                Kind::Commit => self.commits.push(at),
                Kind::Tree => self.trees.push(at),
                Kind::Blob => {
                    self.mark(&at)?;
                }
                Kind::Tag => {
                    self.mark(&at)?;
                    at = self.objects.tag_target(&at)?;
                    continue;
                }
            }
            return Ok(());
        }
    }

    /// Everything that was found. Commits first: the more bitmaps are joined, the fewer trees are read.
    pub(super) fn finish(mut self) -> Result<RoaringBitmap> {
        while let Some(commit) = self.commits.pop() {
            if let Some(known) = self.bitmaps.and_then(|bitmaps| bitmaps.commits.get(&commit)) {
                self.marked |= known;
            } else if self.mark(&commit)? {
                let links = self.objects.commit_links(&commit)?;
                self.trees.push(links.tree);
                self.commits.extend(links.parents);
            }
        }
        while let Some(tree) = self.trees.pop() {
            if !self.mark(&tree)? {
                continue;
            }
            let (set, trees, marked) = (self.set, &mut self.trees, &mut self.marked);
            self.objects.each_item(&tree, |item| {
                if item.is_folder() {
                    trees.push(item.oid);
                } else if !item.is_submodule() {
                    let missing = || Error::NotFound(format!("object {}", item.oid));
                    marked.insert(set.number(&item.oid).ok_or_else(missing)?);
                }
                Ok(())
            })?;
        }
        Ok(self.marked)
    }
}

/// All that `tips` lead to, and themselves.
pub(crate) fn reachable(
    set: &PackSet,
    objects: &Objects,
    bitmaps: Option<&Bitmaps>,
    tips: &[Oid],
) -> Result<RoaringBitmap> {
    let mut reach = Reach::new(set, objects, bitmaps);
    tips.iter().try_for_each(|oid| reach.add(oid))?;
    reach.finish()
}

/// What a client lacks, exactly: all that is wanted leads to, without all that the client's commits lead to, and without
/// what its filter leaves out.
pub(crate) fn choose(set: &PackSet, objects: &Objects, bitmaps: &Bitmaps, wanted: &Wanted) -> Result<Chosen> {
    let named = named(set, objects, &wanted.wants)?;
    let known = reachable(set, objects, Some(bitmaps), &wanted.haves)? - &named.parts;
    let mut send = reachable(set, objects, Some(bitmaps), &wanted.wants)? - &known;
    if !wanted.filter.is_empty() {
        let named = (named.commits | named.parts) & &send;
        send = filtered(set, objects, bitmaps, &wanted.filter, &send)? | named;
    }
    for tag in &wanted.tags {
        let number = |oid: &Oid| set.number(oid).ok_or_else(|| Error::NotFound(format!("object {oid}")));
        if let Some(peeled) = tag.peeled
            && send.contains(number(&peeled)?)
        {
            send.insert(number(&tag.oid)?);
        }
    }
    Ok(Chosen { send, known })
}

/// What was asked for by its id, and what tags among it point at.
#[derive(Default)]
struct Named {
    commits: RoaringBitmap,
    /// Trees, blobs and tags. A partial clone lacks what its commits lead to: what it names, it does not have.
    parts: RoaringBitmap,
}

fn named(set: &PackSet, objects: &Objects, wants: &[Oid]) -> Result<Named> {
    let mut named = Named::default();
    for want in wants {
        let mut at = *want;
        loop {
            let kind = objects.header(&at)?.map(|(kind, _)| kind);
            let found = if kind == Some(Kind::Commit) { &mut named.commits } else { &mut named.parts };
            found.extend(set.number(&at));
            if kind != Some(Kind::Tag) {
                break;
            }
            at = objects.tag_target(&at)?;
        }
    }
    Ok(named)
}

/// Those of `all` that a filter sends. Types are known of what the bitmaps cover; sizes are looked up.
fn filtered(
    set: &PackSet,
    objects: &Objects,
    bitmaps: &Bitmaps,
    filter: &Filter,
    all: &RoaringBitmap,
) -> Result<RoaringBitmap> {
    let mut sent = RoaringBitmap::new();
    let missing = || Error::Corrupt("an object that is in no pack".into());
    let look_up = |number: u32| objects.header(&set.oid(number).ok_or_else(missing)?)?.ok_or_else(missing);
    for (kind, of_kind) in [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag].into_iter().zip(&bitmaps.kinds) {
        let here = all & of_kind;
        let mut sized = None;
        let whole = filter.takes(kind, || {
            sized = Some(());
            Ok(0)
        })?;
        match sized {
            None if whole => sent |= here,
            None => {}
            Some(()) => {
                for number in here {
                    if filter.takes(kind, || Ok(look_up(number)?.1))? {
                        sent.insert(number);
                    }
                }
            }
        }
    }
    for number in all.range(bitmaps.covered..) {
        let (kind, size) = look_up(number)?;
        if filter.takes(kind, || Ok(size))? {
            sent.insert(number);
        }
    }
    Ok(sent)
}
