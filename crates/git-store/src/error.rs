//! What can go wrong in a repository.

use crate::{Oid, RefName};

/// Why a repository did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository, revision, path or object does not exist, or may not be seen.
    #[error("{0} does not exist")]
    NotFound(String),
    /// A repository with this id, or a ref with this name, is there already.
    #[error("{0} exists already")]
    Exists(String),
    /// A name, path, message or request that is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// The ref does not point where the caller said it does.
    #[error("`{name}` has moved")]
    Moved { name: RefName, current: Option<Oid> },
    /// The policy, or a rule that holds everywhere, refuses the change; the text is for the person who asked.
    #[error("`{name}`: {reason}")]
    Refused { name: RefName, reason: String },
    /// The change does not fit the tree it is applied to.
    #[error("{0}")]
    Conflict(String),
    /// A pushed object or pack is malformed or hostile; the text names the object and the rule (git-fsck, "fsck messages").
    #[error("{0}")]
    Unpack(String),
    /// A pushed object names one that is neither in the push nor in the repository.
    #[error("{0}")]
    Disconnected(String),
    /// A limit was passed.
    #[error("{0}")]
    TooLarge(String),
    /// The client does not speak the protocol.
    #[error("{0}")]
    Protocol(String),
    /// Whoever asked has gone, and nothing was changed.
    #[error("the client has gone")]
    Abandoned,
    /// What is stored cannot be read as what it should be.
    #[error("{0} is damaged")]
    Corrupt(String),
    /// The file system of the cache.
    #[error("{context}")]
    Io {
        context: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
    #[error("reading objects")]
    Objects(#[from] git2::Error),
}

impl Error {
    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// Whether the text of this error is about what the caller sent, and may be shown to them.
    pub fn is_callers(&self) -> bool {
        !matches!(self, Self::Abandoned | Self::Corrupt(_) | Self::Io { .. } | Self::Cloud(_) | Self::Objects(_))
    }
}

/// What the store answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;
