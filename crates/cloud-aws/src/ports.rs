//! Every port on AWS, for functions that need them all. Clients connect when they are first used.

use std::sync::Arc;

use cloud::{Logs, Ports, SystemClock, SystemEntropy};

use crate::{Aws, StacksSettings};

/// The names that the template gives to a function.
pub struct PortsSettings<'a> {
    pub table: &'a str,
    pub bucket: &'a str,
    pub jobs_queue_url: &'a str,
    pub tail_queue_url: &'a str,
    pub socket_management_url: &'a str,
    pub parameter_prefix: &'a str,
    /// The role that credentials for a stack come from, with `{stack}` for the stack's name.
    pub stack_role_arn: &'a str,
}

impl Aws {
    pub fn ports(&self, settings: &PortsSettings<'_>) -> Ports {
        let logs: Arc<dyn Logs> = Arc::new(self.logs());
        let of_stacks = logs.clone();
        let stacks =
            StacksSettings { bucket: settings.bucket.to_owned(), role_arn: settings.stack_role_arn.to_owned() };
        Ports {
            records: Arc::new(self.records(settings.table)),
            blobs: Arc::new(self.blobs(settings.bucket)),
            jobs_queue: Arc::new(self.queue(settings.jobs_queue_url)),
            tail_queue: Arc::new(self.queue(settings.tail_queue_url)),
            sockets: Arc::new(self.sockets(settings.socket_management_url)),
            logs,
            stack_logs: Arc::new(move |_| of_stacks.clone()),
            parameters: Arc::new(self.parameters(settings.parameter_prefix)),
            stacks: Arc::new(self.stacks(stacks)),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }
}
