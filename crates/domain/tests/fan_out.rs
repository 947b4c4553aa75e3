//! Delivery to many connections: nobody waits for somebody else.
#![allow(clippy::unwrap_used)]

mod herd;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use herd::{Crowd, name, scene};
use serde_json::{Value, json};

#[tokio::test]
async fn a_connection_that_is_stuck_holds_up_no_other() {
    let stuck = BTreeSet::from([name(0), name(250)]);
    let scene = Arc::new(scene(1_000, Crowd { stuck, ..Crowd::default() }, json!({})).await);
    let delivering = tokio::spawn({
        let scene = scene.clone();
        async move { scene.domain.connections.deliver(&scene.event).await }
    });
    while scene.crowd.sent.load(Ordering::SeqCst) < 998 {
        assert!(!delivering.is_finished());
        tokio::task::yield_now().await;
    }
    assert!(!delivering.is_finished(), "the stuck ones were passed over");
    scene.crowd.released.notify_one();
    scene.crowd.released.notify_one();
    while !delivering.is_finished() {
        scene.crowd.released.notify_waiters();
        tokio::task::yield_now().await;
    }
    delivering.await.unwrap().unwrap();
    assert_eq!(scene.crowd.sent.load(Ordering::SeqCst), 1_000);
}

#[tokio::test]
async fn a_failure_is_told_after_all_others_were_served() {
    let broken = BTreeSet::from([name(3)]);
    let scene = scene(500, Crowd { broken, ..Crowd::default() }, json!({})).await;
    assert!(scene.domain.connections.deliver(&scene.event).await.is_err());
    assert_eq!(scene.crowd.sent.load(Ordering::SeqCst), 499);
    assert_eq!(scene.herd.noted.load(Ordering::SeqCst), 499, "the one that failed is asked again");
}

#[tokio::test]
async fn who_is_gone_is_no_failure() {
    let gone = BTreeSet::from([name(1), name(2)]);
    let scene = scene(500, Crowd { gone, ..Crowd::default() }, json!({})).await;
    scene.domain.connections.deliver(&scene.event).await.unwrap();
    assert_eq!(scene.crowd.sent.load(Ordering::SeqCst), 498);
    assert_eq!(scene.herd.noted.load(Ordering::SeqCst), 498);
}

#[tokio::test]
async fn a_large_event_is_sent_as_a_pointer() {
    for (size, is_whole) in [(1_000, true), (40_000, false), (300_000, false)] {
        let scene = scene(1, Crowd::default(), json!({ "text": "x".repeat(size) })).await;
        scene.domain.connections.deliver(&scene.event).await.unwrap();
        let last = scene.crowd.last.lock().unwrap().clone().unwrap();
        assert!(last.len() <= cloud::limits::SOCKET_EVENT_MAX);
        let told: Value = serde_json::from_slice(&last).unwrap();
        assert_eq!((&told["type"], &told["sequence"]), (&json!("event"), &json!(8)));
        if is_whole {
            assert_eq!(told["event"], json!(scene.event));
            continue;
        }
        let project = &scene.event.project;
        assert_eq!(told["truncated"], true);
        assert_eq!(told["project"], json!(project));
        assert_eq!(told["href"], format!("/projects/{project}/events?after=7&limit=1"));
        assert!(told.get("event").is_none());
    }
}
