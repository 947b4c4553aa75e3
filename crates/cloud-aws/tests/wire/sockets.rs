//! `Sockets` on the API Gateway Management API, with a WebSocket API that was deployed and clients of its own.

use std::io::{Cursor, Write};
use std::sync::Arc;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use bytes::Bytes;
use cloud::{ConnectionId, Error, Posted, Sockets};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use testkit::conformance::{self, SocketPeer, SocketPeers};
use testkit::emulator::{Emulator, REGION};
use testkit::fault_proxy::{FaultProxy, Rule, WireFault};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::{aws, config, fresh};

const STAGE: &str = "dev";
/// Tells a client the id of its connection.
const HANDLER: &str = r#"
def handler(event, context):
    return {"statusCode": 200, "body": event["requestContext"]["connectionId"]}
"#;

/// A WebSocket API of an emulator.
struct Gateway {
    host: String,
    api: String,
}

impl Gateway {
    async fn deploy(emulator: &Emulator) -> Self {
        let host = emulator.endpoint().trim_start_matches("http://").to_owned();
        let function = function(emulator).await;
        let uri = format!("arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations");
        let made = json!({
            "name": fresh("sockets"), "protocolType": "WEBSOCKET",
            "routeSelectionExpression": "$request.body.action",
        });
        let api = post(&host, "/v2/apis", &made).await["apiId"].as_str().unwrap().to_owned();
        let proxy = json!({ "integrationType": "AWS_PROXY", "integrationUri": uri });
        let integration = post(&host, &format!("/v2/apis/{api}/integrations"), &proxy).await;
        let target = format!("integrations/{}", integration["integrationId"].as_str().unwrap());
        let route = json!({ "routeKey": "$default", "target": target });
        post(&host, &format!("/v2/apis/{api}/routes"), &route).await;
        post(&host, &format!("/v2/apis/{api}/stages"), &json!({ "stageName": STAGE })).await;
        Self { host, api }
    }

    /// The stage's management address, at `host`.
    fn management(&self, host: &str) -> String {
        format!("http://{host}/_aws/execute-api/{}/{STAGE}", self.api)
    }
}

async fn function(emulator: &Emulator) -> String {
    let client = aws_sdk_lambda::Client::new(&config(emulator.endpoint()));
    let code = FunctionCode::builder().zip_file(Blob::new(archive("index.py", HANDLER.as_bytes()))).build();
    let made = client.create_function().function_name(fresh("sockets")).runtime(Runtime::Python311);
    let made = made.role("arn:aws:iam::000000000000:role/sockets").handler("index.handler").code(code).send().await;
    made.unwrap().function_arn().unwrap().to_owned()
}

fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file(name, stored).unwrap();
    zip.write_all(content).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A call to the API that makes APIs.
async fn post(host: &str, path: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 201"), "{answer}");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// A client with a WebSocket of its own.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

#[async_trait::async_trait]
impl SocketPeers for Gateway {
    async fn open(&self) -> (ConnectionId, Box<dyn SocketPeer>) {
        let url = format!("ws://{}/_aws/execute-api/{}/{STAGE}", self.host, self.api);
        let (stream, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut client = Box::new(Client(stream));
        client.0.send(Message::text(r#"{"action":"who"}"#)).await.unwrap();
        let id = client.next().await.expect("the function answers");
        (ConnectionId(id), client)
    }
}

#[async_trait::async_trait]
impl SocketPeer for Client {
    async fn next(&mut self) -> Option<String> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    async fn leave(mut self: Box<Self>) {
        let _ = self.0.close(None).await;
        while self.next().await.is_some() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_promises_of_sockets() {
    let emulator = Emulator::shared_ministack();
    let gateway = Gateway::deploy(&emulator).await;
    let sockets = aws(emulator.endpoint()).sockets(gateway.management(&gateway.host));
    conformance::sockets(&sockets, &gateway).await;
}

/// A gateway behind a proxy, and one client of it.
async fn behind_a_proxy() -> (FaultProxy, cloud_aws::ApiGatewaySockets, ConnectionId, Box<dyn SocketPeer>) {
    let emulator = Emulator::shared_ministack();
    let gateway = Gateway::deploy(&emulator).await;
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let host = proxy.endpoint().trim_start_matches("http://").to_owned();
    let sockets = aws(proxy.endpoint()).sockets(gateway.management(&host));
    let (id, peer) = gateway.open().await;
    (proxy, sockets, id, peer)
}

fn hello() -> Bytes {
    Bytes::from_static(b"hello")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_post_is_tried_again_and_then_unavailable() {
    let (proxy, sockets, id, mut peer) = behind_a_proxy().await;
    proxy.inject(Rule::new(WireFault::json(429, "LimitExceededException")).times(2));
    assert_eq!(sockets.post(&id, hello()).await.unwrap(), Posted::Sent);
    assert_eq!(peer.next().await.as_deref(), Some("hello"));
    assert_eq!(proxy.calls(|_| true), 3);
    proxy.inject(Rule::new(WireFault::json(429, "LimitExceededException")).always());
    let refused = sockets.post(&id, hello()).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert_eq!(proxy.calls(|_| true), 6, "a post is tried three times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_post_says_what_is_not_allowed() {
    let (proxy, sockets, id, _peer) = behind_a_proxy().await;
    proxy.inject(Rule::new(WireFault::json(403, "ForbiddenException")));
    let refused = sockets.post(&id, hello()).await.unwrap_err().to_string();
    assert!(refused.contains("does not allow execute-api:ManageConnections"), "{refused}");
    proxy.inject(Rule::new(WireFault::json(403, "ExpiredTokenException")));
    let refused = sockets.post(&id, hello()).await.unwrap_err().to_string();
    assert!(refused.contains("the credentials have expired"), "{refused}");
    assert_eq!(proxy.calls(|_| true), 2, "what is not allowed is not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_refused_before_it_is_sent() {
    let (proxy, sockets, id, _peer) = behind_a_proxy().await;
    let large = Bytes::from(vec![b'x'; cloud::limits::SOCKET_MESSAGE_MAX + 1]);
    let refused = sockets.post(&id, large).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused:?}");
    assert_eq!(proxy.calls(|_| true), 0);
    proxy.inject(Rule::new(WireFault::json(413, "PayloadTooLargeException")));
    let refused = sockets.post(&id, hello()).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_whose_answer_was_lost_arrives_at_least_once() {
    let (proxy, sockets, id, mut peer) = behind_a_proxy().await;
    let sockets = Arc::new(sockets);
    proxy.inject(Rule::new(WireFault::LoseAnswer));
    assert_eq!(sockets.post(&id, hello()).await.unwrap(), Posted::Sent);
    assert_eq!(peer.next().await.as_deref(), Some("hello"));
    sockets.close(&id).await.unwrap();
    while let Some(again) = peer.next().await {
        assert_eq!(again, "hello");
    }
}
