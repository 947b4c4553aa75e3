//! Which deleted file became which added one (gitdiffcore, "detecting renames").

use std::collections::HashMap;

use crate::changes::Change;
use crate::pack::Kind;
use crate::read::is_binary;
use crate::scratch::{Leaf, Scratch};
use crate::{Oid, Result};

/// A rename's likeness, of `SCORE_MAX`: half of the larger file, as git's default.
const SCORE_MIN: u64 = SCORE_MAX / 2;
const SCORE_MAX: u64 = 60_000;
/// Likeness for files of one name when that name is deleted once and added once.
const SCORE_SAME_NAME: u64 = SCORE_MIN + (SCORE_MAX - SCORE_MIN) / 2;
/// Pairs of files that are compared by their text; beyond, only files that stayed the same are followed.
const PAIRS_MAX: usize = 40_000;
/// A larger file is followed only when it stayed the same (bytes); and all that is read to compare.
const FILE_BYTES_MAX: u64 = 2 << 20;
const READ_BYTES_MAX: u64 = 64 << 20;
/// A chunk of text ends with its line, or after so many bytes.
const CHUNK_BYTES: usize = 64;

/// Positions in the list of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rename {
    pub from: usize,
    pub to: usize,
    /// In percent.
    pub score: u8,
}

/// Bytes of each chunk that a text has, by the chunk's hash.
struct Chunks {
    size: u64,
    bytes: HashMap<u64, u64>,
}

impl Chunks {
    fn of(text: &[u8]) -> Self {
        let mut bytes = HashMap::new();
        let binary = is_binary(text);
        for line in text.split_inclusive(|b| *b == b'\n') {
            for chunk in line.chunks(CHUNK_BYTES) {
                let shown = if binary { chunk } else { chunk.strip_suffix(b"\r\n").unwrap_or(chunk) };
                // FNV-1a.
                let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
                let hash = shown.iter().filter(|b| binary || **b != b'\n').fold(0xcbf2_9ce4_8422_2325, mix);
                *bytes.entry(hash).or_default() += chunk.len() as u64;
            }
        }
        Self { size: text.len() as u64, bytes }
    }

    fn score(&self, other: &Self) -> u64 {
        let larger = self.size.max(other.size);
        if larger == 0 {
            return 0;
        }
        let kept = |(hash, bytes): (&u64, &u64)| other.bytes.get(hash).map_or(0, |there| *bytes.min(there));
        self.bytes.iter().map(kept).sum::<u64>() * SCORE_MAX / larger
    }
}

/// How renames are looked for.
#[derive(Clone, Copy)]
pub(crate) struct Follow<'a> {
    /// Whether an empty file can have been renamed; a merge does not believe it.
    pub empty: bool,
    /// Deleted files that matter when there are too many to compare all.
    pub matters: &'a dyn Fn(&[u8]) -> bool,
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// The renames among `changes`: each deleted and each added file is in one at most.
pub(crate) fn find_renames(scratch: &Scratch<'_>, changes: &[Change], follow: Follow<'_>) -> Result<Vec<Rename>> {
    let numbered = || changes.iter().enumerate();
    let gone = numbered().filter(|(_, change)| change.new.is_none()).map(|(at, _)| at);
    let come = numbered().filter(|(_, change)| change.old.is_none()).map(|(at, _)| at);
    let mut search = Search { scratch, changes, gone: gone.collect(), come: come.collect(), found: Vec::new() };
    search.same(follow.empty)?;
    search.gone.retain(|at| changes[*at].old.is_some_and(Leaf::is_file));
    search.come.retain(|at| changes[*at].new.is_some_and(Leaf::is_file));
    if search.gone.len() * search.come.len() > PAIRS_MAX {
        search.gone.retain(|at| (follow.matters)(&changes[*at].path));
    }
    if search.gone.len() * search.come.len() <= PAIRS_MAX {
        search.alike()?;
    }
    Ok(search.found)
}

