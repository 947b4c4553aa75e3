//! The `aws` integration with S3: one object by key, with its stored headers, ranges and conditions.

use std::sync::Arc;

use cloud::limits::GATEWAY_PAYLOAD_MAX;
use cloud::{Blob, BlobKey, BlobMeta, Blobs, ByteRange, Error};
use futures::StreamExt;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, RANGE,
};
use http::{Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use percent_encoding::percent_decode_str;
use sam::S3Integration;

use super::mapping::{self, Backend};
use crate::events::{GatewayRequest, PathParameters};
use crate::http::{Reply, ReplyBody, empty, full, streamed};

/// Buckets by their physical name.
pub trait Buckets: Send + Sync {
    fn bucket(&self, name: &str) -> Option<Arc<dyn Blobs>>;
}

/// Answers through the integration's mapping; `None` when its configuration does not fit the request.
pub async fn answer(
    integration: &S3Integration,
    buckets: &dyn Buckets,
    request: &GatewayRequest,
    parameters: &PathParameters,
) -> Option<Reply> {
    let bucket = buckets.bucket(&integration.bucket)?;
    let key = object_key(integration, parameters)?;
    let mut passed = HeaderMap::new();
    for (to, from) in &integration.request_parameters {
        let (Some(to), Some(from)) =
            (to.strip_prefix("integration.request.header."), from.strip_prefix("method.request.header."))
        else {
            continue;
        };
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(to.as_bytes()), request.headers.get(from)) {
            passed.insert(name, value.clone());
        }
    }
    let stored = fetch(bucket.as_ref(), key, &passed, integration.method == "HEAD").await;
    mapping::map(&integration.responses, Backend { status: stored.status(), headers: stored.headers().clone() }, || {
        stored.into_body()
    })
}

/// The key, its `{name}`s filled in; `None` when one has no mapping.
fn object_key(integration: &S3Integration, parameters: &PathParameters) -> Option<Result<BlobKey, ()>> {
    let mut key = integration.key.clone();
    for (to, from) in &integration.request_parameters {
        let Some(name) = to.strip_prefix("integration.request.path.") else { continue };
        let value = match from.strip_prefix("method.request.path.") {
            // What is no UTF-8 names no object, as a key that S3 would not take.
            Some(parameter) => match percent_decode_str(parameters.get(parameter)?).decode_utf8() {
                Ok(value) => value.into_owned(),
                Err(_) => return Some(Err(())),
            },
            None => from.strip_prefix('\'')?.strip_suffix('\'')?.to_owned(),
        };
        key = key.replace(&format!("{{{name}}}"), &value);
    }
    Some(BlobKey::parse(key).map_err(drop))
}

/// What S3's GetObject answers.
async fn fetch(bucket: &dyn Blobs, key: Result<BlobKey, ()>, headers: &HeaderMap, head: bool) -> Reply {
    let Ok(key) = key else { return empty(StatusCode::NOT_FOUND) };
    let range = headers.get(RANGE).and_then(|range| parse_range(range.to_str().ok()?));
    let conditional = headers.contains_key(IF_NONE_MATCH);
    if head || conditional || range.is_some() {
        let meta = match bucket.head(&key).await {
            Ok(meta) => meta,
            Err(error) => return failed(&error),
        };
        if conditional && none_match(headers, &meta) {
            let mut reply = empty(StatusCode::NOT_MODIFIED);
            describe(reply.headers_mut(), &meta);
            return reply;
        }
        if range.is_some_and(|range| range.resolve(meta.length).is_none()) {
            let mut reply = empty(StatusCode::RANGE_NOT_SATISFIABLE);
            set(reply.headers_mut(), CONTENT_RANGE, &format!("bytes */{}", meta.length));
            return reply;
        }
        if head {
            let mut reply = empty(StatusCode::OK);
            describe(reply.headers_mut(), &meta);
            reply.headers_mut().insert(CONTENT_LENGTH, meta.length.into());
            return reply;
        }
    }
    match bucket.get(&key, range).await {
        Ok(blob) => found(blob, range.is_some()),
        Err(error) => failed(&error),
    }
}

fn found(blob: Blob, partial: bool) -> Reply {
    let length = blob.range.end - blob.range.start;
    if length > GATEWAY_PAYLOAD_MAX as u64 {
        tracing::error!(key = %blob.meta.key, length, "an object over the gateway's 10 MB cannot be served through it");
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let mut reply = Response::new(streamed(StreamBody::new(blob.body.map(|part| part.map(Frame::data)))));
    let headers = reply.headers_mut();
    describe(headers, &blob.meta);
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if partial {
        let text = format!("bytes {}-{}/{}", blob.range.start, blob.range.end.saturating_sub(1), blob.meta.length);
        set(headers, CONTENT_RANGE, &text);
        *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    reply
}

fn failed(error: &Error) -> Reply {
    match error {
        Error::NotFound(_) => empty(StatusCode::NOT_FOUND),
        Error::Invalid(_) => empty(StatusCode::RANGE_NOT_SATISFIABLE),
        Error::Unavailable(_) => empty(StatusCode::SERVICE_UNAVAILABLE),
        error => {
            tracing::error!(%error, "reading an object");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

pub(super) fn describe(headers: &mut HeaderMap, meta: &BlobMeta) {
    let kind = meta.content_type.as_deref().unwrap_or("binary/octet-stream");
    set(headers, CONTENT_TYPE, kind);
    set(headers, ETAG, &format!("\"{}\"", meta.etag.0));
    if let Some(encoding) = &meta.content_encoding {
        set(headers, CONTENT_ENCODING, encoding);
    }
    if let Some(control) = &meta.cache_control {
        set(headers, CACHE_CONTROL, control);
    }
}

pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// RFC 9110, section 13.1.2, with weak comparison.
pub(super) fn none_match(headers: &HeaderMap, meta: &BlobMeta) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|tag| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || tag.trim_matches('"') == meta.etag.0
        })
    })
}

/// One byte range. What is malformed, in another unit, or more than one range is ignored, as S3 does; a number that
/// does not fit lies past every end.
pub(super) fn parse_range(raw: &str) -> Option<ByteRange> {
    let (first, last) = raw.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = (first.trim(), last.trim());
    match (first.is_empty(), last.is_empty()) {
        (true, false) => Some(ByteRange::Last(number(last)?)),
        (false, true) => Some(ByteRange::From(number(first)?)),
        (false, false) => {
            let (start, end) = (number(first)?, number(last)?);
            (start <= end).then_some(ByteRange::Within { start, end: end.saturating_add(1) })
        }
        (true, true) => None,
    }
}

/// A body that a mapping replaces is dropped unread.
pub(super) fn text(body: String) -> ReplyBody {
    full(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_anything_else_is_ignored() {
        assert_eq!(parse_range("bytes=0-4"), Some(ByteRange::Within { start: 0, end: 5 }));
        assert_eq!(parse_range("bytes=5-"), Some(ByteRange::From(5)));
        assert_eq!(parse_range("bytes=-3"), Some(ByteRange::Last(3)));
        let overflow = parse_range("bytes=99999999999999999999-").unwrap();
        assert_eq!(overflow.resolve(10), None);
        assert_eq!(parse_range("bytes=0-99999999999999999999").and_then(|range| range.resolve(10)), Some(0..10));
        let many = format!("bytes={}", vec!["0-1"; 1_000].join(","));
        for raw in ["", "bytes=", "bytes=-", "bytes=4-2", "items=0-1", "bytes=a-b", "bytes=+1-2", many.as_str()] {
            assert_eq!(parse_range(raw), None, "{raw}");
        }
    }
}
