//! Archives that a repository may bring, and those that nobody should unpack.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::PathBuf;

use build_worker::build::{ArchiveError, check_zip};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn kept(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn check(bytes: &[u8]) -> Result<(), ArchiveError> {
    let (_folder, path) = kept(bytes);
    check_zip(&path)
}

/// A zip of entries with their names, unix modes and contents.
fn zip(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, mode, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Changes every place where `from` stands; both have the same length, so that no offset moves.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8], times: usize) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    for at in places.into_iter().take(times) {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn an_ordinary_zip_is_taken() {
    check(&zip(&[("app.py", 0o644, b"x"), ("package/module.py", 0o755, b"y")])).unwrap();
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in ["aa/../b", "../../x", "..\\..\\x", "/etc/xx", "a//b/cc", "./a/bcd", "a\nb/cde", "a\0b/cde"] {
        let plain: String = (0..name.len()).map(|at| char::from(b'a' + at as u8)).collect();
        let bytes = replaced(zip(&[(plain.as_str(), 0o644, b"x")]), plain.as_bytes(), name.as_bytes(), 2);
        assert!(matches!(check(&bytes), Err(ArchiveError::Name(_))), "{name:?}: {:?}", check(&bytes));
    }
}

#[test]
fn names_that_are_not_utf8_or_too_long_are_refused() {
    let bytes = replaced(zip(&[("abcd", 0o644, b"x")]), b"abcd", b"ab\xff\xfe", 2);
    assert!(matches!(check(&bytes), Err(ArchiveError::Name(_))));
    let long = "x".repeat(60_000);
    assert!(matches!(check(&zip(&[(long.as_str(), 0o644, b"x")])), Err(ArchiveError::Name(_))));
}

#[test]
fn links_may_stay_within_only() {
    let link = |to: &str| {
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.add_symlink("a/link", to, SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    check(&link("../b")).unwrap();
    for to in ["../../b", "/etc/passwd", "x/../../../b"] {
        assert!(matches!(check(&link(to)), Err(ArchiveError::Link(_))), "{to}");
    }
}

#[test]
fn devices_and_fifos_are_refused() {
    for kind in [0o010_000_u32, 0o020_000, 0o060_000, 0o140_000] {
        // The mode of a regular file (0o100644) as the central directory has it: the upper half of a word.
        let wanted = ((kind | 0o644) << 16).to_le_bytes();
        let regular = (0o100_644_u32 << 16).to_le_bytes();
        let bytes = replaced(zip(&[("abcd", 0o644, b"x")]), &regular, &wanted, 1);
        assert!(matches!(check(&bytes), Err(ArchiveError::Kind(_))), "{kind:o}: {:?}", check(&bytes));
    }
}

#[test]
fn two_descriptions_of_one_entry_are_refused() {
    let bytes = replaced(zip(&[("abcd", 0o644, b"x")]), b"abcd", b"evil", 1);
    assert!(matches!(check(&bytes), Err(ArchiveError::TwoWays(_))));
}

#[test]
fn a_bomb_and_too_many_entries_are_refused() {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("zeros", SimpleFileOptions::default()).unwrap();
    let block = vec![0; 1 << 20];
    for _ in 0..251 {
        zip.write_all(&block).unwrap();
    }
    assert!(matches!(check(&zip.finish().unwrap().into_inner()), Err(ArchiveError::TooLarge)));
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for at in 0..50_001 {
        zip.start_file(
            format!("{at}"),
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored),
        )
        .unwrap();
    }
    assert!(matches!(check(&zip.finish().unwrap().into_inner()), Err(ArchiveError::TooManyEntries)));
}

#[test]
fn what_is_no_zip_or_cut_off_is_an_error_and_never_a_panic() {
    let whole = zip(&[("a", 0o644, b"hello"), ("b", 0o644, b"world")]);
    assert!(matches!(check(b"ustar: a tar with a hard link"), Err(ArchiveError::NotZip)));
    for end in 0..whole.len() {
        assert!(check(&whole[..end]).is_err(), "cut at {end}");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        let _ = check(&damaged);
    }
}
