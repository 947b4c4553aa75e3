//! Conditional requests (RFC 9110, section 13).

use axum::extract::FromRequestParts;
use domain::Expected;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::Problem;

/// Longest entity tag (bytes).
const ETAG_BYTES_MAX: usize = 256;

/// Which version a change is meant for: `If-Match: "…"`, `If-Match: *`, or `If-None-Match: *`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IfMatch(pub Expected);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers).map(Self)
    }
}

fn read(headers: &HeaderMap) -> Result<Expected, Problem> {
    let malformed = || Problem::malformed("Send one If-Match with one entity tag in quotes or *, or If-None-Match: *.");
    let mut values = headers.get_all(IF_MATCH).iter().map(|value| (true, value));
    let mut values = values.by_ref().chain(headers.get_all(IF_NONE_MATCH).iter().map(|value| (false, value)));
    let Some((is_match, value)) = values.next() else { return Ok(Expected::Unsaid) };
    if values.next().is_some() {
        return Err(malformed());
    }
    match (is_match, value.to_str().map_err(|_| malformed())?.trim()) {
        (false, "*") => Ok(Expected::Absent),
        (true, "*") => Ok(Expected::Present),
        (true, tag) => opaque(tag).map(|tag| Expected::Tag(tag.to_owned())).ok_or_else(malformed),
        (false, _) => Err(malformed()),
    }
}

/// The inside of a strong entity tag. A weak one never matches a change (section 13.1.1), so it is refused.
fn opaque(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
    (inner.len() <= ETAG_BYTES_MAX && inner.bytes().all(is_etag_char)).then_some(inner)
}

fn is_etag_char(byte: u8) -> bool {
    byte == 0x21 || (0x23..=0x7e).contains(&byte)
}

/// The `ETag` header of a version; none when the version does not fit into one.
pub fn etag_header(tag: &str) -> Option<HeaderValue> {
    opaque(&format!("\"{tag}\""))?;
    HeaderValue::from_str(&format!("\"{tag}\"")).ok()
}

/// Whether a read of what has `etag` may be answered with 304 (section 13.1.2: weak comparison).
pub(crate) fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else { return false };
    let etag = etag.trim_start_matches("W/");
    let mut tags =
        headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    tags.any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn one_condition_is_read() {
        assert_eq!(read(&headers(&[])).unwrap(), Expected::Unsaid);
        assert_eq!(read(&headers(&[("if-match", "*")])).unwrap(), Expected::Present);
        assert_eq!(read(&headers(&[("if-none-match", "*")])).unwrap(), Expected::Absent);
        assert_eq!(read(&headers(&[("if-match", "\"v1\"")])).unwrap(), Expected::Tag("v1".into()));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("\"{}\"", "a".repeat(300));
        let bad: [&[(&str, &str)]; 8] = [
            &[("if-match", "v1")],
            &[("if-match", "\"a\", \"b\"")],
            &[("if-match", "W/\"a\"")],
            &[("if-match", "\"a\""), ("if-match", "\"b\"")],
            &[("if-match", "\"a\""), ("if-none-match", "*")],
            &[("if-none-match", "\"a\"")],
            &[("if-match", "")],
            &[("if-match", &long)],
        ];
        for pairs in bad {
            assert_eq!(
                read(&headers(&pairs.iter().map(|(n, v)| (unstatic(n), *v)).collect::<Vec<_>>())).unwrap_err().status,
                400,
                "{pairs:?}"
            );
        }
    }

    fn unstatic(name: &str) -> &'static str {
        if name == "if-match" { "if-match" } else { "if-none-match" }
    }

    #[test]
    fn a_known_version_is_recognised() {
        let etag = etag_header("v1").unwrap();
        for known in ["\"v1\"", "W/\"v1\"", "\"a\", \"v1\"", "*"] {
            assert!(is_known(&headers(&[("if-none-match", known)]), &etag), "{known}");
        }
        for unknown in ["\"v2\"", "v1", "\"v1"] {
            assert!(!is_known(&headers(&[("if-none-match", unknown)]), &etag), "{unknown}");
        }
        assert!(etag_header("a\"b").is_none() && etag_header("a\nb").is_none());
    }
}
