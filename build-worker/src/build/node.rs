//! Node packages.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::cache::{Key, Owner};
use super::program::Program;
use super::python::read_regular;
use super::{BuildError, Builder, Output, Target, copy};

/// The largest `package.json` and lock file read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Scripts that npm runs when it installs the package itself.
const OWN_SCRIPTS: [&str; 5] = ["preinstall", "install", "postinstall", "prepare", "prepublish"];

/// A `package.json` with its lock file.
pub struct Manifest {
    pub json: Value,
    files: Vec<(&'static str, Vec<u8>)>,
    locked: bool,
}

impl Manifest {
    /// Reads the manifest of a folder; `None` when it has none.
    pub fn read(folder: &Path) -> Result<Option<Self>, BuildError> {
        let Some(raw) = read_regular(&folder.join("package.json"), MANIFEST_BYTES_MAX)? else { return Ok(None) };
        let json =
            serde_json::from_slice(&raw).map_err(|e| BuildError::failed(format!("package.json is not JSON: {e}")))?;
        let mut files = vec![("package.json", raw)];
        for name in ["package-lock.json", "npm-shrinkwrap.json", ".npmrc"] {
            if let Some(content) = read_regular(&folder.join(name), MANIFEST_BYTES_MAX)? {
                files.push((name, content));
            }
        }
        let locked = files.iter().any(|(name, _)| *name != "package.json" && *name != ".npmrc");
        Ok(Some(Self { json, files, locked }))
    }

    fn has(&self, key: &str) -> bool {
        self.json[key].as_object().is_some_and(|map| !map.is_empty())
    }

    fn needs_install(&self, production: bool) -> bool {
        ["dependencies", "optionalDependencies"].iter().any(|key| self.has(key))
            || !production && self.has("devDependencies")
            || OWN_SCRIPTS.iter().any(|name| self.json["scripts"][*name].is_string())
    }

