//! A deployed app as its visitors reach it.

use serde_json::Value;

use crate::{Answer, Client, Platform};

/// One site by its host. Browsers resolve `*.localhost`; a test's resolver may not, so the host is said.
#[derive(Clone)]
pub struct Site {
    client: Client,
    host: String,
}

impl Site {
    /// The site of `environment` of `project`.
    pub fn of(platform: &Platform, environment: &str, project: &str) -> Self {
        let port = platform.port();
        Self {
            client: Client::new(&format!("http://127.0.0.1:{port}")),
            host: format!("{environment}--{project}.localhost:{port}"),
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], Some(body.to_string().as_bytes()))
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let mut all = vec![("Host", self.host.as_str())];
        all.extend_from_slice(headers);
        self.client.send(method, path, &all, body)
    }
}
