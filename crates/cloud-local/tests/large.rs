//! A large upload and download in little memory. Alone in its process, whose peak memory is looked at.
#![allow(clippy::unwrap_used)]

#[path = "wire/machine.rs"]
#[allow(dead_code, reason = "shared with the tests of the endpoint")]
mod machine;

use std::time::Duration;

use cloud::{BlobKey, Blobs, PresignGet, PresignPut, Sha256Digest};
use machine::Machine;
use sha2::{Digest, Sha256};

const PIECE: usize = 1024 * 1024;
const PIECES: u64 = 200;
/// Far below the object's 200 MiB.
const GROWTH_MAX_KIB: u64 = 64 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_megabytes_stream_through() {
    let machine = Machine::start().await;
    let blobs = machine.store.blobs("data").with_presigner(machine.presigner());
    let key = BlobKey::parse("large").unwrap();
    let mut digest = Sha256::new();
    (0..PIECES).for_each(|_| digest.update(vec![b'x'; PIECE]));
    let what = PresignPut {
        expires_in: Duration::from_secs(300),
        length: PIECES * PIECE as u64,
        content_type: "application/octet-stream".into(),
        sha256: Sha256Digest(digest.finalize().into()),
    };
    let put = blobs.presign_put(&key, what).await.unwrap();
    let get = PresignGet { expires_in: Duration::from_secs(300), disposition: None, content_type: None };
    let get = blobs.presign_get(&key, get).await.unwrap();
    let given = serde_json::json!({"put": put, "get": get, "pieces": PIECES}).to_string();
    let before = peak_kib();
    machine.python_with("large.py", &[("PRESIGNED", &given)]).await;
    let growth = peak_kib() - before;
    assert!(growth < GROWTH_MAX_KIB, "the peak grew by {growth} KiB");
    assert_eq!(blobs.head(&key).await.unwrap().length, PIECES * PIECE as u64);
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
