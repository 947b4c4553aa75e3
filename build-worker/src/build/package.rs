//! Zips with a stable digest: sorted names, one date, two modes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use cloud::Sha256Digest;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::copy::blocking;
use super::{BuildError, Package, PackageKind};

/// The most that a package has unpacked (Lambda quota), in bytes.
pub const UNPACKED_BYTES_MAX: u64 = 250 * 1024 * 1024;
/// Most entries of a package.
pub const ENTRIES_MAX: usize = 50_000;
/// The most that a checkout has where it is sent away to be built (bytes), and its most files.
const CHECKOUT_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
const CHECKOUT_ENTRIES_MAX: usize = 200_000;
/// Deepest folder.
const DEPTH_MAX: usize = 64;

/// Zips `folder` into `scratch`.
pub async fn pack(name: &str, kind: PackageKind, folder: PathBuf, scratch: &Path) -> Result<Package, BuildError> {
    let file = scratch.join(format!("{name}.zip"));
    let target = file.clone();
    let bounds = Bounds { bytes: UNPACKED_BYTES_MAX, entries: ENTRIES_MAX, links: Links::Within };
    let written = blocking(move || write(&folder, &target, &bounds)).await?;
    let (sha256, length) = written.map_err(|error| refused(&format!("the package of {name}"), error))?;
    Ok(Package { name: name.to_owned(), kind, file, sha256, length })
}

/// A file that is a package already.
pub async fn take(name: &str, kind: PackageKind, file: PathBuf) -> Result<Package, BuildError> {
    let source = file.clone();
    let checked = blocking(move || super::check_zip(&source)).await?;
    checked.map_err(|error| BuildError::failed(format!("the archive of {name} is refused: {error}")))?;
    let source = file.clone();
    let (sha256, length) =
        blocking(move || digest(&source)).await?.map_err(BuildError::io(format!("reading {name}")))?;
    Ok(Package { name: name.to_owned(), kind, file, sha256, length })
}

/// A whole checkout as one file.
#[derive(Clone, Copy, Debug)]
pub struct Archive {
    pub sha256: Sha256Digest,
    pub length: u64,
}

/// Zips a checkout to `target` as it is, links that lead out included: nothing follows them.
pub async fn archive(folder: PathBuf, target: PathBuf) -> Result<Archive, BuildError> {
    let bounds = Bounds { bytes: CHECKOUT_BYTES_MAX, entries: CHECKOUT_ENTRIES_MAX, links: Links::Any };
    let written = blocking(move || write(&folder, &target, &bounds)).await?;
    let (sha256, length) = written.map_err(|error| refused("the checkout", error))?;
    Ok(Archive { sha256, length })
}

fn refused(what: &str, error: io::Error) -> BuildError {
    match error.kind() {
        io::ErrorKind::InvalidData => BuildError::failed(format!("{what}: {error}")),
        _ => BuildError::io(format!("packing {what}"))(error),
    }
}

/// What a zip may come to.
struct Bounds {
    /// Unpacked.
    bytes: u64,
    entries: usize,
    links: Links,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    /// Only to what is in the zip.
    Within,
    Any,
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn write(folder: &Path, target: &Path, bounds: &Bounds) -> io::Result<(Sha256Digest, u64)> {
    let mut entries = Vec::new();
    collect(folder, &PathBuf::new(), 0, bounds.entries, &mut entries)?;
    entries.sort();
    let mut zip = ZipWriter::new(File::create(target)?);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default());
    let mut left = bounds.bytes;
    for path in entries {
        let name = path.to_str().ok_or_else(|| invalid(format!("the name {} is not UTF-8", path.display())))?;
        let source = folder.join(&path);
        let metadata = fs::symlink_metadata(&source)?;
        if metadata.is_symlink() {
            let to = fs::read_link(&source)?;
            let to = to.to_str().filter(|to| bounds.links == Links::Any || stays_within(&path, Path::new(to)));
            let to = to.ok_or_else(|| invalid(format!("the link {name} leads out of the package")))?;
            zip.add_symlink(name, to, options)?;
            continue;
        }
        let executable = metadata.permissions().mode() & 0o111 != 0;
        zip.start_file(name, options.unix_permissions(if executable { 0o755 } else { 0o644 }))?;
        let mut file = File::open(&source)?.take(left + 1);
        let copied = io::copy(&mut file, &mut zip)?;
        left = left.checked_sub(copied).ok_or_else(|| invalid(format!("more than {} bytes unpacked", bounds.bytes)))?;
    }
    zip.finish()?.flush()?;
    digest(target)
}

fn digest(path: &Path) -> io::Result<(Sha256Digest, u64)> {
    let mut hasher = Sha256::new();
    let length = io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok((Sha256Digest(hasher.finalize().into()), length))
}

fn collect(root: &Path, below: &Path, depth: usize, most: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(invalid(format!("folders are nested deeper than {DEPTH_MAX}")));
    }
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(root, &path, depth + 1, most, found)?;
        } else if kind.is_file() || kind.is_symlink() {
            found.push(path);
        }
        if found.len() > most {
            return Err(invalid(format!("more than {most} files")));
        }
    }
    Ok(())
}

/// Whether a link at `link` that reads `to` stays below the root.
pub fn stays_within(link: &Path, to: &Path) -> bool {
    let mut depth = link.components().count() as i64 - 1;
    for part in to.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    true
}
