//! `cargo xtask git-suite`: git's own HTTP tests against our engine, which stands in the place of `git http-backend`.
//!
//! The tests come with git's sources, from Debian. What is known not to pass, and why: docs/git-suite.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, program, root, succeed};

/// The release of Debian whose git is taken.
const SUITE: &str = "trixie";
const SCRIPTS: [&str; 9] = ["t5551", "t5541", "t5702", "t5539", "t5542", "t5549", "t5558", "t5732", "t5616"];
const APACHE: &str = "/usr/sbin/apache2";
const APACHE_MODULES: &str = "/usr/lib/apache2/modules";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Files that have to be there, and Debian's packages of them.
const NEEDED: [(&str, &str); 6] = [
    (APACHE, "apache2-bin"),
    ("/usr/bin/curl-config", "libcurl4-openssl-dev"),
    ("/usr/include/expat.h", "libexpat1-dev"),
    ("/usr/include/zlib.h", "zlib1g-dev"),
    ("/usr/bin/dpkg-source", "dpkg-dev"),
    ("/usr/bin/make", "make"),
];
const MAKE: [&str; 6] = ["NO_GETTEXT=1", "NO_TCLTK=1", "NO_PYTHON=1", "NO_INSTALL_HARDLINKS=1", "CFLAGS=-O1", "-j2"];
/// Nobody: Apache and the tests do not run as root.
const NOBODY: &str = "65534";
const BACKEND: &str = "git-http-backend";
const LIST: &str = "docs/git-suite.md";
/// Differential scripts, when no number is given.
const SCRIPTS_OF_CLIENTS: &str = "2000";

/// What one test script said.
#[derive(Default)]
struct Outcome {
    passed: usize,
    skipped: usize,
    /// Number and title.
    failed: BTreeMap<usize, String>,
}

/// Runs all scripts, or those named; fails when the list of known failures is not what was seen.
pub fn git_suite(arguments: &[String]) -> Result<()> {
    check_needed()?;
    let folder = root().join("target/git-suite");
    let sources = sources(&folder)?;
    put_engine(&sources)?;
    let known = known_failures()?;
    let chosen = SCRIPTS.iter().filter(|name| arguments.is_empty() || arguments.iter().any(|asked| asked == *name));
    let (mut passed, mut skipped, mut surprises) = (0, 0, Vec::new());
    for name in chosen {
        let outcome = run_script(&sources, &folder, name)?;
        let seen: BTreeSet<String> = outcome.failed.keys().map(|number| format!("{name}.{number}")).collect();
        let listed: BTreeSet<String> = known.iter().filter(|id| id.starts_with(name)).cloned().collect();
        println!("{name}: {} passed, {} failed, {} skipped", outcome.passed, seen.len(), outcome.skipped);
        for (number, title) in &outcome.failed {
            let mark = if listed.contains(&format!("{name}.{number}")) { "known" } else { "NOT KNOWN" };
            println!("  {name}.{number} ({mark}) {title}");
        }
        surprises.extend(seen.symmetric_difference(&listed).cloned());
        passed += outcome.passed;
        skipped += outcome.skipped;
    }
    println!("{passed} passed, {skipped} skipped");
    if !surprises.is_empty() {
        bail!("{LIST} does not say what was seen: {}", surprises.join(", "));
    }
    Ok(())
}

/// Runs `scripts` differential scripts of clients from number `seed` on.
pub fn git_scripts(arguments: &[String]) -> Result<()> {
    let number = |at: usize, usual: &'static str| match arguments.get(at) {
        None => Ok(usual.to_owned()),
        Some(raw) if raw.parse::<u64>().is_ok() => Ok(raw.clone()),
        Some(raw) => bail!("`{raw}` is no number"),
    };
    let mut command = cargo();
    command.args(["test", "--quiet", "-p", "git-store", "--test", "git", "differential_clients", "--", "--nocapture"]);
    command.env("WORKROOM_TEST_SCRIPTS", number(0, SCRIPTS_OF_CLIENTS)?).env("WORKROOM_TEST_SEED", number(1, "0")?);
    succeed(&mut command)
}

fn check_needed() -> Result<()> {
    let absent: Vec<&str> =
        NEEDED.iter().filter(|(file, _)| !Path::new(file).exists()).map(|(_, name)| *name).collect();
    if absent.is_empty() { Ok(()) } else { bail!("on Debian: apt-get install {}", absent.join(" ")) }
}

