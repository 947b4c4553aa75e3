//! Paths within a tree, and the names that no tree may hold.
//!
//! Git's names are bytes, a path here is text. A byte that is no part of UTF-8 is written as the code point
//! `U+10FE00` + byte (of the last private plane), and so are the bytes of a name that really holds such a code point:
//! every path has exactly one text, and every text exactly one path.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use crate::names::string_newtype;
use crate::{Error, Result};

/// A path (bytes).
pub const PATH_MAX: usize = 4095;
/// One name in a path (bytes).
pub const PATH_PART_MAX: usize = 255;
/// Folders within folders.
pub const PATH_DEPTH_MAX: usize = 128;

/// What a byte of 0x80 or more is added to when it is written as a code point.
const RAW_BASE: u32 = 0x10_FE00;
const RAW: RangeInclusive<char> = '\u{10fe80}'..='\u{10feff}';

/// A name or path as text.
pub fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let raw = |byte: &u8| char::from_u32(RAW_BASE + u32::from(*byte)).unwrap_or(char::REPLACEMENT_CHARACTER);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if RAW.contains(&c) {
                text.extend(c.encode_utf8(&mut [0; 4]).as_bytes().iter().map(raw));
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().iter().map(raw));
    }
    text
}

/// The name or path that a text stands for.
pub fn bytes_of(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(|c| RAW.contains(&c)) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        if RAW.contains(&c) {
            bytes.push((u32::from(c) - RAW_BASE) as u8);
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Cow::Owned(bytes)
}

/// A path in a tree, `/` between names, never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(String);

string_newtype!(RepoPath);

impl RepoPath {
    /// A path that may be written: every system can check it out, and none can be fooled by it.
    pub fn parse(raw: impl Into<String>) -> Result<Self> {
        let path = Self::existing(raw)?;
        let bytes = path.0.as_bytes();
        let drive = bytes.len() > 1 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
        let refused = drive
            || path.0.contains('\\')
            || path.0.chars().any(|c| c.is_control() || RAW.contains(&c))
            || has_encoded_separator(bytes)
            || path.0.split('/').any(|part| part.len() > PATH_PART_MAX || is_git_dir(part.as_bytes()));
        if refused { Err(invalid()) } else { Ok(path) }
    }

    /// A path that a pushed tree may hold already, however odd its names are.
    pub fn existing(raw: impl Into<String>) -> Result<Self> {
        let mut raw = raw.into();
        let bytes = bytes_of(&raw);
        let length = bytes.len();
        if let Cow::Owned(bytes) = bytes {
            raw = text_of(&bytes);
        }
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        let refused = length > PATH_MAX
            || raw.contains('\0')
            || raw.split('/').any(odd)
            || raw.split('/').count() > PATH_DEPTH_MAX;
        if refused { Err(invalid()) } else { Ok(Self(raw)) }
    }

    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The names as git stores them.
    pub(crate) fn names(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        self.parts().map(bytes_of)
    }

    /// The path as git stores it.
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        bytes_of(&self.0)
    }

    /// The path that git stores as `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self> {
        Self::existing(text_of(bytes))
    }
}

fn invalid() -> Error {
    Error::Invalid("not a path that a repository can hold".into())
}

/// `.`, `/`, `\` or NUL written as `%2e`, `%2f`, `%5c`, `%00`.
fn has_encoded_separator(path: &[u8]) -> bool {
    let encoded = |w: &[u8]| matches!(w.to_ascii_lowercase().as_slice(), b"%2e" | b"%2f" | b"%5c" | b"%00");
    path.windows(3).any(encoded)
}

/// Whether a file system may take `name` for `.git` (git-fsck, hasDotgit).
pub(crate) fn is_git_dir(name: &[u8]) -> bool {
    is_hfs_dot(name, "git") || is_ntfs_dot_git(name)
}

/// Whether HFS+ may take `name` for `.{wanted}`: it folds case and drops code points that cannot be seen.
pub(crate) fn is_hfs_dot(name: &[u8], wanted: &str) -> bool {
    let Ok(text) = std::str::from_utf8(name) else { return false };
    let mut seen = text.chars().filter(|c| !is_ignored_by_hfs(*c)).map(|c| c.to_ascii_lowercase());
    let mut want = std::iter::once('.').chain(wanted.chars());
    want.all(|w| seen.next() == Some(w)) && seen.next().is_none()
}

const fn is_ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Whether NTFS may take `name`, or a part of it before `\`, for `.git` or its short name `git~1`.
fn is_ntfs_dot_git(name: &[u8]) -> bool {
    name.split(|b| *b == b'\\').any(|part| {
        let part = trim_ntfs(part);
        part.eq_ignore_ascii_case(b".git") || part.eq_ignore_ascii_case(b"git~1")
    })
}

/// A name as NTFS reads it: without a stream (`:…`) and without trailing spaces and dots.
pub(crate) fn trim_ntfs(name: &[u8]) -> &[u8] {
    let name = name.split(|b| *b == b':').next().unwrap_or_default();
    let end = name.iter().rposition(|b| !matches!(b, b' ' | b'.')).map_or(0, |at| at + 1);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_fool_a_system_are_refused() {
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            ".",
            "a/./b",
            "%2e%2e%2fx",
            "C:\\x",
            "C:x",
            "\\\\h\\s",
            "a\0.txt",
            ".git/config",
            ".GIT/config",
            ".git /config",
            ".git::$INDEX_ALLOCATION/config",
            ".g\u{200c}it/config",
            "a\u{1b}[2Jb",
            "a\nb",
            "a//b",
            "git~1/x",
            "a/",
            &"a".repeat(256),
            &"a/".repeat(200),
        ] {
            assert!(RepoPath::parse(bad).is_err(), "{bad:?} must be refused");
        }
        for good in ["a", "a/b.txt", ".gitignore", ".github/x", "å/中.md", "100%.txt", "ab:c", "git", &"a".repeat(255)]
        {
            assert!(RepoPath::parse(good).is_ok(), "{good:?} must be allowed");
        }
    }

    #[test]
    fn every_name_has_one_text_and_every_text_one_name() {
        let names: [&[u8]; 6] = [
            b"plain",
            "\u{e5}/\u{4e2d}.md".as_bytes(),
            b"a\xff\xc3b",
            b"\xed\xa0\x80",
            "\u{10feff}".as_bytes(),
            b"\x80",
        ];
        for name in names {
            let text = text_of(name);
            assert_eq!(bytes_of(&text), name, "{text:?}");
            assert_eq!(RepoPath::of_bytes(name).unwrap().to_bytes(), name);
            assert!(!text.contains(char::REPLACEMENT_CHARACTER));
        }
        assert_eq!(text_of("100%\u{e5}".as_bytes()), "100%\u{e5}", "what is UTF-8 is shown as it is");
        // Two texts for one name would be two paths for one file.
        let twice = RepoPath::existing("\u{10fec3}\u{10fea5}").unwrap();
        assert_eq!(twice, RepoPath::existing("\u{e5}").unwrap());
        assert!(RepoPath::parse(text_of(b"a\xff")).is_err(), "no new file gets a name that is no text");
        assert!(RepoPath::parse(text_of(b"a\xff/b")).is_err());
    }

    #[test]
    fn odd_names_that_a_push_brought_can_be_read() {
        assert!(RepoPath::existing("a\tb\\c").is_ok());
        assert!(RepoPath::existing("../x").is_err());
    }
}
