//! `cargo xtask packages`: the functions as Lambda takes them.
//!
//! `cargo lambda build` compiles each program once, with zig as the C compiler and linker, for the glibc of Lambda's
//! Amazon Linux. `sam build` calls this for each function of the template (function.mk): functions that share a
//! program share its compile.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::elf;
use crate::run::{cargo, program, root, succeed};
use crate::tools::{setup_to_deploy, with_sam_tools};

/// The functions' programs, each in the folder of its name.
pub const FUNCTIONS: [&str; 4] = ["authorizer", "api", "websocket", "build-worker"];
const ARCHITECTURES: [&str; 2] = ["arm64", "x86_64"];
/// A package larger than this slows cold starts (bytes, zipped).
const ZIP_MAX: u64 = 10_000_000;

struct Wanted<'a> {
    architectures: Vec<&'a str>,
    functions: Vec<&'a str>,
    /// Where one program goes, instead of zip files.
    into: Option<&'a Path>,
}

/// `packages [--arch arm64|x86_64] [--into FOLDER] [FUNCTION...]`: programs and zip files below `target/packages`, and
/// a table of their sizes.
pub fn packages(arguments: &[String]) -> Result<()> {
    let wanted = read(arguments)?;
    setup_to_deploy()?;
    let mut rows = Vec::new();
    for architecture in &wanted.architectures {
        for function in &wanted.functions {
            let built = build(function, architecture)?;
            match wanted.into {
                Some(folder) => {
                    std::fs::create_dir_all(folder)?;
                    std::fs::copy(&built, folder.join("bootstrap")).context("copying the program")?;
                }
                None => rows.push(zip(function, architecture, &built)?),
            }
        }
    }
    if wanted.into.is_none() {
        println!("| function | architecture | zip | unpacked |\n| --- | --- | ---: | ---: |");
        rows.iter().for_each(|row| println!("{}", row.0));
    }
    let heavy: Vec<&str> = rows.iter().filter(|row| row.1 > ZIP_MAX).map(|row| row.0.as_str()).collect();
    if !heavy.is_empty() {
        bail!("over {} MB zipped:\n{}", ZIP_MAX / 1_000_000, heavy.join("\n"));
    }
    Ok(())
}

fn read(arguments: &[String]) -> Result<Wanted<'_>> {
    let mut wanted = Wanted { architectures: ARCHITECTURES.into(), functions: Vec::new(), into: None };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--arch" => {
                let named = rest.next().context("--arch arm64 or --arch x86_64")?;
                let known = ARCHITECTURES.into_iter().find(|known| known == named);
                wanted.architectures = vec![known.with_context(|| format!("`{named}` is not arm64 or x86_64"))?];
            }
            "--into" => wanted.into = Some(Path::new(rest.next().context("--into FOLDER")?)),
            name => match FUNCTIONS.into_iter().find(|known| *known == name) {
                Some(known) => wanted.functions.push(known),
                None => bail!("`{name}` is not one of {}", FUNCTIONS.join(", ")),
            },
        }
    }
    if wanted.functions.is_empty() {
        wanted.functions = FUNCTIONS.into();
    }
    if wanted.into.is_some() && (wanted.functions.len() != 1 || wanted.architectures.len() != 1) {
        bail!("--into takes one function and one architecture");
    }
    Ok(wanted)
}

/// Where everything of an architecture lies: `{function}/bootstrap` and `{function}.zip`.
pub fn folder(architecture: &str) -> PathBuf {
    root().join("target/packages").join(architecture)
}

/// Compiles one program. Each is built by itself: with several at once, each would carry the adapters of all.
fn build(function: &str, architecture: &str) -> Result<PathBuf> {
    let folder = folder(architecture);
    let mut build = cargo();
    build.args(["lambda", "build", "--quiet", "--profile", "lambda", "--features", "aws"]);
    build.args(["-p", function, "--bin", function]).arg("--lambda-dir").arg(&folder);
    build.arg(if architecture == "arm64" { "--arm64" } else { "--x86-64" });
    succeed(with_sam_tools(&mut build)).with_context(|| format!("building {function} for {architecture}"))?;
    let built = folder.join(function).join("bootstrap");
    let program = std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    elf::check(&program, architecture).with_context(|| format!("{function} cannot run on Lambda"))?;
    Ok(built)
}

/// Writes a zip file with the program `bootstrap` as its only, executable entry.
fn zip_file(bootstrap: &Path, target: &Path) -> Result<()> {
    let within = bootstrap.parent().context("a folder around the program")?;
    // `zip` is not everywhere, Python is. It keeps the file's mode.
    let zip = ["-m", "zipfile", "-c"];
    succeed(program("python3").current_dir(within).args(zip).arg(target).arg("bootstrap"))
}

/// The row of the table for a program's zip file, and the file's size.
fn zip(function: &str, architecture: &str, built: &Path) -> Result<(String, u64)> {
    let target = folder(architecture).join(format!("{function}.zip"));
    zip_file(built, &target)?;
    let (zipped, unpacked) = (std::fs::metadata(&target)?.len(), std::fs::metadata(built)?.len());
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    Ok((format!("| {function} | {architecture} | {} | {} |", megabytes(zipped), megabytes(unpacked)), zipped))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<String> {
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        read(&arguments).map(|wanted| format!("{:?} {:?} {:?}", wanted.architectures, wanted.functions, wanted.into))
    }

    #[test]
    fn everything_is_built_unless_something_is_named() {
        let all = r#"["arm64", "x86_64"] ["authorizer", "api", "websocket", "build-worker"] None"#;
        assert_eq!(of(&[]).unwrap(), all);
        assert_eq!(of(&["--arch", "arm64", "api"]).unwrap(), r#"["arm64"] ["api"] None"#);
        let one = of(&["--arch", "x86_64", "--into", "/a", "api"]).unwrap();
        assert_eq!(one, r#"["x86_64"] ["api"] Some("/a")"#);
    }

    #[test]
    fn what_cannot_be_built_is_named() {
        for (bad, named) in [
            (&["--arch", "mips"][..], "mips"),
            (&["--arch"], "--arch"),
            (&["local"], "local"),
            (&["--into", "/a"], "one function"),
            (&["--into", "/a", "api"], "one architecture"),
        ] {
            assert!(of(bad).unwrap_err().to_string().contains(named), "{bad:?}");
        }
    }
}
