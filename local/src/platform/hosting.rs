//! Deployed stacks, as the gateway sees them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cloud::{BlobStream, Error};
use cloud_local::{LocalStacks, Site, SiteFile};
use serde_json::Value;

use crate::functions::InvokeError;
use crate::gateway::{FileBody, StaticFile};
use crate::sites::{Hosted, Hosts};

/// The stacks of this machine by their host label.
pub struct StackHosts(pub LocalStacks);

#[async_trait::async_trait]
impl Hosts for StackHosts {
    async fn host(&self, label: &str) -> Option<Arc<dyn Hosted>> {
        self.0.site(label).map(|site| site as Arc<dyn Hosted>)
    }
}

#[async_trait::async_trait]
impl Hosted for Site {
    fn app(&self) -> &sam::App {
        &self.app
    }

    fn has_files(&self) -> bool {
        Site::has_files(self)
    }

    async fn file(&self, path: &str) -> cloud::Result<Option<StaticFile>> {
        Ok(Site::file(self, path).await?.map(static_file))
    }

    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        let invoked = Site::invoke(self, function, event).await.map_err(|error| match error {
            Error::TooLarge { .. } => InvokeError::EventTooLarge,
            Error::Unavailable(_) => InvokeError::Throttled,
            error => InvokeError::Unavailable(error.to_string()),
        })?;
        match invoked.function_error {
            None => Ok(invoked.payload),
            Some(_) => Err(InvokeError::Unhandled { message: error_message(&invoked.payload) }),
        }
    }
}

/// The `errorMessage` of a function's error object.
fn error_message(payload: &[u8]) -> String {
    let object: Value = serde_json::from_slice(payload).unwrap_or_default();
    object["errorMessage"].as_str().unwrap_or("Unhandled").to_owned()
}

struct Body(SiteFile);

#[async_trait::async_trait]
impl FileBody for Body {
    async fn read(&self, range: Option<Range<u64>>) -> cloud::Result<BlobStream> {
        self.0.body(range).await
    }
}

fn static_file(file: SiteFile) -> StaticFile {
    StaticFile {
        status: file.status,
        length: file.length,
        etag: file.etag.clone(),
        modified: file.modified,
        content_type: file.content_type.clone(),
        content_encoding: file.content_encoding.clone(),
        cache_control: file.cache_control.clone(),
        body: Box::new(Body(file)),
    }
}
