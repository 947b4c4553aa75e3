//! The file tree and namespaces of a sandbox as arguments of `bwrap` (bubblewrap 0.8 or newer).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::init;
use crate::spec::{Bridge, Spec};

/// Where the init stands inside.
const INIT: &str = "/run/sandbox/init";
/// Programs and libraries of the system, read-only.
pub const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"];
/// What programs need of /etc: linking, certificates, names, time zone, package indexes. No accounts, no keys.
pub const SETTINGS: &[&str] = &[
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/npmrc",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/pip.conf",
    "/etc/pki",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl",
];
/// The machine's own settings within /proc. Their files belong to uid 0: where the platform runs as root, the user inside
/// is that uid, and bubblewrap, which asks only whether the folder is writable, would leave the files open. One of them
/// (`kernel.core_pattern`) names a program that the machine runs as root.
const KERNEL_SETTINGS: &[&str] = &[
    "/proc/sys",
    "/proc/irq",
    "/proc/bus",
    "/proc/fs",
    "/proc/driver",
    "/proc/acpi",
    "/proc/mtrr",
    "/proc/sysrq-trigger",
];
/// What tells of the whole machine and not of the sandbox (as OCI runtimes mask it).
const KERNEL_SECRETS: &[&str] = &[
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/timer_list",
    "/proc/kmsg",
    "/proc/kallsyms",
    "/proc/slabinfo",
    "/proc/vmallocinfo",
    "/proc/iomem",
];
pub const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// The private /tmp in memory, when no mount replaces it (bytes).
const TMP_BYTES: u64 = 512 * 1024 * 1024;
const SHM_BYTES: u64 = 64 * 1024 * 1024;

/// What every sandbox of this machine shares.
pub struct Tree<'a> {
    pub init_program: &'a Path,
    /// A folder with `passwd`, `group`, `hosts` and `resolv.conf`.
    pub accounts: &'a Path,
    pub hidden: &'a [PathBuf],
    /// Bubblewrap gives the init CAP_NET_ADMIN over its own network, to cut routes off.
    pub routes: bool,
}

/// All arguments, up to the init.
pub fn arguments(spec: &Spec, tree: &Tree<'_>) -> Vec<OsString> {
    let mut args = Arguments(Vec::new());
    for flag in ["user", "pid", "net", "ipc", "uts"] {
        args.words(&[&format!("--unshare-{flag}")]);
    }
    args.words(&["--unshare-cgroup-try", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]);
    args.words(&["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]);
    if tree.routes {
        args.words(&["--cap-add", "CAP_NET_ADMIN"]);
    }
    for path in SYSTEM.iter().map(Path::new) {
        match fs::read_link(path) {
            Ok(target) => args.pair("--symlink", target, path),
            Err(_) if path.exists() => args.pair("--ro-bind", path, path),
            Err(_) => {}
        }
    }
    for path in SETTINGS {
        args.pair("--ro-bind-try", path, path);
    }
    for name in ["passwd", "group", "hosts", "resolv.conf"] {
        args.pair("--ro-bind", tree.accounts.join(name), Path::new("/etc").join(name));
    }
    args.words(&["--proc", "/proc"]);
    for path in KERNEL_SETTINGS {
        args.pair("--ro-bind-try", path, path);
    }
    for path in KERNEL_SECRETS.iter().filter(|path| Path::new(path).exists()) {
        args.pair("--ro-bind", "/dev/null", path);
    }
    for device in DEVICES {
        args.pair("--dev-bind-try", device, device);
    }
    args.words(&["--symlink", "/proc/self/fd", "/dev/fd"]);
    args.words(&["--size", &SHM_BYTES.to_string(), "--perms", "1777", "--tmpfs", "/dev/shm"]);
    args.words(&["--size", &TMP_BYTES.to_string(), "--perms", "1777", "--tmpfs", "/tmp", "--dir", "/var"]);
    for hidden in tree.hidden.iter().filter(|hidden| SYSTEM.iter().any(|system| hidden.starts_with(system))) {
        args.words(&["--tmpfs"]);
        args.0.push(hidden.into());
    }
    args.pair("--ro-bind", tree.init_program, INIT);
    // Parents first, so that a mount within another lies over it.
    let mut mounts: Vec<_> = spec.mounts.iter().collect();
    mounts.sort_by_key(|mount| mount.target.components().count());
    for mount in mounts {
        args.pair(if mount.writable { "--bind" } else { "--ro-bind" }, &mount.source, &mount.target);
    }
    for bridge in &spec.network.bridges {
        args.pair("--bind", &bridge.socket, socket_inside(bridge));
    }
    args.words(&["--", INIT, init::MARK]);
    args.0
}

/// Where the init finds the socket of a bridge.
pub fn socket_inside(bridge: &Bridge) -> PathBuf {
    PathBuf::from(format!("/run/sandbox/bridge-{}", bridge.port))
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn pair(&mut self, flag: &str, source: impl AsRef<Path>, target: impl AsRef<Path>) {
        self.0.extend([flag.into(), source.as_ref().into(), target.as_ref().into()]);
    }
}
