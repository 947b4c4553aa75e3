//! The binary `workroom`: the whole platform in one process.

#[cfg(target_env = "gnu")]
mod memory;

use std::io::Write;
use std::process::ExitCode;

use local::config::{Config, USAGE, repository};
use local::platform::Platform;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // A sandboxed child of this program ends here.
    sandbox::run_if_init();
    #[cfg(target_env = "gnu")]
    memory::give_large_blocks_back();
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

async fn run(config: Config) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let platform = Platform::start(config).await?;
    greet(&platform);
    #[cfg(target_env = "gnu")]
    tokio::spawn(memory::give_small_blocks_back());
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
