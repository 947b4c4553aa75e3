//! Accepts connections on a loopback port and a Unix socket.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Error, Result};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::WireSettings;
use super::dispatch::Endpoint;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// A request's head must be there after this.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// How long requests under way may take to finish when the endpoint stops.
const DRAIN: Duration = Duration::from_secs(5);
/// After an accept that failed (no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is cancelled, on `listener` and on the Unix socket `socket` (mode 0600; a stale one is
/// replaced). Functions in sandboxes come through the socket.
pub async fn serve(
    listener: TcpListener,
    socket: Option<PathBuf>,
    settings: WireSettings,
    stop: CancellationToken,
) -> Result<()> {
    let connections = Connections {
        endpoint: Arc::new(Endpoint::new(settings)),
        slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        stop: stop.clone(),
        tasks: TaskTracker::new(),
    };
    let unix = socket.as_ref().map(|path| bind_unix(path)).transpose()?;
    let over_unix = async {
        match unix {
            Some(unix) => connections.accept_unix(unix).await,
            None => stop.cancelled().await,
        }
    };
    tokio::join!(connections.accept_tcp(listener), over_unix);
    connections.tasks.close();
    if tokio::time::timeout(DRAIN, connections.tasks.wait()).await.is_err() {
        tracing::warn!("service calls were cut off at shutdown");
    }
    if let Some(path) = socket {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

fn bind_unix(path: &std::path::Path) -> Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |error| Error::other(format!("opening the socket `{}`", path.display()), error);
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

struct Connections {
    endpoint: Arc<Endpoint>,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Connections {
    async fn accept_tcp(&self, listener: TcpListener) {
        while let Some(slot) = self.slot().await {
            tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let _ = stream.set_nodelay(true);
                        self.spawn(stream, slot);
                    }
                    Err(error) => accept_failed(&error).await,
                },
            }
        }
    }

    async fn accept_unix(&self, listener: UnixListener) {
        while let Some(slot) = self.slot().await {
            tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.spawn(stream, slot),
                    Err(error) => accept_failed(&error).await,
                },
            }
        }
    }

    /// Room for one more connection; `None` when the endpoint stops.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            slot = self.slots.clone().acquire_owned() => slot.ok(),
        }
    }

    fn spawn<S>(&self, stream: S, slot: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (endpoint, stop) = (self.endpoint.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let _slot = slot;
            let service = service_fn(move |request| {
                let endpoint = endpoint.clone();
                async move { Ok::<_, Infallible>(endpoint.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WAIT)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the service endpoint ended early");
            }
        });
    }
}

async fn accept_failed(error: &std::io::Error) {
    tracing::warn!(%error, "accepting a connection to the service endpoint failed");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
