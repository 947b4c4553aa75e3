//! What an object's owner says of it.

use std::collections::BTreeMap;

use cloud::{Error, Result};

/// Names and values together (bytes; Amazon S3, "User-defined object metadata").
const BYTES_MAX: usize = 2 * 1024;

/// `x-amz-meta-*`, the names in lower case and without that prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserMetadata(BTreeMap<String, String>);

impl UserMetadata {
    /// `Error::Invalid` over 2 KB.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let pairs: BTreeMap<_, _> = pairs.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        if pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > BYTES_MAX {
            return Err(Error::Invalid(format!("user metadata has {BYTES_MAX} bytes at most")));
        }
        Ok(Self(pairs))
    }

    pub fn into_pairs(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a row keeps it.
    pub(super) fn to_text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| serde_json::json!(self.0).to_string())
    }

    pub(super) fn from_text(text: Option<String>) -> Self {
        Self(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }
}
