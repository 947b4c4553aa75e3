//! A small Runtime API server that starts a function's process, gives it one event, and looks at the clock.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// A function that has not answered by then will not.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one start cost.
pub struct Start {
    /// From the start of the process to its first `/next`.
    pub next: Duration,
    /// From the start of the process to its first answer.
    pub reply: Duration,
    /// Resident memory when it asked for its first event (bytes).
    pub resident: u64,
}

/// Ends the process with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Request {
    method: String,
    path: String,
}

/// Starts `program` (its environment is set already, but for the Runtime API's address) with `event`.
pub fn start(program: &mut Command, event: &str) -> Result<Start> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    program.env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string());
    let began = Instant::now();
    let child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let running = Running(child.with_context(|| format!("starting {:?}", program.get_program()))?);
    let mut first: Option<(Duration, u64)> = None;
    loop {
        let mut connection = BufReader::new(accept(&listener, began)?);
        connection.get_ref().set_read_timeout(Some(PATIENCE))?;
        connection.get_ref().set_nodelay(true)?;
        while let Some(request) = read(&mut connection)? {
            let came = began.elapsed();
            match (request.method.as_str(), request.path.rsplit('/').next()) {
                ("GET", Some("next")) if first.is_none() => {
                    first = Some((came, resident(running.0.id())?));
                    answer(connection.get_mut(), "200 OK", event)?;
                }
                ("POST", Some("response" | "error")) => {
                    let (next, resident) = first.context("an answer before an event")?;
                    return Ok(Start { next, reply: came, resident });
                }
                (method, _) => bail!("{method} {} was not expected", request.path),
            }
        }
    }
}

fn accept(listener: &TcpListener, began: Instant) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                ensure!(began.elapsed() < PATIENCE, "the function did not ask for an event");
                // Short against what is measured, and not a busy loop on the function's own processor.
                std::thread::sleep(Duration::from_micros(50));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The next request with its body read away; `None` at the connection's end.
fn read(connection: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let request = Request { method: words.next().unwrap_or_default(), path: words.next().unwrap_or_default() };
    let mut length = 0;
    loop {
        let mut header = String::new();
        connection.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    std::io::copy(&mut connection.take(length), &mut std::io::sink())?;
    Ok(Some(request))
}

fn answer(connection: &mut TcpStream, status: &str, body: &str) -> Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
         Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
         Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:bench\r\n\r\n",
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    Ok(())
}

fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(kilobytes * 1024)
}
