//! Clients that are not git: libgit2, dulwich in Python, and isomorphic-git in JavaScript.

use std::path::Path;

use git2::{Repository, Signature};

use crate::machine::Machine;

async fn with_two_commits() -> Machine {
    let machine = Machine::start().await;
    machine.init("a").await;
    machine.commit("a", "README.md", "# one\n").await;
    machine.commit("a", "src/x.txt", "x\n").await;
    machine.git("a", &["tag", "-a", "v1", "-m", "v1"]).await;
    machine.git("a", &["push", "-q", "origin", "main", "v1"]).await;
    machine
}

/// Clones, commits one file and pushes.
fn with_libgit2(url: &str, into: &Path) -> Result<(), git2::Error> {
    let repository = Repository::clone(url, into)?;
    std::fs::write(into.join("libgit2.txt"), "made by libgit2\n").unwrap();
    let mut index = repository.index()?;
    index.add_path(Path::new("libgit2.txt"))?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let who = Signature::now("A Person", "person@example.com")?;
    let parent = repository.head()?.peel_to_commit()?;
    repository.commit(Some("HEAD"), &who, &who, "by libgit2", &tree, &[&parent])?;
    repository.find_remote("origin")?.push(&["refs/heads/main:refs/heads/main"], None)
}

#[tokio::test(flavor = "multi_thread")]
async fn libgit2_clones_and_pushes() {
    let machine = with_two_commits().await;
    let (url, into) = (machine.url.clone(), machine.path("libgit2"));
    tokio::task::spawn_blocking(move || with_libgit2(&url, &into)).await.unwrap().unwrap();
    machine.git("a", &["pull", "-q", "--ff-only", "origin", "main"]).await;
    assert_eq!(std::fs::read(machine.path("a/libgit2.txt")).unwrap(), b"made by libgit2\n");
    machine.git("a", &["fsck", "--strict"]).await;
}

const DULWICH: &str = r#"
import sys
from dulwich import porcelain
url, into = sys.argv[1:]
repo = porcelain.clone(url, into)
open(into + "/dulwich.txt", "w").write("made by dulwich\n")
porcelain.add(repo, paths=[into + "/dulwich.txt"])
who = b"A Person <person@example.com>"
porcelain.commit(repo, message=b"by dulwich", author=who, committer=who)
porcelain.push(repo, url, b"refs/heads/main:refs/heads/main")
porcelain.push(repo, url, b"refs/heads/main:refs/heads/other")
assert b"refs/tags/v1" in porcelain.ls_remote(url).refs
"#;

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "the tools of the tests are named by the environment")]
async fn dulwich_clones_and_pushes() {
    let python = std::env::var_os("WORKROOM_TEST_PYTHON").expect("`cargo xtask test` names the tests' Python");
    let machine = with_two_commits().await;
    let mut command = tokio::process::Command::new(python);
    command.args(["-c", DULWICH, &machine.url]).arg(machine.path("dulwich")).env("HOME", machine.dir.path());
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    machine.git("a", &["pull", "-q", "--ff-only", "origin", "main"]).await;
    assert_eq!(std::fs::read(machine.path("a/dulwich.txt")).unwrap(), b"made by dulwich\n");
    assert!(machine.git("a", &["ls-remote", "origin"]).await.contains("refs/heads/other"));
    machine.git("a", &["fsck", "--strict"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn isomorphic_git_clones_fetches_and_pushes() {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node");
    assert!(clients.join("node_modules").exists(), "`cargo xtask setup` installs the tests' clients");
    let machine = with_two_commits().await;
    let mut command = tokio::process::Command::new("node");
    command.arg(clients.join("isomorphic-git.mjs")).arg(&machine.url).arg(machine.path("isomorphic"));
    let output = command.env("HOME", machine.dir.path()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    machine.git("a", &["pull", "-q", "--ff-only", "origin", "main"]).await;
    assert_eq!(std::fs::read(machine.path("a/isomorphic-git.txt")).unwrap(), b"made by isomorphic-git\n");
    assert_eq!(machine.git("a", &["log", "-1", "--format=%s"]).await, "in between");
    assert!(!machine.git("a", &["ls-remote", "origin"]).await.contains("refs/heads/isomorphic"));
    machine.git("a", &["fsck", "--strict"]).await;
}
