//! Our Git server beside `git http-backend`: the same repository, the same client, taking turns.
//!
//! Each operation is done once by way of a proxy that counts bytes, with its server's memory watched, and then some
//! times for its time and the server's CPU.

mod history;
mod meter;
mod process;
mod server;
mod sheet;
mod stock;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::git::{command, git};
use meter::Meter;
use server::{Ours, Server};
use sheet::{Cost, Sheet};
use stock::Stock;

/// What is bench'd, and how often.
pub struct Options {
    /// Any repository; the made one when `None`.
    pub repository: Option<PathBuf>,
    /// Times a long operation is done; a short one is done more often.
    pub rounds: usize,
}

pub const ROUNDS: usize = 3;
/// Rounds of a short operation for each of a long one.
const SHORT: usize = 4;
const BEHIND: usize = 10;
const REFS: usize = 5000;
/// Files larger than this are not what people edit (bytes).
const EDITED_MAX: u64 = 64 * 1024;
/// Before memory is watched.
const IDLE: Duration = Duration::from_secs(3);
/// Between the client's end and a look at what the server used.
const BREATH: Duration = Duration::from_millis(30);

const MAIN: &str = "refs/heads/main";
const WHOLE: &str = "whole";
const MANY: &str = "refs";

/// Prints a table of all operations.
pub fn measure(options: &Options) -> Result<String> {
    let from = match &options.repository {
        Some(path) => path.clone(),
        None => history::repository()?,
    };
    let bench = Bench::over(&from, options.rounds, [Box::new(Ours::start()?), Box::new(Stock::start()?)])?;
    let mut sheet = Sheet::default();
    bench.first_push(&mut sheet)?;
    bench.clones(&mut sheet)?;
    bench.fetch(&mut sheet)?;
    bench.pushes(&mut sheet)?;
    bench.listing(&mut sheet)?;
    Ok(sheet.to_string())
}

/// What is measured of a turn.
type Action<'a> = Box<dyn FnOnce() -> Result<()> + 'a>;

struct Bench {
    sides: [Box<dyn Server>; 2],
    rounds: usize,
    folder: TempDir,
    /// What is pushed and cloned: branches and tags, with `main` as the default.
    source: PathBuf,
}

impl Bench {
    fn over(from: &Path, rounds: usize, sides: [Box<dyn Server>; 2]) -> Result<Self> {
        let folder = TempDir::new()?;
        let source = folder.path().join("source.git");
        git(folder.path(), &["clone", "-q", "--bare", &from.display().to_string(), "source.git"])?;
        let default = git(&source, &["symbolic-ref", "--short", "HEAD"])?;
        if default.trim() != "main" {
            git(&source, &["branch", "-q", "-M", default.trim(), "main"])?;
        }
        let count = git(&source, &["rev-list", "--objects", "--all", "--count"])?;
        let commits = git(&source, &["rev-list", "--all", "--count"])?;
        let size = git(&source, &["count-objects", "-vH"])?;
        let size = size.lines().find_map(|line| line.strip_prefix("size-pack: ")).unwrap_or_default().to_owned();
        eprintln!("  {} commits, {} objects, packs of {size}", commits.trim(), count.trim());
        Ok(Self { sides, rounds, folder, source })
    }