    /// Whether the installation depends on nothing but the manifest's own files.
    fn stands_alone(&self) -> bool {
        let own_script = OWN_SCRIPTS.iter().any(|name| self.json["scripts"][*name].is_string());
        let local = self.files.iter().any(|(_, content)| {
            let text = String::from_utf8_lossy(content);
            ["\"file:", "\"link:", "\"workspace:", "\"./", "\"../"].iter().any(|mark| text.contains(mark))
        });
        !own_script && !local && self.json.get("workspaces").is_none()
    }
}

/// What an installation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// To build something with, here.
    Here,
    /// To run in a function of that architecture.
    Package(&'a str),
}

impl Builder {
    /// Installs the dependencies of `folder` into its `node_modules`: `npm ci` with a lock file, else `npm install`.
    pub(super) async fn install_node(
        &self,
        owner: Owner<'_>,
        folder: &Path,
        manifest: &Manifest,
        purpose: Purpose<'_>,
        output: &Output,
    ) -> Result<(), BuildError> {
        let production = matches!(purpose, Purpose::Package(_));
        if !manifest.needs_install(production) {
            return Ok(());
        }
        let command = if manifest.locked { "ci" } else { "install" };
        let mut args = vec![command, "--no-audit", "--no-fund", "--loglevel=warn"];
        if production {
            args.push("--omit=dev");
        }
        let foreign = self.foreign(purpose);
        args.extend(foreign.iter().map(String::as_str));
        let node = self.node()?;
        let mut key = Key::new(&format!("npm {} for {}", args.join(" "), node.version));
        for (name, content) in &manifest.files {
            key.add(name, content);
        }
        let entry = self.cached(owner, key);
        let modules = folder.join("node_modules");
        if !manifest.stands_alone() {
            return self.npm(&args, folder, Path::new(""), true, output).await;
        }
        if entry.restore(&modules).await? {
            output.line("Node packages: as installed before").await;
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(folder);
        let workspace = tempfile::tempdir_in(parent).map_err(BuildError::io("making a folder for npm"))?;
        for (name, content) in &manifest.files {
            std::fs::write(workspace.path().join(name), content).map_err(BuildError::io("writing the manifest"))?;
        }
        self.npm(&args, workspace.path(), Path::new(""), true, output).await?;
        let installed = workspace.path().join("node_modules");
        if !installed.is_dir() {
            return Ok(());
        }
        entry.keep(&installed).await?;
        copy::folder(installed, modules, true).await
    }

    /// Flags that make npm choose packages for another architecture ("npm install", `cpu`, `os`, `libc`).
    fn foreign(&self, purpose: Purpose<'_>) -> Vec<String> {
        match purpose {
            Purpose::Package(architecture) if self.is_foreign(architecture) => {
                let cpu = if architecture == "arm64" { "arm64" } else { "x64" };
                vec!["--os=linux".to_owned(), format!("--cpu={cpu}"), "--libc=glibc".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// Whether packages are made for a processor that this machine has not.
    pub(super) fn is_foreign(&self, architecture: &str) -> bool {
        let own = if std::env::consts::ARCH == "aarch64" { "arm64" } else { std::env::consts::ARCH };
        self.settings.target == Target::Lambda && architecture != own
    }

    /// Runs npm in `below` of `workspace`.
    pub(super) async fn npm(
        &self,
        args: &[&str],
        workspace: &Path,
        below: &Path,
        network: bool,
        output: &Output,
    ) -> Result<(), BuildError> {
        let node = self.node()?;
        let npm = self.settings.tools.find("npm").and_then(|path| path.canonicalize().ok());
        let npm = npm.ok_or_else(|| BuildError::failed("npm is not installed on this machine"))?;
        let what = format!("npm {}", args.first().copied().unwrap_or_default());
        let program = Program {
            args: [npm.display().to_string()].into_iter().chain(args.iter().map(|arg| (*arg).to_owned())).collect(),
            path: vec![bin(&node.program)],
            program: node.program,
            mounts: node.mounts,
            environment: [("npm_config_update_notifier".to_owned(), "false".to_owned())].into(),
            workspace: workspace.to_owned(),
            below: below.to_owned(),
            network,
        };
        self.run(&what, program, output).await
    }

    pub(super) fn node(&self) -> Result<sandbox::Tool, BuildError> {
        self.settings.tools.node().ok_or_else(|| BuildError::failed("node is not installed on this machine"))
    }

    /// `BuildMethod: esbuild`: installs everything, bundles the entry points, keeps only the bundle.
    pub(super) async fn bundle(
        &self,
        owner: Owner<'_>,
        work: &Path,
        target: &Path,
        properties: &Value,
        output: &Output,
    ) -> Result<(), BuildError> {
        let Some(manifest) = Manifest::read(work)? else {
            return Err(BuildError::failed("`BuildMethod: esbuild` needs a package.json beside the code"));
        };
        self.install_node(owner, work, &manifest, Purpose::Here, output).await?;
        let esbuild = work.join("node_modules/esbuild/bin/esbuild");
        if !esbuild.is_file() {
            return Err(BuildError::failed(
                "`BuildMethod: esbuild` needs `esbuild` in the package.json's devDependencies",
            ));
        }
        let out = work.join(".bundle");
        std::fs::create_dir_all(&out).map_err(BuildError::io("making a folder for the bundle"))?;
        let node = self.node()?;
        let program = Program {
            args: esbuild_args(properties, &self.seen(work, Path::new(".bundle")))?,
            program: self.seen(work, Path::new("node_modules/esbuild/bin/esbuild")),
            path: vec![bin(&node.program)],
            mounts: node.mounts,
            workspace: work.to_owned(),
            ..Program::default()
        };
        self.run("esbuild", program, output).await?;
        copy::folder(out, target.to_owned(), true).await
    }
}

fn bin(program: &Path) -> PathBuf {
    program.parent().unwrap_or(Path::new("/")).to_owned()
}

/// The arguments for `BuildProperties` ("Building Lambda functions with esbuild", AWS SAM Developer Guide).
fn esbuild_args(properties: &Value, out: &Path) -> Result<Vec<String>, BuildError> {
    let texts = |key: &str| -> Vec<String> {
        let items = properties[key].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut args = texts("EntryPoints");
    if args.is_empty() || args.iter().any(|entry| entry.starts_with('-')) {
        return Err(BuildError::failed("`BuildProperties` of esbuild has `EntryPoints`"));
    }
    args.extend(["--bundle".into(), "--platform=node".into(), format!("--outdir={}", out.display())]);
    args.push(format!("--format={}", properties["Format"].as_str().unwrap_or("cjs")));
    args.push(format!("--target={}", properties["Target"].as_str().unwrap_or("es2020")));
    if properties["Minify"].as_bool().unwrap_or(true) {
        args.push("--minify".into());
    }
    if properties["Sourcemap"] == true {
        args.push("--sourcemap".into());
    }
    for (key, flag) in
        [("External", "external"), ("Loader", "loader"), ("Banner", "banner"), ("OutExtension", "out-extension")]
    {
        args.extend(texts(key).iter().map(|value| match flag {
            "external" => format!("--external:{value}"),
            _ => format!("--{flag}:{value}"),
        }));
    }
    if let Some(fields) = properties["MainFields"].as_str() {
        args.push(format!("--main-fields={fields}"));
    }
    Ok(args)
}
