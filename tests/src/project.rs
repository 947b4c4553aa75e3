//! People and projects for tests.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::tools::{git, succeed};
use crate::{Client, Platform};

const JOB_MAX: Duration = Duration::from_secs(240);

/// A platform with an admin and a person who is not one.
pub struct Team {
    pub platform: Platform,
    pub admin: Client,
    pub person: Client,
}

pub const PERSON: (&str, &str) = ("ada@example.com", "correct horse battery staple");

impl Team {
    pub fn start() -> Self {
        Self::on(Platform::start())
    }

    pub fn on(platform: Platform) -> Self {
        let admin = platform.admin();
        let person = join(&platform, &admin, PERSON.0, "Ada", PERSON.1);
        Self { platform, admin, person }
    }

    /// A project of the person's, from a starter.
    pub fn project(&self, slug: &str, starter: &str) -> Project {
        let own = self.platform.own(slug);
        let body = json!({"slug": own, "name": slug, "starter": starter});
        self.person.post("/projects", &body).expect(201);
        Project { slug: own, client: self.person.clone() }
    }

    /// A project whose only branch is the folder `app`, pushed by git.
    pub fn import(&self, slug: &str, app: &Path) -> Project {
        let project = self.project(slug, "empty");
        let folder = tempfile::tempdir().unwrap();
        succeed(&mut git(folder.path(), &["clone", "-q", &project.git_url(&self.platform), "work"]));
        let work = folder.path().join("work");
        succeed(&mut git(&work, &["rm", "-r", "-q", "."]));
        succeed(Command::new("cp").args(["-R", "--"]).arg(app.join(".")).arg(&work));
        succeed(&mut git(&work, &["add", "--all", "--force"]));
        succeed(&mut git(&work, &["commit", "-q", "-m", "import"]));
        succeed(&mut git(&work, &["push", "-q", "origin", "HEAD:main"]));
        project
    }

    /// A project with these files besides those of the empty starter, committed over REST.
    pub fn written(&self, slug: &str, files: &[(&str, &str)]) -> Project {
        let project = self.project(slug, "empty");
        project.commit(files);
        project
    }
}

/// The admin creates an account, the person signs in.
pub fn join(platform: &Platform, admin: &Client, email: &str, name: &str, password: &str) -> Client {
    let email = platform.own_email(email);
    admin.post("/accounts", &json!({"email": email, "name": name, "password": password})).expect(201);
    platform.sign_in(&email, password)
}

pub struct Project {
    pub slug: String,
    pub client: Client,
}

impl Project {
    pub fn path(&self, rest: &str) -> String {
        format!("/projects/{}{rest}", self.slug)
    }

    /// A personal access token that git can use as its password.
    pub fn token(&self) -> String {
        let body = json!({"name": "test", "scopes": ["read", "write"]});
        self.client.post("/tokens", &body).expect(201).json()["token"].as_str().unwrap().to_owned()
    }

    /// The clone address with the token in it, as a person would paste it.
    pub fn git_url(&self, platform: &Platform) -> String {
        let with_token = platform.address.replacen("://", &format!("://ada:{}@", self.token()), 1);
        format!("{with_token}/git/{}.git", self.slug)
    }

    /// Commits files to `main`.
    pub fn commit(&self, files: &[(&str, &str)]) {
        let head = self.client.get(&self.path("/commits?ref=main")).expect(200).json()["items"][0]["id"].clone();
        let changes: Vec<Value> =
            files.iter().map(|(path, content)| json!({"action": "put", "path": path, "content": content})).collect();
        let body = json!({"branch": "main", "expected_head": head, "message": "write", "changes": changes});
        self.client.post(&self.path("/commits"), &body).expect(201);
    }

    pub fn build(&self, reference: &str) -> Value {
        let job = self.client.post(&self.path("/builds"), &json!({"ref": reference})).expect(202).json();
        self.wait(job["id"].as_str().unwrap())
    }

    pub fn deploy(&self, environment: &str, reference: &str) -> Value {
        let path = self.path(&format!("/environments/{environment}/release"));
        let job = self.client.put(&path, &json!({"ref": reference})).expect(202).json();
        self.wait(job["id"].as_str().unwrap())
    }

    /// The job once it is final.
    pub fn wait(&self, job: &str) -> Value {
        let end = Instant::now() + JOB_MAX;
        loop {
            let found = self.client.get(&self.path(&format!("/jobs/{job}"))).expect(200).json();
            if !["queued", "running"].contains(&found["state"].as_str().unwrap()) {
                return found;
            }
            assert!(Instant::now() < end, "{found:#}\n{}", self.log(job));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn log(&self, job: &str) -> String {
        self.client.get(&self.path(&format!("/jobs/{job}/log"))).text()
    }

    /// The job, when it succeeded; the test ends with its log otherwise.
    #[track_caller]
    pub fn succeeded(&self, job: Value) -> Value {
        assert_eq!(job["state"], "succeeded", "{job:#}\n{}", self.log(job["id"].as_str().unwrap()));
        job
    }
}
