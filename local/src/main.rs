//! The binary `workroom`: the whole platform in one process.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use local::config::{Config, USAGE, repository};
use local::platform::Platform;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // A sandboxed child of this program ends here.
    sandbox::run_if_init();
    give_large_blocks_back();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| matches!(argument.as_str(), "--help" | "-h" | "help")) {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let outcome = Config::read(arguments, &repository()).map_err(anyhow::Error::new).and_then(|config| {
        function::trace::init(config.log, function::trace::Format::Text);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(run(config));
        // What does not end by itself is not waited for.
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("workroom: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What the process may have over the least it ever had (pages of 4 KiB: 16 MiB).
const GROWN_PAGES: u64 = 4096;
/// A change that counts (pages: 1 MiB), and looks without one after which what is there is in use.
const CHANGED_PAGES: u64 = 256;
const QUIET_LOOKS: u32 = 10;

/// Checking a password takes 19 MiB for a moment. Left alone, glibc keeps such blocks once it has seen some of them
/// freed (mallopt(3), "M_MMAP_THRESHOLD"); with a fixed threshold they go back to the system.
fn give_large_blocks_back() {
    // SAFETY: mallopt changes settings of the allocator; no other thread runs yet.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1024 * 1024);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// A walk through a large history leaves many small blocks free, which glibc keeps: they go back while memory
/// is more than it needs to be.
#[cfg(target_env = "gnu")]
async fn give_small_blocks_back() {
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
#[cfg(target_env = "gnu")]
fn resident_pages() -> u64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    told.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0)
}

async fn run(config: Config) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let platform = Platform::start(config).await?;
    greet(&platform);
    #[cfg(target_env = "gnu")]
    tokio::spawn(give_small_blocks_back());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    eprintln!("workroom: stopping");
    platform.stop().await;
    Ok(())
}

/// What people and tests read at the start; one fact a line.
fn greet(platform: &Platform) {
    let mut lines = vec![
        format!("address:   http://{}/", platform.address),
        format!("services:  http://{}  (S3, SQS, Logs, Lambda, DynamoDB, SSM)", platform.endpoint),
        format!("data:      {}", platform.data.display()),
    ];
    match &platform.sandbox {
        Ok(layers) => lines.push(format!("sandbox:   {}", layers.join(", "))),
        Err(reason) => lines.push(format!("sandbox:   none; {reason}")),
    }
    lines.extend(platform.missing.iter().map(|layer| format!("missing:   {layer}")));
    if let Some((email, password)) = &platform.admin {
        lines.push(format!("admin:     {email}  password: {password}  (shown this once)"));
    }
    lines.extend(platform.signing_key.iter().map(|kid| format!("key:       {kid} signs access tokens from now on")));
    lines.push("ready".to_owned());
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", lines.join("\n"));
    let _ = out.flush();
}
