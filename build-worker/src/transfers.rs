//! Presigned addresses over HTTP.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use build_worker::apart::{TransferError, Transfers};
use cloud::Presigned;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use http::header::CONTENT_LENGTH;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

/// A transfer is tried this often, with a pause that doubles.
const ATTEMPTS_MAX: u32 = 4;
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest of one transfer.
const TRANSFER_MAX: Duration = Duration::from_secs(300);
/// How much of a file is read at a time (bytes).
const CHUNK: usize = 256 * 1024;

type Body = BoxBody<Bytes, std::io::Error>;

/// Reads and writes with whatever the address itself permits.
pub struct HttpTransfers {
    client: Client<HttpsConnector<HttpConnector>, Body>,
}

impl HttpTransfers {
    pub fn new() -> std::io::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    async fn ask(&self, at: &Presigned, body: Body, length: Option<u64>) -> Result<Response<Incoming>, TransferError> {
        let mut request = Request::builder().method(at.method.as_str()).uri(&at.url);
        for (name, value) in &at.headers {
            request = request.header(name, value);
        }
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        let request = request.body(body).map_err(|error| TransferError(format!("an address is none: {error}")))?;
        // The address is a secret: errors do not name it.
        self.client.request(request).await.map_err(|error| TransferError(format!("no answer from the store: {error}")))
    }

    async fn read(&self, from: &Presigned, file: &Path, most: u64) -> Result<(), TransferError> {
        let answer = self.ask(from, empty(), None).await?;
        refuse(answer.status())?;
        let (mut body, mut length) = (answer.into_body().into_data_stream(), 0);
        let mut file = tokio::fs::File::create(file).await.map_err(disk)?;
        while let Some(part) = body.try_next().await.map_err(|e| TransferError(format!("the answer broke off: {e}")))? {
            length += part.len() as u64;
            if length > most {
                return Err(TransferError(format!("what is there is longer than {most} bytes")));
            }
            file.write_all(&part).await.map_err(disk)?;
        }
        file.flush().await.map_err(disk)
    }

    async fn write(&self, to: &Presigned, file: &Path) -> Result<(), TransferError> {
        let file = tokio::fs::File::open(file).await.map_err(disk)?;
        let length = file.metadata().await.map_err(disk)?.len();
        let body = StreamBody::new(ReaderStream::with_capacity(file, CHUNK).map_ok(Frame::data));
        let answer = self.ask(to, BodyExt::boxed(body), Some(length)).await?;
        refuse(answer.status())
    }
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

fn disk(error: std::io::Error) -> TransferError {
    TransferError(format!("working on a file: {error}"))
}

fn refuse(status: StatusCode) -> Result<(), TransferError> {
    if status.is_success() { Ok(()) } else { Err(TransferError(format!("the store answers {status}"))) }
}

/// Tries again what may have failed by chance. Both kinds of transfer come to the same however often they are made.
async fn again<'a, T>(transfer: impl Fn() -> BoxFuture<'a, Result<T, TransferError>>) -> Result<T, TransferError> {
    let mut pause = PAUSE_FIRST;
    for _ in 1..ATTEMPTS_MAX {
        match tokio::time::timeout(TRANSFER_MAX, transfer()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => tracing::warn!(%error, "a transfer failed"),
            Err(_) => tracing::warn!("a transfer took too long"),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    transfer().await
}

#[async_trait]
impl Transfers for HttpTransfers {
    async fn get(&self, from: &Presigned, file: &Path, most: u64) -> Result<(), TransferError> {
        again(|| self.read(from, file, most).boxed()).await
    }

    async fn put(&self, to: &Presigned, file: &Path) -> Result<(), TransferError> {
        again(|| self.write(to, file).boxed()).await
    }

    async fn exists(&self, at: &Presigned) -> Result<bool, TransferError> {
        Ok(self.ask(at, empty(), None).await?.status().is_success())
    }
}
