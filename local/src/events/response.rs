//! What a function answers, as an HTTP response.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// A response as the function meant it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunctionReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why an answer is no response; the gateway says 502.
#[derive(Debug, thiserror::Error)]
#[error("the function's answer is no response: {0}")]
pub struct ReplyError(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    status_code: Option<Value>,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    multi_value_headers: Option<BTreeMap<String, Vec<Value>>>,
    #[serde(default)]
    cookies: Option<Vec<String>>,
    #[serde(borrow, default)]
    body: Option<&'a serde_json::value::RawValue>,
    #[serde(default)]
    is_base64_encoded: Option<bool>,
}

/// Reads a REST API's answer (and version 1.0 of an HTTP API's).
///
/// `decode`: the API has a binary type that the client accepts, so base64 is undone (API Gateway developer guide,
/// "Content type conversions"); without one the base64 text itself is sent.
pub fn parse_rest_reply(payload: &[u8], decode: bool) -> Result<FunctionReply, ReplyError> {
    let reply: Reply<'_> = serde_json::from_slice(payload).map_err(|error| ReplyError(error.to_string()))?;
    let status = reply.status_code.as_ref().ok_or_else(|| ReplyError("it has no statusCode".into()))?;
    let mut headers = HeaderMap::new();
    for (name, values) in reply.multi_value_headers.unwrap_or_default() {
        let name = header_name(&name)?;
        for value in &values {
            headers.append(name.clone(), header_value(value)?);
        }
    }
    for (name, value) in reply.headers.unwrap_or_default() {
        let (name, value) = (header_name(&name)?, header_value(&value)?);
        // A name in both maps keeps the list; a value that only `headers` has joins it.
        if !headers.get_all(&name).iter().any(|known| *known == value) {
            headers.append(name, value);
        }
    }
    let body = body(reply.body, decode && reply.is_base64_encoded == Some(true))?;
    Ok(FunctionReply { status: status_code(status)?, headers, body })
}

/// Between the head and the body of a streamed answer.
const STREAM_DELIMITER: [u8; 8] = [0; 8];

/// Reads a streamed answer of a REST API that was collected: the head, and the body after it ("Lambda proxy integration
/// format for response streaming").
pub fn parse_streamed_reply(payload: &Bytes) -> Result<(FunctionReply, Bytes), ReplyError> {
    let delimiter = payload.windows(STREAM_DELIMITER.len()).position(|part| part == STREAM_DELIMITER);
    let at = delimiter.ok_or_else(|| ReplyError("it has no eight zero bytes after its head".into()))?;
    let head: Reply<'_> = serde_json::from_slice(&payload[..at]).map_err(|error| ReplyError(error.to_string()))?;
    let cookies = head.cookies.unwrap_or_default();
    let mut reply = parse_rest_reply(&payload[..at], false)?;
    for cookie in cookies {
        reply.headers.append(http::header::SET_COOKIE, header_value(&Value::from(cookie))?);
    }
    Ok((reply, payload.slice(at + STREAM_DELIMITER.len()..)))
}

/// Reads an HTTP API's answer in version 2.0: a response, or any JSON, which is then the body of a 200.
pub fn parse_http_reply(payload: &[u8]) -> Result<FunctionReply, ReplyError> {
    let structured = serde_json::from_slice::<Reply<'_>>(payload).ok().filter(|reply| reply.status_code.is_some());
    let Some(reply) = structured else {
        let value: Value = serde_json::from_slice(payload).map_err(|error| ReplyError(error.to_string()))?;
        if value.get("statusCode").is_some() {
            return Err(ReplyError("its parts have other types than a response's".into()));
        }
        let body = match value {
            Value::String(text) => Bytes::from(text),
            Value::Null => Bytes::new(),
            _ => Bytes::copy_from_slice(payload),
        };
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(FunctionReply { status: StatusCode::OK, headers, body });
    };
    let mut headers = HeaderMap::new();
    for (name, value) in reply.headers.unwrap_or_default() {
        headers.insert(header_name(&name)?, header_value(&value)?);
    }
    for cookie in reply.cookies.unwrap_or_default() {
        let value = HeaderValue::from_str(&cookie).map_err(|_| ReplyError("a cookie is not a header value".into()))?;
        headers.append(http::header::SET_COOKIE, value);
    }
    let status = status_code(&reply.status_code.unwrap_or(Value::Null))?;
    Ok(FunctionReply { status, headers, body: body(reply.body, reply.is_base64_encoded == Some(true))? })
}

fn status_code(value: &Value) -> Result<StatusCode, ReplyError> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number
        .filter(|number| number.fract() == 0.0 && (200.0..600.0).contains(number))
        .and_then(|number| StatusCode::from_u16(number as u16).ok())
        .ok_or_else(|| ReplyError(format!("`{value}` is no statusCode")))
}

fn header_name(name: &str) -> Result<HeaderName, ReplyError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| ReplyError("a header's name is not a token".into()))
}

