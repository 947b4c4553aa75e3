//! Every port of one cloud, handed over together.

use std::sync::Arc;

use crate::{Blobs, Clock, Entropy, EventBus, Logs, Parameters, Queue, Records, Sockets, StackName, Stacks};

/// Gives the logs of one stack. On one machine each stack is an account of its own; on AWS all are one.
pub type StackLogs = Arc<dyn Fn(&StackName) -> Arc<dyn Logs> + Send + Sync>;

/// What a platform is put together from.
#[derive(Clone)]
pub struct Ports {
    pub records: Arc<dyn Records>,
    pub blobs: Arc<dyn Blobs>,
    pub jobs_queue: Arc<dyn Queue>,
    pub tail_queue: Arc<dyn Queue>,
    pub sockets: Arc<dyn Sockets>,
    /// The platform's own logs: those of jobs.
    pub logs: Arc<dyn Logs>,
    /// The logs of users' functions.
    pub stack_logs: StackLogs,
    pub parameters: Arc<dyn Parameters>,
    pub stacks: Arc<dyn Stacks>,
    /// None where nobody can subscribe.
    pub bus: Option<Arc<dyn EventBus>>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}
