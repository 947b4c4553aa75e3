//! Deltas of a pack become objects.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};

use super::{CheckObject, Entry, Named, Scanned, Waiting, check_meta, spend_on_check, too_large};
use crate::pack::Work;
use crate::pack::content::{Content, IN_MEMORY_MAX, inflated, patched};
use crate::pack::delta;
use crate::pack::hash::ObjectHash;
use crate::pack::reader::{EntryHeader, Kind, PackFile};
use crate::{Error, Result};

/// Bases that wait for more of their deltas (bytes in memory, of one thread); others are made again.
const BASES_BYTES_MAX: u64 = 6 << 20;
const THREADS_MAX: usize = 4;
/// Fewer deltas than this are not worth a thread.
const SHARED_MIN: usize = 2000;
/// Results that a thread hands over at a time.
const BATCH: usize = 512;

type Results = Vec<(u32, Named)>;

fn malformed() -> Error {
    Error::Unpack("a delta is malformed".into())
}

/// What all threads look at.
pub(super) struct Forest<'a> {
    pack: &'a PackFile,
    entries: &'a [Entry],
    /// Where the last entry ends.
    end: u64,
    /// Base and delta, by the base.
    deltas: &'a [(u32, u32)],
    waiting: &'a Mutex<Waiting>,
    /// Nothing waits for an object by its id.
    by_place_alone: bool,
    work: &'a Work,
    check: &'a CheckObject<'a>,
}

impl Scanned {
    /// Resolves what hangs on the objects that are stored whole.
    pub(super) fn resolve_whole(
        &mut self,
        pack: &PackFile,
        waiting: &Mutex<Waiting>,
        check: &CheckObject<'_>,
    ) -> Result<()> {
        let deltas = self.deltas();
        let by_place_alone = waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let forest = Forest {
            pack,
            entries: &self.entries,
            end: self.end,
            deltas: &deltas,
            waiting,
            by_place_alone,
            work: &self.work,
            check,
        };
        let has_deltas = |place: u32| !by_place_alone || !forest.range(place).is_empty();
        let whole = self.named.iter().enumerate().filter_map(|(place, named)| Some((place as u32, (*named)?)));
        let roots: Results = whole.filter(|(place, _)| has_deltas(*place)).collect();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if deltas.len() < SHARED_MIN { 1 } else { processors.min(THREADS_MAX) };
        let named = &mut self.named;
        forest.resolve(&roots, threads, &mut |results| {
            results.into_iter().for_each(|(place, found)| named[place as usize] = Some(found));
        })
    }

    /// Resolves what hangs on one entry, which is the last.
    pub(super) fn resolve_last(
        &mut self,
        pack: &PackFile,
        waiting: &Mutex<Waiting>,
        check: &CheckObject<'_>,
        deltas: &[(u32, u32)],
    ) -> Result<()> {
        let place = self.entries.len() - 1;
        let Some(root) = self.named[place] else { return Ok(()) };
        let (entries, end, work) = (&self.entries, self.end, &self.work);
        let forest = Forest { pack, entries, end, deltas, waiting, by_place_alone: false, work, check };
        let named = &mut self.named;
        forest.resolve(&[(place as u32, root)], 1, &mut |results| {
            results.into_iter().for_each(|(place, found)| named[place as usize] = Some(found));
        })
    }

    /// Deltas that name their base by its place: base and delta, by the base.
    pub(super) fn deltas(&self) -> Vec<(u32, u32)> {
        let places = self.entries.iter().enumerate();
        let mut deltas: Vec<_> = places
            .filter(|(_, entry)| (entry.base as usize) < self.entries.len())
            .map(|(place, entry)| (entry.base, place as u32))
            .collect();
        deltas.sort_unstable();
        deltas
    }
}

