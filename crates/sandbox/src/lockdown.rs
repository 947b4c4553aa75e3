//! Without mount and network namespaces: landlock holds files, TCP ports and signals.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, Scope, path_beneath_rules,
};
use serde::{Deserialize, Serialize};

/// The oldest version that holds TCP ports; without it functions could reach the platform.
const ABI_MIN: ABI = ABI::V4;
/// The version that also holds signals and abstract sockets.
const ABI_SCOPES: ABI = ABI::V6;

/// What stays reachable.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reach {
    pub readable: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
    pub connect: Vec<u16>,
}

/// The version of landlock that the running kernel has; 0 when none.
pub fn version() -> i32 {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with a null attribute and this flag the call only answers with a number (landlock_create_ruleset(2)).
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    i32::try_from(answer).unwrap_or(0).max(0)
}

/// True when landlock can hold files and TCP ports here.
pub fn usable() -> bool {
    version() >= ABI_MIN as i32
}

/// True when landlock can hold signals too.
pub fn holds_signals() -> bool {
    version() >= ABI_SCOPES as i32
}

/// Keeps other programs of the same user from reading this process: its environment, its memory, its open files (prctl(2),
/// `PR_SET_DUMPABLE`; proc(5)).
pub fn hide_this_process() -> std::io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}

/// Rules that forbid nothing, but make a domain: from within one, no process outside it can be traced, nor its memory
/// opened through /proc (landlock(7), "Ptrace restrictions"). Bubblewrap's own first process would be open otherwise, and
/// it is under no seccomp filter. `None` where the kernel is too old.
pub fn apart() -> Result<Option<RulesetCreated>, landlock::RulesetError> {
    // The first version lets no file move to another folder, whatever its rules.
    if version() < ABI::V2 as i32 {
        return Ok(None);
    }
    let access = AccessFs::MakeChar | AccessFs::Refer;
    let rules = Ruleset::default().handle_access(access)?.create()?;
    Ok(Some(rules.add_rules(path_beneath_rules(["/"], access))?))
}

/// Rules that let only `reach` through; `restrict_self` on the answer puts them in force.
pub fn ruleset(reach: &Reach) -> Result<RulesetCreated, landlock::RulesetError> {
    let ports = reach.connect.iter().map(|port| Ok(NetPort::new(*port, AccessNet::ConnectTcp)));
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI_MIN))?
        .handle_access(AccessNet::ConnectTcp | AccessNet::BindTcp)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?
        .add_rules(path_beneath_rules(&reach.readable, AccessFs::from_read(ABI_MIN)))?
        .add_rules(path_beneath_rules(&reach.writable, AccessFs::from_all(ABI::V5)))?
        .add_rules(ports.map(|port: Result<_, landlock::RulesetError>| port))
}
