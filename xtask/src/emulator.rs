//! `ministack`, an emulator of AWS that strangers wrote, on loopback. docs/emulators.md says what it cannot do.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::deploy::Account;
use crate::run::program;
use crate::tools::emulator_tool;

const START_MAX: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
const REGION: &str = "us-east-1";

/// Runs a program for as long as this process holds the other end of its standard input: when that closes, however
/// this process ended, the whole group is killed, the functions that the emulator started with it.
pub const KEEPER: &str = r#"("$@"; kill -s KILL 0) & read -r _; kill -s KILL 0"#;

/// A running emulator with nothing in it; ended, with all that it started, when dropped and with this process.
pub struct Emulator {
    keeper: Child,
    port: u16,
    folder: PathBuf,
}

impl Emulator {
    /// Starts on a free port. It keeps what it writes in `folder`, which is emptied first.
    pub fn start(folder: &Path) -> Result<Self> {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let printed = File::create(folder.join("emulator.log"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut keeper = program("/bin/sh");
        only_what_is_needed(&mut keeper)
            .args(["-c", KEEPER, "keeper"])
            .arg(emulator_tool("ministack"))
            .envs(variables(port))
            // Its default is every address of this machine.
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_REGION", REGION)
            // Doors that nobody needs here.
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("TMPDIR", folder)
            .env("STATE_DIR", folder.join("state"))
            .env("S3_DATA_DIR", folder.join("s3"))
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(printed.try_clone()?)
            .stderr(printed)
            .process_group(0);
        let keeper = keeper.spawn().context("ministack could not be started; run `cargo xtask setup`")?;
        let mut emulator = Self { keeper, port, folder: folder.to_owned() };
        emulator.wait()?;
        Ok(emulator)
    }

    fn wait(&mut self) -> Result<()> {
        let end = Instant::now() + START_MAX;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if self.keeper.try_wait()?.is_some() || Instant::now() > end {
                bail!("ministack does not answer; see {}", self.folder.join("emulator.log").display());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// `http://127.0.0.1:PORT`, where every service answers.
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// The emulator's account: programs know no other.
    pub fn account(&self) -> Account {
        let port = self.port;
        Account::through(move |name| {
            let mut command = program(name);
            only_what_is_needed(&mut command).envs(variables(port));
            command
        })
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // Nothing can be done here about a process that cannot be waited for.
        let _ = self.keeper.wait();
    }
}

/// No credentials, region or settings of the person who runs this.
#[allow(clippy::disallowed_methods, reason = "a program is found by its path")]
pub fn only_what_is_needed(command: &mut Command) -> &mut Command {
    let kept = ["PATH", "HOME", "LANG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.env_clear().envs(kept)
}

fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// What every AWS SDK and tool reads.
fn variables(port: u16) -> [(&'static str, String); 9] {
    [
        ("AWS_ENDPOINT_URL", endpoint(port)),
        ("AWS_ACCESS_KEY_ID", "test".into()),
        ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ("AWS_DEFAULT_REGION", REGION.into()),
        ("AWS_REGION", REGION.into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("AWS_CONFIG_FILE", "/dev/null".into()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()),
        ("AWS_PAGER", String::new()),
    ]
}
