//! Names and ids, parsed once at the edge.

use std::fmt;

use crate::{Error, Result};

/// A newtype over a checked string: `Display`, serde as a string, and a parse at the edge.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal, $rule:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn parse(raw: impl Into<String>) -> Result<Self> {
                let raw = raw.into();
                let fits: fn(&str) -> bool = $fits;
                if fits(&raw) { Ok(Self(raw)) } else { Err(Error::invalid($field, $rule)) }
            }

            pub fn as_str(&self) -> &str {
                &self.0
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

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Crockford base 32, 26 digits, as `Entropy::ulid` makes them.
pub(crate) fn is_ulid(raw: &str) -> bool {
    raw.len() == 26
        && raw
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z'))
}

fn is_label(raw: &str, max: usize) -> bool {
    raw.len() <= max
        && raw.starts_with(|c: char| c.is_ascii_lowercase())
        && !raw.ends_with('-')
        && !raw.contains("--")
        && raw.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

name!(
    /// A project's name in addresses. Without `--`, so that `{environment}--{slug}` reads one way only.
    Slug,
    "slug",
    "A slug has 2 to 40 of a-z, 0-9 and -, starts with a letter, and has no - at its end and no -- in it.",
    |raw| raw.len() >= 2 && is_label(raw, 40)
);
name!(
    /// An environment's name: a section of `samconfig.toml`, and the first part of a site's host.
    EnvironmentName,
    "environment",
    "An environment's name has 1 to 20 of a-z, 0-9 and -, starts with a letter, and has no - at its end and no -- in it.",
    |raw| is_label(raw, 20)
);
name!(
    /// A deploy target's name; `default` is the platform's own account.
    TargetName,
    "name",
    "A target's name has 1 to 40 of a-z, 0-9 and -, starts with a letter, has no - at its end and no -- in it, and is not `default`.",
    |raw| is_label(raw, 40) && raw != "default"
);
name!(
    /// A job's id (ULID): jobs sort by creation.
    JobId,
    "job",
    "A job's id has 26 characters of 0-9 and A-Z.",
    is_ulid
);
name!(
    /// A release's id (ULID).
    ReleaseId,
    "release",
    "A release's id has 26 characters of 0-9 and A-Z.",
    is_ulid
);
name!(
    /// The id of an upload, and of the stored file that it becomes (ULID).
    FileId,
    "file",
    "A file's id has 26 characters of 0-9 and A-Z.",
    is_ulid
);
name!(
    /// The id of a lock of Git LFS (ULID).
    LockId,
    "lock",
    "A lock's id has 26 characters of 0-9 and A-Z.",
    is_ulid
);
name!(
    /// One execution of a job: only who holds it may report and finish.
    LeaseId,
    "lease",
    "A lease's id has 26 characters of 0-9 and A-Z.",
    is_ulid
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_and_environments_join_one_way_only() {
        for bad in ["", "a", "-ab", "ab-", "a--b", "Ab", "a_b", "1ab", "a.b", "ä1", &"a".repeat(41)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
        for good in ["ab", "a-b", "a1", &"a".repeat(40)] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "dev-", "a--b", "DEV", &"a".repeat(21)] {
            assert!(EnvironmentName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_are_ulids() {
        assert!(JobId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").is_ok());
        for bad in [
            "",
            "01ARZ3NDEKTSV4RRFFQ69G5FA",
            "01arz3ndektsv4rrffq69g5fav",
            "01ARZ3NDEKTSV4RRFFQ69G5FA#",
            "01ARZ3NDEKTSV4RRFFQ69G5FAI",
        ] {
            assert!(JobId::parse(bad).is_err(), "{bad}");
        }
    }
}