impl<'a> Forest<'a> {
    /// Deltas that name `base` by its place.
    fn range(&self, base: u32) -> &'a [(u32, u32)] {
        let begin = self.deltas.partition_point(|(other, _)| *other < base);
        let here = &self.deltas[begin..];
        &here[..here.iter().take_while(|(other, _)| *other == base).count()]
    }

    /// The deltas on an entry that was found to be `named`. Each is given away once.
    fn deltas_on(&self, place: u32, named: &Named) -> Vec<u32> {
        let mut all: Vec<u32> = self.range(place).iter().map(|(_, delta)| *delta).collect();
        if !self.by_place_alone {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(waiting.remove(&named.oid).unwrap_or_default());
        }
        all.reverse();
        all
    }

    /// Resolves everything below `roots`.
    fn resolve(&self, roots: &[(u32, Named)], threads: usize, take: &mut dyn FnMut(Results)) -> Result<()> {
        if threads <= 1 {
            let mut climber = Climber::over(self);
            let mut results = Vec::new();
            for (place, named) in roots {
                climber.climb(*place, *named, &mut |batch| {
                    results.extend(batch);
                    true
                })?;
                take(std::mem::take(&mut results));
            }
            climber.flush(&mut |batch| {
                take(batch);
                true
            });
            return Ok(());
        }
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Results>(2 * threads);
            let climbers: Vec<_> = (0..threads)
                .map(|_| {
                    let (sender, next, failed) = (sender.clone(), &next, &failed);
                    scope.spawn(move || -> Result<()> {
                        let mut climber = Climber::over(self);
                        let mut hand_over = |batch| sender.send(batch).is_ok();
                        while let Some((place, named)) = roots.get(next.fetch_add(1, Ordering::Relaxed)) {
                            if failed.load(Ordering::Relaxed) {
                                return Ok(());
                            }
                            climber
                                .climb(*place, *named, &mut hand_over)
                                .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
                        }
                        climber.flush(&mut hand_over);
                        Ok(())
                    })
                })
                .collect();
            drop(sender);
            receiver.into_iter().for_each(take);
            let broken = |_| Err(Error::Unpack("the pack could not be resolved".into()));
            climbers.into_iter().try_for_each(|climber| climber.join().unwrap_or_else(broken))
        })
    }
}

/// An entry some of whose deltas are still to be resolved.
struct Branch {
    place: u32,
    /// Bytes of it and of its bases that are deltas themselves.
    chain: u64,
    content: Option<Rc<Content>>,
    left: Vec<u32>,
}

/// Goes through trees of deltas, depth first.
struct Climber<'a> {
    forest: &'a Forest<'a>,
    zlib: Decompress,
    /// The bytes of an entry, deflated and inflated.
    raw: Vec<u8>,
    inflated: Vec<u8>,
    kept: u64,
    results: Results,
}

impl<'a> Climber<'a> {
    fn over(forest: &'a Forest<'a>) -> Self {
        let (raw, inflated) = (Vec::new(), Vec::new());
        Self { forest, zlib: Decompress::new(true), raw, inflated, kept: 0, results: Vec::new() }
    }

    fn flush(&mut self, hand_over: &mut dyn FnMut(Results) -> bool) -> bool {
        hand_over(std::mem::take(&mut self.results))
    }

    fn climb(&mut self, root: u32, of: Named, hand_over: &mut dyn FnMut(Results) -> bool) -> Result<()> {
        let left = self.forest.deltas_on(root, &of);
        let mut path = vec![Branch { place: root, chain: 0, content: None, left }];
        while let Some(branch) = path.last_mut() {
            let Some(place) = branch.left.pop() else {
                self.leave(path.pop());
                continue;
            };
            let depth = usize::from(of.depth) + path.len();
            let limits = &self.forest.work.limits;
            let depth = u16::try_from(depth).ok().filter(|depth| u32::from(*depth) <= limits.depth);
            let depth =
                depth.ok_or_else(|| Error::TooLarge(format!("a chain of deltas is longer than {}", limits.depth)))?;
            let base = self.content_of(&mut path)?;
            let content = self.patched(&base, place, of.kind)?;
            let chain = content.len().saturating_add(path.last().map_or(0, |branch| branch.chain));
            if chain > limits.chain_bytes {
                return Err(too_large("a chain of deltas", chain, limits.chain_bytes));
            }
            let named = Named { oid: name(of.kind, &content)?, kind: of.kind, depth };
            self.check(&named, &content)?;
            self.results.push((place, named));
            if self.results.len() >= BATCH && !self.flush(hand_over) {
                return Ok(());
            }
            let left = self.forest.deltas_on(place, &named);
            if let Some(branch) = path.last_mut().filter(|branch| branch.left.is_empty()) {
                // Nothing else is made of it.
                let content = branch.content.take();
                self.kept -= weight(content.as_deref());
            }
            if !left.is_empty() {
                self.kept += weight(Some(&content));
                path.push(Branch { place, chain, content: Some(Rc::new(content)), left });
                self.forget(&mut path);
            }
        }
        Ok(())
    }

    fn leave(&mut self, branch: Option<Branch>) {
        self.kept -= branch.map_or(0, |branch| weight(branch.content.as_deref()));
    }

    /// Gives up contents, those farthest down first, until the rest is not too much.
    fn forget(&mut self, path: &mut [Branch]) {
        let upto = path.len() - 1;
        for branch in &mut path[..upto] {
            if self.kept <= BASES_BYTES_MAX {
                return;
            }
            let content = branch.content.take();
            self.kept -= weight(content.as_deref());
        }
    }

