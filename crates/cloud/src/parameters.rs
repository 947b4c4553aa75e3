//! Settings and secrets by path: SSM Parameter Store, or sealed records.

use std::fmt;

use crate::{Error, Millis, Result, Secret};

/// `/a/b/c`: each part 1 to 128 of `A-Z a-z 0-9 . - _`, at most 15 parts and 1,011 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParameterName(String);

impl ParameterName {
    pub fn parse(raw: impl Into<String>) -> Result<Self> {
        let raw = raw.into();
        let fits = |part: &str| {
            (1..=128).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        let parts: Vec<&str> = raw.strip_prefix('/').unwrap_or_default().split('/').collect();
        if raw.len() > 1011 || parts.len() > 15 || !parts.iter().all(|part| fits(part)) {
            return Err(Error::Invalid(
                "a parameter name is /-separated parts of letters, digits, `.`, `-` and `_`, starting with /".into(),
            ));
        }
        Ok(Self(raw))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ParameterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A named setting or secret, as it is now.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: ParameterName,
    pub value: Secret,
    /// Sealed at rest (SecureString).
    pub sealed: bool,
    /// Counts up from 1 with every put.
    pub version: u64,
    pub modified: Millis,
}

/// Named settings and secrets, each with a version.
#[async_trait::async_trait]
pub trait Parameters: Send + Sync {
    async fn get(&self, name: &ParameterName) -> Result<Option<Parameter>>;
    /// At most 4 KiB; the answer is the new version.
    async fn put(&self, name: &ParameterName, value: Secret, sealed: bool) -> Result<u64>;
    async fn delete(&self, name: &ParameterName) -> Result<()>;
    /// Parameters whose name starts with `prefix`, by name, after `after`.
    async fn list(&self, prefix: &str, after: Option<&ParameterName>, limit: usize) -> Result<Vec<Parameter>>;
}
