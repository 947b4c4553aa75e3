//! A deployed app as its visitors reach it.

use serde_json::Value;

use crate::{Answer, Client, Platform};

/// One site by its host. Browsers resolve `*.localhost`; a test's resolver may not, so the host is said.
#[derive(Clone)]
pub struct Site {
    client: Client,
    host: String,
    scheme: &'static str,
}

impl Site {
    /// The site that answers at `url`. What AWS's own name servers would find is asked for at the services' address.
    pub fn at(platform: &Platform, url: &str) -> Self {
        let host = url.split_once("://").unwrap().1.trim_end_matches('/').to_owned();
        let near = if host.ends_with(".amazonaws.com") || host.ends_with(".cloudfront.net") {
            platform.services.clone()
        } else {
            format!("http://127.0.0.1:{}", platform.port())
        };
        let scheme = if url.starts_with("https:") { "https" } else { "http" };
        Self { client: Client::new(&near), host, scheme }
    }

    /// The API of an app without the CloudFront before it, where the platform is deployed in an emulator: its CloudFront
    /// would ask the world's name servers for the API.
    pub fn api(&self, platform: &Platform, project: &str, environment: &str) -> Self {
        if !platform.is_deployed() {
            return self.clone();
        }
        let apis = Client::new(&platform.services).get("/restapis").expect(200).json();
        let of_the_app = |api: &&Value| {
            let tags = &api["tags"];
            tags["workroom:project"] == project && tags["workroom:environment"] == environment
        };
        let found = apis["item"].as_array().into_iter().flatten().find(of_the_app);
        let id = found.and_then(|api| api["id"].as_str()).unwrap_or_else(|| panic!("no API of {project}: {apis:#}"));
        let address = format!("{}/_aws/execute-api/{id}/{environment}", platform.services);
        let host = platform.authority().to_owned();
        Self { client: Client::new(&address), host, scheme: self.scheme }
    }

    /// The site of `environment` of `project`.
    pub fn of(platform: &Platform, environment: &str, project: &str) -> Self {
        let port = platform.port();
        Self {
            client: Client::new(&format!("http://127.0.0.1:{port}")),
            host: format!("{environment}--{project}.localhost:{port}"),
            scheme: "http",
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("Content-Type", "application/json")], Some(body.to_string().as_bytes()))
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        // The emulator has no TLS in front of its CloudFront: it believes this header.
        let mut all = vec![("Host", self.host.as_str()), ("X-Forwarded-Proto", self.scheme)];
        all.extend_from_slice(headers);
        self.client.send(method, path, &all, body)
    }
}
