//! `Stacks` on CloudFormation and Lambda.

mod package;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudformation::Client as CloudFormation;
use aws_sdk_cloudformation::types::{Capability, ChangeSetStatus, ChangeSetType, Parameter, Tag};
use aws_sdk_lambda::Client as Lambda;
use aws_sdk_lambda::types::LogType;
use aws_sdk_sts::Client as Sts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::{
    Clock, Credentials, DeployStack, Entropy, Error, EventSink, FunctionView, Invocation, Invoke, Millis, ResourceView,
    Result, Secret, Stack, StackEvent, StackName, StackStatus, Stacks, SystemClock, SystemEntropy,
};

use crate::{Aws, S3Blobs, failure};

/// How often CloudFormation is asked while a stack changes.
const POLL: Duration = Duration::from_secs(2);
/// A change set or stack that takes longer than this is given up.
const WAIT_MAX: Duration = Duration::from_secs(840);
/// Stacks of users' apps carry this before their name: the policies of the platform's template end there.
const PREFIX: &str = "workroom-app-";

pub struct StacksSettings {
    /// The platform's data bucket: packages are read from it, packaged templates are written to it.
    pub bucket: String,
    /// The role that a person's credentials for a stack come from, with `{stack}` for the stack's name.
    pub role_arn: String,
}

pub struct CloudFormationStacks {
    formation: CloudFormation,
    lambda: Lambda,
    sts: Sts,
    blobs: S3Blobs,
    region: String,
    settings: StacksSettings,
}

impl Aws {
    pub fn stacks(&self, settings: StacksSettings) -> CloudFormationStacks {
        CloudFormationStacks {
            formation: CloudFormation::new(self.config()),
            lambda: Lambda::new(self.config()),
            sts: Sts::new(self.config()),
            blobs: self.blobs(&settings.bucket),
            region: self.config().region().map(ToString::to_string).unwrap_or_default(),
            settings,
        }
    }
}

fn physical(name: &StackName) -> String {
    format!("{PREFIX}{name}")
}

fn status(raw: Option<&str>) -> StackStatus {
    match raw.unwrap_or_default() {
        raw if raw.starts_with("DELETE") => StackStatus::Deleting,
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => {
            StackStatus::Ready
        }
        raw if raw.ends_with("IN_PROGRESS") => StackStatus::InProgress,
        _ => StackStatus::Failed,
    }
}

impl CloudFormationStacks {
    async fn found(&self, name: &StackName) -> Result<Option<aws_sdk_cloudformation::types::Stack>> {
        match self.formation.describe_stacks().stack_name(physical(name)).send().await {
            Ok(answer) => Ok(answer.stacks.unwrap_or_default().into_iter().next()),
            // CloudFormation says that a stack is absent with a ValidationError.
            Err(error) if format!("{error:?}").contains("does not exist") => Ok(None),
            Err(error) => Err(failure(format!("describing the stack `{name}`"), error)),
        }
    }

