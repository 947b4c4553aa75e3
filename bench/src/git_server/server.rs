//! The two servers, as a measurement sees them.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;
use tempfile::TempDir;

use crate::client::Client;
use crate::git::git;
use crate::platform::Platform;

pub trait Server {
    /// The process whose CPU counts, with all below it.
    fn process(&self) -> u32;

    /// Which processes' memory counts, by the beginning of their name; all when `None`.
    fn counted(&self) -> Option<&'static str>;

    /// `host:port`.
    fn authority(&self) -> &str;

    /// Makes an empty repository.
    fn create(&self, name: &str) -> Result<()>;

    /// The repository's address for git, by way of `authority`.
    fn address(&self, authority: &str, name: &str) -> String;

    /// Gives a repository the branches of the folder `from`, unmeasured.
    fn fill(&self, name: &str, from: &Path) -> Result<()> {
        let address = self.address(self.authority(), name);
        git(from, &["push", "-q", &address, "+refs/heads/*:refs/heads/*"]).map(drop)
    }
}

pub struct Ours {
    // Ends before its data folder goes.
    platform: Platform,
    client: Client,
    token: String,
    _folder: TempDir,
}

impl Ours {
    pub fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let platform = Platform::start(&folder.path().join("data"))?;
        let client = platform.admin()?;
        let token = client.post("/tokens", &json!({"name": "bench", "scopes": ["read", "write"]}))?;
        let token = token["token"].as_str().context("no token")?.to_owned();
        Ok(Self { platform, client, token, _folder: folder })
    }
}

impl Server for Ours {
    fn process(&self) -> u32 {
        self.platform.id()
    }

    fn counted(&self) -> Option<&'static str> {
        None
    }

    fn authority(&self) -> &str {
        &self.platform.authority
    }

    fn create(&self, name: &str) -> Result<()> {
        self.client.post("/projects", &json!({"slug": name, "name": name, "starter": "empty"})).map(drop)
    }

    fn address(&self, authority: &str, name: &str) -> String {
        format!("http://bench:{}@{authority}/git/{name}.git", self.token)
    }
}
