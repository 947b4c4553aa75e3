//! The files of a commit in one archive, the same bytes each time.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::checkout::refuse_too_large;
use super::files::{FileEntry, Files};
use super::tree::find;
use crate::objects::Objects;
use crate::path::text_of;
use crate::{ArchiveFormat, EntryKind, Error, Oid, RepoPath, Result};

const EXECUTABLE: u32 = 0o755;
const PLAIN: u32 = 0o644;

/// What goes into an archive.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    pub format: ArchiveFormat,
    tree: Oid,
    /// Seconds: the commit's date is that of every file.
    time: i64,
    /// The folder that everything is in.
    folder: Vec<u8>,
}

impl Archive {
    /// The folder `path` of a commit (the root when `None`); `Error::TooLarge` when it is too much.
    pub(crate) fn of(
        objects: &Objects,
        commit: Oid,
        path: Option<&RepoPath>,
        folder: String,
        format: ArchiveFormat,
    ) -> Result<Self> {
        let links = objects.commit_links(&commit)?;
        let tree = match path {
            None => links.tree,
            Some(path) => find(objects, links.tree, path)?
                .filter(|found| found.kind == EntryKind::Folder)
                .map(|found| found.oid)
                .ok_or_else(|| Error::NotFound(format!("folder `{path}`")))?,
        };
        refuse_too_large(objects, &tree)?;
        Ok(Self { format, tree, time: links.time, folder: folder.into_bytes() })
    }
}

/// Writes the archive. It holds one file at a time.
pub(crate) fn archive(objects: &Objects, archive: &Archive, out: impl Write) -> Result<()> {
    match archive.format {
        ArchiveFormat::TarGz => {
            let gzip = GzBuilder::new().mtime(0).write(out, Compression::default());
            let mut tar = Tar { tar: tar::Builder::new(gzip), time: u64::try_from(archive.time).unwrap_or(0) };
            each(objects, archive, &mut tar)?;
            let finished = tar.tar.into_inner().and_then(flate2::write::GzEncoder::finish);
            finished.and_then(|mut out| out.flush()).map_err(Error::io("writing an archive"))
        }
        ArchiveFormat::Zip => {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .last_modified_time(date(archive.time));
            let mut zip = Zip { zip: ZipWriter::new_stream(out), options };
            each(objects, archive, &mut zip)?;
            let finished = zip.zip.finish().map_err(io::Error::other);
            finished.and_then(|out| out.into_inner().flush()).map_err(Error::io("writing an archive"))
        }
    }
}

trait Pack {
    fn file(&mut self, path: &[u8], mode: u32, bytes: &[u8]) -> io::Result<()>;
    fn symlink(&mut self, path: &[u8], target: &[u8]) -> io::Result<()>;
    fn folder(&mut self, path: &[u8]) -> io::Result<()>;
}

fn each(objects: &Objects, archive: &Archive, pack: &mut dyn Pack) -> Result<()> {
    let failed = || Error::io("writing an archive");
    let mut files = Files::new(objects, &archive.tree, b"")?;
    while let Some(FileEntry { mode, oid, kind }) = files.next()? {
        let path = [archive.folder.as_slice(), b"/", files.path()].concat();
        if kind == EntryKind::Submodule {
            pack.folder(&path).map_err(failed())?;
            continue;
        }
        let odb = objects.repository().odb()?;
        let blob = odb.read(oid.into())?;
        match kind {
            EntryKind::Symlink => pack.symlink(&path, blob.data()).map_err(failed())?,
            _ => {
                let mode = if mode & 0o100 == 0 { PLAIN } else { EXECUTABLE };
                pack.file(&path, mode, blob.data()).map_err(failed())?;
            }
        }
    }
    if files.limited { Err(Error::TooLarge("folders are nested too deep".into())) } else { Ok(()) }
}

struct Tar<W: Write> {
    tar: tar::Builder<W>,
    time: u64,
}

impl<W: Write> Tar<W> {
    fn header(&self, kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(self.time);
        header.set_uid(0);
        header.set_gid(0);
        header
    }
}

fn os(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

impl<W: Write> Pack for Tar<W> {
    fn file(&mut self, path: &[u8], mode: u32, bytes: &[u8]) -> io::Result<()> {
        let mut header = self.header(tar::EntryType::Regular, mode, bytes.len() as u64);
        self.tar.append_data(&mut header, os(path), bytes)
    }

    fn symlink(&mut self, path: &[u8], target: &[u8]) -> io::Result<()> {
        let mut header = self.header(tar::EntryType::Symlink, 0o777, 0);
        self.tar.append_link(&mut header, os(path), os(target))
    }

    fn folder(&mut self, path: &[u8]) -> io::Result<()> {
        let mut header = self.header(tar::EntryType::Directory, EXECUTABLE, 0);
        self.tar.append_data(&mut header, os(&[path, b"/"].concat()), io::empty())
    }
}

struct Zip<W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    options: SimpleFileOptions,
}

/// A zip's names are text: see `path.rs` for bytes that are none.
impl<W: Write> Pack for Zip<W> {
    fn file(&mut self, path: &[u8], mode: u32, bytes: &[u8]) -> io::Result<()> {
        self.zip.start_file(text_of(path), self.options.unix_permissions(mode)).map_err(io::Error::other)?;
        self.zip.write_all(bytes)
    }

    fn symlink(&mut self, path: &[u8], target: &[u8]) -> io::Result<()> {
        let options = self.options.unix_permissions(0o777);
        self.zip.add_symlink(text_of(path), text_of(target), options).map_err(io::Error::other)
    }

    fn folder(&mut self, path: &[u8]) -> io::Result<()> {
        self.zip.add_directory(text_of(path), self.options.unix_permissions(EXECUTABLE)).map_err(io::Error::other)
    }
}

/// Seconds as a zip's date, which begins with 1980 and has no zone: UTC.
fn date(seconds: i64) -> zip::DateTime {
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // The civil calendar by eras of 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = u16::try_from(year_of_era + era * 400 + later).unwrap_or(0);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    zip::DateTime::from_date_and_time(year, month as u8, day as u8, hour as u8, minute as u8, second as u8)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let told = |seconds| {
            let date = date(seconds);
            (date.year(), date.month(), date.day(), date.hour(), date.minute(), date.second())
        };
        assert_eq!(told(1_700_000_001), (2023, 11, 14, 22, 13, 20), "zip counts in twos");
        assert_eq!(told(951_782_400), (2000, 2, 29, 0, 0, 0));
        assert_eq!(told(0), (1980, 1, 1, 0, 0, 0), "before zip's time");
    }
}
