//! `.gitmodules` and `.gitattributes`: files that clients act upon.

use super::config::{Setting, each_setting};
use super::{DOTFILE_BYTES_MAX, Fault};

/// A line of `.gitattributes` (bytes; gitattributes(5)).
const ATTRIBUTES_LINE_MAX: usize = 2048;

pub(crate) fn check_attributes(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() > DOTFILE_BYTES_MAX {
        return Err(Fault("gitattributesLarge", ".gitattributes too large to parse"));
    }
    // Git reads it as text that ends at a NUL.
    let text = bytes.split(|b| *b == 0).next().unwrap_or_default();
    if text.split(|b| *b == b'\n').any(|line| line.len() >= ATTRIBUTES_LINE_MAX) {
        return Err(Fault("gitattributesLineLength", ".gitattributes has too long lines"));
    }
    Ok(())
}

pub(crate) fn check_modules(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() > DOTFILE_BYTES_MAX {
        return Err(Fault("gitmodulesLarge", ".gitmodules too large to parse"));
    }
    // A file that git cannot parse is of no effect from there on.
    each_setting(bytes, |Setting { submodule, is_first, key, value }| {
        // A name may be as long as the file, and have as many settings as there are lines.
        if is_first && !is_good_name(submodule) {
            return Err(Fault("gitmodulesName", "disallowed submodule name"));
        }
        value.map_or(Ok(()), |value| check_value(&key, &value))
    })
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

fn is_good_name(name: &[u8]) -> bool {
    !name.is_empty() && name.split(|b| matches!(b, b'/' | b'\\')).all(|part| part != b"..")
}

/// No option, no line break also when decoded, and no way out of the folder for a relative URL.
fn is_good_url(url: &[u8]) -> bool {
    if url.first() == Some(&b'-') || url.contains(&b'\n') {
        return false;
    }
    if url.starts_with(b"./") || url.starts_with(b"../") {
        return !decodes_to_line_break(url) && !escapes_its_root(url);
    }
    let lower = url.to_ascii_lowercase();
    if lower.starts_with(b"git://") {
        return !decodes_to_line_break(url);
    }
    let transport = [&b"http::"[..], b"https::", b"ftp::", b"ftps::"].iter().find_map(|t| lower.strip_prefix(*t));
    let scheme =
        |text: &[u8]| [&b"http://"[..], b"https://", b"ftp://", b"ftps://"].iter().any(|s| text.starts_with(s));
    match transport {
        Some(rest) => is_good_web_url(rest),
        None if scheme(&lower) => is_good_web_url(&lower),
        None => true,
    }
}

fn decodes_to_line_break(url: &[u8]) -> bool {
    url.windows(3).any(|w| w.eq_ignore_ascii_case(b"%0a"))
}

/// `../` that leaves a host name behind it, then `:` or `/`, would be read as a transport.
fn escapes_its_root(url: &[u8]) -> bool {
    let mut rest = url;
    let mut up = 0;
    while let Some(next) = rest.strip_prefix(b"../").map(|r| (r, 1)).or(rest.strip_prefix(b"./").map(|r| (r, 0))) {
        rest = next.0;
        up += next.1;
    }
    up > 0 && matches!(rest.first(), Some(b':' | b'/'))
}

/// `scheme://[user@]host[:port]…`, with whole escapes and none that is a line break.
fn is_good_web_url(url: &[u8]) -> bool {
    let Some(at) = url.windows(3).position(|w| w == b"://") else { return false };
    let rest = &url[at + 3..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = authority.rsplit(|b| *b == b'@').next().unwrap_or_default();
    let bracket = host.iter().rposition(|b| *b == b']').map_or(0, |at| at + 1);
    let colon = host[bracket..].iter().rposition(|b| *b == b':').map(|at| at + bracket);
    let (name, port) = colon.map_or((host, None), |at| (&host[..at], Some(&host[at + 1..])));
    let is_port =
        |port: &[u8]| port.is_empty() || std::str::from_utf8(port).is_ok_and(|p| p.parse::<u16>().is_ok_and(|p| p > 0));
    let escapes = url.iter().enumerate().filter(|(_, b)| **b == b'%');
    let mut whole = escapes.map(|(at, _)| url.get(at + 1..at + 3).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)));
    !name.is_empty() && port.is_none_or(is_port) && !decodes_to_line_break(url) && whole.all(|whole| whole)
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
        for bad in
            ["http::-x", "https::/x", "http://x:port/", "https://x/%zz", "../:x", "../../../https:///x", "git://x/%0a"]
        {
            let expected = (bad != "../../../https:///x").then_some("gitmodulesUrl");
            assert_eq!(fault(&with("url", bad)), expected, "{bad}");
        }
        assert_eq!(fault("[submodule \"x\"] url = -x\n"), Some("gitmodulesUrl"), "on the line of its section");
        assert_eq!(fault("[submodule...]\nurl = x\n"), Some("gitmodulesName"), "the old spelling");
        assert_eq!(fault("[submodule \"../x\"]\n"), None, "nothing is set");
    }
}
