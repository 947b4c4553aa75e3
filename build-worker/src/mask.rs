//! Keeps secrets out of logs.
//!
//! A secret is masked as it is and in base64 (standard and URL alphabet, at any offset within what was encoded). One
//! that a build turns around, splits over lines or encrypts is not found: builds get no secret that could do harm.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter values are words, not secrets.
const SECRET_BYTES_MIN: usize = 6;
const MASKED: &str = "***";
/// Names of variables whose values are secrets.
const NAMES: [&str; 6] = ["TOKEN", "PASSWORD", "SECRET", "AUTH", "CREDENTIAL", "KEY"];

/// The texts that are masked, longest first.
#[derive(Debug, Default)]
pub struct Mask {
    patterns: Vec<String>,
}

impl Mask {
    /// Masks `secrets`, the values in `environment` whose name says so, and passwords in its URLs.
    pub fn new<'a>(secrets: impl Iterator<Item = &'a str>, environment: &'a BTreeMap<String, String>) -> Self {
        let named = environment.iter().filter(|(name, _)| {
            let name = name.to_ascii_uppercase();
            NAMES.iter().any(|part| name.contains(part))
        });
        let passwords = environment.values().filter_map(|value| {
            let (_, rest) = value.split_once("://")?;
            let (user, _) = rest.split_once('@')?;
            user.split_once(':').map(|(_, password)| password)
        });
        let all = secrets.chain(named.map(|(_, value)| value.as_str())).chain(passwords);
        let mut patterns: Vec<String> = all.filter(|one| one.len() >= SECRET_BYTES_MIN).flat_map(forms).collect();
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        patterns.dedup();
        Self { patterns }
    }

    pub fn apply(&self, line: &str) -> String {
        let mut masked = line.to_owned();
        for pattern in &self.patterns {
            if masked.contains(pattern.as_str()) {
                masked = masked.replace(pattern.as_str(), MASKED);
            }
        }
        masked
    }
}

/// A secret, and the characters of its base64 that do not depend on what stands around it.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for offset in 0..3 {
        let shifted = [vec![0; offset], secret.as_bytes().to_vec()].concat();
        let first = (offset * 8).div_ceil(6);
        let last = shifted.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            forms.extend(engine.encode(&shifted).get(first..last).map(str::to_owned));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        let environment = [
            ("NPM_TOKEN".to_owned(), "npm_abcdefgh".to_owned()),
            ("PIP_INDEX_URL".to_owned(), "https://me:p4ssw0rd@packages.example/simple".to_owned()),
            ("PLAIN".to_owned(), "nothing-secret".to_owned()),
        ];
        Mask::new(["hunter2-hunter2"].into_iter(), &environment.into())
    }

    #[test]
    fn secrets_are_masked_plain() {
        let masked = mask().apply("a hunter2-hunter2 b npm_abcdefgh c p4ssw0rd d nothing-secret");
        assert_eq!(masked, "a *** b *** c *** d nothing-secret");
    }

    #[test]
    fn secrets_are_masked_in_base64_at_every_offset() {
        for before in ["", "x", "xy", "xyz", "user:"] {
            for after in ["", "\n", "ab"] {
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let encoded = engine.encode(format!("{before}hunter2-hunter2{after}"));
                    let masked = mask().apply(&encoded);
                    assert!(masked.contains(MASKED), "{before:?} {after:?}: {masked}");
                    assert!(masked.len() < 20, "{before:?} {after:?}: {masked}");
                }
            }
        }
    }

    #[test]
    fn short_values_are_left_alone() {
        let mask = Mask::new(["abc"].into_iter(), &BTreeMap::new());
        assert_eq!(mask.apply("abc abc"), "abc abc");
    }
}
