//! What the gateway knows of one request, and how its parts are written into events.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use cloud::Millis;
use http::{HeaderMap, HeaderName, Method};
use percent_encoding::percent_decode_str;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Value;

/// One request as the gateway took it from the wire, whole.
#[derive(Clone, Debug)]
pub struct GatewayRequest {
    /// The gateway's id of the request.
    pub id: String,
    pub method: Method,
    /// As sent (percent-encoded), without the stage.
    pub path: String,
    /// As sent, without the question mark.
    pub query: Option<String>,
    /// With what the gateway adds (`X-Forwarded-For`, …).
    pub headers: HeaderMap,
    pub body: Bytes,
    pub source_ip: IpAddr,
    pub at: Millis,
    /// The host that was asked, with its port.
    pub host: String,
}

/// The API and stage that answers.
#[derive(Clone, Debug)]
pub struct ApiIdentity {
    pub account_id: String,
    pub region: String,
    pub api_id: String,
    pub stage: String,
    pub stage_variables: BTreeMap<String, String>,
}

impl ApiIdentity {
    /// The ARN that policies are written against:
    /// `arn:aws:execute-api:{region}:{account}:{api}/{stage}/{METHOD}/{path}`.
    pub fn method_arn(&self, method: &Method, path: &str) -> String {
        let Self { account_id, region, api_id, stage, .. } = self;
        format!("arn:aws:execute-api:{region}:{account_id}:{api_id}/{stage}/{method}/{}", path.trim_start_matches('/'))
    }
}

/// Values of `{name}` and `{name+}`, as sent.
pub type PathParameters = BTreeMap<String, String>;

/// The route that was chosen.
#[derive(Clone, Copy, Debug)]
pub struct RouteRef<'a> {
    /// `ANY` for every method.
    pub method: &'a str,
    /// `/a/{b}`, or `$default`.
    pub path: &'a str,
    pub parameters: &'a PathParameters,
}

/// What an authorizer said of the caller; every value is text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthorizerContext {
    pub principal_id: String,
    pub values: serde_json::Map<String, Value>,
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A header's value as text; bytes that are not UTF-8 are replaced.
fn text(value: &http::HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// `content-type` as `Content-Type`: HTTP/1 carries names in this form, and functions look for it.
fn title_case(name: &HeaderName) -> String {
    let mut start = true;
    name.as_str()
        .chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c };
            start = c == '-';
            shown
        })
        .collect()
}

/// `headers` of a version 1 event: the last value of each.
pub(super) struct LastValues<'a>(pub &'a HeaderMap);

impl Serialize for LastValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            if let Some(value) = self.0.get_all(name).iter().next_back() {
                map.serialize_entry(&title_case(name), &text(value))?;
            }
        }
        map.end()
    }
}

/// `multiValueHeaders`: all values of each.
pub(super) struct AllValues<'a>(pub &'a HeaderMap);

struct HeaderValues<'a>(&'a HeaderMap, &'a HeaderName);

impl Serialize for HeaderValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for value in self.0.get_all(self.1) {
            list.serialize_element(&text(value))?;
        }
        list.end()
    }
}

impl Serialize for AllValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            map.serialize_entry(&title_case(name), &HeaderValues(self.0, name))?;
        }
        map.end()
    }
}

/// `headers` of a version 2 event: lower-case names, values joined by commas, no cookies.
pub(super) struct JoinedValues<'a>(pub &'a HeaderMap);

impl Serialize for JoinedValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.0.keys().filter(|name| **name != http::header::COOKIE) {
            let values: Vec<_> = self.0.get_all(name).iter().map(text).collect();
            map.serialize_entry(name.as_str(), &values.join(","))?;
        }
        map.end()
    }
}

/// The cookies of a version 2 event, one an entry; `None` when there is none.
pub(super) fn cookies(headers: &HeaderMap) -> Option<Vec<String>> {
    let all: Vec<String> = headers
        .get_all(http::header::COOKIE)
        .iter()
        .flat_map(|value| text(value).split(';').map(|pair| pair.trim().to_owned()).collect::<Vec<_>>())
        .filter(|pair| !pair.is_empty())
        .collect();
    (!all.is_empty()).then_some(all)
}

/// A query, decoded, with the values of each name in order.
#[derive(Debug, Default)]
pub(super) struct Query(pub BTreeMap<String, Vec<String>>);

impl Query {
    pub fn parse(raw: Option<&str>) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            all.entry(name.into_owned()).or_default().push(value.into_owned());
        }
        Self(all)
    }

    /// The last value of each name; `None` when there is no query.
    pub fn last(&self) -> Option<BTreeMap<&str, &str>> {
        (!self.0.is_empty()).then(|| {
            self.0.iter().map(|(name, values)| (name.as_str(), values.last().map_or("", String::as_str))).collect()
        })
    }

    pub fn all(&self) -> Option<&BTreeMap<String, Vec<String>>> {
        (!self.0.is_empty()).then_some(&self.0)
    }

    /// The values of each name joined by commas (version 2).
    pub fn joined(&self) -> Option<BTreeMap<&str, String>> {
        (!self.0.is_empty()).then(|| self.0.iter().map(|(name, values)| (name.as_str(), values.join(","))).collect())
    }
}

/// `pathParameters`: percent-decoded; `None` when the route has none.
pub(super) fn path_parameters(parameters: &PathParameters) -> Option<BTreeMap<&str, Cow<'_, str>>> {
    (!parameters.is_empty()).then(|| {
        parameters.iter().map(|(name, value)| (name.as_str(), percent_decode_str(value).decode_utf8_lossy())).collect()
    })
}

/// The body as an event carries it: bytes in base64, or text.
pub(super) fn body_text(body: &[u8], binary: bool) -> Option<Cow<'_, str>> {
    use base64::Engine;
    if body.is_empty() {
        return None;
    }
    Some(if binary {
        Cow::Owned(base64::engine::general_purpose::STANDARD.encode(body))
    } else {
        String::from_utf8_lossy(body)
    })
}

pub(super) fn domain_prefix(host: &str) -> &str {
    host.split(['.', ':']).next().unwrap_or(host)
}

pub(super) fn domain_name(host: &str) -> &str {
    // `[::1]:80` keeps its brackets.
    match host.rfind(':') {
        Some(at) if !host[at..].contains(']') => &host[..at],
        _ => host,
    }
}
