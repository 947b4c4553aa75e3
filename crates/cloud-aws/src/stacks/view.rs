//! A stack as the platform sees it.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::StackResourceSummary;
use cloud::{FunctionView, Millis, ResourceView, Result, Stack, StackName};
use futures::{StreamExt, TryStreamExt};

use super::failure::Failure;
use super::status::seen_from_outside;
use super::{CloudFormationStacks, RELEASE_TAG, physical};

/// Pages of resources, 100 each; a stack has 500 at most (CloudFormation quotas).
const PAGES_MAX: usize = 10;
/// Functions that are asked about side by side.
const ASKED_AT_ONCE: usize = 8;

impl CloudFormationStacks {
    pub(super) async fn summaries(&self, name: &StackName) -> Result<Vec<StackResourceSummary>> {
        let (stack, what) = (physical(name), format!("reading the resources of `{name}`"));
        let (mut all, mut next) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let call = self.session.call(|clients| {
                let request = clients.formation.list_stack_resources().stack_name(&stack).set_next_token(next.clone());
                let what = what.clone();
                async move { request.send().await.map_err(|error| Failure::of(&what, error)) }
            });
            let answer = match call.await {
                Err(failure) if failure.is_absent() => break,
                other => other?,
            };
            all.extend(answer.stack_resource_summaries.unwrap_or_default());
            next = answer.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(all)
    }

    pub(super) async fn resources(&self, name: &StackName) -> Result<Vec<ResourceView>> {
        let view = |summary: StackResourceSummary| ResourceView {
            logical_id: summary.logical_resource_id.unwrap_or_default(),
            kind: summary.resource_type.unwrap_or_default(),
            physical_id: summary.physical_resource_id.unwrap_or_default(),
        };
        Ok(self.summaries(name).await?.into_iter().map(view).collect())
    }

    pub(super) async fn view(&self, name: &StackName) -> Result<Option<Stack>> {
        let Some(found) = self.found(name).await? else { return Ok(None) };
        let resources = self.resources(name).await?;
        let is_function = |r: &&ResourceView| r.kind == "AWS::Lambda::Function" && !r.physical_id.is_empty();
        let functions: Vec<ResourceView> = resources.iter().filter(is_function).cloned().collect();
        let functions: Vec<Option<FunctionView>> = futures::stream::iter(functions)
            .map(|resource| async move { self.function(&resource).await })
            .buffered(ASKED_AT_ONCE)
            .try_collect()
            .await?;
        let outputs: BTreeMap<String, String> = found
            .outputs()
            .iter()
            .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())))
            .collect();
        let release = found.tags().iter().find(|tag| tag.key() == Some(RELEASE_TAG));
        let updated = found.last_updated_time().or(found.creation_time());
        Ok(Some(Stack {
            name: name.clone(),
            status: seen_from_outside(found.stack_status().map_or("", |status| status.as_str())),
            release: release.and_then(|tag| tag.value()).unwrap_or_default().to_owned(),
            url: address(&outputs),
            outputs,
            functions: functions.into_iter().flatten().collect(),
            resources,
            unsupported: Vec::new(),
            updated: Millis(updated.and_then(|at| at.to_millis().ok()).unwrap_or(0)),
        }))
    }

    /// `None` when somebody has deleted the function by hand.
    async fn function(&self, resource: &ResourceView) -> Result<Option<FunctionView>> {
        let what = format!("reading the function `{}`", resource.logical_id);
        let call = self.session.call(|clients| {
            let request = clients.lambda.get_function_configuration().function_name(&resource.physical_id);
            let what = what.clone();
            async move { request.send().await.map_err(|error| Failure::of(&what, error)) }
        });
        let answer = match call.await {
            Err(failure) if failure.code == "ResourceNotFoundException" => return Ok(None),
            other => other?,
        };
        Ok(Some(FunctionView {
            logical_id: resource.logical_id.clone(),
            name: resource.physical_id.clone(),
            runtime: answer.runtime().map(|r| r.as_str().to_owned()).unwrap_or_default(),
            handler: answer.handler().unwrap_or_default().to_owned(),
            memory_mb: answer.memory_size().and_then(|mb| u32::try_from(mb).ok()).unwrap_or(128),
            timeout_s: answer.timeout().and_then(|s| u32::try_from(s).ok()).unwrap_or(3),
            log_group: answer
                .logging_config()
                .and_then(|config| config.log_group())
                .map_or_else(|| format!("/aws/lambda/{}", resource.physical_id), str::to_owned),
            note: None,
        }))
    }
}

/// Where the app answers: the output that is called so, or else the first that is an address.
fn address(outputs: &BTreeMap<String, String>) -> Option<String> {
    let mut addresses = outputs.iter().filter(|(_, value)| value.starts_with("https://"));
    let first = addresses.clone().next();
    let named = addresses.find(|(name, _)| name.eq_ignore_ascii_case("url") || name.eq_ignore_ascii_case("siteurl"));
    named.or(first).map(|(_, value)| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_output_that_is_called_so() {
        let outputs = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(address(&outputs(&[("ApiUrl", "https://a"), ("Url", "https://u")])).as_deref(), Some("https://u"));
        assert_eq!(address(&outputs(&[("ApiUrl", "https://a"), ("Name", "x")])).as_deref(), Some("https://a"));
        assert_eq!(address(&outputs(&[("Name", "x")])), None);
    }
}