struct Search<'a, 'b> {
    scratch: &'a Scratch<'b>,
    changes: &'a [Change],
    gone: Vec<usize>,
    come: Vec<usize>,
    found: Vec<Rename>,
}

impl Search<'_, '_> {
    fn take(&mut self, from: usize, to: usize, score: u64) {
        self.gone.retain(|at| *at != from);
        self.come.retain(|at| *at != to);
        self.found.push(Rename { from, to, score: (score * 100 / SCORE_MAX) as u8 });
    }

    /// Files that stayed the same, those of one name first.
    fn same(&mut self, empty: bool) -> Result<()> {
        let nothing = crate::pack::object_id(Kind::Blob, b"");
        let mut by_oid: HashMap<Oid, Vec<usize>> = HashMap::new();
        for at in &self.gone {
            let old = self.changes[*at].old;
            if let Some(old) = old.filter(|old| empty || old.oid != nothing) {
                by_oid.entry(old.oid).or_default().push(*at);
            }
        }
        for to in self.come.clone() {
            let Some(new) = self.changes[to].new else { continue };
            let Some(sources) = by_oid.get_mut(&new.oid) else { continue };
            let fits = |at: &usize| self.changes[*at].old.is_some_and(|old| old.is_like(new));
            let named = |at: &usize| name_of(&self.changes[*at].path) == name_of(&self.changes[to].path);
            let best = sources.iter().position(|at| fits(at) && named(at)).or_else(|| sources.iter().position(fits));
            if let Some(best) = best {
                let from = sources.remove(best);
                self.take(from, to, SCORE_MAX);
            }
        }
        Ok(())
    }

    /// Files that share at least half of their text.
    fn alike(&mut self) -> Result<()> {
        let (mut texts, mut read): (HashMap<usize, Chunks>, u64) = (HashMap::new(), 0);
        let sides = self.gone.iter().map(|at| (*at, self.changes[*at].old));
        for (at, leaf) in sides.chain(self.come.iter().map(|at| (*at, self.changes[*at].new))) {
            let Some(leaf) = leaf else { continue };
            let size = self.scratch.size(&leaf.oid)?;
            if size > 0 && size <= FILE_BYTES_MAX && read + size <= READ_BYTES_MAX {
                read += size;
                texts.insert(at, Chunks::of(&self.scratch.blob(&leaf.oid)?));
            }
        }
        self.of_one_name(&texts);
        let mut pairs = Vec::new();
        for to in &self.come {
            for from in &self.gone {
                let (Some(a), Some(b)) = (texts.get(from), texts.get(to)) else { continue };
                let (small, large) = (a.size.min(b.size), a.size.max(b.size));
                if small * SCORE_MAX < large * SCORE_MIN {
                    continue;
                }
                let score = a.score(b);
                if score >= SCORE_MIN {
                    let named = name_of(&self.changes[*from].path) == name_of(&self.changes[*to].path);
                    pairs.push((std::cmp::Reverse((score, named)), *to, *from));
                }
            }
        }
        pairs.sort_unstable();
        for (std::cmp::Reverse((score, _)), to, from) in pairs {
            if self.come.contains(&to) && self.gone.contains(&from) {
                self.take(from, to, score);
            }
        }
        Ok(())
    }

    /// A name that was deleted once and added once is followed first.
    fn of_one_name(&mut self, texts: &HashMap<usize, Chunks>) {
        let once = |list: &[usize]| {
            let mut names: HashMap<Vec<u8>, Option<usize>> = HashMap::new();
            for at in list {
                let name = name_of(&self.changes[*at].path).to_vec();
                names.entry(name).and_modify(|found| *found = None).or_insert(Some(*at));
            }
            names
        };
        let (gone, come) = (once(&self.gone), once(&self.come));
        for (name, to) in come {
            let (Some(to), Some(Some(from))) = (to, gone.get(&name)) else { continue };
            if let (Some(a), Some(b)) = (texts.get(from), texts.get(&to)) {
                let score = a.score(b);
                if score >= SCORE_SAME_NAME {
                    self.take(*from, to, score);
                }
            }
        }
    }
}
