//! What the platform costs: one run, one table.
//!
//! `cargo xtask bench [NAME...]` with names of [`MEASUREMENTS`]; all without a name. Times are wall time at the client on
//! this machine, which the client shares; what they are compared with ran in the same run, taking turns.

mod client;
mod clone;
mod cold_start;
mod commit;
mod functions;
mod git;
mod load;
mod platform;
mod project;
mod read;
mod release;
mod runtime_api;
mod samples;
mod start;
mod table;

use anyhow::{Result, bail};

use crate::table::Table;

type Measurement = fn(&mut Table) -> Result<()>;

const MEASUREMENTS: [(&str, Measurement); 7] = [
    ("start", start::measure),
    ("read", read::measure),
    ("commit", commit::measure),
    ("release", release::measure),
    ("functions", functions::measure),
    ("clone", clone::measure),
    ("cold-start", cold_start::measure),
];

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let known = MEASUREMENTS.map(|(name, _)| name);
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no measurement `{unknown}`: {}", known.join(", "));
    }
    let mut table = Table::default();
    for (name, measure) in MEASUREMENTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("measuring {name}");
            measure(&mut table)?;
        }
    }
    print!("{table}");
    Ok(())
}