    /// Creates the change set and waits until it can be executed; `None` when nothing would change.
    async fn change_set(&self, what: &DeployStack, template_url: &str, create: bool) -> Result<Option<String>> {
        let entropy: &dyn Entropy = &SystemEntropy;
        let id = format!("release-{}", entropy.ulid(SystemClock.now()));
        let parameters = what
            .parameters
            .iter()
            .map(|(name, value)| Parameter::builder().parameter_key(name).parameter_value(value).build());
        let tags = what.tags.iter().map(|(name, value)| Tag::builder().key(name).value(value).build());
        self.formation
            .create_change_set()
            .stack_name(physical(&what.name))
            .change_set_name(&id)
            .change_set_type(if create { ChangeSetType::Create } else { ChangeSetType::Update })
            .template_url(template_url)
            .set_parameters(Some(parameters.collect()))
            .set_tags(Some(tags.collect()))
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityAutoExpand)
            .send()
            .await
            .map_err(|error| failure(format!("creating a change set for `{}`", what.name), error))?;
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        while tokio::time::Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
            let set = self
                .formation
                .describe_change_set()
                .stack_name(physical(&what.name))
                .change_set_name(&id)
                .send()
                .await
                .map_err(|error| failure("reading the change set", error))?;
            let reason = set.status_reason().unwrap_or_default();
            match set.status() {
                Some(ChangeSetStatus::CreateComplete) => return Ok(Some(id)),
                Some(ChangeSetStatus::Failed)
                    if reason.contains("No updates") || reason.contains("didn't contain changes") =>
                {
                    return Ok(None);
                }
                Some(ChangeSetStatus::Failed) => return Err(Error::Invalid(reason.to_owned())),
                _ => {}
            }
        }
        Err(Error::Unclear(format!("the change set of `{}`", what.name)))
    }

    /// Follows the stack's events until it rests. Events up to `since` are older than this deploy.
    async fn follow(&self, name: &StackName, since: Millis, events: &EventSink) -> Result<()> {
        let mut told = std::collections::BTreeSet::new();
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        while tokio::time::Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
            self.tell(name, since, &mut told, events).await?;
            let stack = self.found(name).await?.ok_or_else(|| Error::NotFound(name.to_string()))?;
            let raw = stack.stack_status().map(|s| s.as_str().to_owned());
            match status(raw.as_deref()) {
                StackStatus::InProgress | StackStatus::Deleting => {}
                StackStatus::Ready if raw.as_deref() != Some("UPDATE_ROLLBACK_COMPLETE") => return Ok(()),
                _ => {
                    let reason = stack.stack_status_reason().unwrap_or("see the events").to_owned();
                    return Err(Error::Invalid(format!("the stack ended {}: {reason}", raw.unwrap_or_default())));
                }
            }
        }
        Err(Error::Unclear(format!("the deploy of `{name}`")))
    }

    async fn tell(
        &self,
        name: &StackName,
        since: Millis,
        told: &mut std::collections::BTreeSet<String>,
        events: &EventSink,
    ) -> Result<()> {
        let answer = self
            .formation
            .describe_stack_events()
            .stack_name(physical(name))
            .send()
            .await
            .map_err(|error| failure(format!("reading the events of `{name}`"), error))?;
        for event in answer.stack_events().iter().rev() {
            let at = Millis(event.timestamp().and_then(|at| at.to_millis().ok()).unwrap_or(0));
            if at < since || !told.insert(event.event_id().unwrap_or_default().to_owned()) {
                continue;
            }
            // A closed receiver means that nobody watches.
            let _ = events.unbounded_send(StackEvent {
                id: event.event_id().unwrap_or_default().to_owned(),
                change: None,
                at,
                resource: event.logical_resource_id().unwrap_or_default().to_owned(),
                status: event.resource_status().map(|s| s.as_str().to_owned()).unwrap_or_default(),
                reason: event.resource_status_reason().map(str::to_owned),
            });
        }
        Ok(())
    }

    async fn resources(&self, name: &StackName) -> Result<Vec<ResourceView>> {
        let answer = self
            .formation
            .describe_stack_resources()
            .stack_name(physical(name))
            .send()
            .await
            .map_err(|error| failure(format!("reading the resources of `{name}`"), error))?;
        let view = |r: &aws_sdk_cloudformation::types::StackResource| ResourceView {
            logical_id: r.logical_resource_id().unwrap_or_default().to_owned(),
            kind: r.resource_type().unwrap_or_default().to_owned(),
            physical_id: r.physical_resource_id().unwrap_or_default().to_owned(),
        };
        Ok(answer.stack_resources().iter().map(view).collect())
    }

    async fn function(&self, resource: &ResourceView) -> Result<FunctionView> {
        let answer = self
            .lambda
            .get_function_configuration()
            .function_name(&resource.physical_id)
            .send()
            .await
            .map_err(|error| failure(format!("reading the function `{}`", resource.logical_id), error))?;
        Ok(FunctionView {
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
        })
    }
}

#[async_trait]
impl Stacks for CloudFormationStacks {
    async fn deploy(&self, what: DeployStack, events: EventSink) -> Result<Stack> {
        let since = SystemClock.now();
        let url = package::upload(&what, &self.blobs, &self.settings.bucket, &self.region).await?;
        let create = self
            .found(&what.name)
            .await?
            .is_none_or(|stack| stack.stack_status().is_some_and(|status| status.as_str() == "REVIEW_IN_PROGRESS"));
        if let Some(id) = self.change_set(&what, &url, create).await? {
            self.formation
                .execute_change_set()
                .stack_name(physical(&what.name))
                .change_set_name(&id)
                .send()
                .await
                .map_err(|error| failure(format!("executing the change set of `{}`", what.name), error))?;
            self.follow(&what.name, since, &events).await?;
        }
        self.describe(&what.name).await?.ok_or_else(|| Error::NotFound(what.name.to_string()))
    }

