//! One open connection: a reader that turns messages into events, and a writer that a slow client cannot fill.

use cloud::Millis;
use cloud::limits::{SOCKET_FRAME_MAX, SOCKET_MESSAGE_MAX};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_util::sync::CancellationToken;

use super::hub::{Outbox, OutboxReader, Outgoing, outbox};
use super::route;
use super::server::SocketServer;
use super::throttle::Throttle;
use crate::events::{SocketEventKind, SocketSession};

/// How long a closing client has to answer the close.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How long, and for how much, a closed connection is still read: a reset would take the close frame from the client.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;
/// Bytes buffered between the socket and the frames.
const BUFFER: usize = 8 * 1024;

/// How a connection ended, for `$disconnect`.
struct Ending {
    code: u16,
    reason: String,
}

impl Ending {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

pub(super) struct Connection<'a> {
    server: &'a SocketServer,
    session: SocketSession,
    throttle: Throttle,
    throttled: u32,
}

impl<'a> Connection<'a> {
    pub fn new(server: &'a SocketServer, session: SocketSession) -> Self {
        let limits = server.shared.settings.limits;
        let throttle = Throttle::new(limits.rate, limits.rate, session.connected);
        Self { server, session, throttle, throttled: 0 }
    }

    /// Serves the connection until it ends, then tells `$disconnect`.
    pub async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(mut self, stream: S) {
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            .max_write_buffer_size(4 * SOCKET_MESSAGE_MAX)
            .max_message_size(Some(SOCKET_MESSAGE_MAX))
            .max_frame_size(Some(SOCKET_FRAME_MAX));
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let (mut sink, mut stream) = socket.split();
        let (outbox, outbox_reader) = outbox();
        let cut = CancellationToken::new();
        let hub = self.server.shared.settings.hub.clone();
        hub.insert(&self.session.connection_id, outbox.clone(), cut.clone());
        let ending = {
            let id = self.session.connection_id.clone();
            let writing = write(&mut sink, outbox_reader, self.server.shared.settings.limits.write);
            let reading = self.read(&mut stream, outbox);
            tokio::pin!(writing, reading);
            tokio::select! {
                // The reader says how it ended; the writer then has its time to say goodbye.
                ending = &mut reading => {
                    hub.remove(&id);
                    let _ = timeout(CLOSE_WAIT, &mut writing).await;
                    ending
                }
                written = &mut writing => match written {
                    // A close was sent: wait for the client's own.
                    Some((code, reason)) => {
                        let _ = timeout(CLOSE_WAIT, &mut reading).await;
                        Ending::new(code, reason)
                    }
                    None => Ending::new(1006, "The client does not take its messages"),
                },
                () = cut.cancelled() => Ending::new(1008, "The client does not keep up"),
            }
        };
        hub.remove(&self.session.connection_id);
        if let Ok(socket) = stream.reunite(sink) {
            let _ = timeout(LINGER, linger(socket.into_inner())).await;
        }
        self.server.shared.disconnected(&self.session, ending.code, &ending.reason).await;
    }

    async fn read<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &mut self,
        stream: &mut SplitStream<WebSocketStream<S>>,
        outbox: Outbox,
    ) -> Ending {
        let limits = self.server.shared.settings.limits;
        let end = Instant::now() + limits.life;
        loop {
            let wait = limits.idle.min(end.saturating_duration_since(Instant::now()));
            let Ok(next) = timeout(wait, stream.next()).await else {
                let reason = if Instant::now() >= end { "Connection duration exceeded" } else { "Connection is idle" };
                outbox.close(1001, reason);
                return Ending::new(1001, reason);
            };
            let text = match next {
                None => return Ending::new(1006, "Abnormal closure"),
                Some(Err(error)) => return refuse(&error, &outbox),
                Some(Ok(Message::Close(frame))) => {
                    outbox.close(1000, "");
                    return frame.map_or(Ending::new(1005, "Client-side close frame status not set"), |frame| {
                        Ending::new(frame.code.into(), frame.reason.as_str())
                    });
                }
                Some(Ok(Message::Binary(_))) => {
                    outbox.close(1003, "Only text is taken");
                    return Ending::new(1003, "Only text is taken");
                }
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            };
            if let Err(ending) = self.message(text.as_str(), &outbox).await {
                return ending;
            }
        }
    }

    async fn message(&mut self, text: &str, outbox: &Outbox) -> Result<(), Ending> {
        let shared = &self.server.shared;
        let now: Millis = shared.settings.clock.now();
        if !self.throttle.take(now) {
            self.throttled += 1;
            if self.throttled > shared.settings.limits.throttled {
                outbox.close(1008, "Too many messages");
                return Err(Ending::new(1008, "Too many messages"));
            }
            self.answer(outbox, "Too Many Requests");
            return Ok(());
        }
        let key = route::select(&shared.settings.selection, &shared.route_keys, text);
        let kind = SocketEventKind::Message {
            route_key: key.to_owned(),
            message_id: shared.request_id(),
            body: text.to_owned(),
        };
        match shared.event(key, &self.session, &kind).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::error!(%error, connection = self.session.connection_id, "a message failed");
                self.answer(outbox, "Internal server error");
            }
            None => self.answer(outbox, "Forbidden"),
        }
        Ok(())
    }

    /// What API Gateway itself sends. A client that does not read its answers loses them.
    fn answer(&self, outbox: &Outbox, message: &str) {
        let body = json!({
            "message": message,
            "connectionId": self.session.connection_id,
            "requestId": self.server.shared.request_id(),
        });
        let _ = outbox.text(body.to_string());
    }
}

/// Ends our side and reads what the client has on its way.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let _ = stream.shutdown().await;
    let (mut buffer, mut read) = ([0; BUFFER], 0);
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        read += n;
        if read > LINGER_BYTES {
            break;
        }
    }
}

/// Closes with the code that RFC 6455, section 7.4.1, has for `error`.
fn refuse(error: &SocketError, outbox: &Outbox) -> Ending {
    let (code, reason) = match error {
        SocketError::Capacity(_) => (1009, "Message too big"),
        SocketError::Utf8(_) => (1007, "Text is not UTF-8"),
        SocketError::Protocol(tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            return Ending::new(1006, "Abnormal closure");
        }
        SocketError::Protocol(_) => (1002, "Protocol error"),
        _ => return Ending::new(1006, "Abnormal closure"),
    };
    outbox.close(code, reason);
    Ending::new(code, reason)
}

/// Sends what is queued, until a close has been sent (its code and reason) or the client is lost (`None`).
async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    mut queue: OutboxReader,
    patience: Duration,
) -> Option<(u16, &'static str)> {
    loop {
        // The reader holds an outbox as long as it runs.
        let Some(next) = queue.next().await else { return Some((1000, "")) };
        let (message, size, end) = match next {
            Outgoing::Text(text) => {
                let size = text.len();
                (Message::text(text), size, None)
            }
            Outgoing::Close { code, reason } => {
                let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                (Message::Close(Some(frame)), 0, Some((code, reason)))
            }
        };
        let sent = timeout(patience, sink.send(message)).await;
        queue.written(size);
        if let Some(end) = end {
            let _ = timeout(patience, sink.close()).await;
            return Some(end);
        }
        if !matches!(sent, Ok(Ok(()))) {
            return None;
        }
    }
}
