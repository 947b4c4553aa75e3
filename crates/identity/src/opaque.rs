//! Random bearer secrets: their spelling, and the digest that is stored of them.

use cloud::{Entropy, Secret};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;

/// The SHA-256 digest of a secret, in hex. A fast hash is right here: the secret has 256 random bits.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct SecretDigest(String);

impl SecretDigest {
    pub fn of(secret: &str) -> Self {
        Self(hex::encode(Sha256::digest(secret.as_bytes())))
    }

    /// Whether `secret` has this digest, in constant time.
    pub fn matches(&self, secret: &str) -> bool {
        self.0.as_bytes().ct_eq(Self::of(secret).0.as_bytes()).into()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// 64 hex digits.
pub(crate) fn random_hex(entropy: &dyn Entropy) -> String {
    hex::encode(entropy.bytes::<SECRET_BYTES>())
}

/// Joins the parts of a secret: `{prefix}_{part}_{part}`.
pub(crate) fn join(prefix: &str, parts: &[&str]) -> Secret {
    Secret::new(format!("{prefix}_{}", parts.join("_")))
}

/// Takes `{prefix}_{id}_{secret}` apart; each secret must be 64 hex digits. `None` when it is anything else.
pub(crate) fn split<'a, const N: usize>(raw: &'a str, prefix: &str) -> Option<(&'a str, [&'a str; N])> {
    let rest = raw.strip_prefix(prefix)?.strip_prefix('_')?;
    let (id, rest) = rest.split_once('_')?;
    let mut secrets = [""; N];
    let mut parts = rest.split('_');
    for secret in &mut secrets {
        *secret = parts.next().filter(|part| is_secret(part))?;
    }
    parts.next().is_none().then_some((id, secrets))
}

fn is_secret(part: &str) -> bool {
    part.len() == SECRET_BYTES * 2 && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}
