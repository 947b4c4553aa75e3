//! Git LFS: room, time and races.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use cloud::{BlobKey, Blobs, Clock, PutOptions, Sha256Digest};
use domain::{
    Caller, Change, Error, Expected, LockAttempt, LockFilter, NewCommit, NewUpload, ObjectRefusal, PageQuery, Project,
    QuotaUpdate, Quotas, WantedObject,
};
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

/// Of each object of a batch, whether it may be sent; or why not.
async fn batch(world: &World, who: &Caller, objects: &[&[u8]]) -> Vec<Result<bool, ObjectRefusal>> {
    let wanted = objects.iter().map(|bytes| wanted(bytes)).collect();
    let batch = world.domain.lfs.upload_batch(who, "shop", wanted).await.unwrap();
    batch.into_iter().map(|object| object.transfer.map(|put| put.is_some())).collect()
}

fn is_full(refusal: &Result<bool, ObjectRefusal>, named: &str) -> bool {
    matches!(refusal, Err(ObjectRefusal::NoRoom(text)) if text.contains(named))
}

#[tokio::test]
async fn of_a_batch_that_does_not_fit_each_object_is_refused_that_passes_the_limit() {
    let (world, ada, _) = shop(quotas(10, 2, 5)).await;
    assert!(is_full(&batch(&world, &ada, &[b"eleven bytes"]).await[0], "10 bytes"));
    assert_eq!(usage(&world), (0, 0));
    let mixed = batch(&world, &ada, &[b"123456", b"too long", b"7890", b""]).await;
    assert_eq!((&mixed[0], &mixed[2]), (&Ok(true), &Ok(true)));
    assert!(is_full(&mixed[1], "10 bytes") && is_full(&mixed[3], "2 Git LFS objects"), "{mixed:?}");
    assert_eq!(usage(&world), (10, 2));
    // What is waited for already takes no more room.
    assert_eq!(batch(&world, &ada, &[b"123456", b"7890"]).await, [Ok(true), Ok(true)]);
    assert_eq!(usage(&world), (10, 2));
}

#[tokio::test]
async fn objects_count_in_the_storage_of_the_project_with_all_else() {
    let (world, ada, _) = shop(Quotas::default()).await;
    let mut root = world.person("root").await;
    root.principal.admin = true;
    let used = world.domain.usage.get(&ada, "shop", None).await.unwrap().repository_bytes;
    let set = QuotaUpdate { storage_bytes: Some(used + 10), ..QuotaUpdate::default() };
    world.domain.usage.set_quota(&root, "shop", &Expected::Unsaid, set).await.unwrap();
    let mixed = batch(&world, &ada, &[b"1234567", b"8901"]).await;
    assert_eq!(mixed[0], Ok(true));
    assert!(is_full(&mixed[1], "storage leaves 10 bytes"), "{mixed:?}");
    assert_eq!(world.domain.usage.get(&ada, "shop", None).await.unwrap().files_bytes, 7);
    let upload =
        |length| NewUpload { path: "a.bin".into(), length, content_type: "text/plain".into(), sha256: "0".repeat(64) };
    assert!(matches!(world.domain.files.create_upload(&ada, "shop", upload(4)).await, Err(Error::Quota(_))));
    world.domain.files.create_upload(&ada, "shop", upload(3)).await.unwrap();
    assert!(is_full(&batch(&world, &ada, &[b"x"]).await[0], "storage leaves 7 bytes"));
}

/// Commits a pointer at each object, or takes it away, and compacts until the repository has forgotten what it may.
async fn point_at(world: &World, ada: &Caller, project: &Project, branch: &str, path: &str, bytes: Option<&[u8]>) {
    let change = match bytes {
        None => Change::Delete { path: path.into() },
        Some(bytes) => {
            let oid = Sha256Digest::of(bytes);
            let size = bytes.len();
            let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n");
            Change::Put { path: path.into(), bytes: text.into(), executable: None }
        }
    };
    let new = NewCommit {
        branch: branch.into(),
        expected_head: Some(world.head(ada, project, branch).await),
        message: "a pointer".into(),
        changes: vec![change],
        ..NewCommit::default()
    };
    world.domain.commits.create(ada, "shop", new).await.unwrap();
}

