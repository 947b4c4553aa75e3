//! A pack on its way into a quarantine, from whoever sends it.

use std::fs::File;
use std::io::{self, Read, Write};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::fsck::Checker;
use crate::pack::{PACK_LIMITS, Scanned, scan};
use crate::quarantine::INCOMING;
use crate::{Error, Result};

/// `PACK`, version, count.
const HEAD_BYTES: usize = 12;
/// Pieces on their way to the thread that looks at them.
const PIECES_AHEAD: usize = 16;

/// A pack in its quarantine whose every byte was looked at.
pub(crate) struct Spooled {
    pub dir: TempDir,
    pub scanned: Scanned,
    pub checker: Checker,
}

/// Takes a pack as it comes, and refuses it as soon as it is too much. It is written and looked at while the rest is
/// still on its way.
pub(crate) struct Spool {
    pieces: Sender<Bytes>,
    work: JoinHandle<Result<Spooled>>,
    head: Vec<u8>,
    bytes: u64,
}

impl Spool {
    pub(crate) fn open(dir: TempDir) -> Self {
        let (pieces, arriving) = channel(PIECES_AHEAD);
        let work = tokio::task::spawn_blocking(move || take(dir, arriving));
        Self { pieces, work, head: Vec::new(), bytes: 0 }
    }

    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if self.head.len() < HEAD_BYTES {
            self.head.extend_from_slice(&chunk[..chunk.len().min(HEAD_BYTES - self.head.len())]);
            check_head(&self.head)?;
        }
        self.bytes += chunk.len() as u64;
        if self.bytes > PACK_LIMITS.pack_bytes {
            return Err(Error::TooLarge(format!("the pack is more than {} bytes", PACK_LIMITS.pack_bytes)));
        }
        // Whoever sends is heard to the end, also when what was sent is found to be bad: then nobody takes the rest.
        let _ = self.pieces.send(chunk).await;
        Ok(())
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The quarantine with the pack in it.
    pub(crate) async fn finish(self) -> Result<Spooled> {
        drop(self.pieces);
        match self.work.await {
            Ok(spooled) => spooled,
            Err(error) => Err(cloud::Error::other("taking a pack", error).into()),
        }
    }
}

impl Spooled {
    /// A pack that was made in its quarantine.
    pub(crate) fn made_in(dir: TempDir) -> Result<Self> {
        let mut file = File::open(dir.path().join(INCOMING)).map_err(Error::io("opening a pack"))?;
        let checker = Checker::default();
        let scanned = scan(PACK_LIMITS, &mut file, &|kind, oid, bytes| checker.object(kind, oid, bytes))?;
        Ok(Self { dir, scanned, checker })
    }
}

fn take(dir: TempDir, arriving: Receiver<Bytes>) -> Result<Spooled> {
    let file = File::create(dir.path().join(INCOMING)).map_err(Error::io("spooling a pack"))?;
    let checker = Checker::default();
    let mut source = Arriving { arriving, file, piece: Bytes::new() };
    let scanned = scan(PACK_LIMITS, &mut source, &|kind, oid, bytes| checker.object(kind, oid, bytes))?;
    Ok(Spooled { dir, scanned, checker })
}

/// What arrives, written to a file on the way.
struct Arriving {
    arriving: Receiver<Bytes>,
    file: File,
    piece: Bytes,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.arriving.blocking_recv() else { return Ok(0) };
            self.file.write_all(&piece)?;
            self.piece = piece;
        }
        let taken = self.piece.split_to(self.piece.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

/// Refuses what is no pack, or declares too much, as soon as its first bytes are here.
fn check_head(head: &[u8]) -> Result<()> {
    if !b"PACK".starts_with(&head[..head.len().min(4)]) {
        return Err(Error::Unpack("what was sent is no pack".into()));
    }
    if let [_, _, _, _, _, _, _, _, a, b, c, d] = *head {
        let count = u32::from_be_bytes([a, b, c, d]);
        if count > PACK_LIMITS.objects {
            return Err(Error::TooLarge(format!("the pack has {count} objects, the limit is {}", PACK_LIMITS.objects)));
        }
    }
    Ok(())
}
