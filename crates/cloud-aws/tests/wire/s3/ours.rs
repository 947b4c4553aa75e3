//! Our own S3 endpoint, which verifies signatures: what the adapter signs is what it sends.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::Credentials;
use cloud::{
    Blobs, Clock, DeployStack, EventSink, Invocation, Invoke, PresignGet, PresignPart, PresignPut, Presigned,
    PutOptions, Sha256Digest, Stack, StackName, Stacks, SystemClock, SystemEntropy, collect,
};
use cloud_aws::{Aws, S3Blobs};
use cloud_local::access_keys::{AccessKeys, AccessKeysSettings};
use cloud_local::wire::{DynamoDb, DynamoDbSettings, WireSettings, serve};
use cloud_local::{Store, StoreSettings};
use testkit::conformance;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::key;
use crate::config_as;

const BUCKET: &str = "data";
const REGION: &str = "eu-central-1";
const MINUTE: Duration = Duration::from_secs(60);

/// The endpoint over a fresh store.
struct Ours {
    endpoint: String,
    keys: AccessKeys,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Ours {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy = Arc::new(SystemEntropy);
        let data = folder.path().join("data");
        let settings = StoreSettings { data: data.clone(), clock: clock.clone(), entropy: entropy.clone() };
        let store = Store::open(settings).unwrap();
        store.ensure_bucket(BUCKET).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let keys = AccessKeys::open(AccessKeysSettings {
            parameters: Arc::new(store.parameters()),
            clock: clock.clone(),
            entropy,
            region: REGION.into(),
            endpoint: Some(endpoint.clone()),
        })
        .await
        .unwrap();
        let companion = DynamoDbSettings {
            program: "/nonexistent/companion".into(),
            data: data.join("dynamodb"),
            region: REGION.into(),
        };
        let settings = WireSettings {
            store,
            keys: keys.clone(),
            clock,
            stacks: Arc::new(NoStacks),
            dynamodb: DynamoDb::new(companion),
            emulator: None,
            endpoint: endpoint.clone(),
            origins: Vec::new(),
        };
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, None, settings, stop.clone()));
        Self { endpoint, keys, stop, _folder: folder }
    }

    fn blobs_with(&self, secret: &str) -> S3Blobs {
        let credentials = Credentials::new(&self.keys.platform().access_key_id, secret, None, None, "test");
        Aws::with(config_as(&self.endpoint, REGION, credentials)).blobs(BUCKET)
    }

    fn blobs(&self) -> S3Blobs {
        self.blobs_with(self.keys.platform().secret_access_key.expose())
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The endpoint invokes functions of stacks, of which there are none here.
struct NoStacks;

#[async_trait::async_trait]
impl Stacks for NoStacks {
    async fn deploy(&self, what: DeployStack, _: EventSink) -> cloud::Result<Stack> {
        Err(cloud::Error::NotFound(what.name.to_string()))
    }

    async fn describe(&self, _: &StackName) -> cloud::Result<Option<Stack>> {
        Ok(None)
    }

    async fn invoke(&self, what: Invoke) -> cloud::Result<Invocation> {
        Err(cloud::Error::NotFound(what.function))
    }

    async fn delete(&self, _: &StackName) -> cloud::Result<()> {
        Ok(())
    }

    async fn credentials(&self, name: &StackName, _: Duration) -> cloud::Result<cloud::Credentials> {
        Err(cloud::Error::NotFound(name.to_string()))
    }
}

/// What a browser sends for a presigned URL, with some headers replaced; the answer is the status.
async fn send(signed: &Presigned, replaced: &[(&str, &str)], body: &[u8]) -> u16 {
    let (host, path) = signed.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut head = format!("{} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", signed.method);
    let mut headers: Vec<(String, String)> =
        signed.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")).cloned().collect();
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    headers.push(("content-length".into(), body.len().to_string()));
    for (name, value) in replaced {
        headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        headers.push(((*name).to_owned(), (*value).to_owned()));
    }
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_endpoint_keeps_the_promises_of_blobs() {
    let ours = Ours::start().await;
    conformance::blobs(Arc::new(ours.blobs())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_go_to_our_own_endpoint_too() {
    let ours = Ours::start().await;
    let body: bytes::Bytes = (0..20_000_000u32).map(|at| (at >> 3) as u8).collect::<Vec<u8>>().into();
    let blobs = ours.blobs();
    let meta = blobs.put_stream(&key("large"), cloud::stream_of(body.clone()), Default::default()).await.unwrap();
    assert_eq!(meta.length, body.len() as u64);
    assert!(collect(blobs.get(&key("large"), None).await.unwrap(), 64 << 20).await.unwrap() == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_refused_and_said() {
    let ours = Ours::start().await;
    let error = ours.blobs_with("wrong").put(&key("a"), "x".into(), Default::default()).await.unwrap_err();
    assert!(
        matches!(&error, cloud::Error::Other { context, .. } if context.contains("credentials are not accepted")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_upload_takes_what_was_signed_and_nothing_else() {
    let ours = Ours::start().await;
    let (blobs, at) = (ours.blobs(), key("uploads/a b+ü.txt"));
    let what = PresignPut {
        expires_in: MINUTE,
        length: 5,
        content_type: "text/plain".into(),
        sha256: Sha256Digest::of(b"hello"),
    };
    let signed = blobs.presign_put(&at, what).await.unwrap();
    let digest_of_other = "pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4=";
    type Sent<'a> = (&'a [(&'a str, &'a str)], &'a [u8]);
    let refused: [Sent; 5] = [
        (&[], b"hello world"),
        (&[], b"hell"),
        (&[], b"jello"),
        (&[("content-type", "text/html")], b"hello"),
        (&[("x-amz-checksum-sha256", digest_of_other)], b"hello"),
    ];
    for (replaced, body) in refused {
        let status = send(&signed, replaced, body).await;
        assert!((400..500).contains(&status), "{replaced:?} {body:?} got {status}");
        assert!(matches!(blobs.head(&at).await, Err(cloud::Error::NotFound(_))), "what was refused is stored");
    }
    let tampered = Presigned { url: signed.url.replace("uploads", "elsewhere"), ..signed.clone() };
    assert_eq!(send(&tampered, &[], b"hello").await, 403);
    assert_eq!(send(&signed, &[], b"hello").await, 200);
    let stored = blobs.get(&at, None).await.unwrap();
    assert_eq!(stored.meta.content_type.as_deref(), Some("text/plain"));
    assert_eq!(&collect(stored, 100).await.unwrap()[..], b"hello");

    let get = PresignGet { expires_in: MINUTE, disposition: Some("attachment".into()), content_type: None };
    let signed = blobs.presign_get(&at, get).await.unwrap();
    assert_eq!(send(&signed, &[], b"").await, 200);
    let tampered = Presigned { url: signed.url.replace("attachment", "inline"), ..signed };
    assert_eq!(send(&tampered, &[], b"").await, 403);
}

#[tokio::test]
async fn parts_go_by_urls_that_our_endpoint_verifies_and_become_one_blob() {
    let ours = Ours::start().await;
    let (blobs, at) = (ours.blobs(), key("parts/long.bin"));
    let upload = blobs.create_upload(&at, PutOptions::default()).await.unwrap();
    let first: Vec<u8> = (0..5 << 20).map(|at: usize| (at.wrapping_mul(31) >> 3) as u8).collect();
    let bodies = [first, b"the end".to_vec()];
    for (number, body) in (1..).zip(&bodies) {
        let (length, sha256) = (body.len() as u64, Sha256Digest::of(body));
        let part = PresignPart { expires_in: MINUTE, number, length, sha256 };
        let signed = blobs.presign_part(&at, &upload, part).await.unwrap();
        let mut other = body.clone();
        other[0] ^= 1;
        assert_eq!(send(&signed, &[], &other).await, 400, "another body");
        let elsewhere = format!("partNumber={number}");
        let moved = Presigned { url: signed.url.replace(&elsewhere, "partNumber=9"), ..signed.clone() };
        assert_eq!(send(&moved, &[], body).await, 403, "another part");
        assert_eq!(send(&signed, &[], body).await, 200);
    }
    let parts = blobs.upload_parts(&at, &upload, 0, 1000).await.unwrap();
    let listed: Vec<(u32, u64)> = parts.iter().map(|part| (part.number, part.length)).collect();
    assert_eq!(listed, [(1, 5 << 20), (2, 7)]);
    assert_eq!(blobs.upload_parts(&at, &upload, 1, 1000).await.unwrap(), parts[1..]);
    let mut wrong = parts.clone();
    wrong.swap(0, 1);
    assert!(matches!(blobs.complete_upload(&at, &upload, wrong).await, Err(cloud::Error::Invalid(_))));
    blobs.complete_upload(&at, &upload, parts.clone()).await.unwrap();
    assert!(blobs.complete_upload(&at, &upload, parts).await.unwrap_err().is_not_found());
    let whole = collect(blobs.get(&at, None).await.unwrap(), 16 << 20).await.unwrap();
    assert!(whole == bodies.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_upload_of_anything_is_for_one_key() {
    let ours = Ours::start().await;
    let (blobs, at) = (ours.blobs(), key("builds/p/j-1/node-package-0"));
    let signed = blobs.presign_put_any(&at, MINUTE).await.unwrap();
    let elsewhere = Presigned { url: signed.url.replace("package-0", "package-1"), ..signed.clone() };
    assert_eq!(send(&elsewhere, &[], b"x").await, 403);
    for body in [&b"first"[..], b"and something longer"] {
        assert_eq!(send(&signed, &[], body).await, 200);
        assert_eq!(&collect(blobs.get(&at, None).await.unwrap(), 100).await.unwrap()[..], body);
    }
}
