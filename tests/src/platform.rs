//! A whole platform on free ports, ended with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::{Client, root};

const START_MAX: Duration = Duration::from_secs(30);

/// One running platform over its own data folder.
pub struct Platform {
    child: Child,
    data: PathBuf,
    _folder: Option<tempfile::TempDir>,
    options: Vec<String>,
    printed: Arc<Mutex<String>>,
    pub address: String,
    pub services: String,
    pub admin_email: String,
    pub admin_password: String,
}

impl Platform {
    /// Starts on an empty data folder.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts on an empty data folder with more options of `workroom`.
    pub fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::launch(data, Some(folder), options.iter().map(|&option| option.to_owned()).collect(), None)
    }

    /// Ends it without a word, as a power cut would, and starts it again on the same data.
    pub fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let (data, folder) = (self.data.clone(), self._folder.take());
        let admin = (self.admin_email.clone(), self.admin_password.clone());
        let options = std::mem::take(&mut self.options);
        Self::launch(data, folder, options, Some(admin))
    }

    fn launch(
        data: PathBuf,
        folder: Option<tempfile::TempDir>,
        options: Vec<String>,
        admin: Option<(String, String)>,
    ) -> Self {
        let mut child = Command::new(program())
            .current_dir(root())
            .arg("--data")
            .arg(&data)
            .args(["--port", "0"])
            .args(&options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = Arc::new(Mutex::new(String::new()));
        let lines = lines(child.stdout.take().unwrap(), Arc::clone(&printed));
        echo(child.stderr.take().unwrap(), Arc::clone(&printed));
        let said = read_until_ready(&mut child, &lines);
        let value = |name: &str| {
            let found = said.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            found.unwrap_or_else(|| panic!("no {name} in {said:#?}")).trim().to_owned()
        };
        let word = |text: String, at: usize| text.split_whitespace().nth(at).unwrap_or_default().to_owned();
        let (admin_email, admin_password) = admin.unwrap_or_else(|| (word(value("admin"), 0), word(value("admin"), 2)));
        Self {
            child,
            data,
            _folder: folder,
            options,
            printed,
            address: value("address").trim_end_matches('/').to_owned(),
            services: word(value("services"), 0),
            admin_email,
            admin_password,
        }
    }

    /// Sends a signal, such as `libc::SIGINT`.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: kill has no memory effects; the process is our own child and has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self, most: Duration) -> ExitStatus {
        let end = Instant::now() + most;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the platform still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything it has printed so far.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `host:port` of the gateway.
    pub fn authority(&self) -> &str {
        self.address.trim_start_matches("http://")
    }

    pub fn port(&self) -> u16 {
        self.authority().rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn anonymous(&self) -> Client {
        Client::new(&self.address)
    }

    pub fn sign_in(&self, email: &str, password: &str) -> Client {
        let answer = self.anonymous().post("/sessions", &json!({"email": email, "password": password})).expect(201);
        self.anonymous().with_token(answer.json()["access_token"].as_str().unwrap())
    }

    pub fn admin(&self) -> Client {
        self.sign_in(&self.admin_email, &self.admin_password)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // The platform may be gone already, where a test ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary beside the tests: `target/<profile>/workroom`.
pub fn program() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let program = folder.join("workroom");
    assert!(program.exists(), "{} is not built: run `cargo xtask test`", program.display());
    program
}

/// Keeps what is printed, and passes warnings and errors on to the test's own output.
fn echo(from: impl std::io::Read + Send + 'static, printed: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if line.contains("WARN") || line.contains("ERROR") || line.contains("panicked") {
                eprintln!("{line}");
            }
            let mut printed = printed.lock().unwrap();
            printed.push_str(&line);
            printed.push('\n');
        }
    });
}

fn lines(from: impl std::io::Read + Send + 'static, printed: Arc<Mutex<String>>) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            printed.lock().unwrap().extend([line.as_str(), "\n"]);
            // Nobody listens once the platform is ready; its output is still read, so that it never blocks.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn read_until_ready(child: &mut Child, lines: &Receiver<String>) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(START_MAX) {
            Ok(line) if line.trim_start().starts_with("ready") => return said,
            Ok(line) => said.push(line),
            Err(_) => {
                let _ = child.kill();
                panic!("the platform did not become ready: {said:#?}");
            }
        }
    }
}
