//! Merges, cherry-picks and reverts, against git's own.

use cloud::Millis;
use git_store::{
    BranchName, Conflict, ConflictReason, Error, FileMode, MergeKind, MergeOutcome, MergeRequest, Oid, PickRequest,
    RepoPath, Resolution, ResolutionTake, Signature, text_of,
};

use crate::histories::{Random, Tree, change, emit};
use crate::machine::Machine;

fn person() -> Signature {
    let (name, email) = ("Jo".to_owned(), "jo@example.com".to_owned());
    Signature { name, email, at: Millis(1_700_000_000_000), offset_minutes: 0 }
}

fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

fn request(into: &str, expected_into: Oid, from: Oid, resolutions: Vec<Resolution>) -> MergeRequest {
    MergeRequest {
        into: branch(into),
        expected_into,
        from,
        from_name: "theirs".into(),
        message: "merge".into(),
        author: person(),
        no_ff: false,
        resolutions,
        push_id: format!("{into}-{from}-{expected_into}"),
    }
}

fn resolution(path: &str, take: ResolutionTake) -> Resolution {
    Resolution { path: RepoPath::existing(path).unwrap(), take }
}

fn bytes(text: &str) -> ResolutionTake {
    ResolutionTake::Bytes { bytes: text.to_owned().into(), mode: None }
}

impl Machine {
    async fn at(&self, at: &str, name: &str) -> Oid {
        self.git(at, &["rev-parse", name]).await.parse().unwrap()
    }

    /// Commits `files` (`None` deletes) on a new branch from `from`, and pushes it.
    async fn branch(&self, name: &str, from: &str, files: &[(&str, Option<&str>)]) -> Oid {
        self.git("w", &["checkout", "-q", "-b", name, from]).await;
        for (path, text) in files {
            match text {
                None => drop(self.git("w", &["rm", "-q", "-r", path]).await),
                Some(text) => {
                    let file = self.path("w").join(path);
                    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                    std::fs::write(file, text).unwrap();
                }
            }
        }
        self.git("w", &["add", "-A"]).await;
        self.git("w", &["commit", "-q", "--allow-empty", "-m", name]).await;
        self.git("w", &["push", "-q", "origin", name]).await;
        self.at("w", name).await
    }

    async fn conflicts(&self, into: Oid, from: Oid) -> Vec<Conflict> {
        let names = ("ours".to_owned(), "theirs".to_owned());
        self.store.preview_merge(&self.id, into, from, names).await.unwrap().conflicts
    }
}

