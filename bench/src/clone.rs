//! A repository of some size: pushed to us and cloned from us, beside git over file://.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};

use crate::git::{command, git};
use crate::project::Project;
use crate::samples::Samples;
use crate::table::Table;

const COMMITS: usize = 2000;
const FILES: usize = 400;
const RUNS: usize = 3;

pub fn measure(table: &mut Table) -> Result<()> {
    let project = Project::start("clone", "empty")?;
    let folder = project.folder.path();
    git(folder, &["init", "-q", "source"])?;
    let source = folder.join("source");
    import(&source)?;
    let objects = git(&source, &["rev-list", "--objects", "--count", "history"])?;
    let objects = objects.trim();
    let address = project.git_address()?;
    git(folder, &["init", "-q", "--bare", "bare.git"])?;
    let bare = format!("file://{}", folder.join("bare.git").display());

    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    ours.time(|| git(&source, &["push", "-q", &address, "history"]))?;
    theirs.time(|| git(&source, &["push", "-q", &bare, "history"]))?;
    let what = format!("{COMMITS} commits, {objects} objects");
    table.compare(&format!("push to us: {what}"), &ours, Some(("file://", &theirs)));

    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for run in 0..RUNS {
        for (samples, from, name) in [(&mut ours, &address, "ours"), (&mut theirs, &bare, "theirs")] {
            let to = format!("{name}-{run}");
            samples.time(|| git(folder, &["clone", "-q", "--branch", "history", "--single-branch", from, &to]))?;
            let count = git(&folder.join(&to), &["rev-list", "--count", "HEAD"])?;
            ensure!(count.trim() == COMMITS.to_string(), "{name} has {count} commits");
        }
    }
    table.compare(&format!("clone from us: {what}"), &ours, Some(("file://", &theirs)));
    Ok(())
}

/// Writes the branch `history`: each commit changes one file of [`FILES`] in twenty folders.
fn import(repository: &Path) -> Result<()> {
    let mut stream = String::new();
    for commit in 0..COMMITS {
        let message = format!("Change number {commit}\n");
        let when = 1_700_000_000 + commit * 60;
        writeln!(stream, "commit refs/heads/history\ncommitter Bench <bench@example.com> {when} +0000")?;
        write!(stream, "data {}\n{message}", message.len())?;
        for file in [commit % FILES, (commit * 7 + 3) % FILES] {
            let body = text(file, commit);
            write!(stream, "M 100644 inline folder-{}/file-{file}.txt\ndata {}\n{body}\n", file % 20, body.len())?;
        }
    }
    let mut import = command(repository, &["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn()?;
    import.stdin.take().context("no input")?.write_all(stream.as_bytes())?;
    ensure!(import.wait()?.success(), "git fast-import failed");
    git(repository, &["repack", "-q", "-a", "-d"])?;
    Ok(())
}

/// About 4 KB that stay mostly the same from version to version.
fn text(file: usize, version: usize) -> String {
    let mut text = String::new();
    let mut state = file as u64 + 1;
    for line in 0..100 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = if line == version % 100 { version as u64 } else { 0 };
        text.push_str(&format!("{line} {:016x} {number}\n", state));
    }
    text
}
