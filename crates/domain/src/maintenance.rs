//! What the platform does for repositories by itself, after pushes: compaction, and the end of large files that
//! nothing points at any more.

use std::sync::Arc;
use std::time::Duration;

use cloud::SendMessage;
use git_store::Compacted;
use identity::ProjectId;
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::lfs::{Collected, Lfs};
use crate::projects::repository;
use crate::{Error, Result};

/// For the platform itself: no route reaches these methods.
pub struct Maintenance {
    core: Arc<Core>,
    lfs: Lfs,
}

/// A message in the job queue that is about a repository, and no job of anybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactMessage {
    /// The project whose repository is to be compacted.
    pub compact: ProjectId,
    /// Of the push after which it was due.
    #[serde(default)]
    pub correlation_id: String,
}

impl Maintenance {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { lfs: Lfs::new(core.clone()), core }
    }

    /// After a push: asks a worker for a compaction when one is due. Asking twice does no harm.
    pub async fn after_push(&self, project: &ProjectId, correlation_id: &str) -> Result<()> {
        match self.core.git.wants_compaction(&repository(project)?).await {
            Ok(true) => {}
            // Nothing to do, or deleted meanwhile.
            Ok(false) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
        let message = CompactMessage { compact: project.clone(), correlation_id: correlation_id.to_owned() };
        let body = serde_json::to_string(&message).map_err(|e| Error::internal("writing a message", e))?;
        self.core.ports.jobs_queue.send(SendMessage { body, delay: Duration::ZERO }).await?;
        Ok(())
    }

    /// Compacts the repository of a project, then looks at its objects of Git LFS; `None` when it is not due any more,
    /// or gone.
    pub async fn compact(&self, project: &ProjectId) -> Result<Option<Compacted>> {
        let id = repository(project)?;
        match self.core.git.wants_compaction(&id).await {
            Ok(true) => {
                let done = self.core.git.compact(&id).await.map_err(failed)?;
                let collected = self.lfs.collect(project).await?;
                if collected != Collected::default() {
                    tracing::info!(?collected, %project, "objects of Git LFS that nothing points at");
                }
                Ok(Some(done))
            }
            Ok(false) => Ok(None),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

fn failed(error: git_store::Error) -> Error {
    Error::git(error, "repository", "project")
}
