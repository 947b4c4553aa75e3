//! Streamed bodies of several parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cloud::{BlobStream, Blobs, Error, PutCondition, PutOptions, Sha256Digest, collect, stream_of};
use futures::{StreamExt, stream};
use testkit::{Rule, WireCall, WireFault};

use super::{Behind, key, only};

/// As large as the adapter makes its parts.
const PART: usize = 8 << 20;
const CHUNK: usize = 1 << 20;

fn whole(length: usize) -> Bytes {
    (0..length).map(|at| (at.wrapping_mul(31) >> 5) as u8).collect::<Vec<u8>>().into()
}

fn chunks(whole: &Bytes) -> BlobStream {
    let chunks: Vec<_> =
        (0..whole.len()).step_by(CHUNK).map(|at| whole.slice(at..whole.len().min(at + CHUNK))).collect();
    stream::iter(chunks.into_iter().map(Ok)).boxed()
}

fn is_part(call: &WireCall) -> bool {
    call.method == "PUT" && call.target.contains("partNumber=")
}

fn is_completion(call: &WireCall) -> bool {
    call.method == "POST" && call.target.contains("uploadId=")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_goes_in_parts_and_comes_back_whole() {
    let behind = Behind::ministack().await;
    for length in [PART, PART + 1, 2 * PART + 12_345] {
        let (at, body) = (key(&format!("long/{length}")), whole(length));
        let options = PutOptions {
            content_type: Some("application/x-thing".into()),
            length: Some(length as u64),
            sha256: Some(Sha256Digest::of(&body)),
            ..only(PutCondition::IfAbsent)
        };
        behind.proxy.heal();
        let meta = behind.blobs.put_stream(&at, chunks(&body), options.clone()).await.unwrap();
        assert_eq!((meta.length, meta.content_type.as_deref()), (length as u64, Some("application/x-thing")));
        assert_eq!(behind.proxy.calls(is_part), if length <= PART { 0 } else { length.div_ceil(PART) });
        let blob = behind.blobs.get(&at, None).await.unwrap();
        assert!(collect(blob, 64 << 20).await.unwrap() == body, "{length} bytes changed on their way");
        let lost = behind.blobs.put_stream(&at, chunks(&body), options).await.unwrap_err();
        assert!(lost.is_condition_failed(), "{lost:?}");
    }
    assert_eq!(behind.open_uploads().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_fails_leaves_no_parts() {
    let behind = Behind::ministack().await;
    let (at, body) = (key("failed"), whole(2 * PART + CHUNK));
    let wrong = PutOptions { sha256: Some(Sha256Digest::of(b"other")), ..PutOptions::default() };
    let error = behind.blobs.put_stream(&at, chunks(&body), wrong).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    let broken = chunks(&body).chain(stream::once(async { Err(std::io::Error::other("the client went away")) }));
    assert!(behind.blobs.put_stream(&at, broken.boxed(), PutOptions::default()).await.is_err());
    behind.proxy.inject(Rule::new(WireFault::xml(503, "SlowDown")).when(is_part).always());
    let error = behind.blobs.put_stream(&at, chunks(&body), PutOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    let aborts = |call: &WireCall| call.method == "DELETE" && call.target.contains("uploadId=");
    assert_eq!((behind.proxy.calls(aborts), behind.open_uploads().await), (3, 0));
    assert_eq!(behind.versions("failed").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_leaves_no_parts() {
    let behind = Behind::ministack().await;
    let endless = chunks(&whole(2 * PART + CHUNK)).chain(stream::pending()).boxed();
    let at = key("given-up");
    let put = behind.blobs.put_stream(&at, endless, PutOptions::default());
    let seen = async {
        while behind.proxy.calls(is_part) < 2 || behind.open_uploads().await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = put => panic!("an endless body ended: {done:?}"),
        () = seen => {}
    }
    // The future is gone; what it leaves to the runtime comes to an end.
    let cleared = async {
        while behind.open_uploads().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), cleared).await.expect("the parts are removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_a_completion_is_its_success() {
    let behind = Behind::ministack().await;
    let body = whole(PART + CHUNK);
    for (at, condition, times) in
        [("once", PutCondition::IfAbsent, 1), ("always", PutCondition::IfAbsent, 9), ("plain", PutCondition::Always, 1)]
    {
        behind.proxy.heal();
        behind.proxy.inject(Rule::new(WireFault::LoseAnswer).when(is_completion).times(times));
        let meta = behind.blobs.put_stream(&key(at), chunks(&body), only(condition)).await.unwrap();
        assert_eq!((meta.length, behind.versions(at).await), (body.len() as u64, 1), "{at}");
    }
    // 409 means to begin anew, with a body that is gone by then.
    behind.proxy.heal();
    let collision = WireFault::xml(409, "ConditionalRequestConflict");
    behind.proxy.inject(Rule::new(collision).when(is_completion).always());
    let error = behind.blobs.put_stream(&key("met"), chunks(&body), only(PutCondition::IfAbsent)).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!((behind.proxy.calls(is_completion), behind.open_uploads().await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_gets_each_part_again() {
    let behind = Behind::ministack().await;
    let body = whole(PART + CHUNK);
    behind.proxy.inject(Rule::new(WireFault::xml(503, "SlowDown")).when(is_part).times(2));
    behind.proxy.inject(Rule::new(WireFault::LoseAnswer).when(is_part).nth(4));
    let meta = behind.blobs.put_stream(&key("busy"), chunks(&body), PutOptions::default()).await.unwrap();
    assert_eq!(meta.length, body.len() as u64);
    assert!(behind.stored("busy").await == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_no_faster_than_it_is_sent() {
    let behind = Behind::ministack().await;
    let proxy = Arc::new(behind.proxy);
    let (taken, of_stream, ahead) = (Arc::<AtomicUsize>::default(), proxy.clone(), Arc::<AtomicUsize>::default());
    let (count, most) = (taken.clone(), ahead.clone());
    let chunk = whole(CHUNK);
    let body = stream::iter((0..40).map(move |_| {
        let taken = count.fetch_add(CHUNK, Ordering::SeqCst) + CHUNK;
        most.fetch_max(taken.saturating_sub(of_stream.calls(is_part) * PART), Ordering::SeqCst);
        Ok(chunk.clone())
    }));
    behind.blobs.put_stream(&key("slow"), body.boxed(), PutOptions::default()).await.unwrap();
    assert_eq!(taken.load(Ordering::SeqCst), 40 * CHUNK);
    // Two parts are held: the one on its way is counted as sent when it has arrived.
    let held = ahead.load(Ordering::SeqCst);
    assert!(held <= 2 * PART + CHUNK, "{held} bytes were held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_past_its_limit_is_refused_before_it_is_read_whole() {
    let behind = Behind::ministack().await;
    let options = PutOptions { length: Some(10), ..PutOptions::default() };
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 1024]))).boxed();
    let error = behind.blobs.put_stream(&key("long"), endless, options).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert_eq!(behind.proxy.calls(|_| true), 0);
    let meta = behind.blobs.put_stream(&key("empty"), stream_of(Bytes::new()), PutOptions::default()).await.unwrap();
    assert_eq!(meta.length, 0);
}
