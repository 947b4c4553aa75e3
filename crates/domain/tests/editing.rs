//! Drafts and commits.
#![allow(clippy::unwrap_used)]

mod world;

use bytes::Bytes;
use domain::{Caller, Change, Draft, Error, Expected, InvalidCode, NewCommit, PageQuery, Result, SaveDraft};
use world::World;

async fn save(world: &World, who: &Caller, path: &str, bytes: &[u8], expected: Expected) -> Result<(Draft, bool)> {
    let save =
        SaveDraft { branch: "main".into(), path: path.into(), bytes: Bytes::copy_from_slice(bytes), executable: None };
    world.domain.drafts.save(who, "shop", &expected, save).await
}

async fn shop() -> (World, Caller, domain::Project) {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    (world, ada, project)
}

#[tokio::test]
async fn draft_001_002_a_save_needs_the_version_that_was_read() {
    let (world, ada, _) = shop().await;
    let unsaid = save(&world, &ada, "a.txt", b"1", Expected::Unsaid).await.unwrap_err();
    assert!(matches!(unsaid, Error::PreconditionRequired(_)));
    let (first, new) = save(&world, &ada, "a.txt", b"1", Expected::Absent).await.unwrap();
    assert!(new);
    assert!(matches!(save(&world, &ada, "a.txt", b"2", Expected::Absent).await, Err(Error::PreconditionFailed(_))));
    assert!(matches!(save(&world, &ada, "a.txt", b"2", Expected::Unsaid).await, Err(Error::PreconditionRequired(_))));
    let tag = Expected::Tag(first.etag);
    let (second, new) = save(&world, &ada, "a.txt", b"2", tag.clone()).await.unwrap();
    assert!(!new);
    assert!(matches!(save(&world, &ada, "a.txt", b"3", tag).await, Err(Error::PreconditionFailed(_))));
    let (read, bytes) = world.domain.drafts.get(&ada, "shop", "main", "a.txt").await.unwrap();
    assert_eq!((read, &bytes[..]), (second, &b"2"[..]));
}

#[tokio::test]
async fn of_many_saves_at_once_one_wins() {
    let (world, ada, _) = shop().await;
    let (first, _) = save(&world, &ada, "a.txt", b"1", Expected::Absent).await.unwrap();
    let saves = (0..10_u8).map(|n| save(&world, &ada, "a.txt", vec![n].leak(), Expected::Tag(first.etag.clone())));
    let saved = futures::future::join_all(saves).await;
    assert_eq!(saved.iter().filter(|saved| saved.is_ok()).count(), 1);
}

#[tokio::test]
async fn drafts_are_ones_own() {
    let (world, ada, project) = shop().await;
    let dev = world.member(&ada, &project, "dev", identity::Role::Developer).await;
    save(&world, &ada, "a.txt", b"ada's", Expected::Absent).await.unwrap();
    let read = world.domain.drafts.get(&dev, "shop", "main", "a.txt").await;
    assert!(matches!(read, Err(Error::NotFound("draft"))));
    assert!(world.domain.drafts.list(&dev, "shop", "main", &PageQuery::default()).await.unwrap().items.is_empty());
    save(&world, &dev, "a.txt", b"dev's", Expected::Absent).await.unwrap();
    let (_, bytes) = world.domain.drafts.get(&ada, "shop", "main", "a.txt").await.unwrap();
    assert_eq!(&bytes[..], b"ada's");
}

#[tokio::test]
async fn file_paths_that_no_tree_may_hold_are_refused() {
    let (world, ada, _) = shop().await;
    let long = "a".repeat(256);
    for path in [
        "%2e%2e%2fx",
        "/etc/passwd",
        "C:\\x",
        "\\\\h\\s",
        "a\u{0}.txt",
        ".",
        "a/./b",
        ".git/config",
        ".git /config",
        ".git::$INDEX_ALLOCATION/config",
        ".g\u{200c}it/config",
        "a\u{1b}[2Jb",
        "a\nb",
        "",
        "../x",
        &long,
    ] {
        let refused = save(&world, &ada, path, b"x", Expected::Absent).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { code: InvalidCode::Path, .. }), "{path}: {refused:?}");
        let commit = commit(&world, &ada, vec![put(path, b"x")]).await.unwrap_err();
        assert!(matches!(commit, Error::Invalid { code: InvalidCode::Path, .. }), "{path}: {commit:?}");
    }
}

