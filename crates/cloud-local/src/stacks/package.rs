//! Packages of functions, layers and sites, unpacked once under the name of their content.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cloud::limits::FUNCTION_PACKAGE_MAX;
use cloud::{BlobKey, Blobs, Error, Result, Sha256Digest};

/// A packed package (bytes).
const PACKED_MAX: usize = FUNCTION_PACKAGE_MAX;
const ENTRIES_MAX: usize = 200_000;
const SYMLINK_MAX: u64 = 4096;
const MODE_KIND: u32 = 0o170_000;
const MODE_SYMLINK: u32 = 0o120_000;

/// Unpacked packages below one folder. A folder that is there is whole.
pub struct Packages {
    folder: PathBuf,
    blobs: Arc<dyn Blobs>,
}

impl Packages {
    pub fn new(folder: PathBuf, blobs: Arc<dyn Blobs>) -> Self {
        Self { folder, blobs }
    }

    /// The folder of what `keys` hold, later ones over earlier ones.
    pub async fn folder(&self, keys: &[BlobKey]) -> Result<PathBuf> {
        let mut contents = Vec::new();
        for key in keys {
            contents.push(cloud::collect(self.blobs.get(key, None).await?, PACKED_MAX).await?);
        }
        let digests: Vec<String> = contents.iter().map(|bytes| Sha256Digest::of(bytes).to_string()).collect();
        let name = match digests.as_slice() {
            [one] => one.clone(),
            many => Sha256Digest::of(many.join("+").as_bytes()).to_string(),
        };
        self.unpacked(name, contents).await
    }

    /// A folder with one file: `InlineCode`.
    pub async fn inline(&self, file: &str, text: &str) -> Result<PathBuf> {
        let name = Sha256Digest::of(format!("{file}\n{text}").as_bytes()).to_string();
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let failed = |error: zip::result::ZipError| Error::other("packing inline code", error);
        zip.start_file(file, zip::write::SimpleFileOptions::default()).map_err(failed)?;
        zip.write_all(text.as_bytes()).map_err(|error| Error::other("packing inline code", error))?;
        let packed = zip.finish().map_err(failed)?.into_inner();
        self.unpacked(name, vec![packed.into()]).await
    }

    async fn unpacked(&self, name: String, contents: Vec<Bytes>) -> Result<PathBuf> {
        let (folder, target) = (self.folder.clone(), self.folder.join(&name));
        let unpacking = move || -> Result<PathBuf> {
            if target.is_dir() {
                return Ok(target);
            }
            let failed = |error: io::Error| Error::other(format!("unpacking into `{}`", target.display()), error);
            std::fs::create_dir_all(&folder).map_err(failed)?;
            let making = tempfile::Builder::new().prefix("making-").tempdir_in(&folder).map_err(failed)?;
            let mut left = FUNCTION_PACKAGE_MAX as u64;
            for content in contents {
                unpack(&content, making.path(), &mut left)?;
            }
            std::fs::set_permissions(making.path(), std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
            match std::fs::rename(making.path(), &target) {
                Ok(()) => drop(making.keep()),
                // Another deploy of the same content was faster.
                Err(_) if target.is_dir() => {}
                Err(error) => return Err(failed(error)),
            }
            Ok(target)
        };
        tokio::task::spawn_blocking(unpacking).await.map_err(|error| Error::other("unpacking", error))?
    }

    /// Removes every folder that is not in `used`, and what a crash left half made.
    pub fn sweep(&self, used: &[PathBuf]) {
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if !used.contains(&entry.path()) {
                // What cannot be removed now is tried again at the next start.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Unpacks a zip into `folder`; names, links, number and size of its entries are held.
fn unpack(packed: &Bytes, folder: &Path, left: &mut u64) -> Result<()> {
    let invalid = |why: String| Error::Invalid(format!("the package {why}"));
    let mut zip = zip::ZipArchive::new(io::Cursor::new(packed.clone()))
        .map_err(|error| invalid(format!("is not a zip archive: {error}")))?;
    if zip.len() > ENTRIES_MAX {
        return Err(invalid(format!("has more than {ENTRIES_MAX} entries")));
    }
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).map_err(|error| invalid(format!("cannot be read: {error}")))?;
        let name = match entry.name() {
            Ok(name) => name.into_owned(),
            Err(error) => return Err(invalid(format!("has an entry without a name: {error}"))),
        };
        let Some(path) = legal(&name) else { return Err(invalid(format!("has the illegal path `{name}`"))) };
        let target = folder.join(&path);
        let failed = |error: io::Error| Error::other(format!("unpacking `{name}`"), error);
        // Nothing is written through a link that an earlier entry made.
        let parents = path.ancestors().skip(1).filter(|parent| parent.parent().is_some());
        if parents.map(|parent| folder.join(parent)).any(|parent| parent.is_symlink()) || target.is_symlink() {
            return Err(invalid(format!("writes through a link at `{name}`")));
        }
        if entry.is_dir() {
            std::fs::create_dir_all(&target).map_err(failed)?;
            continue;
        }
        std::fs::create_dir_all(target.parent().unwrap_or(folder)).map_err(failed)?;
        let mode = entry.unix_mode().unwrap_or(0);
        if mode & MODE_KIND == MODE_SYMLINK {
            let mut link = String::new();
            entry.by_ref().take(SYMLINK_MAX).read_to_string(&mut link).map_err(failed)?;
            if !stays_inside(&path, &link) {
                return Err(invalid(format!("has the link `{name}` that leads out of it")));
            }
            std::os::unix::fs::symlink(&link, &target).map_err(failed)?;
            continue;
        }
        let mut file = std::fs::File::create(&target).map_err(failed)?;
        let written = io::copy(&mut entry.by_ref().take(*left + 1), &mut file).map_err(failed)?;
        if written > *left {
            let limit = FUNCTION_PACKAGE_MAX as u64;
            return Err(Error::TooLarge { what: "the unpacked package".into(), actual: limit + 1, limit });
        }
        *left -= written;
        // An archive without modes still has to be able to start.
        let executable = mode & 0o111 != 0 || (mode == 0 && path == Path::new("bootstrap"));
        let mode = if executable { 0o755 } else { 0o644 };
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    Ok(())
}

/// A relative path of plain names.
fn legal(name: &str) -> Option<PathBuf> {
    if name.contains('\\') || name.contains('\0') {
        return None;
    }
    let mut path = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!path.as_os_str().is_empty()).then_some(path)
}

/// True when the link at `path` leads to a place below the root.
fn stays_inside(path: &Path, link: &str) -> bool {
    let mut depth = path.components().count() as i64 - 1;
    for component in Path::new(link).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            _ => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    !link.is_empty()
}
