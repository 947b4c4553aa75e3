//! The listener: accepts, parses with strict limits, hands requests to a door, drains on shutdown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Reply, linger};

/// Answers requests.
#[async_trait::async_trait]
pub trait Door: Send + Sync + 'static {
    async fn answer(&self, request: http::Request<Incoming>, peer: SocketAddr) -> Reply;
}

#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Open connections.
    pub connections: usize,
    /// From the first wait for a request to its last header.
    pub head_timeout: Duration,
    /// How long open requests may take to end at shutdown.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 4_096, head_timeout: Duration::from_secs(30), drain: Duration::from_secs(5) }
    }
}

/// Header lines of one request.
const HEADERS_MAX: usize = 200;
/// The parser's buffer (bytes). A head that does not fit is refused by the parser; the exact limit is `check_head`'s.
const BUFFER_MAX: usize = 64 * 1024;

/// Serves until `shutdown`, then lets open requests end.
pub async fn serve(listener: TcpListener, door: Arc<dyn Door>, limits: ServerLimits, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let (door, shutdown) = (Arc::clone(&door), shutdown.clone());
        connections.spawn(async move {
            connection(stream, peer, door, limits, shutdown).await;
            drop(place);
        });
    }
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "connections were cut at shutdown");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            // Out of file descriptors, mostly: wait for connections to end.
            tracing::warn!(%error, "accepting a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    door: Arc<dyn Door>,
    limits: ServerLimits,
    shutdown: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let (stream, rest) = linger::split(stream);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request, peer).await) }
    });
    let ended = {
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_MAX)
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            ended = serving.as_mut() => ended,
            () = shutdown.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
    tokio::select! {
        () = rest.linger() => {}
        () = shutdown.cancelled() => {}
    }
}
