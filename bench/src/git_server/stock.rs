//! The reference: `git http-backend` behind Apache, over folders.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};
use tempfile::TempDir;

use super::server::Server;
use crate::git::git;

const APACHE: &str = "/usr/sbin/apache2";
const MODULES: &str = "/usr/lib/apache2/modules";
const PASSWORD: &str = "a-password-of-the-bench";
/// Apache does not serve as root: then as nobody.
const NOBODY: u32 = 65_534;
/// What a push acknowledges is on the disk, and filters are served, as with us; nothing is tidied up while others are
/// measured.
const SETTINGS: [(&str, &str); 4] =
    [("core.fsync", "committed"), ("uploadpack.allowFilter", "true"), ("gc.auto", "0"), ("maintenance.auto", "false")];
const START_MAX: Duration = Duration::from_secs(10);

pub struct Stock {
    // Ends before its folder goes.
    child: Child,
    authority: String,
    folder: TempDir,
}

impl Stock {
    pub fn start() -> Result<Self> {
        if !Path::new(APACHE).exists() {
            bail!("missing: {APACHE} (the reference server of `bench git`); on Debian: apt-get install apache2-bin");
        }
        let folder = TempDir::new()?;
        let path = folder.path().to_owned();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        std::fs::create_dir(path.join("repositories"))?;
        let digest = BASE64_STANDARD.encode(Sha1::digest(PASSWORD));
        std::fs::write(path.join("users"), format!("bench:{{SHA}}{digest}\n"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let authority = format!("127.0.0.1:{port}");
        std::fs::write(path.join("apache.conf"), configuration(&path, &authority)?)?;
        let child = Command::new(APACHE)
            .arg("-f")
            .arg(path.join("apache.conf"))
            .args(["-D", "FOREGROUND"])
            .stdin(Stdio::null())
            .spawn()
            .context("starting Apache")?;
        let stock = Self { child, authority, folder };
        let begun = Instant::now();
        while TcpStream::connect(&stock.authority).is_err() {
            if begun.elapsed() > START_MAX {
                bail!(
                    "Apache does not listen: {}",
                    std::fs::read_to_string(path.join("error.log")).unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(stock)
    }

    fn repository(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("repositories").join(format!("{name}.git"))
    }
}

fn configuration(path: &Path, authority: &str) -> Result<String> {
    let modules = ["mpm_prefork", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic"];
    let modules = modules.into_iter().chain(["env", "setenvif", "alias", "cgi"]);
    let modules: String = modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).collect();
    let user = if is_root(path)? { format!("User #{NOBODY}\nGroup #{NOBODY}\n") } else { String::new() };
    let backend = git(path, &["--exec-path"])?.trim().to_owned() + "/git-http-backend";
    let path = path.display();
    Ok(format!(
        "ServerRoot {path}\nPidFile {path}/pid\nErrorLog {path}/error.log\nServerName 127.0.0.1\nListen {authority}\n\
         {modules}{user}Timeout 600\nStartServers 2\nMinSpareServers 1\nMaxSpareServers 4\nKeepAlive On\n\
         SetEnv GIT_PROJECT_ROOT {path}/repositories\nSetEnv GIT_HTTP_EXPORT_ALL 1\nSetEnv GIT_CONFIG_NOSYSTEM 1\n\
         SetEnvIf Git-Protocol \".*\" GIT_PROTOCOL=$0\nScriptAlias / {backend}/\n\
         <Location />\nAuthType Basic\nAuthName git\nAuthBasicProvider file\nAuthUserFile {path}/users\n\
         Require valid-user\n</Location>\n"
    ))
}

fn is_root(path: &Path) -> Result<bool> {
    Ok(path.metadata()?.uid() == 0)
}

impl Server for Stock {
    fn process(&self) -> u32 {
        self.child.id()
    }

    /// Apache's own memory is left out.
    fn counted(&self) -> Option<&'static str> {
        Some("git")
    }

    fn authority(&self) -> &str {
        &self.authority
    }

    fn create(&self, name: &str) -> Result<()> {
        let bare = self.repository(name);
        git(self.folder.path(), &["init", "-q", "--bare", &bare.display().to_string()])?;
        for (key, value) in SETTINGS {
            git(&bare, &["config", key, value])?;
        }
        if is_root(self.folder.path())? { give_away(&bare) } else { Ok(()) }
    }

    fn address(&self, authority: &str, name: &str) -> String {
        format!("http://bench:{PASSWORD}@{authority}/{name}.git")
    }

    /// Refs are as `git gc` leaves them.
    fn fill(&self, name: &str, from: &Path) -> Result<()> {
        let (bare, from) = (self.repository(name), from.display().to_string());
        let owned = format!("safe.directory={}", bare.display());
        let config = ["-c", &owned, "-c", "core.fsync=none"];
        git(&bare, &[&config[..], &["fetch", "-q", &from, "+refs/heads/*:refs/heads/*"]].concat())?;
        git(&bare, &[&config[..], &["pack-refs", "--all"]].concat())?;
        if is_root(self.folder.path())? { give_away(&bare) } else { Ok(()) }
    }
}

fn give_away(folder: &Path) -> Result<()> {
    chown(folder, Some(NOBODY), Some(NOBODY))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            give_away(&entry.path())?;
        } else {
            chown(entry.path(), Some(NOBODY), Some(NOBODY))?;
        }
    }
    Ok(())
}

impl Drop for Stock {
    fn drop(&mut self) {
        // SIGTERM to Apache ends its children; it may be gone already.
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
