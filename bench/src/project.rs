//! A project on a platform of its own, and what is done with it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::platform::Platform;

const JOB_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);

pub struct Project {
    // Ends before its data folder goes.
    pub platform: Platform,
    pub client: Client,
    pub slug: String,
    pub folder: TempDir,
}

impl Project {
    /// A platform with one project made from `starter`.
    pub fn start(slug: &str, starter: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        let platform = Platform::start(&folder.path().join("data"))?;
        let client = platform.admin()?;
        client.post("/projects", &json!({"slug": slug, "name": slug, "starter": starter}))?;
        Ok(Self { platform, client, slug: slug.to_owned(), folder })
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/projects/{}{rest}", self.slug)
    }

    /// The address for git, with a personal access token in it.
    pub fn git_address(&self) -> Result<String> {
        let token = self.client.post("/tokens", &json!({"name": "bench", "scopes": ["read", "write"]}))?;
        let token = token["token"].as_str().context("no token")?;
        Ok(format!("http://bench:{token}@{}/git/{}.git", self.platform.authority, self.slug))
    }

    pub fn head(&self) -> Result<Value> {
        Ok(self.client.get(&self.path("/commits?ref=main&limit=1"))?["items"][0]["id"].clone())
    }

    /// Commits one file to `main` and gives the new head.
    pub fn commit(&self, expected_head: &Value, path: &str, content: &str) -> Result<Value> {
        let change = json!({"action": "put", "path": path, "content": content});
        let body =
            json!({"branch": "main", "expected_head": expected_head, "message": "One file", "changes": [change]});
        Ok(self.client.post(&self.path("/commits"), &body)?["id"].clone())
    }

    /// Asks for `main` in `dev`: the job's id.
    pub fn release(&self) -> Result<String> {
        let job = self.client.put(&self.path("/environments/dev/release"), &json!({"ref": "main"}))?;
        Ok(job["id"].as_str().context("no job")?.to_owned())
    }

    /// Waits until the job is final, and fails when it did not succeed.
    pub fn finish(&self, job: &str) -> Result<Value> {
        let end = Instant::now() + JOB_MAX;
        while Instant::now() < end {
            let found = self.client.get(&self.path(&format!("/jobs/{job}")))?;
            let state = found["state"].as_str().unwrap_or_default().to_owned();
            if !matches!(state.as_str(), "queued" | "running") {
                ensure!(state == "succeeded", "the job ended {state}: {found:#}");
                return Ok(found);
            }
            std::thread::sleep(POLL);
        }
        bail!("the job {job} did not end")
    }

    /// Waits until the site in `dev` answers `path` with something that contains `text`.
    pub fn serves(&self, path: &str, text: &str) -> Result<()> {
        let host = format!("dev--{}.localhost", self.slug);
        let visitor = self.platform.client();
        let end = Instant::now() + JOB_MAX;
        while Instant::now() < end {
            if visitor.text("GET", path, Some(&host), None).is_ok_and(|body| body.contains(text)) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        bail!("{path} never said `{text}`")
    }
}
