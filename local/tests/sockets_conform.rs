//! The gateway's `Sockets` against real WebSocket clients.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use cloud::{ConnectionId, SystemClock, SystemEntropy};
use futures::StreamExt;
use hyper::body::Incoming;
use local::events::SocketApi;
use local::functions::{Functions, InvokeError};
use local::http::{Door, Reply, ServerLimits, serve};
use local::socket::{Hub, SocketLimits, SocketServer, SocketSettings};
use serde_json::{Value, json};
use testkit::conformance::{self, SocketPeer, SocketPeers};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

/// Lets everybody in, and says who came.
struct Doorman(mpsc::UnboundedSender<ConnectionId>);

#[async_trait::async_trait]
impl Functions for Doorman {
    async fn invoke(&self, _: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        let event: Value = serde_json::from_slice(&event).unwrap();
        if event["requestContext"]["eventType"] == "CONNECT" {
            let id = event["requestContext"]["connectionId"].as_str().unwrap();
            self.0.send(ConnectionId(id.to_owned())).unwrap();
        }
        Ok(json!({ "statusCode": 200 }).to_string().into())
    }
}

struct SocketDoor(SocketServer);

#[async_trait::async_trait]
impl Door for SocketDoor {
    async fn answer(&self, request: http::Request<Incoming>, peer: SocketAddr) -> Reply {
        self.0.accept(request, peer.ip(), "localhost").await
    }
}

struct Peers {
    at: SocketAddr,
    hub: Hub,
    /// Held while a client connects, so that the next name is its own.
    came: Mutex<mpsc::UnboundedReceiver<ConnectionId>>,
}

struct Peer(tokio_tungstenite::WebSocketStream<TcpStream>);

#[async_trait::async_trait]
impl SocketPeers for Peers {
    async fn open(&self) -> (ConnectionId, Box<dyn SocketPeer>) {
        let mut came = self.came.lock().await;
        let stream = TcpStream::connect(self.at).await.unwrap();
        let (client, _) = tokio_tungstenite::client_async("ws://localhost/socket", stream).await.unwrap();
        let id = came.recv().await.unwrap();
        // The answer to the handshake is on its way before the connection can be posted to.
        while cloud::Sockets::post(&self.hub, &id, Bytes::from_static(b"open?")).await.unwrap() == cloud::Posted::Gone {
            tokio::task::yield_now().await;
        }
        let mut peer = Peer(client);
        assert_eq!(peer.next().await.as_deref(), Some("open?"));
        (id, Box::new(peer))
    }

    fn shows_slow_readers(&self) -> bool {
        true
    }
}

#[async_trait::async_trait]
impl SocketPeer for Peer {
    async fn next(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn leave(mut self: Box<Self>) {
        // A client with unread messages may find its connection cut: it has left all the same.
        let _ = self.0.close(None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateways_sockets_conform() {
    let (hub, (sender, came)) = (Hub::new(), mpsc::unbounded_channel());
    let routes = ["$connect", "$disconnect", "$default"].map(|route| (route.to_owned(), "Socket".to_owned()));
    let server = SocketServer::new(SocketSettings {
        hub: hub.clone(),
        api: SocketApi { api_id: "sockets".into(), stage: "dev".into() },
        routes: BTreeMap::from(routes),
        selection: "$request.body.action".into(),
        functions: Arc::new(Doorman(sender)),
        limits: SocketLimits::default(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, Arc::new(SocketDoor(server)), ServerLimits::default(), stop.clone()));
    conformance::sockets(&hub, &Peers { at, hub: hub.clone(), came: Mutex::new(came) }).await;
    stop.cancel();
    serving.await.unwrap();
}
