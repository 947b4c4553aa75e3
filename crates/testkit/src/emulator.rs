//! Strangers' emulators of AWS, each as a process of its own on a free port of the loopback.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Who calls an emulator, and the region that it plays.
pub const ACCESS_KEY_ID: &str = "test";
pub const SECRET_ACCESS_KEY: &str = "test";
pub const REGION: &str = "us-east-1";

/// An emulator that has not answered by then is not coming.
const START_MAX: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
/// How often another free port is tried when someone else took the first.
const PORTS_MAX: usize = 5;
/// Bytes of an emulator's output that a failed test shows.
const SHOWN_MAX: usize = 8 << 10;

/// Keeps a program for as long as this process holds the other end of its standard input: when that closes, however
/// this process ended, the whole process group is killed and the folder removed. A program that ends takes it along.
const KEEPER: &str = r#"folder=$1; shift; ("$@"; kill -s KILL 0) & read -r _; rm -rf -- "$folder"; kill -s KILL 0"#;

/// An emulator that runs. It ends when this is dropped, and with this process.
pub struct Emulator {
    keeper: Child,
    folder: PathBuf,
    endpoint: String,
}

impl Emulator {
    /// `ministack`: most of AWS in one process, without checking signatures.
    pub fn ministack() -> Self {
        let mut printed = String::new();
        for _ in 0..PORTS_MAX {
            let port = free_port();
            let mut command = Command::new(programs().join("ministack"));
            // Its `edition` comes back in its answer, which tells it from whoever else may have taken the port.
            let edition = format!("workroom-{}-{port}", std::process::id());
            command
                .env("BIND_HOST", "127.0.0.1")
                .env("MINISTACK_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                .env("MINISTACK_EDITION", &edition)
                .env("MINISTACK_REGION", REGION)
                .env("IOT_MTLS_ENABLED", "0")
                .env("SFTP_ENABLED", "0");
            let mut emulator = Self::start(&command, "ministack");
            emulator.endpoint = format!("http://127.0.0.1:{port}");
            if emulator.wait(|_| fetch(port, "/_ministack/health").is_some_and(|answer| answer.contains(&edition))) {
                return emulator;
            }
            printed = emulator.output();
        }
        panic!("`ministack` did not start in {PORTS_MAX} attempts:\n{printed}");
    }

    /// `moto`: the services' own rules in detail, checks little of who calls.
    pub fn moto() -> Self {
        let mut command = Command::new(programs().join("moto_server"));
        // It says on which port it ended up.
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let mut emulator = Self::start(&command, "moto");
        let mut port = None;
        let up = emulator.wait(|it| {
            port = said_port(&it.output());
            port.is_some_and(|port| fetch(port, "/moto-api/data.json").is_some())
        });
        assert!(up, "`moto_server` ended:\n{}", emulator.output());
        emulator.endpoint = format!("http://127.0.0.1:{}", port.expect("what answered has a port"));
        emulator
    }

    /// One `ministack` for all tests of this process: names must be new in each test.
    pub fn shared_ministack() -> Shared {
        static ONE: OnceLock<Emulator> = OnceLock::new();
        Shared(ONE.get_or_init(Self::ministack))
    }

    /// One `moto` for all tests of this process: names must be new in each test.
    pub fn shared_moto() -> Shared {
        static ONE: OnceLock<Emulator> = OnceLock::new();
        Shared(ONE.get_or_init(Self::moto))
    }

    /// Any other server: `command` is told the port in place of the argument `{port}` and answers `path` when it is up.
    pub fn program(name: &str, program: &Path, arguments: &[&str], path: &str) -> Self {
        let mut printed = String::new();
        for _ in 0..PORTS_MAX {
            let port = free_port();
            let mut command = Command::new(program);
            command.args(arguments.iter().map(|argument| argument.replace("{port}", &port.to_string())));
            let mut emulator = Self::start(&command, name);
            emulator.endpoint = format!("http://127.0.0.1:{port}");
            if emulator.wait(|_| fetch(port, path).is_some()) {
                return emulator;
            }
            printed = emulator.output();
        }
        panic!("`{name}` did not start in {PORTS_MAX} attempts:\n{printed}");
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its own folder, gone when it ends.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The end of what it has printed.
    pub fn output(&self) -> String {
        let all = std::fs::read(self.folder.join("output.txt")).unwrap_or_default();
        String::from_utf8_lossy(&all[all.len().saturating_sub(SHOWN_MAX)..]).into_owned()
    }

    fn start(command: &Command, name: &str) -> Self {
        let folder = new_folder(name);
        let output = File::create(folder.join("output.txt")).expect("a file in the temporary folder");
        let errors = output.try_clone().expect("a file handle");
        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(&folder).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => keeper.env(name, value),
                None => keeper.env_remove(name),
            };
        }
        // Nothing of whoever runs the tests reaches it: no account, no setting of another emulator.
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "PERSIST_STATE", "S3_PERSIST", "SERVICES"]
        {
            keeper.env_remove(name);
        }
        keeper
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("TMPDIR", &folder)
            .env("STATE_DIR", folder.join("state"))
            .env("S3_DATA_DIR", folder.join("s3"))
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let keeper = keeper.spawn().unwrap_or_else(|error| panic!("`{name}` could not be started: {error}"));
        Self { keeper, folder, endpoint: String::new() }
    }

    /// Waits until `ready` finds it up; false when it ended by itself before.
    fn wait(&mut self, mut ready: impl FnMut(&Self) -> bool) -> bool {
        let deadline = Instant::now() + START_MAX;
        while Instant::now() < deadline {
            // Whether it still runs is asked first: an answer of someone else on its port does not count then.
            if !matches!(self.keeper.try_wait(), Ok(None)) {
                return false;
            }
            if ready(self) {
                return true;
            }
            std::thread::sleep(POLL);
        }
        panic!("an emulator did not answer within {START_MAX:?}:\n{}", self.output());
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the emulator at {} printed:\n{}", self.endpoint, self.output());
        }
        drop(self.keeper.stdin.take());
        // Nothing can be done here about a process that cannot be waited for, or a file that stays.
        let _ = self.keeper.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An emulator that several tests use. It ends with the process.
