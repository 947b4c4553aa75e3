//! `.gitmodules` and `.gitattributes`: files that clients act upon.

use super::{DOTFILE_BYTES_MAX, Fault};

/// A line of `.gitattributes` (bytes; gitattributes(5)).
const ATTRIBUTES_LINE_MAX: usize = 2048;

pub(crate) fn check_attributes(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() > DOTFILE_BYTES_MAX {
        return Err(Fault("gitattributesLarge", ".gitattributes too large to parse"));
    }
    if bytes.split(|b| *b == b'\n').any(|line| line.len() >= ATTRIBUTES_LINE_MAX) {
        return Err(Fault("gitattributesLineLength", ".gitattributes has too long lines"));
    }
    Ok(())
}

pub(crate) fn check_modules(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() > DOTFILE_BYTES_MAX {
        return Err(Fault("gitmodulesLarge", ".gitmodules too large to parse"));
    }
    // A file that git cannot parse is of no effect from there on.
    let mut name = None;
    for line in logical_lines(bytes) {
        let line = line.trim_ascii();
        if line.first() == Some(&b'[') {
            name = section(line);
            if name.as_deref().is_some_and(|name| !is_good_name(name)) {
                return Err(Fault("gitmodulesName", "disallowed submodule name"));
            }
        } else if name.is_some() && !matches!(line.first(), None | Some(b'#' | b';')) {
            let mut parts = line.splitn(2, |b| *b == b'=');
            let key = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
            let value = unquote(parts.next().unwrap_or_default().trim_ascii());
            check_value(&key, &value)?;
        }
    }
    Ok(())
}

fn check_value(key: &[u8], value: &[u8]) -> Result<(), Fault> {
    match key {
        b"url" if !is_good_url(value) => Err(Fault("gitmodulesUrl", "disallowed submodule url")),
        b"path" if value.first() == Some(&b'-') => Err(Fault("gitmodulesPath", "disallowed submodule path")),
        b"update" if value.first() == Some(&b'!') => {
            Err(Fault("gitmodulesUpdate", "disallowed submodule update setting"))
        }
        _ => Ok(()),
    }
}

/// Lines, with those that end in a backslash joined to the next.
fn logical_lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut joined = false;
    for line in bytes.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let slashes = line.iter().rev().take_while(|b| **b == b'\\').count();
        let (text, open) = if slashes % 2 == 1 { (&line[..line.len() - 1], true) } else { (line, false) };
        match lines.last_mut() {
            Some(last) if joined => last.extend_from_slice(text),
            _ => lines.push(text.to_vec()),
        }
        joined = open;
    }
    lines
}

/// The name in `[submodule "name"]`.
fn section(line: &[u8]) -> Option<Vec<u8>> {
    let inner = line.strip_prefix(b"[")?.trim_ascii_start();
    let (word, rest) = inner.split_at_checked(9)?;
    if !word.eq_ignore_ascii_case(b"submodule") {
        return None;
    }
    let end = rest.iter().rposition(|b| *b == b']').unwrap_or(rest.len());
    Some(unquote(rest[..end].trim_ascii()))
}

/// A value without its quotes, escapes and comment (git-config, "Syntax").
fn unquote(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut quoted = false;
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => match bytes.next() {
                Some(b'n') => out.push(b'\n'),
                Some(b't') => out.push(b'\t'),
                Some(other) => out.push(*other),
                None => {}
            },
            b'#' | b';' if !quoted => break,
            _ => out.push(*byte),
        }
    }
    if !quoted {
        let end = out.trim_ascii_end().len();
        if !raw.ends_with(b"\"") {
            out.truncate(end);
        }
    }
    out
}

fn is_good_name(name: &[u8]) -> bool {
    !name.is_empty() && name.split(|b| matches!(b, b'/' | b'\\')).all(|part| part != b"..")
}

/// No option, no line break also when decoded, and no way out of the folder for a relative URL.
fn is_good_url(url: &[u8]) -> bool {
    if url.first() == Some(&b'-') || url.contains(&b'\n') {
        return false;
    }
    let lower = url.to_ascii_lowercase();
    if lower.windows(3).any(|w| w == b"%0a") {
        return false;
    }
    if url.starts_with(b"./") || url.starts_with(b"../") {
        // `../` that leaves a host name behind it, then `:`, would be read as a transport.
        let mut rest = url;
        let mut up = 0;
        while let Some(next) = rest.strip_prefix(b"../").map(|r| (r, 1)).or(rest.strip_prefix(b"./").map(|r| (r, 0))) {
            rest = next.0;
            up += next.1;
        }
        return !(up > 0 && matches!(rest.first(), Some(b':' | b'/')));
    }
    let empty_host = [&b"http://"[..], b"https://", b"ftp://", b"ftps://"]
        .iter()
        .any(|scheme| lower.strip_prefix(*scheme).is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b':'))));
    !empty_host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<&'static str> {
        check_modules(text.as_bytes()).err().map(|fault| fault.0)
    }

    #[test]
    fn submodules_that_attack_the_client_are_refused() {
        let with = |key: &str, value: &str| format!("[submodule \"x\"]\n\t{key} = {value}\n");
        assert_eq!(fault(&with("url", "https://example.com/x.git")), None);
        assert_eq!(fault(&with("url", "../x.git")), None);
        assert_eq!(fault("[submodule \"../../x\"]\n\turl = https://x/y\n"), Some("gitmodulesName"));
        assert_eq!(fault(&with("url", "-u./payload")), Some("gitmodulesUrl"));
        assert_eq!(fault(&with("url", "\"https://x/\\nhost=y\"")), Some("gitmodulesUrl"));
        assert_eq!(fault(&with("url", "https://x/%0ahost=y")), Some("gitmodulesUrl"));
        assert_eq!(fault(&with("url", "https:///x")), Some("gitmodulesUrl"));
        assert_eq!(fault(&with("path", "-x")), Some("gitmodulesPath"));
        assert_eq!(fault(&with("update", "!touch x")), Some("gitmodulesUpdate"));
    }
}