    /// Does `act` with each side's repository `name` of that round, by turns; round 0 is metered.
    fn compare<'a>(
        &self,
        sheet: &mut Sheet,
        what: &str,
        rounds: usize,
        mut act: impl FnMut(&Turn<'_>) -> Result<Action<'a>>,
    ) -> Result<()> {
        let mut costs = [Cost::default(), Cost::default()];
        for round in 0..=rounds {
            for (at, side) in self.sides.iter().enumerate() {
                let folder = self.folder.path().join(format!("turn-{at}-{round}"));
                std::fs::create_dir(&folder)?;
                let meter = if round == 0 { Some(Meter::before(side.authority())?) } else { None };
                let authority = meter.as_ref().map_or(side.authority(), |meter| &meter.authority);
                let action = act(&Turn { side: side.as_ref(), authority, round, folder: &folder })?;
                self.settle()?;
                if round == 0 {
                    // What was freed has gone back to the system by then.
                    std::thread::sleep(IDLE);
                }
                match meter {
                    Some(meter) => {
                        let watch = process::Watch::begin(side.process(), side.counted());
                        action()?;
                        costs[at].memory = watch.end()?;
                        costs[at].bytes = meter.bytes();
                    }
                    None => {
                        let (cpu, begun) = (process::cpu(side.process()), Instant::now());
                        action()?;
                        costs[at].wall.push(begun.elapsed());
                        std::thread::sleep(BREATH);
                        costs[at].cpu += (process::cpu(side.process()) - cpu) / rounds as f64;
                    }
                }
                std::fs::remove_dir_all(&folder)?;
            }
        }
        let [ours, theirs] = costs;
        sheet.add(what, &ours, &theirs);
        Ok(())
    }

    /// Nobody works any more for what was done before.
    fn settle(&self) -> Result<()> {
        self.sides.iter().try_for_each(|side| process::settle(side.process()))
    }

    fn first_push(&self, sheet: &mut Sheet) -> Result<()> {
        let name = |round| if round == 0 { WHOLE.to_owned() } else { format!("{WHOLE}-{round}") };
        self.compare(sheet, "first push of the whole repository", self.rounds, |turn| {
            turn.side.create(&name(turn.round))?;
            let address = turn.address(&name(turn.round));
            Ok(Box::new(move || {
                git(&self.source, &["push", "-q", &address, "+refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"])
                    .map(drop)
            }))
        })
    }

    fn clones(&self, sheet: &mut Sheet) -> Result<()> {
        let head = git(&self.source, &["rev-parse", MAIN])?;
        for (what, option) in [("clone", "--quiet"), ("clone --depth 1", "--depth=1")] {
            self.clone_with(sheet, what, option, &head)?;
        }
        self.clone_with(sheet, "clone --filter=blob:none", "--filter=blob:none", &head)
    }

    fn clone_with(&self, sheet: &mut Sheet, what: &str, option: &str, head: &str) -> Result<()> {
        self.compare(sheet, what, self.rounds, |turn| {
            let (address, folder) = (turn.address(WHOLE), turn.folder.to_owned());
            let (is_first, head, option) = (turn.round == 0, head.to_owned(), option.to_owned());
            let what = what.to_owned();
            Ok(Box::new(move || {
                git(&folder, &["clone", "-q", &option, &address, "clone"])?;
                if is_first {
                    let clone = folder.join("clone");
                    ensure!(git(&clone, &["rev-parse", "HEAD"])? == head, "{what} gave another commit");
                    git(&clone, &["fsck", "--connectivity-only"])?;
                }
                Ok(())
            }))
        })
    }

    fn fetch(&self, sheet: &mut Sheet) -> Result<()> {
        let old = git(&self.source, &["rev-parse", &format!("{MAIN}~{BEHIND}")])?;
        git(&self.source, &["update-ref", "refs/bench/behind", old.trim()])?;
        let behind = self.folder.path().join("behind.git");
        git(self.folder.path(), &["init", "-q", "--bare", "behind.git"])?;
        let from = self.source.display().to_string();
        git(&behind, &["fetch", "-q", "--no-tags", &from, &format!("refs/bench/behind:{MAIN}")])?;
        git(&self.source, &["update-ref", "-d", "refs/bench/behind"])?;
        self.compare(sheet, "fetch of 10 commits", self.rounds * SHORT, |turn| {
            let client = turn.folder.join("client.git");
            copy(&behind, &client)?;
            let address = turn.address(WHOLE);
            Ok(Box::new(move || {
                git(&client, &["fetch", "-q", "--no-tags", &address, &format!("{MAIN}:{MAIN}")]).map(drop)
            }))
        })
    }

