//! Cross-origin use of presigned URLs by pages of this machine (Fetch standard, "CORS protocol").

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use s3s::Body;

/// What a page may read of an answer.
const EXPOSED: &str = "ETag, Content-Length, Content-Range, Content-Type, x-amz-request-id, x-amz-checksum-sha256";
const METHODS: &str = "GET, HEAD, PUT, POST, DELETE";

/// The origins whose pages may use the endpoint.
#[derive(Clone, Debug)]
pub(super) struct Origins(Vec<String>);

impl Origins {
    pub fn new(named: Vec<String>) -> Self {
        Self(named)
    }

    fn allows(&self, origin: &str) -> bool {
        if self.0.iter().any(|named| named == origin) {
            return true;
        }
        let Ok(origin) = url::Url::parse(origin) else { return false };
        match origin.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The answer to a preflight; `None` when the request is none.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        if method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        if headers.get(header::ORIGIN).is_none_or(|origin| !self.allows_value(origin)) {
            *response.status_mut() = StatusCode::FORBIDDEN;
            return Some(response);
        }
        let answer = response.headers_mut();
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if let Some(asked) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        self.mark(headers, &mut response);
        Some(response)
    }

    /// Lets the page that asked read the answer.
    pub fn mark(&self, request: &HeaderMap, response: &mut Response<Body>) {
        let Some(origin) = request.get(header::ORIGIN) else { return };
        let answer = response.headers_mut();
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        if self.allows_value(origin) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        }
    }

    fn allows_value(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| self.allows(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_and_named_ones_are_let_in() {
        let origins = Origins::new(vec!["https://ide.example".into()]);
        for origin in
            ["http://localhost:4000", "http://dev--shop.localhost:4000", "http://127.0.0.1:1", "http://[::1]:1"]
        {
            assert!(origins.allows(origin), "{origin}");
        }
        assert!(origins.allows("https://ide.example"));
        for origin in ["https://ide.example.evil", "http://localhost.evil", "null", "", "http://10.0.0.1"] {
            assert!(!origins.allows(origin), "{origin}");
        }
    }
}
