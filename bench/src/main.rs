//! What the platform costs: one run, one table.
//!
//! `cargo xtask bench [NAME...]` with names of [`MEASUREMENTS`] and [`GIT`]; all without a name. Of `git`,
//! `--repository PATH` says over which repository and `--rounds N` how often. Times are wall time at the client on
//! this machine, which the client shares; what they are compared with ran in the same run, taking turns.

mod client;
mod clone;
mod cold_start;
mod commit;
mod functions;
mod git;
mod git_server;
mod load;
mod platform;
mod project;
mod read;
mod release;
mod runtime_api;
mod samples;
mod start;
mod table;

use anyhow::{Context as _, Result, bail};

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

const GIT: &str = "git";

/// The measurements that are asked for, and how.
struct Asked {
    names: Vec<String>,
    git: git_server::Options,
}

impl Asked {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut asked =
            Self { names: Vec::new(), git: git_server::Options { repository: None, rounds: git_server::ROUNDS } };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("`{argument}` needs a value"));
            match argument.as_str() {
                "--repository" => asked.git.repository = Some(std::path::absolute(value()?)?),
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|rounds| *rounds > 0);
                    asked.git.rounds = rounds.context("`--rounds` needs a number from 1")?;
                }
                _ => asked.names.push(argument),
            }
        }
        let known: Vec<&str> = MEASUREMENTS.iter().map(|(name, _)| *name).chain([GIT]).collect();
        if let Some(unknown) = asked.names.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("there is no measurement `{unknown}`: {}", known.join(", "));
        }
        Ok(asked)
    }

    fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

fn main() -> Result<()> {
    let asked = Asked::parse(std::env::args().skip(1))?;
    let mut table = Table::default();
    for (name, measure) in MEASUREMENTS {
        if asked.wants(name) {
            eprintln!("measuring {name}");
            measure(&mut table)?;
        }
    }
    let mut beside = String::new();
    if asked.wants(GIT) {
        eprintln!("measuring {GIT}");
        beside = git_server::measure(&asked.git)?;
    }
    print!("{table}{beside}");
    Ok(())
}
