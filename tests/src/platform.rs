//! The platform under test: one of the test's own on free ports, ended with it, or one that is deployed already.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::{Client, root};

const START_MAX: Duration = Duration::from_secs(30);
/// What is printed beside an answer may come a moment after it.
const PRINTED_MAX: Duration = Duration::from_secs(20);

/// One running platform.
pub struct Platform {
    /// `None` where it was deployed before the test.
    process: Option<Process>,
    /// Names that a deployed platform has not seen yet end with this; empty where the test has a platform to itself.
    suffix: String,
    /// Where the gateway answers, without the last slash.
    pub address: String,
    pub services: String,
    pub admin_email: String,
    pub admin_password: String,
}

/// The program `workroom` over its own data folder.
struct Process {
    child: Child,
    data: PathBuf,
    folder: Option<tempfile::TempDir>,
    options: Vec<String>,
    printed: Arc<Mutex<String>>,
}

impl Platform {
    /// The platform that the environment names, else one on an empty data folder.
    pub fn start() -> Self {
        deployed::platform().unwrap_or_else(|| Self::start_with(&[]))
    }

    /// Starts the program on an empty data folder with more options of `workroom`, whatever is deployed.
    pub fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::launch(data, Some(folder), options.iter().map(|&option| option.to_owned()).collect(), None)
    }

    /// Ends it without a word, as a power cut would, and starts it again on the same data.
    pub fn kill_and_restart(mut self) -> Self {
        let admin = (self.admin_email.clone(), self.admin_password.clone());
        let process = self.process_mut();
        process.child.kill().unwrap();
        process.child.wait().unwrap();
        let (data, folder) = (process.data.clone(), process.folder.take());
        let options = std::mem::take(&mut process.options);
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
            process: Some(Process { child, data, folder, options, printed }),
            suffix: String::new(),
            address: value("address").trim_end_matches('/').to_owned(),
            services: word(value("services"), 0),
            admin_email,
            admin_password,
        }
    }

    #[track_caller]
    fn process(&self) -> &Process {
        self.process.as_ref().expect("a deployed platform is no process of this machine")
    }

    #[track_caller]
    fn process_mut(&mut self) -> &mut Process {
        self.process.as_mut().expect("a deployed platform is no process of this machine")
    }

    /// Sends a signal, such as `libc::SIGINT`.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.process().child.id()).unwrap();
        // SAFETY: kill has no memory effects; the process is our own child and has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self, most: Duration) -> ExitStatus {
        let end = Instant::now() + most;
        loop {
            if let Some(status) = self.process_mut().child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the platform still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Everything it has printed so far.
    pub fn printed(&self) -> String {
        self.process().printed.lock().unwrap().clone()
    }

    /// Waits until a line that `wanted` accepts is printed; `what` names it when it does not come.
    #[track_caller]
    pub fn until_printed(&self, wanted: impl Fn(&str) -> bool, what: &str) {
        let end = Instant::now() + PRINTED_MAX;
        while !self.printed().lines().any(&wanted) {
            assert!(Instant::now() < end, "`{what}` was not printed: {}", self.printed());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn data(&self) -> &Path {
        &self.process().data
    }

    pub fn pid(&self) -> u32 {
        self.process().child.id()
    }

    /// The process that every byte passes through; a deployed platform has none.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// `host:port` of the gateway.
    pub fn authority(&self) -> &str {
        let rest = self.address.split_once("://").unwrap().1;
        rest.split('/').next().unwrap()
    }

    /// The origin of the platform's own pages.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.address.split_once("://").unwrap().0, self.authority())
    }

    /// Whether it runs in an emulator of AWS or on AWS.
    pub fn is_deployed(&self) -> bool {
        self.process.is_none()
    }

    pub fn port(&self) -> u16 {
        self.authority().rsplit(':').next().unwrap().parse().unwrap()
    }

    /// `name` as this test alone uses it: a deployed platform is shared, and keeps what earlier tests made.
    pub fn own(&self, name: &str) -> String {
        format!("{name}{}", self.suffix)
    }

    /// An e-mail address as this test alone uses it.
    pub fn own_email(&self, email: &str) -> String {
        let (name, domain) = email.split_once('@').unwrap();
        format!("{}@{domain}", self.own(name))
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
        let Some(process) = &mut self.process else { return };
        // The platform may be gone already, where a test ended it.
        let _ = process.child.kill();
        let _ = process.child.wait();
    }
}

/// A platform that was deployed before the test, as the environment describes it.
pub mod deployed {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Platform;

    /// Tests of this process that have begun.
    static TESTS: AtomicU32 = AtomicU32::new(0);

    #[allow(clippy::disallowed_methods, reason = "the test command says what is deployed")]
    fn variable(name: &str) -> Option<String> {
        std::env::var(format!("WORKROOM_TEST_{name}")).ok().filter(|value| !value.is_empty())
    }

    /// Where the deployed platform answers; unset when each test starts its own.
    fn address() -> Option<String> {
        variable("PLATFORM_URL")
    }

    /// Whether the test must be left out, which it says with the reason: what it looks at is of one machine alone.
    pub fn leaves_out(why: &str) -> bool {
        let deployed = address().is_some();
        if deployed {
            println!("left out on a deployed platform: {why}");
        }
        deployed
    }

    pub(super) fn platform() -> Option<Platform> {
        let address = address()?.trim_end_matches('/').to_owned();
        let given = |name: &str| variable(name).unwrap_or_else(|| panic!("WORKROOM_TEST_{name} is not set"));
        let (process, test) = (std::process::id(), TESTS.fetch_add(1, Ordering::Relaxed));
        Some(Platform {
            process: None,
            suffix: format!("-{process:x}-{test}"),
            address,
            services: given("AWS_ENDPOINT"),
            admin_email: given("ADMIN_EMAIL"),
            admin_password: given("ADMIN_PASSWORD"),
        })
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
