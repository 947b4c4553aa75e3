//! Serves one DynamoDB database file on a free loopback port, until standard input closes.
//!
//! `workroom-dynamodb --database PATH` prints `listening 127.0.0.1:PORT` and serves. Requests are not
//! authenticated here: the platform's service endpoint does that and passes them on.

use std::env::ArgsOs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use dynoxide::Database;
use dynoxide::server::serve_with_shutdown;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let served = match database_path(std::env::args_os()) {
        Ok(path) => serve(path).await,
        Err(why) => Err(why),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("workroom-dynamodb: {why}");
            ExitCode::FAILURE
        }
    }
}

fn database_path(mut arguments: ArgsOs) -> Result<PathBuf, String> {
    match (arguments.nth(1), arguments.next(), arguments.next()) {
        (Some(flag), Some(path), None) if flag == "--database" => Ok(path.into()),
        _ => Err("usage: workroom-dynamodb --database PATH".into()),
    }
}

async fn serve(path: PathBuf) -> Result<(), String> {
    let shown = path.to_str().ok_or_else(|| format!("`{}` is not UTF-8", path.display()))?;
    let database = Database::new(shown).map_err(|error| format!("opening `{shown}`: {error}"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("opening a port: {error}"))?;
    let address = listener.local_addr().map_err(|error| format!("reading the port: {error}"))?;
    let mut out = std::io::stdout();
    writeln!(out, "listening {address}").and_then(|()| out.flush()).map_err(|error| format!("printing: {error}"))?;
    serve_with_shutdown(listener, database, stdin_closed()).await
}

/// Resolves when the parent closes our standard input, or is gone.
async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 256];
    while stdin.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}
