//! Drafts and commits.
#![allow(clippy::unwrap_used)]

mod world;

use bytes::Bytes;
use domain::{
    Caller, Change, Draft, DraftsQuery, Error, Expected, InvalidCode, NewCommit, PageQuery, Result, SaveDraft,
};
use world::World;

async fn save(world: &World, who: &Caller, path: &str, bytes: &[u8], expected: Expected) -> Result<(Draft, bool)> {
    let save = SaveDraft {
        branch: "main".into(),
        path: path.into(),
        bytes: Bytes::copy_from_slice(bytes),
        ..SaveDraft::default()
    };
    world.domain.drafts.save(who, "shop", &expected, save).await
}

fn of_main() -> DraftsQuery {
    DraftsQuery { branch: "main".into(), ..DraftsQuery::default() }
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
    let (read, bytes) = world.domain.drafts.get(&ada, "shop", "main", "a.txt", None).await.unwrap();
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
    let read = world.domain.drafts.get(&dev, "shop", "main", "a.txt", None).await;
    assert!(matches!(read, Err(Error::NotFound("draft"))));
    assert!(world.domain.drafts.list(&dev, "shop", &of_main()).await.unwrap().items.is_empty());
    save(&world, &dev, "a.txt", b"dev's", Expected::Absent).await.unwrap();
    let (_, bytes) = world.domain.drafts.get(&ada, "shop", "main", "a.txt", None).await.unwrap();
    assert_eq!(&bytes[..], b"ada's");
}

async fn delete(world: &World, who: &Caller, path: &str, expected: Expected) -> Result<(Draft, bool)> {
    let save = SaveDraft { branch: "main".into(), path: path.into(), deleted: true, ..SaveDraft::default() };
    world.domain.drafts.save(who, "shop", &expected, save).await
}