fn put(path: &str, bytes: &'static [u8]) -> Change {
    Change::Put { path: path.into(), bytes: Bytes::from_static(bytes), executable: None }
}

async fn commit(world: &World, who: &Caller, changes: Vec<Change>) -> Result<git_store::Commit> {
    let head = world.domain.repository.commit(who, "shop", "main").await.unwrap().oid.to_string();
    let new = NewCommit {
        branch: "main".into(),
        expected_head: Some(head),
        message: "change".into(),
        changes,
        ..Default::default()
    };
    world.domain.commits.create(who, "shop", new).await
}

#[tokio::test]
async fn a_commit_takes_the_chosen_drafts_and_leaves_the_others() {
    let (world, ada, project) = shop().await;
    let bytes: Vec<u8> = (0..=255).collect();
    save(&world, &ada, "all.bin", &bytes, Expected::Absent).await.unwrap();
    save(&world, &ada, "later.txt", b"later", Expected::Absent).await.unwrap();
    let head = world.head(&ada, &project, "main").await;
    let new = NewCommit {
        branch: "main".into(),
        expected_head: Some(head.clone()),
        message: "one\r\ntwo".into(),
        drafts: vec!["all.bin".into()],
        changes: vec![Change::Delete { path: "README.md".into() }],
    };
    let made = world.domain.commits.create(&ada, "shop", new).await.unwrap();
    assert_eq!(made.message, "one\ntwo\n");
    assert_eq!((made.author.name.as_str(), made.author.email.as_str()), ("ada", "ada@example.com"));
    assert_eq!(made.parents[0].to_string(), head);
    let file = world.domain.repository.file(&ada, "shop", "main", "all.bin").await.unwrap();
    assert_eq!(&file.bytes[..], &bytes[..]);
    let gone = world.domain.repository.file(&ada, "shop", "main", "README.md").await.unwrap_err();
    assert!(matches!(gone, Error::NotFound("file")));
    let left = world.domain.drafts.list(&ada, "shop", "main", &PageQuery::default()).await.unwrap().items;
    assert_eq!(left.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["later.txt"]);
    let events = world.domain.events.list(&ada, "shop", &PageQuery::default()).await.unwrap().items;
    let pushed = events.last().unwrap();
    assert_eq!((pushed.kind.as_str(), pushed.resource.as_str()), ("git.pushed", "refs/heads/main"));
    assert_eq!(pushed.detail["refs"][0]["new"], made.oid.to_string());
}

#[tokio::test]
async fn a_commit_on_a_moved_branch_is_refused_and_keeps_the_drafts() {
    let (world, ada, project) = shop().await;
    save(&world, &ada, "a.txt", b"a", Expected::Absent).await.unwrap();
    let stale = world.head(&ada, &project, "main").await;
    commit(&world, &ada, vec![put("b.txt", b"b")]).await.unwrap();
    let new = |expected_head| NewCommit {
        branch: "main".into(),
        expected_head,
        message: "m".into(),
        drafts: vec!["a.txt".into()],
        ..Default::default()
    };
    let moved = world.domain.commits.create(&ada, "shop", new(Some(stale))).await.unwrap_err();
    assert!(matches!(moved, Error::Conflict(_)), "{moved:?}");
    let unsaid = world.domain.commits.create(&ada, "shop", new(None)).await.unwrap_err();
    assert!(matches!(unsaid, Error::PreconditionRequired(_)));
    world.domain.drafts.get(&ada, "shop", "main", "a.txt").await.unwrap();
}

#[tokio::test]
async fn draft_006_a_repeated_commit_is_the_same_commit() {
    let (world, mut ada, project) = shop().await;
    ada.idempotency_token = Some("key-1".into());
    let new = NewCommit {
        branch: "main".into(),
        expected_head: Some(world.head(&ada, &project, "main").await),
        message: "once".into(),
        changes: vec![put("a.txt", b"a")],
        ..Default::default()
    };
    let first = world.domain.commits.create(&ada, "shop", new.clone()).await.unwrap();
    let again = world.domain.commits.create(&ada, "shop", new).await.unwrap();
    assert_eq!(first.oid, again.oid);
}

