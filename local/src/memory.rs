//! Memory that is free goes back to the system: glibc would keep it.

use std::time::Duration;

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What the process may have over the least it ever had (pages of 4 KiB: 16 MiB).
const GROWN_PAGES: u64 = 4096;
/// A change that counts (pages: 1 MiB), and looks without one after which what is there is in use.
const CHANGED_PAGES: u64 = 256;
const QUIET_LOOKS: u32 = 10;

/// Checking a password takes 19 MiB for a moment. Left alone, glibc keeps such blocks once it has seen some of them
/// freed (mallopt(3), "M_MMAP_THRESHOLD"); with a fixed threshold they go back to the system.
pub fn give_large_blocks_back() {
    // SAFETY: mallopt changes settings of the allocator; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1024 * 1024);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// A walk through a large history leaves many small blocks free, which glibc keeps: they go back while memory
/// is more than it needs to be.
pub async fn give_small_blocks_back() {
    let (mut least, mut last, mut quiet) = (u64::MAX, 0, 0);
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = resident_pages();
        least = least.min(now);
        quiet = if now.abs_diff(last) > CHANGED_PAGES { 0 } else { quiet + 1 };
        last = now;
        if now > least + GROWN_PAGES && quiet < QUIET_LOOKS {
            // SAFETY: malloc_trim(3) may be called at any time, by any thread.
            let trimmed = tokio::task::spawn_blocking(|| unsafe { libc::malloc_trim(0) });
            // Whatever it could give back, the next look tells.
            let _ = trimmed.await;
            last = resident_pages();
        }
    }
}

/// Pages of this process in memory; 0 when nobody tells.
fn resident_pages() -> u64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    told.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}
