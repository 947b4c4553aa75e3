//! Zips that come from a repository: looked through before anything unpacks them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::package::{ENTRIES_MAX, UNPACKED_BYTES_MAX, stays_within};

/// The longest name of an entry, in bytes.
const NAME_BYTES_MAX: usize = 1024;
/// The longest target of a link, in bytes.
const LINK_BYTES_MAX: u64 = 1024;
/// The size of the end-of-central-directory record without its comment, and of the longest comment.
const END_BYTES: u64 = 22;
const COMMENT_BYTES_MAX: u64 = 65_535;

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("it is not a zip")]
    NotZip,
    #[error("it has more than {ENTRIES_MAX} entries")]
    TooManyEntries,
    #[error("it has more than {UNPACKED_BYTES_MAX} bytes unpacked")]
    TooLarge,
    #[error("the entry {0:?} has no name that can be kept")]
    Name(String),
    #[error("the entry {0:?} is neither file, folder nor link")]
    Kind(String),
    #[error("the link {0:?} leads out of the archive")]
    Link(String),
    #[error("the entry {0:?} is described in two ways")]
    TwoWays(String),
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// Looks through a zip: names, kinds, links, sizes as they unpack, and that both of its descriptions agree.
pub fn check_zip(path: &Path) -> Result<(), ArchiveError> {
    let damaged = |error: &dyn std::fmt::Display| ArchiveError::Damaged(error.to_string());
    let mut file = File::open(path).map_err(|error| damaged(&error))?;
    if declared_entries(&mut file)? > ENTRIES_MAX as u64 {
        return Err(ArchiveError::TooManyEntries);
    }
    let mut locals = file.try_clone().map_err(|error| damaged(&error))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|error| damaged(&error))?;
    if zip.len() > ENTRIES_MAX {
        return Err(ArchiveError::TooManyEntries);
    }
    let (mut left, mut names) = (UNPACKED_BYTES_MAX, BTreeSet::new());
    for index in 0..zip.len() {
        let (raw, header) = {
            let entry = zip.by_index_raw(index).map_err(|error| damaged(&error))?;
            (entry.name_raw().to_vec(), entry.header_start())
        };
        let name = legal_name(&raw)?;
        if local_name(&mut locals, header)? != raw || !names.insert(name.clone()) {
            return Err(ArchiveError::TwoWays(name));
        }
        let mut entry = zip.by_index(index).map_err(|error| damaged(&error))?;
        let mode = entry.unix_mode().unwrap_or(0o100_644) & 0o170_000;
        match mode {
            0 | 0o100_000 | 0o040_000 => {}
            0o120_000 => {
                let mut to = String::new();
                (&mut entry).take(LINK_BYTES_MAX).read_to_string(&mut to).map_err(|error| damaged(&error))?;
                if !stays_within(Path::new(&name), Path::new(&to)) {
                    return Err(ArchiveError::Link(name));
                }
                continue;
            }
            _ => return Err(ArchiveError::Kind(name)),
        }
        let unpacked = std::io::copy(&mut (&mut entry).take(left + 1), &mut std::io::sink());
        let unpacked = unpacked.map_err(|error| damaged(&error))?;
        left = left.checked_sub(unpacked).ok_or(ArchiveError::TooLarge)?;
    }
    Ok(())
}

/// The count that the end record gives, read before any table of that size is made.
fn declared_entries(file: &mut File) -> Result<u64, ArchiveError> {
    let length = file.seek(SeekFrom::End(0)).map_err(|_| ArchiveError::NotZip)?;
    let tail = length.min(END_BYTES + COMMENT_BYTES_MAX);
    file.seek(SeekFrom::Start(length - tail)).map_err(|_| ArchiveError::NotZip)?;
    let mut end = Vec::new();
    file.take(tail).read_to_end(&mut end).map_err(|_| ArchiveError::NotZip)?;
    let at = end.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or(ArchiveError::NotZip)?;
    let count = end.get(at + 10..at + 12).ok_or(ArchiveError::NotZip)?;
    let count = u64::from(u16::from_le_bytes([count[0], count[1]]));
    // 65,535 stands for "see the zip64 record": more than is taken anyway.
    Ok(count)
}

fn legal_name(raw: &[u8]) -> Result<String, ArchiveError> {
    let shown = || String::from_utf8_lossy(&raw[..raw.len().min(80)]).into_owned();
    let name = std::str::from_utf8(raw).map_err(|_| ArchiveError::Name(shown()))?;
    let parts = name.strip_suffix('/').unwrap_or(name);
    let legal = !parts.is_empty()
        && raw.len() <= NAME_BYTES_MAX
        && !name.contains(['\\', '\0'])
        && !name.chars().any(char::is_control)
        && parts.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if legal { Ok(name.to_owned()) } else { Err(ArchiveError::Name(shown())) }
}

/// The name in the local header, which unpackers that stream would see.
fn local_name(file: &mut File, header: u64) -> Result<Vec<u8>, ArchiveError> {
    let mut fixed = [0; 30];
    let read = file.seek(SeekFrom::Start(header)).and_then(|_| file.read_exact(&mut fixed));
    read.map_err(|error| ArchiveError::Damaged(error.to_string()))?;
    let length = u16::from_le_bytes([fixed[26], fixed[27]]);
    let mut name = vec![0; usize::from(length)];
    file.read_exact(&mut name).map_err(|error| ArchiveError::Damaged(error.to_string()))?;
    Ok(name)
}