/// Git's sources, built: from the Debian archive that this machine uses.
fn sources(folder: &Path) -> Result<PathBuf> {
    if let Some(built) = unpacked(folder) {
        return Ok(built);
    }
    let apt = folder.join("apt");
    std::fs::create_dir_all(apt.join("lists/partial"))?;
    let list = apt.join("git.sources");
    let archive = archive().context("this machine's list of Debian archives names none")?;
    std::fs::write(
        &list,
        format!("Types: deb-src\nURIs: {archive}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n"),
    )?;
    let apt_get = |args: &[&str]| {
        let mut command = program("apt-get");
        command.current_dir(folder);
        command.arg("-o").arg(format!("Dir::Etc::sourcelist={}", list.display()));
        command.args(["-o", "Dir::Etc::sourceparts=/dev/null", "-o"]);
        command.arg(format!("Dir::State::lists={}", apt.join("lists").display())).args(args);
        succeed(&mut command)
    };
    apt_get(&["update", "-qq"])?;
    apt_get(&["--download-only", "-qq", "source", "git"])?;
    let listed = std::fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let orig =
        listed.into_iter().find(|name| name.contains(".orig.tar")).context("the archive has no sources of git")?;
    succeed(program("tar").current_dir(folder).arg("xf").arg(orig))?;
    let sources = newest(folder).context("the sources of git hold no folder")?;
    succeed(program("make").current_dir(&sources).args(MAKE))?;
    Ok(sources)
}

/// The folder of sources that are built already.
fn unpacked(folder: &Path) -> Option<PathBuf> {
    newest(folder).filter(|sources| sources.join("git").exists() && sources.join("t/helper/test-tool").exists())
}

fn newest(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    entries.filter(|path| path.join("http-backend.c").exists()).max()
}

/// Where this machine has its Debian packages from.
fn archive() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(std::fs::read_dir("/etc/apt/sources.list.d").ok()?.filter_map(|entry| Some(entry.ok()?.path())));
    let text: String =
        files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect::<Vec<_>>().join("\n");
    let words = text
        .lines()
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace);
    words.into_iter().find(|word| word.trim_end_matches('/').ends_with("/debian")).map(str::to_owned)
}

/// Puts our program where Apache finds git's own.
fn put_engine(sources: &Path) -> Result<()> {
    succeed(cargo().args(["build", "--quiet", "-p", "git-store", "--example", BACKEND]))?;
    let stock = sources.join(format!("{BACKEND}.stock"));
    if !stock.exists() {
        std::fs::rename(sources.join(BACKEND), &stock)?;
    }
    let target = sources.join(BACKEND);
    let _ = std::fs::remove_file(&target);
    std::fs::copy(root().join("target/debug/examples").join(BACKEND), target)?;
    Ok(())
}

fn run_script(sources: &Path, folder: &Path, name: &str) -> Result<Outcome> {
    let tests = sources.join("t");
    let file = std::fs::read_dir(&tests)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let file = file.into_iter().find(|file| file.starts_with(name) && file.ends_with(".sh"));
    let file = file.with_context(|| format!("these sources of git have no {name}"))?;
    let trash = folder.join("trash");
    std::fs::create_dir_all(&trash)?;
    let mut command = as_nobody(&[&tests, &trash])?;
    command.arg("sh").arg(&file).arg(format!("--root={}", trash.display())).current_dir(&tests);
    command.env("HOME", &trash).env("GIT_TEST_HTTPD", "true").env("LIB_HTTPD_PATH", APACHE);
    command.env("LIB_HTTPD_MODULE_PATH", APACHE_MODULES).env("LC_ALL", "C.UTF-8");
    let output = command.output().with_context(|| format!("running {file}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    std::fs::write(folder.join(format!("{name}.out")), said.as_bytes())?;
    let outcome = read_outcome(&said);
    if outcome.passed == 0 {
        bail!("{file} ran no test: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(outcome)
}

/// A command that begins a program as a user without rights, who may write into `folders`.
fn as_nobody(folders: &[&Path]) -> Result<Command> {
    // SAFETY: geteuid reads the process's own user id and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(program("env"));
    }
    for folder in folders {
        succeed(program("chown").arg("-R").arg(format!("{NOBODY}:{NOBODY}")).arg(folder))?;
    }
    let mut command = program("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
    Ok(command)
}

/// Reads TAP: `ok 1 - title`, `not ok 2 - title`, `ok 3 # skip …`, `not ok 4 - title # TODO …`.
fn read_outcome(said: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in said.lines() {
        let (good, rest) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => continue,
        };
        let Some((number, title)) = rest.split_once(' ') else { continue };
        let Ok(number) = number.parse() else { continue };
        if title.starts_with("# skip") {
            outcome.skipped += 1;
        } else if good || title.contains("# TODO") {
            outcome.passed += 1;
        } else {
            outcome.failed.insert(number, title.trim_start_matches("- ").to_owned());
        }
    }
    outcome
}

/// The tests that the list says do not pass: its table's first column.
fn known_failures() -> Result<BTreeSet<String>> {
    let list = std::fs::read_to_string(root().join(LIST)).with_context(|| format!("reading {LIST}"))?;
    let rows = list.lines().filter_map(|line| line.strip_prefix("| t"));
    Ok(rows.filter_map(|row| Some(format!("t{}", row.split_once(' ')?.0))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_says_is_counted() {
        let said = "ok 1 - one\nnot ok 2 - two\n#\tdetail\nok 3 # skip three (missing X)\nnot ok 4 - four # TODO known breakage\n1..4\n";
        let outcome = read_outcome(said);
        assert_eq!((outcome.passed, outcome.skipped), (2, 1));
        assert_eq!(outcome.failed, BTreeMap::from([(2, "two".to_owned())]));
    }
}
