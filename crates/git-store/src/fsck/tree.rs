//! Trees.

use std::cmp::Ordering;

use super::{Checker, Fault};
use crate::Oid;
use crate::pack::Kind;
use crate::path::{is_git_dir, is_hfs_dot, trim_ntfs};

/// The longest name in a tree (bytes).
const NAME_MAX: usize = 4095;

pub(crate) const TYPE_MASK: u32 = 0o170_000;
pub(crate) const FOLDER: u32 = 0o040_000;
pub(crate) const SYMLINK: u32 = 0o120_000;
pub(crate) const SUBMODULE: u32 = 0o160_000;
pub(crate) const PLAIN: u32 = 0o100_000;

const DUPLICATE: Fault = Fault("duplicateEntries", "contains duplicate file entries");

/// One entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeItem<'a> {
    pub mode: u32,
    pub name: &'a [u8],
    pub oid: Oid,
    /// The mode as written starts with a zero.
    padded: bool,
}

impl TreeItem<'_> {
    pub(crate) fn is_folder(&self) -> bool {
        self.mode & TYPE_MASK == FOLDER
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.mode & TYPE_MASK == SYMLINK
    }

    pub(crate) fn is_submodule(&self) -> bool {
        self.mode & TYPE_MASK == SUBMODULE
    }
}

/// The entries of a tree; an `Err` ends them.
pub(crate) fn items(mut raw: &[u8]) -> impl Iterator<Item = Result<TreeItem<'_>, Fault>> {
    std::iter::from_fn(move || {
        if raw.is_empty() {
            return None;
        }
        let parsed = take(raw);
        raw = parsed.as_ref().map_or(&[][..], |(_, rest)| rest);
        Some(parsed.map(|(item, _)| item).ok_or(Fault("badTree", "cannot be parsed as a tree")))
    })
}

fn take(raw: &[u8]) -> Option<(TreeItem<'_>, &[u8])> {
    let space = raw.iter().take(8).position(|b| *b == b' ')?;
    let digits = &raw[..space];
    if digits.is_empty() || !digits.iter().all(|b| (b'0'..=b'7').contains(b)) {
        return None;
    }
    let mode = digits.iter().fold(0u32, |mode, digit| mode * 8 + u32::from(digit - b'0'));
    let rest = &raw[space + 1..];
    let end = rest.iter().position(|b| *b == 0)?;
    let oid = Oid::from_prefix(&rest[end + 1..])?;
    let item = TreeItem { mode, name: &rest[..end], oid, padded: digits[0] == b'0' };
    Some((item, &rest[end + 21..]))
}

/// Git's order: a folder sorts as if its name ended in `/`.
pub(crate) fn order(a: (&[u8], bool), b: (&[u8], bool)) -> Ordering {
    let key = |(name, folder): (&[u8], bool), at: usize| match name.get(at) {
        Some(byte) => Some(*byte),
        None if at == name.len() && folder => Some(b'/'),
        None => None,
    };
    let common = a.0.iter().zip(b.0).take_while(|(x, y)| x == y).count();
    match (key(a, common), key(b, common)) {
        (Some(x), Some(y)) => x.cmp(&y),
        (x, y) => x.is_some().cmp(&y.is_some()),
    }
}

pub(super) fn check(raw: &[u8], checker: &Checker) -> Result<(), Fault> {
    // Files whose name a folder may still have: between `a` and `a/` come names that begin with `a` alone.
    let mut before: Vec<&[u8]> = Vec::new();
    let mut last: Option<TreeItem<'_>> = None;
    for item in items(raw) {
        let item = item?;
        check_name(item.name)?;
        if item.padded {
            return Err(Fault("zeroPaddedFilemode", "contains zero-padded file modes"));
        }
        if item.oid.is_zero() {
            return Err(Fault("nullSha1", "contains entries pointing to a null id"));
        }
        while before.last().is_some_and(|name| !item.name.starts_with(name)) {
            before.pop();
        }
        let twice = before.last() == Some(&item.name) || last.is_some_and(|last| last.name == item.name);
        if last.is_some_and(|last| order((last.name, last.is_folder()), (item.name, item.is_folder())).is_ge()) {
            let twice = twice || items(raw).map_while(Result::ok).filter(|other| other.name == item.name).count() > 1;
            return Err(if twice { DUPLICATE } else { Fault("treeNotSorted", "not properly sorted") });
        }
        if twice {
            return Err(DUPLICATE);
        }
        if !item.is_folder() {
            before.push(item.name);
        }
        note(&item, checker)?;
        last = Some(item);
    }
    Ok(())
}

/// Whether no file system takes `name` for one that begins with a dot, or for a short name of such a one.
fn is_plain(name: &[u8]) -> bool {
    name.is_ascii() && name.first() != Some(&b'.') && !name.iter().any(|b| matches!(b, b'~' | b'\\'))
}

fn check_name(name: &[u8]) -> Result<(), Fault> {
    if name.is_empty() {
        Err(Fault("emptyName", "contains empty pathname"))
    } else if name.contains(&b'/') {
        Err(Fault("fullPathname", "contains full pathnames"))
    } else if name == b"." {
        Err(Fault("hasDot", "contains '.'"))
    } else if name == b".." {
        Err(Fault("hasDotdot", "contains '..'"))
    } else if !is_plain(name) && is_git_dir(name) {
        Err(Fault("hasDotgit", "contains '.git'"))
    } else if name.len() > NAME_MAX {
        Err(Fault("largePathname", "contains a very large pathname"))
    } else {
        Ok(())
    }
}

