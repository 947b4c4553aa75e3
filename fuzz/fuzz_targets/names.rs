//! Paths, refs and revisions from anyone: what is accepted reads back as it was written.
#![no_main]

use git_store::{BranchName, RefName, RepoPath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(path) = RepoPath::parse(text) {
        assert_eq!(path.to_string(), text);
    }
    if let Ok(name) = RefName::parse(text) {
        assert_eq!(name.to_string(), text);
    }
    let _ = BranchName::parse(text);
});
