//! The ports in memory keep the same promises as every adapter.

use std::sync::Arc;

use cloud::SystemClock;
use testkit::conformance;
use testkit::memory::{MemoryParameters, MemoryRecords, MemorySockets};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_memory_conform() {
    let adapter = MemoryRecords::new(Arc::new(SystemClock));
    conformance::records(Arc::new(adapter.clone())).await;
    conformance::change_feed(&adapter).await;
}

#[tokio::test]
async fn parameters_in_memory_conform() {
    conformance::parameters(Arc::new(MemoryParameters::new(Arc::new(SystemClock)))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_in_memory_conform() {
    let adapter = MemorySockets::new();
    conformance::sockets(&adapter, &adapter).await;
}
