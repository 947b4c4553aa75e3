//! A connection that can be read on after its HTTP side has ended.
//!
//! Closing a socket while the client still sends resets it, and the reset takes the response from a client that has not
//! read it yet: a refusal in the middle of a large body would be a broken pipe and not an answer (RFC 9112, 9.6).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// Without a byte from the client.
const IDLE: Duration = Duration::from_secs(1);
/// In all.
const TOTAL: Duration = Duration::from_secs(5);
/// Bytes that are read and thrown away.
const BYTES_MAX: usize = 64 * 1024 * 1024;
const BUFFER: usize = 16 * 1024;

/// The stream as HTTP uses it.
pub(super) struct Stream {
    read: Arc<Mutex<OwnedReadHalf>>,
    write: OwnedWriteHalf,
}

/// What is left of the stream when HTTP has ended.
pub(super) struct Rest(Arc<Mutex<OwnedReadHalf>>);

pub(super) fn split(stream: TcpStream) -> (Stream, Rest) {
    let (read, write) = stream.into_split();
    let read = Arc::new(Mutex::new(read));
    (Stream { read: Arc::clone(&read), write }, Rest(read))
}

impl Rest {
    /// Reads what the client still sends, for a while. An upgraded connection is someone else's and is left alone.
    pub async fn linger(self) {
        let Some(read) = Arc::into_inner(self.0) else { return };
        let mut read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let drain = async {
            let mut buffer = vec![0; BUFFER];
            let mut left = BYTES_MAX;
            while let Ok(Ok(n @ 1..)) = timeout(IDLE, read.read(&mut buffer)).await {
                left = left.saturating_sub(n);
                if left == 0 {
                    break;
                }
            }
        };
        let _ = timeout(TOTAL, drain).await;
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *read).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(context)
    }
}
