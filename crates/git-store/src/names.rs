//! Names of repositories, refs and revisions.

use std::fmt;

use crate::{Error, Oid, Result};

/// A ref name (bytes).
pub const REF_NAME_MAX: usize = 1024;
/// One part of a ref name (bytes): clients keep refs as files and add `.lock`.
pub const REF_PART_MAX: usize = 250;
/// Refs under these are neither shown, nor fetched, nor pushed.
pub const HIDDEN_REFS: [&str; 2] = ["refs/drafts/", "refs/internal/"];

macro_rules! string_newtype {
    ($name:ident) => {
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(raw: String) -> Result<Self> {
                Self::parse(raw)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}
pub(crate) use string_newtype;

/// Which repository: 1 to 64 of `a-z A-Z 0-9 - _`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryId(String);

string_newtype!(RepositoryId);

impl RepositoryId {
    pub fn parse(raw: impl Into<String>) -> Result<Self> {
        let raw = raw.into();
        let plain = raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if raw.is_empty() || raw.len() > 64 || !plain {
            return Err(Error::Invalid("a repository id has 1 to 64 of a-z, A-Z, 0-9, - and _".into()));
        }
        Ok(Self(raw))
    }
}

/// A full ref name, `refs/` and at least two parts more (git-check-ref-format).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefName(String);

string_newtype!(RefName);

impl RefName {
    pub fn parse(raw: impl Into<String>) -> Result<Self> {
        let raw = raw.into();
        let rest = raw.strip_prefix("refs/").filter(|rest| rest.contains('/'));
        match rest {
            Some(rest) if raw.len() <= REF_NAME_MAX && is_well_formed(rest) => Ok(Self(raw)),
            _ => Err(Error::Invalid("not a ref name that git allows".into())),
        }
    }

    pub fn is_hidden(&self) -> bool {
        HIDDEN_REFS.iter().any(|prefix| self.0.starts_with(prefix))
    }

    pub fn is_branch(&self) -> bool {
        self.0.starts_with("refs/heads/")
    }

    pub fn branch(&self) -> Option<BranchName> {
        self.0.strip_prefix("refs/heads/").map(|name| BranchName(name.to_owned()))
    }
}

/// A branch name without `refs/heads/` (git-check-ref-format --branch).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

string_newtype!(BranchName);

impl BranchName {
    pub fn parse(raw: impl Into<String>) -> Result<Self> {
        let raw = raw.into();
        let short = raw.len() + "refs/heads/".len() <= REF_NAME_MAX;
        if !short || !is_well_formed(&raw) || raw.starts_with('-') || raw == "HEAD" {
            return Err(Error::Invalid("not a branch name that git allows".into()));
        }
        Ok(Self(raw))
    }

    pub fn to_ref(&self) -> RefName {
        RefName(format!("refs/heads/{}", self.0))
    }
}

/// The rules of git-check-ref-format for the part after `refs/`.
fn is_well_formed(name: &str) -> bool {
    let bad_part =
        |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock") || part.len() > REF_PART_MAX;
    let bad_char = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !(name == "@"
        || name.ends_with('.')
        || name.contains("..")
        || name.contains("@{")
        || name.chars().any(bad_char)
        || name.split('/').any(bad_part))
}

/// What a person may name a commit by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// The repository's default branch.
    Head,
    /// A full ref name.
    Ref(RefName),
    /// A branch, or else a tag, of this short name.
    Short(String),
    /// A commit or an annotated tag.
    Oid(Oid),
}

impl Revision {
    /// Reads `HEAD`, `refs/…`, 40 hex digits, or a short branch or tag name.
    pub fn parse(raw: &str) -> Result<Self> {
        if raw == "HEAD" {
            return Ok(Self::Head);
        }
        if raw.starts_with("refs/") {
            return RefName::parse(raw).map(Self::Ref);
        }
        if raw.len() == 40
            && let Ok(oid) = Oid::parse(raw)
        {
            return Ok(Self::Oid(oid));
        }
        BranchName::parse(raw).map(|name| Self::Short(name.0))
    }
}

impl From<&BranchName> for Revision {
    fn from(branch: &BranchName) -> Self {
        Self::Ref(branch.to_ref())
    }
}

impl From<Oid> for Revision {
    fn from(oid: Oid) -> Self {
        Self::Oid(oid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ref_names_follow_check_ref_format() {
        let long = format!("refs/heads/{}", "a".repeat(8192));
        for bad in [
            "refs/heads/a..b",
            "HEAD",
            "heads/x",
            "refs/",
            "refs/heads/.a",
            "refs/heads/a.",
            "refs/heads/a/",
            "refs/heads/a:b",
            "refs/heads/*",
            "refs/heads/a\\b",
            "refs/heads/a@{1}",
            "refs/heads/\u{1b}[31m",
            "refs/heads",
            "refs/heads//a",
            "refs/heads/a.lock",
            "refs/heads/a.lock/b",
            "refs/heads/a b",
            &long,
        ] {
            assert!(RefName::parse(bad).is_err(), "{bad} must be refused");
        }
        for good in ["refs/heads/main", "refs/heads/a/b", "refs/tags/v1.0", "refs/heads/å中", "refs/heads/@"] {
            assert!(RefName::parse(good).is_ok(), "{good} must be allowed");
        }
        assert!(BranchName::parse("-x").is_err());
        assert!(RefName::parse("refs/drafts/x").unwrap().is_hidden());
    }

    #[test]
    fn revisions_are_told_apart() {
        assert_eq!(Revision::parse("HEAD").unwrap(), Revision::Head);
        assert_eq!(Revision::parse(&"a".repeat(40)).unwrap(), Revision::Oid(Oid::from_bytes([0xaa; 20])));
        assert_eq!(Revision::parse("main").unwrap(), Revision::Short("main".into()));
        assert!(Revision::parse("a..b").is_err());
    }
}