#[tokio::test]
async fn draft_009_a_message_is_text_of_a_bounded_length() {
    let (world, ada, project) = shop().await;
    let head = world.head(&ada, &project, "main").await;
    let long = "A".repeat(10 * 1024 * 1024);
    for (message, fits) in
        [("a\0b", false), ("", false), (" \n", false), (long.as_str(), false), ("x\n\ngpgsig y", true)]
    {
        let new = NewCommit {
            branch: "main".into(),
            expected_head: Some(head.clone()),
            message: message.into(),
            changes: vec![put("a.txt", b"a")],
            ..Default::default()
        };
        let made = world.domain.commits.create(&ada, "shop", new).await;
        match made {
            Ok(commit) => assert!(fits && commit.message == "x\n\ngpgsig y\n", "{message}"),
            Err(Error::Invalid { .. } | Error::TooLarge(_)) => assert!(!fits),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Rules and records of nobody: for what no caller could commit.
struct Unruled;

#[async_trait::async_trait]
impl git_store::RefPolicy for Unruled {
    async fn check(&self, _: &git_store::RefChange) -> std::result::Result<(), String> {
        Ok(())
    }

    async fn along(&self, _: &[git_store::RefChange]) -> std::result::Result<Vec<cloud::Write>, cloud::Error> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn file_033_034_a_symlink_reads_as_its_text_and_nothing_is_written_through_it() {
    let (world, ada, project) = shop().await;
    let head = world.domain.repository.commit(&ada, "shop", "main").await.unwrap().oid;
    let link = git_store::CommitFiles {
        branch: git_store::BranchName::parse("main").unwrap(),
        expected_head: Some(head),
        author: git_store::Signature { name: "a".into(), email: "a@b".into(), at: world.now(), offset_minutes: 0 },
        committer: git_store::Signature { name: "a".into(), email: "a@b".into(), at: world.now(), offset_minutes: 0 },
        message: "link\n".into(),
        changes: vec![git_store::FileChange::Put {
            path: git_store::RepoPath::parse("l").unwrap(),
            bytes: Bytes::from_static(b"../../etc"),
            mode: Some(git_store::FileMode::Symlink),
        }],
        push_id: "link".into(),
    };
    let repository = git_store::RepositoryId::parse(project.id.as_str()).unwrap();
    world.git.commit_files(&repository, link, &Unruled).await.unwrap();
    let read = world.domain.repository.file(&ada, "shop", "main", "l").await.unwrap();
    assert_eq!((&read.bytes[..], read.mode), (&b"../../etc"[..], 0o120_000));
    let through = commit(&world, &ada, vec![put("l/x", b"x")]).await.unwrap_err();
    assert!(matches!(through, Error::Conflict(_) | Error::Invalid { .. }), "{through:?}");
}

#[tokio::test]
async fn file_035_names_that_differ_in_case_alone_are_both_kept() {
    let (world, ada, _) = shop().await;
    let before = world.domain.repository.file(&ada, "shop", "main", "README.md").await.unwrap();
    if commit(&world, &ada, vec![put("readme.MD", b"other")]).await.is_ok() {
        let other = world.domain.repository.file(&ada, "shop", "main", "readme.MD").await.unwrap();
        assert_eq!(&other.bytes[..], b"other");
    }
    let after = world.domain.repository.file(&ada, "shop", "main", "README.md").await.unwrap();
    assert_eq!(before.oid, after.oid);
}

#[tokio::test]
async fn branches_come_in_pages() {
    let (world, ada, _) = shop().await;
    for name in ["a", "b/c", "z"] {
        world.domain.repository.create_branch(&ada, "shop", name, "main").await.unwrap();
    }
    let again = world.domain.repository.create_branch(&ada, "shop", "a", "main").await.unwrap_err();
    assert!(matches!(again, Error::Conflict(_)));
    let mut names = Vec::new();
    let mut query = PageQuery { after: None, limit: Some(1) };
    loop {
        let page = world.domain.repository.branches(&ada, "shop", &query).await.unwrap();
        names.extend(page.items.into_iter().map(|branch| branch.name.to_string()));
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert_eq!(names, ["a", "b/c", "main", "z"]);
    world.domain.repository.delete_branch(&ada, "shop", "b/c", None).await.unwrap();
    let left = world.domain.repository.branches(&ada, "shop", &PageQuery::default()).await.unwrap();
    assert_eq!(left.items.len(), 3);
}