pub struct Shared(&'static Emulator);

impl Deref for Shared {
    type Target = Emulator;
    fn deref(&self) -> &Emulator {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the emulator at {} printed:\n{}", self.endpoint, self.output());
        }
    }
}

/// The port in a line such as `Running on http://127.0.0.1:33169`.
fn said_port(output: &str) -> Option<u16> {
    let after = output.split("http://127.0.0.1:").nth(1)?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Where `cargo xtask setup` put the emulators.
#[allow(clippy::disallowed_methods, reason = "the test command says where they are")]
fn programs() -> PathBuf {
    std::env::var_os("WORKROOM_TEST_EMULATORS").map(PathBuf::from).filter(|folder| folder.is_dir()).expect(
        "WORKROOM_TEST_EMULATORS names no folder: run `cargo xtask setup`, then the tests by `cargo xtask test`, \
         or with WORKROOM_TEST_EMULATORS set to the path of `target/venv-aws/bin`",
    )
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on the loopback");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn new_folder(name: &str) -> PathBuf {
    let entropy: &dyn cloud::Entropy = &cloud::SystemEntropy;
    let id = entropy.ulid(cloud::Clock::now(&cloud::SystemClock));
    let folder = std::env::temp_dir().join(format!("workroom-{name}-{id}"));
    std::fs::create_dir_all(&folder).expect("a folder below the temporary folder");
    folder
}

/// The body of a `200` at `path`; `None` for anything else.
fn fetch(port: u16, path: &str) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).filter(|status| *status == "200")?;
    Some(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(port: u16) -> bool {
        (0..200).any(|_| {
            std::thread::sleep(POLL);
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err()
        })
    }

    fn port_of(emulator: &Emulator) -> u16 {
        emulator.endpoint().rsplit(':').next().unwrap().parse().unwrap()
    }

    #[test]
    fn an_emulator_answers_on_the_loopback_alone_and_ends_on_drop() {
        for emulator in [Emulator::ministack(), Emulator::moto()] {
            let (port, folder) = (port_of(&emulator), emulator.folder().to_owned());
            assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
            // 127.0.0.2 is this machine too: who listens on every address would answer there.
            assert!(TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).is_err(), "it listens on every address");
            drop(emulator);
            assert!(gone(port) && !folder.exists());
        }
    }

    #[test]
    fn a_program_that_cannot_run_says_so() {
        let failed = std::panic::catch_unwind(|| {
            Emulator::program("absent", Path::new("/nonexistent/emulator"), &["--port", "{port}"], "/")
        });
        let message = failed.err().and_then(|panic| panic.downcast_ref::<String>().cloned()).unwrap();
        assert!(message.contains("`absent` did not start") && message.contains("/nonexistent/emulator"), "{message}");
    }

    #[test]
    fn closing_the_keepers_input_ends_what_it_keeps() {
        // A process that is killed closes its pipes, so this is what its emulators see.
        let mut emulator = Emulator::moto();
        let port = port_of(&emulator);
        drop(emulator.keeper.stdin.take());
        assert!(gone(port));
    }
}