    fn pushes(&self, sheet: &mut Sheet) -> Result<()> {
        let rounds = self.rounds * SHORT;
        (0..=rounds).try_for_each(|round| self.make_commits(round))?;
        self.compare(sheet, "push of 10 commits", rounds, |turn| {
            let address = turn.address(WHOLE);
            let branch = format!("refs/heads/bench-{}", turn.round);
            Ok(Box::new(move || git(&self.source, &["push", "-q", &address, &branch]).map(drop)))
        })
    }

    /// A branch of ten commits, each of which changes a file of `main`.
    fn make_commits(&self, round: usize) -> Result<()> {
        let listed = git(&self.source, &["ls-tree", "-r", "-l", MAIN])?;
        let plain = |line: &&str| {
            let size = line.split_whitespace().nth(3).and_then(|size| size.parse::<u64>().ok());
            line.starts_with("100644") && size.is_some_and(|size| size <= EDITED_MAX) && !line.contains('"')
        };
        let files: Vec<&str> = listed.lines().filter(plain).filter_map(|line| Some(line.split_once('\t')?.1)).collect();
        ensure!(files.len() >= BEHIND, "the repository has too few files");
        let mut import = command(&self.source, &["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn()?;
        let mut input = import.stdin.take().context("no input")?;
        for commit in 0..BEHIND {
            let path = files[(commit * files.len() / BEHIND + round * 7) % files.len()];
            let body = git(&self.source, &["cat-file", "blob", &format!("{MAIN}:{path}")])?;
            let body = format!("{body}changed in round {round}\n");
            writeln!(
                input,
                "commit refs/heads/bench-{round}\ncommitter Bench <bench@example.com> {} +0000",
                1_800_000_000 + commit
            )?;
            writeln!(input, "data 7\nChange")?;
            if commit == 0 {
                writeln!(input, "from {MAIN}^0")?;
            }
            write!(input, "M 100644 inline {path}\ndata {}\n{body}\n", body.len())?;
        }
        drop(input);
        ensure!(import.wait()?.success(), "git fast-import failed");
        Ok(())
    }

    fn listing(&self, sheet: &mut Sheet) -> Result<()> {
        let many = self.folder.path().join("many.git");
        git(self.folder.path(), &["init", "-q", "--bare", "many.git"])?;
        let mut import = command(&many, &["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn()?;
        let mut input = import.stdin.take().context("no input")?;
        for number in 0..REFS {
            let branch = if number == 0 { "main".to_owned() } else { format!("team-{}/topic-{number}", number % 50) };
            writeln!(input, "commit refs/heads/{branch}\ncommitter Bench <bench@example.com> 1700000000 +0000")?;
            let message = format!("Commit {number}\n");
            write!(input, "data {}\n{message}", message.len())?;
            write!(input, "M 100644 inline file\ndata 2\na\n")?;
        }
        drop(input);
        ensure!(import.wait()?.success(), "git fast-import failed");
        for side in &self.sides {
            side.create(MANY)?;
            side.fill(MANY, &many)?;
        }
        self.compare(sheet, "ls-remote with 5,000 refs", self.rounds * SHORT, |turn| {
            let (address, folder) = (turn.address(MANY), turn.folder.to_owned());
            Ok(Box::new(move || {
                let listed = git(&folder, &["ls-remote", "-q", &address])?;
                ensure!(listed.lines().count() > REFS, "refs are missing");
                Ok(())
            }))
        })
    }
}

/// One side's turn in a round.
struct Turn<'a> {
    side: &'a dyn Server,
    /// By way of which it is spoken to.
    authority: &'a str,
    round: usize,
    /// An empty folder that goes away.
    folder: &'a Path,
}

impl Turn<'_> {
    fn address(&self, name: &str) -> String {
        self.side.address(self.authority, name)
    }
}

/// A copy whose files are shared; git never changes them in place.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg("-al").arg(from).arg(to).status()?;
    ensure!(copied.success(), "cp failed");
    Ok(())
}
