//! Calls of functions in tenant isolation mode.

use std::io::{Cursor, Write};

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{FunctionCode, Runtime};
use bytes::Bytes;
use cloud::Error;
use futures::StreamExt;
use testkit::emulator::Emulator;
use testkit::fault_proxy::{FaultProxy, Rule, WireCall, WireFault};

use crate::{aws, config, fresh};

const HANDLER: &[u8] = b"def handler(event, context):\n    return event\n";

/// A function that answers what it is sent.
async fn echo(endpoint: &str) -> String {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("index.py", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(HANDLER).unwrap();
    let code = FunctionCode::builder().zip_file(Blob::new(zip.finish().unwrap().into_inner())).build();
    let client = aws_sdk_lambda::Client::new(&config(endpoint));
    let made = client.create_function().function_name(fresh("builds")).runtime(Runtime::Python311).code(code);
    let made = made.role("arn:aws:iam::000000000000:role/builds").handler("index.handler").send().await.unwrap();
    made.function_name().unwrap().to_owned()
}

fn invoked(call: &WireCall) -> bool {
    call.target.ends_with("/response-streaming-invocations")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_names_its_tenant_and_its_answer_comes_in_parts() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let function = aws(proxy.endpoint()).tenant_function(&echo(emulator.endpoint()).await);
    let mut answer = function.invoke("project-1", Bytes::from_static(b"{\"a\":1}")).await.unwrap();
    let mut whole = Vec::new();
    while let Some(part) = answer.next().await {
        whole.extend_from_slice(&part.unwrap());
    }
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&whole).unwrap(), serde_json::json!({ "a": 1 }));
    let named = proxy.calls(|call| invoked(call) && call.header("x-amz-tenant-id") == Some("project-1"));
    assert_eq!((named, proxy.calls(invoked)), (1, 1));
}

/// CRC-32 as event streams have it (IEEE 802.3).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// One event of a streamed answer ("Amazon event stream encoding": prelude, headers, payload, checksums).
fn event(kind: &str, payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    let content = if kind == "PayloadChunk" { "application/octet-stream" } else { "application/json" };
    for (name, value) in [(":message-type", "event"), (":event-type", kind), (":content-type", content)] {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let mut whole = [length(16 + headers.len() + payload.len()), length(headers.len())].concat();
    whole.extend_from_slice(&crc32(&whole).to_be_bytes());
    whole.extend_from_slice(&headers);
    whole.extend_from_slice(payload.as_bytes());
    whole.extend_from_slice(&crc32(&whole).to_be_bytes());
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_ends_in_the_middle_is_told_in_lambdas_words() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let function = aws(proxy.endpoint()).tenant_function("any");
    let complete = r#"{"ErrorCode":"Runtime.ExitError","ErrorDetails":"signal: killed"}"#;
    let body = [event("PayloadChunk", "begun"), event("InvokeComplete", complete)].concat();
    let headers = vec![("content-type".into(), "application/vnd.amazon.eventstream".into())];
    proxy.inject(Rule::new(WireFault::Answer { status: 200, headers, body: body.into() }).when(invoked));
    let mut answer = function.invoke("p", Bytes::from_static(b"1")).await.unwrap();
    assert_eq!(&answer.next().await.unwrap().unwrap()[..], b"begun");
    let last = answer.next().await;
    assert!(matches!(&last, Some(Err(Error::Invalid(text))) if text == "Runtime.ExitError signal: killed"), "{last:?}");
    assert!(answer.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_once_whatever_becomes_of_it() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let function = aws(proxy.endpoint()).tenant_function(&echo(emulator.endpoint()).await);
    // A build may have begun: a lost answer is nothing to repeat here, and throttling is told as what it is.
    proxy.inject(Rule::new(WireFault::LoseAnswer).when(invoked));
    let lost = function.invoke("p", Bytes::from_static(b"1")).await.err();
    assert!(matches!(lost, Some(Error::Unclear(_))), "{lost:?}");
    proxy.inject(Rule::new(WireFault::json(429, "TooManyRequestsException")).when(invoked).always());
    let throttled = function.invoke("p", Bytes::from_static(b"1")).await.err();
    assert!(matches!(throttled, Some(Error::Unavailable(_))), "{throttled:?}");
    assert_eq!(proxy.calls(invoked), 2);
}