    async fn describe(&self, name: &StackName) -> Result<Option<Stack>> {
        let Some(found) = self.found(name).await? else { return Ok(None) };
        let resources = self.resources(name).await?;
        let mut functions = Vec::new();
        for resource in resources.iter().filter(|resource| resource.kind == "AWS::Lambda::Function") {
            functions.push(self.function(resource).await?);
        }
        let outputs: BTreeMap<String, String> = found
            .outputs()
            .iter()
            .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())))
            .collect();
        let release = found.tags().iter().find(|tag| tag.key() == Some("workroom:release"));
        Ok(Some(Stack {
            name: name.clone(),
            status: status(found.stack_status().map(|s| s.as_str())),
            release: release.and_then(|tag| tag.value()).unwrap_or_default().to_owned(),
            url: outputs.values().find(|value| value.starts_with("https://")).cloned(),
            outputs,
            functions,
            resources,
            unsupported: Vec::new(),
            updated: Millis(
                found.last_updated_time().or(found.creation_time()).and_then(|at| at.to_millis().ok()).unwrap_or(0),
            ),
        }))
    }

    async fn invoke(&self, what: Invoke) -> Result<Invocation> {
        let resources = self.resources(&what.stack).await?;
        let named = |r: &&ResourceView| r.logical_id == what.function || r.physical_id == what.function;
        let function = resources
            .iter()
            .filter(|resource| resource.kind == "AWS::Lambda::Function")
            .find(named)
            .ok_or_else(|| Error::NotFound(what.function.clone()))?;
        let answer = self
            .lambda
            .invoke()
            .function_name(&function.physical_id)
            .log_type(LogType::Tail)
            .payload(aws_sdk_lambda::primitives::Blob::new(what.payload))
            .send()
            .await
            .map_err(|error| failure(format!("invoking `{}`", what.function), error))?;
        let tail = answer.log_result().and_then(|log| STANDARD.decode(log).ok()).unwrap_or_default();
        let log_tail = String::from_utf8_lossy(&tail).into_owned();
        Ok(Invocation {
            report: package::report(&log_tail),
            payload: answer.payload().map(|blob| blob.as_ref().to_vec()).unwrap_or_default().into(),
            function_error: answer.function_error().map(str::to_owned),
            log_tail,
        })
    }

    async fn delete(&self, name: &StackName) -> Result<()> {
        self.formation
            .delete_stack()
            .stack_name(physical(name))
            .send()
            .await
            .map_err(|error| failure(format!("deleting the stack `{name}`"), error))?;
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        while tokio::time::Instant::now() < deadline {
            match self.found(name).await? {
                None => return Ok(()),
                Some(stack) if stack.stack_status().is_some_and(|s| s.as_str() == "DELETE_FAILED") => {
                    return Err(Error::Invalid(stack.stack_status_reason().unwrap_or("the delete failed").to_owned()));
                }
                Some(_) => tokio::time::sleep(POLL).await,
            }
        }
        Err(Error::Unclear(format!("deleting `{name}`")))
    }

    async fn credentials(&self, name: &StackName, ttl: Duration) -> Result<Credentials> {
        let answer = self
            .sts
            .assume_role()
            .role_arn(self.settings.role_arn.replace("{stack}", &physical(name)))
            .role_session_name(name.as_str().chars().take(64).collect::<String>())
            .duration_seconds(i32::try_from(ttl.as_secs().clamp(900, 43_200)).unwrap_or(3600))
            .send()
            .await
            .map_err(|error| failure(format!("assuming the role of `{name}`"), error))?;
        let keys = answer.credentials().ok_or_else(|| Error::Unavailable("the security token service".into()))?;
        Ok(Credentials {
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: Secret::new(keys.secret_access_key()),
            session_token: Some(Secret::new(keys.session_token())),
            expires: Millis(keys.expiration().to_millis().unwrap_or(0)),
            region: self.region.clone(),
            endpoint: None,
        })
    }
}
