//! Object ids.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A SHA-1 object id; `Display` and serde write 40 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid([u8; 20]);

impl Oid {
    /// All zeros: "no object" in the protocol.
    pub const ZERO: Self = Self([0; 20]);

    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The first 20 bytes of a slice; `None` when it is shorter.
    pub(crate) fn from_prefix(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk::<20>().map(|raw| Self(*raw))
    }

    pub fn parse(raw: &str) -> Result<Self> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(raw, &mut bytes).map_err(|_| Error::Invalid("an object id is 40 hex digits".into()))?;
        Ok(Self(bytes))
    }

    pub(crate) fn parse_bytes(raw: &[u8]) -> Option<Self> {
        let mut bytes = [0; 20];
        hex::decode_to_slice(raw, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// `None` for the zero id.
    pub fn non_zero(self) -> Option<Self> {
        (!self.is_zero()).then_some(self)
    }
}

impl From<git2::Oid> for Oid {
    fn from(oid: git2::Oid) -> Self {
        Self::from_prefix(oid.as_bytes()).unwrap_or(Self::ZERO)
    }
}

impl From<Oid> for git2::Oid {
    fn from(oid: Oid) -> Self {
        Self::from_bytes(&oid.0).expect("twenty bytes are an id")
    }
}

impl FromStr for Oid {
    type Err = Error;
    fn from_str(raw: &str) -> Result<Self> {
        Self::parse(raw)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl serde::Serialize for Oid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Oid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
