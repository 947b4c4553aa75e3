//! A repository with the shape of a large one, the same at every run.
//!
//! A stream for `git fast-import`: 25,000 commits over a tree four folders deep that grows from 1,500 to about 4,500
//! files. Most commits change a few lines in one to four files of one part of the tree; some add, rename or delete
//! files. A quarter of the commits are made on topics that are merged, every 500th commit has an annotated tag, some
//! topics stay open, and a few binary files of one to four megabytes come in two versions each.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use crate::git::{command, git};
use crate::platform::root;

/// Part of the folder's name: another shape is another repository.
const VERSION: u32 = 1;
const COMMITS: u32 = 25_000;
const AREAS: u64 = 12;
const FILES_FIRST: usize = 1500;
const TAG_EVERY: u32 = 500;
/// A topic begins about this often, and has at most this many commits.
const TOPIC_EVERY: u64 = 12;
const TOPIC_COMMITS_MAX: u64 = 5;
/// Of these topics, one stays open.
const OPEN_EVERY: u32 = 40;
const LARGE_EVERY: u32 = 2000;
const LARGE_FILES: u32 = 6;
const WORDS: [&str; 32] = [
    "account", "alias", "branch", "cache", "channel", "commit", "config", "cursor", "deploy", "entry", "event",
    "field", "folder", "handle", "header", "index", "job", "lease", "limit", "node", "object", "offset", "packet",
    "path", "policy", "queue", "record", "result", "stream", "table", "token", "value",
];

/// The repository, made at the first use and kept below `target`.
pub fn repository() -> Result<PathBuf> {
    let folder = root().join(format!("target/bench/history-{VERSION}.git"));
    if folder.exists() {
        return Ok(folder);
    }
    eprintln!("  making a history of {COMMITS} commits");
    let parent = folder.parent().context("no parent")?;
    std::fs::create_dir_all(parent)?;
    let making = tempfile::TempDir::new_in(parent)?;
    git(making.path(), &["init", "-q", "--bare", "history.git"])?;
    let bare = making.path().join("history.git");
    import(&bare)?;
    git(&bare, &["repack", "-q", "-a", "-d"])?;
    std::fs::rename(&bare, &folder)?;
    Ok(folder)
}

