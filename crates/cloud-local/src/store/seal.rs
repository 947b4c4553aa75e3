//! Secrets at rest: XChaCha20-Poly1305 under a key file that only the owner reads.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use cloud::{Entropy, Error, Result};

use super::database::During;

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 24;

pub(super) struct Seal {
    cipher: XChaCha20Poly1305,
}

impl Seal {
    /// Reads the key file or makes it. A missing key beside sealed values is refused: a new one would lose them.
    pub(super) fn open(path: &Path, entropy: &dyn Entropy, has_sealed: bool) -> Result<Self> {
        let key = match std::fs::read(path) {
            Ok(key) => key,
            Err(error) if error.kind() == ErrorKind::NotFound && !has_sealed => create(path, entropy)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::Invalid(format!(
                    "the key file {} is missing, and the store holds values sealed with it: put it back",
                    path.display()
                )));
            }
            Err(error) => return Err(Error::other(format!("reading the key file {}", path.display()), error)),
        };
        let key: [u8; KEY_LENGTH] = key
            .try_into()
            .map_err(|_| Error::Invalid(format!("the key file {} does not hold {KEY_LENGTH} bytes", path.display())))?;
        Ok(Self { cipher: XChaCha20Poly1305::new(&Key::from(key)) })
    }

    /// Seals `value` so that it opens only under the same `place`.
    pub(super) fn seal(&self, entropy: &dyn Entropy, place: &str, value: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LENGTH] = entropy.bytes();
        let payload = Payload { msg: value, aad: place.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::other("sealing a parameter", "the cipher refused"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// `Error::Corrupt` when the bytes were changed, moved, or sealed under another key.
    pub(super) fn open_sealed(&self, place: &str, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = || Error::Corrupt(name.to_owned());
        let (nonce, rest) = sealed.split_at_checked(NONCE_LENGTH).ok_or_else(damaged)?;
        let nonce: [u8; NONCE_LENGTH] = nonce.try_into().map_err(|_| damaged())?;
        let payload = Payload { msg: rest, aad: place.as_bytes() };
        self.cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| damaged())
    }
}

/// Writes a new key beside its place and moves it there whole, so that a crash leaves none or a good one.
fn create(path: &Path, entropy: &dyn Entropy) -> Result<Vec<u8>> {
    let key: [u8; KEY_LENGTH] = entropy.bytes();
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&key)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().during(format!("making the key file {}", path.display()))?;
    Ok(key.to_vec())
}
