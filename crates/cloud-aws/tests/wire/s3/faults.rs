//! What the adapter makes of refusals, lost calls, lost answers and damaged bodies.

use bytes::Bytes;
use cloud::{Blob, Blobs, ByteRange, ETag, Error, PutCondition, PutOptions, collect};
use testkit::{Rule, WireFault};

use super::{Behind, key, only};

/// As many attempts as the adapter makes.
const ATTEMPTS: usize = 3;
const BODY: &[u8] = b"what was written";

async fn create(behind: &Behind, at: &str) -> cloud::Result<ETag> {
    behind.blobs.put(&key(at), Bytes::from_static(BODY), only(PutCondition::IfAbsent)).await
}

async fn other_writes(behind: &Behind, at: &str) -> ETag {
    let request = behind.client.put_object().bucket(&behind.bucket).key(at).body(b"another's".to_vec().into());
    ETag(request.send().await.unwrap().e_tag().unwrap().trim_matches('"').to_owned())
}

async fn read(blob: Blob) -> cloud::Result<Bytes> {
    collect(blob, 1 << 20).await
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_retried_and_then_said() {
    let behind = Behind::ministack().await;
    let at = key("a");
    let put = || behind.blobs.put(&at, Bytes::from_static(BODY), PutOptions::default());
    for busy in [WireFault::xml(503, "SlowDown"), WireFault::xml(400, "ThrottlingException")] {
        behind.proxy.heal();
        behind.proxy.inject(Rule::new(busy.clone()).times(ATTEMPTS - 1));
        put().await.unwrap();
        behind.proxy.heal();
        behind.proxy.inject(Rule::new(busy.clone()).times(ATTEMPTS - 1));
        create(&behind, &format!("created/{}", behind.versions("a").await)).await.unwrap();

        behind.proxy.heal();
        behind.proxy.inject(Rule::new(busy).always());
        let mut failures = vec![("put", put().await.map(drop)), ("create", create(&behind, "b").await.map(drop))];
        failures.push(("get", behind.blobs.get(&key("a"), None).await.map(drop)));
        failures.push(("list", behind.blobs.list("", None, 10).await.map(drop)));
        failures.push(("delete", behind.blobs.delete(&key("a")).await));
        let calls = behind.proxy.calls(|_| true);
        assert_eq!(calls, failures.len() * ATTEMPTS);
        for (what, failure) in failures {
            assert!(matches!(failure, Err(Error::Unavailable(_))), "{what}: {failure:?}");
        }
    }
    assert_eq!(behind.stored("a").await, BODY);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_said_at_once() {
    let behind = Behind::ministack().await;
    behind.proxy.inject(Rule::new(WireFault::xml(400, "ExpiredToken")).always());
    let failures = [
        behind.blobs.put(&key("a"), Bytes::from_static(BODY), PutOptions::default()).await.map(drop),
        create(&behind, "a").await.map(drop),
        behind.blobs.get(&key("a"), None).await.map(drop),
        behind.blobs.list("", None, 10).await.map(drop),
        behind.blobs.delete(&key("a")).await,
    ];
    assert_eq!(behind.proxy.calls(|_| true), failures.len(), "a call was repeated");
    for failure in failures {
        let error = failure.unwrap_err();
        assert!(matches!(&error, Error::Other { context, .. } if context.ends_with("have expired")), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_our_own_write_is_its_success() {
    let behind = Behind::ministack().await;
    behind.proxy.inject(Rule::new(WireFault::LoseAnswer).when(|call| call.method == "PUT"));
    let first = create(&behind, "a").await.unwrap();
    assert_eq!((behind.puts(), behind.versions("a").await), (2, 1));

    // The same content has the same etag: only the id tells this write from the one that it replaces.
    behind.proxy.heal();
    behind.proxy.inject(Rule::new(WireFault::LoseAnswer).when(|call| call.method == "PUT"));
    let next = behind.blobs.put(&key("a"), Bytes::from_static(b"next"), only(PutCondition::IfMatch(first))).await;
    assert_eq!(behind.blobs.head(&key("a")).await.unwrap().etag, next.unwrap());
    assert_eq!((behind.stored("a").await, behind.versions("a").await), (b"next".to_vec(), 2));

    // Every answer is lost: what is stored is read.
    behind.proxy.heal();
    behind.proxy.inject(Rule::new(WireFault::LoseAnswer).when(|call| call.method == "PUT").always());
    let made = create(&behind, "b").await.unwrap();
    assert_eq!((behind.puts(), behind.versions("b").await), (ATTEMPTS, 1));
    assert_eq!(behind.blobs.head(&key("b")).await.unwrap().etag, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_arrived_is_sent_again() {
    let behind = Behind::ministack().await;
    for fault in [WireFault::LoseCall, WireFault::xml(500, "InternalError")] {
        behind.proxy.heal();
        behind.proxy.inject(Rule::new(fault.clone()).when(|call| call.method == "PUT").times(ATTEMPTS - 1));
        let at = format!("{fault:?}");
        create(&behind, &at).await.unwrap();
        assert_eq!((behind.stored(&at).await, behind.versions(&at).await), (BODY.to_vec(), 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anothers_write_is_a_lost_condition() {
    let behind = Behind::ministack().await;
    other_writes(&behind, "a").await;
    let lost = create(&behind, "a").await.unwrap_err();
    assert!(lost.is_condition_failed(), "{lost:?}");
    let stale = only(PutCondition::IfMatch(ETag("0123456789".into())));
    let lost = behind.blobs.put(&key("a"), Bytes::from_static(BODY), stale).await.unwrap_err();
    assert!(lost.is_condition_failed(), "{lost:?}");
    assert_eq!(behind.puts(), 2, "what is lost is not repeated");
    assert_eq!((behind.stored("a").await, behind.versions("a").await), (b"another's".to_vec(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclear_write_beside_anothers_is_never_called_ours() {
    let behind = Behind::ministack().await;
    // Ours is lost on its way, another's is there when it is sent again. Seen from here, ours may have been there too.
    other_writes(&behind, "a").await;
    behind.proxy.inject(Rule::new(WireFault::LoseCall).when(|call| call.method == "PUT"));
    let unclear = create(&behind, "a").await.unwrap_err();
    assert!(matches!(unclear, Error::Unclear(_)), "{unclear:?}");
    assert_eq!(behind.stored("a").await, b"another's");

    // The same bytes, written by another, are not ours either.
    let theirs = behind.client.put_object().bucket(&behind.bucket).key("same").body(BODY.to_vec().into());
    theirs.send().await.unwrap();
    behind.proxy.heal();
    behind.proxy.inject(Rule::new(WireFault::LoseCall).when(|call| call.method == "PUT"));
    assert!(create(&behind, "same").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collision_is_tried_again() {
    let behind = Behind::ministack().await;
    let collision = || Rule::new(WireFault::xml(409, "ConditionalRequestConflict")).when(|call| call.method == "PUT");
    behind.proxy.inject(collision().times(ATTEMPTS - 1));
    create(&behind, "a").await.unwrap();
    assert_eq!((behind.puts(), behind.versions("a").await), (ATTEMPTS, 1));
    behind.proxy.heal();
    behind.proxy.inject(collision().always());
    let error = create(&behind, "b").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!((behind.puts(), behind.versions("b").await), (ATTEMPTS, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_body_is_noticed() {
    let behind = Behind::ministack().await;
    let whole: Bytes = (0..50_000u32).map(|at| at as u8).collect::<Vec<u8>>().into();
    behind.blobs.put(&key("a"), whole.clone(), PutOptions::default()).await.unwrap();
    for fault in [WireFault::BreakOff(20_000), WireFault::Shorten(20_000), WireFault::Flip(30_000)] {
        behind.proxy.inject(Rule::new(fault.clone()).when(|call| call.method == "GET"));
        let blob = behind.blobs.get(&key("a"), None).await.unwrap();
        assert!(read(blob).await.is_err(), "{fault:?} was not noticed");
    }
    // A part of a blob has no checksum of its own; its length is known.
    for fault in [WireFault::BreakOff(20_000), WireFault::Shorten(20_000)] {
        behind.proxy.inject(Rule::new(fault.clone()).when(|call| call.method == "GET"));
        let blob = behind.blobs.get(&key("a"), Some(ByteRange::From(10_000))).await.unwrap();
        assert!(read(blob).await.is_err(), "{fault:?} of a range was not noticed");
    }
    assert_eq!(read(behind.blobs.get(&key("a"), None).await.unwrap()).await.unwrap(), whole);
}
