//! Stacks deleted, and deploys stopped.

use aws_sdk_cloudformation::types::{ResourceStatus, Stack, Tag, TemplateStage};
use cloud::{Error, Result, StackName};

use super::events::Own;
use super::failure::Failure;
use super::status::{Standing, standing};
use super::{CloudFormationStacks, NAME_TAG, physical, site};

/// Polls while a stack is deleted: 12 hours at one every two seconds, longer than any worker lives.
const POLLS_MAX: usize = 21_600;
/// Resources that a failed deletion names.
const NAMED_MAX: usize = 10;

fn status(stack: &Stack) -> &str {
    stack.stack_status().map_or("", |status| status.as_str())
}

impl CloudFormationStacks {
    /// The stack as CloudFormation describes it; `None` when there is none.
    pub(super) async fn found(&self, name: &StackName) -> Result<Option<Stack>> {
        let stack = physical(name);
        let what = format!("describing the stack `{name}`");
        let call = self.session.call(|clients| {
            let request = clients.formation.describe_stacks().stack_name(&stack);
            let what = what.clone();
            async move { request.send().await.map_err(|error| Failure::of(&what, error)) }
        });
        match call.await {
            Ok(answer) => {
                let found = answer.stacks.unwrap_or_default().into_iter().next();
                let found = found.filter(|stack| standing(status(stack)) != Standing::Deleted);
                let other = |tag: &Tag| tag.key() == Some(NAME_TAG) && tag.value() != Some(name.as_str());
                if found.as_ref().is_some_and(|stack| stack.tags().iter().any(other)) {
                    return Err(Error::Invalid(format!(
                        "the stack {} is another's: choose another name",
                        physical(name)
                    )));
                }
                Ok(found)
            }
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn send_delete(&self, name: &StackName) -> Result<()> {
        let stack = physical(name);
        let what = format!("deleting the stack `{name}`");
        let call = self.session.call(|clients| {
            let request = clients.formation.delete_stack().stack_name(&stack);
            let what = what.clone();
            async move { request.send().await.map_err(|error| Failure::of(&what, error)) }
        });
        match call.await {
            Ok(_) => Ok(()),
            // The next look tells whether it was heard.
            Err(failure) if failure.is_absent() || failure.is_unclear() => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    pub(super) async fn remove(&self, name: &StackName) -> Result<()> {
        let mut sent = false;
        for _ in 0..POLLS_MAX {
            let Some(stack) = self.found(name).await? else { return Ok(()) };
            match status(&stack) {
                "DELETE_FAILED" if sent => return Err(self.undeletable(name, &stack).await),
                "DELETE_IN_PROGRESS" => sent = true,
                other if standing(other) == Standing::Changing => {}
                _ if sent => {}
                _ => {
                    self.empty_site(name, &stack).await?;
                    self.send_delete(name).await?;
                    sent = true;
                }
            }
            self.pause().await;
        }
        Err(Error::Unclear(format!("deleting `{name}`")))
    }

    /// CloudFormation deletes no bucket that holds anything. The site's bucket holds what deploys put there; a bucket
    /// with other data in it stays as it is, and the stack with it, until somebody has looked after the data.
    async fn empty_site(&self, name: &StackName, stack: &Stack) -> Result<()> {
        let mut outputs = stack.outputs().iter().filter(|output| output.output_key() == Some(site::BUCKET_OUTPUT));
        let Some(bucket) = outputs.find_map(|output| output.output_value()) else { return Ok(()) };
        let resources = self.resources(name).await?;
        let own = resources.iter().find(|it| it.kind == "AWS::S3::Bucket" && it.physical_id == bucket);
        let Some(own) = own else { return Ok(()) };
        if self.is_kept(name, &own.logical_id).await? {
            return Ok(());
        }
        let clients = self.session.clients().await?;
        let removed = clients.aws.blobs(bucket).empty().await?;
        tracing::info!(stack = %name, bucket, removed, "the site's bucket was emptied");
        Ok(())
    }

    /// Whether the template keeps a resource when its stack goes.
    async fn is_kept(&self, name: &StackName, resource: &str) -> Result<bool> {
        let stack = physical(name);
        let call = self.session.call(|clients| {
            let request = clients.formation.get_template().stack_name(&stack).template_stage(TemplateStage::Processed);
            async move { request.send().await.map_err(|error| Failure::of("reading the template", error)) }
        });
        let text = call.await?.template_body.unwrap_or_default();
        let template: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        // What cannot be read is not emptied.
        let policy = &template["Resources"][resource];
        Ok(!policy.is_object() || policy["DeletionPolicy"].as_str().is_some_and(|policy| policy != "Delete"))
    }

    pub(super) async fn remove_if_in_review(&self, name: &StackName) -> Result<()> {
        match self.found(name).await? {
            Some(stack) if standing(status(&stack)) == Standing::InReview => self.remove(name).await,
            _ => Ok(()),
        }
    }

    /// Which resources kept the stack from going, and what to do about it.
    async fn undeletable(&self, name: &StackName, stack: &Stack) -> Error {
        let resources = self.summaries(name).await.unwrap_or_default();
        let failed = resources.iter().filter(|r| r.resource_status() == Some(&ResourceStatus::DeleteFailed));
        let named: Vec<String> = failed
            .take(NAMED_MAX)
            .map(|resource| {
                let reason = resource.resource_status_reason().unwrap_or("no reason was given");
                let kind = resource.resource_type().unwrap_or_default();
                let physical = resource.physical_resource_id().unwrap_or_default();
                let advice = match kind == "AWS::S3::Bucket" && reason.contains("not empty") {
                    true => format!("; empty the bucket {physical}, then remove the environment again"),
                    false => String::new(),
                };
                format!("{} ({kind}): {reason}{advice}", resource.logical_resource_id().unwrap_or_default())
            })
            .collect();
        let why = match named.as_slice() {
            [] => stack.stack_status_reason().unwrap_or("no reason was given").to_owned(),
            named => named.join("; "),
        };
        Error::Invalid(format!("the stack `{name}` could not be deleted: {why}"))
    }

    /// Asks for the end of a running deploy.
    pub(super) async fn stop(&self, name: &StackName, token: &str) -> Result<()> {
        let Some(stack) = self.found(name).await? else { return Ok(()) };
        let own = Own { token: token.to_owned(), since: None };
        match status(&stack) {
            "REVIEW_IN_PROGRESS" => self.send_delete(name).await,
            // There is no version before the first: CloudFormation can only take away what is there of it.
            "CREATE_IN_PROGRESS" if self.is_newest(name, &own).await? => self.send_delete(name).await,
            "UPDATE_IN_PROGRESS" if self.is_newest(name, &own).await? => {
                let physical = physical(name);
                let call = self.session.call(|clients| {
                    let request = clients.formation.cancel_update_stack().stack_name(&physical);
                    async move { request.send().await.map_err(|error| Failure::of("cancelling the update", error)) }
                });
                match call.await {
                    // It is too late to cancel.
                    Err(failure) if failure.code == "ValidationError" => Ok(()),
                    Err(failure) => Err(failure.into()),
                    Ok(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
