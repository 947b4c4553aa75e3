//! Delivery to very many connections in bounded memory. A program of its own: the peak is that of the process.
#![allow(clippy::unwrap_used)]

mod herd;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use domain::DELIVERIES_AT_ONCE;
use herd::{Crowd, scene};
use serde_json::json;

/// Connections that follow one project.
const HERD: usize = 10_000;
/// Memory that the delivery to all of them may add to what the process has had (bytes).
const MEMORY_MAX: usize = 4 * 1024 * 1024;

/// The most memory that this process has had (bytes), as the kernel counts it.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    fields["VmHWM"].trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn ten_thousand_connections_are_served_in_bounded_memory() {
    // What a few need, all need: the peak before is that of a delivery too.
    let few = scene(400, Crowd::default(), json!({ "text": "x".repeat(20_000) })).await;
    few.domain.connections.deliver(&few.event).await.unwrap();
    let many = scene(HERD, Crowd::default(), json!({ "text": "x".repeat(20_000) })).await;
    let before = peak_memory();
    many.domain.connections.deliver(&many.event).await.unwrap();
    let bump = peak_memory() - before;
    let sent = many.crowd.bytes.load(Ordering::SeqCst);
    println!("{HERD} connections: {} MB sent, peak memory {} kB more", sent / 1_000_000, bump / 1024);
    assert_eq!(many.crowd.sent.load(Ordering::SeqCst), HERD);
    assert_eq!(many.herd.noted.load(Ordering::SeqCst), HERD);
    assert!(bump < MEMORY_MAX, "{bump} bytes more for {HERD} connections");
    let most = many.crowd.most.load(Ordering::SeqCst);
    assert!((2..=DELIVERIES_AT_ONCE).contains(&most), "{most} at once");
    // The measure is one: to hold all subscriptions at once would have been seen.
    let all: Vec<_> = (0..HERD).map(|number| many.herd.subscription("subscribers", number)).collect();
    let held = peak_memory() - before;
    assert!(held > MEMORY_MAX, "{} subscriptions are {held} bytes", all.len());
}
