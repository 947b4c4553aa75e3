//! From asking for a release to the new version being served.

use anyhow::{Result, ensure};

use crate::git::git;
use crate::project::Project;
use crate::samples::Samples;
use crate::table::Table;

const RUNS: usize = 5;
const SOURCE: &str = "functions/greet/app.py";

pub fn measure(table: &mut Table) -> Result<()> {
    let project = Project::start("release", "python")?;
    let (mut first, mut asked, mut pushed) = (Samples::default(), Samples::default(), Samples::default());
    first.time(|| {
        project.release()?;
        project.serves("/api/greeting", "Hello, ")
    })?;
    let source = project.client.text("GET", &project.path(&format!("/file?ref=main&path={SOURCE}")), None, None)?;
    ensure!(source.contains("Hello, "), "{SOURCE} greets otherwise");
    let version = |count: usize, way: &str| source.replace("Hello, ", &format!("{way} {count}, "));
    let mut head = project.head()?;
    for count in 0..RUNS {
        head = project.commit(&head, SOURCE, &version(count, "Asked"))?;
        let mut job = String::new();
        asked.time(|| {
            job = project.release()?;
            project.serves("/api/greeting", &format!("Asked {count}, "))
        })?;
        project.finish(&job)?;
    }
    let folder = project.folder.path();
    git(folder, &["clone", "-q", &project.git_address()?, "clone"])?;
    let clone = folder.join("clone");
    for count in 0..RUNS {
        std::fs::write(clone.join(SOURCE), version(count, "Pushed"))?;
        git(&clone, &["commit", "-q", "-a", "-m", "Greet otherwise"])?;
        let mut job = String::new();
        pushed.time(|| {
            git(&clone, &["push", "-q"])?;
            job = project.release()?;
            project.serves("/api/greeting", &format!("Pushed {count}, "))
        })?;
        project.finish(&job)?;
    }
    table.compare("PUT release to served, Python starter, first", &first, None);
    table.compare("PUT release to served, Python starter, one function changed", &asked, None);
    table.compare("git push, PUT release, to served, same", &pushed, Some(("without the push", &asked)));
    Ok(())
}