    /// The content of the last of `path`, made again if it was given up.
    fn content_of(&mut self, path: &mut [Branch]) -> Result<Rc<Content>> {
        let here = path.iter().rposition(|branch| branch.content.is_some());
        let (mut at, mut content) = match here.and_then(|at| Some((at, path[at].content.clone()?))) {
            Some(found) => found,
            None => (0, Rc::new(self.whole(path[0].place)?)),
        };
        while at + 1 < path.len() {
            at += 1;
            content = Rc::new(self.patched(&content, path[at].place, Kind::Blob)?);
        }
        if let Some(last) = path.last_mut().filter(|last| last.content.is_none()) {
            self.kept += weight(Some(&content));
            last.content = Some(Rc::clone(&content));
        }
        Ok(content)
    }

    /// Where an entry begins and ends.
    fn extent(&self, place: u32) -> (u64, u64) {
        let Forest { entries, end, .. } = self.forest;
        let place = place as usize;
        (entries[place].offset, entries.get(place + 1).map_or(*end, |next| next.offset))
    }

    fn whole(&mut self, place: u32) -> Result<Content> {
        let forest = self.forest;
        let (offset, end) = self.extent(place);
        let header = forest.pack.entry(offset)?;
        forest.work.spend(header.size)?;
        if (end - offset).max(header.size) > IN_MEMORY_MAX as u64 {
            return inflated(forest.pack, header.data_at, header.size, forest.work);
        }
        forest.pack.read_into(header.data_at, (end - header.data_at) as usize, &mut self.raw)?;
        self.inflate(0, header.size)?;
        Ok(Content::Memory(std::mem::take(&mut self.inflated)))
    }

    /// The result of the delta at `place`, on `base`.
    fn patched(&mut self, base: &Content, place: u32, kind: Kind) -> Result<Content> {
        let forest = self.forest;
        let (offset, end) = self.extent(place);
        let small = end - offset <= IN_MEMORY_MAX as u64;
        let header = if small {
            forest.pack.read_into(offset, (end - offset) as usize, &mut self.raw)?;
            PackFile::header_in(&self.raw, offset).ok_or_else(malformed)?
        } else {
            forest.pack.entry(offset)?
        };
        let object_bytes = forest.work.limits.object_bytes;
        let (Some(base_bytes), true) = (base.bytes(), small && header.size <= IN_MEMORY_MAX as u64) else {
            let (_, result) = delta_sizes(forest.pack, &header)?;
            self.allow(&header, result, kind)?;
            return patched(base, forest.pack, header.data_at, object_bytes, forest.work);
        };
        self.inflate((header.data_at - offset) as usize, header.size)?;
        let (_, result) = delta::sizes(&self.inflated)?;
        self.allow(&header, result, kind)?;
        if result > IN_MEMORY_MAX as u64 {
            return patched(base, forest.pack, header.data_at, object_bytes, forest.work);
        }
        let mut made = Vec::with_capacity(result as usize);
        delta::apply_in_memory(base_bytes, &self.inflated, &mut made)?;
        Ok(Content::Memory(made))
    }

    /// Before it is made.
    fn allow(&self, header: &EntryHeader, result: u64, kind: Kind) -> Result<()> {
        check_meta(&self.forest.work.limits, kind, result)?;
        self.forest.work.spend(header.size.saturating_add(result))
    }

    fn inflate(&mut self, from: usize, size: u64) -> Result<()> {
        self.zlib.reset(true);
        self.inflated.clear();
        self.inflated.reserve(size as usize + 1);
        let status = self.zlib.decompress_vec(&self.raw[from..], &mut self.inflated, FlushDecompress::Finish);
        let whole = matches!(status, Ok(Status::StreamEnd)) && self.inflated.len() as u64 == size;
        if whole { Ok(()) } else { Err(malformed()) }
    }

    fn check(&self, named: &Named, content: &Content) -> Result<()> {
        spend_on_check(self.forest.work, named.kind, content.len())?;
        let check = |bytes: &[u8]| (self.forest.check)(named.kind, &named.oid, bytes);
        if named.kind == Kind::Blob {
            return check(&[]);
        }
        if let Some(bytes) = content.bytes() {
            return check(bytes);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(content.len()).unwrap_or(0));
        content.each(&mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        check(&bytes)
    }
}

fn name(kind: Kind, content: &Content) -> Result<crate::Oid> {
    let mut hash = ObjectHash::new(kind, content.len());
    content.each(&mut |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    hash.finish()
}

/// The sizes that a delta declares, when it is too long to be looked at whole.
fn delta_sizes(pack: &PackFile, header: &EntryHeader) -> Result<(u64, u64)> {
    let mut head = [0; 24];
    let there = pack.inflate_begin(header.data_at, &mut head)?;
    delta::sizes(&head[..there])
}

/// What content costs while it is kept (bytes); a file costs a part of the disk.
fn weight(content: Option<&Content>) -> u64 {
    content.map_or(0, |content| if content.bytes().is_some() { content.len() } else { content.len() / 4 })
}
