//! The AWS service endpoint, called by the AWS SDK for Python and the AWS CLI.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with other tests")]
mod machine;

use std::time::Duration;

use cloud_local::access_keys::Scope;
use cloud_local::wire::{Emulator, QueueSpec, Queues};
use machine::{Machine, as_json, shop};

#[tokio::test(flavor = "multi_thread")]
async fn objects_by_boto3() {
    let machine = Machine::start().await;
    machine.store.ensure_bucket("stack/shop-dev/files").await.unwrap();
    machine.store.ensure_bucket("stack/bank-dev/vault").await.unwrap();
    machine.python("objects.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn presigned_urls() {
    let machine = Machine::start().await;
    machine.store.ensure_bucket("stack/shop-dev/files").await.unwrap();
    machine.python("presigned.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_presigner_and_the_endpoint_agree() {
    use cloud::{BlobKey, Blobs, PresignGet, PresignPut, Sha256Digest};
    let machine = Machine::start().await;
    let blobs = machine.store.blobs("data").with_presigner(machine.presigner());
    let key = BlobKey::parse("uploads/a b+ü/1.txt").unwrap();
    let what = PresignPut {
        expires_in: Duration::from_secs(60),
        length: 5,
        content_type: "text/plain".into(),
        sha256: Sha256Digest::of(b"hello"),
    };
    let put = blobs.presign_put(&key, what).await.unwrap();
    let get = PresignGet {
        expires_in: Duration::from_secs(60),
        disposition: Some("attachment; filename*=UTF-8''1.txt".into()),
        content_type: Some("application/octet-stream".into()),
    };
    let get = blobs.presign_get(&key, get).await.unwrap();
    let given = serde_json::json!({"put": put, "get": get}).to_string();
    machine.python_with("platform_presigned.py", &[("PRESIGNED", &given)]).await;
    assert_eq!(blobs.head(&key).await.unwrap().length, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_by_the_aws_cli() {
    let machine = Machine::start().await;
    machine.store.ensure_bucket("stack/shop-dev/files").await.unwrap();
    machine.python("cli_objects.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_by_boto3() {
    let machine = Machine::start().await;
    machine.logs("stack/shop-dev", "/aws/lambda/hello", "2026/01/01/[1]a", &["START", "ERROR one", "END"]).await;
    machine.logs("stack/bank-dev", "/aws/lambda/vault", "2026/01/01/[1]b", &["ERROR secret"]).await;
    machine.python("logs.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_logs_tail_follows() {
    let machine = Machine::start().await;
    machine.logs("stack/shop-dev", "/aws/lambda/hello", "stream", &["the first line"]).await;
    machine.logs("stack/bank-dev", "/aws/lambda/vault", "stream", &["another stack's line"]).await;
    machine.python("tail.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_by_boto3() {
    let machine = Machine::start().await;
    let queues = Queues::new(machine.store.clone());
    queues.define(&shop(), &QueueSpec::new("jobs")).await.unwrap();
    queues.define(&Scope::Platform, &QueueSpec::new("platform-jobs")).await.unwrap();
    machine.python("queues.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lambda_invoke_by_boto3() {
    let machine = Machine::start().await;
    machine.python("invoke.py").await;
    let invoked = machine.stacks.invoked();
    assert!(invoked.iter().all(|(stack, _)| stack == "shop-dev"), "{invoked:?}");
    assert_eq!(invoked.iter().filter(|(_, function)| function == "later").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_and_identity_by_boto3() {
    use cloud::{ParameterName, Parameters, Secret};
    let machine = Machine::start().await;
    let name = ParameterName::parse("/bank/pin").unwrap();
    machine.store.parameters_in("stack/bank-dev").put(&name, Secret::new("0000"), true).await.unwrap();
    machine.python("parameters.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_with_a_wrong_signature_are_refused() {
    let machine = Machine::start().await;
    machine.python("signatures.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_without_its_companion_says_what_to_build() {
    let machine = Machine::start().await;
    machine.python("no_companion.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_deleted_stack_are_refused() {
    let machine = Machine::start().await;
    machine.store.ensure_bucket("stack/shop-dev/files").await.unwrap();
    let old = machine.keys.issue(&shop(), Duration::from_secs(3600));
    machine.keys.revoke(&cloud::StackName::parse("shop-dev").unwrap()).await.unwrap();
    machine.python_with("revoked.py", &[("OLD", &as_json(&old))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_reaches_the_endpoint_through_the_socket() {
    let machine = Machine::start().await;
    machine.python("socket_call.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checksums_that_come_after_the_body() {
    let machine = Machine::start().await;
    machine.store.ensure_bucket("stack/shop-dev/files").await.unwrap();
    machine.python("trailers.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_services_go_to_the_emulator_that_is_named() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !String::from_utf8_lossy(&request).contains("Action=ListTopics") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0, "the call comes whole");
        }
        let body = "<ListTopicsResponse><ListTopicsResult><Topics><member><TopicArn>arn:there</TopicArn></member>\
                    </Topics></ListTopicsResult></ListTopicsResponse>";
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n";
        let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let emulator = Emulator::new(&there).unwrap();
    let machine = Machine::with("/nonexistent/companion".into(), Some(emulator)).await;
    machine.python("emulator.py").await;
    served.await.unwrap();
}
