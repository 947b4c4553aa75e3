//! The WebSocket API against a client: events, limits, close codes (cases WS-005, WS-011 to WS-014 of the house).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloud::{ConnectionId, Posted, Sockets, SystemClock, SystemEntropy};
use futures::{SinkExt, StreamExt};
use hyper::body::Incoming;
use local::events::SocketApi;
use local::functions::{Functions, InvokeError};
use local::http::{Door, Reply, ServerLimits, serve};
use local::socket::{Hub, SocketLimits, SocketServer, SocketSettings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

/// Keeps every event; lets in who has a ticket, and fails on demand.
#[derive(Default)]
struct Recorder {
    events: Mutex<Vec<Value>>,
}

#[async_trait::async_trait]
impl Functions for Recorder {
    async fn invoke(&self, _: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        let event: Value = serde_json::from_slice(&event).unwrap();
        let status = match event["requestContext"]["routeKey"].as_str().unwrap() {
            "$connect" if event["queryStringParameters"]["ticket"].is_null() => 401,
            "$connect" if event["headers"]["Origin"] == "https://evil.example" => 403,
            _ => 200,
        };
        let fail = event["body"] == "fail";
        self.events.lock().unwrap().push(event);
        if fail {
            return Err(InvokeError::Unhandled { message: "as asked".into() });
        }
        Ok(json!({ "statusCode": status }).to_string().into())
    }
}

impl Recorder {
    fn kinds(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|event| event["requestContext"]["eventType"].as_str().unwrap().to_owned()).collect()
    }

    async fn disconnect(&self) -> Value {
        loop {
            let found =
                self.events.lock().unwrap().iter().find(|e| e["requestContext"]["eventType"] == "DISCONNECT").cloned();
            if let Some(event) = found {
                return event["requestContext"].clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

struct SocketDoor(SocketServer);

#[async_trait::async_trait]
impl Door for SocketDoor {
    async fn answer(&self, request: http::Request<Incoming>, peer: SocketAddr) -> Reply {
        self.0.accept(request, peer.ip(), "localhost").await
    }
}

struct World {
    at: SocketAddr,
    hub: Hub,
    recorder: Arc<Recorder>,
    server: SocketServer,
}

async fn world(limits: SocketLimits) -> World {
    let (hub, recorder) = (Hub::new(), Arc::new(Recorder::default()));
    let routes = ["$connect", "$disconnect", "$default"].map(|route| (route.to_owned(), "Socket".to_owned()));
    let server = SocketServer::new(SocketSettings {
        hub: hub.clone(),
        api: SocketApi { api_id: "sockets".into(), stage: "dev".into() },
        routes: BTreeMap::from(routes),
        selection: "$request.body.action".into(),
        functions: Arc::clone(&recorder) as Arc<dyn Functions>,
        limits,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let door = Arc::new(SocketDoor(server.clone()));
    tokio::spawn(serve(listener, door, ServerLimits::default(), CancellationToken::new()));
    World { at, hub, recorder, server }
}

type Client = tokio_tungstenite::WebSocketStream<TcpStream>;

impl World {
    async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.at).await.unwrap();
        tokio_tungstenite::client_async("ws://localhost/socket?ticket=t", stream).await.unwrap().0
    }

    async fn id(&self) -> ConnectionId {
        while self.hub.is_empty() {
            tokio::task::yield_now().await;
        }
        let events = self.recorder.events.lock().unwrap();
        ConnectionId(events.last().unwrap()["requestContext"]["connectionId"].as_str().unwrap().to_owned())
    }

    /// A handshake by hand, for frames that no library sends.
    async fn raw(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream
            .write_all(
                b"GET /socket?ticket=t HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            )
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        stream
    }
}

async fn refused(at: SocketAddr, target: &str, origin: &str) -> u16 {
    let stream = TcpStream::connect(at).await.unwrap();
    let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(format!(
        "ws://localhost{target}"
    ))
    .unwrap();
    request.headers_mut().insert("origin", origin.parse().unwrap());
    match tokio_tungstenite::client_async(request, stream).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(reply)) => reply.status().as_u16(),
        other => panic!("the handshake was not refused: {other:?}"),
    }
}

/// The code of the close frame that the server sends.
async fn close_code(stream: &mut TcpStream) -> u16 {
    loop {
        let head = [stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()];
        let length = match head[1] {
            126 => usize::from(stream.read_u16().await.unwrap()),
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if head[0] & 0x0f == 8 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

#[tokio::test]
async fn a_connection_causes_connect_message_and_disconnect() {
    let world = world(SocketLimits::default()).await;
    let mut client = world.connect().await;
    let id = world.id().await;
    client.send(Message::text(r#"{"action":"ping"}"#)).await.unwrap();
    assert_eq!(world.hub.post(&id, Bytes::from_static(b"hello")).await.unwrap(), Posted::Sent);
    assert_eq!(client.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "hello");
    client.close(None).await.unwrap();
    let gone = world.recorder.disconnect().await;
    assert_eq!(gone["disconnectStatusCode"], 1005);
    assert_eq!(world.recorder.kinds(), ["CONNECT", "MESSAGE", "DISCONNECT"]);
    assert_eq!(world.hub.post(&id, Bytes::from_static(b"late")).await.unwrap(), Posted::Gone);
}

#[tokio::test]
async fn the_connect_function_decides_who_comes_in() {
    let world = world(SocketLimits::default()).await;
    assert_eq!(refused(world.at, "/socket", "http://localhost").await, 401);
    assert_eq!(refused(world.at, "/socket?ticket=t", "https://evil.example").await, 403);
    assert!(world.hub.is_empty());
    let mut stream = TcpStream::connect(world.at).await.unwrap();
    stream.write_all(b"GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 426 "), "{text}");
}

/// A masked frame with an all-zero mask.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..65_536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

#[tokio::test]
async fn frames_against_the_protocol_close_with_its_code() {
    let world = world(SocketLimits::default()).await;
    let unmasked = vec![0x81, 1, b'x'];
    for (what, bytes, code) in [
        ("unmasked", unmasked, 1002),
        ("reserved bits", frame(0xc1, b"x"), 1002),
        ("fragmented control", frame(0x09, b"x"), 1002),
        ("ping of 126 bytes", frame(0x89, &[b'x'; 126]), 1002),
        ("unknown opcode", frame(0x83, b"x"), 1002),
        ("continuation of nothing", frame(0x80, b"x"), 1002),
        ("invalid UTF-8", frame(0x81, &[0xff]), 1007),
        ("binary", frame(0x82, &[0, 255]), 1003),
        ("frame over 32 KiB", frame(0x81, &[b'x'; 32 * 1024 + 1]), 1009),
        ("message over 128 KiB", frame(0x81, &[b'x'; 128 * 1024 + 1]), 1009),
    ] {
        let mut stream = world.raw().await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(&mut stream).await, code, "{what}");
    }
}

#[tokio::test]
async fn a_message_in_frames_passes_up_to_the_limit() {
    let world = world(SocketLimits::default()).await;
    let part = [b'x'; 32 * 1024];
    let mut stream = world.raw().await;
    for first in [0x01, 0x00, 0x00, 0x80] {
        stream.write_all(&frame(first, &part)).await.unwrap();
    }
    while !world.recorder.kinds().contains(&"MESSAGE".to_owned()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for first in [0x01, 0x00, 0x00, 0x00, 0x80] {
        stream.write_all(&frame(first, &part)).await.unwrap();
    }
    assert_eq!(close_code(&mut stream).await, 1009);
    // Others are not touched.
    let mut other = world.connect().await;
    other.send(Message::text("still here")).await.unwrap();
    other.close(None).await.unwrap();
}

#[tokio::test]
async fn a_failed_message_is_told_and_the_connection_stays() {
    let world = world(SocketLimits::default()).await;
    let mut client = world.connect().await;
    client.send(Message::text("fail")).await.unwrap();
    let told: Value = serde_json::from_str(client.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(told["message"], "Internal server error");
    client.send(Message::text("{")).await.unwrap();
    client.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"p")));
}

#[tokio::test]
async fn messages_over_the_rate_are_throttled_and_then_closed() {
    let world = world(SocketLimits { rate: 5, throttled: 50, ..SocketLimits::default() }).await;
    let mut client = world.connect().await;
    for _ in 0..60 {
        if client.feed(Message::text("x")).await.is_err() {
            break;
        }
    }
    let _ = client.flush().await;
    let (mut throttled, mut code) = (0, None);
    while let Some(Ok(message)) = client.next().await {
        match message {
            Message::Text(text) if text.contains("Too Many Requests") => throttled += 1,
            Message::Close(frame) => code = frame.map(|frame| u16::from(frame.code)),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(throttled >= 45, "{throttled}");
    assert_eq!(code, Some(1008));
}

#[tokio::test]
async fn idle_and_old_connections_are_closed() {
    for limits in [
        SocketLimits { idle: Duration::from_millis(50), ..SocketLimits::default() },
        SocketLimits { life: Duration::from_millis(50), ..SocketLimits::default() },
    ] {
        let world = world(limits).await;
        let mut client = world.connect().await;
        let Message::Close(Some(frame)) = client.next().await.unwrap().unwrap() else { panic!("no close frame") };
        assert_eq!(u16::from(frame.code), 1001);
        assert_eq!(world.recorder.disconnect().await["disconnectStatusCode"], 1001);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_holds_no_memory() {
    let world = world(SocketLimits { write: Duration::from_millis(300), ..SocketLimits::default() }).await;
    let _client = world.raw().await;
    let id = world.id().await;
    let message = Bytes::from(vec![b'x'; 100_000]);
    let mut refused = false;
    for _ in 0..500 {
        match world.hub.post(&id, message.clone()).await {
            Ok(Posted::Sent) => {}
            Ok(Posted::Gone) => break,
            Ok(Posted::Behind) => {
                refused = true;
                break;
            }
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    assert!(refused);
    world.recorder.disconnect().await;
    assert_eq!(world.hub.post(&id, message).await.unwrap(), Posted::Gone);
}

#[tokio::test]
async fn connections_are_bounded() {
    let world = world(SocketLimits { connections: 1, ..SocketLimits::default() }).await;
    let client = world.connect().await;
    assert_eq!(refused(world.at, "/socket?ticket=t", "http://localhost").await, 429);
    drop(client);
    world.recorder.disconnect().await;
    // The place is free again once `$disconnect` is through.
    for _ in 0..100 {
        let stream = TcpStream::connect(world.at).await.unwrap();
        if tokio_tungstenite::client_async("ws://localhost/socket?ticket=t", stream).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the place was not given back");
}

#[tokio::test]
async fn closing_by_the_service_and_at_shutdown_reaches_the_client() {
    let world = world(SocketLimits::default()).await;
    let mut client = world.connect().await;
    let id = world.id().await;
    world.hub.close(&id).await.unwrap();
    let Message::Close(Some(frame)) = client.next().await.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1000);
    let mut other = world.connect().await;
    world.id().await;
    let (end, ()) = tokio::join!(other.next(), world.server.shut_down(Duration::from_secs(5)));
    let Message::Close(Some(frame)) = end.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!(u16::from(frame.code), 1001);
}
