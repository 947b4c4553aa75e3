//! A commit of one file: over REST, by git through us, and by git into a folder.

use std::path::Path;

use anyhow::Result;

use crate::git::git;
use crate::project::Project;
use crate::samples::Samples;
use crate::table::Table;

const COMMITS: usize = 100;
const PUSHES: usize = 25;

pub fn measure(table: &mut Table) -> Result<()> {
    let project = Project::start("commit", "python")?;
    let address = project.git_address()?;
    let folder = project.folder.path();
    git(folder, &["clone", "-q", &address, "through"])?;
    git(folder, &["clone", "-q", "--bare", "through", "bare.git"])?;
    git(folder, &["clone", "-q", &format!("file://{}", folder.join("bare.git").display()), "beside"])?;

    let (mut through, mut beside, mut rest) = (Samples::default(), Samples::default(), Samples::default());
    for count in 0..PUSHES {
        through.time(|| commit_and_push(&folder.join("through"), count))?;
        beside.time(|| commit_and_push(&folder.join("beside"), count))?;
    }
    let mut head = project.head()?;
    for count in 0..COMMITS {
        head = rest.time(|| project.commit(&head, "notes.txt", &text(PUSHES + count)))?;
    }
    let other = Some(("git commit and push to file://", &beside));
    table.compare("one-file commit, POST /commits", &rest, other);
    table.compare("one-file commit, git commit and push to us", &through, other);
    Ok(())
}

fn commit_and_push(folder: &Path, count: usize) -> Result<()> {
    std::fs::write(folder.join("notes.txt"), text(count))?;
    git(folder, &["add", "notes.txt"])?;
    git(folder, &["commit", "-q", "-m", "One file"])?;
    git(folder, &["push", "-q"])?;
    Ok(())
}

/// A file of a few kilobytes that differs in one line.
fn text(count: usize) -> String {
    (0..100).map(|line| format!("line {line} of version {}\n", if line == count % 100 { count } else { 0 })).collect()
}
