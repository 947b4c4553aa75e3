//! What a server's processes cost, from /proc.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Clock ticks of /proc in a second (sysconf `_SC_CLK_TCK`, 100 on Linux).
const TICKS: f64 = 100.0;
const SAMPLE_EVERY: Duration = Duration::from_millis(5);
const QUIET_FOR: Duration = Duration::from_millis(250);
/// CPU that an idle server may use in `QUIET_FOR` (seconds).
const QUIET: f64 = 0.03;
const SETTLE_MAX: Duration = Duration::from_secs(300);
const PAGE_BYTES: u64 = 4096;

/// The process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        at += 1;
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            // It may have ended meanwhile.
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
    }
    all
}

/// CPU seconds of the processes, and of those that have ended and were waited for.
pub fn cpu(root: u32) -> f64 {
    let ticks: u64 = tree(root).into_iter().filter_map(|pid| ticks_of(&format!("/proc/{pid}/stat"))).sum();
    ticks as f64 / TICKS
}

fn ticks_of(path: &str) -> Option<u64> {
    let stat = std::fs::read_to_string(path).ok()?;
    // After the name, which may hold anything: state is field 3, utime, stime, cutime, cstime are 14 to 17.
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// Waits until the server has nothing more to do.
pub fn settle(root: u32) -> Result<()> {
    let (begun, mut before) = (Instant::now(), cpu(root));
    while begun.elapsed() < SETTLE_MAX {
        std::thread::sleep(QUIET_FOR);
        let now = cpu(root);
        if now - before <= QUIET {
            return Ok(());
        }
        before = now;
    }
    bail!("the server does not come to rest")
}

/// Samples resident memory until it is ended.
pub struct Watch {
    over: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Of the process and all below it, or of those whose name begins with `name`.
    pub fn begin(root: u32, name: Option<&'static str>) -> Self {
        let (over, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, most) = (Arc::clone(&over), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let pages: u64 = tree(root).into_iter().filter(|pid| is_named(*pid, name)).filter_map(resident).sum();
                most.fetch_max(pages * PAGE_BYTES, Ordering::Relaxed);
                std::thread::sleep(SAMPLE_EVERY);
            }
        });
        Self { over, peak, thread }
    }

    /// The most at one time (bytes).
    pub fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the watch failed")?;
        Ok(self.peak.load(Ordering::Relaxed))
    }
}

/// Whether the process' name begins with `name`.
fn is_named(pid: u32, name: Option<&str>) -> bool {
    name.is_none_or(|name| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(name))
    })
}

fn resident(pid: u32) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split_whitespace().nth(1)?.parse().ok()
}
