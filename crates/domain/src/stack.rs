//! The stack behind an environment.

use cloud::StackName;

use crate::{EnvironmentName, Error, Result, Slug};

/// `{slug}--{environment}`: neither part has `--` in it, so that two environments never share a stack.
pub(crate) fn stack_name(slug: &Slug, environment: &EnvironmentName) -> Result<StackName> {
    StackName::parse(format!("{slug}--{environment}")).map_err(|e| Error::internal("naming a stack", e))
}

/// `{environment}--{slug}`: the first label of the site's host, at most 62 characters (a DNS label has 63).
pub(crate) fn host_label(slug: &Slug, environment: &EnvironmentName) -> String {
    format!("{environment}--{slug}")
}
