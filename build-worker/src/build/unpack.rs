//! Zips of our own making, unpacked again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zip::ZipArchive;

/// Unpacks a zip that [`super::check_zip`] has looked through into `to`, which must not exist yet. Links are made
/// last, so that no file is written through one.
pub fn unpack(zip: &Path, to: &Path) -> io::Result<()> {
    let mut zip = ZipArchive::new(File::open(zip)?).map_err(io::Error::other)?;
    fs::create_dir(to)?;
    let mut links = Vec::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(io::Error::other)?;
        let name = std::str::from_utf8(entry.name_raw()).map_err(io::Error::other)?.to_owned();
        let target = to.join(&name);
        if name.ends_with('/') {
            fs::create_dir_all(&target)?;
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = entry.unix_mode().unwrap_or(0o644);
        if mode & 0o170_000 == 0o120_000 {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            links.push((text, target));
            continue;
        }
        let mut file = File::create_new(&target)?;
        io::copy(&mut entry, &mut file)?;
        file.set_permissions(fs::Permissions::from_mode(if mode & 0o111 != 0 { 0o755 } else { 0o644 }))?;
    }
    for (text, target) in links {
        std::os::unix::fs::symlink(text, target)?;
    }
    Ok(())
}
