//! The house's own commands: `cargo xtask up`, `cargo xtask test` and what they are made of.

mod bench;
mod companions;
mod openapi;
mod run;
mod test;
mod tools;
mod up;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  up [--data DIR] [--port N]   build what is needed, start the platform, print where it answers
  test [FILTER]                format, lints and every test
  setup                        install the tools that are missing (Debian packages as root, Python ones in target/venv*)
  companions                   build the DynamoDB companion process into target/companions
  openapi                      write docs/openapi.json from the code
  bench [NAME]                 measure; prints one table
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let outcome = match arguments.first().map(String::as_str) {
        Some("up") => up::up(rest),
        Some("test") => test::test(rest),
        Some("setup") => tools::setup(),
        Some("companions") => companions::build(),
        Some("openapi") => openapi::write(),
        Some("bench") => bench::bench(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
