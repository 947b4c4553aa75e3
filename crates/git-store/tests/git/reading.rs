//! Reading and writing without a client.

use bytes::Bytes;
use cloud::Millis;
use git_store::{
    BranchName, CommitFiles, EntryKind, Error, FileChange, FileMode, FileStatus, LogQuery, Oid, RepoPath, Revision,
    Signature,
};

use crate::machine::Machine;

fn person() -> Signature {
    let (name, email) = ("Jo Writer".to_owned(), "jo@example.com".to_owned());
    Signature { name, email, at: Millis(1_700_000_000_000), offset_minutes: -90 }
}

fn path(raw: &str) -> RepoPath {
    RepoPath::parse(raw).unwrap()
}

fn put(at: &str, bytes: impl Into<Bytes>) -> FileChange {
    FileChange::Put { path: path(at), bytes: bytes.into(), mode: None }
}

fn request(head: Option<Oid>, push_id: &str, changes: Vec<FileChange>) -> CommitFiles {
    CommitFiles {
        branch: BranchName::parse("main").unwrap(),
        expected_head: head,
        author: person(),
        committer: person(),
        message: format!("change {push_id}"),
        changes,
        amend: false,
        push_id: push_id.into(),
    }
}

async fn commit(machine: &Machine, head: Option<Oid>, id: &str, changes: Vec<FileChange>) -> Result<Oid, Error> {
    let made = machine.store.commit_files(&machine.id, request(head, id, changes), &*machine.policy).await?;
    Ok(made.oid)
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_made_here_are_commits_to_git() {
    let machine = Machine::start().await;
    let all: Vec<u8> = (0..=255).chain(b"\r\n\xef\xbb\xbf no final newline".iter().copied()).collect();
    let script = FileChange::Put { path: path("bin/run"), bytes: "#!".into(), mode: Some(FileMode::Executable) };
    let link = FileChange::Put { path: path("l"), bytes: "/etc/passwd".into(), mode: Some(FileMode::Symlink) };
    let changes = vec![put("a/b/c.bin", all.clone()), put("a.b", "x"), put("a-", "x"), script, link];
    let first = commit(&machine, None, "1", changes).await.unwrap();
    let file = machine.store.file(&machine.id, first, &path("a/b/c.bin")).await.unwrap();
    assert_eq!(file.bytes, all);
    let link = machine.store.file(&machine.id, first, &path("l")).await.unwrap();
    assert_eq!((link.bytes.as_ref(), link.mode), (&b"/etc/passwd"[..], 0o120_000));

    let moved = FileChange::Move { from: path("a"), to: path("z/y") };
    let gone = FileChange::Delete { path: path("a-") };
    let second = commit(&machine, Some(first), "2", vec![moved, gone, put("bin/run", "#! again")]).await.unwrap();
    assert_eq!(machine.store.file(&machine.id, second, &path("z/y/b/c.bin")).await.unwrap().bytes, all);
    assert_eq!(machine.store.file(&machine.id, second, &path("bin/run")).await.unwrap().mode, 0o100_755);

    machine.git(".", &["clone", "-q", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
    assert_eq!(machine.git("c", &["rev-parse", "HEAD"]).await, second.to_string());
    let shown = machine.git("c", &["log", "-1", "--format=%an %ae %ad", "--date=raw"]).await;
    assert_eq!(shown, "Jo Writer jo@example.com 1700000000 -0130");
}

#[tokio::test]
async fn a_commit_on_a_moved_branch_is_refused_and_a_repeated_one_is_the_same() {
    let machine = Machine::start().await;
    let first = commit(&machine, None, "1", vec![put("a", "1")]).await.unwrap();
    let second = commit(&machine, Some(first), "2", vec![put("a", "2")]).await.unwrap();
    let late = commit(&machine, Some(first), "3", vec![put("b", "3")]).await.unwrap_err();
    assert!(matches!(late, Error::Moved { current, .. } if current == Some(second)), "{late}");
    assert!(commit(&machine, None, "4", vec![put("b", "3")]).await.is_err());
    assert_eq!(commit(&machine, Some(first), "2", vec![put("a", "2")]).await.unwrap(), second);
    assert!(matches!(commit(&machine, Some(second), "5", vec![put("a", "2")]).await, Err(Error::Invalid(_))));
    *machine.policy.refuse.lock().unwrap() = Some("refs/heads/main".into());
    assert!(matches!(commit(&machine, Some(second), "6", vec![put("a", "6")]).await, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn nothing_is_written_through_a_symlink_or_over_a_folder() {
    let machine = Machine::start().await;
    let link = FileChange::Put { path: path("l"), bytes: "../../etc".into(), mode: Some(FileMode::Symlink) };
    let first = commit(&machine, None, "1", vec![link, put("d/x", "x"), put("README.md", "x")]).await.unwrap();
    for change in [put("l/x", "x"), put("d", "x"), put("d/x/y", "x")] {
        let error = commit(&machine, Some(first), "2", vec![change]).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
    }
    let into = FileChange::Move { from: path("d"), to: path("d/e") };
    assert!(matches!(commit(&machine, Some(first), "3", vec![into]).await, Err(Error::Conflict(_))));
    let missing = FileChange::Delete { path: path("nope") };
    assert!(commit(&machine, Some(first), "4", vec![missing]).await.unwrap_err().is_not_found());
    let second = commit(&machine, Some(first), "5", vec![put("readme.MD", "y")]).await.unwrap();
    let names = machine.store.tree(&machine.id, second, None, None, 10).await.unwrap().entries;
    assert_eq!(names.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["README.md", "d", "l", "readme.MD"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_are_paged() {
    let machine = Machine::start().await;
    let changes = (0..2500).map(|n| put(&format!("d/f{n:05}"), "x")).collect();
    let head = commit(&machine, None, "1", changes).await.unwrap();
    let (mut after, mut names) = (None, Vec::new());
    loop {
        let page = machine.store.tree(&machine.id, head, Some(&path("d")), after.as_deref(), 999).await.unwrap();
        names.extend(page.entries.iter().map(|entry| (entry.name.clone(), entry.size)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(names.len(), 2500);
    assert!(names.iter().all(|(_, size)| *size == Some(1)) && names.is_sorted());
    let root = machine.store.tree(&machine.id, head, None, None, 10).await.unwrap();
    assert_eq!(root.entries[0].kind, EntryKind::Folder);
    assert!(machine.store.tree(&machine.id, head, Some(&path("d/f00001")), None, 9).await.unwrap_err().is_not_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn history_and_differences_are_told() {
    let machine = Machine::start().await;
    let text: String = (0..50).map(|n| format!("line {n}\n")).collect();
    let mut head = commit(&machine, None, "0", vec![put("a", text.clone()), put("b", "b")]).await.unwrap();
    let mut commits = vec![head];
    for n in 1..12 {
        let at = if n % 2 == 0 { "a" } else { "b" };
        head = commit(&machine, Some(head), &n.to_string(), vec![put(at, format!("{text}{n}\n"))]).await.unwrap();
        commits.push(head);
    }
    commits.reverse();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let query = LogQuery { after, limit: 5, ..LogQuery::of(head) };
        let page = machine.store.log(&machine.id, query).await.unwrap();
        seen.extend(page.commits.iter().map(|commit| commit.oid));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, commits);
    let query = LogQuery { path: Some(path("a")), limit: 100, ..LogQuery::of(head) };
    assert_eq!(machine.store.log(&machine.id, query).await.unwrap().commits.len(), 6);

    let renamed = FileChange::Move { from: path("a"), to: path("c") };
    let next = commit(&machine, Some(head), "r", vec![renamed, put("bin", vec![0, 1, 2])]).await.unwrap();
    let diff = machine.store.diff(&machine.id, Some(head), next, false).await.unwrap();
    let status: Vec<_> = diff.files.iter().map(|f| (f.new_path.as_deref(), f.status, f.binary)).collect();
    assert!(status.contains(&(Some("c"), FileStatus::Renamed, false)), "{status:?}");
    assert!(status.contains(&(Some("bin"), FileStatus::Added, true)), "{status:?}");
    let diff = machine.store.diff(&machine.id, Some(seen[1]), seen[0], false).await.unwrap();
    assert!(diff.files[0].patch.as_deref().unwrap().contains("@@") && diff.files[0].additions > 0);
    assert_eq!(machine.store.diff(&machine.id, None, head, false).await.unwrap().files.len(), 2);
    let found = machine.store.commit(&machine.id, head).await.unwrap();
    assert_eq!((found.author, found.message.as_str()), (person(), "change 11\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_come_and_go_and_revisions_resolve() {
    let machine = Machine::start().await;
    let first = commit(&machine, None, "1", vec![put("a", "1")]).await.unwrap();
    let second = commit(&machine, Some(first), "2", vec![put("a", "2")]).await.unwrap();
    let (branch, policy) = (BranchName::parse("feature/x").unwrap(), &*machine.policy);
    machine.store.create_branch(&machine.id, &branch, first, policy).await.unwrap();
    let again = machine.store.create_branch(&machine.id, &branch, first, policy).await;
    assert!(matches!(again, Err(Error::Exists(_))));
    for (raw, oid) in [("HEAD", second), ("feature/x", first), ("refs/heads/main", second), (&first.to_string(), first)]
    {
        let revision = Revision::parse(raw).unwrap();
        assert_eq!(machine.store.resolve(&machine.id, &revision).await.unwrap(), oid, "{raw}");
    }
    assert!(machine.store.resolve(&machine.id, &Revision::parse("nope").unwrap()).await.unwrap_err().is_not_found());
    let wrong = machine.store.delete_branch(&machine.id, &branch, Some(second), policy).await;
    assert!(matches!(wrong, Err(Error::Moved { .. })));
    machine.store.delete_branch(&machine.id, &branch, Some(first), policy).await.unwrap();
    let other = BranchName::parse("nope").unwrap();
    assert!(machine.store.set_head(&machine.id, &other).await.unwrap_err().is_not_found());
    machine.store.delete(&machine.id).await.unwrap();
    assert!(machine.store.head(&machine.id).await.unwrap_err().is_not_found());
    assert!(machine.blobs.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_has_the_files_and_follows_no_link() {
    let machine = Machine::start().await;
    let outside = machine.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap().to_owned();
    let link = FileChange::Put { path: path("l"), bytes: target.into(), mode: Some(FileMode::Symlink) };
    let script = FileChange::Put { path: path("d/run"), bytes: "#!".into(), mode: Some(FileMode::Executable) };
    let head = commit(&machine, None, "1", vec![link, script, put("m/x", "x")]).await.unwrap();
    let into = machine.path("out");
    machine.store.checkout(&machine.id, head, &into).await.unwrap();
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(into.join("d/run")).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(std::fs::read_link(into.join("l")).unwrap(), outside);
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
    assert!(machine.store.checkout(&machine.id, head, &into).await.is_err(), "only into an empty folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_packs_become_one_and_lose_nothing() {
    let machine = Machine::start().await;
    let mut head = None;
    for n in 0..100 {
        let text: String = (0..100).map(|line| format!("line {line} {}\n", if line == n { n } else { 0 })).collect();
        let made = commit(&machine, head, &n.to_string(), vec![put("a", text), put(&format!("f{}", n % 7), "x")]).await;
        head = Some(made.unwrap());
    }
    assert!(machine.store.wants_compaction(&machine.id).await.unwrap());
    machine.store.compact(&machine.id).await.unwrap();
    let usage = machine.store.usage(&machine.id).await.unwrap();
    assert_eq!((usage.packs, usage.objects), (1, 301), "each object once");
    assert!(!machine.store.wants_compaction(&machine.id).await.unwrap());
    machine.git(".", &["clone", "-q", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
    assert_eq!(machine.git("c", &["rev-list", "--count", "HEAD"]).await, "100");
    assert!(machine.git("c", &["count-objects", "-v"]).await.contains("in-pack: 301"));
}
