//! What clients ask for beyond plain clones: partial ones, refs by name, sizes, options, quiet servers.

use std::sync::Arc;

use futures::TryStreamExt;
use git_store::http::{Bundle, Offers, Protocol, Service};
use git_store::{RefChange, RefPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::machine::Machine;
use crate::raw::{Pack, ZERO, packet, push};
use crate::stock::serve_stock;

/// A repository with three commits; folders three deep, files of 10 and of 100,000 bytes.
async fn with_folders() -> Machine {
    let machine = Machine::start().await;
    machine.init("a").await;
    for n in 0..3 {
        machine.commit("a", "top.txt", &format!("top {n}\n")).await;
        machine.commit("a", "one/two/three/deep.txt", &format!("deep {n}\n")).await;
        machine.commit("a", "one/large.txt", &format!("{n}\n").repeat(50_000)).await;
    }
    machine.git("a", &["tag", "-a", "v1", "-m", "v1"]).await;
    machine.git("a", &["push", "-q", "origin", "main", "v1"]).await;
    machine
}

/// The objects that a clone has, by type.
async fn stored(machine: &Machine, at: &str) -> Vec<(String, u64)> {
    let format = "--batch-check=%(objecttype) %(objectsize)";
    let listed = machine.git(at, &["cat-file", "--batch-all-objects", "--unordered", format]).await;
    let mut all: Vec<(String, u64)> =
        listed.lines().map(|line| line.split_once(' ').unwrap()).map(|(k, n)| (k.into(), n.parse().unwrap())).collect();
    all.sort();
    all
}

fn count(stored: &[(String, u64)], kind: &str) -> usize {
    stored.iter().filter(|(k, _)| k == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_clone_lacks_what_it_asked_to_lack_and_fetches_it_when_it_is_needed() {
    let machine = with_folders().await;
    let all = stored(&machine, "a").await;
    for version in ["0", "2"] {
        let option = format!("protocol.version={version}");
        for (filter, blobs, trees) in
            [("blob:none", 0, count(&all, "tree")), ("blob:limit=1k", 6, count(&all, "tree")), ("tree:0", 0, 0)]
        {
            let to = format!("partial{version}{}", filter.replace([':', '='], "-"));
            let filter = format!("--filter={filter}");
            let args = ["-c", &option, "clone", "-q", "--bare", &filter, &machine.url, &to];
            machine.git(".", &args).await;
            let has = stored(&machine, &to).await;
            assert_eq!((count(&has, "blob"), count(&has, "tree")), (blobs, trees), "{filter} v{version}");
            assert_eq!((count(&has, "commit"), count(&has, "tag")), (9, 1), "{filter} v{version}");
        }
    }
    // What a checkout needs is fetched by its id, and history's files when they are looked at.
    machine.git(".", &["clone", "-q", "--filter=blob:none", &machine.url, "lazy"]).await;
    assert_eq!(std::fs::read(machine.path("lazy/top.txt")).unwrap(), b"top 2\n");
    assert_eq!(machine.git("lazy", &["show", "HEAD~4:one/two/three/deep.txt"]).await, "deep 1");
    machine.git("lazy", &["fsck", "--strict"]).await;
    machine.commit("lazy", "new.txt", "new\n").await;
    machine.git("lazy", &["push", "-q", "origin", "main"]).await;
    machine.git("a", &["pull", "-q", "--ff-only", "origin", "main"]).await;
    machine.git("a", &["fsck", "--strict"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_joined_and_cut_by_depth_and_by_type() {
    let machine = with_folders().await;
    for (filter, commits, trees, blobs) in [
        ("tree:1", 9, 9, 0),
        ("tree:2", 9, 15, 3),
        ("combine:tree:2+blob:none", 9, 15, 0),
        ("object:type=commit", 9, 0, 0),
        ("object:type=blob", 1, 0, 9),
    ] {
        let to = format!("f{}", filter.replace([':', '=', '+'], "-"));
        machine
            .git(".", &["clone", "-q", "--bare", "--no-tags", &format!("--filter={filter}"), &machine.url, &to])
            .await;
        let has = stored(&machine, &to).await;
        let counted = (count(&has, "commit"), count(&has, "tree"), count(&has, "blob"));
        assert_eq!(counted, (commits, trees, blobs), "{filter}");
    }
}

fn fetch(lines: &[&str]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| packet(&format!("{line}\n"))).collect();
    (packet("command=fetch\n") + "0001" + &lines + "0000").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_no_visible_ref_leads_to_is_not_to_be_had() {
    let machine = with_folders().await;
    let mut pack = Pack::default();
    let blob = pack.blob("lost\n");
    let tree = pack.tree(&[("100644", b"lost.txt", blob)]);
    let lost = pack.commit(tree, &[]).to_string();
    machine.post("git-receive-pack", push(&[(ZERO, &lost, "refs/heads/lost")], "", &pack.finish())).await;
    let visible = machine.git("a", &["rev-parse", "HEAD~8:top.txt"]).await;
    let (blob, tree) = (blob.to_string(), tree.to_string());
    for oid in [&blob, &tree, &visible] {
        let answer = machine.post("v2", fetch(&[&format!("want {oid}"), "done"])).await;
        assert!(answer.windows(4).any(|w| w == b"PACK"), "{oid} is reachable");
    }
    machine.post("git-receive-pack", push(&[(&lost, ZERO, "refs/heads/lost")], "", &[])).await;
    for oid in [&blob, &tree, &lost] {
        for body in [
            fetch(&[&format!("want {oid}"), "done"]),
            (packet("command=object-info\n") + "0001" + &packet(&format!("oid {oid}\n")) + "0000").into_bytes(),
        ] {
            let answer = String::from_utf8_lossy(&machine.post("v2", body).await).into_owned();
            assert!(answer.contains("ERR upload-pack: not our ref"), "{oid}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_are_wanted_by_name_and_sizes_are_told() {
    let machine = with_folders().await;
    let head = machine.git("a", &["rev-parse", "HEAD"]).await;
    let text = |answer: Vec<u8>| String::from_utf8_lossy(&answer).into_owned();
    let answer = text(machine.post("v2", fetch(&["want-ref refs/heads/main", "want-ref HEAD", "done"])).await);
    assert!(
        answer.contains(&format!("wanted-refs\n0036{head} HEAD"))
            || answer.contains(&format!("{head} refs/heads/main"))
    );
    assert!(answer.contains("PACK"), "{answer}");
    for bad in [&["want-ref refs/heads/none"][..], &["want-ref refs/internal/x"], &["want-ref HEAD", "want-ref HEAD"]] {
        assert!(text(machine.post("v2", fetch(&[bad, &["done"]].concat())).await).contains("ERR "), "{bad:?}");
    }
    let blob = machine.git("a", &["rev-parse", "HEAD:one/large.txt"]).await;
    let asked =
        packet("command=object-info\n") + "0001" + &packet("size\n") + &packet(&format!("oid {blob}\n")) + "0000";
    assert!(text(machine.post("v2", asked.into_bytes()).await).contains(&format!("{blob} 100000")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_done_gets_no_pack_before_it() {
    let machine = with_folders().await;
    let head = machine.git("a", &["rev-parse", "HEAD"]).await;
    let parent = machine.git("a", &["rev-parse", "HEAD~1"]).await;
    let (want, have) = (format!("want {head}"), format!("have {parent}"));
    let waiting =
        String::from_utf8_lossy(&machine.post("v2", fetch(&[&want, &have, "wait-for-done"])).await).into_owned();
    assert!(waiting.contains(&format!("ACK {parent}")) && !waiting.contains("ready") && !waiting.contains("PACK"));
    let at_once = machine.post("v2", fetch(&[&want, &have])).await;
    assert!(at_once.windows(4).any(|w| w == b"PACK"), "enough is known without more");
    let banded = machine.post("v2", fetch(&[&want, &have, "sideband-all"])).await;
    assert!(String::from_utf8_lossy(&banded).contains("\u{1}acknowledgments\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_told_of_when_there_are_some() {
    let machine = with_folders().await;
    let plain = machine.store.advertise(&machine.id, Service::UploadPack, Protocol::V2).await.unwrap();
    assert!(!String::from_utf8_lossy(&plain).contains("bundle-uri"));
    let bundle = Bundle { id: "all".into(), uri: "https://x/y?z=1".into(), creation_token: Some(7) };
    let store = machine.store.offering(Offers { bundles: Some(vec![bundle]), ..Offers::default() });
    let offered = store.advertise(&machine.id, Service::UploadPack, Protocol::V2).await.unwrap();
    assert!(String::from_utf8_lossy(&offered).contains("bundle-uri"));
    let body = cloud::stream_of((packet("command=bundle-uri\n") + "0000").into_bytes());
    let answer: Vec<_> = store.upload_pack(&machine.id, Protocol::V2, body).await.unwrap().try_collect().await.unwrap();
    let answer = String::from_utf8_lossy(&answer.concat()).into_owned();
    assert!(
        answer.contains("bundle.all.uri=https://x/y?z=1") && answer.contains("bundle.all.creationToken=7"),
        "{answer}"
    );
}

struct WantsNoOptions;

#[async_trait::async_trait]
impl RefPolicy for WantsNoOptions {
    async fn check(&self, _: &RefChange) -> Result<(), String> {
        Ok(())
    }

    async fn along(&self, _: &[RefChange]) -> Result<Vec<cloud::Write>, cloud::Error> {
        Ok(Vec::new())
    }

    async fn options(&self, options: &[String]) -> Result<(), String> {
        if options.is_empty() { Ok(()) } else { Err(format!("no option {}", options.join(" "))) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push_options_reach_the_policy_and_too_many_are_refused() {
    let machine = with_folders().await;
    machine.commit("a", "more.txt", "more\n").await;
    machine.git("a", &["push", "-q", "-o", "ci.skip", "-o", "x=y", "origin", "main"]).await;
    let oid = machine.git("a", &["rev-parse", "HEAD"]).await;
    let with_options = |options: &str| {
        let command = push(&[(ZERO, &oid, "refs/heads/x")], "push-options", &[]);
        let body = [command, options.as_bytes().to_vec(), Pack::default().finish()].concat();
        let store = machine.store.clone();
        let id = machine.id.clone();
        async move {
            let answer = store.receive_pack(&id, cloud::stream_of(body), Arc::new(WantsNoOptions)).await.unwrap();
            let chunks: Vec<_> = answer.try_collect().await.unwrap();
            String::from_utf8_lossy(&chunks.concat()).into_owned()
        }
    };
    let said = with_options(&(packet("a=b\n") + &packet("c") + "0000")).await;
    assert!(said.contains("ng refs/heads/x no option a=b c"), "{said}");
    assert!(with_options("0000").await.contains("ok refs/heads/x"));
    assert!(with_options(&(packet("a").repeat(300) + "0000")).await.contains("ERR "));
    assert!(with_options(&packet(&"a".repeat(5000))).await.contains("ERR "));
    assert!(with_options(&packet("a")).await.contains("ERR "), "cut short");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_tells_of_its_progress_unless_it_is_to_be_quiet() {
    let machine = with_folders().await;
    for (n, args, heard) in [(0, &["push", "--progress"][..], true), (1, &["push", "-q"], false), (2, &["push"], false)]
    {
        machine.commit("a", "more.txt", &format!("{n}\n")).await;
        let output = machine.try_git("a", &[args, &["origin", "main"]].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains("remote: Checking objects: 100%"), heard, "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shallow_client_that_pushes_what_hangs_on_nothing_is_told_so() {
    let machine = with_folders().await;
    machine.git(".", &["clone", "-q", "--depth", "1", &format!("file://{}", machine.path("a").display()), "cut"]).await;
    let other = Machine::start().await;
    machine.git("cut", &["remote", "add", "other", &other.url]).await;
    let said = machine.git_fails("cut", &["push", "other", "main"]).await;
    assert!(said.contains("shallow update not allowed"), "{said}");
    machine.commit("cut", "fine.txt", "fine\n").await;
    machine.git("cut", &["push", "-q", &machine.url, "main"]).await;
}

/// The body of `GET {url}`, with a header `Git-Protocol` when it is given.
async fn got(url: &str, asked: Option<&str>) -> Vec<u8> {
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let asked = asked.map(|value| format!("Git-Protocol: {value}\r\n")).unwrap_or_default();
    let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{asked}\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let at = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    answer.split_off(at + 4)
}

/// The version that an advertisement says it has, and whether the service is named before.
fn version_of(body: &[u8]) -> (bool, String) {
    let text = String::from_utf8_lossy(body);
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default();
    let named = first.get(4..).is_some_and(|line| line.starts_with("# service="));
    if named {
        first = lines.next().unwrap_or_default().trim_start_matches("0000");
    }
    let version = first.get(4..).filter(|line| line.starts_with("version "));
    (named, version.unwrap_or("refs").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_that_is_answered_is_the_one_that_git_answers() {
    let machine = with_folders().await;
    machine.git(".", &["clone", "-q", "--bare", "a", "server/one.git"]).await;
    let stock = serve_stock(machine.path("server")).await;
    let headers =
        ["version=0", "version=1", "version=1:x=y", "version=2:version=1", "version=2", "version=3", "version=", "x"];
    for service in ["git-upload-pack", "git-receive-pack"] {
        for asked in headers.into_iter().map(Some).chain([None]) {
            // Of receive-pack in version 2 there is nothing to compare: no client asks for it.
            let asked = asked.filter(|asked| service == "git-upload-pack" || !asked.contains("version=2"));
            let query = format!("info/refs?service={service}");
            let ours = version_of(&got(&format!("{}/{query}", machine.url), asked).await);
            let theirs = version_of(&got(&format!("{stock}/one.git/{query}"), asked).await);
            assert_eq!(ours, theirs, "{service} {asked:?}");
        }
    }
    let ours = got(&format!("{}/info/refs?service=git-upload-pack", machine.url), Some("version=1")).await;
    assert_eq!(version_of(&ours), (true, "version 1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_version_1_clones_fetches_and_pushes() {
    let machine = with_folders().await;
    let old = ["-c", "protocol.version=1"];
    let git = async |at: &str, args: &[&str]| machine.git(at, &[&old, args].concat()).await;
    git(".", &["clone", "-q", "--depth", "2", &machine.url, "b"]).await;
    machine.commit("b", "new.txt", "new\n").await;
    git("b", &["push", "-q", "origin", "main", "main:other"]).await;
    git("a", &["pull", "-q", "--ff-only", "origin", "main"]).await;
    assert_eq!(machine.git("a", &["rev-parse", "main"]).await, machine.git("b", &["rev-parse", "main"]).await);
    machine.commit("a", "newer.txt", "newer\n").await;
    git("a", &["push", "-q", "origin", "main"]).await;
    git("b", &["fetch", "-q", "--unshallow", "origin"]).await;
    machine.git("b", &["fsck", "--strict", "--full"]).await;
    let said = machine.git_fails("b", &[&old[..], &["push", "origin", "main"]].concat()).await;
    assert!(said.contains("rejected"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_clone_is_the_same_by_bitmaps_and_by_walking() {
    let machine = with_folders().await;
    let filters = [
        "blob:none",
        "blob:limit=1k",
        "blob:limit=0",
        "tree:0",
        "tree:2",
        "object:type=tree",
        "object:type=tag",
        "object:type=commit",
        "combine:blob:limit=1k+object:type=blob",
        "combine:tree:0+blob:none",
    ];
    let clones = async |name: &str| {
        let mut all = Vec::new();
        for (n, filter) in filters.into_iter().enumerate() {
            let (to, filter) = (format!("{name}{n}"), format!("--filter={filter}"));
            machine.git(".", &["clone", "-q", "--bare", &filter, &machine.url, &to]).await;
            all.push(stored(&machine, &to).await);
        }
        all
    };
    let walked = clones("walked").await;
    // What is named comes, though the client has the commit that leads to it.
    let named = machine.git("a", &["rev-parse", "main:top.txt"]).await;
    machine.git("walked0", &["fetch", "-q", "origin", &named]).await;
    machine.store.compact(&machine.id).await.unwrap();
    assert_eq!(clones("looked-up").await, walked);
    machine.git("looked-up0", &["fetch", "-q", "origin", &named]).await;
    // And what came after the bitmaps were made.
    machine.git("a", &["rm", "-q", "top.txt"]).await;
    machine.commit("a", "one/later.txt", "later\n").await;
    machine.git("a", &["tag", "-a", "v2", "-m", "v2"]).await;
    machine.git("a", &["push", "-q", "origin", "main", "v2"]).await;
    let later = clones("later").await;
    let blobs = |all: &[Vec<(String, u64)>]| all.iter().map(|clone| count(clone, "blob")).collect::<Vec<_>>();
    let more: Vec<usize> = blobs(&walked).iter().zip(&later).map(|(n, all)| count(all, "blob") - n).collect();
    assert_eq!(more, [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]);
    // An object that is asked for by its id comes, whatever the filter: a lazy fetch asks with `blob:none`.
    let blob = machine.git("a", &["rev-parse", "main:one/later.txt"]).await;
    assert_eq!(machine.git("later0", &["cat-file", "-p", &blob]).await, "later");
}
