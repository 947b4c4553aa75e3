//! The files area.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use cloud::Sha256Digest;
use domain::{
    Caller, Error, Expected, InvalidCode, NewUpload, PageQuery, PartDigest, Quotas, Result, Upload, UploadState,
};
use world::World;

fn upload(path: &str, length: u64) -> NewUpload {
    NewUpload {
        path: path.into(),
        length,
        content_type: "text/plain".into(),
        sha256: Sha256Digest::of(b"hello").to_string(),
    }
}

async fn create(world: &World, who: &Caller, path: &str, length: u64) -> Result<Upload> {
    world.domain.files.create_upload(who, "shop", upload(path, length)).await
}

async fn shop(quotas: Quotas) -> (World, Caller, domain::Project) {
    let world = World::with(quotas);
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    (world, ada, project)
}

#[tokio::test]
async fn a_file_appears_when_its_bytes_have_arrived_and_are_completed() {
    let (world, ada, project) = shop(Quotas::default()).await;
    let started = create(&world, &ada, "docs/hello.txt", 5).await.unwrap();
    assert!(started.put.as_ref().unwrap().url.contains(&format!("projects/{}/files/{}", project.id, started.id)));
    let early = world.domain.files.complete_upload(&ada, "shop", started.id.as_str()).await.unwrap_err();
    assert!(matches!(early, Error::Conflict(_)));
    world.arrive(&project, &started.id, b"hello").await;
    let (file, new) = world.domain.files.complete_upload(&ada, "shop", started.id.as_str()).await.unwrap();
    assert!(new && file.path.as_str() == "docs/hello.txt" && file.length == 5);
    let listed = world.domain.files.list(&ada, "shop", &PageQuery::default()).await.unwrap().items;
    assert_eq!(listed, std::slice::from_ref(&file));
    let url = world.domain.files.content_url(&ada, "shop", file.id.as_str()).await.unwrap();
    assert!(url.headers[0].1.starts_with("attachment; filename=\"hello.txt\""));
    world.domain.files.delete(&ada, "shop", file.id.as_str(), &Expected::Tag(file.etag)).await.unwrap();
    assert!(matches!(world.domain.files.get(&ada, "shop", file.id.as_str()).await, Err(Error::NotFound("file"))));
    assert!(world.blobs.keys().iter().all(|key| !key.contains("/files/")));
}

#[tokio::test]
async fn upload_013_completed_twice_and_at_once_it_is_one_file() {
    let (world, ada, project) = shop(Quotas::default()).await;
    let started = create(&world, &ada, "a", 5).await.unwrap();
    world.arrive(&project, &started.id, b"hello").await;
    let all = (0..20).map(|_| world.domain.files.complete_upload(&ada, "shop", started.id.as_str()));
    let done: Vec<_> = futures::future::join_all(all).await.into_iter().map(|done| done.unwrap()).collect();
    assert_eq!(done.iter().filter(|(_, new)| *new).count(), 1);
    assert!(done.iter().all(|(file, _)| *file == done[0].0));
    assert_eq!(world.domain.files.list(&ada, "shop", &PageQuery::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_file_at_a_path_is_replaced_by_the_next() {
    let (world, ada, project) = shop(Quotas { files_bytes_per_project: 10, ..Quotas::default() }).await;
    let mut last = None;
    for _ in 0..4 {
        let started = create(&world, &ada, "a", 5).await.unwrap();
        world.arrive(&project, &started.id, b"hello").await;
        last = Some(world.domain.files.complete_upload(&ada, "shop", started.id.as_str()).await.unwrap().0);
    }
    assert_eq!(world.domain.files.list(&ada, "shop", &PageQuery::default()).await.unwrap().items, [last.unwrap()]);
    assert_eq!(world.blobs.keys().iter().filter(|key| key.contains("/files/")).count(), 1);
}

#[tokio::test]
async fn upload_001_014_paths_types_and_digests_are_checked() {
    let (world, ada, _) = shop(Quotas::default()).await;
    for path in ["../../other-team/x", "/x", "", "a\"\r\nX: y", "a\u{202e}gpj.exe", ".git/x", "a//b"] {
        let refused = create(&world, &ada, path, 5).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { code: InvalidCode::Path, .. }), "{path}");
    }
    for (content_type, sha256) in
        [("text/plain\r\nX: y", None), ("", None), ("text/plain", Some("zz")), ("text/plain", Some(""))]
    {
        let mut new = upload("a", 5);
        new.content_type = content_type.into();
        if let Some(sha256) = sha256 {
            new.sha256 = sha256.into();
        }
        let refused = world.domain.files.create_upload(&ada, "shop", new).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{content_type} {sha256:?}");
    }
    assert!(matches!(create(&world, &ada, "a", u64::MAX).await, Err(Error::TooLarge(_))));
}

#[tokio::test]
async fn upload_016_space_and_waiting_uploads_are_bounded() {
    let quotas = Quotas { files_bytes_per_project: 100, pending_uploads_per_project: 3, ..Quotas::default() };
    let (world, ada, _) = shop(quotas).await;
    assert!(matches!(create(&world, &ada, "big", 101).await, Err(Error::Quota(_))));
    let many = (0..10).map(|n| {
        let (world, ada) = (&world, &ada);
        async move { create(world, ada, &format!("f{n}"), 5).await }
    });
    let made = futures::future::join_all(many).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 3);
    world.clock.advance(Duration::from_secs(3 * 60 * 60));
    create(&world, &ada, "after", 5).await.unwrap();
}

