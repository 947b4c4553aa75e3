//! Three texts into one, line by line (git-merge-file).

use std::ops::Range;

use crate::lines::{LineChange, line_changes, lines_of};
use crate::{ConflictHunk, Result};

/// Length of a line of conflict markers.
const MARKER: usize = 7;
/// Conflicts with so few lines between them are one.
const APART_MIN: usize = 3;

/// The outcome of a merge of texts.
pub(crate) struct Merged {
    /// The text; where both sides changed the same lines, both of them between markers.
    pub text: Vec<u8>,
    /// Empty when the texts merge.
    pub hunks: Vec<ConflictHunk>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Take {
    Ours,
    Theirs,
    Both,
}

/// Lines of each text that belong together.
#[derive(Clone, Debug)]
struct Region {
    take: Take,
    base: Range<usize>,
    ours: Range<usize>,
    theirs: Range<usize>,
}

/// The names of the sides in conflict markers.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    pub ours: String,
    pub theirs: String,
}

pub(crate) fn merge_texts(base: &[u8], ours: &[u8], theirs: &[u8], labels: &Labels) -> Result<Merged> {
    let (ours_changes, theirs_changes) = (line_changes(base, ours, false)?, line_changes(base, theirs, false)?);
    let texts = Texts { base: lines_of(base), ours: lines_of(ours), theirs: lines_of(theirs) };
    let regions = texts.regions(&ours_changes, &theirs_changes);
    let conflicts = regions.iter().filter(|region| region.take == Take::Both);
    let hunks: Vec<ConflictHunk> = conflicts.map(|region| texts.hunk(region)).collect();
    let regions = if hunks.is_empty() { regions } else { texts.refined(regions)? };
    Ok(Merged { text: texts.written(&regions, labels), hunks })
}

struct Texts<'a> {
    base: Vec<&'a [u8]>,
    ours: Vec<&'a [u8]>,
    theirs: Vec<&'a [u8]>,
}

/// Where a line of the base is in a side, given the change before or after it.
fn shifted(line: usize, from: usize, to: usize) -> usize {
    (line + to).saturating_sub(from)
}