fn header_value(value: &Value) -> Result<HeaderValue, ReplyError> {
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Null => Cow::Borrowed(""),
        Value::Bool(_) | Value::Number(_) => Cow::Owned(value.to_string()),
        Value::Array(_) | Value::Object(_) => return Err(ReplyError("a header's value is not text".into())),
    };
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| ReplyError("a header's value has control characters".into()))
}

fn body(raw: Option<&serde_json::value::RawValue>, decode: bool) -> Result<Bytes, ReplyError> {
    let Some(raw) = raw.map(serde_json::value::RawValue::get).filter(|raw| *raw != "null") else {
        return Ok(Bytes::new());
    };
    let text: Cow<'_, str> =
        serde_json::from_str::<Text<'_>>(raw).map_err(|_| ReplyError("its body is not text".into()))?.0;
    if !decode {
        return Ok(Bytes::from(text.into_owned()));
    }
    base64::engine::general_purpose::STANDARD
        .decode(text.as_bytes())
        .map(Bytes::from)
        .map_err(|_| ReplyError("its body is not base64".into()))
}

/// Text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rest(value: &Value) -> Result<FunctionReply, ReplyError> {
        parse_rest_reply(value.to_string().as_bytes(), true)
    }

    #[test]
    fn a_rest_answer_carries_status_headers_and_body() {
        let reply = rest(&json!({ "statusCode": 201, "headers": { "Content-Type": "text/plain", "X-Count": 3 },
            "multiValueHeaders": { "Set-Cookie": ["a=1", "b=2"] }, "body": "h\u{e9}llo\n" }))
        .unwrap();
        assert_eq!(reply.status, 201);
        assert_eq!(reply.headers["x-count"], "3");
        assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(reply.body, "héllo\n".as_bytes());
    }

    #[test]
    fn base64_is_undone_only_where_the_api_is_binary() {
        let raw = br#"{"statusCode":200,"body":"AP8=","isBase64Encoded":true}"#;
        assert_eq!(parse_rest_reply(raw, true).unwrap().body.as_ref(), [0, 255]);
        assert_eq!(parse_rest_reply(raw, false).unwrap().body, "AP8=");
        assert!(rest(&json!({ "statusCode": 200, "body": "%%", "isBase64Encoded": true })).is_err());
    }

    #[test]
    fn nulls_are_as_absent() {
        let reply = rest(&json!({ "statusCode": "204", "headers": null, "multiValueHeaders": null, "body": null,
            "isBase64Encoded": null }))
        .unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0));
    }

    #[test]
    fn what_is_no_response_is_an_error() {
        for value in [
            json!(null),
            json!("text"),
            json!({}),
            json!({ "statusCode": 99 }),
            json!({ "statusCode": 101 }),
            json!({ "statusCode": 200.5 }),
            json!({ "statusCode": 200, "body": { "a": 1 } }),
            json!({ "statusCode": 200, "headers": { "a b": "c" } }),
            json!({ "statusCode": 200, "headers": { "a": "b\r\nSet-Cookie: c" } }),
            json!({ "statusCode": 200, "headers": { "a": ["b"] } }),
        ] {
            assert!(rest(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_streamed_answer_is_a_head_and_a_body() {
        let head =
            br#"{"statusCode":206,"headers":{"x-a":"1"},"multiValueHeaders":{"x-b":["2","3"]},"cookies":["a=1"]}"#;
        let payload = Bytes::from([head.as_slice(), &[0; 8], b"\0\xffbody"].concat());
        let (reply, body) = parse_streamed_reply(&payload).unwrap();
        assert_eq!((reply.status.as_u16(), body.as_ref()), (206, b"\0\xffbody".as_slice()));
        assert_eq!(
            (&reply.headers["x-a"], &reply.headers["set-cookie"]),
            (&"1".parse().unwrap(), &"a=1".parse().unwrap())
        );
        assert_eq!(reply.headers.get_all("x-b").iter().count(), 2);
        for bad in [head.to_vec(), [b"{}".as_slice(), &[0; 8]].concat(), [b"x".as_slice(), &[0; 8]].concat()] {
            assert!(parse_streamed_reply(&bad.into()).is_err());
        }
    }

    #[test]
    fn a_version_2_answer_may_be_any_json() {
        let structured = parse_http_reply(br#"{"statusCode":200,"cookies":["a=1","b=2"],"body":"x"}"#).unwrap();
        assert_eq!(structured.headers.get_all("set-cookie").iter().count(), 2);
        let object = parse_http_reply(br#"{"hello":"world"}"#).unwrap();
        assert_eq!((object.status.as_u16(), object.body.as_ref()), (200, br#"{"hello":"world"}"#.as_slice()));
        assert_eq!(object.headers["content-type"], "application/json");
        assert_eq!(parse_http_reply(br#""plain""#).unwrap().body, "plain");
        assert!(parse_http_reply(br#"{"statusCode":"x"}"#).is_err());
        assert!(parse_http_reply(b"not json").is_err());
    }
}
