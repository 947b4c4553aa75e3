//! How long a start takes, and what an idle platform holds.

use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::platform::Platform;
use crate::samples::Samples;
use crate::table::Table;

const RUNS: usize = 5;
const IDLE: Duration = Duration::from_secs(1);

pub fn measure(table: &mut Table) -> Result<()> {
    let (mut first, mut second) = (Samples::default(), Samples::default());
    let mut resident = Vec::new();
    for _ in 0..RUNS {
        let folder = TempDir::new()?;
        let platform = Platform::start(folder.path())?;
        first.push(platform.ready);
        platform.stop()?;
        let platform = Platform::start(folder.path())?;
        second.push(platform.ready);
        std::thread::sleep(IDLE);
        resident.push(platform.resident()?);
    }
    resident.sort_unstable();
    table.compare("ready, second start", &second, Some(("first start", &first)));
    let [middle, most] = [resident[RUNS / 2], resident[RUNS - 1]].map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    table.add([
        "resident memory, idle".into(),
        RUNS.to_string(),
        middle,
        format!("max {most}"),
        String::new(),
        String::new(),
    ]);
    Ok(())
}