async fn commit_drafts(world: &World, who: &Caller, head: &str, drafts: &[&str]) -> Result<git_store::Commit> {
    let new = NewCommit {
        branch: "main".into(),
        expected_head: Some(head.into()),
        message: "drafts".into(),
        drafts: drafts.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    world.domain.commits.create(who, "shop", new).await
}

#[tokio::test]
async fn a_commit_deletes_what_a_draft_says_is_deleted() {
    let (world, ada, project) = shop().await;
    commit(&world, &ada, vec![put("lib/one.py", b"1"), put("lib/two.py", b"2")]).await.unwrap();
    let (gone, new) = delete(&world, &ada, "README.md", Expected::Absent).await.unwrap();
    assert!(new && gone.deleted && gone.length == 0);
    let head = world.head(&ada, &project, "main").await;
    assert_eq!(gone.base.unwrap().to_string(), head);
    // A folder makes way for a file of its name.
    delete(&world, &ada, "lib/one.py", Expected::Absent).await.unwrap();
    delete(&world, &ada, "lib/two.py", Expected::Absent).await.unwrap();
    save(&world, &ada, "lib", b"a file", Expected::Absent).await.unwrap();
    commit_drafts(&world, &ada, &head, &["README.md", "lib", "lib/one.py", "lib/two.py"]).await.unwrap();
    for path in ["README.md", "lib/one.py"] {
        let read = world.domain.repository.file(&ada, "shop", "main", path).await;
        assert!(matches!(read, Err(Error::NotFound("file"))), "{path}");
    }
    assert_eq!(&world.domain.repository.file(&ada, "shop", "main", "lib").await.unwrap().bytes[..], b"a file");
    assert!(world.domain.drafts.list(&ada, "shop", &of_main()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_deletion_of_what_is_gone_already_is_no_change() {
    let (world, ada, project) = shop().await;
    delete(&world, &ada, "README.md", Expected::Absent).await.unwrap();
    save(&world, &ada, "a.txt", b"a", Expected::Absent).await.unwrap();
    let stale = world.head(&ada, &project, "main").await;
    commit(&world, &ada, vec![Change::Delete { path: "README.md".into() }]).await.unwrap();
    let moved = commit_drafts(&world, &ada, &stale, &["README.md", "a.txt"]).await.unwrap_err();
    assert!(matches!(moved, Error::Conflict(_)), "{moved:?}");
    let head = world.head(&ada, &project, "main").await;
    let nothing = commit_drafts(&world, &ada, &head, &["README.md"]).await.unwrap_err();
    assert!(matches!(nothing, Error::Invalid { .. }), "{nothing:?}");
    commit_drafts(&world, &ada, &head, &["README.md", "a.txt"]).await.unwrap();
    assert!(world.domain.drafts.list(&ada, "shop", &of_main()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn a_deletion_becomes_an_edit_again_and_has_no_bytes_of_its_own() {
    let (world, ada, project) = shop().await;
    let (gone, _) = delete(&world, &ada, "README.md", Expected::Absent).await.unwrap();
    let stale = delete(&world, &ada, "README.md", Expected::Tag("old".into())).await;
    assert!(matches!(stale, Err(Error::PreconditionFailed(_))));
    let (back, _) = save(&world, &ada, "README.md", b"back", Expected::Tag(gone.etag)).await.unwrap();
    assert!(!back.deleted && back.base == gone.base);
    let head = world.head(&ada, &project, "main").await;
    commit_drafts(&world, &ada, &head, &["README.md"]).await.unwrap();
    assert_eq!(&world.domain.repository.file(&ada, "shop", "main", "README.md").await.unwrap().bytes[..], b"back");
    for (bytes, executable) in [(&b"x"[..], None), (b"", Some(true))] {
        let bytes = Bytes::from_static(bytes);
        let odd = SaveDraft { branch: "main".into(), path: "b".into(), bytes, executable, deleted: true, base: None };
        let refused = world.domain.drafts.save(&ada, "shop", &Expected::Absent, odd).await;
        assert!(matches!(refused, Err(Error::Invalid { field: Some("deleted"), .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_draft_knows_the_commit_that_it_began_from() {
    let (world, ada, project) = shop().await;
    let began = world.head(&ada, &project, "main").await;
    let (first, _) = save(&world, &ada, "a.txt", b"1", Expected::Absent).await.unwrap();
    assert_eq!(first.base.unwrap().to_string(), began);
    let moved = commit(&world, &ada, vec![put("b.txt", b"b")]).await.unwrap().oid.to_string();
    let (second, _) = save(&world, &ada, "a.txt", b"2", Expected::Tag(first.etag)).await.unwrap();
    assert_eq!(second.base.unwrap().to_string(), began, "saving again keeps the base");
    let on = |base: &str, etag: &str| {
        let save = SaveDraft {
            branch: "main".into(),
            path: "a.txt".into(),
            bytes: Bytes::from_static(b"3"),
            base: Some(base.into()),
            ..SaveDraft::default()
        };
        let (domain, expected) = (world.domain.clone(), Expected::Tag(etag.into()));
        let ada = ada.clone();
        async move { domain.drafts.save(&ada, "shop", &expected, save).await }
    };
    for (base, code) in [("main", InvalidCode::Ref), ("", InvalidCode::Ref), (&began[..39], InvalidCode::Ref)] {
        let refused = on(base, &second.etag).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { field: Some("base"), code: c, .. } if c == code), "{refused:?}");
    }
    let unknown = on(&"1".repeat(40), &second.etag).await;
    assert!(matches!(unknown, Err(Error::NotFound("commit"))), "{unknown:?}");
    let (third, _) = on(&moved, &second.etag).await.unwrap();
    assert_eq!(third.base.unwrap().to_string(), moved);
    let save = SaveDraft { branch: "new".into(), path: "a.txt".into(), ..SaveDraft::default() };
    let (unborn, _) = world.domain.drafts.save(&ada, "shop", &Expected::Absent, save).await.unwrap();
    assert_eq!(unborn.base, None);
}

/// Who has a draft of what, in all pages of `limit`.
async fn everyone(world: &World, who: &Caller, path: Option<&str>, limit: usize) -> Vec<(String, String)> {
    let mut query = DraftsQuery { everyone: true, path: path.map(str::to_owned), ..of_main() };
    query.page.limit = Some(limit);
    let mut all = Vec::new();
    loop {
        let page = world.domain.drafts.list(who, "shop", &query).await.unwrap();
        all.extend(page.items.into_iter().map(|draft| (draft.name.to_string(), draft.path.to_string())));
        let Some(next) = page.next else { return all };
        query.page.after = Some(next);
        assert!(all.len() < 100, "the pages come to no end");
    }
}

#[tokio::test]
async fn members_who_write_see_what_colleagues_have_and_viewers_do_not() {
    let (world, ada, project) = shop().await;
    // Whose account is later is listed later.
    world.clock.advance(std::time::Duration::from_millis(1));
    let dev = world.member(&ada, &project, "dev", identity::Role::Developer).await;
    let eve = world.member(&ada, &project, "eve", identity::Role::Viewer).await;
    for path in ["a.txt", "b.txt"] {
        save(&world, &ada, path, b"ada's", Expected::Absent).await.unwrap();
    }
    save(&world, &dev, "b.txt", b"dev's", Expected::Absent).await.unwrap();
    let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    let all = [pair("ada", "a.txt"), pair("ada", "b.txt"), pair("dev", "b.txt")];
    for limit in [1, 2, 50] {
        assert_eq!(everyone(&world, &dev, None, limit).await, all);
        assert_eq!(everyone(&world, &dev, Some("b.txt"), limit).await, all[1..]);
        assert!(everyone(&world, &dev, Some("c.txt"), limit).await.is_empty());
    }
    let (dev_id, ada_id) = (dev.principal.account.as_str(), ada.principal.account.as_str());
    let (_, bytes) = world.domain.drafts.get(&ada, "shop", "main", "b.txt", Some(dev_id)).await.unwrap();
    assert_eq!(&bytes[..], b"dev's");
    for odd in ["", "x", "01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        let read = world.domain.drafts.get(&ada, "shop", "main", "b.txt", Some(odd)).await;
        assert!(matches!(read, Err(Error::NotFound("draft"))), "{odd}: {read:?}");
    }
    let query = DraftsQuery { everyone: true, ..of_main() };
    let listed = world.domain.drafts.list(&eve, "shop", &query).await;
    assert!(matches!(listed, Err(Error::Forbidden(_))), "{listed:?}");
    let read = world.domain.drafts.get(&eve, "shop", "main", "b.txt", Some(ada_id)).await;
    assert!(matches!(read, Err(Error::Forbidden(_))), "{read:?}");
    world.domain.members.remove(&ada, "shop", dev_id).await.unwrap();
    assert_eq!(everyone(&world, &ada, None, 50).await, all[..2], "who has left is not shown");
    let read = world.domain.drafts.get(&ada, "shop", "main", "b.txt", Some(dev_id)).await;
    assert!(matches!(read, Err(Error::NotFound("draft"))));
}

#[tokio::test]
async fn a_cursor_of_another_list_of_drafts_is_refused() {
    let (world, ada, _) = shop().await;
    save(&world, &ada, "a.txt", b"1", Expected::Absent).await.unwrap();
    for (everyone, path, cursor) in [
        (false, None, "../x"),
        (true, None, "a.txt"),
        (true, None, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        (true, None, "x#a.txt"),
        (true, Some("a.txt"), "a.txt"),
    ] {
        let mut query = DraftsQuery { everyone, path: path.map(str::to_owned), ..of_main() };
        query.page.after = Some(cursor.into());
        let refused = world.domain.drafts.list(&ada, "shop", &query).await;
        assert!(matches!(refused, Err(Error::Invalid { code: InvalidCode::Cursor, .. })), "{cursor}: {refused:?}");
    }
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
        ..Default::default()
    };
    let made = world.domain.commits.create(&ada, "shop", new).await.unwrap();
    assert_eq!(made.message, "one\ntwo\n");
    assert_eq!((made.author.name.as_str(), made.author.email.as_str()), ("ada", "ada@example.com"));
    assert_eq!(made.parents[0].to_string(), head);
    let file = world.domain.repository.file(&ada, "shop", "main", "all.bin").await.unwrap();
    assert_eq!(&file.bytes[..], &bytes[..]);
    let gone = world.domain.repository.file(&ada, "shop", "main", "README.md").await.unwrap_err();
    assert!(matches!(gone, Error::NotFound("file")));
    let left = world.domain.drafts.list(&ada, "shop", &of_main()).await.unwrap().items;
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
    world.domain.drafts.get(&ada, "shop", "main", "a.txt", None).await.unwrap();
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
        amend: false,
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
