//! An import job: a repository elsewhere becomes the project's.

mod http;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use domain::{Error, InvalidCode};
use git_store::Oid;
use serde_json::{Value, json};

use crate::worker::{Run, Stop};
use http::HttpsRemote;

/// Where imports may come from besides the internet: the operator says so, a request never does.
#[derive(Clone, Debug, Default)]
pub struct ImportSettings {
    /// Addresses that are not public and may be reached all the same.
    pub allowed: Vec<IpAddr>,
    /// A file of certificates (PEM) that are trusted besides the system's.
    pub authorities: Option<PathBuf>,
}

/// Brings the repository; the answer is the job's result.
pub(crate) async fn import(run: &Run<'_>) -> Result<Value, Stop> {
    let imports = &run.worker.domain.imports;
    let task = imports.task(run.job, run.key).await.map_err(stopped)?;
    run.progress("import", 0, None, "Asking what there is").await;
    run.say(format!("importing {}", task.url)).await;
    let remote = HttpsRemote::new(task, &run.worker.imports).map_err(Stop::failed)?;
    let lines = run.output.lines.clone();
    // A log that is full loses lines and holds nothing up.
    let tell = Arc::new(move |line: String| drop(lines.try_send(line)));
    run.progress("import", 0, None, "Fetching").await;
    let mut result = imports.run(run.job, run.lease, &remote, tell).await.map_err(stopped)?;
    let notes = notes(run, &result).await;
    for note in &notes {
        run.say(note.clone()).await;
    }
    result["notes"] = json!(notes);
    Ok(result)
}

/// What people should know of an imported repository.
async fn notes(run: &Run<'_>, result: &Value) -> Vec<String> {
    let repository = &run.worker.domain.repository;
    let project = &run.lease.project;
    let Some(branch) = result["default_branch"].as_str() else {
        return vec!["the repository has no branch".to_owned()];
    };
    let head: Result<Oid, Error> = repository.resolve(project, branch).await;
    let Ok(head) = head else { return Vec::new() };
    match repository.read(project, head, ".gitattributes").await {
        Ok(file) if String::from_utf8_lossy(&file.bytes).contains("filter=lfs") => vec![
            "the repository uses Git LFS: its objects were not fetched. Push them from a clone that has them, \
             with git lfs push --all"
                .to_owned(),
        ],
        _ => Vec::new(),
    }
}

/// What the server elsewhere, or its content, is to blame for ends the job; what we are to blame for is tried again.
fn stopped(error: Error) -> Stop {
    match error {
        Error::Conflict(_) | Error::Forbidden(_) | Error::TooLarge(_) | Error::Quota(_) => Stop::failed(error),
        Error::Invalid { code: InvalidCode::UrlNotAllowed | InvalidCode::Value, .. } => Stop::failed(error),
        error => Stop::Platform(error),
    }
}
