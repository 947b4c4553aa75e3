//! Which layers this machine has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::bubblewrap::SYSTEM;
use crate::cgroup::Cgroup;
use crate::lockdown;
use crate::network::RESOLVER;
use crate::spec::Mount;

/// Layers that may be used; all by default. Switched off by settings, and to test what then holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    pub bubblewrap: bool,
    pub landlock: bool,
    pub slirp4netns: bool,
    pub cgroups: bool,
}

impl Default for Allowed {
    fn default() -> Self {
        Self { bubblewrap: true, landlock: true, slirp4netns: true, cgroups: true }
    }
}

#[derive(Clone, Debug, Default)]
pub struct SandboxSettings {
    /// A program that calls [`crate::run_if_init`] first: usually this one.
    pub init_program: PathBuf,
    /// Folders that no sandboxed program may see (the data folder). A mount may name a part of one.
    pub hidden: Vec<PathBuf>,
    /// Ports of the platform, for the note of what is held; the sandbox reaches no port of the host's loopback.
    pub platform_ports: Vec<u16>,
    pub allowed: Allowed,
    /// This machine is there for the sandboxed programs of one tenant alone, and holds nothing else that matters: an
    /// execution environment of a function in tenant isolation mode. Nothing else is looked for then, and the way out is
    /// the machine's own.
    pub own_machine: bool,
}

/// No layer can be made here: users' code must not run.
#[derive(Debug, thiserror::Error)]
#[error("users' code cannot be isolated on this machine: {reason}")]
pub struct Unavailable {
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bubblewrap,
    Landlock,
    /// The machine itself is what stands around the program.
    Machine,
}

/// Starts sandboxed programs with the layers found. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    pub(crate) inner: Arc<Inner>,
}

pub struct Inner {
    pub kind: Kind,
    pub settings: SandboxSettings,
    pub bwrap: PathBuf,
    pub slirp: Option<PathBuf>,
    pub cgroups: bool,
    /// Files that stand for accounts and names inside.
    pub accounts: tempfile::TempDir,
    missing: Vec<String>,
    layers: Vec<String>,
}