fn import(bare: &Path) -> Result<()> {
    let mut child = command(bare, &["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn()?;
    let out = BufWriter::with_capacity(1 << 20, child.stdin.take().context("no input")?);
    let mut history =
        History { out, random: Random(0x5eed_cafe), mark: 0, made: 0, topics: 0, tagged: 0, files: BTreeMap::new() };
    history.write()?;
    drop(history);
    ensure!(child.wait()?.success(), "git fast-import failed");
    Ok(())
}

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`.
    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end.max(1)
    }
}

/// Each line of a file is known by its seed.
type Lines = Vec<u64>;

struct History<W> {
    out: W,
    random: Random,
    mark: u32,
    made: u32,
    topics: u32,
    /// Commits made at the last tag.
    tagged: u32,
    files: BTreeMap<String, Lines>,
}

/// Commits made beside the main branch, and the files they changed.
struct Topic {
    name: String,
    area: u64,
    tip: u32,
    left: u64,
    changed: Vec<String>,
}

impl<W: Write> History<W> {
    fn write(&mut self) -> Result<()> {
        for _ in 0..FILES_FIRST {
            self.new_file(None);
        }
        let mut main = self.begin("main", None, None, "Begin")?;
        for path in self.files.keys().cloned().collect::<Vec<_>>() {
            self.put(&path)?;
        }
        let mut topic: Option<Topic> = None;
        while self.made < COMMITS {
            if self.made.is_multiple_of(TAG_EVERY) && self.tagged != self.made {
                self.tag(main)?;
            }
            if self.made.is_multiple_of(LARGE_EVERY) {
                main = self.large(main)?;
            }
            match &mut topic {
                Some(open) if open.left > 0 && self.random.below(2) == 0 => self.commit_on(open)?,
                Some(open) if open.left == 0 => {
                    let done = topic.take().context("it is there")?;
                    if !self.topics.is_multiple_of(OPEN_EVERY) {
                        main = self.merge(main, &done)?;
                    }
                }
                other => {
                    if other.is_none() && self.random.below(TOPIC_EVERY) == 0 {
                        *other = Some(self.begin_topic(main));
                    }
                    let busy = other.as_ref().map(|topic| topic.area);
                    main = self.commit(main, busy)?;
                }
            }
        }
        Ok(self.out.flush()?)
    }

    /// The head of a commit; its number.
    fn begin(&mut self, branch: &str, from: Option<u32>, merge: Option<u32>, what: &str) -> Result<u32> {
        self.mark += 1;
        self.made += 1;
        let (mark, when) = (self.mark, 1_500_000_000 + u64::from(self.made) * 3600);
        let who = self.random.below(40);
        let message = format!("{what} {}\n\n{}\n", self.made, text_of(self.random.next()));
        writeln!(self.out, "commit refs/heads/{branch}\nmark :{mark}")?;
        writeln!(self.out, "author Person {who} <person{who}@example.com> {when} +0100")?;
        writeln!(self.out, "committer Person {who} <person{who}@example.com> {when} +0100")?;
        write!(self.out, "data {}\n{message}", message.len())?;
        if let Some(from) = from {
            writeln!(self.out, "from :{from}")?;
        }
        if let Some(merge) = merge {
            writeln!(self.out, "merge :{merge}")?;
        }
        Ok(mark)
    }

    fn put(&mut self, path: &str) -> Result<()> {
        let text: String = self.files[path].iter().map(|seed| text_of(*seed)).collect();
        write!(self.out, "M 100644 inline {path}\ndata {}\n{text}\n", text.len())?;
        Ok(())
    }

    /// A file in an area other than `busy`, with some lines.
    fn new_file(&mut self, area: Option<u64>) -> String {
        let random = &mut self.random;
        let area = area.unwrap_or_else(|| random.below(AREAS));
        let (module, part) = (random.below(8), random.below(6));
        let folder = format!("area-{area:02}/{}-{module}/part-{part}", WORDS[(module * 3) as usize]);
        let deep = if random.below(3) == 0 { format!("/detail-{}", random.below(3)) } else { String::new() };
        let path = format!("{folder}{deep}/{}_{}.rs", WORDS[random.below(32) as usize], random.below(1 << 20));
        let lines = 20 + random.below(140);
        let lines = (0..lines).map(|_| random.next()).collect();
        self.files.insert(path.clone(), lines);
        path
    }

    /// A file of an area, some way from a random place in the order of paths.
    fn any_file(&mut self, area: u64) -> String {
        let start = format!("area-{area:02}/");
        let end = format!("area-{area:02}0");
        let count = self.files.range(start.clone()..end.clone()).count() as u64;
        // The square makes some files change far more often than others.
        let (one, other) = (self.random.below(count), self.random.below(count));
        let at = one * other / count.max(1);
        self.files.range(start..end).nth(at as usize).map(|(path, _)| path.clone()).unwrap_or_default()
    }

    fn edit(&mut self, path: &str) {
        let random = &mut self.random;
        let Some(lines) = self.files.get_mut(path) else { return };
        for _ in 0..=random.below(4) {
            let at = random.below(lines.len() as u64) as usize;
            match random.below(6) {
                0 if lines.len() > 20 => drop(lines.remove(at)),
                1 | 2 => lines.insert(at, random.next()),
                _ => lines[at] = random.next(),
            }
        }
    }

    /// One commit's changes to an area; the paths that were put.
    fn change(&mut self, area: u64, grows: bool) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        let first = self.any_file(area);
        let neighbours: Vec<String> = self.files.range(first.clone()..).take(4).map(|(path, _)| path.clone()).collect();
        let count = 1 + self.random.below(4) as usize;
        for path in neighbours.into_iter().filter(|path| path.starts_with(&first[..8])).take(count) {
            self.edit(&path);
            self.put(&path)?;
            changed.push(path);
        }
        if grows && self.random.below(8) == 0 {
            let path = self.new_file(Some(area));
            self.put(&path)?;
            changed.push(path);
        }
        Ok(changed)
    }

    fn commit(&mut self, main: u32, busy: Option<u64>) -> Result<u32> {
        let mut area = self.random.below(AREAS);
        if busy == Some(area) {
            area = (area + 1) % AREAS;
        }
        let next = self.begin("main", Some(main), None, "Change")?;
        self.change(area, true)?;
        match self.random.below(100) {
            0..3 => {
                let from = self.any_file(area);
                if let Some(lines) = self.files.remove(&from) {
                    let to = from.replace("/part-", "/moved-part-");
                    let to = if to == from || self.files.contains_key(&to) { format!("{from}x") } else { to };
                    writeln!(self.out, "R {from} {to}")?;
                    self.files.insert(to, lines);
                }
            }
            3 => {
                let gone = self.any_file(area);
                self.files.remove(&gone);
                writeln!(self.out, "D {gone}")?;
            }
            _ => {}
        }
        Ok(next)
    }

    fn begin_topic(&mut self, main: u32) -> Topic {
        self.topics += 1;
        let left = 1 + self.random.below(TOPIC_COMMITS_MAX);
        let area = self.random.below(AREAS);
        Topic { name: format!("topic-{}", self.topics), area, tip: main, left, changed: Vec::new() }
    }

    fn commit_on(&mut self, topic: &mut Topic) -> Result<()> {
        // What is merged goes away: only topics that stay open get a branch of their own.
        let stays = self.topics.is_multiple_of(OPEN_EVERY);
        let name = if stays { topic.name.clone() } else { "merged".into() };
        topic.tip = self.begin(&name, Some(topic.tip), None, "Work")?;
        topic.left -= 1;
        let changed = self.change(topic.area, !stays)?;
        topic.changed.extend(changed);
        Ok(())
    }

    fn merge(&mut self, main: u32, topic: &Topic) -> Result<u32> {
        let next = self.begin("main", Some(main), Some(topic.tip), "Merge")?;
        let mut changed = topic.changed.clone();
        changed.sort_unstable();
        changed.dedup();
        for path in changed.iter().filter(|path| self.files.contains_key(*path)).cloned().collect::<Vec<_>>() {
            self.put(&path)?;
        }
        Ok(next)
    }

    fn tag(&mut self, at: u32) -> Result<()> {
        self.tagged = self.made;
        let message = text_of(u64::from(at));
        let when = 1_500_000_000 + u64::from(self.made) * 3600;
        writeln!(self.out, "tag v{}\nfrom :{at}\ntagger Person 1 <person1@example.com> {when} +0100", self.made)?;
        write!(self.out, "data {}\n{message}\n", message.len())?;
        Ok(())
    }

    fn large(&mut self, main: u32) -> Result<u32> {
        let next = self.begin("main", Some(main), None, "Add an asset")?;
        let file = self.made / LARGE_EVERY % LARGE_FILES;
        let size = (1 + file as usize % 4) << 20;
        writeln!(self.out, "M 100644 inline assets/picture-{file}.bin\ndata {size}")?;
        let bytes: Vec<u8> = (0..size / 8).flat_map(|_| self.random.next().to_le_bytes()).collect();
        self.out.write_all(&bytes)?;
        writeln!(self.out)?;
        Ok(next)
    }
}

/// A line as people write them: few words, some numbers.
fn text_of(seed: u64) -> String {
    let word = |shift: u32| WORDS[(seed >> shift & 31) as usize];
    let indent = " ".repeat(4 * (1 + (seed & 1) as usize));
    match seed >> 60 & 3 {
        0 => format!("{indent}let {}_{} = {}.{}({});\n", word(3), word(8), word(13), word(18), seed >> 24 & 0xff),
        1 => format!("{indent}{}.{}(&{}_{})?;\n", word(3), word(8), word(13), word(18)),
        2 => format!("{indent}// The {} of a {} is the {} of its {}.\n", word(3), word(8), word(13), word(18)),
        _ => format!("{indent}if {}.{} > {} {{ {}.{}() }}\n", word(3), word(8), seed >> 24 & 0xfff, word(13), word(18)),
    }
}
