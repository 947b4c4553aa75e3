//! The one error that every port answers with.

/// What went wrong in a port, coarse enough that every adapter can say it truly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thing asked for does not exist.
    #[error("`{0}` does not exist")]
    NotFound(String),
    /// A condition did not hold; nothing was written. `index` is the write that lost, when known.
    #[error("the condition on `{key}` does not hold")]
    ConditionFailed { key: String, index: Option<usize> },
    /// The caller asked for something that the port refuses for every adapter (a limit, a bad name).
    #[error("{0}")]
    Invalid(String),
    /// A size limit was passed.
    #[error("{what} is {actual} bytes, the limit is {limit} bytes")]
    TooLarge { what: String, actual: u64, limit: u64 },
    /// The cursor, receipt or lease is no longer good.
    #[error("{0} is no longer valid")]
    Stale(&'static str),
    /// Stored content does not match its digest.
    #[error("`{0}` is damaged: its digest does not match")]
    Corrupt(String),
    /// The service asks to slow down or is briefly away: the same call may be made again.
    #[error("{0} is unavailable")]
    Unavailable(String),
    /// It is not known whether the call took effect. Read back before trying again.
    #[error("the outcome of {0} is unknown")]
    Unclear(String),
    /// Anything else: a broken disk, a refused credential.
    #[error("{context}")]
    Other {
        context: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Wraps a cause with what was being done to what.
    pub fn other(context: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other { context: context.into(), source: source.into() }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    pub fn is_condition_failed(&self) -> bool {
        matches!(self, Self::ConditionFailed { .. })
    }
}

/// What every port answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;
