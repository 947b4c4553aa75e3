//! One process owns a data folder.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use cloud::{Error, Result};

/// Held for as long as the store is open; the kernel gives it back when the process ends, however it ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the folder when it is absent and takes `lock` in it.
    pub(super) fn take(data: &Path) -> Result<Self> {
        let refused = |why: String| Error::Invalid(format!("the data folder {} cannot be used: {why}", data.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|error| refused(error.to_string()))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(data.join("lock"))
            .map_err(|error| refused(error.to_string()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The number only helps the reader of the message.
                let _ = (&mut file).take(32).read_to_string(&mut owner);
                return Err(refused(format!("process {} uses it; stop that one or name another folder", owner.trim())));
            }
            Err(TryLockError::Error(error)) => return Err(refused(error.to_string())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(|e| refused(e.to_string()))?;
        Ok(Self { _file: file })
    }
}
