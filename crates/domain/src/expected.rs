//! Which version of a thing a change is meant for (RFC 9110, section 13.1).

use crate::{Error, Result};

/// The condition that came with a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// None was sent.
    #[default]
    Unsaid,
    /// `If-None-Match: *`: there must be nothing yet.
    Absent,
    /// `If-Match: *`: there must be something.
    Present,
    /// `If-Match: "…"`.
    Tag(String),
}

impl Expected {
    /// For a thing that exists with this etag.
    pub(crate) fn check(&self, etag: &str, what: &'static str) -> Result<()> {
        match self {
            Self::Unsaid => Err(Error::PreconditionRequired("Send If-Match with the ETag that you last read.")),
            Self::Present => Ok(()),
            Self::Tag(tag) if tag == etag => Ok(()),
            Self::Absent | Self::Tag(_) => Err(Error::PreconditionFailed(capitalised(what))),
        }
    }

    /// For a thing that does not exist.
    pub(crate) fn check_absent(&self, what: &'static str) -> Result<()> {
        match self {
            Self::Unsaid => {
                Err(Error::PreconditionRequired("Send If-None-Match: * to make it, or If-Match to change it."))
            }
            Self::Absent => Ok(()),
            Self::Present | Self::Tag(_) => Err(Error::PreconditionFailed(capitalised(what))),
        }
    }
}

fn capitalised(what: &'static str) -> &'static str {
    match what {
        "project" => "The project",
        "draft" => "The draft",
        "environment" => "The environment",
        "account" => "The account",
        "target" => "The target",
        "settings" => "The settings",
        "quota" => "The quota",
        _ => "It",
    }
}
