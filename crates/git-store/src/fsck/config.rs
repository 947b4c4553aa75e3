//! Git's configuration format, as far as `.gitmodules` needs it (git-config, "Syntax").

/// `key = value` below `[submodule "name"]`; a key without `=` has no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub submodule: Vec<u8>,
    /// In lower case.
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// The settings of submodules up to the first place that git cannot parse.
pub(super) fn settings(bytes: &[u8]) -> Vec<Setting> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = Reader { bytes, at: 0 };
    let mut submodule = None;
    let mut found = Vec::new();
    while let Some(byte) = reader.next() {
        match byte {
            b'#' | b';' => reader.skip_line(),
            b'[' => match reader.section() {
                Some(section) => submodule = section,
                None => break,
            },
            byte if byte.is_ascii_whitespace() => {}
            byte if byte.is_ascii_alphabetic() => match reader.setting(byte) {
                Some((key, value)) => {
                    found.extend(submodule.clone().map(|submodule| Setting { submodule, key, value }));
                }
                None => break,
            },
            _ => break,
        }
    }
    found
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

    #[test]
    fn settings_are_read_as_git_reads_them() {
        let text = "# c\n[Submodule \"a b\\\"c\"] URL = \"x ; y\" z  # c\n\tpath\n; c\n[core]\nurl=n\n[submodule.Old]\nurl = a\\\nb\n";
        let one = |name: &str, key: &str, value: Option<&str>| Setting {
            submodule: name.into(),
            key: key.into(),
            value: value.map(Into::into),
        };
        let expected =
            [one("a b\"c", "url", Some("x ; y z")), one("a b\"c", "path", None), one("old", "url", Some("ab"))];
        assert_eq!(settings(text.as_bytes()), expected);
        for broken in ["[submodule \"x\"\nurl = y", "[submodule \"x\"]\n!\nurl = y", "[submodule \"x\"]\nurl = \"y\n"] {
            assert_eq!(settings(broken.as_bytes()), [], "{broken}");
        }
    }
}
