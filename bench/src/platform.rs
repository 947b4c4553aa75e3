//! A `workroom` of this build on free ports and an empty data folder, ended with its value.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::client::Client;

pub struct Platform {
    child: Child,
    /// From the start of the process to its word `ready`.
    pub ready: Duration,
    /// `host:port` of the gateway.
    pub authority: String,
    admin: Option<(String, String)>,
}

impl Platform {
    pub fn start(data: &Path) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("workroom");
        let began = Instant::now();
        let mut child = Command::new(&program)
            .current_dir(root())
            .arg("--data")
            .arg(data)
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("starting {}: build it with `cargo build --release -p local`", program.display())
            })?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let (mut authority, mut admin) = (String::new(), None);
        loop {
            let line = lines.next().context("workroom ended before it was ready")??;
            let mut words = line.split_whitespace();
            match words.next() {
                Some("ready") => break,
                Some("address:") => {
                    let address = words.next().unwrap_or_default();
                    authority = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
                }
                Some("admin:") => {
                    admin = words.next().zip(words.nth(1)).map(|(email, password)| (email.into(), password.into()));
                }
                _ => {}
            }
        }
        let ready = began.elapsed();
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Self { child, ready, authority, admin })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.authority))
    }

    /// The first admin, signed in. Only at the first start of a data folder.
    pub fn admin(&self) -> Result<Client> {
        let (email, password) = self.admin.as_ref().context("the admin's password is shown at the first start only")?;
        let session = self.client().post("/sessions", &json!({"email": email, "password": password}))?;
        Ok(self.client().with_token(session["access_token"].as_str().unwrap_or_default()))
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.split_whitespace().next().unwrap_or_default().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Ends it as Ctrl-C does.
    pub fn stop(mut self) -> Result<()> {
        let killed = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status()?;
        ensure!(killed.success() && self.child.wait()?.success(), "workroom did not stop cleanly");
        Ok(())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The repository's root folder.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
