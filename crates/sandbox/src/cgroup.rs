//! Memory and process limits of a whole tree by control groups, where this machine lets us make one.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

const ROOT: &str = "/sys/fs/cgroup";

static NEXT: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Control groups version 2, below the group this process is in.
    Unified,
    /// Version 1: one folder a controller.
    Split,
}

/// A group of its own for one sandbox; removed on drop, with everything in it killed.
pub struct Cgroup {
    hierarchy: Hierarchy,
    /// One folder, or one a controller (memory first).
    folders: Vec<PathBuf>,
}

impl Cgroup {
    /// Tries to make a group with both limits; `None` when this machine does not let us.
    pub fn create(memory_bytes: Option<u64>, processes: Option<u32>) -> Option<Self> {
        let name = format!("workroom-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self::split(&name, memory_bytes, processes).or_else(|| Self::unified(&name, memory_bytes, processes))
    }

    fn split(name: &str, memory_bytes: Option<u64>, processes: Option<u32>) -> Option<Self> {
        let folders: Vec<PathBuf> = ["memory", "pids"].iter().map(|c| Path::new(ROOT).join(c).join(name)).collect();
        if !folders.iter().all(|folder| folder.parent().is_some_and(|p| p.join("cgroup.procs").exists())) {
            return None;
        }
        let group = Self { hierarchy: Hierarchy::Split, folders };
        for folder in &group.folders {
            fs::create_dir(folder).ok()?;
        }
        if let Some(bytes) = memory_bytes {
            fs::write(group.folders[0].join("memory.limit_in_bytes"), bytes.to_string()).ok()?;
        }
        if let Some(count) = processes {
            fs::write(group.folders[1].join("pids.max"), count.to_string()).ok()?;
        }
        Some(group)
    }

    fn unified(name: &str, memory_bytes: Option<u64>, processes: Option<u32>) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let folder = Path::new(ROOT).join(own).join(name);
        if !folder.parent()?.join("cgroup.controllers").exists() {
            return None;
        }
        fs::create_dir(&folder).ok()?;
        let group = Self { hierarchy: Hierarchy::Unified, folders: vec![folder] };
        if let Some(bytes) = memory_bytes {
            fs::write(group.folders[0].join("memory.max"), bytes.to_string()).ok()?;
            let _ = fs::write(group.folders[0].join("memory.swap.max"), "0");
            let _ = fs::write(group.folders[0].join("memory.oom.group"), "1");
        }
        if let Some(count) = processes {
            fs::write(group.folders[0].join("pids.max"), count.to_string()).ok()?;
        }
        Some(group)
    }

    /// Files to write `0` into: whoever does so is in the group, with every child it makes from then on.
    pub fn entrances(&self) -> std::io::Result<Vec<OwnedFd>> {
        let open = |folder: &PathBuf| fs::OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
        self.folders.iter().map(|folder| open(folder).map(OwnedFd::from)).collect()
    }

    /// True when the kernel killed a process here because memory ran out.
    pub fn out_of_memory(&self) -> bool {
        let file = match self.hierarchy {
            Hierarchy::Unified => "memory.events",
            Hierarchy::Split => "memory.oom_control",
        };
        let text = fs::read_to_string(self.folders[0].join(file)).unwrap_or_default();
        let count = |line: &str| line.strip_prefix("oom_kill ").and_then(|n| n.trim().parse::<u64>().ok());
        text.lines().filter_map(count).any(|kills| kills > 0)
    }

    pub fn processes(&self) -> Vec<i32> {
        let folder = self.folders.last().expect("a group has a folder");
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// Kills everything in the group, however it got away from its parents, but `spared`.
    pub fn kill_except(&self, spared: i32) {
        for _ in 0..100 {
            let living: Vec<i32> = self.processes().into_iter().filter(|pid| *pid != spared).collect();
            if living.is_empty() {
                return;
            }
            living.into_iter().for_each(crate::process_tree::kill_process);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.kill_except(0);
        for folder in &self.folders {
            // The kernel takes a moment to forget the dead.
            for _ in 0..20 {
                if fs::remove_dir(folder).is_ok() || !folder.exists() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
}
