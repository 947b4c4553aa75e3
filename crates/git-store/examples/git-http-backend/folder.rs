//! A repository's folder, as git sees it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git_store::http::Service;

const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

pub struct Folder {
    path: PathBuf,
    /// `refs/namespaces/…/` before every ref, or nothing (gitnamespaces).
    namespace: String,
}

impl Folder {
    /// Finds the repository as `git http-backend` does: the folder itself, or one beside or below it.
    pub fn enter(path: &str) -> Option<Self> {
        let spellings = ["/.git", "", ".git/.git", ".git"].map(|tail| PathBuf::from(format!("{path}{tail}")));
        let path = spellings.into_iter().find(|path| path.join("HEAD").exists() && path.join("objects").is_dir())?;
        let namespace = std::env::var("GIT_NAMESPACE").unwrap_or_default();
        let parts = namespace.split('/').filter(|part| !part.is_empty());
        Some(Self { path, namespace: parts.map(|part| format!("refs/namespaces/{part}/")).collect() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.path).args(args).env_remove("GIT_NAMESPACE").stderr(Stdio::inherit());
        command
    }

    /// Who moves refs, as `git http-backend` names them.
    fn as_caller(command: &mut Command) {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let user = variable("REMOTE_USER").unwrap_or_else(|| "anonymous".into());
        let email = format!("{user}@http.{}", variable("REMOTE_ADDR").unwrap_or_else(|| "(none)".into()));
        for (name, value) in [("GIT_COMMITTER_NAME", user), ("GIT_COMMITTER_EMAIL", email)] {
            if variable(name).is_none() {
                command.env(name, value);
            }
        }
    }

    /// What git prints; nothing when it fails.
    fn ask(&self, args: &[&str]) -> String {
        let output = self.command(args).stderr(Stdio::null()).output().expect("git starts");
        if output.status.success() { String::from_utf8_lossy(&output.stdout).into_owned() } else { String::new() }
    }

    /// Gives git something to read; whether it succeeded, and what it printed.
    fn tell(&self, args: &[&str], input: &str) -> (bool, String) {
        let mut command = self.command(args);
        Self::as_caller(&mut command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("git ends");
        let _ = writer.join();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    pub fn is_set(&self, key: &str) -> bool {
        self.ask(&["config", "--type=bool", "--get", key]).trim() == "true"
    }

    /// Keys and values whose key is like `pattern`.
    pub fn config_like(&self, pattern: &str) -> Vec<(String, String)> {
        let listed = self.ask(&["config", "--null", "--get-regexp", pattern]);
        let pairs = listed.split('\0').filter_map(|pair| pair.split_once('\n'));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    pub fn serves(&self, service: Service, is_known: bool) -> bool {
        let (key, default) = match service {
            Service::UploadPack => ("http.uploadpack", true),
            Service::ReceivePack => ("http.receivepack", is_known),
        };
        match self.ask(&["config", "--type=bool", "--get", key]).trim() {
            "true" => true,
            "false" => false,
            _ => default,
        }
    }

    /// The branch that `HEAD` names.
    pub fn head(&self) -> String {
        let head = format!("{}HEAD", self.namespace);
        let target = self.ask(&["symbolic-ref", &head]);
        let branch = target.trim().strip_prefix(&self.namespace).and_then(|name| name.strip_prefix("refs/heads/"));
        branch.unwrap_or("main").to_owned()
    }

    /// Refs with their ids, and what annotated tags point at.
    pub fn refs(&self, service: Service) -> Vec<(String, String, Option<String>)> {
        let hidden = self.hidden(service);
        let listed = self.ask(&["for-each-ref", "--format=%(refname) %(objectname) %(*objectname)"]);
        let lines = listed.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?.strip_prefix(&self.namespace)?;
            let shown = name.strip_prefix("refs/").is_some_and(|rest| rest.contains('/'));
            let hides = |prefix: &String| {
                name.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if !shown || hidden.iter().any(hides) {
                return None;
            }
            Some((name.to_owned(), words.next()?.to_owned(), words.next().filter(|w| !w.is_empty()).map(str::to_owned)))
        });
        lines.collect()
    }

    fn hidden(&self, service: Service) -> Vec<String> {
        let own = match service {
            Service::UploadPack => "uploadpack",
            Service::ReceivePack => "receive",
        };
        let found = self.config_like(&format!("^(transfer|{own})\\.hiderefs$"));
        found.into_iter().map(|(_, prefix)| prefix.trim_end_matches('/').to_owned()).collect()
    }

    /// Every object in one pack at `base`-….pack with its index; `None` when there is no object.
    pub fn pack(&self, base: &Path) -> Option<PathBuf> {
        let oids = self.ask(&["cat-file", "--batch-check=%(objectname)", "--batch-all-objects", "--unordered"]);
        if oids.is_empty() {
            return None;
        }
        // Git has this one without storing it.
        let oids = format!("{oids}{EMPTY_TREE}\n");
        let base = base.to_str().expect("a path of UTF-8");
        let (done, name) = self.tell(&["pack-objects", "-q", "--delta-base-offset", base], &oids);
        assert!(done, "git packs what is there");
        Some(PathBuf::from(format!("{base}-{}", name.trim())))
    }

    /// Moves refs, all or none: name, new and old id.
    pub fn update(&self, moves: &[(String, Option<String>, Option<String>)]) -> bool {
        let zero = "0".repeat(40);
        let lines = moves.iter().map(|(name, new, old)| {
            let (new, old) = (new.as_ref().unwrap_or(&zero), old.as_ref().unwrap_or(&zero));
            format!("update {}{name} {new} {old}\n", self.namespace)
        });
        let mut lines: Vec<String> = lines.collect();
        // What is removed makes room for what is made.
        lines.sort_by_key(|line| !line.contains(&format!(" {zero} ")) || line.ends_with(&format!("{zero}\n")));
        self.tell(&["update-ref", "-m", "push", "--stdin"], &lines.concat()).0
    }

    /// Takes a pack and its index in.
    pub fn take(&self, pack: &[u8], index: &[u8]) -> std::io::Result<()> {
        let name = format!("pack-{}", hex::encode(&pack[pack.len() - 20..]));
        let folder = self.path.join("objects/pack");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.pack")), pack)?;
        std::fs::write(folder.join(format!("{name}.idx")), index)
    }
}
