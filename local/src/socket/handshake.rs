//! The opening handshake (RFC 6455, section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, Method, StatusCode};
use sha1::{Digest, Sha1};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    #[error("a WebSocket starts with GET, `Upgrade: websocket` and `Connection: upgrade`")]
    NotAHandshake,
    #[error("only WebSocket version 13 is spoken")]
    Version,
    #[error("Sec-WebSocket-Key is 16 bytes in base64")]
    Key,
}

impl HandshakeError {
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotAHandshake | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Key => StatusCode::BAD_REQUEST,
        }
    }
}

/// Checks a handshake; the answer is the `Sec-WebSocket-Accept` to send.
pub fn accept_key(method: &Method, headers: &HeaderMap) -> Result<String, HandshakeError> {
    let has = |name, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case(wanted)))
    };
    if method != Method::GET || !has(UPGRADE, "websocket") || !has(CONNECTION, "upgrade") {
        return Err(HandshakeError::NotAHandshake);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(HandshakeError::Version);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
    if STANDARD.decode(key).ok().is_none_or(|bytes| bytes.len() != 16) {
        return Err(HandshakeError::Key);
    }
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(GUID);
    Ok(STANDARD.encode(digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_key_of_the_rfc_is_answered_as_the_rfc_says() {
        assert_eq!(accept_key(&Method::GET, &headers(&GOOD)).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn other_handshakes_are_refused() {
        let without = |at: usize, value: &'static str| {
            let mut list = GOOD;
            list[at].1 = value;
            accept_key(&Method::GET, &headers(&list))
        };
        assert_eq!(without(0, "h2c"), Err(HandshakeError::NotAHandshake));
        assert_eq!(without(1, "close"), Err(HandshakeError::NotAHandshake));
        assert_eq!(without(2, "8"), Err(HandshakeError::Version));
        assert_eq!(without(3, "c2hvcnQ="), Err(HandshakeError::Key));
        assert_eq!(accept_key(&Method::POST, &headers(&GOOD)), Err(HandshakeError::NotAHandshake));
    }
}
