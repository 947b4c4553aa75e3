//! Credentials as they arrive in headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::Secret;

use crate::{AuthenticationError, SESSION_LIFE};

/// The session cookie. `__Host-` makes browsers refuse one set by another host or path, or without `Secure`.
pub const SESSION_COOKIE: &str = "__Host-workroom";

/// Longest `Authorization` header that is looked at (bytes).
const AUTHORIZATION_BYTES_MAX: usize = 4096;

/// What a caller sent to prove who they are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token or a personal access token.
    Bearer(Secret),
    /// A personal access token as the password; the user name is not looked at.
    Basic { user: String, password: Secret },
    /// The value of the session cookie.
    Cookie(Secret),
    /// A one-use ticket for a WebSocket connection.
    Ticket(Secret),
}

impl Credential {
    /// Reads the two headers. `Authorization` counts before the cookie; a cookie that is there twice is refused,
    /// because one of them may have been planted. `None` when neither is there.
    pub fn from_headers(
        authorization: Option<&str>,
        cookie: Option<&str>,
    ) -> Result<Option<Self>, AuthenticationError> {
        match authorization {
            Some(header) => read_authorization(header).map(Some),
            None => Ok(read_cookie(cookie.unwrap_or_default())?.map(Self::Cookie)),
        }
    }
}

fn read_authorization(header: &str) -> Result<Credential, AuthenticationError> {
    let invalid = AuthenticationError::Invalid("authorization header");
    if header.len() > AUTHORIZATION_BYTES_MAX {
        return Err(invalid);
    }
    let Some((scheme, value)) = header.trim().split_once(' ') else { return Err(invalid) };
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") && is_token68(value) {
        return Ok(Credential::Bearer(Secret::new(value)));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let decoded = STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some((user, password)) = decoded.as_deref().and_then(|pair| pair.split_once(':')) {
            return Ok(Credential::Basic { user: user.to_owned(), password: Secret::new(password) });
        }
    }
    Err(invalid)
}

/// The characters of a bearer token (RFC 6750, section 2.1).
fn is_token68(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b))
}

fn read_cookie(header: &str) -> Result<Option<Secret>, AuthenticationError> {
    let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value);
    let first = values.next();
    if values.next().is_some() {
        return Err(AuthenticationError::Invalid("two session cookies"));
    }
    Ok(first.map(Secret::new))
}

/// The `Set-Cookie` value that signs a browser in (RFC 6265bis).
pub fn session_cookie(value: &Secret) -> String {
    let life = SESSION_LIFE.as_secs();
    format!("{SESSION_COOKIE}={}; Path=/; Max-Age={life}; Secure; HttpOnly; SameSite=Lax", value.expose())
}

/// The `Set-Cookie` value that signs a browser out.
pub fn clear_cookie() -> String {
    format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
}

/// What a browser says about where a request comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct FetchMetadata<'a> {
    pub method: &'a str,
    /// The `Host` header.
    pub host: Option<&'a str>,
    pub origin: Option<&'a str>,
    /// The `Sec-Fetch-Site` header (Fetch Metadata Request Headers).
    pub fetch_site: Option<&'a str>,
}

impl FetchMetadata<'_> {
    /// Whether a request with the session cookie may change something: only when it comes from our own origin.
    /// A user's site is the same site but another origin, so `same-site` is refused.
    pub fn allows_cookie(&self) -> bool {
        if matches!(self.method, "GET" | "HEAD" | "OPTIONS") {
            return true;
        }
        let same_site = self.fetch_site.map(|site| matches!(site, "same-origin" | "none"));
        let same_origin = self.origin.map(|origin| {
            let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            authority.is_some() && authority == self.host
        });
        match (same_site, same_origin) {
            (None, None) => false,
            (site, origin) => site.unwrap_or(true) && origin.unwrap_or(true),
        }
    }
}