#[tokio::test]
async fn upload_017_a_deleted_project_gives_no_urls() {
    let (world, ada, project) = shop(Quotas::default()).await;
    let started = create(&world, &ada, "a", 5).await.unwrap();
    world.arrive(&project, &started.id, b"hello").await;
    let (file, _) = world.domain.files.complete_upload(&ada, "shop", started.id.as_str()).await.unwrap();
    world.domain.projects.delete(&ada, "shop", &Expected::Tag(project.etag)).await.unwrap();
    let url = world.domain.files.content_url(&ada, project.id.as_str(), file.id.as_str()).await.unwrap_err();
    assert!(matches!(url, Error::NotFound("project")));
}

const MIB: usize = 1024 * 1024;
/// More than goes in one PUT: five parts, the last of one byte.
const LONG: usize = 64 * MIB + 1;

fn key(project: &domain::Project, upload: &Upload) -> String {
    format!("projects/{}/files/{}", project.id, upload.id)
}

fn send(world: &World, project: &domain::Project, upload: &Upload, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        let size = upload.parts[number as usize - 1].size;
        world.blobs.send_part(&key(project, upload), number, vec![number as u8; size as usize].into());
    }
}

#[tokio::test]
async fn a_long_file_goes_in_parts_and_goes_on_where_it_was() {
    let (world, ada, project) = shop(Quotas::default()).await;
    let started = create(&world, &ada, "film.bin", LONG as u64).await.unwrap();
    assert!(started.put.is_none());
    assert_eq!(started.parts.iter().map(|part| part.size).sum::<u64>(), LONG as u64);
    let (files, id) = (&world.domain.files, started.id.as_str());
    let digests = |numbers: &[u32]| -> Vec<PartDigest> {
        numbers.iter().map(|&number| PartDigest { number, sha256: "0".repeat(64) }).collect()
    };
    let signed = files.sign_parts(&ada, "shop", id, digests(&[1, 5])).await.unwrap();
    assert_eq!(signed.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(signed[1].1.headers[0].1, "1", "the last part has its own length");
    for wrong in [vec![], digests(&[0]), digests(&[6]), digests(&[1; 101])] {
        assert!(matches!(files.sign_parts(&ada, "shop", id, wrong).await, Err(Error::Invalid { .. })));
    }
    send(&world, &project, &started, [1, 3]);
    world.blobs.send_part(&key(&project, &started), 4, vec![0; 7].into());
    let status = files.upload_status(&ada, "shop", id).await.unwrap();
    let received: Vec<bool> = status.parts.iter().map(|part| part.received).collect();
    assert_eq!((status.state, received), (UploadState::Waiting, vec![true, false, true, false, false]));
    let early = files.complete_upload(&ada, "shop", id).await.unwrap_err();
    assert!(early.to_string().contains("2, 4, 5"), "{early}");
    send(&world, &project, &started, [2, 4, 5]);
    let all = (0..10).map(|_| files.complete_upload(&ada, "shop", id));
    let done: Vec<_> = futures::future::join_all(all).await.into_iter().map(|done| done.unwrap()).collect();
    assert_eq!(done.iter().filter(|(_, new)| *new).count(), 1);
    assert_eq!(files.upload_status(&ada, "shop", id).await.unwrap().state, UploadState::Completed);
    assert_eq!(world.blobs.uploads(), 0);
    assert!(matches!(files.cancel_upload(&ada, "shop", id).await, Err(Error::NotFound("upload"))));
    assert_eq!(files.list(&ada, "shop", &PageQuery::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn an_upload_that_is_cancelled_or_forgotten_leaves_nothing() {
    let (world, ada, project) = shop(Quotas { files_bytes_per_project: 70 * MIB as u64, ..Quotas::default() }).await;
    let files = &world.domain.files;
    let started = create(&world, &ada, "film.bin", LONG as u64).await.unwrap();
    send(&world, &project, &started, [1]);
    assert!(matches!(create(&world, &ada, "other.bin", LONG as u64).await, Err(Error::Quota(_))));
    assert_eq!(world.blobs.uploads(), 1, "what finds no room holds no parts");
    files.cancel_upload(&ada, "shop", started.id.as_str()).await.unwrap();
    assert_eq!(world.blobs.uploads(), 0);
    assert!(matches!(files.upload_status(&ada, "shop", started.id.as_str()).await, Err(Error::NotFound("upload"))));
    let again = create(&world, &ada, "film.bin", LONG as u64).await.unwrap();
    send(&world, &project, &again, [1]);
    world.clock.advance(Duration::from_secs(26 * 60 * 60));
    create(&world, &ada, "other.bin", LONG as u64).await.unwrap();
    assert_eq!(world.blobs.uploads(), 1, "the forgotten one is gone");
    assert!(matches!(files.complete_upload(&ada, "shop", again.id.as_str()).await, Err(Error::NotFound("upload"))));
}
