//! Paths in patches, as git writes them (git-config, `core.quotePath`).

/// `sign` and the path; in quotes when the path has bytes that are not plain.
pub(super) fn quoted(sign: &str, path: &[u8]) -> String {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if path.iter().all(|byte| plain(*byte)) {
        return format!("{sign}{}", String::from_utf8_lossy(path));
    }
    let mut out = format!("\"{sign}");
    for byte in path {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            0x0b => out.push_str("\\v"),
            0x0c => out.push_str("\\f"),
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            byte if plain(*byte) => out.push(char::from(*byte)),
            byte => out.push_str(&format!("\\{byte:03o}")),
        }
    }
    out.push('"');
    out
}
