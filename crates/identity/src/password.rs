//! Passwords: what is acceptable, and argon2id.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use cloud::{Entropy, Secret};
use tokio::sync::Semaphore;

use crate::{Error, Result};

/// Fewest characters of a password (NIST SP 800-63B asks for 8 at least; there is no second factor here).
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Most characters of a password.
pub const PASSWORD_CHARS_MAX: usize = 128;

/// Memory of one hash (KiB), passes and lanes (OWASP Password Storage Cheat Sheet, argon2id).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at a time: bounds memory to four times `MEMORY_KIB`.
const HASHES_AT_ONCE: usize = 4;

/// A password that fits the rules; never printed.
#[derive(Clone, Debug)]
pub struct Password(Secret);

impl Password {
    /// 12 to 128 characters, any but control characters; nothing is cut off or folded.
    pub fn parse(raw: &str) -> Result<Self> {
        let length = raw.chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&length) || raw.chars().any(char::is_control) {
            let message = format!("has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters");
            return Err(Error::invalid("password", message));
        }
        Ok(Self(Secret::new(raw)))
    }

    /// A new one of 130 random bits, easy to type: five groups of `a-z2-7`.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let letters = entropy.bytes::<26>().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        let groups: Vec<String> = letters.chunks(6).map(|group| group.iter().collect()).collect();
        Self(Secret::new(groups.join("-")))
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Hashes and verifies off the async threads, a few at a time.
pub(crate) struct Hasher {
    entropy: Arc<dyn Entropy>,
    permits: Semaphore,
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl Hasher {
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, permits: Semaphore::new(HASHES_AT_ONCE) }
    }

    /// The PHC string of `password` with a new salt.
    pub async fn hash(&self, password: &Password) -> Result<String> {
        let salt = SaltString::encode_b64(&self.entropy.bytes::<16>()).map_err(broken)?;
        let password = password.clone();
        self.run(move || {
            let hash = argon2().hash_password(password.expose().as_bytes(), &salt).map_err(broken)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether `password` is the one that `hash` was made of. With no hash it does the same work and says no, so that
    /// an unknown name takes the same time as a wrong password.
    pub async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
        let password = Secret::new(password);
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(nobody);
            let parsed = PasswordHash::new(&hash).map_err(broken)?;
            Ok(argon2().verify_password(password.expose().as_bytes(), &parsed).is_ok() && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let _permit =
            self.permits.acquire().await.map_err(|_| Error::Corrupt("password hashing has stopped".into()))?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Error::Corrupt(format!("password hashing failed: {error}")))?
    }
}

/// A well-formed hash with the same parameters that no password has.
fn nobody() -> String {
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}", "A".repeat(22), "A".repeat(43))
}

fn broken(error: argon2::password_hash::Error) -> Error {
    Error::Corrupt(format!("hashing a password: {error}"))
}

#[cfg(test)]
mod tests {
    use cloud::SystemEntropy;

    use super::*;

    #[tokio::test]
    async fn only_the_password_that_was_hashed_verifies() {
        let hasher = Hasher::new(Arc::new(SystemEntropy));
        let hash = hasher.hash(&Password::parse("correct horse battery").unwrap()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(hasher.verify("correct horse battery", Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify("correct horse batterz", Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn the_hash_for_an_unknown_name_costs_the_same() {
        let nobody = nobody();
        let parsed = PasswordHash::new(&nobody).unwrap();
        let params = Params::try_from(&parsed).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert_eq!(parsed.hash.unwrap().len(), Params::DEFAULT_OUTPUT_LEN);
        assert!(!Hasher::new(Arc::new(SystemEntropy)).verify("anything", None).await.unwrap());
    }

    #[test]
    fn a_generated_password_is_acceptable() {
        let (a, b) = (Password::generate(&SystemEntropy), Password::generate(&SystemEntropy));
        assert!(Password::parse(a.expose()).is_ok());
        assert_ne!(a.expose(), b.expose());
    }

    #[test]
    fn short_long_and_control_characters_are_refused() {
        for bad in ["", "elevenchars", "with a\nnewline!", &"a".repeat(129)] {
            assert!(Password::parse(bad).is_err(), "{bad}");
        }
    }
}
