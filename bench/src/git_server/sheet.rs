//! The table of two servers.

use std::fmt;

use crate::samples::Samples;
use crate::table::{milliseconds, ratio};

/// What one operation cost on one side.
#[derive(Default)]
pub struct Cost {
    pub wall: Samples,
    /// Seconds for each time.
    pub cpu: f64,
    /// Over the wire, in both directions.
    pub bytes: u64,
    /// The most at one time (bytes).
    pub memory: u64,
}

#[derive(Default)]
pub struct Sheet {
    rows: Vec<String>,
}

impl Sheet {
    pub fn add(&mut self, what: &str, ours: &Cost, theirs: &Cost) {
        let of = |value: fn(&Cost) -> f64, shown: fn(f64) -> String| {
            let (one, other) = (value(ours), value(theirs));
            format!("{} | {} | {}", shown(one), shown(other), ratio(one, other))
        };
        let row = format!(
            "{what} | {} | {} | {} | {} | {}",
            ours.wall.len(),
            of(|cost| cost.wall.median(), milliseconds),
            of(|cost| cost.cpu, milliseconds),
            of(|cost| cost.bytes as f64, kilobytes),
            of(|cost| cost.memory as f64, megabytes),
        );
        eprintln!("  {row}");
        self.rows.push(row);
    }
}

fn kilobytes(bytes: f64) -> String {
    if bytes < 1e6 { format!("{:.1} kB", bytes / 1e3) } else { megabytes(bytes) }
}

fn megabytes(bytes: f64) -> String {
    format!("{:.1} MB", bytes / 1e6)
}

impl fmt::Display for Sheet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "| ours, git http-backend, ratio | runs | wall, p50 | | | server CPU | | | bytes | | | server memory, peak | | |"
        )?;
        writeln!(out, "| --- | ---: {}|", "| ---: | ---: | ---: ".repeat(4))?;
        self.rows.iter().try_for_each(|row| writeln!(out, "| {row} |"))
    }
}