/// Three commits a case: the base, and what two people made of it.
fn cases(seed: u64, count: usize) -> Vec<u8> {
    let (mut random, mut out) = (Random::new(seed), Vec::new());
    for case in 0..count {
        let mut base = Tree::new();
        for name in ["a.txt", "b/b.txt", "b/c/d.txt", "e f", "g\"\n"] {
            base.insert(name.into(), ("100644", random.text(20)));
        }
        emit(&mut out, &format!("b{case}"), case * 3 + 1, (0, None), 1_700_000_000, &base);
        for (number, side) in ["o", "t"].into_iter().enumerate() {
            let mut tree = base.clone();
            for _ in 0..=random.below(3) {
                change(&mut random, &mut tree);
            }
            emit(&mut out, &format!("{side}{case}"), case * 3 + 2 + number, (case * 3 + 1, None), 1_700_000_001, &tree);
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_come_to_the_tree_that_git_comes_to() {
    const CASES: usize = 120;
    let machine = Machine::start().await;
    machine.import("w", &cases(11, CASES)).await;
    let (mut clean, mut conflicted) = (0, 0);
    for case in 0..CASES {
        let (into, from) = (machine.at("w", &format!("o{case}")).await, machine.at("w", &format!("t{case}")).await);
        let (o, t) = (into.to_string(), from.to_string());
        let args = [
            "-c",
            "merge.directoryRenames=false",
            "merge-tree",
            "--write-tree",
            "-z",
            "-X",
            "diff-algorithm=myers",
            &o,
            &t,
        ];
        let git = machine.try_git("w", &args).await;
        let said = String::from_utf8_lossy(&git.stdout).into_owned();
        let names = ("ours".to_owned(), "theirs".to_owned());
        let preview = machine.store.preview_merge(&machine.id, into, from, names).await.unwrap();
        let what = format!("case {case}: {:#?}\n{}", preview.conflicts, said.replace('\0', "\n"));
        assert_eq!(git.status.success(), preview.conflicts.is_empty(), "{what}");
        if !git.status.success() {
            conflicted += 1;
            assert_eq!(preview.kind, MergeKind::Conflict);
            continue;
        }
        clean += 1;
        let made = machine.store.merge(&machine.id, request(&format!("o{case}"), into, from, vec![]), &*machine.policy);
        let MergeOutcome::Done { kind, commit } = made.await.unwrap() else { panic!("{what}") };
        assert_eq!((kind, preview.kind), (MergeKind::Merge, MergeKind::Merge), "{what}");
        assert_eq!(commit.parents, [into, from]);
        assert_eq!(commit.tree.to_string(), said[..40], "{what}");
    }
    assert!(clean > 20 && conflicted > 20, "{clean} {conflicted}");
    machine.git(".", &["clone", "-q", "--mirror", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_conflict_is_told_and_can_be_resolved() {
    let machine = Machine::start().await;
    machine.init("w").await;
    let lines = |head: &str| format!("{head}\n{}", (0..30).map(|n| format!("line {n}\n")).collect::<String>());
    let base: Vec<(String, String)> = ["content", "us", "them", "ren", "gone", "mode", "kind", "df"]
        .iter()
        .map(|name| ((*name).to_owned(), lines(name)))
        .collect();
    for (name, text) in &base {
        machine.commit("w", name, text).await;
    }
    std::fs::write(machine.path("w").join("bin"), b"\0one").unwrap();
    machine.commit("w", "z", "z").await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    let ours = [
        ("content", Some(lines("OURS"))),
        ("us", None),
        ("them", Some(lines("THEM"))),
        ("ren", None),
        ("ren-ours", Some(lines("ren"))),
        ("gone", None),
        ("gone-ours", Some(lines("gone"))),
        ("both", Some("ours\n".to_owned())),
        ("new", Some("a file\n".to_owned())),
        ("bin", Some("\0two".to_owned())),
    ];
    let theirs = [
        ("content", Some(lines("THEIRS"))),
        ("us", Some(lines("US"))),
        ("them", None),
        ("ren", None),
        ("ren-theirs", Some(lines("ren"))),
        ("gone", None),
        ("both", Some("theirs\n".to_owned())),
        ("new/inside", Some("a folder\n".to_owned())),
        ("bin", Some("\0three".to_owned())),
    ];
    let lent = |files: &[(&'static str, Option<String>)]| files.to_vec();
    let (ours, theirs) = (lent(&ours), lent(&theirs));
    let as_str = |files: &Vec<(&'static str, Option<String>)>| -> Vec<(&'static str, Option<String>)> { files.clone() };
    let (a, b) = (as_str(&ours), as_str(&theirs));
    let a: Vec<(&str, Option<&str>)> = a.iter().map(|(path, text)| (*path, text.as_deref())).collect();
    let b: Vec<(&str, Option<&str>)> = b.iter().map(|(path, text)| (*path, text.as_deref())).collect();
    let into = machine.branch("ours", "main", &a).await;
    let from = machine.branch("theirs", "main", &b).await;

    let found = machine.conflicts(into, from).await;
    let told: Vec<(&str, ConflictReason)> = found.iter().map(|c| (c.path.as_str(), c.reason)).collect();
    let want = [
        ("bin", ConflictReason::Binary),
        ("both", ConflictReason::BothAdded),
        ("content", ConflictReason::Content),
        ("gone-ours", ConflictReason::DeletedByThem),
        ("new", ConflictReason::DirectoryFile),
        ("ren-ours", ConflictReason::Renamed),
        ("them", ConflictReason::DeletedByThem),
        ("us", ConflictReason::DeletedByUs),
    ];
    assert_eq!(told, want);
    let content = &found[2];
    assert_eq!((content.hunks[0].ours.join(","), content.hunks[0].theirs.join(",")), ("OURS".into(), "THEIRS".into()));
    assert_eq!((content.hunks[0].base.join(","), content.hunks[0].ours_line), ("content".into(), 1));
    assert!(
        content.merged.as_ref().unwrap().starts_with("<<<<<<< ours\nOURS\n=======\nTHEIRS\n>>>>>>> theirs\nline 0")
    );
    let renamed = &found[5];
    assert_eq!(renamed.base.as_ref().unwrap().path, "ren");
    assert_eq!(renamed.theirs.as_ref().unwrap().path, "ren-theirs");

    let mut answers = vec![
        resolution("bin", ResolutionTake::Theirs),
        resolution("both", bytes("both\n")),
        resolution("content", bytes("solved\n")),
        resolution("gone-ours", ResolutionTake::Ours),
        resolution("new", ResolutionTake::Delete),
        resolution("new-name", bytes("a file\n")),
        resolution("ren-theirs", bytes("renamed\n")),
        resolution("them", ResolutionTake::Delete),
    ];
    let merge = |answers: Vec<Resolution>| {
        machine.store.merge(&machine.id, request("ours", into, from, answers), &*machine.policy)
    };
    let MergeOutcome::Conflicts(left) = merge(answers.clone()).await.unwrap() else { panic!("one is not resolved") };
    assert_eq!(left.iter().map(|c| c.path.as_str()).collect::<Vec<_>>(), ["us"]);
    answers.push(resolution("us", ResolutionTake::Bytes { bytes: "us\n".into(), mode: Some(FileMode::Executable) }));
    for (odd, refused) in [("kind", "in no conflict"), ("us", "twice")] {
        let more = [answers.clone(), vec![resolution(odd, bytes("x"))]].concat();
        let error = merge(more).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(refused)), "{error}");
    }
    let MergeOutcome::Done { commit, .. } = merge(answers).await.unwrap() else { panic!("all are resolved") };
    machine.git(".", &["clone", "-q", "-b", "ours", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
    let list = machine.git("c", &["ls-tree", "-r", "--format=%(objectmode) %(path)", &commit.oid.to_string()]).await;
    let want = "100644 bin\n100644 both\n100644 content\n100644 df\n100644 gone-ours\n100644 kind\n100644 mode\n\
                100644 new-name\n100644 new/inside\n100644 ren-theirs\n100755 us\n100644 z";
    assert_eq!(list, want);
    assert_eq!(std::fs::read(machine.path("c").join("bin")).unwrap(), b"\0three");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_goes_through_the_door_of_a_push() {
    let machine = Machine::start().await;
    machine.init("w").await;
    machine.commit("w", "a", "a\n").await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    let main = machine.at("w", "main").await;
    let topic = machine.branch("topic", "main", &[("b", Some("b\n"))]).await;
    let merge = |request| machine.store.merge(&machine.id, request, &*machine.policy);

    let outcome = merge(request("topic", topic, main, vec![])).await.unwrap();
    assert!(matches!(outcome, MergeOutcome::Done { kind: MergeKind::UpToDate, ref commit } if commit.oid == topic));
    assert!(
        matches!(merge(request("main", topic, topic, vec![])).await, Err(Error::Moved { .. })),
        "not where main is"
    );
    *machine.policy.refuse.lock().unwrap() = Some("refs/heads/main".into());
    for no_ff in [false, true] {
        let refused = merge(MergeRequest { no_ff, ..request("main", main, topic, vec![]) }).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "a protected branch is protected");
    }
    *machine.policy.refuse.lock().unwrap() = None;
    let outcome = merge(request("main", main, topic, vec![])).await.unwrap();
    assert!(matches!(outcome, MergeOutcome::Done { kind: MergeKind::FastForward, ref commit } if commit.oid == topic));
    assert_eq!(machine.policy.seen.lock().unwrap()[0].new, Some(topic));

    let next = machine.branch("next", "topic", &[("c", Some("c\n"))]).await;
    let wanted = MergeRequest { no_ff: true, ..request("main", topic, next, vec![]) };
    let MergeOutcome::Done { kind, commit } = merge(wanted.clone()).await.unwrap() else { panic!() };
    assert_eq!((kind, commit.parents.clone()), (MergeKind::Merge, vec![topic, next]));
    let MergeOutcome::Done { commit: again, .. } = merge(wanted).await.unwrap() else { panic!() };
    assert_eq!(again.oid, commit.oid, "the same push id is the same merge");

    machine.git("w", &["checkout", "-q", "--orphan", "alone"]).await;
    machine.commit("w", "x", "x").await;
    machine.git("w", &["push", "-q", "origin", "alone"]).await;
    let alone = machine.at("w", "alone").await;
    let unrelated = merge(request("main", commit.oid, alone, vec![])).await;
    assert!(matches!(unrelated, Err(Error::Conflict(_))), "{unrelated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_that_crossed_merge_over_all_their_bases() {
    let machine = Machine::start().await;
    machine.init("w").await;
    let text = |n: usize, word: &str| {
        (0..9).map(|at| if at == n { format!("{word}\n") } else { format!("{at}\n") }).collect::<String>()
    };
    machine.commit("w", "f", &text(99, "")).await;
    machine.branch("x", "main", &[("f", Some(&text(1, "x")))]).await;
    machine.branch("y", "main", &[("f", Some(&text(7, "y")))]).await;
    for (name, from, other) in [("xy", "x", "y"), ("yx", "y", "x")] {
        machine.git("w", &["checkout", "-q", "-b", name, from]).await;
        machine.git("w", &["merge", "-q", "--no-ff", "-m", name, other]).await;
    }
    let merged = std::fs::read_to_string(machine.path("w").join("f")).unwrap();
    let into = machine.branch("xy2", "xy", &[("f", Some(&merged.replace("0\n", "null\n")))]).await;
    let from = machine.branch("yx2", "yx", &[("f", Some(&merged.replace("4\n", "four\n")))]).await;
    let made = machine.store.merge(&machine.id, request("xy2", into, from, vec![]), &*machine.policy).await.unwrap();
    let MergeOutcome::Done { commit, .. } = made else { panic!("{made:?}") };
    let want = machine.git("w", &["merge-tree", "--write-tree", "xy2", "yx2"]).await;
    assert_eq!(commit.tree.to_string(), want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_once_more_and_taken_back_as_git_does_it() {
    let machine = Machine::start().await;
    machine.init("w").await;
    let text = (0..20).map(|n| format!("{n}\n")).collect::<String>();
    machine.commit("w", "f", &text).await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    let fix = machine.branch("fix", "main", &[("f", Some(&text.replace("15\n", "fifteen\n")))]).await;
    let onto = machine.branch("onto", "main", &[("f", Some(&text.replace("3\n", "three\n")))]).await;
    let pick = |onto: Oid, commit: Oid, revert: bool| PickRequest {
        onto: branch("onto"),
        expected_onto: onto,
        commit,
        revert,
        mainline: None,
        message: None,
        committer: person(),
        resolutions: vec![],
        push_id: format!("{onto}{commit}{revert}"),
    };
    let run = |request| machine.store.pick(&machine.id, request, &*machine.policy);
    let MergeOutcome::Done { commit, .. } = run(pick(onto, fix, false)).await.unwrap() else { panic!() };
    assert_eq!((commit.parents.as_slice(), commit.message.trim()), ([onto].as_slice(), "fix"));
    assert_eq!((commit.author.name.as_str(), commit.committer.name.as_str()), ("A Person", "Jo"));
    machine.git("w", &["cherry-pick", "fix"]).await;
    assert_eq!(machine.git("w", &["rev-parse", "HEAD^{tree}"]).await, commit.tree.to_string());
    let again = run(pick(commit.oid, fix, false)).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "it is there already: {again:?}");
    let MergeOutcome::Done { commit: back, .. } = run(pick(commit.oid, fix, true)).await.unwrap() else { panic!() };
    assert_eq!(back.message, format!("Revert \"fix\"\n\nThis reverts commit {fix}.\n"));
    assert_eq!(back.tree.to_string(), machine.git("w", &["rev-parse", &format!("{onto}^{{tree}}")]).await);

    let clash = machine.branch("clash", "main", &[("f", Some(&text.replace("3\n", "drei\n")))]).await;
    let MergeOutcome::Conflicts(found) = run(pick(back.oid, clash, false)).await.unwrap() else { panic!() };
    assert_eq!(found[0].hunks[0].theirs, ["drei"]);
    let answered =
        PickRequest { resolutions: vec![resolution("f", bytes("solved\n"))], ..pick(back.oid, clash, false) };
    assert!(matches!(run(answered).await.unwrap(), MergeOutcome::Done { .. }));
    machine.git("w", &["checkout", "-q", "-b", "m", "fix"]).await;
    machine.git("w", &["merge", "-q", "-X", "ours", "-m", "m", "clash"]).await;
    machine.git("w", &["push", "-q", "origin", "m"]).await;
    let merge = machine.at("w", "m").await;
    let tip = machine.store.resolve(&machine.id, &(&branch("onto")).into()).await.unwrap();
    for mainline in [None, Some(0), Some(3)] {
        let refused = run(PickRequest { mainline, push_id: "m".into(), ..pick(tip, merge, false) }).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{mainline:?} {refused:?}");
    }
    let first = PickRequest { mainline: Some(2), push_id: "m2".into(), ..pick(tip, merge, false) };
    let outcome = run(first).await.unwrap();
    assert!(matches!(outcome, MergeOutcome::Conflicts(_)), "{outcome:?}");
    assert_eq!(text_of(b"f"), "f");
}