/// As many commits as make a compaction due, and the compaction.
async fn compact(world: &World, ada: &Caller, project: &Project) {
    for n in 0..10 {
        let change = Change::Put {
            path: "n.txt".into(),
            bytes: format!("{n} {}", world.clock.now().0).into(),
            executable: None,
        };
        let new = NewCommit {
            branch: "main".into(),
            expected_head: Some(world.head(ada, project, "main").await),
            message: "more".into(),
            changes: vec![change],
            ..NewCommit::default()
        };
        world.domain.commits.create(ada, "shop", new).await.unwrap();
    }
    world.domain.maintenance.compact(&project.id).await.unwrap().unwrap();
}

async fn store(world: &World, ada: &Caller, bytes: &'static [u8]) -> String {
    let key = ask(world, ada, bytes).await.unwrap();
    arrive(world, &key, bytes).await;
    world.domain.lfs.verify(ada, "shop", &wanted(bytes)).await.unwrap();
    key
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_nothing_points_at_goes_after_two_weeks_and_gives_its_room_back() {
    let (world, ada, project) = shop(Quotas::default()).await;
    let named = store(&world, &ada, b"named").await;
    let lost = store(&world, &ada, b"never committed").await;
    let late = store(&world, &ada, b"committed late").await;
    let again = store(&world, &ada, b"asked for again").await;
    point_at(&world, &ada, &project, "main", "deep/in/a.bin", Some(b"named")).await;
    compact(&world, &ada, &project).await;
    assert_eq!(usage(&world).1, 4, "a first look removes nothing");
    world.clock.advance(13 * DAY);
    compact(&world, &ada, &project).await;
    assert_eq!(usage(&world).1, 4, "thirteen days are no two weeks");
    // A push takes its time: the client was told that it need not send this one.
    assert_eq!(batch(&world, &ada, &[b"asked for again"]).await, [Ok(false)]);
    point_at(&world, &ada, &project, "main", "late.bin", Some(b"committed late")).await;
    world.clock.advance(2 * DAY);
    compact(&world, &ada, &project).await;
    let keys = world.blobs.keys();
    assert!(!keys.contains(&lost) && [&named, &late, &again].iter().all(|key| keys.contains(*key)), "{keys:?}");
    assert_eq!(usage(&world), ((5 + 14 + 15) as u64, 3));
    let absent = world.domain.lfs.download_batch(&ada, "shop", vec![wanted(b"never committed")]).await.unwrap();
    assert!(matches!(absent[0].transfer, Err(ObjectRefusal::Absent)));
    // Now it has to be sent again.
    assert_eq!(batch(&world, &ada, &[b"never committed"]).await, [Ok(true)]);
    world.clock.advance(15 * DAY);
    compact(&world, &ada, &project).await;
    assert!(!world.blobs.keys().contains(&again) && world.blobs.keys().contains(&named));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_stays_while_any_commit_that_is_stored_points_at_it() {
    let (world, ada, project) = shop(Quotas::default()).await;
    let old = store(&world, &ada, b"of an old commit").await;
    let gone = store(&world, &ada, b"of a branch that goes").await;
    point_at(&world, &ada, &project, "main", "a.bin", Some(b"of an old commit")).await;
    point_at(&world, &ada, &project, "main", "a.bin", None).await;
    world.domain.repository.create_branch(&ada, "shop", "side", "main").await.unwrap();
    point_at(&world, &ada, &project, "side", "b.bin", Some(b"of a branch that goes")).await;
    world.domain.repository.delete_branch(&ada, "shop", "side", None).await.unwrap();
    // The repository forgets the branch's commit after two weeks, then its object waits as long.
    compact(&world, &ada, &project).await;
    world.clock.advance(15 * DAY);
    assert!(world.blobs.keys().contains(&gone));
    compact(&world, &ada, &project).await;
    assert!(world.blobs.keys().contains(&gone), "its commit was there until now");
    world.clock.advance(15 * DAY);
    compact(&world, &ada, &project).await;
    let keys = world.blobs.keys();
    assert!(keys.contains(&old) && !keys.contains(&gone), "{keys:?}");
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
