//! One caller of the REST API at a time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Longer than the gateway's own limit.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    pub token: String,
}

impl Client {
    /// `base` is `http://host:port`.
    pub fn new(base: &str) -> Self {
        let agent =
            ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build().into();
        Self { agent, base: base.to_owned(), token: String::new() }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.json("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.json("POST", path, Some(body))
    }

    pub fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.json("PUT", path, Some(body))
    }

    fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let text = self.text(method, path, None, body)?;
        serde_json::from_str(&text).with_context(|| format!("reading the answer to {method} {path}"))
    }

    /// The body of a successful answer; `host` names a user's site.
    pub fn text(&self, method: &str, path: &str, host: Option<&str>, body: Option<&Value>) -> Result<String> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.header("Authorization", format!("Bearer {}", self.token));
        }
        if let Some(host) = host {
            request = request.header("Host", host);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.header("Content-Type", "application/json").body(body.to_string())?),
            None => self.agent.run(request.body(())?),
        };
        let mut answer = answer.with_context(|| format!("{method} {path}"))?;
        let text = answer.body_mut().read_to_string().with_context(|| format!("{method} {path}"))?;
        ensure!(answer.status().is_success(), "{method} {path} answered {}: {text}", answer.status());
        Ok(text)
    }
}
