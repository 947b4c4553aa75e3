//! A static front end: files by path, with an index for folders.

use std::sync::Arc;

use cloud::{BlobKey, Blobs};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use super::object;
use crate::http::{Reply, empty, full};

/// Files below a prefix of a bucket.
#[derive(Clone)]
pub struct StaticFiles {
    pub bucket: Arc<dyn Blobs>,
    /// Ends with `/`, or is empty.
    pub prefix: String,
    /// The file of a folder: `index.html`.
    pub index: String,
    /// The file that is shown for what is not there.
    pub error: Option<String>,
}

impl StaticFiles {
    /// The file at `path`, or the index of the folder; `None` when there is neither.
    pub async fn answer(&self, path: &str, headers: &HeaderMap, head: bool) -> Option<Reply> {
        let decoded = percent_decode_str(path.trim_start_matches('/')).decode_utf8().ok()?;
        if decoded.split('/').any(|part| part == "..") {
            return None;
        }
        let folder = decoded.is_empty() || decoded.ends_with('/');
        let name = if folder { format!("{decoded}{}", self.index) } else { decoded.into_owned() };
        if let Some(reply) = self.file(&name, headers, head).await {
            return Some(reply);
        }
        // A folder without its slash: relative links in its index need the slash.
        let inside = BlobKey::parse(format!("{}{name}/{}", self.prefix, self.index)).ok()?;
        if !folder && self.bucket.head(&inside).await.is_ok() {
            let mut reply = empty(StatusCode::MOVED_PERMANENTLY);
            reply.headers_mut().insert(http::header::LOCATION, HeaderValue::from_str(&format!("{path}/")).ok()?);
            return Some(reply);
        }
        None
    }

    /// What is shown for a path that has no file.
    pub async fn missing(&self, headers: &HeaderMap) -> Reply {
        if let Some(error) = &self.error {
            let mut plain = headers.clone();
            plain.remove(http::header::RANGE);
            plain.remove(http::header::IF_NONE_MATCH);
            if let Some(mut reply) = self.file(error, &plain, false).await {
                *reply.status_mut() = StatusCode::NOT_FOUND;
                return reply;
            }
        }
        let mut reply = empty(StatusCode::NOT_FOUND);
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        *reply.body_mut() = full("Not found\n");
        reply
    }

    async fn file(&self, name: &str, headers: &HeaderMap, head: bool) -> Option<Reply> {
        let key = BlobKey::parse(format!("{}{name}", self.prefix)).ok()?;
        let mut reply = object::fetch(self.bucket.as_ref(), Ok(key), headers, head).await;
        if reply.status() == StatusCode::NOT_FOUND {
            return None;
        }
        // Browsers ask again on each visit, and mostly get a 304.
        reply.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        Some(reply)
    }
}

impl std::fmt::Debug for StaticFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticFiles").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
