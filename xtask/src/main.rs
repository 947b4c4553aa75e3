//! The house's own commands: `cargo xtask up`, `cargo xtask test` and what they are made of.

mod bench;
mod companions;
mod dependencies;
mod deploy;
mod elf;
mod emulator;
mod environments;
mod frontend;
mod git_suite;
mod openapi;
mod packages;
mod run;
mod test;
mod test_aws;
mod tools;
mod up;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  up [--data DIR] [--port N]   build what is needed, start the platform, print where it answers
  test [FILTER]                format, lints and every test
  test-aws [--short|NAME...]   the template deployed into an emulator of AWS, and the end-to-end tests run against it
  deploy ENVIRONMENT [OPTION]  build, `sam deploy` with samconfig.toml, and bring the files; options go to `sam deploy`
  setup                        install the tools that are missing (Debian packages as root, Python ones in target/venv*, npm ones)
  companions                   build the DynamoDB companion process into target/companions
  packages [--arch A] [NAME...]   the functions as Lambda takes them, below target/packages, and their sizes
  openapi                      write docs/openapi.json from the code
  git-suite [NAME...]          git's own HTTP tests against our engine (docs/git-suite.md)
  git-scripts [COUNT [SEED]]   random scripts of clients against `git http-backend` and our engine (docs/git-suite.md)
  bench [NAME]                 measure; prints one table
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let outcome = match arguments.first().map(String::as_str) {
        Some("up") => up::up(rest),
        Some("test") => test::test(rest),
        Some("test-aws") => test_aws::test_aws(rest),
        Some("deploy") => deploy::deploy(rest),
        Some("setup") => tools::setup(),
        Some("companions") => companions::build(),
        Some("packages") => packages::packages(rest),
        Some("openapi") => openapi::write(),
        Some("git-suite") => git_suite::git_suite(rest),
        Some("git-scripts") => git_suite::git_scripts(rest),
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
