//! A site's files over HTTP: validators, one range, and how long they keep.

use std::ops::Range;

use cloud::{BlobKey, BlobMeta, BlobStream, ETag, Millis};
use futures::StreamExt;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use http::{Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::object::{describe, none_match, parse_range, set};
use crate::http::{Reply, empty, streamed};

/// Where a file's bytes come from.
#[async_trait::async_trait]
pub trait FileBody: Send + Sync {
    /// The bytes of `range`, or all.
    async fn read(&self, range: Option<Range<u64>>) -> cloud::Result<BlobStream>;
}

/// A file to be served.
pub struct StaticFile {
    /// 200, or 404 for the document that is shown for what is not there.
    pub status: u16,
    pub length: u64,
    /// Without quotes.
    pub etag: String,
    pub modified: Millis,
    pub content_type: String,
    pub content_encoding: Option<String>,
    pub cache_control: Option<String>,
    pub body: Box<dyn FileBody>,
}

/// Answers a GET, or a HEAD.
pub async fn serve_file(file: StaticFile, headers: &HeaderMap, head: bool) -> Reply {
    let meta = BlobMeta {
        key: BlobKey::parse("file").expect("a legal key"),
        length: file.length,
        etag: ETag(file.etag),
        modified: file.modified,
        content_type: Some(file.content_type),
        content_encoding: file.content_encoding,
        // Browsers ask again on each visit, and mostly get a 304.
        cache_control: Some(file.cache_control.unwrap_or_else(|| "no-cache".into())),
    };
    let found = file.status == 200;
    if found && none_match(headers, &meta) {
        let mut reply = empty(StatusCode::NOT_MODIFIED);
        describe(reply.headers_mut(), &meta);
        return reply;
    }
    let asked = headers.get(RANGE).filter(|_| found).and_then(|range| parse_range(range.to_str().ok()?));
    let range = match asked.map(|range| range.resolve(meta.length)) {
        Some(None) => {
            let mut reply = empty(StatusCode::RANGE_NOT_SATISFIABLE);
            set(reply.headers_mut(), CONTENT_RANGE, &format!("bytes */{}", meta.length));
            return reply;
        }
        Some(range) => range,
        None => None,
    };
    let (length, partial) = (range.as_ref().map_or(meta.length, |range| range.end - range.start), range.clone());
    let mut reply = if head {
        empty(StatusCode::OK)
    } else {
        match file.body.read(range).await {
            Ok(body) => Response::new(streamed(StreamBody::new(body.map(|part| part.map(Frame::data))))),
            Err(error) => {
                tracing::error!(%error, "reading a site's file");
                return empty(StatusCode::INTERNAL_SERVER_ERROR);
            }
        }
    };
    *reply.status_mut() = StatusCode::from_u16(file.status).unwrap_or(StatusCode::OK);
    let headers = reply.headers_mut();
    describe(headers, &meta);
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(range) = partial {
        let text = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), meta.length);
        set(headers, CONTENT_RANGE, &text);
        *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    reply
}
