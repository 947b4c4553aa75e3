//! Deltas of a pack become objects.

use std::sync::Arc;

use super::{Entry, Resolver};
use crate::pack::content::{Content, inflated, patched};
use crate::pack::hash::ObjectHash;
use crate::pack::reader::{Kind, Storage};
use crate::{Error, Oid, Result};

/// Resolved bases kept at hand (bytes in memory).
const BASES_BYTES_MAX: u64 = 32 << 20;

impl Resolver<'_, '_> {
    /// Resolves what hangs on the objects that are stored whole.
    pub(super) fn resolve_whole(&mut self) -> Result<()> {
        for index in 0..self.entries.len() {
            if matches!(self.entries[index].storage, Storage::Whole(_)) {
                self.resolve_from(index)?;
            }
        }
        Ok(())
    }

    /// Resolves everything that waits for `root`, and what waits for that.
    pub(super) fn resolve_from(&mut self, root: usize) -> Result<()> {
        let mut stack = self.take_waiting(root);
        while let Some(index) = stack.pop() {
            let (kind, base_depth) = self.base_of(index)?;
            let depth = base_depth + 1;
            if depth > self.ingest.limits.depth {
                return Err(Error::TooLarge(format!("a chain of deltas is longer than {}", self.ingest.limits.depth)));
            }
            // Before it is made: what is no blob has a lower limit.
            self.meta_limit(kind, self.entries[index].result)?;
            let content = self.content(index)?;
            let oid = self.name(kind, &content)?;
            self.check(kind, oid, index, &content)?;
            self.entries[index].object = Some((kind, oid, depth));
            stack.extend(self.take_waiting(index));
        }
        Ok(())
    }

    fn take_waiting(&mut self, index: usize) -> Vec<usize> {
        let entry = &self.entries[index];
        let mut waiting = self.on_offset.remove(&entry.offset).unwrap_or_default();
        if let Some((_, oid, _)) = entry.object {
            waiting.extend(self.on_oid.remove(&oid).unwrap_or_default());
        }
        waiting.reverse();
        waiting
    }

    fn base_index(&self, index: usize) -> Option<usize> {
        match self.entries[index].storage {
            Storage::Whole(_) => None,
            Storage::OnOffset(base) => self.at_offset.get(&base).copied(),
            Storage::OnOid(base) => self.objects.get(&base).map(|(_, index)| *index),
        }
    }

    fn base_of(&self, index: usize) -> Result<(Kind, u32)> {
        let base = self.base_index(index).and_then(|base| self.entries[base].object);
        base.map(|(kind, _, depth)| (kind, depth)).ok_or_else(|| Error::Unpack("a delta has no base".into()))
    }

    fn name(&self, kind: Kind, content: &Content) -> Result<Oid> {
        let mut hash = ObjectHash::new(kind, content.len());
        content.each(&mut |bytes| {
            hash.update(bytes);
            Ok(())
        })?;
        hash.finish()
    }

    fn check(&mut self, kind: Kind, oid: Oid, index: usize, content: &Content) -> Result<()> {
        if kind == Kind::Blob {
            return self.found(kind, oid, index, &[]);
        }
        match content.bytes() {
            Some(bytes) => self.found(kind, oid, index, bytes),
            None => {
                let mut bytes = Vec::with_capacity(usize::try_from(content.len()).unwrap_or(0));
                content.each(&mut |piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                })?;
                self.found(kind, oid, index, &bytes)
            }
        }
    }
}

impl Resolver<'_, '_> {
    /// The object of an entry, by way of its bases.
    fn content(&mut self, index: usize) -> Result<Arc<Content>> {
        let mut chain = Vec::new();
        let mut at = index;
        let mut content = loop {
            if let Some(content) = self.cache.get(&at) {
                break Arc::clone(content);
            }
            let Entry { data_at, size, .. } = self.entries[at];
            match self.base_index(at) {
                Some(base) => {
                    chain.push(at);
                    at = base;
                }
                None => {
                    self.spend(size)?;
                    let whole = Arc::new(inflated(&self.pack, data_at, size)?);
                    self.keep(at, &whole);
                    break whole;
                }
            }
        };
        for at in chain.into_iter().rev() {
            let Entry { data_at, size, result, .. } = self.entries[at];
            self.spend(size.saturating_add(result))?;
            content = Arc::new(patched(&content, &self.pack, data_at, self.ingest.limits.object_bytes)?);
            self.keep(at, &content);
        }
        Ok(content)
    }

    fn keep(&mut self, index: usize, content: &Arc<Content>) {
        if self.cache.insert(index, Arc::clone(content)).is_some() {
            return;
        }
        self.cached.push_back(index);
        self.cached_bytes += weight(content);
        while self.cached_bytes > BASES_BYTES_MAX {
            let Some(oldest) = self.cached.pop_front() else { break };
            self.cached_bytes -= self.cache.remove(&oldest).map_or(0, |content| weight(&content));
        }
    }
}

/// What content costs while it is kept (bytes); a file costs a part of the disk.
fn weight(content: &Content) -> u64 {
    if content.bytes().is_some() { content.len() } else { content.len() / 4 }
}
