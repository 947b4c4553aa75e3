//! Cross-origin rules: preflights, and what HTTP APIs add to answers.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::{Method, StatusCode};
use sam::{ApiKind, Cors};

use crate::http::{Reply, empty};

/// True when the request is a preflight that the gateway may answer itself.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: 200 for a REST API (SAM's mock method), 204 for an HTTP API.
pub fn preflight(cors: &Cors, kind: ApiKind, request: &HeaderMap, methods: &[String]) -> Reply {
    let mut reply = empty(if kind == ApiKind::Http { StatusCode::NO_CONTENT } else { StatusCode::OK });
    let headers = reply.headers_mut();
    let Some(origin) = allowed_origin(cors, kind, request) else { return reply };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let allowed = if cors.allow_methods.is_empty() { methods } else { &cors.allow_methods };
    list(headers, ACCESS_CONTROL_ALLOW_METHODS, allowed);
    list(headers, ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers);
    if cors.allow_credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    if let Some(seconds) = cors.max_age_s {
        headers.insert(ACCESS_CONTROL_MAX_AGE, seconds.into());
    }
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    reply
}

/// What an HTTP API adds to every answer to an allowed origin; it replaces the function's own headers.
pub fn add_headers(cors: &Cors, request: &HeaderMap, reply: &mut HeaderMap) {
    let Some(origin) = allowed_origin(cors, ApiKind::Http, request) else { return };
    reply.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    list(reply, ACCESS_CONTROL_EXPOSE_HEADERS, &cors.expose_headers);
    if cors.allow_credentials {
        reply.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    reply.append(VARY, HeaderValue::from_static("Origin"));
}

fn allowed_origin(cors: &Cors, kind: ApiKind, request: &HeaderMap) -> Option<HeaderValue> {
    if kind == ApiKind::Rest {
        // One fixed value, whoever asks.
        return HeaderValue::from_str(cors.allow_origins.first()?).ok();
    }
    let origin = request.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    let allowed = cors.allow_origins.iter().any(|allowed| {
        allowed == "*"
            || allowed == text
            || allowed == "http://*" && text.starts_with("http://")
            || allowed == "https://*" && text.starts_with("https://")
    });
    let any = cors.allow_origins.iter().any(|allowed| allowed == "*") && !cors.allow_credentials;
    allowed.then(|| if any { HeaderValue::from_static("*") } else { origin.clone() })
}

fn list(headers: &mut HeaderMap, name: HeaderName, values: &[String]) {
    if let (false, Ok(value)) = (values.is_empty(), HeaderValue::from_str(&values.join(","))) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn an_http_api_tells_allowed_origins_alone() {
        let cors = Cors {
            allow_origins: vec!["https://a.example".into()],
            allow_methods: vec!["GET".into(), "POST".into()],
            max_age_s: Some(60),
            ..Cors::default()
        };
        let request = headers(&[("origin", "https://a.example"), ("access-control-request-method", "POST")]);
        assert!(is_preflight(&Method::OPTIONS, &request));
        let reply = preflight(&cors, ApiKind::Http, &request, &[]);
        assert_eq!(reply.status(), 204);
        assert_eq!(reply.headers()["access-control-allow-origin"], "https://a.example");
        assert_eq!(reply.headers()["access-control-allow-methods"], "GET,POST");
        for other in
            ["https://a.example.evil.com", "https://evila.example", "http://a.example", "https://a.example:444"]
        {
            let reply = preflight(&cors, ApiKind::Http, &headers(&[("origin", other)]), &[]);
            assert!(!reply.headers().contains_key("access-control-allow-origin"), "{other}");
        }
    }

    #[test]
    fn credentials_never_go_with_a_star() {
        let cors = Cors { allow_origins: vec!["*".into()], allow_credentials: true, ..Cors::default() };
        let mut reply = HeaderMap::new();
        add_headers(&cors, &headers(&[("origin", "https://a.example")]), &mut reply);
        assert_eq!(reply["access-control-allow-origin"], "https://a.example");
    }

    #[test]
    fn a_rest_api_has_one_fixed_origin() {
        let cors = Cors { allow_origins: vec!["*".into()], ..Cors::default() };
        let reply =
            preflight(&cors, ApiKind::Rest, &headers(&[("origin", "https://a")]), &["GET".into(), "OPTIONS".into()]);
        assert_eq!(
            (reply.status().as_u16(), &reply.headers()["access-control-allow-origin"]),
            (200, &HeaderValue::from_static("*"))
        );
        assert_eq!(reply.headers()["access-control-allow-methods"], "GET,OPTIONS");
    }
}