impl Sandbox {
    /// Tries the layers, best first. Runs `bwrap` once (some 15 ms).
    pub fn detect(settings: SandboxSettings) -> Result<Self, Unavailable> {
        if settings.own_machine {
            return Self::own_machine(settings);
        }
        let allowed = settings.allowed;
        let mut missing = Vec::new();
        let bwrap = find("bwrap", allowed.bubblewrap, "bubblewrap").and_then(|path| probe(&path).map(|()| path));
        let kind = match &bwrap {
            Ok(_) => Kind::Bubblewrap,
            Err(why) => {
                missing.push(format!("own namespaces: {why}"));
                landlock_instead(&settings, why)?;
                Kind::Landlock
            }
        };
        let slirp = match kind {
            Kind::Bubblewrap => find("slirp4netns", allowed.slirp4netns, "slirp4netns"),
            Kind::Landlock | Kind::Machine => Err("it needs a network namespace".to_owned()),
        };
        if let Err(why) = &slirp {
            missing.push(format!("network for builds (slirp4netns): {why}"));
        }
        let cgroups = allowed.cgroups && Cgroup::create(Some(1 << 30), Some(64)).is_some();
        if !cgroups {
            missing.push("control groups: memory and process limits are watched instead".to_owned());
        }
        let accounts = accounts().map_err(|error| Unavailable { reason: format!("a temporary folder: {error}") })?;
        let layers = layers(kind, slirp.is_ok(), cgroups);
        if kind == Kind::Landlock {
            missing.push("landlock leaves file names, sizes and modes of this machine visible".to_owned());
            if !lockdown::holds_signals() {
                missing.push("landlock before version 6: signals to the platform's own processes".to_owned());
            }
        }
        let inner = Inner {
            kind,
            settings,
            bwrap: bwrap.unwrap_or_default(),
            slirp: slirp.ok(),
            cgroups,
            accounts,
            missing,
            layers,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn own_machine(settings: SandboxSettings) -> Result<Self, Unavailable> {
        if let Some(hidden) = settings.hidden.first() {
            let reason = format!("`{}` cannot be hidden on a machine of the program's own", hidden.display());
            return Err(Unavailable { reason });
        }
        let accounts = accounts().map_err(|error| Unavailable { reason: format!("a temporary folder: {error}") })?;
        let inner = Inner {
            kind: Kind::Machine,
            settings,
            bwrap: PathBuf::new(),
            slirp: None,
            cgroups: false,
            accounts,
            missing: vec!["the machine's own files, network and user are the program's".to_owned()],
            layers: layers(Kind::Machine, false, false),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The active layers, for people to read.
    pub fn layers(&self) -> Vec<String> {
        self.inner.layers.clone()
    }

    /// What this machine lacks, with what that means.
    pub fn missing(&self) -> Vec<String> {
        self.inner.missing.clone()
    }

    /// True when `Network::outside` can be had.
    pub fn reaches_outside(&self) -> bool {
        self.inner.slirp.is_some() || self.inner.kind == Kind::Machine
    }

    /// Where the program sees a mount: its target, or its source where nothing can be mounted.
    pub fn inside<'a>(&self, mount: &'a Mount) -> &'a Path {
        match self.inner.kind {
            Kind::Bubblewrap => &mount.target,
            Kind::Landlock | Kind::Machine => &mount.source,
        }
    }
}

fn landlock_instead(settings: &SandboxSettings, why_not_bubblewrap: &str) -> Result<(), Unavailable> {
    let refuse =
        |why: String| Err(Unavailable { reason: format!("bubblewrap: {why_not_bubblewrap}; landlock: {why}") });
    if !settings.allowed.landlock {
        return refuse("switched off by a setting".into());
    }
    if !lockdown::usable() {
        return refuse(format!("this kernel has version {}, 4 or newer is needed", lockdown::version()));
    }
    match settings.hidden.iter().find(|hidden| SYSTEM.iter().any(|system| hidden.starts_with(system))) {
        Some(hidden) => refuse(format!("`{}` lies in a folder of the system", hidden.display())),
        None => Ok(()),
    }
}

fn layers(kind: Kind, slirp: bool, cgroups: bool) -> Vec<String> {
    let mut layers = match kind {
        Kind::Bubblewrap => vec!["bubblewrap (own user, process, mount, network and IPC namespaces)".to_owned()],
        Kind::Landlock => vec![format!("landlock version {} (files, TCP ports)", lockdown::version())],
        Kind::Machine => vec!["a machine of its own".to_owned()],
    };
    layers.push("seccomp".to_owned());
    layers.push(if cgroups { "control groups (memory, processes)" } else { "watched memory and processes" }.to_owned());
    layers.push("resource limits".to_owned());
    if slirp {
        layers.push("slirp4netns (builds reach the internet, not this machine)".to_owned());
    }
    layers
}

/// A program of the system, where distributions put it.
fn find(name: &str, allowed: bool, package: &str) -> Result<PathBuf, String> {
    if !allowed {
        return Err("switched off by a setting".to_owned());
    }
    let places = ["/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin", "/run/current-system/sw/bin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file());
    found.ok_or_else(|| format!("`{name}` is not installed (package {package})"))
}

fn probe(bwrap: &Path) -> Result<(), String> {
    let args = "--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts --uid 1000 --gid 1000 \
                --die-with-parent --ro-bind / / --proc /proc --tmpfs /tmp -- /bin/sh -c :";
    let tried = Command::new(bwrap).args(args.split_whitespace()).env_clear().stdin(Stdio::null()).output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("`bwrap` fails here: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("`bwrap` does not start: {error}")),
    }
}

fn accounts() -> std::io::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("workroom-sandbox-").tempdir()?;
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    write("passwd", "sandbox:x:1000:1000:sandbox:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n")?;
    write("group", "sandbox:x:1000:\nnogroup:x:65534:\n")?;
    write("hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n")?;
    write("resolv.conf", &format!("nameserver {RESOLVER}\n"))?;
    Ok(folder)
}
