//! Interpreters of this machine, and what must be mounted for them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::bubblewrap::SYSTEM;
use crate::spec::Mount;

/// A program that is installed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its real path, the same inside.
    pub program: PathBuf,
    /// As it says itself, without a leading `v`: `3.11.7`, `20.20.2`.
    pub version: String,
    /// Its folder, read-only, when it lies outside the system's.
    pub mounts: Vec<Mount>,
    /// For Python: where its packages lie.
    pub packages: Vec<PathBuf>,
}

/// Looks programs up in the folders of a search path. A program is asked once, and again when its file has changed:
/// an interpreter takes long to answer, and longer behind a version switcher. Clones share the answers.
#[derive(Clone, Debug, Default)]
pub struct Tools {
    path: Vec<PathBuf>,
    asked: Arc<Mutex<HashMap<PathBuf, Asked>>>,
}

/// What a program said, while its file was as it is.
#[derive(Clone, Debug)]
struct Asked {
    modified: Option<SystemTime>,
    tool: Option<Tool>,
}

impl Tools {
    /// `path` as the variable PATH has it.
    pub fn new(path: &str) -> Self {
        let path = path.split(':').filter(|part| part.starts_with('/')).map(PathBuf::from).collect();
        Self { path, asked: Arc::default() }
    }

    /// The first file of that name in the path.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// An installed Python 3: `wanted` (`3.12`) when there is one, otherwise `python3`.
    pub fn python(&self, wanted: Option<&str>) -> Option<Tool> {
        let names = wanted.map(|version| format!("python{version}")).into_iter().chain(["python3".to_owned()]);
        names.filter_map(|name| self.find(&name)).find_map(|program| self.once(program, python))
    }

    /// The installed Node.
    pub fn node(&self) -> Option<Tool> {
        self.once(self.find("node")?, node)
    }

    fn once(&self, program: PathBuf, question: fn(&Path) -> Option<Tool>) -> Option<Tool> {
        let modified = program.metadata().and_then(|metadata| metadata.modified()).ok();
        let asked = || self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = asked().get(&program).filter(|known| known.modified == modified) {
            return known.tool.clone();
        }
        let tool = question(&program);
        asked().insert(program, Asked { modified, tool: tool.clone() });
        tool
    }
}

fn python(program: &Path) -> Option<Tool> {
    const ASK: &str = "import sys, site, platform\n\
        print(sys.executable, sys.base_prefix, platform.python_version(), *site.getsitepackages(), sep='\\n')";
    let said = ask(program, &["-I", "-c", ASK])?;
    let mut lines = said.lines();
    let program = PathBuf::from(lines.next()?).canonicalize().ok()?;
    let prefix = PathBuf::from(lines.next()?);
    let version = lines.next()?.to_owned();
    let packages = lines.map(PathBuf::from).filter(|path| path.is_dir()).collect();
    Some(Tool { mounts: mounts(&prefix, &program), program, version, packages })
}

fn node(program: &Path) -> Option<Tool> {
    let said = ask(program, &["-p", "process.execPath + '\\n' + process.versions.node"])?;
    let (program, version) = said.trim().split_once('\n')?;
    let program = PathBuf::from(program).canonicalize().ok()?;
    let prefix = program.parent().and_then(Path::parent).unwrap_or(&program).to_owned();
    Some(Tool { mounts: mounts(&prefix, &program), program, version: version.to_owned(), packages: Vec::new() })
}

/// Mounts for a program with its prefix (`bin/`, `lib/`), unless the system's folders have them already.
fn mounts(prefix: &Path, program: &Path) -> Vec<Mount> {
    let visible = |path: &Path| SYSTEM.iter().any(|system| path.starts_with(system));
    let mut mounts = Vec::new();
    if !visible(prefix) && prefix != Path::new("/") {
        mounts.push(Mount::read(prefix));
    }
    if !visible(program) && !program.starts_with(prefix) {
        mounts.push(Mount::read(program));
    }
    mounts
}

#[allow(clippy::disallowed_methods, reason = "the search path and home of the asked program, passed on as they are")]
fn ask(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_program_is_asked_once_until_its_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (python, count) = (folder.path().join("python3"), folder.path().join("count"));
        let write = |version: &str| {
            let text =
                format!("#!/bin/sh\necho asked >> {}\nprintf '/bin/sh\\n/usr\\n{version}\\n'\n", count.display());
            std::fs::write(&python, text).unwrap();
            std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let asked = || std::fs::read_to_string(&count).unwrap().lines().count();
        let tools = Tools::new(&folder.path().display().to_string());
        write("3.11.7");
        assert_eq!(tools.python(None).unwrap().version, "3.11.7");
        assert_eq!(tools.clone().python(Some("3.12")).unwrap().version, "3.11.7");
        assert_eq!(asked(), 1);
        write("3.12.1");
        let later = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(4_000_000_000);
        std::fs::File::options().write(true).open(&python).unwrap().set_modified(later).unwrap();
        assert_eq!(tools.python(None).unwrap().version, "3.12.1");
        assert_eq!(asked(), 2);
    }
}
