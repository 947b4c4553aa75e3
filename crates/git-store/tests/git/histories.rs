//! Random histories, the same for the same seed: edits, renames, modes, symlinks, merges and odd names.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use crate::machine::{Machine, git_command};

/// Names that a pushed tree may hold.
const NAMES: [&[u8]; 12] = [
    b"readme.md",
    b"src/main.rs",
    b"src/deep/er/lib.rs",
    b"docs/a.txt",
    b"docs/b.txt",
    b"sp ace.txt",
    b"tab\there",
    b"line\nfeed",
    b"quo\"te\\s",
    "\u{fc}n\u{ef}/\u{4e2d}".as_bytes(),
    b"raw\xff\xfe/x",
    "private\u{10feff}".as_bytes(),
];
const WORDS: [&str; 10] = ["alpha", "Beta", "gamma", "delta;", "eps()", "if x {", "}", "", "zeta zeta", "\tindented"];

/// xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn line(&mut self) -> String {
        let word = WORDS[self.below(WORDS.len())];
        // Few lines are the same as others: which of equal lines is which is a matter of taste.
        if self.chance(15) { format!("{word}\n") } else { format!("{word} {}\n", self.below(100_000)) }
    }

    pub fn text(&mut self, lines: usize) -> Vec<u8> {
        (0..lines).map(|_| self.line()).collect::<String>().into_bytes()
    }

    /// The text with a few lines added, removed and changed.
    pub fn edited(&mut self, text: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = text.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        for _ in 0..=self.below(3) {
            let at = self.below(lines.len() + 1);
            match self.below(3) {
                0 if at < lines.len() => drop(lines.remove(at)),
                1 if at < lines.len() => lines[at] = self.line().into_bytes(),
                _ => lines.insert(at, self.line().into_bytes()),
            }
        }
        lines.concat()
    }
}

pub type Tree = BTreeMap<Vec<u8>, (&'static str, Vec<u8>)>;

fn quoted(path: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in path {
        out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
    }
    out.push(b'"');
    out
}

/// A free name near one of `NAMES`.
fn fresh(random: &mut Random, tree: &Tree) -> Vec<u8> {
    loop {
        let mut name = NAMES[random.below(NAMES.len())].to_vec();
        if random.chance(40) {
            name.extend_from_slice(format!("-{}", random.below(50)).as_bytes());
        }
        let below = [name.as_slice(), b"/"].concat();
        let inside =
            |other: &Vec<u8>| other.starts_with(&below) || name.starts_with(&[other.as_slice(), b"/"].concat());
        if !tree.contains_key(&name) && !tree.keys().any(inside) {
            return name;
        }
    }
}

/// One person's change.
pub fn change(random: &mut Random, tree: &mut Tree) {
    let names: Vec<Vec<u8>> = tree.keys().cloned().collect();
    let any = names[random.below(names.len())].clone();
    match random.below(10) {
        0 | 1 => {
            let (name, lines) = (fresh(random, tree), random.below(40));
            let text = random.text(lines);
            tree.insert(name, ("100644", text));
        }
        2 if tree.len() > 4 => drop(tree.remove(&any)),
        3 => {
            let (mode, text) = tree.remove(&any).unwrap();
            let text = if random.chance(50) && mode != "120000" { random.edited(&text) } else { text };
            tree.insert(fresh(random, tree), (mode, text));
        }
        4 => {
            let entry = tree.get_mut(&any).unwrap();
            entry.0 = match entry.0 {
                "100644" => "100755",
                "100755" => "100644",
                other => other,
            };
        }
        5 if random.chance(30) => drop(tree.insert(fresh(random, tree), ("120000", b"docs/a.txt".to_vec()))),
        6 if random.chance(20) => drop(tree.insert(fresh(random, tree), ("100644", b"bin\0ary alpha".to_vec()))),
        _ => {
            let entry = tree.get_mut(&any).unwrap();
            if entry.0 != "120000" && !entry.1.contains(&0) {
                entry.1 = random.edited(&entry.1);
            }
        }
    }
}

/// A stream for `git fast-import`: `commits` commits, the last on `main`, some of them merges.
pub fn history(seed: u64, commits: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut first = Tree::new();
    for name in NAMES.iter().take(6) {
        first.insert(name.to_vec(), ("100644", random.text(30)));
    }
    let mut trees = vec![first];
    let mut out = Vec::new();
    let mut time = 1_700_000_000;
    for number in 1..=commits {
        time += random.below(4);
        let parent = if number == 1 { 0 } else { number - 1 - random.below(3.min(number - 1)) };
        let mut tree = trees[parent].clone();
        let mut merged = None;
        if number > 4 && random.chance(25) {
            let other = number - 1 - random.below(4);
            if other != parent {
                merged = Some(other);
                // Takes some files of the other side.
                for (name, entry) in &trees[other] {
                    if random.chance(60) && tree.contains_key(name) {
                        tree.insert(name.clone(), entry.clone());
                    }
                }
            }
        }
        if merged.is_none() || random.chance(20) {
            for _ in 0..=random.below(2) {
                change(&mut random, &mut tree);
            }
        }
        let name = if number == commits { "main".to_owned() } else { format!("t{number}") };
        emit(&mut out, &name, number, (parent, merged), time, &tree);
        trees.push(tree);
    }
    out
}

/// One commit; mark and parents are numbers from 1 on, 0 is none.
pub fn emit(out: &mut Vec<u8>, branch: &str, mark: usize, parents: (usize, Option<usize>), time: usize, tree: &Tree) {
    let message = format!("number {mark}");
    write!(out, "commit refs/heads/{branch}\nmark :{mark}\ncommitter P <p@example.com> {time} +0100\n").unwrap();
    writeln!(out, "data {}\n{message}", message.len()).unwrap();
    if parents.0 > 0 {
        writeln!(out, "from :{}", parents.0).unwrap();
    }
    if let Some(other) = parents.1.filter(|other| *other > 0) {
        writeln!(out, "merge :{other}").unwrap();
    }
    out.extend_from_slice(b"deleteall\n");
    for (name, (mode, text)) in tree {
        write!(out, "M {mode} inline ").unwrap();
        out.extend(quoted(name));
        write!(out, "\ndata {}\n", text.len()).unwrap();
        out.extend_from_slice(text);
        out.push(b'\n');
    }
}

impl Machine {
    /// Makes the repository `at` of a stream, and pushes its branches.
    pub async fn import(&self, at: &str, stream: &[u8]) {
        self.init(at).await;
        let mut import = git_command(&self.path(at), self.dir.path());
        let mut import = import.args(["fast-import", "--quiet", "--force"]).stdin(Stdio::piped()).spawn().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut import.stdin.take().unwrap(), stream).await.unwrap();
        assert!(import.wait().await.unwrap().success());
        self.git(at, &["push", "-q", "origin", "--all"]).await;
    }

    /// What git prints, byte by byte.
    pub async fn raw(&self, at: &str, args: &[&str]) -> Vec<u8> {
        let output = self.try_git(at, args).await;
        assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The commits that git lists.
    pub async fn revisions(&self, at: &str, args: &[&str]) -> Vec<git_store::Oid> {
        let out = self.git(at, &[&["rev-list"], args].concat()).await;
        out.lines().map(|line| line.parse().unwrap()).collect()
    }
}
