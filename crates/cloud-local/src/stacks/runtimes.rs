//! Which interpreter of this machine runs a Lambda runtime.

use std::io;
use std::path::Path;

use sandbox::{Tool, Tools};

/// The AWS SDK for Python and what it needs, which Lambda's own Python has built in.
const PYTHON_SDK: [&str; 7] = ["boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3"];
const PYTHON_CLIENT: &str = include_str!("executor/runtime/bootstrap.py");
const NODE_CLIENT: &str = include_str!("executor/runtime/bootstrap.mjs");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Python,
    Node,
    /// `provided.*`: the package has its own `bootstrap`.
    Provided,
}

/// What runs a function here.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// As in the template: `python3.12`.
    pub name: String,
    pub language: Language,
    pub tool: Option<Tool>,
    /// Where that is not exactly what the template asks for.
    pub note: Option<String>,
}

/// The interpreters of this machine, asked once.
pub struct Runtimes {
    tools: Tools,
    python: Option<Tool>,
    node: Option<Tool>,
    python_has_sdk: bool,
    node_has_sdk: bool,
}

impl Runtimes {
    /// Looks along `path` and lays the runtime clients down in `folder`.
    pub fn find(path: &str, folder: &Path) -> io::Result<Self> {
        let tools = Tools::new(path);
        // Both at once: an interpreter takes long to say what it is.
        let (python, node) = std::thread::scope(|scope| {
            let python = scope.spawn(|| tools.python(None));
            let node = tools.node();
            (python.join().ok().flatten(), node)
        });
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("bootstrap.py"), PYTHON_CLIENT)?;
        std::fs::write(folder.join("bootstrap.mjs"), NODE_CLIENT)?;
        let python_has_sdk = link_python_sdk(python.as_ref(), &folder.join("packages"))?;
        let node_has_sdk = link_node_sdk(node.as_ref(), &folder.join("node_modules"))?;
        Ok(Self { tools, python, node, python_has_sdk, node_has_sdk })
    }

    /// The runtime that runs `name`; why not, otherwise.
    pub fn resolve(&self, name: &str) -> Result<Runtime, String> {
        let runtime = |language, tool, notes: Vec<String>| Runtime {
            name: name.to_owned(),
            language,
            tool,
            note: (!notes.is_empty()).then(|| notes.join("; ")),
        };
        if let Some(version) = name.strip_prefix("python") {
            let exact = self.python.as_ref().filter(|tool| same_release(&tool.version, version)).cloned();
            let tool = exact.or_else(|| self.tools.python(Some(version))).or_else(|| self.python.clone());
            let Some(tool) = tool else { return Err(format!("`{name}` needs Python 3, which is not installed here")) };
            let mut notes = Vec::new();
            if !same_release(&tool.version, version) {
                notes.push(format!("{name} runs on the installed Python {}", tool.version));
            }
            notes.push(if self.python_has_sdk {
                "boto3 is this machine's".to_owned()
            } else {
                "boto3 is not installed on this machine: add it to requirements.txt".to_owned()
            });
            return Ok(runtime(Language::Python, Some(tool), notes));
        }
        if let Some(version) = name.strip_prefix("nodejs") {
            let Some(tool) = self.node.clone() else {
                return Err(format!("`{name}` needs Node.js, which is not installed here"));
            };
            let mut notes = Vec::new();
            if !same_release(&tool.version, version.trim_end_matches(".x")) {
                notes.push(format!("{name} runs on the installed Node {}", tool.version));
            }
            if !self.node_has_sdk {
                notes.push("@aws-sdk is not installed on this machine: add the clients to package.json".to_owned());
            }
            return Ok(runtime(Language::Node, Some(tool), notes));
        }
        if name.starts_with("provided") {
            return Ok(runtime(Language::Provided, None, Vec::new()));
        }
        Err(format!("`{name}` is not run here: the runtimes are python3.*, nodejs*, provided.al2 and provided.al2023"))
    }
}

/// `3.11` is the release of `3.11.7`; `20` of `20.1.0`.
fn same_release(version: &str, release: &str) -> bool {
    version == release || version.strip_prefix(release).is_some_and(|rest| rest.starts_with('.'))
}

/// Offers boto3, and nothing else, of the machine's packages.
fn link_python_sdk(python: Option<&Tool>, folder: &Path) -> io::Result<bool> {
    std::fs::create_dir_all(folder)?;
    let Some(python) = python else { return Ok(false) };
    for name in PYTHON_SDK {
        if let Some(package) = python.packages.iter().map(|place| place.join(name)).find(|place| place.exists()) {
            link(&package, &folder.join(name))?;
        }
    }
    Ok(folder.join("boto3").exists() && folder.join("botocore").exists())
}

fn link_node_sdk(node: Option<&Tool>, folder: &Path) -> io::Result<bool> {
    std::fs::create_dir_all(folder)?;
    let prefix = node.and_then(|tool| tool.program.parent().and_then(Path::parent));
    let Some(installed) = prefix.map(|prefix| prefix.join("lib/node_modules/@aws-sdk")) else { return Ok(false) };
    if installed.exists() {
        link(&installed, &folder.join("@aws-sdk"))?;
    }
    Ok(installed.exists())
}

fn link(target: &Path, at: &Path) -> io::Result<()> {
    match std::fs::remove_file(at) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::os::unix::fs::symlink(target, at),
    }
}