impl Texts<'_> {
    /// The lines that are not the same in all three. Changes that touch belong together.
    fn regions(&self, ours: &[LineChange], theirs: &[LineChange]) -> Vec<Region> {
        let mut regions: Vec<Region> = Vec::new();
        let (mut a, mut b) = (0, 0);
        while a < ours.len() || b < theirs.len() {
            let alone = match (ours.get(a), theirs.get(b)) {
                (Some(x), Some(y)) if x.old.end < y.old.start => Some(Take::Ours),
                (Some(x), Some(y)) if y.old.end < x.old.start => Some(Take::Theirs),
                (Some(_), None) => Some(Take::Ours),
                (None, Some(_)) => Some(Take::Theirs),
                _ => None,
            };
            match (alone, ours.get(a), theirs.get(b)) {
                (Some(Take::Ours), Some(x), y) => {
                    let (from, to) = y.map_or((self.base.len(), self.theirs.len()), |y| (y.old.start, y.new.start));
                    let theirs = shifted(x.old.start, from, to)..shifted(x.old.end, from, to);
                    add(&mut regions, Region { take: Take::Ours, base: x.old.clone(), ours: x.new.clone(), theirs });
                    a += 1;
                }
                (Some(_), x, Some(y)) => {
                    let (from, to) = x.map_or((self.base.len(), self.ours.len()), |x| (x.old.start, x.new.start));
                    let ours = shifted(y.old.start, from, to)..shifted(y.old.end, from, to);
                    add(&mut regions, Region { take: Take::Theirs, base: y.old.clone(), ours, theirs: y.new.clone() });
                    b += 1;
                }
                (None, Some(x), Some(y)) => {
                    let same = x.old == y.old && self.ours[x.new.clone()] == self.theirs[y.new.clone()];
                    if !same {
                        add(&mut regions, both(x, y));
                    }
                    let (x_end, y_end) = (x.old.end, y.old.end);
                    b += usize::from(x_end >= y_end);
                    a += usize::from(y_end >= x_end);
                }
                _ => break,
            }
        }
        regions
    }

    fn hunk(&self, region: &Region) -> ConflictHunk {
        let shown = |lines: &[&[u8]]| {
            let plain = |line: &&[u8]| {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
            };
            lines.iter().map(plain).collect()
        };
        ConflictHunk {
            base: shown(&self.base[region.base.clone()]),
            ours: shown(&self.ours[region.ours.clone()]),
            theirs: shown(&self.theirs[region.theirs.clone()]),
            ours_line: region.ours.start + 1,
            theirs_line: region.theirs.start + 1,
        }
    }

    /// Conflicts cut to the lines in which the sides differ.
    fn refined(&self, regions: Vec<Region>) -> Result<Vec<Region>> {
        let mut all: Vec<Region> = Vec::new();
        for region in regions {
            if region.take != Take::Both || region.ours.is_empty() || region.theirs.is_empty() {
                all.push(region);
                continue;
            }
            let (ours, theirs) = (self.ours[region.ours.clone()].concat(), self.theirs[region.theirs.clone()].concat());
            let differ = line_changes(&ours, &theirs, false)?;
            if differ.is_empty() {
                all.push(Region { take: Take::Ours, ..region.clone() });
            }
            for change in differ {
                let ours = change.old.start + region.ours.start..change.old.end + region.ours.start;
                let theirs = change.new.start + region.theirs.start..change.new.end + region.theirs.start;
                all.push(Region { take: Take::Both, base: region.base.clone(), ours, theirs });
            }
        }
        let mut joined: Vec<Region> = Vec::new();
        for region in all {
            match joined.last_mut() {
                Some(last)
                    if last.take == Take::Both
                        && region.take == Take::Both
                        && region.ours.start - last.ours.end <= APART_MIN =>
                {
                    last.ours.end = region.ours.end;
                    last.theirs.end = region.theirs.end;
                }
                _ => joined.push(region),
            }
        }
        Ok(joined)
    }

    fn written(&self, regions: &[Region], labels: &Labels) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        let end: &[u8] = if self.has_crlf() { b"\r\n" } else { b"\n" };
        let marker = |out: &mut Vec<u8>, sign: u8, label: &str| {
            out.extend(std::iter::repeat_n(sign, MARKER));
            if !label.is_empty() {
                out.push(b' ');
                out.extend_from_slice(label.as_bytes());
            }
            out.extend_from_slice(end);
        };
        let whole = |out: &mut Vec<u8>, lines: &[&[u8]]| {
            out.extend(lines.concat());
            if lines.last().is_some_and(|line| !line.ends_with(b"\n")) {
                out.extend_from_slice(end);
            }
        };
        for region in regions {
            out.extend(self.ours[at..region.ours.start].concat());
            match region.take {
                Take::Ours => out.extend(self.ours[region.ours.clone()].concat()),
                Take::Theirs => out.extend(self.theirs[region.theirs.clone()].concat()),
                Take::Both => {
                    marker(&mut out, b'<', &labels.ours);
                    whole(&mut out, &self.ours[region.ours.clone()]);
                    marker(&mut out, b'=', "");
                    whole(&mut out, &self.theirs[region.theirs.clone()]);
                    marker(&mut out, b'>', &labels.theirs);
                }
            }
            at = region.ours.end;
        }
        out.extend(self.ours[at..].concat());
        out
    }

    /// Whether lines end as on Windows, on both sides.
    fn has_crlf(&self) -> bool {
        [&self.ours, &self.theirs].iter().all(|lines| lines.first().is_some_and(|line| line.ends_with(b"\r\n")))
    }
}

