//! Addresses and names of people.

use std::fmt;

use crate::{Error, Result};

/// Characters of an address (RFC 5321, section 4.5.3.1, less the angle brackets).
const EMAIL_CHARS_MAX: usize = 254;
/// Characters before the `@`.
const LOCAL_PART_MAX: usize = 64;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// An e-mail address in lower case. ASCII only: look-alike letters of other scripts cannot pose as someone else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads a dot-atom address (RFC 5322, section 3.4.1) and folds its case.
    pub fn parse(raw: &str) -> Result<Self> {
        let error = || Error::invalid("email", "is not an e-mail address of plain ASCII letters");
        let folded = raw.to_ascii_lowercase();
        let (local, domain) = folded.split_once('@').ok_or_else(error)?;
        let fits = folded.len() <= EMAIL_CHARS_MAX && local.len() <= LOCAL_PART_MAX;
        let local_ok = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_char));
        if fits && local_ok && domain.split('.').all(is_host_label) { Ok(Self(folded)) } else { Err(error()) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn is_host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl TryFrom<String> for EmailAddress {
    type Error = Error;
    fn try_from(raw: String) -> Result<Self> {
        Self::parse(&raw)
    }
}

impl From<EmailAddress> for String {
    fn from(email: EmailAddress) -> Self {
        email.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person's name as shown and as written into commits: 1 to 100 characters on one line, without `<` and `>`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonName(String);

impl PersonName {
    pub fn parse(raw: &str) -> Result<Self> {
        let name = raw.trim();
        let length = name.chars().count();
        let forbidden = |c: char| c.is_control() || matches!(c, '<' | '>') || is_bidi_control(c);
        if length == 0 || length > NAME_CHARS_MAX || name.chars().any(forbidden) {
            return Err(Error::invalid("name", "has 1 to 100 characters on one line, without < and >"));
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that change the order of what is shown around them (Unicode Standard Annex 9).
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl TryFrom<String> for PersonName {
    type Error = Error;
    fn try_from(raw: String) -> Result<Self> {
        Self::parse(&raw)
    }
}

impl From<PersonName> for String {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_folded_and_other_scripts_are_refused() {
        assert_eq!(EmailAddress::parse("VICTIM@Example.COM").unwrap().as_str(), "victim@example.com");
        let long = format!("{}@example.com", "a".repeat(65));
        let bad = [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "vi\u{441}tim@example.com",
            "a b@c",
            "a\n@c",
            "a@-c",
            "a..b@c",
            "a@c.",
            &long,
        ];
        for bad in bad {
            assert!(EmailAddress::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_cannot_break_a_commit_header() {
        assert_eq!(PersonName::parse(" Zoë Ångström ").unwrap().as_str(), "Zoë Ångström");
        for bad in ["", " ", "x\ncommitter evil <e@e> 1 +0000", "a<b", "a>b", "a\u{0}b", "a\u{202e}b", &"a".repeat(101)]
        {
            assert!(PersonName::parse(bad).is_err(), "{bad}");
        }
    }
}
