//! As much of HTTP/1.1 as AWS's SDKs and the emulators speak with each other.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::WireCall;

/// The head of a call or an answer is refused past this (bytes).
const HEAD_MAX: usize = 64 << 10;
/// A body is refused past this (bytes).
const BODY_MAX: usize = 256 << 20;

fn broken(why: &str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

/// Reads up to the empty line; what follows it comes second. `None` when nothing came.
async fn read_head(stream: &mut TcpStream) -> Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            bytes.truncate(end);
            return Ok(Some((String::from_utf8(bytes).map_err(|_| broken("a head that is no text"))?, rest)));
        }
        if bytes.len() > HEAD_MAX {
            return Err(broken("a long head"));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return if bytes.is_empty() { Ok(None) } else { Err(broken("a head that broke off")) };
        }
    }
}

fn headers(head: &str) -> Vec<(String, String)> {
    let split = |line: &str| line.split_once(':').map(|(n, v)| (n.trim().to_lowercase(), v.trim().to_owned()));
    head.lines().skip(1).filter_map(split).collect()
}

fn length(headers: &[(String, String)]) -> Option<usize> {
    headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok())
}

/// One call with its whole body; `None` when the connection closed without one.
pub(super) async fn read_call(stream: &mut TcpStream) -> Result<Option<WireCall>> {
    let Some((head, mut body)) = read_head(stream).await? else { return Ok(None) };
    let mut line = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (line.next().unwrap_or_default().to_owned(), line.next().unwrap_or_default().to_owned());
    let headers = headers(&head);
    if headers.iter().any(|(name, _)| name == "transfer-encoding") {
        stream.write_all(&answer(501, &[], b"this proxy reads bodies of a known length")).await?;
        return Err(broken("a body of unknown length"));
    }
    if headers.iter().any(|(name, value)| name == "expect" && value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let wanted = length(&headers).unwrap_or(0);
    if wanted > BODY_MAX {
        return Err(broken("a large body"));
    }
    while body.len() < wanted {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(broken("a body that broke off"));
        }
    }
    body.truncate(wanted);
    Ok(Some(WireCall { method, target, headers, body: body.into() }))
}

/// An answer as it is sent on.
pub(super) struct Answer {
    status_line: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn set_length(&mut self, length: usize) {
        self.headers.retain(|(name, _)| name != "content-length" && name != "transfer-encoding");
        self.headers.push(("content-length".into(), length.to_string()));
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.status_line).into_bytes();
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "connection" && name != "keep-alive") {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"connection: close\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer of the proxy's own.
pub(super) fn answer(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let mut answer =
        Answer { status_line: format!("HTTP/1.1 {status} Injected"), headers: headers.to_vec(), body: body.to_vec() };
    answer.set_length(body.len());
    answer.bytes()
}

/// Sends the call on and waits for the whole answer.
pub(super) async fn forward(call: &WireCall, upstream: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(upstream).await?;
    let mut head = format!("{} {} HTTP/1.1\r\n", call.method, call.target);
    for (name, value) in call.headers.iter().filter(|(name, _)| name != "connection" && name != "expect") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&call.body).await?;
    let (mut head, mut body) = read_head(&mut stream).await?.ok_or_else(|| broken("no answer"))?;
    while head.starts_with("HTTP/1.1 100") {
        // What follows an interim answer is in `body` so far; emulators send it apart from the final head.
        if !body.is_empty() {
            return Err(broken("an interim answer with more behind it"));
        }
        (head, body) = read_head(&mut stream).await?.ok_or_else(|| broken("no answer"))?;
    }
    let headers = headers(&head);
    let wanted = if call.method == "HEAD" { Some(0) } else { length(&headers) };
    while wanted.is_none_or(|wanted| body.len() < wanted) && body.len() <= BODY_MAX {
        if stream.read_buf(&mut body).await? == 0 {
            break;
        }
    }
    Ok(Answer { status_line: head.lines().next().unwrap_or_default().to_owned(), headers, body })
}