/// Both sides' changes, widened to the same lines of the base. What lies before an earlier change of this side may be
/// counted wrong: the region is joined to that of the earlier change, and only its end counts.
fn both(x: &LineChange, y: &LineChange) -> Region {
    let start = x.old.start.min(y.old.start);
    let end = x.old.end.max(y.old.end);
    let widened = |change: &LineChange| {
        change.new.start.saturating_sub(change.old.start - start)..change.new.end + (end - change.old.end)
    };
    Region { take: Take::Both, base: start..end, ours: widened(x), theirs: widened(y) }
}

/// Adds a region, to the last one when they touch.
fn add(regions: &mut Vec<Region>, region: Region) {
    match regions.last_mut() {
        Some(last) if region.ours.start <= last.ours.end || region.theirs.start <= last.theirs.end => {
            if last.take != region.take {
                last.take = Take::Both;
            }
            last.base.end = region.base.end;
            last.ours.end = region.ours.end;
            last.theirs.end = region.theirs.end;
        }
        _ => regions.push(region),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 9] = ["a", "b", "c {", "}", "", "d d", "e();", "f", "g"];

    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 20) as usize % end
        }

        fn line(&mut self) -> String {
            let word = WORDS[self.below(WORDS.len())];
            if self.below(3) == 0 { format!("{word}\n") } else { format!("{word} {}\n", self.below(40)) }
        }

        fn edited(&mut self, text: &str) -> String {
            let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
            for _ in 0..=self.below(5) {
                let at = self.below(lines.len() + 1);
                match self.below(3) {
                    0 if at < lines.len() => drop(lines.remove(at)),
                    1 if at < lines.len() => lines[at] = self.line(),
                    _ => lines.insert(at, self.line()),
                }
            }
            let text = lines.concat();
            // Now and then without a line end at the end.
            if self.below(8) == 0 { text.trim_end_matches('\n').to_owned() } else { text }
        }
    }

    /// `git merge-file` says the same, byte for byte, conflicts and their markers too.
    #[test]
    fn texts_merge_as_git_merges_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(88_172_645_463_325_252);
        let (mut clean, mut conflicts) = (0, 0);
        for round in 0..300 {
            let lines = random.below(30);
            let base: String = (0..lines).map(|_| random.line()).collect();
            let (ours, theirs) = (random.edited(&base), random.edited(&base));
            for (name, text) in [("o", &ours), ("b", &base), ("t", &theirs)] {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            let git = std::process::Command::new("git")
                .current_dir(folder.path())
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .args(["merge-file", "-p", "--diff-algorithm=myers", "-L", "x", "-L", "y", "-L", "z", "o", "b", "t"])
                .output()
                .unwrap();
            let labels = Labels { ours: "x".into(), theirs: "z".into() };
            let merged = merge_texts(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &labels).unwrap();
            assert_eq!(merged.hunks.is_empty(), git.status.success(), "round {round}\n{base}---\n{ours}---\n{theirs}");
            let (got, want) = (String::from_utf8_lossy(&merged.text), String::from_utf8_lossy(&git.stdout));
            assert_eq!(got, want, "round {round}\n{base}---\n{ours}---\n{theirs}");
            if merged.hunks.is_empty() { clean += 1 } else { conflicts += 1 }
        }
        assert!(clean > 30 && conflicts > 30, "{clean} {conflicts}");
    }

    #[test]
    fn a_conflict_tells_the_lines_of_all_three() {
        let labels = Labels { ours: "main".into(), theirs: "topic".into() };
        let merged = merge_texts(b"1\n2\n3\n", b"1\r\n2\n3\n", b"0\n1\nzwei\n3", &labels).unwrap();
        let [hunk] = merged.hunks.as_slice() else { panic!("{:?}", merged.hunks) };
        assert_eq!((hunk.base.join(","), hunk.ours.join(",")), ("1,2,3".into(), "1,2,3".into()));
        assert_eq!((hunk.theirs.join(","), hunk.ours_line, hunk.theirs_line), ("0,1,zwei,3".into(), 1, 1));
    }
}
