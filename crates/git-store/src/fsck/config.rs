//! Git's configuration format, as far as `.gitmodules` needs it (git-config, "Syntax").

use super::Fault;

/// `key = value` below `[submodule "name"]`; a key without `=` has no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting<'a> {
    pub submodule: &'a [u8],
    /// The first one below this line with the submodule's name.
    pub is_first: bool,
    /// In lower case.
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// Shows `each` the settings of submodules one after the other, up to the first place that git cannot parse.
pub(super) fn each_setting(bytes: &[u8], mut each: impl FnMut(Setting<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = Reader { bytes, at: 0 };
    let (mut submodule, mut is_first) = (None, true);
    while let Some(byte) = reader.next() {
        match byte {
            b'#' | b';' => reader.skip_line(),
            b'[' => match reader.section() {
                Some(section) => (submodule, is_first) = (section, true),
                None => break,
            },
            byte if byte.is_ascii_whitespace() => {}
            byte if byte.is_ascii_alphabetic() => match reader.setting(byte) {
                Some((key, value)) => {
                    if let Some(submodule) = &submodule {
                        each(Setting { submodule, is_first, key, value })?;
                        is_first = false;
                    }
                }
                None => break,
            },
            _ => break,
        }
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next byte; a carriage return before a line feed is none.
    fn next(&mut self) -> Option<u8> {
        if self.bytes.get(self.at) == Some(&b'\r') && self.bytes.get(self.at + 1) == Some(&b'\n') {
            self.at += 1;
        }
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip_line(&mut self) {
        while !matches!(self.next(), None | Some(b'\n')) {}
    }

    /// The rest of `[section "subsection"]`, or of the old `[section.subsection]`; the name when it is a submodule's.
    #[allow(clippy::option_option, reason = "a section that cannot be read is not one of something else")]
    fn section(&mut self) -> Option<Option<Vec<u8>>> {
        let mut name = Vec::new();
        loop {
            match self.next()? {
                b']' => {
                    let old = name.strip_prefix(b"submodule.").map(<[u8]>::to_vec);
                    return Some(old);
                }
                b' ' | b'\t' => return self.subsection(name == b"submodule"),
                byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => {
                    name.push(byte.to_ascii_lowercase())
                }
                _ => return None,
            }
        }
    }

    #[allow(clippy::option_option, reason = "as above")]
    fn subsection(&mut self, is_submodule: bool) -> Option<Option<Vec<u8>>> {
        let mut name = Vec::new();
        while let Some(byte) = self.next() {
            match byte {
                b' ' | b'\t' => {}
                b'"' => break,
                _ => return None,
            }
        }
        loop {
            match self.next()? {
                b'"' => break,
                b'\n' => return None,
                b'\\' => match self.next()? {
                    b'\n' => return None,
                    byte => name.push(byte),
                },
                byte => name.push(byte),
            }
        }
        (self.next()? == b']').then(|| is_submodule.then_some(name))
    }

    /// A key that begins with `first`, and its value.
    fn setting(&mut self, first: u8) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let mut key = vec![first.to_ascii_lowercase()];
        let after = loop {
            match self.next() {
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'-' => key.push(byte.to_ascii_lowercase()),
                other => break other,
            }
        };
        let mut after = after;
        while matches!(after, Some(b' ' | b'\t')) {
            after = self.next();
        }
        match after {
            None | Some(b'\n') => Some((key, None)),
            Some(b'=') => Some((key, Some(self.value()?))),
            Some(_) => None,
        }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let (mut out, mut blank) = (Vec::new(), Vec::new());
        let (mut quoted, mut comment) = (false, false);
        loop {
            let byte = match self.next() {
                None | Some(b'\n') => return (!quoted).then_some(out),
                Some(byte) => byte,
            };
            match byte {
                _ if comment => {}
                b' ' | b'\t' if !quoted => {
                    // Blanks count between words alone.
                    if !out.is_empty() {
                        blank.push(byte);
                    }
                    continue;
                }
                b'#' | b';' if !quoted => comment = true,
                b'"' => {
                    out.append(&mut blank);
                    quoted = !quoted;
                }
                b'\\' => {
                    out.append(&mut blank);
                    match self.next()? {
                        b'\n' => {}
                        b't' => out.push(b'\t'),
                        b'b' => out.push(8),
                        b'n' => out.push(b'\n'),
                        byte @ (b'\\' | b'"') => out.push(byte),
                        _ => return None,
                    }
                }
                byte => {
                    out.append(&mut blank);
                    out.push(byte);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Vec<(String, bool, String, Option<String>)> {
        let (mut all, own) = (Vec::new(), |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned());
        let done = each_setting(text.as_bytes(), |one| {
            all.push((own(one.submodule), one.is_first, own(&one.key), one.value.as_deref().map(own)));
            Ok(())
        });
        assert!(done.is_ok());
        all
    }

    #[test]
    fn settings_are_read_as_git_reads_them() {
        let text = "# c\n[Submodule \"a b\\\"c\"] URL = \"x ; y\" z  # c\n\tpath\n; c\n[core]\nurl=n\n[submodule.Old]\nurl = a\\\nb\n";
        let one = |name: &str, is_first, key: &str, value: Option<&str>| {
            (name.to_owned(), is_first, key.to_owned(), value.map(str::to_owned))
        };
        let expected = [
            one("a b\"c", true, "url", Some("x ; y z")),
            one("a b\"c", false, "path", None),
            one("old", true, "url", Some("ab")),
        ];
        assert_eq!(settings(text), expected);
        for broken in ["[submodule \"x\"\nurl = y", "[submodule \"x\"]\n!\nurl = y", "[submodule \"x\"]\nurl = \"y\n"] {
            assert_eq!(settings(broken), [], "{broken}");
        }
    }
}
