//! Many connections that ask the same thing over and over, with as little work of their own as possible: the client
//! shares the processors with the platform.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::samples::Samples;

const HEAD_MAX: usize = 64 * 1024;

pub struct Load {
    pub samples: Samples,
    /// Requests a second over all connections.
    pub rate: f64,
}

/// Sends `request` over `connections` kept-alive connections for `time`; every answer must be a 200.
pub fn drive(authority: &str, request: &str, connections: usize, time: Duration) -> Result<Load> {
    let began = Instant::now();
    let ends = began + time;
    let parts: Vec<Result<Samples>> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..connections).map(|_| scope.spawn(|| call(authority, request, ends))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap_or_else(|_| bail!("a caller failed"))).collect()
    });
    let took = began.elapsed().as_secs_f64();
    let mut samples = Samples::default();
    for part in parts {
        samples.extend(part?);
    }
    Ok(Load { rate: samples.len() as f64 / took, samples })
}

fn call(authority: &str, request: &str, ends: Instant) -> Result<Samples> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    let (mut samples, mut buffer) = (Samples::default(), Vec::new());
    while Instant::now() < ends {
        samples.time(|| {
            stream.write_all(request.as_bytes())?;
            read_answer(&mut stream, &mut buffer)
        })?;
    }
    Ok(samples)
}

/// Reads one answer whose length its head tells.
fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let mut chunk = [0; 16 * 1024];
    let head = loop {
        let count = stream.read(&mut chunk)?;
        ensure!(count > 0 && buffer.len() < HEAD_MAX, "the connection ended within an answer");
        buffer.extend_from_slice(&chunk[..count]);
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?;
    ensure!(text.starts_with("HTTP/1.1 200"), "{text}");
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let mut left = (head + length.context("an answer without its length")??).saturating_sub(buffer.len());
    while left > 0 {
        let count = stream.read(&mut chunk)?;
        ensure!(count > 0, "the connection ended within an answer");
        left = left.saturating_sub(count);
    }
    Ok(())
}
