//! Identifiers: ULIDs in their canonical upper-case form (<https://github.com/ulid/spec>).

use std::fmt;

use crate::{Error, Result};

/// Characters of a ULID.
const ULID_LENGTH: usize = 26;

/// Whether `raw` is a ULID, in the one spelling that is stored.
fn is_canonical(raw: &str) -> bool {
    raw.len() == ULID_LENGTH && ulid::Ulid::from_string(raw).is_ok_and(|id| id.to_string() == raw)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Reads a canonical ULID; `Error::Invalid` for anything else.
            pub fn parse(raw: impl Into<String>) -> Result<Self> {
                let raw = raw.into();
                if is_canonical(&raw) {
                    Ok(Self(raw))
                } else {
                    Err(Error::invalid($what, "is not an id"))
                }
            }

            /// A new id, unique and sortable by time.
            pub fn generate(clock: &dyn cloud::Clock, entropy: &dyn cloud::Entropy) -> Self {
                Self(entropy.ulid(clock.now()))
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

        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(raw: &str) -> Result<Self> {
                Self::parse(raw)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// One person.
    AccountId,
    "account"
);
id!(
    /// One project; never given to another project, also after a delete.
    ProjectId,
    "project"
);
id!(
    /// One personal access token.
    TokenId,
    "token"
);
id!(
    /// One sign-in and all tokens that came from it.
    SessionId,
    "session"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(AccountId::parse(id).unwrap().as_str(), id);
        for bad in [
            "",
            "x",
            "01arz3ndektsv4rrffq69g5fav",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FAI",
            "01ARZ3NDEKTSV4RRFFQ69G5FA/",
        ] {
            assert!(AccountId::parse(bad).is_err(), "{bad}");
        }
    }
}
