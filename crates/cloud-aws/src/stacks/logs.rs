//! The logs of functions in a target's account, read as its role.

use std::sync::Arc;

use async_trait::async_trait;
use cloud::{LogEvent, LogPage, LogQuery, LogStream, LogTail, Logs, Result};

use super::session::Session;
use crate::CloudWatchLogs;

pub(super) struct TargetLogs {
    pub session: Arc<Session>,
}

impl TargetLogs {
    async fn logs(&self) -> Result<CloudWatchLogs> {
        Ok(self.session.clients().await?.aws.logs())
    }
}

#[async_trait]
impl Logs for TargetLogs {
    async fn ensure_group(&self, group: &str, retention_days: Option<u32>) -> Result<()> {
        self.logs().await?.ensure_group(group, retention_days).await
    }

    async fn append(&self, group: &str, stream: &str, events: Vec<LogEvent>) -> Result<()> {
        self.logs().await?.append(group, stream, events).await
    }

    async fn read(&self, query: LogQuery) -> Result<LogPage> {
        self.logs().await?.read(query).await
    }

    async fn follow(&self, query: LogQuery) -> Result<Option<Box<dyn LogTail>>> {
        self.logs().await?.follow(query).await
    }

    async fn streams(&self, group: &str, after: Option<&str>, limit: usize) -> Result<Vec<LogStream>> {
        self.logs().await?.streams(group, after, limit).await
    }

    async fn groups(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        self.logs().await?.groups(prefix, after, limit).await
    }

    async fn delete_group(&self, group: &str) -> Result<()> {
        self.logs().await?.delete_group(group).await
    }
}
