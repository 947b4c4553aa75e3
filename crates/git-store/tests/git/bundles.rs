//! The bundle that compaction stored, as stock git begins a clone with it.

use git_store::http::{Protocol, Service};

use crate::machine::Machine;

/// A repository of more than a megabyte, joined, and a commit that came later; its last commit.
async fn bundled(machine: &Machine) -> String {
    machine.init("w").await;
    let mut state = 1u64;
    for n in 0..3 {
        let text: String = (0..60_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                format!("{:x}\n", state >> 20)
            })
            .collect();
        machine.commit("w", &format!("large-{n}"), &text).await;
    }
    machine.git("w", &["tag", "-a", "-m", "t", "v1"]).await;
    machine.git("w", &["push", "-q", "origin", "main", "v1"]).await;
    machine.store.compact(&machine.id).await.unwrap();
    let last = machine.commit("w", "later", "came later\n").await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    last
}

async fn cloned(machine: &Machine, at: &str, setting: &str, last: &str) -> String {
    machine.git(".", &["-c", setting, "clone", "-q", &machine.url, at]).await;
    assert_eq!(machine.git(at, &["rev-parse", "HEAD"]).await, last);
    machine.git(at, &["fsck", "--strict"]).await;
    machine.git(at, &["for-each-ref", "--format=%(refname)", "refs/bundles"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_asks_begins_with_the_stored_bundle() {
    let machine = Machine::start().await;
    let last = bundled(&machine).await;
    let found = cloned(&machine, "with", "transfer.bundleURI=true", &last).await;
    assert!(found.contains("refs/bundles/main"), "{found}");
    let found = cloned(&machine, "without", "transfer.bundleURI=false", &last).await;
    assert_eq!(found, "", "nobody asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_is_gone_between_offer_and_fetch_costs_nothing_but_time() {
    let machine = Machine::start().await;
    let last = bundled(&machine).await;
    // Nor does one that is damaged.
    machine.blobs.damage(".bundle");
    assert_eq!(cloned(&machine, "damaged", "transfer.bundleURI=true", &last).await, "");
    machine.blobs.lose("/bundles/");
    assert_eq!(cloned(&machine, "gone", "transfer.bundleURI=true", &last).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_a_bundle_does_not_speak_of_any() {
    let machine = Machine::start().await;
    machine.init("w").await;
    machine.commit("w", "a", "small\n").await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    machine.store.compact(&machine.id).await.unwrap();
    let answer = machine.post("v2", b"0016command=bundle-uri0000".to_vec()).await;
    assert_eq!(answer, b"0000", "{}", String::from_utf8_lossy(&answer));
    let advertised = machine.store.advertise(&machine.id, Service::UploadPack, Protocol::V2).await.unwrap();
    assert!(!String::from_utf8_lossy(&advertised).contains("bundle-uri"));
}
