//! Answers that the template asks for as a stream (`ResponseTransferMode: RESPONSE_STREAM`).

use std::sync::Mutex;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use local::functions::{InvokeError, StreamedReply};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::world::{World, start};

const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Globals: { Function: { Runtime: provided.al2023, Handler: bootstrap, CodeUri: x } }
Resources:
  RestApi: { Type: AWS::Serverless::Api, Properties: { StageName: dev, BinaryMediaTypes: ['*/*'] } }
  Reads:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 900
      Events:
        Streamed: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: /streamed, Method: get, ResponseTransferMode: RESPONSE_STREAM, TimeoutInMillis: 900000 } }
        Short: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: /short, Method: get, ResponseTransferMode: RESPONSE_STREAM, TimeoutInMillis: 50 } }
        Collected: { Type: Api, Properties: { RestApiId: !Ref RestApi, Path: /collected, Method: get } }
"#;
/// Over what a function answers at once, under what passes unthrottled.
const LARGE: usize = 9 << 20;

fn large(_: &Value) -> Result<Value, InvokeError> {
    Ok(json!({ "statusCode": 200, "body": "x".repeat(LARGE) }))
}

/// A platform whose function streams what is sent into the channel.
async fn world() -> (World, mpsc::Sender<std::io::Result<Bytes>>) {
    let world = start(TEMPLATE, &[("Reads", large)]).await;
    let (send, receive) = mpsc::channel(4);
    let receive = Mutex::new(Some(receive));
    let streamer = Box::new(move |_: &Value| {
        let parts = receive.lock().unwrap().take().ok_or_else(|| InvokeError::Unavailable("asked twice".into()))?;
        let body = futures::stream::unfold(parts, |mut parts: mpsc::Receiver<_>| async move {
            parts.recv().await.map(|part| (part, parts))
        });
        let mut headers = HeaderMap::new();
        headers.insert("x-part", HeaderValue::from_static("1"));
        headers.insert("content-length", HeaderValue::from_static("3"));
        Ok(StreamedReply { status: StatusCode::CREATED, headers, body: body.boxed() })
    });
    world.functions.streamers.lock().unwrap().insert("Reads", streamer);
    (world, send)
}

#[tokio::test]
async fn a_streamed_answer_arrives_as_it_comes() {
    let (world, parts) = world().await;
    parts.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    let mut reply = world.begin("GET", "/streamed", &[], "").await;
    assert_eq!((reply.status().as_u16(), &reply.headers()["x-part"]), (201, &HeaderValue::from_static("1")));
    // How long a stream is, only its end says.
    assert!(reply.headers().get("content-length").is_none(), "{:?}", reply.headers());
    let first = reply.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "first", "before the function has made the rest");
    parts.send(Ok(Bytes::from_static(b"second"))).await.unwrap();
    drop(parts);
    assert_eq!(reply.into_body().collect().await.unwrap().to_bytes(), "second");
}

#[tokio::test]
async fn a_streamed_answer_may_be_larger_than_what_a_function_answers_at_once() {
    let (world, parts) = world().await;
    tokio::spawn(async move {
        for _ in 0..LARGE >> 20 {
            parts.send(Ok(Bytes::from_static(&[7; 1 << 20]))).await.unwrap();
        }
    });
    assert_eq!(world.get("/streamed").await.body.len(), LARGE);
    assert_eq!(world.get("/collected").await.status, 502, "the same route collected");
}

#[tokio::test]
async fn a_function_that_fails_in_the_middle_leaves_an_answer_that_is_seen_to_be_cut() {
    let (world, parts) = world().await;
    parts.send(Ok(Bytes::from_static(b"half"))).await.unwrap();
    let reply = world.begin("GET", "/streamed", &[], "").await;
    parts.send(Err(std::io::Error::other("the function ended"))).await.unwrap();
    assert!(reply.into_body().collect().await.is_err());
}

#[tokio::test]
async fn the_integrations_time_cuts_a_stream_off() {
    let (world, parts) = world().await;
    parts.send(Ok(Bytes::from_static(b"half"))).await.unwrap();
    let reply = world.begin("GET", "/short", &[], "").await;
    assert_eq!(reply.status(), 201);
    assert!(reply.into_body().collect().await.is_err(), "after 50 ms");
}

#[tokio::test]
async fn a_function_that_does_not_begin_is_a_bad_gateway() {
    let (world, _parts) = world().await;
    world.functions.streamers.lock().unwrap().clear();
    assert_eq!(world.get("/streamed").await.status, 502);
}
