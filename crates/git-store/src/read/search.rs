//! Looking for text in the files of a commit.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::files::Files;
use super::globs::Globs;
use super::matcher::Matcher;
use crate::objects::Objects;
use crate::pack::Kind;
use crate::path::text_of;
use crate::{EntryKind, FileMatches, Oid, Result};

/// A larger file is not looked into (bytes).
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Read for one page (bytes); the next page goes on.
const PAGE_BYTES_MAX: u64 = 64 << 20;
/// Files on one page.
const FILES_MAX: usize = 200;
/// Text on one page (bytes, as JSON).
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Time spent on one page, so that an answer comes while someone waits for it.
const PAGE_TIME_MAX: Duration = Duration::from_secs(3);

/// What to look for, and where.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    pub matcher: Matcher,
    /// Files that are looked into; all when `None`.
    pub include: Option<Globs>,
    pub exclude: Option<Globs>,
    /// Paths that are not looked into.
    pub without: HashSet<Vec<u8>>,
    /// The number of the file to start at: the `next` of the page before.
    pub from: u64,
    /// Files with matches on the page.
    pub limit: usize,
}

impl SearchQuery {
    /// Whether the globs let this path be looked into.
    pub fn covers(&self, path: &[u8]) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.fits(path))
            && !self.exclude.as_ref().is_some_and(|globs| globs.fits(path))
    }
}

/// One page of what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPage {
    pub items: Vec<FileMatches>,
    /// The number of the file to go on with; `None` when all were looked into.
    pub next: Option<u64>,
    /// There is more in files of this page than is told, or a file was too large to look into.
    pub limited: bool,
}

impl SearchPage {
    pub fn add(&mut self, file: FileMatches) {
        self.limited |= file.limited;
        self.items.push(file);
    }

    /// Whether no more fits on the page.
    pub fn is_full(&self, limit: usize) -> bool {
        let text = self.items.iter().flat_map(|file| &file.matches).map(weight).sum::<usize>();
        self.items.len() >= limit.min(FILES_MAX) || text > TEXT_BYTES_MAX
    }
}

/// Bytes of a line as JSON, about.
fn weight(line: &crate::LineMatch) -> usize {
    line.text.len() + 5 * line.text.bytes().filter(|b| *b < 0x20).count() + 40 * line.ranges.len() + 60
}

pub(crate) fn search(objects: &Objects, commit: Oid, query: &SearchQuery) -> Result<SearchPage> {
    let until = Instant::now() + PAGE_TIME_MAX;
    let root = objects.commit_links(&commit)?.tree;
    let mut files = Files::new(objects, &root, b"")?;
    let mut page = SearchPage::default();
    let (mut at, mut read) = (0, 0);
    while let Some(file) = files.next()? {
        let number = at;
        at += 1;
        let wanted = file.kind == EntryKind::File
            && number >= query.from
            && query.covers(files.path())
            && !query.without.contains(files.path());
        if !wanted {
            continue;
        }
        // One file at least is looked into, so that pages always go on.
        if read > 0 && (read > PAGE_BYTES_MAX || page.is_full(query.limit) || Instant::now() > until) {
            page.next = Some(number);
            return Ok(page);
        }
        match objects.header(&file.oid)? {
            Some((Kind::Blob, size)) if size <= FILE_BYTES_MAX => {
                // What an empty file costs is to be counted too.
                read += size.max(256);
                let odb = objects.repository().odb()?;
                let blob = odb.read(file.oid.into())?;
                if let Some(found) = query.matcher.file(&text_of(files.path()), blob.data()) {
                    page.add(found);
                }
            }
            _ => page.limited = true,
        }
    }
    page.limited |= files.limited;
    Ok(page)
}
