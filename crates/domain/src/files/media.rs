//! Names and media types, as headers may carry them.

/// Characters that turn the direction of text, and so hide what a name is.
pub fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `type/subtype` of token characters with plain parameters (RFC 9110, section 8.3.1), at most 200 bytes.
pub fn is_media_type(raw: &str) -> bool {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let essence = raw.split(';').next().unwrap_or_default();
    let plain = raw.len() <= 200 && raw.bytes().all(|b| (0x20..0x7f).contains(&b));
    plain && essence.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub.trim_end()))
}

/// `Content-Disposition: attachment` with an ASCII name and the real one (RFC 6266, section 4.3; RFC 8187).
pub fn attachment(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .collect();
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        let header = attachment("a\"\r\nX: y\u{202e}gpj.exe");
        assert!(header.bytes().all(|b| (0x20..0x7f).contains(&b)), "{header}");
        assert_eq!(header.matches('"').count(), 2);
        assert!(header.ends_with("filename*=UTF-8''a%22%0D%0AX%3A%20y%E2%80%AEgpj.exe"));
    }

    #[test]
    fn media_types_are_plain() {
        for good in ["text/plain", "text/plain; charset=utf-8", "application/vnd.api+json", "image/svg+xml"] {
            assert!(is_media_type(good), "{good}");
        }
        for bad in
            ["", "text", "/x", "text/", "te xt/plain", "text/plain\r\nX: y", "text/pl\u{e4}in", &"a/b".repeat(100)]
        {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
