//! One process owns a data folder.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use cloud::{Error, Result};

/// How often, and after which pause, a folder that this process itself still holds is looked at again.
const OWN_LOOKS_MAX: u32 = 100;
const OWN_PAUSE: Duration = Duration::from_millis(10);

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
        let mut looks = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let owner = owner(&mut file);
                    // A store of this very process that was dropped may still be ending its last write.
                    if owner != std::process::id().to_string() || looks == OWN_LOOKS_MAX {
                        let why = format!("process {owner} uses it; stop that one or name another folder");
                        return Err(refused(why));
                    }
                }
                Err(TryLockError::Error(error)) => return Err(refused(error.to_string())),
            }
            looks += 1;
            std::thread::sleep(OWN_PAUSE);
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|e| refused(e.to_string()))?;
        Ok(Self { _file: file })
    }
}

/// The number that the owner wrote; it only helps the reader of a message.
fn owner(file: &mut File) -> String {
    let mut owner = String::new();
    match file.rewind().and_then(|()| file.take(32).read_to_string(&mut owner)) {
        Ok(_) => owner.trim().to_owned(),
        Err(_) => "another".into(),
    }
}
