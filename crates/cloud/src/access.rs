//! What one function may do with the ports, and ports that refuse the rest.
//!
//! A function declares its access beside its code. The adapters of AWS name the IAM actions of each access, a test
//! compares them with the template's policies, and on one machine the same list is enforced here: what a function
//! may not do fails in the same place everywhere.

use std::fmt;
use std::sync::Arc;

use crate::guarded::Guarded;
use crate::{Error, EventBus, Ports, Result, StackName};

/// One right to a port's methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// `Records::get`
    GetRecords,
    /// `Records::query`
    QueryRecords,
    /// `Write::Put`
    PutRecords,
    /// `Write::Delete`
    DeleteRecords,
    /// `Write::Check`
    CheckRecords,
    /// `Blobs::get`, `head` and presigned downloads of keys like this pattern: `*` stands for any text.
    ReadBlobs(&'static str),
    /// `Blobs::put`, `put_stream` and presigned uploads of keys like this pattern.
    WriteBlobs(&'static str),
    /// Uploads in parts to keys like this pattern: `Blobs::create_upload` and what follows it.
    UploadBlobs(&'static str),
    /// `Blobs::delete` of keys like this pattern.
    DeleteBlobs(&'static str),
    /// `Blobs::list` of prefixes like this pattern.
    ListBlobs(&'static str),
    /// `Queue::send` to the queue of jobs.
    SendJobs,
    /// `Queue::send` to the queue of tails.
    SendTails,
    /// `Sockets::post` and `close`
    PostToSockets,
    /// `EventBus::publish`
    PublishEvents,
    /// `Logs::ensure_group` and `append` of the platform's own logs.
    WriteLogs,
    /// `Logs::read` of the platform's own logs.
    ReadLogs,
    /// `Logs::streams` and `groups`, of either.
    ListLogs,
    /// `Logs::delete_group` of the platform's own logs.
    DeleteLogs,
    /// `Logs::follow` of the platform's own logs.
    FollowLogs,
    /// `Logs::read` of users' functions.
    ReadStackLogs,
    /// `Logs::follow` of users' functions.
    FollowStackLogs,
    /// `Parameters::get`
    ReadParameters,
    /// `Parameters::list`
    ListParameters,
    /// `Parameters::put` and `delete`
    WriteParameters,
    /// `Stacks::describe`
    DescribeStacks,
    /// `Stacks::deploy`
    DeployStacks,
    /// `Stacks::cancel`
    CancelDeploys,
    /// `Stacks::at`: the accounts of deploy targets, through their roles.
    ReachTargets,
    /// `Stacks::delete`
    DeleteStacks,
    /// `Stacks::invoke`
    InvokeStacks,
    /// `Stacks::credentials`
    StackCredentials,
    /// The platform's own functions that run users' build steps. No port: one machine has a sandbox for them.
    InvokeBuilds,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Why a call was not made.
#[derive(Debug, thiserror::Error)]
#[error("this function's access does not include {0}")]
pub struct NotGranted(String);

/// The rights of one function; all of them when unlimited.
#[derive(Clone, Copy, Debug)]
pub struct Grants(Option<&'static [Access]>);

impl Grants {
    /// Everything: for the process that is every function at once, and for tests.
    pub const ALL: Self = Self(None);

    pub const fn only(access: &'static [Access]) -> Self {
        Self(Some(access))
    }

    /// Whether any of the rights is one of these.
    pub fn has_any(&self, one_of: impl Fn(Access) -> bool) -> bool {
        self.0.is_none_or(|granted| granted.iter().copied().any(one_of))
    }

    pub(crate) fn require(&self, access: Access) -> Result<()> {
        self.require_any(|granted| granted == access, &access)
    }

    pub(crate) fn require_any(&self, one_of: impl Fn(Access) -> bool, what: &dyn fmt::Display) -> Result<()> {
        if self.has_any(one_of) {
            return Ok(());
        }
        Err(Error::other(format!("{what} is refused"), NotGranted(what.to_string())))
    }
}

/// Whether `text` is like `pattern`, where each `*` stands for any text: the way a policy names resources.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    while let Some((part, more)) = rest.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
        rest = more;
    }
    text.ends_with(rest)
}

impl Ports {
    /// The same ports for a function with these rights.
    pub fn limited_to(&self, grants: Grants) -> Self {
        if grants.0.is_none() {
            return self.clone();
        }
        let stack_logs = Arc::clone(&self.stack_logs);
        Self {
            records: Arc::new(Guarded::new(self.records.clone(), grants)),
            blobs: Arc::new(Guarded::new(self.blobs.clone(), grants)),
            jobs_queue: Arc::new(Guarded::queue(self.jobs_queue.clone(), grants, Access::SendJobs)),
            tail_queue: Arc::new(Guarded::queue(self.tail_queue.clone(), grants, Access::SendTails)),
            sockets: Arc::new(Guarded::new(self.sockets.clone(), grants)),
            logs: Arc::new(Guarded::logs(self.logs.clone(), grants, Access::ReadLogs)),
            stack_logs: Arc::new(move |stack: &StackName| {
                Arc::new(Guarded::logs(stack_logs(stack), grants, Access::ReadStackLogs))
            }),
            parameters: Arc::new(Guarded::new(self.parameters.clone(), grants)),
            stacks: Arc::new(Guarded::new(self.stacks.clone(), grants)),
            bus: self.bus.clone().map(|bus| -> Arc<dyn EventBus> { Arc::new(Guarded::new(bus, grants)) }),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_policies() {
        for (text, pattern) in [
            ("projects/1/drafts/2", "projects/*/drafts/*"),
            ("projects//drafts/", "projects/*/drafts/*"),
            ("a", "a"),
            ("abcabc", "a*c"),
            ("x", "*"),
        ] {
            assert!(is_like(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [
            ("projects/1/files/2", "projects/*/drafts/*"),
            ("xprojects/1/drafts/2", "projects/*/drafts/*"),
            ("ab", "a"),
            ("a", "a*a"),
        ] {
            assert!(!is_like(text, pattern), "{text} {pattern}");
        }
    }
}
