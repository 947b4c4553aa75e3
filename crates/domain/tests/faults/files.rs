use cloud::Sha256Digest;
use domain::{Domain, Error, Expected, FileId, NewUpload, PageQuery, Project, Result, StoredFile, Upload};

use crate::house::{Trial, at_every_call};

async fn create(domain: &Domain, at: &Trial<'_>, length: u64) -> Result<Upload> {
    let sha256 = Sha256Digest::of(b"hello").to_string();
    let new = NewUpload { path: "docs/a.txt".into(), length, content_type: "text/plain".into(), sha256 };
    domain.files.create_upload(&at.ada, &at.name(), new).await
}

async fn complete(domain: &Domain, at: &Trial<'_>, upload: &FileId) -> Result<StoredFile> {
    domain.files.complete_upload(&at.ada, &at.name(), upload.as_str()).await.map(|(file, _)| file)
}

async fn arrived(at: &Trial<'_>, project: &Project, bytes: &'static [u8]) -> Upload {
    let upload = create(&at.world.domain, at, bytes.len() as u64).await.unwrap();
    at.world.arrive(project, &upload.id, bytes).await;
    upload
}

async fn listed(at: &Trial<'_>) -> Vec<StoredFile> {
    at.world.domain.files.list(&at.ada, &at.name(), &PageQuery::default()).await.unwrap().items
}

/// Bytes that count against the quota, and uploads that wait.
fn usage(at: &Trial<'_>, project: &Project) -> (u64, u64) {
    let partition = format!("project#{}", project.id);
    let stored = at.world.records.dump().into_iter();
    let usage = stored.filter(|r| r.key.partition == partition && r.key.sort == "file-usage").map(|r| r.value).next();
    usage.map_or((0, 0), |usage| (usage["bytes"].as_u64().unwrap(), usage["pending"].as_u64().unwrap()))
}

#[tokio::test]
async fn an_upload_is_reserved_once_or_not_at_all() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.empty_project().await;
        let started = match at.strike(create(&at.shaky, at, 5)).await {
            Some(started) => started,
            None => {
                assert_eq!(usage(at, &project), (0, 0), "what failed holds no space");
                create(&at.world.domain, at, 5).await.unwrap()
            }
        };
        assert_eq!(usage(at, &project), (5, 1));
        assert_eq!(at.told(&project), ["project.created", "upload.created"]);
        at.world.arrive(&project, &started.id, b"hello").await;
        complete(&at.world.domain, at, &started.id).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_upload_becomes_the_file_at_its_path_or_waits() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.empty_project().await;
        let old = arrived(at, &project, b"old").await;
        let old = complete(&at.world.domain, at, &old.id).await.unwrap();
        let upload = arrived(at, &project, b"hello").await;
        match at.strike(complete(&at.shaky, at, &upload.id)).await {
            Some(file) => assert_eq!(listed(at).await, [file]),
            None => {
                let told = at.told(&project).iter().filter(|kind| *kind == "upload.completed").count();
                let now = listed(at).await;
                assert_eq!(now.len(), 1);
                assert_eq!(told, if now[0] == old { 1 } else { 2 }, "the file and its event go together");
            }
        }
        let again = complete(&at.world.domain, at, &upload.id).await.unwrap();
        assert_eq!(listed(at).await, std::slice::from_ref(&again));
        assert_eq!((again.id, again.length), (upload.id, 5));
        assert_eq!(usage(at, &project), (5, 0));
        let kinds = ["project.created", "upload.created", "upload.completed", "upload.created", "upload.completed"];
        assert_eq!(at.told(&project), kinds);
    })
    .await;
}

#[tokio::test]
async fn a_file_is_deleted_and_told_of_or_stays() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.empty_project().await;
        let upload = arrived(at, &project, b"hello").await;
        let file = complete(&at.world.domain, at, &upload.id).await.unwrap();
        let (slug, id, tag) = (project.slug.as_str(), file.id.as_str(), Expected::Tag(file.etag.clone()));
        let gone = at.strike(at.shaky.files.delete(&at.ada, slug, id, &tag)).await;
        assert_eq!(listed(at).await.is_empty(), gone.is_some(), "an answer of failure has changed nothing");
        let again = at.world.domain.files.delete(&at.ada, slug, id, &tag).await;
        match gone {
            Some(()) => assert!(matches!(again, Err(Error::NotFound("file")))),
            None => again.unwrap(),
        }
        assert_eq!(usage(at, &project), (0, 0));
        assert_eq!(at.told(&project), ["project.created", "upload.created", "upload.completed", "file.deleted"]);
    })
    .await;
}