fn note(item: &TreeItem<'_>, checker: &Checker) -> Result<(), Fault> {
    let is_odd = !is_plain(item.name);
    let modules = is_odd && is_modules(item.name);
    let attributes = is_odd && is_dotfile(item.name, "gitattributes", b"gitatt~", b"gi7d29");
    match item.mode & TYPE_MASK {
        SYMLINK if modules => return Err(Fault("gitmodulesSymlink", ".gitmodules is a symbolic link")),
        FOLDER if modules => return Err(Fault("gitmodulesBlob", "non-blob found at .gitmodules")),
        SUBMODULE if modules => return Err(Fault("gitmodulesMissing", "unable to read .gitmodules blob")),
        FOLDER if attributes => return Err(Fault("gitattributesBlob", "non-blob found at .gitattributes")),
        SUBMODULE if attributes => return Err(Fault("gitattributesMissing", "unable to read .gitattributes blob")),
        SUBMODULE => return Ok(()),
        FOLDER => return checker.link(item.oid, Kind::Tree),
        SYMLINK | PLAIN => {}
        _ => return Err(Fault("badFilemode", "contains a file mode of no known type")),
    }
    if modules {
        super::locked(&checker.modules).insert(item.oid);
    }
    if attributes && item.mode & TYPE_MASK == PLAIN {
        super::locked(&checker.attributes).insert(item.oid);
    }
    checker.link(item.oid, Kind::Blob)
}

/// NTFS takes what follows a backslash for a name of its own.
fn is_modules(name: &[u8]) -> bool {
    let is = |name: &[u8]| is_dotfile(name, "gitmodules", b"gitmod~", b"gi7eba");
    is(name) || name.split(|b| *b == b'\\').skip(1).any(is)
}

/// Whether some file system may take `name` for `.{wanted}`: `short` and `hash` begin its NTFS short names.
fn is_dotfile(name: &[u8], wanted: &str, short: &[u8; 7], hash: &[u8; 6]) -> bool {
    if is_hfs_dot(name, wanted) {
        return true;
    }
    let name = trim_ntfs(name);
    if name.split_first().is_some_and(|(dot, rest)| *dot == b'.' && rest.eq_ignore_ascii_case(wanted.as_bytes())) {
        return true;
    }
    if name.len() != 8 {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let numbered = lower.starts_with(short) && (b'1'..=b'4').contains(&lower[7]);
    // Beyond four files of one stem: a hash of the long name, `~` and a number, eight characters in all.
    let hashed = lower.iter().position(|b| *b == b'~').is_some_and(|tilde| {
        let (stem, number) = (&lower[..tilde], &lower[tilde + 1..]);
        hash.starts_with(stem)
            && number.first().is_some_and(|b| (b'1'..=b'9').contains(b))
            && number.iter().all(u8::is_ascii_digit)
    });
    numbered || hashed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, &str)]) -> Vec<u8> {
        let one = |(mode, name): &(&str, &str)| [format!("{mode} {name}\0").as_bytes(), &[1; 20]].concat();
        entries.iter().flat_map(one).collect()
    }

    fn fault(entries: &[(&str, &str)]) -> Option<&'static str> {
        check(&tree(entries), &Checker::default()).err().map(|fault| fault.0)
    }

    #[test]
    fn trees_are_held_to_gits_rules() {
        assert_eq!(fault(&[("100644", "a"), ("40000", "a.b")]), Some("badType"), "one id for two types");
        assert_eq!(fault(&[("100644", "a-b"), ("100644", "a.c")]), None);
        for name in
            [".git", ".GIT", ".GiT", ".git::$INDEX_ALLOCATION", ".g\u{200d}it", "\u{feff}.git", "git~1", ".git. "]
        {
            assert_eq!(fault(&[("40000", name)]), Some("hasDotgit"), "{name}");
        }
        assert_eq!(fault(&[("100644", "..")]), Some("hasDotdot"));
        assert_eq!(fault(&[("100644", ".")]), Some("hasDot"));
        assert_eq!(fault(&[("100644", "/etc/x")]), Some("fullPathname"));
        assert_eq!(fault(&[("100644", "")]), Some("emptyName"));
        assert_eq!(fault(&[("100644", &"a".repeat(4096))]), Some("largePathname"));
        assert_eq!(fault(&[("100644", "b"), ("100644", "a")]), Some("treeNotSorted"));
        assert_eq!(fault(&[("100644", "a"), ("100644", "a")]), Some("duplicateEntries"));
        assert_eq!(fault(&[("100644", "a"), ("100644", "a-"), ("40000", "a")]), Some("duplicateEntries"));
        assert_eq!(fault(&[("0100644", "a")]), Some("zeroPaddedFilemode"));
        assert_eq!(fault(&[("120000", ".gitmodules")]), Some("gitmodulesSymlink"));
        assert_eq!(fault(&[("120000", "GITMOD~1")]), Some("gitmodulesSymlink"));
        assert_eq!(fault(&[("120000", "gi7eba~1")]), Some("gitmodulesSymlink"));
        assert_eq!(fault(&[("100644", "a\tb"), ("100644", "con"), ("100644", "x ")]), None);
        assert_eq!(fault(&[("777", "a")]), Some("badFilemode"));
    }

    #[test]
    fn folders_sort_as_if_they_ended_in_a_slash() {
        assert!(order((b"a", true), (b"a.b", false)).is_gt());
        assert!(order((b"a", true), (b"a0", false)).is_lt());
        assert!(order((b"a", false), (b"a.b", false)).is_lt());
        assert!(order((b"a", true), (b"a", false)).is_gt());
    }
}
