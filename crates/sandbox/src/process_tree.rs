//! Processes of a sandbox as /proc tells them (proc(5)).

use std::collections::HashSet;
use std::fs;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A tree larger than this is not walked further in one pass.
const PROCESSES_MAX: usize = 65_536;
/// Passes over a tree that keeps forking while it is killed.
const KILL_PASSES_MAX: usize = 100;

/// Every living process below `root`, without `root`.
pub fn descendants(root: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([root]);
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            for child in children.split_ascii_whitespace().filter_map(|child| child.parse().ok()) {
                if found.len() < PROCESSES_MAX && seen.insert(child) {
                    found.push(child);
                    open.push(child);
                }
            }
        }
    }
    found
}

/// Memory that the processes hold for themselves: anonymous and shared-memory pages, in bytes.
pub fn memory(pids: &[i32]) -> u64 {
    let held = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kib = |line: &str| line.split_ascii_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        status.lines().filter(|l| l.starts_with("RssAnon:") || l.starts_with("RssShmem:")).map(kib).sum::<u64>()
    };
    pids.iter().map(held).sum::<u64>() * 1024
}

/// Threads of the processes together.
pub fn threads(pids: &[i32]) -> usize {
    pids.iter().map(|pid| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)).sum()
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// Kills everything below `root` and leaves `root` alive. Orphans must come back to `root` (a subreaper) or its
/// pid namespace. False when something still lives after many passes.
pub fn kill_descendants(root: i32) -> bool {
    for _ in 0..KILL_PASSES_MAX {
        let living: Vec<i32> = descendants(root).into_iter().filter(|pid| !is_zombie(*pid)).collect();
        if living.is_empty() {
            return true;
        }
        // Stopped first, so that none forks while the others are killed.
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &living {
                let _ = kill(Pid::from_raw(*pid), signal);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    false
}

/// A process that keeps its identity when its number is used again (pidfd_open(2)).
pub struct ProcessHandle(tokio::io::unix::AsyncFd<OwnedFd>);

impl ProcessHandle {
    pub fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: the call takes two numbers; its answer is checked before it is owned.
        let fd = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd as i32)
        };
        let interest = tokio::io::Interest::READABLE;
        // SAFETY: an owned descriptor stays open and the same until it is dropped, with the registration.
        let registered = unsafe { tokio::io::unix::AsyncFd::register_with_interest(fd, interest) };
        Ok(Self(registered.map_err(io::Error::other)?))
    }

    pub fn kill(&self) {
        let no_details = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open and a null siginfo is allowed (pidfd_send_signal(2)).
        unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), libc::SIGKILL, no_details, 0);
        }
    }

    /// Waits until the process is dead; for the first of a process namespace, until everything in there is.
    pub async fn ended(&self) {
        let _ = self.0.readable().await;
    }
}

pub fn kill_process(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// Asks a process to end.
pub fn terminate(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
}
