//! What goes over the wire: a proxy that counts bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;

/// Read at a time (bytes).
const PIECE: usize = 64 * 1024;

/// Ends with its value.
pub struct Meter {
    pub authority: String,
    bytes: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Meter {
    /// Stands before `server` (`host:port`).
    pub fn before(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let authority = listener.local_addr()?.to_string();
        let (bytes, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (server, count, ended) = (server.to_owned(), Arc::clone(&bytes), Arc::clone(&over));
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // A connection that fails is the client's to notice.
                let _ = join(client, &server, &count);
            }
        });
        Ok(Self { authority, bytes, over })
    }

    /// In both directions so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(&self.authority);
    }
}

fn join(client: TcpStream, server: &str, count: &Arc<AtomicU64>) -> Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let count = Arc::clone(count);
        std::thread::spawn(move || carry(from, to, &count));
    }
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream, count: &AtomicU64) {
    let mut piece = vec![0; PIECE];
    while let Ok(n @ 1..) = from.read(&mut piece) {
        count.fetch_add(n as u64, Ordering::Relaxed);
        if to.write_all(&piece[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
