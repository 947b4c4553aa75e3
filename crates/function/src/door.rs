//! From the headers of a request to a principal: the same steps for the authorizer and for routes that prove by
//! themselves (git).

use http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method};
use identity::{AuthenticationError, Channel, Credential, FetchMetadata, Identity, Principal};

/// Why a request does not get in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Unauthenticated(#[from] AuthenticationError),
    /// The cookie is good, and the request comes from another site.
    #[error("a cross-site request may not use the session cookie")]
    CrossSite,
}

/// Proves who sends a request. The session cookie counts only for reads and from our own origin.
pub async fn prove(identity: &Identity, method: &Method, headers: &HeaderMap) -> Result<Principal, Refused> {
    let cookies = headers.get_all(COOKIE).iter().map(|value| value.to_str());
    let cookies = cookies.collect::<Result<Vec<_>, _>>().map_err(|_| AuthenticationError::Invalid("cookie header"))?;
    let credential = Credential::from_headers(single(headers, AUTHORIZATION)?, Some(&cookies.join("; ")))?;
    let credential = credential.ok_or(AuthenticationError::Missing)?;
    let principal = identity.authenticate(&credential).await?;
    let metadata = FetchMetadata {
        method: method.as_str(),
        host: single(headers, HOST)?,
        origin: single(headers, ORIGIN)?,
        fetch_site: single(headers, HeaderName::from_static("sec-fetch-site"))?,
    };
    if principal.channel == Channel::Cookie && !metadata.allows_cookie() {
        return Err(Refused::CrossSite);
    }
    Ok(principal)
}

/// A header that may be there once, as text.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, AuthenticationError> {
    let mut values = headers.get_all(&name).iter();
    let first = values.next().map(|value| value.to_str());
    if values.next().is_some() {
        return Err(AuthenticationError::Invalid("a header is there twice"));
    }
    first.transpose().map_err(|_| AuthenticationError::Invalid("a header is not text"))
}
