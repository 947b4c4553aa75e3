//! The ports of the services that a function is built with. Clients are made when they are first called.

use std::sync::Arc;

use cloud::{PortMakers, Ports, SystemClock, SystemEntropy};

use crate::Aws;

/// The names that the template gives to a function.
#[derive(Clone, Debug)]
pub struct PortsSettings {
    pub table: String,
    pub bucket: String,
    pub jobs_queue_url: String,
    pub tail_queue_url: String,
    pub socket_management_url: String,
    pub parameter_prefix: String,
    /// The role that people's credentials for a stack come from.
    pub stack_role_arn: String,
    /// The permissions boundary of every role that a stack makes.
    pub stack_boundary_arn: String,
    /// The role that CloudFormation makes stacks with; the caller's own when `None`.
    pub stack_deploy_role_arn: Option<String>,
}

/// Fills in one port when its service is a feature of this build.
macro_rules! maker {
    ($makers:ident.$port:ident, $feature:literal, $aws:ident, $settings:ident, $make:expr) => {
        #[cfg(feature = $feature)]
        {
            let (aws, settings) = ($aws.clone(), $settings.clone());
            let make = $make;
            $makers.$port = Some(Box::new(move || Arc::new(make(&aws, &settings))));
        }
    };
}

impl Aws {
    /// The ports whose services are features of this build; the others are not there.
    pub fn ports(&self, settings: &PortsSettings) -> Ports {
        let mut makers = PortMakers::default();
        type Names = PortsSettings;
        maker!(makers.records, "dynamodb", self, settings, |aws: &Self, at: &Names| aws.records(&at.table));
        maker!(makers.blobs, "s3", self, settings, |aws: &Self, at: &Names| aws.blobs(&at.bucket));
        maker!(makers.jobs_queue, "sqs", self, settings, |aws: &Self, at: &Names| aws.queue(&at.jobs_queue_url));
        maker!(makers.tail_queue, "sqs", self, settings, |aws: &Self, at: &Names| aws.queue(&at.tail_queue_url));
        maker!(makers.sockets, "sockets", self, settings, |aws: &Self, at: &Names| aws
            .sockets(&at.socket_management_url));
        maker!(makers.logs, "logs", self, settings, |aws: &Self, _: &Names| aws.logs());
        maker!(makers.parameters, "ssm", self, settings, |aws: &Self, at: &Names| aws.parameters(&at.parameter_prefix));
        maker!(makers.stacks, "stacks", self, settings, |aws: &Self, at: &Names| aws.stacks(crate::StacksSettings {
            bucket: at.bucket.clone(),
            role_arn: at.stack_role_arn.clone(),
            boundary_arn: at.stack_boundary_arn.clone(),
            deploy_role_arn: at.stack_deploy_role_arn.clone(),
        }));
        Ports::made_when_called(makers, Arc::new(SystemClock), Arc::new(SystemEntropy))
    }
}
