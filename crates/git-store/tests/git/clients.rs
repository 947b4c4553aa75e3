//! What people do with stock `git`.

use git_store::RefChangeKind;

use crate::machine::{Machine, git_command};

/// A store with a repository of some history: branches, an annotated tag, a rename, a binary file.
async fn with_history() -> Machine {
    let machine = Machine::start().await;
    machine.init("a").await;
    machine.commit("a", "README.md", "# one\n").await;
    for n in 0..30 {
        let text: String = (0..200).map(|line| format!("line {line} of {}\n", if line == n { n } else { 0 })).collect();
        machine.commit("a", &format!("src/file{}.txt", n % 5), &text).await;
    }
    machine.git("a", &["tag", "-a", "v1", "-m", "first"]).await;
    machine.git("a", &["checkout", "-q", "-b", "side"]).await;
    machine.commit("a", "side.txt", "side\n").await;
    machine.git("a", &["push", "-q", "origin", "main", "side", "v1"]).await;
    machine
}

async fn same_refs(machine: &Machine, a: &str, b: &str, name: &str) {
    let (left, right) = (machine.git(a, &["rev-parse", name]).await, machine.git(b, &["rev-parse", name]).await);
    assert_eq!(left, right, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_can_be_cloned_in_every_protocol() {
    let machine = with_history().await;
    for version in ["0", "1", "2"] {
        let to = format!("clone{version}");
        let option = format!("protocol.version={version}");
        machine.git(".", &["-c", &option, "clone", "-q", &machine.url, &to]).await;
        machine.git(&to, &["fsck", "--strict", "--full"]).await;
        same_refs(&machine, "a", &to, "v1").await;
        assert_eq!(
            machine.git("a", &["rev-parse", "side"]).await,
            machine.git(&to, &["rev-parse", "origin/side"]).await
        );
        assert_eq!(machine.git(&to, &["symbolic-ref", "HEAD"]).await, "refs/heads/main");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_back_and_forth_and_a_stale_push_is_refused() {
    let machine = with_history().await;
    for version in ["0", "1", "2"] {
        let (b, option) = (format!("b{version}"), format!("protocol.version={version}"));
        machine.git(".", &["clone", "-q", &machine.url, &b]).await;
        machine.git("a", &["checkout", "-q", "main"]).await;
        machine.commit("a", "src/file1.txt", &format!("changed {version}\n")).await;
        machine.git("a", &["-c", &option, "push", "-q", "origin", "main"]).await;
        machine.commit(&b, "other.txt", &format!("other {version}\n")).await;
        let said = machine.git_fails(&b, &["push", "origin", "main"]).await;
        assert!(said.contains("rejected"), "{said}");
        machine.git(&b, &["-c", &option, "pull", "-q", "--rebase", "origin", "main"]).await;
        machine.git(&b, &["-c", &option, "push", "-q", "origin", "main"]).await;
        assert_eq!(machine.policy.seen.lock().unwrap()[0].kind, RefChangeKind::FastForward);
        machine.git("a", &["-c", &option, "pull", "-q", "--ff-only", "origin", "main"]).await;
        same_refs(&machine, "a", &b, "main").await;
        machine.git("a", &["fsck", "--strict", "--full"]).await;
    }
    let usage = machine.store.usage(&machine.id).await.unwrap();
    assert!(usage.packs > 1 && usage.objects > 90);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_of_little_sends_little() {
    let machine = with_history().await;
    machine.git(".", &["clone", "-q", &machine.url, "b"]).await;
    machine.git("a", &["checkout", "-q", "main"]).await;
    machine.commit("a", "src/file1.txt", "new\n").await;
    machine.git("a", &["push", "-q", "origin", "main"]).await;
    let said = machine.try_git("b", &["-c", "fetch.unpackLimit=1", "fetch", "-v", "--progress"]).await;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("Enumerating objects: 4, done"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_are_deleted_forced_and_pushed_all_or_none() {
    let machine = with_history().await;
    machine.git("a", &["push", "-q", "origin", ":side"]).await;
    assert!(!machine.git("a", &["ls-remote", "origin"]).await.contains("refs/heads/side"));
    let said = machine.git_fails("a", &["push", "origin", ":main"]).await;
    assert!(said.contains("deletion of the current branch prohibited"), "{said}");

    machine.git("a", &["checkout", "-q", "main"]).await;
    machine.git("a", &["commit", "-q", "--amend", "-m", "amended"]).await;
    machine.git_fails("a", &["push", "origin", "main"]).await;
    machine.git("a", &["push", "-q", "--force-with-lease", "origin", "main"]).await;
    assert_eq!(machine.policy.seen.lock().unwrap()[0].kind, RefChangeKind::Rewind);

    machine.git("a", &["branch", "good"]).await;
    machine.git("a", &["branch", "bad"]).await;
    *machine.policy.refuse.lock().unwrap() = Some("refs/heads/bad".into());
    let said = machine.git_fails("a", &["push", "--atomic", "origin", "good", "bad"]).await;
    assert!(said.contains("the branch is protected"), "{said}");
    assert!(!machine.git("a", &["ls-remote", "origin"]).await.contains("good"));
    machine.git_fails("a", &["push", "origin", "good", "bad"]).await;
    let there = machine.git("a", &["ls-remote", "origin"]).await;
    assert!(there.contains("refs/heads/good") && !there.contains("refs/heads/bad"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shallow_clone_deepens_and_pushes() {
    let machine = with_history().await;
    for version in ["0", "1", "2"] {
        let (to, option) = (format!("shallow{version}"), format!("protocol.version={version}"));
        let count = async |at: &str| machine.git(at, &["rev-list", "--count", "HEAD"]).await;
        machine.git(".", &["-c", &option, "clone", "-q", "--depth", "2", &machine.url, &to]).await;
        assert_eq!(count(&to).await, "2");
        machine.git(&to, &["fsck", "--strict"]).await;
        machine.git(&to, &["-c", &option, "fetch", "-q", "--depth", "5"]).await;
        assert_eq!(count(&to).await, "5");
        machine.git(&to, &["-c", &option, "fetch", "-q", "--deepen", "3"]).await;
        assert_eq!(count(&to).await, "8");
        machine.commit(&to, "from-shallow.txt", &format!("{version}\n")).await;
        machine.git(&to, &["-c", &option, "push", "-q", "origin", "main"]).await;
        machine.git("a", &["checkout", "-q", "main"]).await;
        machine.git("a", &["pull", "-q", "--ff-only", "origin", "main"]).await;
        machine.commit("a", "later.txt", &format!("{version}\n")).await;
        machine.git("a", &["push", "-q", "origin", "main"]).await;
        machine.git(&to, &["-c", &option, "pull", "-q", "--ff-only", "origin", "main"]).await;
        machine.git(&to, &["fsck", "--strict"]).await;
        machine.git(&to, &["-c", &option, "fetch", "-q", "--unshallow"]).await;
        assert_eq!(count(&to).await, machine.git("a", &["rev-list", "--count", "main"]).await);
        machine.git(&to, &["fsck", "--strict", "--full"]).await;
        let since = format!("since{version}");
        let date = "--shallow-since=2001-01-01";
        machine.git(".", &["-c", &option, "clone", "-q", date, &machine.url, &since]).await;
        let not = format!("not{version}");
        machine.git(".", &["-c", &option, "clone", "-q", "--shallow-exclude=v1", &machine.url, &not]).await;
        machine.git(&not, &["fsck", "--strict"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_is_cloned_and_filled() {
    let machine = Machine::start().await;
    for version in ["0", "2"] {
        let option = format!("protocol.version={version}");
        machine.git(".", &["-c", &option, "clone", "-q", &machine.url, &format!("e{version}")]).await;
    }
    assert_eq!(machine.git("e2", &["symbolic-ref", "HEAD"]).await, "refs/heads/main");
    machine.commit("e2", "a", "a").await;
    machine.git("e2", &["push", "-q", "origin", "main"]).await;
    let file = machine.path("e2").join("big.bin");
    let mut state = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(3 << 20)
    .collect();
    std::fs::write(file, &noise).unwrap();
    machine.git("e2", &["add", "."]).await;
    machine.git("e2", &["commit", "-q", "-m", "more than one request holds"]).await;
    machine.git("e2", &["push", "-q", "origin", "main"]).await;
    machine.git(".", &["clone", "-q", &machine.url, "again"]).await;
    assert!(std::fs::read(machine.path("again/big.bin")).unwrap() == noise);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_follow_and_a_commit_is_fetched_by_its_id() {
    let machine = with_history().await;
    machine.git(".", &["clone", "-q", &machine.url, "b"]).await;
    machine.git("a", &["checkout", "-q", "main"]).await;
    machine.commit("a", "x", "x").await;
    machine.git("a", &["tag", "-a", "v2", "-m", "second"]).await;
    machine.git("a", &["push", "-q", "--follow-tags", "origin", "main"]).await;
    machine.git("b", &["fetch", "-q"]).await;
    same_refs(&machine, "a", "b", "v2").await;
    let middle = machine.git("a", &["rev-parse", "v1~7"]).await;
    machine.init("c").await;
    machine.git("c", &["fetch", "-q", "--depth", "1", "origin", &middle]).await;
    assert_eq!(machine.git("c", &["rev-parse", "FETCH_HEAD"]).await, middle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_blob_is_an_error_and_never_a_wrong_clone() {
    let machine = with_history().await;
    machine.blobs.damage(".pack");
    let cache = machine.path("second-cache");
    let store = crate::machine::open_store(machine.records.clone(), machine.blobs.clone(), cache);
    let error = store.log(&machine.id, log_of(&machine).await).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

async fn log_of(machine: &Machine) -> git_store::LogQuery {
    let from = machine.store.head(&machine.id).await.unwrap().oid.unwrap();
    git_store::LogQuery { limit: 10, ..git_store::LogQuery::of(from) }
}

/// So many deltas that threads share them: what they find is what git has.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_deltas_become_the_objects_that_git_has() {
    let machine = Machine::start().await;
    machine.init("w").await;
    let mut stream = String::new();
    for commit in 0..2500 {
        let text: String = (0..40).map(|line| format!("{line} {}\n", (commit + line * 7) / 40)).collect();
        let message = format!("Commit {commit}");
        stream += &format!("commit refs/heads/main\ncommitter A <a@x> {} +0000\n", 1_700_000_000 + commit);
        stream += &format!("data {}\n{message}\n", message.len());
        stream += &format!("M 100644 inline {}/file\ndata {}\n{text}\n", commit % 3, text.len());
    }
    std::fs::write(machine.path("stream"), stream).unwrap();
    let mut import = git_command(&machine.path("w"), machine.dir.path());
    import.args(["fast-import", "--quiet"]).stdin(std::fs::File::open(machine.path("stream")).unwrap());
    assert!(import.status().await.unwrap().success());
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    machine.git(".", &["clone", "-q", "--bare", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict"]).await;
    let objects = ["cat-file", "--batch-all-objects", "--batch-check"];
    assert_eq!(machine.git("c", &objects).await, machine.git("w", &objects).await);
}
