//! Execution environments for the functions whose answer is streamed, beside the emulator, which would hand such an
//! answer on as one JSON text. Each invocation runs under AWS's own runtime interface emulator, with a `/tmp` of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::emulator::{KEEPER, only_what_is_needed};
use crate::run::program;
use crate::tools::sam_folder;

const START_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
/// The longest head of a request, and its longest body (bytes): Lambda's events have at most 6 MB.
const HEAD_MAX: u64 = 64 * 1024;
const BODY_MAX: usize = 8 * 1024 * 1024;
/// As the template says of these functions (seconds).
const TIMEOUT: &str = "900";

/// Takes invocations until the process ends.
pub struct Environments {
    port: u16,
}

/// What the template gives every function. These lead nowhere: a build function asks nobody but the addresses of its order.
const VARIABLES: [(&str, &str); 12] = [
    ("AREA", "build"),
    ("AWS_LAMBDA_FUNCTION_TIMEOUT", TIMEOUT),
    ("WORKROOM_ENVIRONMENT", "dev"),
    ("TABLE_NAME", "none"),
    ("DATA_BUCKET", "none"),
    ("JOB_QUEUE_URL", NOWHERE),
    ("TAIL_QUEUE_URL", NOWHERE),
    ("PARAMETER_PREFIX", "/workroom/dev"),
    ("SOCKET_URL", "wss://127.0.0.1:1/"),
    ("SOCKET_MANAGEMENT_URL", NOWHERE),
    ("ISSUER", "none"),
    ("AUDIENCE", "none"),
];
const NOWHERE: &str = "https://127.0.0.1:1/";

struct Function {
    program: PathBuf,
    emulator: PathBuf,
    folder: PathBuf,
}

impl Environments {
    /// For invocations of `program` with the area `build`. What the environments write, and print, goes to `folder`.
    pub fn start(program: PathBuf, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let function = Arc::new(Function { program, emulator: runtime_emulator()?, folder: folder.to_owned() });
        let doors = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = doors.local_addr()?.port();
        std::thread::spawn(move || {
            for door in doors.incoming().flatten() {
                let function = function.clone();
                std::thread::spawn(move || {
                    if let Err(error) = function.serve(door) {
                        eprintln!("xtask: an invocation came to nothing: {error:#}");
                    }
                });
            }
        });
        Ok(Self { port })
    }

    /// Where an event is posted.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

/// The one that the SAM CLI brings.
fn runtime_emulator() -> Result<PathBuf> {
    let name = if cfg!(target_arch = "aarch64") { "aws-lambda-rie-arm64" } else { "aws-lambda-rie-x86_64" };
    let libraries = std::fs::read_dir(sam_folder().join("lib")).context("run `cargo xtask setup`")?;
    let mut found = libraries.flatten().map(|python| python.path().join("site-packages/samcli/local/rapid").join(name));
    found.find(|path| path.exists()).with_context(|| format!("the SAM CLI has no {name}; run `cargo xtask setup`"))
}

impl Function {
    fn serve(&self, mut door: TcpStream) -> Result<()> {
        let event = body(&door)?;
        let (status, answer) = match self.invoke(&event) {
            Ok(answer) => ("200 OK", answer),
            Err(error) => ("502 Bad Gateway", format!("{error:#}").into_bytes()),
        };
        write!(door, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len())?;
        Ok(door.write_all(&answer)?)
    }

    /// One event in a new environment, which ends with it.
    fn invoke(&self, event: &[u8]) -> Result<Vec<u8>> {
        let [invocations, runtime] = free_ports()?;
        let folder = self.folder.join(invocations.to_string());
        std::fs::create_dir_all(&folder)?;
        let mut environment = self.environment(invocations, runtime, &folder)?;
        let answer = ask(&mut environment, invocations, event);
        drop(environment.stdin.take());
        environment.wait()?;
        let _ = std::fs::remove_dir_all(folder);
        answer
    }

    fn environment(&self, invocations: u16, runtime: u16, tmp: &Path) -> Result<Child> {
        let printed = File::options().create(true).append(true).open(self.folder.join("environments.log"))?;
        let at = |port: u16| format!("127.0.0.1:{port}");
        let mut keeper = program("/bin/sh");
        only_what_is_needed(&mut keeper).args(["-c", KEEPER, "keeper", "bwrap", "--dev-bind", "/", "/", "--bind"]);
        keeper.arg(tmp).arg("/tmp").arg("--ro-bind").arg(&self.emulator).arg("/tmp/emulator");
        keeper.arg("--ro-bind").arg(&self.program).args(["/tmp/function", "--", "/tmp/emulator"]);
        keeper.args(["--runtime-interface-emulator-address", &at(invocations)]);
        keeper.args(["--runtime-api-address", &at(runtime)]);
        // As a wrapper is started: with the command of the runtime that it stands for.
        keeper.args(["/tmp/function", "/var/lang/bin/runtime"]);
        keeper.envs(VARIABLES);
        keeper.stdin(Stdio::piped()).stdout(printed.try_clone()?).stderr(printed).process_group(0);
        keeper.spawn().context("an execution environment could not be started")
    }
}

/// Two that differ.
fn free_ports() -> Result<[u16; 2]> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok([first.local_addr()?.port(), second.local_addr()?.port()])
}

/// Posts an event as soon as somebody listens; the answer's body, without what HTTP puts around it.
fn ask(environment: &mut Child, port: u16, event: &[u8]) -> Result<Vec<u8>> {
    let end = Instant::now() + START_MAX;
    let mut line = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(line) => break line,
            Err(_) if environment.try_wait()?.is_none() && Instant::now() < end => std::thread::sleep(POLL),
            Err(error) => bail!("the environment does not listen: {error}"),
        }
    };
    // Of 1.0: the body has no chunks and ends with the connection.
    let path = "/2015-03-31/functions/function/invocations";
    write!(line, "POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n", event.len())?;
    line.write_all(event)?;
    let mut answer = Vec::new();
    line.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("the answer has no head")?;
    Ok(answer.split_off(head + 4))
}

/// The body of an HTTP request that says how long it is.
fn body(door: &TcpStream) -> Result<Vec<u8>> {
    let mut reader = BufReader::new(door);
    let mut length = None;
    let mut head = reader.by_ref().take(HEAD_MAX);
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            bail!("the request has no end of its head");
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok(),
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let length = length.filter(|length| *length <= BODY_MAX).context("the request's length")?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_request_is_what_its_length_says() {
        let doors = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut client = TcpStream::connect(doors.local_addr().unwrap()).unwrap();
        let (door, _) = doors.accept().unwrap();
        client.write_all(b"POST / HTTP/1.1\r\nHost: a:1\r\ncontent-length: 4\r\n\r\n{\r\n}more").unwrap();
        assert_eq!(body(&door).unwrap(), b"{\r\n}");
        client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 900000000000\r\n\r\n").unwrap();
        assert!(body(&door).is_err());
    }
}
