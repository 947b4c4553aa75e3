//! Paths within a tree, and the names that no tree may hold.

use std::fmt;

use crate::names::string_newtype;
use crate::{Error, Result};

/// A path (bytes).
pub const PATH_MAX: usize = 4095;
/// One name in a path (bytes).
pub const PATH_PART_MAX: usize = 255;
/// Folders within folders.
pub const PATH_DEPTH_MAX: usize = 128;

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
            || path.0.chars().any(char::is_control)
            || has_encoded_separator(bytes)
            || path.0.split('/').any(|part| part.len() > PATH_PART_MAX || is_git_dir(part.as_bytes()));
        if refused { Err(invalid()) } else { Ok(path) }
    }

    /// A path that a pushed tree may hold already, however odd its names are.
    pub fn existing(raw: impl Into<String>) -> Result<Self> {
        let raw = raw.into();
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        let refused = raw.len() > PATH_MAX
            || raw.contains('\0')
            || raw.split('/').any(odd)
            || raw.split('/').count() > PATH_DEPTH_MAX;
        if refused { Err(invalid()) } else { Ok(Self(raw)) }
    }

    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
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
    fn odd_names_that_a_push_brought_can_be_read() {
        assert!(RepoPath::existing("a\tb\\c").is_ok());
        assert!(RepoPath::existing("../x").is_err());
    }
}
