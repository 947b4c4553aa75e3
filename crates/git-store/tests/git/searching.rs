//! Paths and search, against `git ls-tree` and `git grep`.

use std::collections::HashSet;

use git_store::{FileMatches, Globs, Matcher, Oid, PatternOptions, RepoPath, SearchQuery, bytes_of, text_of};

use crate::histories::history;
use crate::machine::Machine;

fn query(pattern: &str, options: PatternOptions) -> SearchQuery {
    let matcher = Matcher::new(pattern, options).unwrap();
    SearchQuery { matcher, include: None, exclude: None, without: HashSet::new(), from: 0, limit: 200 }
}

async fn all(machine: &Machine, commit: Oid, mut query: SearchQuery) -> Vec<FileMatches> {
    let mut found = Vec::new();
    loop {
        let page = machine.store.search(&machine.id, commit, query.clone()).await.unwrap();
        found.extend(page.items);
        match page.next {
            Some(next) => query.from = next,
            None => return found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_is_listed_as_git_lists_it() {
    let machine = Machine::start().await;
    machine.import("w", &history(3, 60)).await;
    for commit in machine.revisions("w", &["--max-count=5", "main"]).await {
        let raw = machine.raw("w", &["ls-tree", "-r", "-z", "--name-only", &commit.to_string()]).await;
        let want: Vec<String> = raw.split(|b| *b == 0).filter(|path| !path.is_empty()).map(text_of).collect();
        let mut got = Vec::new();
        let mut from = Some(0);
        while let Some(at) = from {
            let page = machine.store.paths(&machine.id, commit, "", at, 3).await.unwrap();
            assert!(page.items.len() <= 3 && !page.limited);
            got.extend(page.items);
            from = page.next;
        }
        assert_eq!(got, want);
        for prefix in ["d", "docs/", "docs/a", "src/deep", &text_of(b"raw\xff"), "nowhere"] {
            let page = machine.store.paths(&machine.id, commit, prefix, 0, 10_000).await.unwrap();
            let want: Vec<&String> = want.iter().filter(|path| path.starts_with(prefix)).collect();
            assert_eq!(page.items.iter().collect::<Vec<_>>(), want, "{prefix}");
        }
        for path in &got {
            let found = machine.store.file(&machine.id, commit, &RepoPath::existing(path.clone()).unwrap()).await;
            assert!(found.is_ok(), "{path:?} can be read by the name it is listed under");
        }
    }
    assert!(machine.store.paths(&machine.id, Oid::ZERO, "../x", 0, 10).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_what_git_grep_finds() {
    let machine = Machine::start().await;
    machine.import("w", &history(5, 40)).await;
    let head = machine.revisions("w", &["-1", "main"]).await[0];
    let mut seen = 0;
    for (pattern, flags) in [
        ("alpha", ""),
        ("beta", "-i"),
        ("zeta", "-w"),
        ("eps()", ""),
        ("7", ""),
        (r"^[a-z]+ [0-9]{4}$", "-E"),
        (r"x \{|^}", "-E"),
        ("nothing of this kind", ""),
    ] {
        let mode = if flags == "-E" { "-E" } else { "-F" };
        let mut args = vec!["grep", "-I", "-z", "-n", mode, "-e", pattern];
        args.extend(["-i", "-w"].into_iter().filter(|flag| *flag == flags));
        let commit = head.to_string();
        args.push(&commit);
        let raw = machine.raw("w", &args).await;
        // `{commit}:{path}\0{line}\0{text}\n`, where a path may hold line feeds.
        let mut want = HashSet::new();
        let mut rest = raw.as_slice();
        while let Some(end) = rest.iter().position(|b| *b == 0) {
            let path = &rest[41..end];
            let after = &rest[end + 1..];
            let number = after.iter().position(|b| *b == 0).unwrap();
            let line: usize = std::str::from_utf8(&after[..number]).unwrap().parse().unwrap();
            let end = after[number..].iter().position(|b| *b == b'\n').unwrap();
            want.insert((path.to_vec(), line, String::from_utf8_lossy(&after[number + 1..number + end]).into_owned()));
            rest = &after[number + end + 1..];
        }
        let options = PatternOptions { regex: flags == "-E", case: flags != "-i", word: flags == "-w" };
        let found = all(&machine, head, query(pattern, options)).await;
        let got: HashSet<_> = found
            .iter()
            .flat_map(|file| file.matches.iter().map(|m| (bytes_of(&file.path).into_owned(), m.line, m.text.clone())))
            .collect();
        assert_eq!(got, want, "{pattern} {flags}");
        seen += got.len();
    }
    assert!(seen > 50, "the patterns find something: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_on_where_its_page_ended() {
    let machine = Machine::start().await;
    machine.import("w", &history(9, 40)).await;
    let head = machine.revisions("w", &["-1", "main"]).await[0];
    let whole = all(&machine, head, query("a", PatternOptions::default())).await;
    assert!(whole.len() > 4);
    let paged = all(&machine, head, SearchQuery { limit: 1, ..query("a", PatternOptions::default()) }).await;
    assert_eq!(paged, whole);
    let only = SearchQuery { include: Some(Globs::parse("docs").unwrap()), ..query("a", PatternOptions::default()) };
    let only = all(&machine, head, only).await;
    let want: Vec<_> = whole.iter().filter(|file| file.path.starts_with("docs/")).cloned().collect();
    assert_eq!(only, want);
    let rest = SearchQuery { exclude: Some(Globs::parse("docs").unwrap()), ..query("a", PatternOptions::default()) };
    assert_eq!(all(&machine, head, rest).await.len(), whole.len() - want.len());
    let without = HashSet::from([bytes_of(&whole[0].path).into_owned()]);
    let query = SearchQuery { without, ..query("a", PatternOptions::default()) };
    assert_eq!(all(&machine, head, query).await, whole[1..]);
}
