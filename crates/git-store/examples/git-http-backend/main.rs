//! The engine as a CGI program over folders of bare repositories, in the place of `git http-backend`: git's own HTTP
//! tests look into the server's folder with git, so that each request begins with what git finds there and ends with
//! what git finds there. For `cargo xtask git-suite` alone; nothing of it is shipped.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a program of the tests")]

mod folder;
mod records;

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use cloud::{BlobStream, SystemClock, SystemEntropy};
use futures::StreamExt;
use git_store::http::{Bundle, Offers, PackfileUri, Protocol, Service, decode_body};
use git_store::{GitStore, GitStoreSettings, RefChange, RefPolicy, RepositoryId};
use tokio_util::io::ReaderStream;

use crate::folder::Folder;
use crate::records::FolderStore;

/// Lets everything through that the folder can hold.
struct Unlocked(PathBuf);

#[async_trait::async_trait]
impl RefPolicy for Unlocked {
    async fn check(&self, change: &RefChange) -> Result<(), String> {
        let locked = self.0.join(format!("{}.lock", change.name)).exists();
        if locked { Err("failed to update ref".into()) } else { Ok(()) }
    }

    async fn along(&self, _: &[RefChange]) -> Result<Vec<cloud::Write>, cloud::Error> {
        Ok(Vec::new())
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn refuse(status: &str, text: &str) {
    eprintln!("{text}");
    print!("Status: {status}\r\nCache-Control: no-cache\r\nContent-Type: text/plain\r\n\r\n{text}\n");
}

/// The repository's folder, and what is asked of it.
fn parts(path: &str) -> Option<(&str, &str)> {
    ["/info/refs", "/git-upload-pack", "/git-receive-pack"]
        .into_iter()
        .find_map(|tail| path.strip_suffix(tail).map(|folder| (folder, &tail[1..])))
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let path = variable("PATH_TRANSLATED").unwrap_or_default();
    let query = variable("QUERY_STRING").unwrap_or_default();
    let Some((folder, asked)) = parts(&path).filter(|(_, asked)| *asked != "info/refs" || query.contains("service="))
    else {
        return hand_over();
    };
    let Some(folder) = Folder::enter(folder) else { return refuse("404 Not Found", "not a git repository") };
    if variable("GIT_HTTP_EXPORT_ALL").is_none()
        && std::env::var_os("GIT_HTTP_EXPORT_ALL").is_none()
        && !folder.path().join("git-daemon-export-ok").exists()
    {
        return refuse("404 Not Found", "the repository is not exported");
    }
    let named = if asked == "info/refs" { query.strip_prefix("service=").unwrap_or_default() } else { asked };
    let Ok(service) = Service::parse(named) else { return refuse("403 Forbidden", "only the smart protocol") };
    if !folder.serves(service, variable("REMOTE_USER").is_some()) {
        return refuse("403 Forbidden", "the service is not enabled");
    }
    let protocol = variable("HTTP_GIT_PROTOCOL").filter(|_| std::env::var_os("GIT_PROTOCOL").is_none());
    let protocol = Protocol::from_header(protocol.as_deref());
    if let Err(error) = answer(folder, service, protocol, asked == "info/refs").await {
        refuse("500 Internal Server Error", &error.to_string());
    }
}

async fn answer(folder: Folder, service: Service, protocol: Protocol, advertise: bool) -> git_store::Result<()> {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let offers = Offers {
        bundles: bundles(&folder),
        packfile_uris: packfile_uris(&folder),
        any_object: folder.is_set("uploadpack.allowanysha1inwant"),
    };
    let policy = Unlocked(folder.path().to_owned());
    let ports = Arc::new(FolderStore::new(folder, service, cache.path().join("packs")));
    let store = GitStore::new(GitStoreSettings {
        blobs: ports.clone(),
        records: ports,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        cache: cache.path().join("cache"),
        cache_bytes_max: 1 << 30,
    })?
    .offering(offers);
    let id = RepositoryId::parse("repository")?;
    if advertise {
        let body = store.advertise(&id, service, protocol).await?;
        return send(service.advertisement_type(), cloud::stream_of(body)).await;
    }
    if variable("CONTENT_TYPE").as_deref() != Some(service.request_type()) {
        refuse("415 Unsupported Media Type", "another content type was expected");
        return Ok(());
    }
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("standard input is open");
    let stdin = tokio::fs::File::from_std(std::fs::File::from(stdin));
    let stdin = ReaderStream::with_capacity(stdin, 64 * 1024).boxed();
    let body = decode_body(variable("HTTP_CONTENT_ENCODING").as_deref(), stdin)?;
    let answered = match service {
        Service::UploadPack => store.upload_pack(&id, protocol, body).await?,
        Service::ReceivePack => store.receive_pack(&id, body, Arc::new(policy)).await?,
    };
    send(service.result_type(), answered).await
}

fn bundles(folder: &Folder) -> Option<Vec<Bundle>> {
    let bundle = |(key, uri): (String, String)| {
        let id = key.strip_prefix("bundle.")?.strip_suffix(".uri")?.to_owned();
        Some(Bundle { id, uri, creation_token: None })
    };
    let listed = || folder.config_like("^bundle\\..*\\.uri$").into_iter().filter_map(bundle).collect();
    folder.is_set("uploadpack.advertiseBundleURIs").then(listed)
}

fn packfile_uris(folder: &Folder) -> Vec<PackfileUri> {
    let read = |(_, value): (String, String)| {
        let mut words = value.split(' ').map(str::to_owned);
        Some(PackfileUri { blob: words.next()?.parse().ok()?, checksum: words.next()?, uri: words.next()? })
    };
    folder.config_like("^uploadpack\\.blobpackfileuri$").into_iter().filter_map(read).collect()
}

/// What is not smart is none of the engine's: git's own program, which lies beside this one, answers.
fn hand_over() {
    let stock = std::env::current_exe().map(|own| own.with_extension("stock"));
    let error = stock.map(|stock| std::process::Command::new(stock).exec());
    eprintln!("git's own program did not start: {error:?}");
}

async fn send(content_type: &str, mut body: BlobStream) -> git_store::Result<()> {
    let mut out = std::io::stdout();
    let no_cache = "Expires: Fri, 01 Jan 1980 00:00:00 GMT\r\nPragma: no-cache\r\nCache-Control: no-cache, max-age=0, \
                    must-revalidate\r\n";
    let _ = write!(out, "{no_cache}Content-Type: {content_type}\r\n\r\n");
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else { break };
        if out.write_all(&chunk).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(())
}
