//! A pack on its way into a quarantine, from whoever sends it.

use tempfile::TempDir;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use crate::pack::PACK_LIMITS;
use crate::quarantine::INCOMING;
use crate::{Error, Result};

/// `PACK`, version, count.
const HEAD_BYTES: usize = 12;

/// Takes a pack as it comes, and refuses it as soon as it is too much.
pub(crate) struct Spool {
    dir: TempDir,
    file: File,
    head: Vec<u8>,
    bytes: u64,
}

impl Spool {
    pub(crate) async fn open(dir: TempDir) -> Result<Self> {
        let file = File::create(dir.path().join(INCOMING)).await.map_err(Error::io("spooling a pack"))?;
        Ok(Self { dir, file, head: Vec::new(), bytes: 0 })
    }

    pub(crate) async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        if self.head.len() < HEAD_BYTES {
            self.head.extend_from_slice(&chunk[..chunk.len().min(HEAD_BYTES - self.head.len())]);
            check_head(&self.head)?;
        }
        self.bytes += chunk.len() as u64;
        if self.bytes > PACK_LIMITS.pack_bytes {
            return Err(Error::TooLarge(format!("the pack is more than {} bytes", PACK_LIMITS.pack_bytes)));
        }
        self.file.write_all(chunk).await.map_err(Error::io("spooling a pack"))
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The quarantine with the pack in it.
    pub(crate) async fn finish(mut self) -> Result<TempDir> {
        self.file.flush().await.map_err(Error::io("spooling a pack"))?;
        Ok(self.dir)
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
