//! Processes of a sandbox as /proc tells them (proc(5)).

use std::collections::HashSet;
use std::fs;

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

pub fn kill_process(pid: i32) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}
