//! What a request's head must be before anything looks at it.

use cloud::limits::GATEWAY_HEADERS_MAX;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, StatusCode};

/// Why a head is refused. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("the request line and headers are over 10,240 bytes")]
    TooLarge,
    #[error("the request target is not a path")]
    Target,
    #[error("the path has dot segments or a backslash")]
    Path,
    #[error("there must be exactly one Host, and it must be a host")]
    Host,
    #[error("the message's length is ambiguous")]
    Framing,
    #[error("only `Expect: 100-continue` is understood")]
    Expectation,
    #[error("the method is not served")]
    Method,
}

impl HeadError {
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Target | Self::Path | Self::Host | Self::Framing => StatusCode::BAD_REQUEST,
        }
    }
}

/// Where a checked request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Lower case, with the port as sent.
    pub host: String,
}

impl Target {
    /// The host without its port.
    pub fn name(&self) -> &str {
        match self.host.rfind(':') {
            Some(at) if !self.host[at..].contains(']') => &self.host[..at],
            _ => &self.host,
        }
    }
}

/// Checks what the HTTP parser leaves to its caller (RFC 9110, 9112; limits of API Gateway).
pub fn check_head(parts: &Parts) -> Result<Target, HeadError> {
    if head_bytes(parts) > GATEWAY_HEADERS_MAX {
        return Err(HeadError::TooLarge);
    }
    if matches!(parts.method, Method::CONNECT | Method::TRACE) {
        return Err(HeadError::Method);
    }
    check_framing(&parts.headers)?;
    if !parts.uri.path_and_query().is_none_or(|target| target.as_str().is_ascii()) {
        return Err(HeadError::Target);
    }
    check_path(parts.uri.path())?;
    let mut hosts = parts.headers.get_all(HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().map_err(|_| HeadError::Host)?),
        (None, None) => None,
        _ => return Err(HeadError::Host),
    };
    // An absolute target overrules Host (RFC 9112, 3.2.2).
    let host = match (parts.uri.scheme(), parts.uri.authority()) {
        (Some(_), Some(authority)) => authority.as_str(),
        (None, None) => named.ok_or(HeadError::Host)?,
        _ => return Err(HeadError::Target),
    };
    if !is_host(host) {
        return Err(HeadError::Host);
    }
    Ok(Target { host: host.to_ascii_lowercase() })
}

/// The bytes of the request line and the header lines, as they were on the wire (within a few).
fn head_bytes(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = parts.method.as_str().len() + 1 + target + " HTTP/1.1\r\n".len();
    parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum::<usize>() + line
}

fn check_framing(headers: &HeaderMap) -> Result<(), HeadError> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, None) => {}
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            if headers.contains_key(CONTENT_LENGTH) {
                return Err(HeadError::Framing);
            }
        }
        _ => return Err(HeadError::Framing),
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    if let (Some(length), more) = (lengths.next(), lengths.next())
        && (more.is_some() || length.is_empty() || !length.as_bytes().iter().all(u8::is_ascii_digit))
    {
        return Err(HeadError::Framing);
    }
    match headers.get(EXPECT) {
        Some(expectation) if !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(HeadError::Expectation)
        }
        _ => Ok(()),
    }
}

/// Dot segments would be resolved differently by the parts behind; so they are not passed on.
fn check_path(path: &str) -> Result<(), HeadError> {
    if !path.starts_with('/') {
        return Err(HeadError::Target);
    }
    let dots = |segment: &str| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    };
    if path.contains('\\') || (path.contains("/.") || path.contains("/%2")) && path.split('/').any(dots) {
        return Err(HeadError::Path);
    }
    Ok(())
}

/// A DNS name or an address, with an optional port; no user information.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("v6", port.strip_prefix(':'))
        }
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let good_name = (1..=253).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    good_name && port.is_none_or(|port| port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, headers: &[(&str, &str)]) -> Result<Target, HeadError> {
        let mut request = http::Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check_head(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_host_is_named_once() {
        let target = check("/", &[("host", "LocalHost:80")]).unwrap();
        assert_eq!((target.host.as_str(), target.name()), ("localhost:80", "localhost"));
        assert_eq!(check("/", &[("host", "[::1]:80")]).unwrap().name(), "[::1]");
        assert_eq!(check("/", &[("host", "[::1]")]).unwrap().name(), "[::1]");
        assert_eq!(check("/", &[]), Err(HeadError::Host));
        assert_eq!(check("/", &[("host", "a"), ("host", "a")]), Err(HeadError::Host));
        for host in
            ["", "a b", "user@host", "host:", "host:port", "host:99999", "[::1", "[zz]", "a/b", "a:1:2", "ho%73t"]
        {
            assert_eq!(check("/", &[("host", host)]), Err(HeadError::Host), "{host}");
        }
    }

    #[test]
    fn an_absolute_target_overrules_the_host() {
        assert_eq!(check("http://evil/", &[("host", "localhost")]).unwrap().host, "evil");
        assert_eq!(check("http://user@localhost/", &[("host", "localhost")]), Err(HeadError::Host));
        assert!(matches!(check("evil:80", &[("host", "localhost")]), Err(HeadError::Target)));
    }

    #[test]
    fn ambiguous_lengths_are_refused() {
        let with = |more: &[(&str, &str)]| {
            let mut all = vec![("host", "a")];
            all.extend_from_slice(more);
            check("/", &all)
        };
        for headers in [
            &[("content-length", "5"), ("content-length", "6")][..],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "5, 5")],
            &[("content-length", "+5")],
            &[("content-length", "")],
            &[("transfer-encoding", "chunked"), ("content-length", "5")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "identity")],
        ] {
            assert_eq!(with(headers), Err(HeadError::Framing), "{headers:?}");
        }
        assert!(with(&[("transfer-encoding", "Chunked")]).is_ok());
        assert_eq!(with(&[("expect", "200-ok")]), Err(HeadError::Expectation));
    }

    #[test]
    fn dot_segments_are_refused() {
        for path in ["/a/../b", "/..", "/a/.", "/%2e%2E/x", "/.%2e/x", "/a\\b"] {
            assert_eq!(check(path, &[("host", "a")]), Err(HeadError::Path), "{path}");
        }
        for path in ["/.well-known/x", "/a..b", "/a/...", "/%2f", "/a%2e"] {
            assert!(check(path, &[("host", "a")]).is_ok(), "{path}");
        }
    }

    #[test]
    fn heads_over_the_limit_are_refused() {
        let value = "x".repeat(GATEWAY_HEADERS_MAX);
        assert_eq!(check("/", &[("host", "a"), ("x", &value)]), Err(HeadError::TooLarge));
        assert_eq!(check(&format!("/{value}"), &[("host", "a")]), Err(HeadError::TooLarge));
        assert!(check("/", &[("host", "a"), ("x", &value[..9_000])]).is_ok());
    }
}
