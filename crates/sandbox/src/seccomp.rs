//! System calls that sandboxed code has no use for.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

/// Bits of `clone` and `unshare` that make namespaces (clone(2)).
const NAMESPACE_FLAGS: &[i32] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Answered with EPERM: other namespaces, mounts, other processes' memory, kernel interfaces with a history.
const DENIED: &[libc::c_long] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// Answered with ENOSYS so that libraries fall back: calls whose arguments a filter cannot see.
const ABSENT: &[libc::c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// How much of the network the filter leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// A network namespace stands around the program.
    Unrestricted,
    /// TCP over IP alone (landlock holds its ports): no datagrams, no unix sockets by path, no raw or other family.
    TcpOnly,
}

/// The filters to install, in this order, for this machine's architecture.
pub fn filters(sockets: Sockets) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let mut denied: BTreeMap<i64, Vec<SeccompRule>> = DENIED.iter().map(|call| (*call, Vec::new())).collect();
    let mut clone_rules = Vec::new();
    for flag in NAMESPACE_FLAGS {
        clone_rules.push(SeccompRule::new(vec![masked(0, *flag as u64, *flag as u64)?])?);
    }
    denied.insert(libc::SYS_clone, clone_rules);
    denied.insert(libc::SYS_socket, socket_rules(sockets)?);
    let absent = ABSENT.iter().map(|call| (*call, Vec::new())).collect();
    let mut programs = vec![compile(denied, libc::EPERM)?, compile(absent, libc::ENOSYS)?];
    if cfg!(target_arch = "x86_64") {
        programs.push(x32_absent());
    }
    Ok(programs)
}

fn socket_rules(sockets: Sockets) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let family = |value: i32| masked(0, u64::from(u32::MAX), value as u64);
    let kind = |value: i32| masked(1, 0xf, value as u64);
    let mut rules =
        vec![SeccompRule::new(vec![family(libc::AF_VSOCK)?])?, SeccompRule::new(vec![family(libc::AF_PACKET)?])?];
    if sockets == Sockets::TcpOnly {
        rules.push(SeccompRule::new(vec![family(libc::AF_UNIX)?])?);
        // Families past IPv6 (netlink, packet, bluetooth, …).
        rules.push(SeccompRule::new(vec![SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Gt,
            libc::AF_INET6 as u64,
        )?])?);
        for value in [libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_SEQPACKET, libc::SOCK_DCCP] {
            rules.push(SeccompRule::new(vec![kind(value)?])?);
        }
        // MPTCP and SCTP are not TCP to landlock.
        for protocol in [libc::IPPROTO_MPTCP, libc::IPPROTO_SCTP] {
            rules.push(SeccompRule::new(vec![masked(2, u64::from(u32::MAX), protocol as u64)?])?);
        }
    }
    Ok(rules)
}

fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, seccompiler::BackendError> {
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch)?.try_into()
}

/// x86-64 kernels may offer a second table of calls (x32, numbers from 2^30) that the filters above do not name.
fn x32_absent() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    vec![
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        sock_filter { code: (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16, jt: 0, jf: 1, k: X32_BIT },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_compile_for_this_machine() {
        for sockets in [Sockets::Unrestricted, Sockets::TcpOnly] {
            assert!(filters(sockets).unwrap().iter().all(|program| !program.is_empty()));
        }
    }
}
