//! Histories, blame, differences and archives, against git's own.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use cloud::Millis;
use futures::TryStreamExt;
use git_store::{
    ArchiveFormat, DiffLineKind, Error, FileStatus, LogQuery, NewTag, Oid, RepoPath, Signature, TagName, bytes_of,
    text_of,
};

use crate::histories::{Random, history};
use crate::machine::Machine;

async fn paths_of(machine: &Machine, commit: Oid) -> Vec<String> {
    machine.store.paths(&machine.id, commit, "", 0, 10_000).await.unwrap().items
}

/// A path as an argument of git.
fn os(path: &str) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes_of(path).into_owned())
}

async fn git_at(machine: &Machine, args: &[&str], path: &str) -> Vec<u8> {
    let mut command = crate::machine::git_command(&machine.path("w"), machine.dir.path());
    let output = command.args(args).arg("--").arg(os(path)).output().await.unwrap();
    assert!(output.status.success(), "{args:?} {path}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn oids(raw: &[u8]) -> Vec<Oid> {
    String::from_utf8_lossy(raw).lines().map(|line| line.parse().unwrap()).collect()
}

async fn log(machine: &Machine, mut query: LogQuery) -> Vec<Oid> {
    let mut all = Vec::new();
    loop {
        let page = machine.store.log(&machine.id, query.clone()).await.unwrap();
        all.extend(page.commits.iter().map(|commit| commit.oid));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_told_as_git_tells_it() {
    let machine = Machine::start().await;
    machine.import("w", &history(21, 90)).await;
    let all = machine.revisions("w", &["main"]).await;
    let head = all[0];
    assert_eq!(log(&machine, LogQuery { limit: 7, ..LogQuery::of(head) }).await, all);
    let mut paths = paths_of(&machine, head).await;
    paths.extend(["docs".to_owned(), "src/deep".to_owned(), "never".to_owned()]);
    for path in paths {
        let want = oids(&git_at(&machine, &["rev-list", "main"], &path).await);
        let query = LogQuery { path: Some(RepoPath::existing(&*path).unwrap()), limit: 5, ..LogQuery::of(head) };
        assert_eq!(log(&machine, query).await, want, "{path:?}");
    }
    for base in all.iter().skip(1).step_by(9) {
        let want = machine.revisions("w", &["main", &format!("^{base}")]).await;
        assert_eq!(log(&machine, LogQuery { without: Some(*base), limit: 1000, ..LogQuery::of(head) }).await, want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_file_is_followed_when_that_is_asked_for() {
    let machine = Machine::start().await;
    machine.init("w").await;
    let text = Random::new(5).text(30);
    let text = String::from_utf8(text).unwrap();
    machine.commit("w", "old.txt", &text).await;
    machine.commit("w", "old.txt", &format!("{text}more\n")).await;
    machine.git("w", &["mv", "old.txt", "new.txt"]).await;
    machine.git("w", &["commit", "-q", "-m", "mv"]).await;
    machine.commit("w", "new.txt", &format!("{text}more\nand more\n")).await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    let head = machine.revisions("w", &["-1", "main"]).await[0];
    let path = Some(RepoPath::parse("new.txt").unwrap());
    let plain = log(&machine, LogQuery { path: path.clone(), ..LogQuery::of(head) }).await;
    assert_eq!(plain.len(), 2);
    let followed = log(&machine, LogQuery { path, follow: true, limit: 1, ..LogQuery::of(head) }).await;
    let want = machine.git("w", &["log", "--follow", "--format=%H", "--", "new.txt"]).await;
    assert_eq!(followed, oids(want.as_bytes()));
    assert_eq!(followed.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_from_where_git_says() {
    let machine = Machine::start().await;
    let mut lines = 0;
    for seed in [31, 32, 33] {
        let at = format!("w{seed}");
        machine.init(&at).await;
        let mut import = crate::machine::git_command(&machine.path(&at), machine.dir.path());
        let mut import = import.args(["fast-import", "--quiet"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut import.stdin.take().unwrap(), &history(seed, 60)).await.unwrap();
        assert!(import.wait().await.unwrap().success());
        machine.git(&at, &["push", "-q", "--force", "origin", &format!("main:refs/heads/s{seed}")]).await;
        let head = machine.revisions(&at, &["-1", "main"]).await[0];
        for path in paths_of(&machine, head).await {
            let name = RepoPath::existing(&*path).unwrap();
            let file = machine.store.file(&machine.id, head, &name).await.unwrap();
            let blame = machine.store.blame(&machine.id, head, &name).await;
            if file.mode == 0o120_000 || file.bytes.contains(&0) {
                assert!(blame.is_err(), "{path:?}");
                continue;
            }
            let blame = blame.unwrap();
            let mut command = crate::machine::git_command(&machine.path(&at), machine.dir.path());
            let raw = command.args(["blame", "--line-porcelain", "main", "--"]).arg(os(&path)).output().await.unwrap();
            let raw = String::from_utf8_lossy(&raw.stdout).into_owned();
            let (mut want, mut now) = (Vec::new(), None);
            for line in raw.split('\n') {
                if line.starts_with('\t') {
                    now = None;
                } else if let (None, [oid, source, line, ..]) = (&now, line.split(' ').collect::<Vec<_>>().as_slice()) {
                    now = Some((oid.parse::<Oid>().unwrap(), source.parse::<usize>().unwrap(), line.to_string()));
                } else if let (Some((oid, source, _)), Some(name)) = (&now, line.strip_prefix("filename ")) {
                    want.push((*oid, *source, name.to_owned()));
                }
            }
            let each = |range: &git_store::BlameRange| {
                let range = range.clone();
                (0..range.count)
                    .map(move |n| (range.line + n, range.commit, range.source_line + n, range.source_path.clone()))
            };
            let got: Vec<_> = blame.ranges.iter().flat_map(each).collect();
            assert_eq!(got.len(), want.len(), "{path:?}");
            for (number, ((line, oid, source, from), (git_oid, git_source, git_from))) in
                got.iter().zip(&want).enumerate()
            {
                assert_eq!((*line, oid, source), (number + 1, git_oid, git_source), "{path:?} seed {seed}\n{raw}");
                if !git_from.starts_with('"') {
                    assert_eq!(from, git_from, "{path:?}");
                }
            }
            lines += got.len();
            assert!(
                !blame.partial
                    && blame
                        .commits
                        .iter()
                        .any(|commit| commit.oid == blame.ranges.first().map_or(commit.oid, |r| r.commit))
            );
        }
    }
    assert!(lines > 300, "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_those_that_git_finds() {
    let machine = Machine::start().await;
    machine.import("w", &history(41, 70)).await;
    let all = machine.revisions("w", &["main"]).await;
    let (mut renames, mut patches) = (0, 0);
    for pair in all.windows(4).step_by(2) {
        let (new, old) = (pair[0], pair[3]);
        let (o, n) = (old.to_string(), new.to_string());
        let diff = machine.store.diff(&machine.id, Some(old), new, true).await.unwrap();
        let raw = machine.raw("w", &["diff", "--raw", "-z", "-M", "--abbrev=40", &o, &n]).await;
        let mut parts = raw.split(|b| *b == 0).map(<[u8]>::to_vec);
        let mut want = Vec::new();
        while let Some(head) = parts.next().filter(|head| !head.is_empty()) {
            let head = String::from_utf8(head).unwrap();
            let fields: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
            let letter = fields[4].chars().next().unwrap();
            let first = text_of(&parts.next().unwrap());
            let second = if letter == 'R' { text_of(&parts.next().unwrap()) } else { first.clone() };
            want.push((letter, first, second, fields[2].to_owned(), fields[3].to_owned()));
        }
        want.sort_by(|a, b| a.2.cmp(&b.2));
        let mut got: Vec<_> = diff
            .files
            .iter()
            .map(|file| {
                let letter = match file.status {
                    FileStatus::Added => 'A',
                    FileStatus::Deleted => 'D',
                    FileStatus::Modified => 'M',
                    FileStatus::Renamed => 'R',
                    FileStatus::Copied => 'C',
                    FileStatus::TypeChanged => 'T',
                };
                renames += usize::from(letter == 'R');
                let (a, b) = (file.old_path.clone(), file.new_path.clone());
                let path = |one: &Option<String>, other: &Option<String>| one.clone().or(other.clone()).unwrap();
                let oid = |oid: Option<Oid>| oid.unwrap_or(Oid::ZERO).to_string();
                (letter, path(&a, &b), path(&b, &a), oid(file.old_blob), oid(file.new_blob))
            })
            .collect();
        got.sort_by(|a, b| a.2.cmp(&b.2));
        assert_eq!(got, want, "{o}..{n}");

        let text = machine.raw("w", &["diff", "-M", "--abbrev=7", &o, &n]).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        for file in diff.files.iter().filter(|file| !file.binary && file.status != FileStatus::TypeChanged) {
            let patch = file.patch.as_ref().unwrap();
            // How alike renamed files are is a matter of a percent.
            let plain = |text: &str| {
                text.lines().filter(|line| !line.starts_with("similarity index")).collect::<Vec<_>>().join("\n")
            };
            assert!(plain(&text).contains(&plain(patch)), "{patch}\nis not in\n{text}");
            patches += 1;
            let hunks = file.hunks.as_ref().unwrap();
            let lines = |kind| hunks.iter().flat_map(|hunk| &hunk.lines).filter(|line| line.kind == kind).count();
            assert_eq!((lines(DiffLineKind::Added), lines(DiffLineKind::Removed)), (file.additions, file.deletions));
        }
    }
    assert!(renames > 3 && patches > 30, "{renames} {patches}");
    let (base, head) = (all[20], all[0]);
    let compared = machine.store.compare(&machine.id, base, head, false).await.unwrap();
    let counts = machine.git("w", &["rev-list", "--left-right", "--count", &format!("{head}...{base}")]).await;
    assert_eq!(format!("{}\t{}", compared.ahead, compared.behind), counts);
    assert_eq!(compared.commits.len(), compared.ahead.min(250));
    let parted = machine.git("w", &["merge-base", &base.to_string(), &head.to_string()]).await;
    assert_eq!(compared.merge_base.unwrap().to_string(), parted);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_commit_of_each_entry_is_gits() {
    let machine = Machine::start().await;
    machine.import("w", &history(51, 80)).await;
    for head in machine.revisions("w", &["-3", "main"]).await {
        for folder in [None, Some("docs"), Some("src")] {
            let path = folder.map(|folder| RepoPath::parse(folder).unwrap());
            let Ok(page) = machine.store.tree(&machine.id, head, path.as_ref(), None, 200).await else { continue };
            let names: Vec<String> = page.entries.iter().map(|entry| entry.name.clone()).collect();
            let found = machine.store.touched(&machine.id, head, path.as_ref(), names.clone()).await.unwrap();
            for (name, commit) in names.iter().zip(found.iter()) {
                let path = folder.map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
                let want = oids(&git_at(&machine, &["log", "-1", "--format=%H", &head.to_string()], &path).await);
                assert_eq!(commit.as_ref().map(|commit| commit.oid), want.first().copied(), "{path:?} at {head}");
            }
        }
    }
}

fn unpacked(dir: &std::path::Path) -> BTreeMap<Vec<u8>, (char, Vec<u8>)> {
    use std::os::unix::ffi::OsStrExt;
    let (mut all, mut folders) = (BTreeMap::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().as_os_str().as_bytes().to_vec();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                all.insert(name, ('l', std::fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec()));
            } else {
                let mode = if meta.permissions().mode() & 0o100 == 0 { '-' } else { 'x' };
                all.insert(name, (mode, std::fs::read(path).unwrap()));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_has_what_git_archives_and_the_same_bytes_each_time() {
    let machine = Machine::start().await;
    machine.import("w", &history(61, 50)).await;
    let head = machine.revisions("w", &["-1", "main"]).await[0];
    let archive = async |path: Option<&str>, format| {
        let path = path.map(|path| RepoPath::existing(path).unwrap());
        let stream = machine.store.archive(&machine.id, head, path, "top".into(), format).await?;
        let chunks: Vec<bytes::Bytes> = stream.try_collect().await.unwrap();
        Ok::<_, Error>(chunks.concat())
    };
    machine.git("w", &["archive", "--prefix=top/", "-o", "../git.tar", "main"]).await;
    std::fs::write(machine.path("ours.tar.gz"), archive(None, ArchiveFormat::TarGz).await.unwrap()).unwrap();
    for (name, into) in [("git.tar", "a"), ("ours.tar.gz", "b")] {
        std::fs::create_dir(machine.path(into)).unwrap();
        let mut tar = tokio::process::Command::new("tar");
        let done = tar.current_dir(machine.path(into)).arg("-xf").arg(machine.path(name)).status().await.unwrap();
        assert!(done.success());
    }
    let (want, got) = (unpacked(&machine.path("a")), unpacked(&machine.path("b")));
    assert!(want.len() > 5);
    assert_eq!(got, want);
    for format in [ArchiveFormat::Zip, ArchiveFormat::TarGz] {
        assert_eq!(archive(None, format).await.unwrap(), archive(None, format).await.unwrap());
    }
    let bytes = archive(None, ArchiveFormat::Zip).await.unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut listed = BTreeMap::new();
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let kind = match file.unix_mode().unwrap() {
            mode if mode & 0o170_000 == 0o120_000 => 'l',
            mode if mode & 0o100 != 0 => 'x',
            _ => '-',
        };
        listed.insert(bytes_of(&file.name().unwrap()).into_owned(), (kind, bytes));
    }
    assert_eq!(listed, want);
    let folder = archive(Some("src"), ArchiveFormat::Zip).await.unwrap();
    let zip = zip::ZipArchive::new(std::io::Cursor::new(folder)).unwrap();
    assert!(
        zip.file_names().all(|name| name.is_ok_and(|name| name.starts_with("top/") && !name.contains("src")))
            && !zip.is_empty()
    );
    assert!(matches!(archive(Some("nowhere"), ArchiveFormat::Zip).await, Err(Error::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_tags_to_git() {
    let machine = Machine::start().await;
    machine.init("w").await;
    machine.commit("w", "a", "a").await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    let head = machine.revisions("w", &["-1", "main"]).await[0];
    let tagger = Signature {
        name: "Jo".into(),
        email: "jo@example.com".into(),
        at: Millis(1_700_000_000_000),
        offset_minutes: 0,
    };
    let new = |name: &str, message: Option<&str>| NewTag {
        name: TagName::parse(name).unwrap(),
        target: head,
        message: message.map(str::to_owned),
        tagger: tagger.clone(),
        push_id: format!("tag {name} {message:?}"),
    };
    let make = |new| machine.store.create_tag(&machine.id, new, &*machine.policy);
    let light = make(new("v1", None)).await.unwrap();
    assert_eq!((light.oid, light.target, light.message), (head, head, None));
    let told = make(new("v/2", Some("Second\n\nwith text"))).await.unwrap();
    assert_eq!((told.target, told.message.as_deref()), (head, Some("Second\n\nwith text\n")));
    assert_eq!(told.tagger.unwrap().name, "Jo");
    for taken in ["v1", "v/2"] {
        for message in [None, Some("again")] {
            let mut again = new(taken, message);
            again.push_id.push_str("again");
            assert!(matches!(make(again).await, Err(Error::Exists(_))), "{taken}");
        }
    }
    machine.git(".", &["clone", "-q", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
    assert_eq!(
        machine.git("c", &["tag", "-l", "--format=%(refname:short) %(objecttype) %(subject)"]).await,
        "v/2 tag Second\nv1 commit write a"
    );
    let (tags, more) = machine.store.tags(&machine.id, None, 1).await.unwrap();
    assert_eq!((tags[0].name.as_str(), more), ("v/2", true));
    let (tags, more) = machine.store.tags(&machine.id, Some("v/2"), 9).await.unwrap();
    assert_eq!((tags[0].name.as_str(), more), ("v1", false));
    let name = TagName::parse("v1").unwrap();
    machine.store.delete_tag(&machine.id, &name, &*machine.policy).await.unwrap();
    assert!(matches!(machine.store.delete_tag(&machine.id, &name, &*machine.policy).await, Err(Error::NotFound(_))));
    for bad in ["", "-x", "a..b", "HEAD", "a b", "x.lock", "../x"] {
        assert!(TagName::parse(bad).is_err(), "{bad}");
    }
}
