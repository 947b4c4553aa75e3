//! Git LFS: room, time and races.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use cloud::{BlobKey, Blobs, PutOptions, Sha256Digest};
use domain::{Caller, Error, LockAttempt, LockFilter, ObjectRefusal, PageQuery, Project, Quotas, WantedObject};
use world::World;

fn wanted(bytes: &[u8]) -> WantedObject {
    WantedObject { oid: Sha256Digest::of(bytes).to_string(), size: bytes.len() as i64 }
}

fn quotas(bytes: u64, objects: u64, locks: u64) -> Quotas {
    Quotas {
        lfs_bytes_per_project: bytes,
        lfs_objects_per_project: objects,
        lfs_locks_per_project: locks,
        ..Quotas::default()
    }
}

async fn shop(quotas: Quotas) -> (World, Caller, Project) {
    let world = World::with(quotas);
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    (world, ada, project)
}

/// Asks for an upload; the answer is the key that the URL is for.
async fn ask(world: &World, who: &Caller, bytes: &[u8]) -> Result<String, Error> {
    let batch = world.domain.lfs.upload_batch(who, "shop", vec![wanted(bytes)]).await?;
    let put = batch[0].transfer.clone().unwrap().unwrap();
    Ok(put.url.trim_start_matches("https://blobs.test/").split('?').next().unwrap().to_owned())
}

async fn arrive(world: &World, key: &str, bytes: &'static [u8]) {
    let key = BlobKey::parse(key).unwrap();
    world.blobs.put(&key, bytes.into(), PutOptions::default()).await.unwrap();
}

fn usage(world: &World) -> (u64, u64) {
    let stored = world.records.dump().into_iter().find(|record| record.key.sort == "lfs-usage");
    stored.map_or((0, 0), |r| (r.value["bytes"].as_u64().unwrap(), r.value["objects"].as_u64().unwrap()))
}

#[tokio::test]
async fn a_batch_that_does_not_fit_reserves_nothing() {
    let (world, ada, _) = shop(quotas(10, 2, 5)).await;
    assert!(matches!(ask(&world, &ada, b"eleven bytes").await, Err(Error::Quota(_))));
    assert_eq!(usage(&world), (0, 0));
    ask(&world, &ada, b"12345").await.unwrap();
    ask(&world, &ada, b"67890").await.unwrap();
    assert_eq!(usage(&world), (10, 2));
    assert!(matches!(ask(&world, &ada, b"").await, Err(Error::Quota(_))), "a third object");
    // What is waited for already takes no more room.
    ask(&world, &ada, b"12345").await.unwrap();
    assert_eq!(usage(&world), (10, 2));
}

#[tokio::test]
async fn an_object_named_with_another_size_is_waited_for_anew() {
    let (world, ada, _) = shop(Quotas::default()).await;
    let wrong = WantedObject { size: 900, ..wanted(b"hello") };
    world.domain.lfs.upload_batch(&ada, "shop", vec![wrong.clone()]).await.unwrap();
    assert_eq!(usage(&world), (900, 1));
    let key = ask(&world, &ada, b"hello").await.unwrap();
    assert_eq!(usage(&world), (5, 1));
    arrive(&world, &key, b"hello").await;
    assert!(world.domain.lfs.verify(&ada, "shop", &wrong).await.is_err());
    world.domain.lfs.verify(&ada, "shop", &wanted(b"hello")).await.unwrap();
    let two = world.domain.lfs.download_batch(&ada, "shop", vec![wrong, wanted(b"hello")]).await.unwrap();
    assert!(matches!(two[0].transfer, Err(ObjectRefusal::Invalid(_))) && matches!(two[1].transfer, Ok(Some(_))));
    let both = vec![wanted(b"other"), WantedObject { size: 7, ..wanted(b"other") }];
    let both = world.domain.lfs.upload_batch(&ada, "shop", both).await.unwrap();
    assert!(both[0].transfer.is_ok() && matches!(both[1].transfer, Err(ObjectRefusal::Invalid(_))));
}

#[tokio::test]
async fn what_never_arrives_gives_its_room_back_and_what_was_verified_stays() {
    let (world, ada, project) = shop(Quotas::default()).await;
    let kept = ask(&world, &ada, b"kept").await.unwrap();
    arrive(&world, &kept, b"kept").await;
    world.domain.lfs.verify(&ada, "shop", &wanted(b"kept")).await.unwrap();
    let lost = ask(&world, &ada, b"abandoned").await.unwrap();
    arrive(&world, &lost, b"abandoned").await;
    world.clock.advance(Duration::from_secs(25 * 60 * 60));
    ask(&world, &ada, b"new").await.unwrap();
    assert_eq!(usage(&world), (7, 2), "kept and new");
    assert!(!world.blobs.keys().contains(&lost) && world.blobs.keys().contains(&kept));
    let late = world.domain.lfs.verify(&ada, "shop", &wanted(b"abandoned")).await;
    assert!(matches!(late, Err(Error::NotFound("object"))));
    let (size, _) = world.domain.lfs.open(&project.id, &Sha256Digest::of(b"kept")).await.unwrap().unwrap();
    assert_eq!(size, 4);
    assert!(world.domain.lfs.open(&project.id, &Sha256Digest::of(b"abandoned")).await.unwrap().is_none());
}

#[tokio::test]
async fn verified_twenty_times_at_once_it_is_stored_and_told_once() {
    let (world, ada, project) = shop(Quotas::default()).await;
    let key = ask(&world, &ada, b"hello").await.unwrap();
    arrive(&world, &key, b"hello").await;
    let object = wanted(b"hello");
    let all = (0..20).map(|_| world.domain.lfs.verify(&ada, "shop", &object));
    assert!(futures::future::join_all(all).await.into_iter().all(|done| done.is_ok()));
    let events = world.domain.events.after(&project.id, 0, 100).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == "lfs.stored").count(), 1);
}

#[tokio::test]
async fn of_twenty_who_lock_a_path_one_has_it() {
    let (world, ada, _) = shop(quotas(1, 1, 1)).await;
    let all = (0..20).map(|_| world.domain.lfs.lock(&ada, "shop", "a.bin"));
    let done: Vec<_> = futures::future::join_all(all).await.into_iter().map(|done| done.unwrap()).collect();
    assert_eq!(done.iter().filter(|one| matches!(one, LockAttempt::Locked(_))).count(), 1);
    assert!(matches!(world.domain.lfs.lock(&ada, "shop", "b.bin").await, Err(Error::Quota(_))));
    let (filter, page) = (LockFilter::default(), PageQuery::default());
    let lock = world.domain.lfs.locks(&ada, "shop", &filter, &page).await.unwrap().items.remove(0);
    world.domain.lfs.unlock(&ada, "shop", lock.id.as_str(), false).await.unwrap();
    assert!(matches!(world.domain.lfs.lock(&ada, "shop", "b.bin").await.unwrap(), LockAttempt::Locked(_)));
}
