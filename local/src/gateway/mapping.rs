//! Integration responses that are not proxied: mock integrations, and S3's answers mapped to the method's.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use regex::Regex;
use sam::{IntegrationResponse, MockIntegration};
use serde_json::Value;

use super::object::text;
use crate::http::{Reply, ReplyBody};

/// What the backend answered.
pub struct Backend {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

/// Applies the response whose pattern fits the backend's status; `None` when no pattern fits and there is no default.
pub fn map(responses: &[IntegrationResponse], backend: Backend, body: impl FnOnce() -> ReplyBody) -> Option<Reply> {
    let status = backend.status.as_str();
    let fits = |one: &&IntegrationResponse| {
        one.pattern == status
            || one.pattern != "default"
                && Regex::new(&format!("^(?:{})$", one.pattern)).is_ok_and(|r| r.is_match(status))
    };
    let chosen = responses.iter().find(fits).or_else(|| responses.iter().find(|one| one.pattern == "default"))?;
    let template = chosen.templates.get_key_value("application/json").or_else(|| chosen.templates.iter().next());
    let mut reply = match template {
        Some((media, template)) => {
            let mut reply = Response::new(text(template.clone()));
            if let Ok(media) = HeaderValue::from_str(media) {
                reply.headers_mut().insert(CONTENT_TYPE, media);
            }
            reply
        }
        None => Response::new(body()),
    };
    *reply.status_mut() = StatusCode::from_u16(chosen.status).ok()?;
    for (to, from) in &chosen.parameters {
        let Some(name) = to.strip_prefix("method.response.header.") else { continue };
        let value = match from.strip_prefix("integration.response.header.") {
            Some(source) => backend.headers.get(source).cloned(),
            None => from.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).and_then(|t| t.parse().ok()),
        };
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
            reply.headers_mut().insert(name, value);
        }
    }
    Some(reply)
}

/// A mock integration: its request template names the status, its responses say the rest.
pub fn mock(integration: &MockIntegration) -> Option<Reply> {
    let templates = &integration.request_templates;
    let template = templates.get("application/json").or_else(|| templates.values().next());
    let status = template
        .and_then(|template| serde_json::from_str::<Value>(template).ok())
        .and_then(|value| value.get("statusCode").and_then(Value::as_u64))
        .and_then(|status| u16::try_from(status).ok())
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::OK);
    map(&integration.responses, Backend { status, headers: HeaderMap::new() }, || text(String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn response(pattern: &str, status: u16) -> IntegrationResponse {
        IntegrationResponse {
            pattern: pattern.into(),
            status,
            parameters: BTreeMap::from([
                ("method.response.header.ETag".into(), "integration.response.header.ETag".into()),
                ("method.response.header.X-Fixed".into(), "'yes'".into()),
            ]),
            templates: BTreeMap::new(),
        }
    }

    fn backend(status: u16) -> Backend {
        let headers = HeaderMap::from_iter([
            (http::header::ETAG, HeaderValue::from_static("\"1\"")),
            (http::header::SERVER, HeaderValue::from_static("S3")),
        ]);
        Backend { status: StatusCode::from_u16(status).unwrap(), headers }
    }

    #[test]
    fn only_mapped_headers_pass() {
        let reply = map(&[response("200", 200)], backend(200), || text("x".into())).unwrap();
        assert_eq!(reply.headers()["etag"], "\"1\"");
        assert_eq!(reply.headers()["x-fixed"], "yes");
        assert!(!reply.headers().contains_key("server"));
    }

    #[test]
    fn the_pattern_decides_and_the_default_stands_in() {
        let responses = [response("default", 200), response("4\\d{2}", 404)];
        assert_eq!(map(&responses, backend(403), || text(String::new())).unwrap().status(), 404);
        assert_eq!(map(&responses, backend(500), || text(String::new())).unwrap().status(), 200);
        assert!(map(&responses[1..], backend(500), || text(String::new())).is_none());
    }

    #[test]
    fn a_mock_answers_with_its_templates() {
        let mut created = response("201", 201);
        created.templates.insert("application/json".into(), r#"{"made":true}"#.into());
        let integration = MockIntegration {
            request_templates: BTreeMap::from([("application/json".into(), r#"{"statusCode": 201}"#.into())]),
            responses: vec![response("default", 200), created],
        };
        let reply = mock(&integration).unwrap();
        assert_eq!(
            (reply.status().as_u16(), &reply.headers()["content-type"]),
            (201, &HeaderValue::from_static("application/json"))
        );
    }
}
