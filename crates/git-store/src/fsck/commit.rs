//! Commits and tags.

use super::{Checker, Fault};
use crate::Oid;
use crate::pack::Kind;

/// Seconds: later dates do not fit the formats that git writes them to.
const DATE_MAX: u64 = i64::MAX as u64;

/// The headers end in an empty line, or at the end of the object, and have no NUL.
fn headers(bytes: &[u8]) -> Result<&[u8], Fault> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 1);
    let head = &bytes[..end.unwrap_or(bytes.len())];
    if head.contains(&0) {
        Err(Fault("nulInHeader", "unterminated header: NUL in it"))
    } else if head.ends_with(b"\n") {
        Ok(head)
    } else {
        Err(Fault("unterminatedHeader", "unterminated header"))
    }
}

/// Takes the value of a header line off `head`, when the line is of this name.
fn take<'a>(head: &mut &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = head.strip_prefix(name.as_bytes())?.strip_prefix(b" ")?;
    let end = rest.iter().position(|b| *b == b'\n')?;
    *head = &rest[end + 1..];
    Some(&rest[..end])
}

pub(super) fn check_commit(bytes: &[u8], checker: &Checker) -> Result<(), Fault> {
    let mut head = headers(bytes)?;
    let tree = take(&mut head, "tree").ok_or(Fault("missingTree", "invalid format - expected 'tree' line"))?;
    let tree = Oid::parse_bytes(tree).ok_or(Fault("badTreeSha1", "invalid 'tree' line format - bad id"))?;
    checker.link(tree, Kind::Tree)?;
    while let Some(parent) = take(&mut head, "parent") {
        let parent = Oid::parse_bytes(parent).ok_or(Fault("badParentSha1", "invalid 'parent' line format - bad id"))?;
        checker.link(parent, Kind::Commit)?;
    }
    let author = take(&mut head, "author").ok_or(Fault("missingAuthor", "invalid format - expected 'author' line"))?;
    check_person(author)?;
    if take(&mut head, "author").is_some() {
        return Err(Fault("multipleAuthors", "invalid format - multiple 'author' lines"));
    }
    let committer =
        take(&mut head, "committer").ok_or(Fault("missingCommitter", "invalid format - expected 'committer' line"))?;
    check_person(committer)?;
    if bytes.contains(&0) {
        return Err(Fault("nulInCommit", "NUL byte in the commit object body"));
    }
    Ok(())
}

pub(super) fn check_tag(bytes: &[u8], checker: &Checker) -> Result<(), Fault> {
    let mut head = headers(bytes)?;
    let oid = take(&mut head, "object").ok_or(Fault("missingObject", "invalid format - expected 'object' line"))?;
    let oid = Oid::parse_bytes(oid).ok_or(Fault("badObjectSha1", "invalid 'object' line format - bad id"))?;
    let kind = take(&mut head, "type").ok_or(Fault("missingTypeEntry", "invalid format - expected 'type' line"))?;
    let kind = Kind::parse(kind).ok_or(Fault("badType", "invalid 'type' value"))?;
    take(&mut head, "tag").ok_or(Fault("missingTagEntry", "invalid format - expected 'tag' line"))?;
    if let Some(tagger) = take(&mut head, "tagger") {
        check_person(tagger)?;
    }
    checker.link(oid, kind)
}

/// `Name <email> seconds ±hhmm`.
fn check_person(line: &[u8]) -> Result<(), Fault> {
    let angle = |from: &[u8]| from.iter().position(|b| matches!(b, b'<' | b'>'));
    if line.first() == Some(&b'<') {
        return Err(Fault("missingNameBeforeEmail", "invalid author/committer line - missing space before email"));
    }
    let open = angle(line).ok_or(Fault("missingEmail", "invalid author/committer line - missing email"))?;
    if line[open] == b'>' {
        return Err(Fault("badName", "invalid author/committer line - bad name"));
    }
    if open == 0 || line[open - 1] != b' ' {
        return Err(Fault("missingSpaceBeforeEmail", "invalid author/committer line - missing space before email"));
    }
    let email = &line[open + 1..];
    let close = angle(email).filter(|at| email[*at] == b'>');
    let close = close.ok_or(Fault("badEmail", "invalid author/committer line - bad email"))?;
    let date = email[close + 1..]
        .strip_prefix(b" ")
        .ok_or(Fault("missingSpaceBeforeDate", "invalid author/committer line - missing space before date"))?;
    check_date(date)
}

fn check_date(date: &[u8]) -> Result<(), Fault> {
    let bad = Fault("badDate", "invalid author/committer line - bad date");
    let blank = date.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let date = &date[blank..];
    let end = date.iter().position(|b| !b.is_ascii_digit()).unwrap_or(date.len());
    let (digits, rest) = date.split_at(end);
    if digits.is_empty() {
        return Err(bad);
    }
    if digits[0] == b'0' && date.get(1) != Some(&b' ') {
        return Err(Fault("zeroPaddedDate", "invalid author/committer line - zero-padded date"));
    }
    let seconds = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    if seconds.is_none_or(|seconds| seconds > DATE_MAX) {
        return Err(Fault("badDateOverflow", "invalid author/committer line - date causes integer overflow"));
    }
    let zone = rest.strip_prefix(b" ").ok_or(bad)?;
    match zone {
        [b'+' | b'-', digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) => Ok(()),
        _ => Err(Fault("badTimezone", "invalid author/committer line - bad time zone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "tree aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";

    fn fault(rest: &str) -> Option<&'static str> {
        check_commit(format!("{TREE}{rest}").as_bytes(), &Checker::default()).err().map(|fault| fault.0)
    }

    #[test]
    fn commits_are_held_to_gits_rules() {
        let who = |date: &str| format!("author A <a@x> {date}\ncommitter A <a@x> 1 +0000\n\nm");
        assert_eq!(fault(&who("1 +0000")), None);
        assert_eq!(fault(&who("18446744073709551616 +0000")), Some("badDateOverflow"));
        assert_eq!(fault(&who("01 +0000")), Some("zeroPaddedDate"));
        assert_eq!(fault(&who("x +0000")), Some("badDate"));
        assert_eq!(fault(&who("1 0000")), Some("badTimezone"));
        assert_eq!(fault("committer A <a@x> 1 +0000\n\nm"), Some("missingAuthor"));
        assert_eq!(fault("author A <a@x> 1 +0000\n\nm"), Some("missingCommitter"));
        assert_eq!(fault("author A a@x 1 +0000\ncommitter A <a@x> 1 +0000\n\nm"), Some("missingEmail"));
        assert_eq!(fault("author A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nm\0x"), Some("nulInCommit"));
        assert_eq!(fault("author A\0 <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nm"), Some("nulInHeader"));
        assert_eq!(fault("author A <a@x> 1 +0000"), Some("unterminatedHeader"));
    }
}
