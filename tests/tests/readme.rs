//! The README's walkthrough, pasted line by line into a shell.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use workroom_tests::{Platform, root, tools};

/// The block that begins with the platform's address.
fn walkthrough() -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let start = readme.find("export W=").unwrap();
    let end = start + readme[start..].find("\n```").unwrap();
    readme[start..end].to_owned()
}

#[test]
fn the_walkthrough_works_as_it_is_written() {
    let platform = Platform::start();
    let services = platform.services.trim_start_matches("http://").to_owned();
    let script = walkthrough()
        .replace("127.0.0.1:4001", &services)
        .replace("127.0.0.1:4000", platform.authority())
        .replace("localhost:4000", &format!("localhost:{}", platform.port()))
        .replace("what the first start printed", &platform.admin_password);
    let folder = tempfile::tempdir().unwrap();
    let said = tools::succeed(
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com"),
    );
    for seen in [
        "+# Our shop",
        "succeeded",
        "<title>Starter</title>",
        "Hello, Ada!",
        "REPORT RequestId",
        "START RequestId",
        "large.bin",
    ] {
        assert!(said.contains(seen), "`{seen}` is missing in:\n{said}");
    }
}
