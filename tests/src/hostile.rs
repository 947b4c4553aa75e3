//! What tests of bad input share: requests as no client would write them, and what must hold after each.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::{Answer, Platform, Team};

/// What the platform may keep after an attack (KiB), and how long it may take to give the rest back.
const MEMORY_KEPT_KIB: u64 = 64 * 1024;
const MEMORY_BACK_MAX: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(20);

/// A platform that prints all it has to say, and what it took before the attack.
pub struct Target {
    pub team: Team,
    memory_kib: u64,
}

impl Target {
    pub fn start() -> Self {
        let team = Team::on(Platform::start_with(&["--log", "debug"]));
        let memory_kib = memory_kib(&team.platform);
        Self { team, memory_kib }
    }

    pub fn platform(&self) -> &Platform {
        &self.team.platform
    }

    /// A fresh access token of the person.
    pub fn token(&self) -> String {
        let body = serde_json::json!({"email": crate::PERSON.0, "password": crate::PERSON.1});
        let answer = self.platform().anonymous().post("/sessions", &body).expect(201).json();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    /// One request on a connection of its own.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let host = self.platform().authority();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n").into_bytes();
        for (name, value) in headers {
            request.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        if let Some(body) = body {
            request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
            request.extend(body);
        } else {
            request.extend(b"\r\n");
        }
        let answers = self.raw(&request);
        answers.into_iter().next().unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    /// Every answer to these bytes, until the platform closes.
    pub fn raw(&self, bytes: &[u8]) -> Vec<Answer> {
        let mut stream = self.connect();
        // What does not fit any more because the platform has closed is the platform's right.
        let _ = stream.write_all(bytes);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        let _ = stream.shutdown(Shutdown::Both);
        answers(&said)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.platform().authority()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The platform lives, has given memory back, and has printed none of `secrets`.
    #[track_caller]
    pub fn unharmed(&self, secrets: &[&str]) {
        self.platform().anonymous().get("/health").expect(200);
        let end = Instant::now() + MEMORY_BACK_MAX;
        while memory_kib(self.platform()) > self.memory_kib + MEMORY_KEPT_KIB {
            assert!(Instant::now() < end, "{} KiB, {} KiB before", memory_kib(self.platform()), self.memory_kib);
            std::thread::sleep(Duration::from_millis(200));
        }
        let printed = self.platform().printed();
        assert!(printed.contains("DEBUG"), "nothing was captured");
        let own = [self.platform().admin_password.as_str(), crate::PERSON.1, "X-Amz-Signature", "eyJ", "wrp_", "wrs_"];
        for secret in own.iter().chain(secrets) {
            let line = printed.lines().find(|line| line.contains(secret) && !line.starts_with("admin:"));
            assert_eq!(line, None, "a secret was printed");
        }
        assert!(!printed.contains("panicked"), "{printed}");
    }
}

/// A refusal: one of `statuses`, as a problem with all its members.
#[track_caller]
pub fn refused(case: &str, answer: &Answer, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status), "{case}: {} {}", answer.status, answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{case}: {}", answer.text());
    let problem = answer.json();
    for member in ["type", "title", "code", "detail"] {
        assert!(problem[member].is_string(), "{case}: no {member} in {problem}");
    }
    assert_eq!(problem["status"], answer.status, "{case}: {problem}");
}

/// Kibibytes of the process that are in memory.
fn memory_kib(platform: &Platform) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", platform.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn answers(mut said: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    while let Some(end) = said.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&said[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {head}"));
        let headers: Vec<(String, String)> =
            lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let header = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let rest = &said[end + 4..];
        let (body, length) = if header("transfer-encoding").is_some() {
            unchunked(rest)
        } else {
            let length = header("content-length").and_then(|(_, value)| value.parse().ok());
            let length = length.unwrap_or(rest.len()).min(rest.len());
            (rest[..length].to_vec(), length)
        };
        all.push(Answer { status, headers, body });
        said = &rest[length..];
    }
    all
}

/// The body in these chunks, and how many bytes they took.
fn unchunked(chunks: &[u8]) -> (Vec<u8>, usize) {
    let (mut body, mut at) = (Vec::new(), 0);
    while let Some(line) = chunks[at..].windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[at..at + line]).unwrap(), 16).unwrap();
        let start = (at + line + 2).min(chunks.len());
        let end = (start + size).min(chunks.len());
        body.extend_from_slice(&chunks[start..end]);
        at = (end + 2).min(chunks.len());
        if size == 0 {
            break;
        }
    }
    (body, at)
}
